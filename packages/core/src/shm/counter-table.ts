import { COUNTER_CELLS_MAX, COUNTER_ROW_CELLS, LATENCY_BUCKETS, lineAligned } from './layout.js';

/** Offsets of the counters in a row, in 64-bit cells. The same order as COUNTER_NAMES. */
export const XACT_COUNT = 0;
export const QUERY_COUNT = 1;
export const SERVER_ASSIGNMENT_COUNT = 2;
export const RECEIVED = 3;
export const SENT = 4;
export const XACT_TIME_US = 5;
export const IDLE_XACT_TIME_US = 6;
export const QUERY_TIME_US = 7;
export const WAIT_TIME_US = 8;
export const SERVER_PARSE_COUNT = 9;
export const BIND_COUNT = 10;
export const CLOSE_COUNT = 11;
export const ERROR_COUNT = 12;
export const CLEANED = 13;
export const ROLLBACKS = 14;
export const CONNECT_TIME_US = 15;
export const CONNECT_COUNT = 16;
export const AUTH_ATTEMPTS = 17;
export const CHECKOUT_TIMEOUTS = 18;
export const CANCELS = 19;
export const PREPARED_EVICTIONS = 20;
export const LENT = 21;
export const ADOPTED = 22;
export const OUT_OF_SYNC = 23;
export const FORCE_CLOSED = 24;

export const COUNTER_NAMES = [
  'xactCount',
  'queryCount',
  'serverAssignmentCount',
  'received',
  'sent',
  'xactTimeUs',
  'idleXactTimeUs',
  'queryTimeUs',
  'waitTimeUs',
  'serverParseCount',
  'bindCount',
  'closeCount',
  'errors',
  'cleaned',
  'rollbacks',
  'connectTimeUs',
  'connectCount',
  'authAttempts',
  'checkoutTimeouts',
  'cancels',
  'preparedEvictions',
  'lent',
  'adopted',
  'outOfSync',
  'forceClosed',
] as const;

/** Where each histogram starts in a row: cells[row + QUERY_LATENCY + latencyBucket(us)] += 1. */
export const QUERY_LATENCY = COUNTER_CELLS_MAX;
export const XACT_LATENCY = COUNTER_CELLS_MAX + LATENCY_BUCKETS;
export const WAIT_LATENCY = COUNTER_CELLS_MAX + 2 * LATENCY_BUCKETS;
export const CONNECT_LATENCY = COUNTER_CELLS_MAX + 3 * LATENCY_BUCKETS;

/** Bucket of a duration in whole microseconds: i for 2^(i-1) <= us < 2^i, 0 for 0, the last for all above 4 s. */
export function latencyBucket(us: number): number {
  // us > 2^31 (35 minutes) would turn negative in 32 bits and land in bucket 32 all the same.
  const bucket = us >= 0x80000000 ? LATENCY_BUCKETS : 32 - Math.clz32(us);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/**
 * Statistics, one row per worker and pool, each written by that worker alone with plain stores:
 *
 *   const row = counters.rowBase(worker, pool);
 *   counters.cells[row + QUERY_COUNT] += 1;
 *
 * The supervisor sums rows; a scrape costs the workers nothing. Rows survive a restart of the worker, so that
 * a counter never goes backwards. 64-bit floats count exactly to 2^53.
 */
export class CounterTable {
  readonly cells: Float64Array;
  readonly #workers: number;
  readonly #poolsMax: number;
  readonly #stride = lineAligned(COUNTER_ROW_CELLS * 8) / 8;

  constructor(buffer: SharedArrayBuffer, workers: number, poolsMax: number) {
    this.cells = new Float64Array(buffer);
    this.#workers = workers;
    this.#poolsMax = poolsMax;
  }

  /** Index in `cells` of the row's first counter. */
  rowBase(worker: number, pool: number): number {
    return (worker * this.#poolsMax + pool) * this.#stride;
  }

  /** Supervisor only, when no worker has the pool any more (WorkerTable.settledEpoch): the row is to be another's. */
  clearPool(pool: number): void {
    for (let worker = 0; worker < this.#workers; worker++) {
      const row = this.rowBase(worker, pool);
      this.cells.fill(0, row, row + this.#stride);
    }
  }

  /** No worker has counted anything of the pool. */
  isZero(pool: number): boolean {
    for (let worker = 0; worker < this.#workers; worker++) {
      const row = this.rowBase(worker, pool);
      for (let cell = 0; cell < COUNTER_ROW_CELLS; cell++) if (this.cells[row + cell] !== 0) return false;
    }
    return true;
  }

  /** COUNTER_ROW_CELLS numbers: the row layout, summed over all workers. */
  sum(pool: number): number[] {
    const totals: number[] = new Array(COUNTER_ROW_CELLS).fill(0);
    for (let worker = 0; worker < this.#workers; worker++) {
      const row = this.rowBase(worker, pool);
      for (let cell = 0; cell < COUNTER_ROW_CELLS; cell++) totals[cell] += this.cells[row + cell];
    }
    return totals;
  }
}
