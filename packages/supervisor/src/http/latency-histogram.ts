import { LATENCY_BUCKETS } from '@pgdog-cluster/core';

/** The first bucket shown ends at 2^5 = 32 us: what is faster is counted in it. */
export const FIRST_BUCKET = 5;
/** The last one has no end; in Prometheus that is +Inf. */
export const LAST_BUCKET = LATENCY_BUCKETS - 2;

/** Upper bounds in seconds. Bucket i holds whole microseconds below 2^i. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = Array.from(
  { length: LAST_BUCKET - FIRST_BUCKET + 1 },
  (_, step) => 2 ** (FIRST_BUCKET + step) / 1e6,
);

/** A histogram whose buckets are counted in shared memory. */
export interface LatencyMetric {
  name: string;
  help: string;
  /** Where its buckets start in a counter row. */
  start: number;
  /** Counter with the sum of the durations, us. */
  sum: number;
}
