/**
 * The arithmetic of the report. Machines that run Postgres, its load and a proxy on two cores are noisy: so medians,
 * not means, and ratios taken within one repeat (both sides saw the same noise) before the median over repeats.
 */

export interface Summary {
  median: number;
  min: number;
  max: number;
  count: number;
}

/** Median of a non-empty list; the mean of the two middle values when their number is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle];
  return (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Nearest-rank percentile: the smallest value that at least `percent` of all values do not exceed.
 * No interpolation, so every figure reported is a latency that some transaction really had.
 */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  if (sorted.length === 0) throw new RangeError('percentile of no values');
  if (!(percent >= 0 && percent <= 100)) throw new RangeError(`percentile ${percent} is outside 0..100`);
  const rank = Math.ceil((percent / 100) * sorted.length);
  return sorted[Math.max(0, rank - 1)];
}

export function summarise(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

type Series = readonly (number | undefined)[];

/** Over the repeats both have (index = repeat, undefined = that run failed); null when no repeat has both. */
function paired(values: Series, bases: Series, of: (value: number, base: number) => number): Summary | null {
  const found: number[] = [];
  for (let repeat = 0; repeat < Math.min(values.length, bases.length); repeat++) {
    const value = values[repeat];
    const base = bases[repeat];
    if (value === undefined || base === undefined) continue;
    const one = of(value, base);
    if (Number.isFinite(one)) found.push(one);
  }
  return found.length === 0 ? null : summarise(found);
}

/** Ratio of two contenders; a base of zero has none. */
export function pairedRatio(values: Series, bases: Series): Summary | null {
  return paired(values, bases, (value, base) => value / base);
}

/** By how much the one has more than the other. */
export function pairedDifference(values: Series, bases: Series): Summary | null {
  return paired(values, bases, (value, base) => value - base);
}
