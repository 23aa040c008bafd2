import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ShardContext } from './shard-context.js';

/** A schema (null: not said) and a relation in it ('': something else, or the schema itself). */
type Name = readonly [schema: string | null, name: string];

/** About roles, databases and servers; VACUUM and the like only without the name of a table. */
const WITHOUT_SCHEMA: ReadonlySet<string> = new Set(
  (
    'CreateRoleStmt AlterRoleStmt AlterRoleSetStmt DropRoleStmt GrantRoleStmt CreatedbStmt DropdbStmt ' +
    'AlterDatabaseStmt AlterDatabaseSetStmt AlterSystemStmt CheckPointStmt VacuumStmt CreateExtensionStmt ' +
    'CreateTableSpaceStmt DropTableSpaceStmt'
  ).split(' '),
);
/** Where definitions have the qualified name of what they make. */
const NAME_FIELDS = ['funcname', 'typeName', 'domainname', 'defnames', 'conversion_name'];
const RELATIONS: ReadonlySet<string> = new Set(
  'OBJECT_TABLE OBJECT_VIEW OBJECT_MATVIEW OBJECT_INDEX OBJECT_SEQUENCE OBJECT_FOREIGN_TABLE'.split(' '),
);

/** Some schemas are on one shard each: what a definition is about is all in one of them, or in none. */
export function readSchemas(ctx: ShardContext, kind: string, node: SqlNode): void {
  const names = namesOf(kind, node);
  if (names === null || (names.length === 0 && !WITHOUT_SCHEMA.has(kind))) {
    ctx.refuse('some schemas are on one shard, and this statement may be about one of them');
    return;
  }
  const shards = new Set<number | null>();
  for (const [schema, name] of names) {
    const shard = shardOf(ctx, schema, name);
    if (shard === undefined) {
      ctx.refuse(
        `"${name}" is named without its schema, and some schemas are on one shard`,
        'name its schema',
      );
      return;
    }
    shards.add(shard);
    if (shard !== null) ctx.ownShards.set(name === '' ? `schema ${schema}` : `${schema}.${name}`, shard);
  }
  if (shards.size > 1) ctx.refuse('the statement is about schemas of several shards');
}

/** null: it is on all. undefined: who knows. */
function shardOf(ctx: ShardContext, schema: string | null, name: string): number | null | undefined {
  const { lookup, sharding } = ctx.terms;
  const found = name === '' ? null : lookup.find(schema, name);
  if (found?.kind === 'relation') return found.relation.shard ?? null;
  if (schema === null) return undefined;
  const { schemas } = sharding;
  const rule = schemas.find((each) => each.name === schema) ?? schemas.find((each) => each.name === null);
  return rule === undefined || rule.isOnAll ? null : rule.shard;
}

/** null: it names things in a way that is not read here. */
function namesOf(kind: string, node: SqlNode): Name[] | null {
  if (kind === 'CreateSchemaStmt') return [[textOf(node, 'schemaname') || null, '']];
  const names: Name[] = [...relationsIn(node)];
  for (const field of NAME_FIELDS) {
    const path = pathOf(node, field);
    if (path.length > 0) names.push([path.at(-2) ?? null, '']);
  }
  const newSchema = textOf(node, 'newschema');
  if (newSchema !== '') names.push([newSchema, '']);
  const type = textOf(node, kind === 'GrantStmt' ? 'objtype' : 'removeType');
  if (type === 'OBJECT_SCHEMA') {
    for (const name of pathOf(node, 'objects')) names.push([name, '']);
  } else if (kind === 'DropStmt') {
    if (!RELATIONS.has(type)) return null;
    for (const object of nodesOf(node, 'objects')) {
      const path = pathOf(nodeOf(object, 'List'), 'items');
      names.push([path.at(-2) ?? null, path.at(-1) ?? '']);
    }
  }
  return names;
}

/** Walks with its own stack: a tree may be thousands of nodes deep. */
function relationsIn(node: SqlNode): Name[] {
  const names: Name[] = [];
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
