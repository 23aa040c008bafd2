import { nodeOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { NoMerge, neverMerged } from './no-merge.js';
import type { Top } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import type { SortKey } from './shard-reading.js';
import { Scope } from './shard-scope.js';
import { isSameNode, walkNodes } from './value-facts.js';

/** Of an item of ORDER BY. */
export function sortDirection(item: SqlNode): Omit<SortKey, 'column'> {
  const direction = textOf(item, 'sortby_dir');
  const nulls = textOf(item, 'sortby_nulls');
  const operator = pathOf(item, 'useOp');
  const isUsing = direction === 'SORTBY_USING';
  if (isUsing && !(operator.length === 1 && (operator[0] === '<' || operator[0] === '>'))) {
    throw neverMerged('ORDER BY … USING');
  }
  const isDescending = isUsing ? operator[0] === '>' : direction === 'SORTBY_DESC';
  const isNullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (nulls !== 'SORTBY_NULLS_LAST' && isDescending);
  return { isDescending, isNullsFirst };
}

/** Which of the columns that are shown it is: names mean what is shown first, then columns of FROM. -1: none of them. */
export function findShown(ctx: ShardContext, { level, targets: known }: Top, node: SqlNode): number {
  const targets = known ?? [];
  const constant = nodeOf(node, 'A_Const');
  if (constant !== undefined) return shownPosition(ctx, constant, targets.length);
  const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
  if (path.length === 1) {
    const named = targets.flatMap(({ name }, i) => (name === path[0] ? [i] : []));
    const isSame = named.every(
      (i) => targets[i].column !== null && targets[i].column === targets[named[0]].column,
    );
    if (named.length === 1 || (named.length > 1 && isSame)) return named[0];
    if (named.length > 1) throw neverMerged(`ORDER BY "${path[0]}", which several columns are called`);
    // One without a name that is known here may have this one.
    if (targets.some(({ name }) => name === '')) {
      throw neverMerged('ORDER BY beside columns without a name', 'give all columns a name');
    }
  }
  const found = path.length > 0 ? new Scope(level.scope.parts, null).find(path) : 'none';
  return typeof found !== 'string'
    ? targets.findIndex(({ column }) => column === found)
    : targets.findIndex(({ value }) => value !== null && isAlike(ctx, value, node));
}

function shownPosition(ctx: ShardContext, constant: SqlNode, count: number): number {
  const position = ctx.literals === null ? nodeOf(constant, 'ival')?.ival : undefined;
  if (typeof position !== 'number' || position < 1 || position > count) {
    throw new NoMerge('ORDER BY a position', 'sort by a name');
  }
  return position - 1;
}

/** The same expression, written twice; of a shape all literals look the same. */
function isAlike(ctx: ShardContext, one: SqlNode, other: SqlNode): boolean {
  let hasLiteral = false;
  if (ctx.literals !== null) {
    walkNodes(one, (type) => {
      if (type === 'A_Const') hasLiteral = true;
      return true;
    });
  }
  return !hasLiteral && isSameNode(one, other);
}
