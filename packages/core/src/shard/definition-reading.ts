import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { statementKind } from '../sql/statement-kinds.js';
import { readExpression } from './expression-reading.js';
import type { Level } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import { Scope } from './shard-scope.js';

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
  if (kind !== 'AlterTableStmt') return;
  for (const each of nodesOf(node, 'cmds')) readAlteration(ctx, nodeOf(each, 'AlterTableCmd') ?? {});
}

/** Some schemas are on one shard each: what a definition is about is all in one of them, or in none. */
function readSchemas(ctx: ShardContext, kind: string, node: SqlNode): void {
  const { schemas } = ctx.terms.sharding;
  const places = new Map<string, number | null>();
  for (const [schema, name] of namesOf(ctx, kind, node)) {
    const found = name === '' ? null : ctx.terms.lookup.find(schema, name);
    const rule = schemas.find((each) => each.name === schema) ?? schemas.find((each) => each.name === null);
    const label = `${schema ?? ''}.${name}`;
    if (found?.kind === 'relation') places.set(label, found.relation.shard ?? null);
    else if (schema === null)
      ctx.refuse(`"${name}" is named without its schema, and some schemas are on one shard`);
    else places.set(label, rule === undefined || rule.isOnAll ? null : rule.shard);
  }
  if (places.size === 0)
    ctx.refuse('some schemas are on one shard, and this statement may be about one of them');
  const shards = new Set(places.values());
  if (shards.size > 1) ctx.refuse('the statement is about schemas of several shards');
  else for (const [label, shard] of places) if (shard !== null) ctx.ownShards.set(label, shard);
}

/** Schema (null: not said) and relation ('': the schema itself) of all that is named. */
function namesOf(ctx: ShardContext, kind: string, node: SqlNode): [schema: string | null, name: string][] {
  if (kind === 'CreateSchemaStmt') return [[textOf(node, 'schemaname') || null, '']];
  const names: [string | null, string][] = [];
  if (kind === 'DropStmt') {
    const type = textOf(node, 'removeType');
    const isRelation = [
      'OBJECT_TABLE',
      'OBJECT_VIEW',
      'OBJECT_MATVIEW',
      'OBJECT_INDEX',
      'OBJECT_SEQUENCE',
    ].includes(type);
    if (!isRelation) ctx.refuse('some schemas are on one shard, and what is dropped may be in one of them');
    for (const object of nodesOf(node, 'objects')) {
      const path = pathOf(nodeOf(object, 'List'), 'items');
      names.push([path.at(-2) ?? null, path.at(-1) ?? '']);
    }
  }
  const stack: SqlValue[] = [node];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    else if (isSqlNode(value)) {
      if (typeof value.relname === 'string') names.push([textOf(value, 'schemaname') || null, value.relname]);
      for (const key in value) stack.push(value[key]);
    }
  }
  return names;
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
