import {
  LINE_CELLS,
  LOAD_ACTIVE,
  LOAD_CONNECTING,
  LOAD_IDLE,
  LOAD_IS_MARKED_WAITING,
  LOAD_OLDEST_WAIT_SINCE,
  LOAD_WAITING,
  POOL_PROBER,
  POOL_READS_SEQUENCES,
  POOL_WORKERS_WAITING,
} from './layout.js';

/**
 * Who has idle server connections and who has waiters, per worker and pool.
 *
 * Rows are plain single-writer writes (about 1 ns) and therefore hints: a reader may see a number of a moment
 * ago. Every decision taken on them (ask to lend, give away) is checked again by the worker that owns the
 * connection. One race is accepted on purpose: a worker that becomes idle and a worker that starts waiting at
 * the same instant may each miss the other, because ordering the idle count against `workersWaiting` would cost
 * an atomic store per check-in. The waiting worker looks again on its timer tick, and the next check-in sees it.
 */
export class LoadTable {
  readonly #cells: Int32Array;
  readonly #waiting: Int32Array;
  readonly #workers: number;
  readonly #poolsMax: number;
  /** Second result of oldestWaiter(): since when, as low 32 bits of epoch ms. */
  oldestSinceMs = 0;

  constructor(load: SharedArrayBuffer, poolWaiting: SharedArrayBuffer, workers: number, poolsMax: number) {
    this.#cells = new Int32Array(load);
    this.#waiting = new Int32Array(poolWaiting);
    this.#workers = workers;
    this.#poolsMax = poolsMax;
  }

  setIdle(worker: number, pool: number, count: number): void {
    this.#cells[this.#row(worker, pool) + LOAD_IDLE] = count;
  }

  setActive(worker: number, pool: number, count: number): void {
    this.#cells[this.#row(worker, pool) + LOAD_ACTIVE] = count;
  }

  /** Of the active ones, those that have not logged in yet. */
  setConnecting(worker: number, pool: number, count: number): void {
    this.#cells[this.#row(worker, pool) + LOAD_CONNECTING] = count;
  }

  setWaiting(worker: number, pool: number, count: number): void {
    this.#cells[this.#row(worker, pool) + LOAD_WAITING] = count;
  }

  /** `sinceMs` in epoch ms (Date.now()); 0 = nobody waits. */
  setOldestWaitSinceMs(worker: number, pool: number, sinceMs: number): void {
    // The low 32 bits may be 0 for one millisecond in 49 days; 1 is then as good.
    this.#cells[this.#row(worker, pool) + LOAD_OLDEST_WAIT_SINCE] = sinceMs === 0 ? 0 : sinceMs | 0 || 1;
  }

  idle(worker: number, pool: number): number {
    return this.#cells[this.#row(worker, pool) + LOAD_IDLE];
  }

  active(worker: number, pool: number): number {
    return this.#cells[this.#row(worker, pool) + LOAD_ACTIVE];
  }

  waiting(worker: number, pool: number): number {
    return this.#cells[this.#row(worker, pool) + LOAD_WAITING];
  }

  /** Low 32 bits of epoch ms, 0 = nobody; turn it into a duration with waitedMs(). */
  oldestWaitSinceMs(worker: number, pool: number): number {
    return this.#cells[this.#row(worker, pool) + LOAD_OLDEST_WAIT_SINCE];
  }

  /** Number of workers that have waiters in this pool. Read at every check-in, hence one cell and not a scan. */
  workersWaiting(pool: number): number {
    return Atomics.load(this.#waiting, pool * LINE_CELLS + POOL_WORKERS_WAITING);
  }

  /** Says whether `worker` has waiters. Idempotent: the shared count changes only when the answer does. */
  markWaiting(worker: number, pool: number, isWaiting: boolean): void {
    const cell = this.#row(worker, pool) + LOAD_IS_MARKED_WAITING;
    const mark = isWaiting ? 1 : 0;
    if (this.#cells[cell] === mark) return;
    this.#cells[cell] = mark;
    // An atomic add, because several workers meet here; after the row, so that who sees the count finds the row.
    if (isWaiting) Atomics.add(this.#waiting, pool * LINE_CELLS + POOL_WORKERS_WAITING, 1);
    else Atomics.sub(this.#waiting, pool * LINE_CELLS + POOL_WORKERS_WAITING, 1);
  }

  /** The worker with most idle connections in this pool, other than `except`; -1 = nobody has any. */
  mostIdleWorker(pool: number, except: number): number {
    let best = -1;
    let bestIdle = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      if (worker === except) continue;
      const idle = this.#cells[this.#row(worker, pool) + LOAD_IDLE];
      if (idle <= bestIdle) continue;
      best = worker;
      bestIdle = idle;
    }
    return best;
  }

  /** The worker, other than `except`, whose oldest waiter waits longest; -1 = nobody waits. Since when: `oldestSinceMs`. */
  oldestWaiter(pool: number, except: number): number {
    let best = -1;
    let bestSince = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      if (worker === except) continue;
      const row = this.#row(worker, pool);
      const since = this.#cells[row + LOAD_OLDEST_WAIT_SINCE];
      if (since === 0 || this.#cells[row + LOAD_WAITING] === 0) continue;
      // Wrapping difference: right for waits below 24 days, whatever the high bits are.
      if (best !== -1 && ((since - bestSince) | 0) >= 0) continue;
      best = worker;
      bestSince = since;
    }
    this.oldestSinceMs = bestSince;
    return best;
  }

  /** Server connections of the pool that have logged in, over all workers. */
  established(pool: number): number {
    let count = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      const row = this.#row(worker, pool);
      count +=
        this.#cells[row + LOAD_IDLE] + this.#cells[row + LOAD_ACTIVE] - this.#cells[row + LOAD_CONNECTING];
    }
    return count;
  }

  /**
   * Becomes the one worker that tries a failing server, or says that it is already. Two must not both believe it,
   * hence compare-and-swap.
   */
  tryBecomeProber(worker: number, pool: number): boolean {
    const cell = pool * LINE_CELLS + POOL_PROBER;
    const before = Atomics.compareExchange(this.#waiting, cell, 0, worker + 1);
    return before === 0 || before === worker + 1;
  }

  /** The server answers again, or this worker has nobody to try it for. */
  resignAsProber(worker: number, pool: number): void {
    Atomics.compareExchange(this.#waiting, pool * LINE_CELLS + POOL_PROBER, worker + 1, 0);
  }

  /** Whether some worker is trying a failing server. */
  hasProber(pool: number): boolean {
    return Atomics.load(this.#waiting, pool * LINE_CELLS + POOL_PROBER) !== 0;
  }

  /** Whether a client of the pool, in whatever worker, has ever asked for what sequences leave in a session. */
  readsSequences(pool: number): boolean {
    return Atomics.load(this.#waiting, pool * LINE_CELLS + POOL_READS_SEQUENCES) === 1;
  }

  noteSequencesRead(pool: number): void {
    Atomics.store(this.#waiting, pool * LINE_CELLS + POOL_READS_SEQUENCES, 1);
  }

  /** Supervisor only, after the worker's task ended: its waiters and idle connections are gone. */
  clearWorker(worker: number): void {
    for (let pool = 0; pool < this.#poolsMax; pool++) {
      this.markWaiting(worker, pool, false);
      this.resignAsProber(worker, pool);
      const row = this.#row(worker, pool);
      this.#cells.fill(0, row, row + LINE_CELLS);
    }
  }

  /** Supervisor only, when no worker has the pool any more. */
  clearPool(pool: number): void {
    for (let worker = 0; worker < this.#workers; worker++) {
      const row = this.#row(worker, pool);
      this.#cells.fill(0, row, row + LINE_CELLS);
    }
    this.#waiting.fill(0, pool * LINE_CELLS, (pool + 1) * LINE_CELLS);
  }

  #row(worker: number, pool: number): number {
    return (worker * this.#poolsMax + pool) * LINE_CELLS;
  }
}

/** How long ago `sinceMs` (low 32 bits of epoch ms) was at `nowMs` (epoch ms, or its low 32 bits). */
export function waitedMs(sinceMs: number, nowMs: number): number {
  return ((nowMs | 0) - (sinceMs | 0)) | 0;
}
