/** DISTINCT ON over several shards: each gives the first row of each of its groups, in the order of ORDER BY. */
import { nodeOf, nodesOf, type SqlNode } from '../sql/sql-node.js';
import { findColumn } from './expression-reading.js';
import { neverMerged } from './no-merge.js';
import type { Top } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import type { MergePlan } from './shard-reading.js';
import { findShown } from './sort-reading.js';
import { isSameNode } from './value-facts.js';

/** How many of the first sort keys tell groups apart; nothing: rows of different shards are never of one. */
export function firstOf(ctx: ShardContext, top: Top): Pick<MergePlan, 'firstOf'> {
  const { shape, node, level } = top;
  const on = nodesOf(node, 'distinctClause');
  if (shape.distinct !== 'on') return {};
  if (on.some((item) => shape.isKey(keyColumn(ctx, top, item)))) return {};
  const sorts = nodesOf(node, 'sortClause').map((each) => nodeOf(nodeOf(each, 'SortBy'), 'node') ?? {});
  const isSame = (one: SqlNode, other: SqlNode): boolean => {
    const [shown, found] = [findShown(ctx, top, one), findColumn(one, level)];
    if (shown >= 0 || found !== null)
      return shown >= 0 ? shown === findShown(ctx, top, other) : found === findColumn(other, level);
    return isSameNode(one, other);
  };
  const count = sorts.findIndex((sort) => !on.some((item) => isSame(item, sort)));
  const first = count < 0 ? sorts : sorts.slice(0, count);
  // Postgres takes them in any order, as long as they are ahead of all others.
  if (first.length === 0 || !on.every((item) => first.some((sort) => isSame(item, sort)))) {
    throw neverMerged(
      'DISTINCT ON over several shards without its columns at the beginning of ORDER BY',
      'sort by them, or name the sharding key among them',
    );
  }
  return { firstOf: first.length };
}

function keyColumn(ctx: ShardContext, top: Top, item: SqlNode): ReturnType<typeof findColumn> {
  const shown = findShown(ctx, top, item);
  return shown >= 0 ? (top.targets?.[shown]?.column ?? null) : findColumn(item, top.level);
}
