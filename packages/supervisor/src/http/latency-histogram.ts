import { LATENCY_BUCKETS } from '@pgdog-cluster/core';
import { Histogram, type Registry } from 'prom-client';
import { POOL_LABELS, poolLabels, type Scrape } from './metric.js';

/** The first bucket shown ends at 2^5 = 32 us: what is faster is counted in it. */
const FIRST_BUCKET = 5;
/** The last one has no end; in Prometheus that is +Inf. */
const LAST_BUCKET = LATENCY_BUCKETS - 2;

/** Upper bounds in seconds. Bucket i holds whole microseconds below 2^i. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = Array.from(
  { length: LAST_BUCKET - FIRST_BUCKET + 1 },
  (_, step) => 2 ** (FIRST_BUCKET + step) / 1e6,
);

export interface LatencyMetric {
  name: string;
  help: string;
  /** Where its buckets start in a counter row. */
  start: number;
  /** Counter with the sum of the durations, us. */
  sum: number;
}

interface Sample {
  labels: Record<string, string | number>;
  value: number;
  metricName: string;
}

/** Cumulative counts as the text format wants them, then sum and count. */
function* samplesOf({ start, sum }: LatencyMetric, name: string, scrape: Scrape): Generator<Sample> {
  for (const { figures } of scrape.pools) {
    const { counters } = figures;
    const labels = poolLabels(figures);
    let count = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      count += counters[start + bucket];
      if (bucket < FIRST_BUCKET || bucket > LAST_BUCKET) continue;
      const le = LATENCY_BOUNDS_SECONDS[bucket - FIRST_BUCKET];
      yield { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    }
    yield { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count };
    yield { metricName: `${name}_sum`, labels, value: counters[sum] / 1e6 };
    // Of the buckets, not of another counter: rows are read while they are written, and +Inf must equal count.
    yield { metricName: `${name}_count`, labels, value: count };
  }
}

/**
 * A histogram whose buckets are counted in shared memory. prom-client's own only takes observations one by one;
 * the registry asks a metric for its values through one method.
 */
export class LatencyHistogram extends Histogram<string> {
  readonly #metric: LatencyMetric;
  readonly #name: string;
  readonly #scrape: () => Scrape;

  constructor(metric: LatencyMetric, registry: Registry, prefix: string, scrape: () => Scrape) {
    super({
      name: `${prefix}${metric.name}`,
      help: metric.help,
      labelNames: [...POOL_LABELS],
      buckets: [...LATENCY_BOUNDS_SECONDS],
      registers: [registry],
    });
    this.#metric = metric;
    this.#name = `${prefix}${metric.name}`;
    this.#scrape = scrape;
  }

  /** Not in prom-client's types; what its registry calls, and what its own get() is made of. */
  async getForPromString() {
    const { help } = this.#metric;
    const values = [...samplesOf(this.#metric, this.#name, this.#scrape())];
    return { name: this.#name, help, type: 'histogram', values };
  }
}
