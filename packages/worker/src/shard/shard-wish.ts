import { lookupOutcome, PgDogError, type ShardFunction, type SqlPlan } from '@pgdog-cluster/core';
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

/** SET LOCAL of this text; null: none. */
export function localWish({ statements }: SqlPlan): ShardWish | null {
  for (const { effect } of statements) {
    if (effect?.type === 'set' && effect.isLocal && effect.name === SHARD) {
      return { shard: effect.value ?? '', key: null };
    }
  }
  return null;
}

/** The shard that a wish leads to. */
export function shardOfWish(
  { shard, key }: ShardWish,
  functions: readonly ShardFunction[],
  shardCount: number,
): number | PgDogError {
  if (shard !== null) {
    const number = Number(shard);
    if (Number.isInteger(number) && number >= 0 && number < shardCount) return number;
    const text = `invalid value for parameter "${SHARD}": "${shard}" (this database has shards 0 to ${shardCount - 1})`;
    return new PgDogError('invalid_parameter_value', text);
  }
  const bytes = Buffer.from(key ?? '');
  const shards = new Set(functions.map((each) => each.ofText(bytes, 0, bytes.length)));
  const [only = -1] = shards;
  if (shards.size === 1 && only >= 0) return only;
  const why =
    lookupOutcome.problem !== ''
      ? lookupOutcome.problem
      : functions.length === 0
        ? 'no table is sharded'
        : shards.size > 1
          ? 'its tables are sharded by different rules'
          : 'it is no value of the key';
  return new PgDogError('invalid_parameter_value', `pgdog.sharding_key "${key}" leads to no shard: ${why}`);
}
