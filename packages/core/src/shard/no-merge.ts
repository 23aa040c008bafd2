import type { Refusal } from './shard-context.js';

/** Why rows of several shards cannot become one answer: thrown and caught where plans of merges are read. */
export class NoMerge extends Error implements Refusal {
  readonly reason: string;
  readonly remedy: string;
  /** Shards may be asked something else of which the answer can be made. */
  readonly isRewritable: boolean;

  constructor(
    reason: string,
    remedy = 'restrict the sharding key to one value, or leave that out',
    isRewritable = true,
  ) {
    super(reason);
    this.reason = reason;
    this.remedy = remedy;
    this.isRewritable = isRewritable;
  }
}

/** Whatever shards were asked. */
export function neverMerged(reason: string, remedy?: string): NoMerge {
  return new NoMerge(reason, remedy, false);
}
