import {
  BAN_CONNECT_FAILED,
  BAN_CONNECTION_LOST,
  BAN_NONE,
  BAN_SHUTTING_DOWN,
  type BanReason,
  type HostTable,
} from '@pgdog-cluster/core';

type Figures = Record<'connectFailures' | 'resets' | 'shutdowns' | 'statements', number>;

export interface Finding {
  /** Clients have met failures since the last look. */
  isRising: boolean;
  /** Enough of them, and nothing that worked: banned whatever a check says. */
  clear: BanReason;
}

/** What is looked at together. */
const WINDOW_MS = 3_000;
const FAILURES_CLEAR = 5;

/** What workers meet on one host, from their rows in shared memory. */
export class Evidence {
  readonly #table: HostTable;
  readonly #host: number;
  #last: Figures;
  /** Of the current window. */
  #sums: Figures = { connectFailures: 0, resets: 0, shutdowns: 0, statements: 0 };
  #sinceMs = 0;

  constructor(table: HostTable, host: number) {
    this.#table = table;
    this.#host = host;
    this.#last = this.#read();
  }

  look(nowMs: number): Finding {
    const now = this.#read();
    const added = subtract(now, this.#last);
    this.#last = now;
    const isRising = failuresOf(added) > 0;
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      this.#sinceMs = nowMs;
      this.#sums = added;
    } else this.#sums = add(this.#sums, added);
    return { isRising, clear: isRising ? this.#judge() : BAN_NONE };
  }

  #judge(): BanReason {
    const { connectFailures, resets, shutdowns, statements } = this.#sums;
    if (statements > 0 || failuresOf(this.#sums) < FAILURES_CLEAR) return BAN_NONE;
    if (shutdowns > 0) return BAN_SHUTTING_DOWN;
    return resets > connectFailures ? BAN_CONNECTION_LOST : BAN_CONNECT_FAILED;
  }

  #read(): Figures {
    const [table, host] = [this.#table, this.#host];
    return {
      connectFailures: table.connectFailures(host),
      resets: table.resets(host),
      shutdowns: table.shutdowns(host),
      statements: table.statements(host),
    };
  }
}

function failuresOf({ connectFailures, resets, shutdowns }: Figures): number {
  return connectFailures + resets + shutdowns;
}

function mapFigures(a: Figures, b: Figures, combine: (a: number, b: number) => number): Figures {
  return {
    connectFailures: combine(a.connectFailures, b.connectFailures),
    resets: combine(a.resets, b.resets),
    shutdowns: combine(a.shutdowns, b.shutdowns),
    statements: combine(a.statements, b.statements),
  };
}

const add = (a: Figures, b: Figures) => mapFigures(a, b, (x, y) => x + y);
/** Modulo 2^32; less than before is a worker that began anew. */
const subtract = (now: Figures, before: Figures) =>
  mapFigures(now, before, (x, y) => Math.max(0, (x - y) | 0));
