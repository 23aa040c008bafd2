import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';

/** Whether an UPDATE can change one row at most: each column of its primary key is compared with one value. */
export function isOneRow(ctx: ShardContext, node: SqlNode, relation: CatalogRelation): boolean {
  if (nodesOf(node, 'fromClause').length > 0) return false;
  const target = nodeOf(node, 'relation');
  const isAlone = target?.inh !== true || relation.kind === 'partitioned';
  if (!isAlone && ctx.terms.lookup.hasChildren(relation.schema, relation.name)) return false;
  const alias = textOf(nodeOf(target, 'alias'), 'aliasname');
  const fixed = fixedColumns(nodeOf(node, 'whereClause'), alias === '' ? relation.name : alias);
  // Without its sharding key in it a key is unique on each shard only.
  const shardingKey = relation.columns[relation.keyColumn]?.name;
  return relation.uniques.some(
    ({ isPrimary, columns }) =>
      isPrimary === true &&
      columns.every((column) => fixed.has(column)) &&
      (shardingKey === undefined || columns.includes(shardingKey)),
  );
}

/** Whether an INSERT is of one row of VALUES, or of DEFAULT VALUES. */
export function insertsOneRow(node: SqlNode): boolean {
  const source = nodeOf(node, 'selectStmt');
  return source === undefined || nodesOf(nodeOf(source, 'SelectStmt'), 'valuesLists').length === 1;
}

/** Columns that equal a value, by conditions that hold all at once. */
function fixedColumns(where: SqlNode | undefined, table: string): Set<string> {
  const fixed = new Set<string>();
  const stack = [where];
  while (stack.length > 0) {
    const condition = stack.pop();
    const both = nodeOf(condition, 'BoolExpr');
    if (textOf(both, 'boolop') === 'AND_EXPR') stack.push(...nodesOf(both, 'args'));
    const equality = nodeOf(condition, 'A_Expr');
    const isEqual = textOf(equality, 'kind') === 'AEXPR_OP' && pathOf(equality, 'name').join('.') === '=';
    if (!isEqual) continue;
    const sides = [nodeOf(equality, 'lexpr'), nodeOf(equality, 'rexpr')];
    for (const [one, other] of [sides, [...sides].reverse()]) {
      const path = pathOf(nodeOf(one, 'ColumnRef'), 'fields');
      const isOwn = path.length === 1 || (path.length === 2 && path[0] === table);
      if (isOwn && isValue(other)) fixed.add(path[path.length - 1]);
    }
  }
  return fixed;
}

function isValue(node: SqlNode | undefined): boolean {
  const inner = nodeOf(nodeOf(node, 'TypeCast'), 'arg') ?? node;
  return inner !== undefined && ('A_Const' in inner || 'ParamRef' in inner);
}
