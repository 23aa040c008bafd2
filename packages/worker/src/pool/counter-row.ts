// ● per-frame path
import {
  ADOPTED,
  AUTH_ATTEMPTS,
  BIND_COUNT,
  CANCELS,
  CHECKOUT_TIMEOUTS,
  CLEANED,
  CLOSE_COUNT,
  CONNECT_COUNT,
  CONNECT_LATENCY,
  CONNECT_TIME_US,
  COUNTER_ROW_CELLS,
  type CounterTable,
  ERROR_COUNT,
  FORCE_CLOSED,
  IDLE_XACT_TIME_US,
  LENT,
  latencyBucket,
  OUT_OF_SYNC,
  PREPARED_EVICTIONS,
  QUERY_COUNT,
  QUERY_LATENCY,
  QUERY_TIME_US,
  RECEIVED,
  ROLLBACKS,
  SENT,
  SERVER_ASSIGNMENT_COUNT,
  SERVER_PARSE_COUNT,
  WAIT_LATENCY,
  WAIT_TIME_US,
  XACT_COUNT,
  XACT_LATENCY,
  XACT_TIME_US,
} from '@pgdog-cluster/core';

/** This worker's statistics of one pool, in shared memory: plain adds to cells nobody else writes. */
export class CounterRow {
  private cells: Float64Array;
  private base: number;

  constructor(counters: CounterTable, worker: number, pool: number) {
    this.cells = counters.cells;
    this.base = counters.rowBase(worker, pool);
  }

  /** The row may be another pool's from now on: what is still counted goes nowhere. */
  leave(): void {
    this.cells = new Float64Array(COUNTER_ROW_CELLS);
    this.base = 0;
  }

  queryDone(tookUs: number): void {
    const { cells, base } = this;
    cells[base + QUERY_COUNT] += 1;
    cells[base + QUERY_TIME_US] += tookUs;
    cells[base + QUERY_LATENCY + latencyBucket(tookUs)] += 1;
  }

  transactionDone(tookUs: number): void {
    const { cells, base } = this;
    cells[base + XACT_COUNT] += 1;
    cells[base + XACT_TIME_US] += tookUs;
    cells[base + XACT_LATENCY + latencyBucket(tookUs)] += 1;
  }

  assigned(waitedUs: number): void {
    const { cells, base } = this;
    cells[base + SERVER_ASSIGNMENT_COUNT] += 1;
    cells[base + WAIT_TIME_US] += waitedUs;
    cells[base + WAIT_LATENCY + latencyBucket(waitedUs)] += 1;
  }

  traffic(receivedBytes: number, sentBytes: number): void {
    this.cells[this.base + RECEIVED] += receivedBytes;
    this.cells[this.base + SENT] += sentBytes;
  }

  idleInTransaction(us: number): void {
    this.cells[this.base + IDLE_XACT_TIME_US] += us;
  }

  connected(tookUs: number): void {
    this.cells[this.base + CONNECT_COUNT] += 1;
    this.cells[this.base + CONNECT_TIME_US] += tookUs;
    this.cells[this.base + CONNECT_LATENCY + latencyBucket(tookUs)] += 1;
  }

  error(): void {
    this.cells[this.base + ERROR_COUNT] += 1;
  }

  serverParse(): void {
    this.cells[this.base + SERVER_PARSE_COUNT] += 1;
  }

  bind(): void {
    this.cells[this.base + BIND_COUNT] += 1;
  }

  close(): void {
    this.cells[this.base + CLOSE_COUNT] += 1;
  }

  cleaned(): void {
    this.cells[this.base + CLEANED] += 1;
  }

  rollback(): void {
    this.cells[this.base + ROLLBACKS] += 1;
  }

  checkoutTimeout(): void {
    this.cells[this.base + CHECKOUT_TIMEOUTS] += 1;
  }

  cancel(): void {
    this.cells[this.base + CANCELS] += 1;
  }

  preparedEviction(): void {
    this.cells[this.base + PREPARED_EVICTIONS] += 1;
  }

  outOfSync(): void {
    this.cells[this.base + OUT_OF_SYNC] += 1;
  }

  forceClosed(): void {
    this.cells[this.base + FORCE_CLOSED] += 1;
  }

  lent(): void {
    this.cells[this.base + LENT] += 1;
  }

  adopted(): void {
    this.cells[this.base + ADOPTED] += 1;
  }

  authAttempt(): void {
    this.cells[this.base + AUTH_ATTEMPTS] += 1;
  }
}
