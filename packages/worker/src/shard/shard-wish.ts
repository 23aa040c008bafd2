import type { SqlPlan } from '@pgdog-cluster/core';
import type { ParameterSet } from '../session/parameter-set.js';

export const SHARD = 'pgdog.shard';
export const SHARDING_KEY = 'pgdog.sharding_key';

/** What a client says of the shard: a number, or a key that leads to one. Both null: nothing. */
export interface ShardWish {
  readonly shard: string | null;
  readonly key: string | null;
}

const NO_WISH: ShardWish = { shard: null, key: null };

/** One per set of settings: sets are shared and never change. */
const known = new WeakMap<ParameterSet, ShardWish>();

/** Of SET and of the start-up packet. */
export function wishOf(parameters: ParameterSet): ShardWish {
  if (parameters.entries.size === 0) return NO_WISH;
  let wish = known.get(parameters);
  if (wish === undefined) {
    const textOf = (name: string): string | null => parameters.entries.get(name)?.value || null;
    const [shard, key] = [textOf(SHARD), textOf(SHARDING_KEY)];
    wish = shard === null && key === null ? NO_WISH : { shard, key };
    known.set(parameters, wish);
  }
  return wish;
}

/** Of comments of this text, which come before the settings; null: they say nothing. */
export function directiveWish({ route }: SqlPlan): ShardWish | null {
  const { directive } = route;
  if (directive === null || (directive.shard === null && directive.shardingKey === null)) return null;
  return { shard: directive.shard === null ? null : String(directive.shard), key: directive.shardingKey };
}
