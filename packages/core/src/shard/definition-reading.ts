import { isSqlNode, nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { statementKind } from '../sql/statement-kinds.js';
import { readSchemas } from './definition-schemas.js';
import { readExpression } from './expression-reading.js';
import type { Level } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import { Scope } from './shard-scope.js';
import { readNewUniques } from './unique-reading.js';

/** Run as they are on every shard, beside those that define or write something. */
const EVERYWHERE: ReadonlySet<string> = new Set(
  'LockStmt CheckPointStmt RenameStmt CreateExtensionStmt AlterExtensionStmt AlterExtensionContentsStmt'.split(
    ' ',
  ),
);
/** Of ALTER TABLE: what gives rows that are there values of an expression. */
const FILLING: ReadonlySet<string> = new Set(['AT_AddColumn', 'AT_AlterColumnType', 'AT_AddIdentity']);
const SERIALS: ReadonlySet<string> = new Set(
  'serial serial2 serial4 serial8 smallserial bigserial'.split(' '),
);

/** DDL and what else is done on every shard alike. Refuses what would not be alike. */
export function readDefinition(ctx: ShardContext, kind: string, node: SqlNode): void {
  if (statementKind(kind) === 'unknown' && !EVERYWHERE.has(kind)) {
    ctx.refuse(`what this statement does is not known (${kind})`);
    return;
  }
  if (ctx.terms.sharding.schemas.some(({ isOnAll }) => !isOnAll)) readSchemas(ctx, kind, node);
  for (const relation of namedRelations(node)) {
    if (relation.relpersistence === 't' || textOf(relation, 'schemaname').startsWith('pg_temp')) {
      ctx.refuse('temporary objects are of one shard only');
    }
  }
  if (kind === 'CreateSchemaStmt' && nodesOf(node, 'schemaElts').length > 0) {
    ctx.refuse('CREATE SCHEMA with other definitions in it', 'create them by statements of their own');
  }
  if (kind === 'RenameStmt' || kind === 'AlterObjectSchemaStmt') readRename(ctx, node);
  readNewUniques(ctx, kind, node);
  if (kind !== 'AlterTableStmt') return;
  for (const each of nodesOf(node, 'cmds')) readAlteration(ctx, nodeOf(each, 'AlterTableCmd') ?? {});
}

/** Under a name without its rule, the rows of a sharded table would be taken for a copy of all of them. */
function readRename(ctx: ShardContext, node: SqlNode): void {
  const relation = nodeOf(node, 'relation');
  const isOfTable =
    textOf(node, 'renameType') === 'OBJECT_TABLE' || textOf(node, 'objectType') === 'OBJECT_TABLE';
  if (!isOfTable || relation === undefined) return;
  const found = ctx.find(relation);
  const isSharded = found.kind === 'relation' && found.relation.keyColumn >= 0;
  if (isSharded)
    ctx.refuse(
      `"${textOf(relation, 'relname')}" is sharded by its name`,
      'change the name on each shard, and in [[sharded_tables]]',
    );
}

function namedRelations(node: SqlNode): SqlNode[] {
  return ['relation', 'view', 'sequence']
    .map((key) => nodeOf(node, key))
    .filter((each) => each !== undefined);
}

/** Rows that are there must get the same value on every shard, or at least the same time. */
function readAlteration(ctx: ShardContext, command: SqlNode): void {
  if (!FILLING.has(textOf(command, 'subtype'))) return;
  const column = nodeOf(nodeOf(command, 'def'), 'ColumnDef');
  const names = nodesOf(nodeOf(column, 'typeName'), 'names');
  const type = textOf(nodeOf(names[names.length - 1], 'String'), 'sval');
  const isNumbered =
    SERIALS.has(type) || textOf(command, 'subtype') === 'AT_AddIdentity' || hasIdentity(column);
  if (isNumbered) ctx.volatile ??= 'a sequence';
  const expressions: SqlValue[] = [column?.raw_default];
  for (const each of nodesOf(column, 'constraints')) {
    const constraint = nodeOf(each, 'Constraint');
    if (textOf(constraint, 'contype') === 'CONSTR_DEFAULT') expressions.push(constraint?.raw_expr);
  }
  const level: Level = { scope: new Scope([], null), ctes: null, sublinks: new Map() };
  for (const expression of expressions) if (isSqlNode(expression)) readExpression(ctx, expression, level);
  const different = ctx.volatile ?? ctx.first;
  if (different !== null) {
    ctx.refuse(
      `${different} would give rows that are there other values on each shard`,
      'add the column without it, then fill it',
    );
  }
}

function hasIdentity(column: SqlNode | undefined): boolean {
  return nodesOf(column, 'constraints').some((each) => {
    return textOf(nodeOf(each, 'Constraint'), 'contype') === 'CONSTR_IDENTITY';
  });
}
