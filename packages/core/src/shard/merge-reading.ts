import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readDefault, readReturning, readSets, readStored, readWritten } from './change-reading.js';
import type { Cte } from './cte-reading.js';
import { findColumn, readExpression } from './expression-reading.js';
import { readForeignKeys } from './foreign-key-effects.js';
import { readFrom } from './from-reading.js';
import { isOverridden, readOverridden } from './insert-reading.js';
import { readCondition } from './key-conditions.js';
import { columnFamily } from './key-family.js';
import { readSource } from './key-source.js';
import type { Level, Shown } from './query-reading.js';
import type { CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import { type FromPart, Scope } from './shard-scope.js';
import { insertedInto, readUniques } from './unique-reading.js';

/** MERGE: a join of the target to the source, and what is done with either. */
export function readMerge(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  const { part, relation } = readWritten(ctx, nodeOf(node, 'relation') ?? {});
  const sources = readFrom(ctx, [nodeOf(node, 'sourceRelation') ?? {}], outer, ctes);
  const level: Level = { scope: new Scope([part, ...sources], outer), ctes, sublinks: new Map() };
  const clauses = nodesOf(node, 'mergeWhenClauses').map((each) => nodeOf(each, 'MergeWhenClause') ?? {});
  const matches = (kind: string): boolean =>
    clauses.some((clause) => textOf(clause, 'matchKind').endsWith(kind));
  // Rows of a side that are acted on without a match are not restricted by the condition.
  const targets = new Set([
    ...(matches('NOT_MATCHED_BY_SOURCE') ? [] : part.nodes),
    ...(matches('NOT_MATCHED_BY_TARGET') ? [] : sources.flatMap(({ nodes }) => nodes)),
  ]);
  const condition = nodeOf(node, 'joinCondition');
  readCondition(ctx, condition, level, targets);
  readExpression(ctx, node.joinCondition, level, true);
  ctx.unordered ??= 'MERGE';
  for (const clause of clauses) readClause(ctx, clause, relation, part, level, new Scope(sources, outer));
  // Rows that are inserted are split by the source's, those that are changed by the target's own.
  const splits = matches('NOT_MATCHED_BY_TARGET') ? sources.flatMap((source) => source.splits) : part.nodes;
  return { ...readReturning(ctx, node, level), splits };
}

function readClause(
  ctx: ShardContext,
  clause: SqlNode,
  relation: CatalogRelation | null,
  part: FromPart,
  level: Level,
  sourceScope: Scope,
): void {
  readExpression(ctx, clause.condition, level, true);
  switch (textOf(clause, 'commandType')) {
    case 'CMD_UPDATE':
      readSets(ctx, nodesOf(clause, 'targetList'), relation, level, {
        ...level,
        scope: new Scope([part], null),
      });
      return;
    case 'CMD_DELETE':
      if (relation !== null) readForeignKeys(ctx, relation, null);
      return;
    case 'CMD_INSERT':
      if (relation !== null) readInserted(ctx, clause, relation, part, { ...level, scope: sourceScope });
  }
}

/** Inserted rows are a reference of their own: they need not have the key that was looked for. */
function readInserted(
  ctx: ShardContext,
  clause: SqlNode,
  relation: CatalogRelation,
  part: FromPart,
  level: Level,
): void {
  const list = nodesOf(clause, 'targetList').map((each) => textOf(nodeOf(each, 'ResTarget'), 'name'));
  const names = list.length > 0 ? list : relation.columns.map(({ name }) => name);
  const values = nodesOf(clause, 'values');
  readExpression(ctx, [...values], level);
  for (const [i, column] of names
    .map((name) => relation.columns.find((each) => each.name === name))
    .entries()) {
    const value = values[i];
    if (value === undefined || column === undefined) continue;
    ctx.useParameter(value, columnFamily(column));
    readStored(ctx, value, column);
    if ('SetToDefault' in value) readDefault(ctx, relation, column);
    if (isOverridden(clause, column)) readOverridden(ctx, relation, column);
  }
  for (const column of relation.columns) {
    const place = names.indexOf(column.name);
    if (place < 0 || place >= values.length) readDefault(ctx, relation, column);
  }
  readUniques(
    ctx,
    relation,
    insertedInto(relation, (column) => {
      const value = values[names.indexOf(column.name)];
      return value === undefined || isOverridden(clause, column) ? null : [value];
    }),
  );
  if (part.nodes.length === 0) return;
  const key = ctx.graph.info(part.nodes[0]);
  const value = values[names.indexOf(relation.columns[relation.keyColumn].name)];
  const inserted = ctx.graph.add(key, true);
  const given = findColumn(value, level);
  const source = value === undefined ? null : readSource(value, key.family, ctx.literals);
  if (key.typmod >= 0)
    ctx.refuse(`the sharding key ${key.label} has a length, to which values may be cut`, 'make it text');
  else if (given?.key?.isExact) ctx.graph.link(given.key.node, inserted);
  else if (source !== null) ctx.graph.pin(inserted, [source]);
  else
    ctx.refuse(
      `MERGE into "${relation.name}" does not give its sharding key from the source's`,
      `give it a value`,
    );
}
