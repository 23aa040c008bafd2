import {
  COUNTER_ROW_CELLS,
  ERROR_COUNT,
  LATENCY_BUCKETS,
  type PoolSnapshot,
  QUERY_COUNT,
  QUERY_LATENCY,
  RECEIVED,
  SENT,
  type SharedMemory,
  WAIT_LATENCY,
  XACT_COUNT,
} from '@pgdog-cluster/core';
import type { Rates } from '@pgdog-cluster/core/status';

/** All counters at one moment. */
export interface CounterSample {
  /** Of the monotonic clock, ms. */
  atMs: number;
  /** By pool: the counter row summed over workers. */
  pools: Map<number, number[]>;
  /** By worker. */
  busyUs: number[];
  /** Of all threads, us. */
  cpuUs: number;
}

export function sampleCounters(
  memory: SharedMemory,
  pools: readonly PoolSnapshot[],
  atMs: number,
): CounterSample {
  const { counters, workers, handles } = memory;
  const { user, system } = process.cpuUsage();
  return {
    atMs,
    pools: new Map(pools.map(({ index }) => [index, counters.sum(index)])),
    busyUs: Array.from({ length: handles.dimensions.workers }, (_, worker) => workers.busyUs(worker)),
    cpuUs: user + system,
  };
}

/** How counters of several pools have grown from one sample to another. */
export class Growth {
  readonly cells: number[] = new Array(COUNTER_ROW_CELLS).fill(0);

  /** A pool that was not there before has grown from nothing. */
  add(before: readonly number[] | undefined, after: readonly number[]): void {
    for (let cell = 0; cell < COUNTER_ROW_CELLS; cell++) {
      this.cells[cell] += Math.max(0, after[cell] - (before?.[cell] ?? 0));
    }
  }

  include(other: Growth): void {
    for (let cell = 0; cell < COUNTER_ROW_CELLS; cell++) this.cells[cell] += other.cells[cell];
  }

  rates(seconds: number): Rates {
    return {
      queriesPerS: this.cells[QUERY_COUNT] / seconds,
      transactionsPerS: this.cells[XACT_COUNT] / seconds,
      errorsPerS: this.cells[ERROR_COUNT] / seconds,
      p50Us: bucketQuantileUs(this.cells, QUERY_LATENCY, 0.5),
      p99Us: bucketQuantileUs(this.cells, QUERY_LATENCY, 0.99),
      waitP99Us: bucketQuantileUs(this.cells, WAIT_LATENCY, 0.99),
    };
  }

  traffic(seconds: number): { receivedPerS: number; sentPerS: number } {
    return { receivedPerS: this.cells[RECEIVED] / seconds, sentPerS: this.cells[SENT] / seconds };
  }
}

/**
 * What `share` of the durations does not exceed, us: by proportion within its bucket, which ends at twice of where it
 * begins. Of those beyond the last end, where that bucket begins. Null when there are none.
 */
export function bucketQuantileUs(cells: readonly number[], start: number, share: number): number | null {
  let total = 0;
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) total += cells[start + bucket];
  if (total === 0) return null;
  let left = total * share;
  for (let bucket = 0; bucket < LATENCY_BUCKETS - 1; bucket++) {
    const count = cells[start + bucket];
    const from = bucket === 0 ? 0 : 2 ** (bucket - 1);
    if (count > 0 && left <= count) return from + (2 ** bucket - from) * (left / count);
    left -= count;
  }
  return 2 ** (LATENCY_BUCKETS - 2);
}
