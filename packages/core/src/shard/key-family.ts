import { nodesOf, pathOf, type SqlNode } from '../sql/sql-node.js';
import type { CatalogColumn, CatalogRelation } from './shard-catalog.js';
import type { ShardingSnapshot, ShardRule } from './sharding-snapshot.js';

/** Types whose values are equal, and on one shard, whichever of the family they are of. */
export type KeyFamily =
  | 'integer'
  | 'text'
  | 'uuid'
  | 'bytea'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'numeric';

const CATALOG = 'pg_catalog.';
const FAMILIES: ReadonlyMap<string, KeyFamily> = new Map([
  ['int2', 'integer'],
  ['int4', 'integer'],
  ['int8', 'integer'],
  ['text', 'text'],
  ['varchar', 'text'],
  ['uuid', 'uuid'],
  ['bytea', 'bytea'],
  ['date', 'date'],
  ['timestamp', 'timestamp'],
  ['timestamptz', 'timestamptz'],
  ['numeric', 'numeric'],
]);

/** @param type `schema.name`. null: not a type of keys */
export function familyOf(type: string): KeyFamily | null {
  return type.startsWith(CATALOG) ? (FAMILIES.get(type.slice(CATALOG.length)) ?? null) : null;
}

/** Of a column that a value may be compared with or stored in; null: nothing is known of the values that it has. */
export function columnFamily(column: CatalogColumn | null): KeyFamily | null {
  if (column === null || column.isDomain || !column.isDeterministic) return null;
  return familyOf(column.type);
}

export interface CastType {
  /** `schema.name`, of the element where it is an array. */
  readonly type: string;
  readonly isArray: boolean;
}

/** The type a value is cast to; null for what changes values (a length, a precision) or is none of pg_catalog. */
export function castType(typeName: SqlNode | undefined): CastType | null {
  const path = pathOf(typeName, 'names');
  const bounds = nodesOf(typeName, 'arrayBounds').length;
  const isPlain =
    nodesOf(typeName, 'typmods').length === 0 &&
    typeName?.setof !== true &&
    typeName?.pct_type !== true &&
    bounds <= 1;
  const isKnown = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  if (!isPlain || !isKnown) return null;
  return { type: CATALOG + path[path.length - 1], isArray: bounds === 1 };
}

/** What is known of a key. */
export interface KeyInfo {
  readonly rule: number;
  /** `schema.name` */
  readonly keyType: string;
  readonly family: KeyFamily;
  /** Of varchar(n): n + 4; -1 else. */
  readonly typmod: number;
  /** For messages: `orders.customer_id`. */
  readonly label: string;
}

/** A key, or in words why a table cannot be used by its key. */
export function keyOfRelation(relation: CatalogRelation, sharding: ShardingSnapshot): KeyInfo | string {
  const column = relation.columns[relation.keyColumn];
  const rule = sharding.tables[relation.rule];
  if (column === undefined || rule === undefined) return `the key of "${relation.name}" is not known`;
  const label = `${relation.name}.${column.name}`;
  const family = familyOf(column.type);
  if (column.generated === 's' || column.generated === 'v')
    return `the sharding key ${label} is computed from other columns`;
  if (column.isDomain) return `the sharding key ${label} is of a domain`;
  if (family === null) return `the sharding key ${label} is of type ${column.type}`;
  if (column.typmod >= 0 && column.type !== 'pg_catalog.varchar')
    return `the type of the sharding key ${label} has a precision or length`;
  if (!column.isDeterministic) return `the sharding key ${label} has a collation that is not deterministic`;
  if (familyOf(CATALOG + rule.keyType) !== family)
    return `the sharding key ${label} is of type ${column.type}, and configured as ${rule.keyType}`;
  return { rule: relation.rule, keyType: column.type, family, typmod: column.typmod, label };
}

/** Whether equal keys are on the same shard. */
export function isSameRule(one: KeyInfo, other: KeyInfo, sharding: ShardingSnapshot): boolean {
  if (one.family !== other.family) return false;
  if (one.rule === other.rule) return true;
  return placementText(sharding.tables[one.rule]) === placementText(sharding.tables[other.rule]);
}

function placementText(rule: ShardRule): string {
  return JSON.stringify([rule.function, rule.mapping, rule.lookupQuery, rule.lookupResult, rule.lookupHash]);
}

const WIDTHS: readonly string[] = ['pg_catalog.int2', 'pg_catalog.int4', 'pg_catalog.int8'];

/** The type that can hold the values of both. */
export function widerType(one: string, other: string): string {
  return WIDTHS.indexOf(other) > WIDTHS.indexOf(one) ? other : one;
}
