import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { type Cte, openWith, readUnusedCtes } from './cte-reading.js';
import { findColumn, isTimeType, readExpression, readTimeText } from './expression-reading.js';
import { readForeignKeys } from './foreign-key-effects.js';
import { type ReadTable, readFrom, readTable } from './from-reading.js';
import { readInsert, storedSource } from './insert-reading.js';
import { readCondition } from './key-conditions.js';
import { columnFamily, type KeyInfo } from './key-family.js';
import { readMerge } from './merge-reading.js';
import { isOneRow } from './one-row.js';
import { expandTargets, type Level, NO_SHOWN, type Shown, showColumns } from './query-reading.js';
import type { CatalogColumn, CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import { type Entry, type FromPart, Scope } from './shard-scope.js';
import { readUniques, type Stored, storedBy } from './unique-reading.js';

/** A statement that changes rows, at the top or in WITH. */
export function readWrite(
  ctx: ShardContext,
  kind: string,
  node: SqlNode,
  outer: Scope | null,
  before: Cte | null,
): Shown {
  if (!ctx.enter()) return NO_SHOWN;
  const ctes = openWith(ctx, nodeOf(node, 'withClause'), outer, before);
  ctx.depth++;
  const shown = readByKind(ctx, kind, node, outer, ctes);
  readUnusedCtes(ctx, ctes, before);
  ctx.depth--;
  return shown;
}

function readByKind(
  ctx: ShardContext,
  kind: string,
  node: SqlNode,
  outer: Scope | null,
  ctes: Cte | null,
): Shown {
  switch (kind) {
    case 'InsertStmt':
      return readInsert(ctx, node, outer, ctes);
    case 'UpdateStmt':
      return readChange(ctx, node, nodesOf(node, 'fromClause'), outer, ctes);
    case 'DeleteStmt':
      return readChange(ctx, node, nodesOf(node, 'usingClause'), outer, ctes);
    case 'MergeStmt':
      return readMerge(ctx, node, outer, ctes);
    default:
      ctx.refuse(`a statement in WITH is not understood (${kind})`);
      return NO_SHOWN;
  }
}

/** The table that is written, and why it cannot be. */
export function readWritten(ctx: ShardContext, node: SqlNode): ReadTable {
  const table = readTable(ctx, node, null);
  const { relation } = table;
  const name = textOf(node, 'relname');
  if (relation === null) {
    if (ctx.refusal === null) ctx.refuse(`"${name}" is a table of the system`);
    return table;
  }
  if (relation.kind !== 'table' && relation.kind !== 'partitioned') ctx.refuse(`"${name}" is no plain table`);
  if (relation.hasRules) ctx.refuse(`rules of "${name}" may write to other shards`);
  if (relation.hasTriggers) ctx.refuse(`triggers of "${name}" may read or write rows of other shards`);
  const isOmni = relation.placement !== 'sharded' && relation.shard === undefined;
  (isOmni ? ctx.omniWrites : ctx.shardedWrites).push(name);
  return table;
}

/** UPDATE and DELETE. */
function readChange(
  ctx: ShardContext,
  node: SqlNode,
  others: readonly SqlNode[],
  outer: Scope | null,
  ctes: Cte | null,
): Shown {
  const { part, relation } = readWritten(ctx, nodeOf(node, 'relation') ?? {});
  const parts = [part, ...readFrom(ctx, others, outer, ctes)];
  const isUpdate = 'targetList' in node;
  if (isUpdate && others.length > 0) ctx.unordered ??= 'UPDATE … FROM';
  if (isUpdate && ctx.depth === 1 && relation !== null) ctx.isOneRow = isOneRow(ctx, node, relation);
  const level: Level = { scope: new Scope(parts, outer), ctes, sublinks: new Map() };
  readCondition(ctx, nodeOf(node, 'whereClause'), level, level.scope.nodes);
  readExpression(ctx, node.whereClause, level, true);
  const own: Level = { ...level, scope: new Scope([part], null) };
  const [place] = node === ctx.topUpdate ? part.nodes : [];
  const info = place === undefined ? null : ctx.graph.info(place);
  readSets(ctx, nodesOf(node, 'targetList'), relation, level, own, info);
  if (relation !== null && !isUpdate) readForeignKeys(ctx, relation, null);
  return { ...readReturning(ctx, node, level), splits: part.nodes };
}

/**
 * SET of UPDATE, of ON CONFLICT and of MERGE.
 * @param own where names can only mean the table itself
 * @param movable the sharding key of a table whose rows may go where it is set to; null: they must stay
 */
export function readSets(
  ctx: ShardContext,
  targets: readonly SqlNode[],
  relation: CatalogRelation | null,
  level: Level,
  own: Level,
  movable: KeyInfo | null = null,
): void {
  const keyName = relation?.columns[relation.keyColumn]?.name;
  const changed = targets
    .map((each) => nodeOf(each, 'ResTarget') ?? {})
    .filter((target) => {
      return textOf(target, 'name') !== keyName || !isItself(nodeOf(target, 'val') ?? {}, level, own);
    });
  if (relation !== null) {
    readForeignKeys(
      ctx,
      relation,
      changed.map((target) => textOf(target, 'name')),
    );
    if (targets.length > 0) readUniques(ctx, relation, storedByTargets(relation, targets));
  }
  for (const each of targets) {
    const target = nodeOf(each, 'ResTarget') ?? {};
    const name = textOf(target, 'name');
    const value = nodeOf(target, 'val') ?? {};
    const column = relation?.columns.find((column) => column.name === name) ?? null;
    readExpression(ctx, [target.val, target.indirection], level);
    ctx.useParameter(value, columnFamily(column));
    if (relation !== null && column !== null && 'SetToDefault' in value) readDefault(ctx, relation, column);
    readStored(ctx, value, column);
    if (relation !== null && keyName !== undefined && name === keyName && changed.includes(target))
      readKey(ctx, relation, value, movable);
  }
}

/** The sharding key is set to itself. */
function isItself(value: SqlNode, level: Level, own: Level): boolean {
  const itself = findColumn(value, own);
  return itself?.key?.isOwn === true && findColumn(value, level) === itself;
}

/** What the sharding key is set to. */
function readKey(
  ctx: ShardContext,
  relation: CatalogRelation,
  value: SqlNode,
  movable: KeyInfo | null,
): void {
  const key = `the sharding key ${relation.name}.${relation.columns[relation.keyColumn]?.name}`;
  const remedy = 'delete the row and insert it anew';
  const source = movable === null ? null : storedSource(ctx, value, movable);
  // A value that is only known with its row must be stored as it is seen then.
  const isSeen = source !== null || (movable?.typmod === -1 && !('SetToDefault' in value));
  if (movable !== null && isSeen) ctx.move = { relation, info: movable, source };
  else ctx.refuse(`${key} is set: the row may belong elsewhere`, remedy);
}

function storedByTargets(relation: CatalogRelation, targets: readonly SqlNode[]): (column: string) => Stored {
  return (name) => {
    const setting = targets.filter((each) => textOf(nodeOf(each, 'ResTarget'), 'name') === name);
    const column = relation.columns.find((each) => each.name === name);
    if (setting.length === 0) return 'kept';
    const value = nodeOf(nodeOf(setting[0], 'ResTarget'), 'val');
    // A default is worked out once per row as well.
    return column === undefined || value === undefined ? 'value' : storedBy(column, value);
  };
}

/** 'now' in a column of a time is the time, written as a constant. */
export function readStored(ctx: ShardContext, value: SqlNode, column: CatalogColumn | null): void {
  if (!isTimeType(column?.type ?? '')) return;
  const constant = nodeOf(nodeOf(value, 'A_Const'), 'sval');
  if (constant === undefined) ctx.noteTimeParameter(value);
  else readTimeText(ctx, constant, false);
}

/** What a column gets that is not given. */
export function readDefault(ctx: ShardContext, relation: CatalogRelation, column: CatalogColumn): void {
  const { defaultText, generated, name } = column;
  if (generated === 's' || generated === 'v') return;
  const isSharded = relation.placement === 'sharded';
  const label = `${relation.name}.${name}`;
  const isSequence = generated !== '' || (defaultText ?? '').includes('nextval(');
  if (isSequence) {
    ctx.volatile ??= `the default of ${label}`;
    if (isSharded && ctx.terms.hasShardSequences !== true) {
      ctx.refuse(
        `the default of ${label} is a sequence, which each shard has for itself`,
        `give ${label} a value`,
      );
    }
    return;
  }
  // The domain may have one.
  if (defaultText === null && column.isDomain) ctx.volatile ??= `the default of ${label}`;
  if (defaultText === null) return;
  const statements = ctx.terms.parser.parse(`SELECT ${defaultText}`);
  const [only] = statements === null || statements === 'unread' ? [] : statements;
  if (only?.kind !== 'SelectStmt') {
    ctx.refuse(`the default of ${label} is not understood`, `give ${label} a value`);
    return;
  }
  const { literals } = ctx;
  ctx.literals = null;
  const level: Level = { scope: new Scope([], null), ctes: null, sublinks: new Map() };
  for (const target of nodesOf(only.node, 'targetList')) {
    readExpression(ctx, nodeOf(target, 'ResTarget')?.val, level);
    readStored(ctx, nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {}, column);
  }
  ctx.literals = literals;
}

/** RETURNING shows what was written: conditions on it come too late to restrict that. */
export function readReturning(ctx: ShardContext, node: SqlNode, { scope, ctes }: Level): Shown {
  const clause = nodeOf(node, 'returningClause');
  const aliases = nodesOf(clause, 'options').map((each) => textOf(nodeOf(each, 'ReturningOption'), 'value'));
  const part: FromPart = {
    entries: ['old', 'new', ...aliases].map((name) => ({ ...OTHER_ROW, name })),
    columns: [],
    isOpaque: false,
    nodes: [],
    splits: [],
  };
  const level: Level = { scope: new Scope([...scope.parts, part], scope.outer), ctes, sublinks: new Map() };
  const list = nodesOf(clause, 'exprs');
  readExpression(ctx, [...list], level);
  const targets = expandTargets(list, level);
  return {
    columns: showColumns(ctx, targets ?? [], () => false),
    isOpaque: targets === null,
    splits: [],
    top: null,
  };
}

/** The row as it was, or as it became: nothing is said of its key. */
const OTHER_ROW: Omit<Entry, 'name'> = { schema: null, columns: [], isOpaque: true, isSharded: true };
