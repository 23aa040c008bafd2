/** `count(*) OVER ()`, which paginators show beside each row: what shards say of it adds up. */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { requireOwn } from './aggregate-reading.js';
import { castType } from './key-family.js';
import type { Top } from './query-reading.js';
import type { ShardContext } from './shard-context.js';

/** FRAMEOPTION_DEFAULTS of parsenodes.h: no frame is written. */
const NO_FRAME = 1058;
const COUNT_TYPES: ReadonlySet<string> = new Set(['pg_catalog.int4', 'pg_catalog.int8']);

/** Positions of the answer; none where other windows are over rows of all shards. */
export function readTotals(ctx: ShardContext, { shape, targets, level }: Top): number[] {
  if (shape.areWindowsByKey || shape.isGrouped || shape.distinct !== 'no') return [];
  const totals = (targets ?? []).flatMap(({ value }, i) => {
    const call = value === null ? null : totalOf(value);
    if (call === null) return [];
    requireOwn(ctx, call, level);
    return [i];
  });
  return totals.length === shape.windowCount ? totals : [];
}

/** The call, if it is one over all rows. */
function totalOf(value: SqlNode): SqlNode | null {
  const cast = nodeOf(value, 'TypeCast');
  const type = cast === undefined ? null : castType(nodeOf(cast, 'typeName'));
  if (cast !== undefined && (type === null || type.isArray || !COUNT_TYPES.has(type.type))) return null;
  const call = nodeOf(nodeOf(cast, 'arg') ?? value, 'FuncCall');
  const over = nodeOf(call, 'over');
  if (call === undefined || over === undefined || over.frameOptions !== NO_FRAME) return null;
  const path = pathOf(call, 'funcname');
  const isOwn = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  if (!isOwn || path.at(-1) !== 'count' || call.func_variadic === true || nodesOf(call, 'args').length > 1)
    return null;
  const isOverAll = !['partitionClause', 'orderClause'].some((key) => key in over);
  const isPlain = textOf(over, 'name') === '' && textOf(over, 'refname') === '';
  return isOverAll && isPlain ? call : null;
}
