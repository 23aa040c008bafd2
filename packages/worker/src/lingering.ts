import type { Deadlines } from './deadlines.js';
import type { Connection } from './io/connection.js';

/** How long last words may wait for a peer that does not read. */
const LINGER_MS = 5000;
/** How soon those that have closed by themselves are forgotten: each holds a session. */
const SWEEP_MS = 100;

/** Connections with last words still to be read; closed when that takes too long. Oldest first. */
export class Lingering {
  private readonly deadlines: Deadlines;
  private open: { connection: Connection; untilMs: number }[] = [];

  constructor(deadlines: Deadlines) {
    this.deadlines = deadlines;
  }

  add(connection: Connection, nowMs: number): void {
    if (connection.isClosed) return;
    if (this.open.length === 0) this.deadlines.add(nowMs + SWEEP_MS, () => this.sweep(nowMs + SWEEP_MS));
    this.open.push({ connection, untilMs: nowMs + LINGER_MS });
  }

  private sweep(nowMs: number): void {
    for (const { connection, untilMs } of this.open) if (untilMs <= nowMs) connection.close();
    this.open = this.open.filter(({ connection }) => !connection.isClosed);
    // The time this was meant for may lie in the past; that only makes the wait a little longer.
    if (this.open.length > 0) this.deadlines.add(nowMs + SWEEP_MS, () => this.sweep(nowMs + SWEEP_MS));
  }
}
