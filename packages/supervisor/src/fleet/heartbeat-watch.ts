import type { SharedMemory } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';

const CHECK_PERIOD_MS = 1000;
export const HEARTBEAT_AGE_MAX_MS = 10_000;

/**
 * Reports workers whose loop has not come round for 10 s. Reported, not killed: a stopped process, a debugger or
 * a swapping machine look the same from here, and killing would cost every client of that worker.
 */
export class HeartbeatWatch {
  readonly #memory: SharedMemory;
  readonly #servingWorkers: () => readonly number[];
  readonly #logger: Logger;
  readonly #stalled = new Set<number>();
  #timer: NodeJS.Timeout | null = null;
  #checkedMs = 0;

  constructor(memory: SharedMemory, servingWorkers: () => readonly number[], logger: Logger) {
    this.#memory = memory;
    this.#servingWorkers = servingWorkers;
    this.#logger = logger;
  }

  start(): void {
    this.#checkedMs = Date.now();
    this.#timer ??= setInterval(() => this.check(Date.now()), CHECK_PERIOD_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#stalled.clear();
  }

  isStalled(worker: number): boolean {
    return this.#stalled.has(worker);
  }

  check(nowMs: number): void {
    const sinceCheckMs = nowMs - this.#checkedMs;
    this.#checkedMs = nowMs;
    // This thread itself stood still (suspended machine): everyone's heartbeat is old, and nobody is to blame.
    if (sinceCheckMs > HEARTBEAT_AGE_MAX_MS / 2) return;
    const serving = this.#servingWorkers();
    for (const worker of [...this.#stalled]) if (!serving.includes(worker)) this.#stalled.delete(worker);
    for (const worker of serving) this.#checkWorker(worker, nowMs);
  }

  #checkWorker(worker: number, nowMs: number): void {
    const ageMs = this.#memory.workers.heartbeatAgeMs(worker, nowMs);
    const isStalled = ageMs > HEARTBEAT_AGE_MAX_MS;
    if (isStalled === this.#stalled.has(worker)) return;
    if (isStalled) {
      this.#stalled.add(worker);
      this.#logger.log('error', 'worker_stalled', `worker ${worker} has not turned for ${ageMs} ms`, {
        worker,
        ageMs,
      });
    } else {
      this.#stalled.delete(worker);
      this.#logger.log('warn', 'worker_recovered', `worker ${worker} turns again`, { worker });
    }
  }
}
