import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';

/** Of a reference to the tenant's column: what qualifies it, [] for nothing. null: another column, or no reference. */
export function tenantReference(node: SqlNode, column: string): readonly string[] | null {
  const reference = nodeOf(node, 'ColumnRef');
  if (reference === undefined) return null;
  const path = pathOf(reference, 'fields');
  const isWhole = path.length === nodesOf(reference, 'fields').length;
  return isWhole && path.length <= 3 && path.at(-1) === column ? path.slice(0, -1) : null;
}

/** Of `*` and `t.*`: what qualifies it. null: something else. */
export function starReference(node: SqlNode): readonly string[] | null {
  const fields = nodesOf(nodeOf(node, 'ColumnRef'), 'fields');
  if (fields.length === 0 || fields.length > 3 || !('A_Star' in fields[fields.length - 1])) return null;
  return pathOf(nodeOf(node, 'ColumnRef'), 'fields').slice(0, -1);
}

/** A value that is one for the whole statement: a literal, a parameter, a setting; cast or not. */
export function isOneValue(node: SqlNode): boolean {
  let at: SqlNode | undefined = node;
  while (at !== undefined && 'TypeCast' in at) at = nodeOf(nodeOf(at, 'TypeCast'), 'arg');
  if (at === undefined) return false;
  if ('A_Const' in at || 'ParamRef' in at) return true;
  const call = nodeOf(at, 'FuncCall');
  if (call === undefined) return false;
  const path = pathOf(call, 'funcname');
  const isSetting = path.at(-1) === 'current_setting' && (path.length === 1 || path[0] === 'pg_catalog');
  return isSetting && nodesOf(call, 'args').every((argument) => isLiteral(argument));
}

function isLiteral(node: SqlNode): boolean {
  const inner = nodeOf(nodeOf(node, 'TypeCast'), 'arg') ?? node;
  return 'A_Const' in inner;
}

/** Of `a = b`, of `(a, c) = (b, d)` and of `a IN (b)`: pairs that are equal. */
export type Pair = readonly [SqlNode, SqlNode];

/** What holds of every row that passes a condition. Other conditions say nothing here. */
export function equalities(condition: SqlNode | undefined): Pair[] {
  const pairs: Pair[] = [];
  const stack: SqlNode[] = condition === undefined ? [] : [condition];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const both = nodeOf(node, 'BoolExpr');
    if (both !== undefined && textOf(both, 'boolop') === 'AND_EXPR') stack.push(...nodesOf(both, 'args'));
    const comparison = nodeOf(node, 'A_Expr');
    if (comparison !== undefined) addPairs(comparison, pairs);
  }
  return pairs;
}

function addPairs(comparison: SqlNode, pairs: Pair[]): void {
  const path = pathOf(comparison, 'name');
  const isEqual = path.at(-1) === '=' && (path.length === 1 || path[0] === 'pg_catalog');
  if (!isEqual) return;
  const left = nodeOf(comparison, 'lexpr');
  if (left === undefined) return;
  const kind = textOf(comparison, 'kind');
  if (kind === 'AEXPR_IN') {
    const list = listOf(comparison.rexpr);
    // One parameter: how many literals there were the shape of a text does not tell.
    if (list.length === 1 && 'ParamRef' in list[0]) pairs.push([left, list[0]]);
    return;
  }
  const right = nodeOf(comparison, 'rexpr');
  if (kind !== 'AEXPR_OP' || right === undefined) return;
  const lefts = nodesOf(nodeOf(left, 'RowExpr'), 'args');
  const rights = nodesOf(nodeOf(right, 'RowExpr'), 'args');
  if (lefts.length === 0) pairs.push([left, right]);
  if (lefts.length !== rights.length) return;
  for (const [i, each] of lefts.entries()) pairs.push([each, rights[i]]);
}

/** A list as the tree has it: bare, or as a List node. */
export function listOf(value: SqlNode[string]): readonly SqlNode[] {
  if (Array.isArray(value)) return value.filter(isSqlNode);
  return isSqlNode(value) ? nodesOf(nodeOf(value, 'List'), 'items') : [];
}
