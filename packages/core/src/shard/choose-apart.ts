import { choice, shardOfGroup } from './choose-shard.js';
import type { ShardFunction } from './shard-function.js';
import type { ApartGroups, ShardReading } from './shard-reading.js';
import type { StatementValues } from './statement-values.js';

/**
 * Of groups that have nothing to do with each other, which chooseShard() has not led to one shard. Of one that cannot be asked
 * `choice` has the problem.
 * @returns null: every shard
 */
export function shardsOfApart(
  { groups }: ShardReading,
  { single }: ApartGroups,
  functions: readonly ShardFunction[],
  values: StatementValues,
): ReadonlySet<number> | null {
  const all = new Set<number>();
  let isEvery = false;
  for (const [position, group] of groups.entries()) {
    const shard = shardOfGroup(group, functions[group.rule], values);
    if (shard < 0 && single.includes(position) && choice.problem === '')
      choice.problem = 'in this part of the statement all of its rows must be on one shard';
    if (choice.problem !== '') return null;
    if (shard >= 0) all.add(shard);
    else if (choice.shards === null) isEvery = true;
    else for (const each of choice.shards) all.add(each);
  }
  return isEvery ? null : all;
}
