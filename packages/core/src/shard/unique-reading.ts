import { madeOperand } from '../rewrite/made-cast.js';
import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { CatalogColumn, CatalogRelation, CatalogUnique } from './shard-catalog.js';
import type { Refusal, ShardContext } from './shard-context.js';
import { isBuiltinCast } from './value-facts.js';

/**
 * Unique constraints without the sharding key. Each shard sees to its own rows only: a value that another one has would be
 * taken, where one Postgres says 23505. So whatever may store such a value is refused, unless it cannot be there already or
 * the operator says that this is seen to elsewhere.
 */

/**
 * What a statement does with a column. `fresh`: a value that no row has, by how it is made; `marked`: the same, if it is the
 * proxy that has put it there, and not a client that writes as the proxy does.
 */
export type Stored = 'kept' | 'null' | 'fresh' | 'marked' | 'value';

/** Random, or numbered by us: nobody gets the same one twice. */
const FRESH_CALLS: ReadonlySet<string> = new Set(
  ['gen_random_uuid', 'uuidv4', 'uuidv7'].flatMap((name) => [name, `pg_catalog.${name}`]),
);
const FRESH_DEFAULTS: ReadonlySet<string> = new Set(['gen_random_uuid()', 'uuidv4()', 'uuidv7()']);
const CONSTRAINTS: ReadonlySet<string> = new Set(['CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION']);

/** @param storedIn what becomes of a column, by its name */
export function readUniques(
  ctx: ShardContext,
  relation: CatalogRelation,
  storedIn: (column: string) => Stored,
): void {
  if (relation.looseUniques === undefined || isLeftToShards(ctx, relation)) return;
  const nameOf = ({ name, columns }: CatalogUnique): string => `"${name}" (${columns.join(', ')})`;
  const loose = relation.looseUniques.find((unique) => mayMeet(relation, unique, storedIn));
  if (loose !== undefined) {
    refuseLoose(ctx, relation, nameOf(loose));
    return;
  }
  const asPlain = (column: string): Stored => {
    const stored = storedIn(column);
    return stored === 'marked' ? 'value' : stored;
  };
  const marked = relation.looseUniques.find((unique) => mayMeet(relation, unique, asPlain));
  if (marked !== undefined) ctx.unlessMade ??= looseRefusal(relation, nameOf(marked));
}

/** What an INSERT stores. @param valuesOf of all its rows; null: the default; none: something that is not seen */
export function insertedInto(
  relation: CatalogRelation,
  valuesOf: (column: CatalogColumn) => readonly SqlNode[] | null,
): (column: string) => Stored {
  return (name) => {
    const column = relation.columns.find((each) => each.name === name);
    if (column === undefined) return 'value';
    const values = valuesOf(column);
    if (values === null) return storedByDefault(column);
    const [stored = 'value', ...others] = new Set(values.map((value) => storedBy(column, value)));
    return others.length === 0 ? stored : 'value';
  };
}

/** What an expression stores. */
export function storedBy(column: CatalogColumn, value: SqlNode): Stored {
  if ('SetToDefault' in value) return storedByDefault(column);
  if (isNull(column, value)) return 'null';
  if (madeOperand(value) !== null) return 'marked';
  const call = nodeOf(value, 'FuncCall');
  const names = nodesOf(call, 'funcname').map((each) => textOf(nodeOf(each, 'String'), 'sval'));
  return FRESH_CALLS.has(names.join('.')) && nodesOf(call, 'args').length === 0 ? 'fresh' : 'value';
}

/** NULL as it is written. Of types that users make, and to them, a cast is a function that may give anything. */
function isNull({ type }: CatalogColumn, value: SqlNode): boolean {
  const cast = nodeOf(value, 'TypeCast');
  if (cast === undefined) return nodeOf(value, 'A_Const')?.isnull === true;
  const isOwn = isBuiltinCast(cast) && type.startsWith('pg_catalog.');
  return isOwn && nodeOf(nodeOf(cast, 'arg'), 'A_Const')?.isnull === true;
}

function storedByDefault({ defaultText, generated, isDomain }: CatalogColumn): Stored {
  if (generated !== '' || isDomain) return 'value';
  if (defaultText === null) return 'null';
  return FRESH_DEFAULTS.has(defaultText) ? 'fresh' : 'value';
}

function mayMeet(
  relation: CatalogRelation,
  { keys, columns, hasEqualNulls }: CatalogUnique,
  storedIn: (column: string) => Stored,
): boolean {
  // A generated column is computed of others.
  const isComputed = (name: string): boolean =>
    relation.columns.some((each) => each.name === name && (each.generated === 's' || each.generated === 'v'));
  const isTouched =
    columns.length === 0 || columns.some((name) => isComputed(name) || storedIn(name) !== 'kept');
  if (!isTouched) return false;
  return !keys.some((name) => {
    const stored = storedIn(name);
    return stored === 'fresh' || stored === 'marked' || (stored === 'null' && hasEqualNulls !== true);
  });
}

/** CREATE UNIQUE INDEX and ALTER TABLE: rows that are there would not be compared with those of other shards. */
export function readNewUniques(ctx: ShardContext, kind: string, node: SqlNode): void {
  const name = nodeOf(node, 'relation');
  if (name === undefined || (kind !== 'IndexStmt' && kind !== 'AlterTableStmt')) return;
  const schema = typeof name.schemaname === 'string' ? name.schemaname : null;
  const found = ctx.terms.lookup.find(schema, textOf(name, 'relname'));
  if (found.kind !== 'relation' || found.relation.placement !== 'sharded') return;
  const { relation } = found;
  if (isLeftToShards(ctx, relation)) return;
  if (kind === 'IndexStmt') {
    if (node.unique === true && !hasKey(relation, nodesOf(node, 'indexParams'))) refuseNew(ctx, relation);
    return;
  }
  for (const each of nodesOf(node, 'cmds'))
    readAlteration(ctx, relation, nodeOf(each, 'AlterTableCmd') ?? {});
}

function readAlteration(ctx: ShardContext, relation: CatalogRelation, command: SqlNode): void {
  switch (textOf(command, 'subtype')) {
    case 'AT_AddConstraint':
      readConstraint(ctx, relation, nodeOf(nodeOf(command, 'def'), 'Constraint'));
      return;
    case 'AT_AddColumn':
      for (const each of nodesOf(nodeOf(nodeOf(command, 'def'), 'ColumnDef'), 'constraints'))
        readConstraint(ctx, relation, nodeOf(each, 'Constraint'));
      return;
    case 'AT_AlterColumnType': {
      const changed = textOf(command, 'name');
      readUniques(ctx, relation, (column) => (column === changed ? 'value' : 'kept'));
      return;
    }
    case 'AT_AttachPartition':
      readUniques(ctx, relation, () => 'value');
  }
}

function readConstraint(ctx: ShardContext, relation: CatalogRelation, constraint: SqlNode | undefined): void {
  if (!CONSTRAINTS.has(textOf(constraint, 'contype'))) return;
  const columns = nodesOf(constraint, 'keys').map((each) => textOf(nodeOf(each, 'String'), 'sval'));
  const isByKey = columns.includes(keyOf(relation)) || hasKey(relation, equalElements(constraint));
  // Of an index that is there already: it was judged when it was made.
  if (!isByKey && textOf(constraint, 'indexname') === '') refuseNew(ctx, relation);
}

/** What EXCLUDE compares by =. */
function equalElements(constraint: SqlNode | undefined): SqlNode[] {
  return nodesOf(constraint, 'exclusions').flatMap((each) => {
    const [element, operator] = nodesOf(nodeOf(each, 'List'), 'items');
    const names = nodesOf(nodeOf(operator, 'List'), 'items').map((name) =>
      textOf(nodeOf(name, 'String'), 'sval'),
    );
    return element !== undefined && names.join('.') === '=' ? [element] : [];
  });
}

function hasKey(relation: CatalogRelation, elements: readonly SqlNode[]): boolean {
  return elements.some((each) => {
    const element = nodeOf(each, 'IndexElem');
    const isPlain = ['collation', 'opclass'].every((field) => nodesOf(element, field).length === 0);
    return isPlain && textOf(element, 'name') === keyOf(relation);
  });
}

function isLeftToShards(ctx: ShardContext, { rule }: CatalogRelation): boolean {
  return ctx.terms.sharding.tables[rule]?.areUniquesPerShard === true;
}

function keyOf({ columns, keyColumn }: CatalogRelation): string {
  return columns[keyColumn]?.name ?? '';
}

function refuseNew(ctx: ShardContext, relation: CatalogRelation): void {
  refuseLoose(ctx, relation, 'the new one');
}

function refuseLoose(ctx: ShardContext, relation: CatalogRelation, what: string): void {
  const { reason, remedy } = looseRefusal(relation, what);
  ctx.refuse(reason, remedy);
}

function looseRefusal(relation: CatalogRelation, what: string): Refusal {
  const key = keyOf(relation);
  return {
    reason: `a unique constraint of "${relation.name}", ${what}, does not have the sharding key "${key}" in it: another shard may have the same value`,
    remedy: `add "${key}" to it, or set unique_per_shard in [[sharded_tables]] where the application makes sure of it`,
  };
}
