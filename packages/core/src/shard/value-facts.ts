/** What can be said of the values of an expression before the shards have told its type. */
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { isAggregate } from './call-reading.js';
import { findColumn } from './expression-reading.js';
import type { Level } from './query-reading.js';
import type { CatalogColumn } from './shard-catalog.js';

const types = (names: string): ReadonlySet<string> =>
  new Set(names.split(' ').map((name) => `pg_catalog.${name}`));

/** Types whose values a worker can put in order. */
const SORTABLE = types(
  'int2 int4 int8 numeric float4 float8 date time timestamp timestamptz uuid bytea bool text varchar bpchar',
);
/** Types whose values are equal only if their texts are. */
const TEXT_EQUAL = types('int2 int4 int8 date time timestamp timestamptz uuid bytea bool text varchar');
const BUILTIN_CASTS = types(
  'int2 int4 int8 numeric float4 float8 bool text varchar bpchar name date time timetz timestamp timestamptz interval ' +
    'uuid bytea json jsonb oid money inet cidr',
);
const BYTE_COLLATIONS: ReadonlySet<string> = new Set(['C', 'POSIX', 'ucs_basic']);

export function isSortable(type: CatalogColumn | null): boolean {
  if (type === null || type.isDomain) return false;
  return type.isEnum === true || (type.isByteOrdered && SORTABLE.has(type.type));
}

export function isTextEqual(type: CatalogColumn | null): boolean {
  if (isOfOneScale(type)) return true;
  if (type === null || type.isDomain || !type.isDeterministic) return false;
  if (type.isEnum === true) return true;
  // char(3): all of its values are as long.
  return TEXT_EQUAL.has(type.type) || (type.type === 'pg_catalog.bpchar' && type.typmod >= 0);
}

/** numeric(10, 2): all of its values have as many digits behind the point. */
export function isOfOneScale(type: CatalogColumn | null): boolean {
  return type !== null && !type.isDomain && type.type === 'pg_catalog.numeric' && type.typmod >= 0;
}

/** Calls `see` for every node below, itself included, by its type; false: what is in it is not looked at. */
export function walkNodes(root: SqlValue, see: (type: string, node: SqlNode) => boolean): void {
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    else if (isSqlNode(value)) {
      for (const key in value) {
        const inner = value[key];
        const isNode = isSqlNode(inner) && key.charCodeAt(0) >= 0x41 && key.charCodeAt(0) <= 0x5a;
        if (!isNode || see(key, inner)) stack.push(inner);
      }
    }
  }
}

export function hasAggregate(node: SqlValue): boolean {
  let has = false;
  walkNodes(node, (type, inner) => {
    const isOne = type === 'FuncCall' && isAggregate(inner);
    if (isOne || type === 'GroupingFunc' || type === 'JsonObjectAgg' || type === 'JsonArrayAgg') has = true;
    return type !== 'SubLink';
  });
  return has;
}

/** @param cast a TypeCast's fields */
export function isBuiltinCast(cast: SqlNode): boolean {
  const path = pathOf(nodeOf(cast, 'typeName'), 'names');
  return path.length <= 2 && BUILTIN_CASTS.has(`pg_catalog.${path.at(-1)}`);
}

/** All it is made of is Postgres's own, so that its type is, and functions of that type are those of pg_catalog. */
export function isBuiltin(node: SqlValue, level: Level): boolean {
  let is = true;
  walkNodes(node, (type, inner) => {
    if (type === 'ColumnRef') {
      const column = findColumn({ ColumnRef: inner }, level);
      const isOwn = column?.type?.type.startsWith('pg_catalog.') ?? column?.made?.isBuiltin;
      if (isOwn !== true) is = false;
    } else if (type === 'TypeCast') {
      if (!isBuiltinCast(inner)) is = false;
    } else if (type === 'SubLink' || type === 'RowExpr') is = false;
    return true;
  });
  return is;
}

/** Of a type whose labels all shards have alike. */
export function isEnumColumn(node: SqlNode | undefined, level: Level): boolean {
  const type = findColumn(node, level)?.type;
  return type?.isEnum === true && !type.isDomain;
}

/** If it is text, it is equal to another of its values only if the bytes are. */
export function isDeterministic(node: SqlValue, level: Level): boolean {
  let is = true;
  walkNodes(node, (type, inner) => {
    if (type === 'ColumnRef') {
      const column = findColumn({ ColumnRef: inner }, level);
      if ((column?.type?.isDeterministic ?? column?.made?.isDeterministic) !== true) is = false;
    }
    if (type === 'CollateClause' && !isByteCollation(inner)) is = false;
    if (type === 'SubLink') is = false;
    return true;
  });
  return is && isBuiltin(node, level);
}

function isByteCollation(clause: SqlNode): boolean {
  const path = pathOf(clause, 'collname');
  return (path.length === 1 || path[0] === 'pg_catalog') && BYTE_COLLATIONS.has(path.at(-1) ?? '');
}

/** Parts of times that are whole numbers, or have as many digits behind the point wherever they are asked for. */
const TIME_PARTS: ReadonlySet<string> = new Set(
  (
    'century day decade dow doy epoch hour isodow isoyear microseconds millennium milliseconds minute month quarter ' +
    'second timezone timezone_hour timezone_minute week year'
  ).split(' '),
);
/** Rounded to a number of digits that is said, they are numeric and have so many. */
const ROUNDED: ReadonlySet<string> = new Set(['round', 'trunc']);

/** If it is a number, its values are equal only if they are written alike. */
export function isOfOneScaleAs(node: SqlNode | undefined, level: Level): boolean {
  if (node === undefined) return false;
  const column = findColumn(node, level);
  if (column !== null)
    return column.type === null ? column.made?.isOfOneScale === true : isOfOneScale(column.type);
  const call = nodeOf(node, 'FuncCall');
  if (call === undefined || !isBuiltin(node, level)) return false;
  const path = pathOf(call, 'funcname');
  if (path.length > 1 && path[0] !== 'pg_catalog') return false;
  const name = path.at(-1) ?? '';
  const args = nodesOf(call, 'args');
  if (args.length !== 2) return false;
  const part = nodeOf(nodeOf(args[0], 'A_Const'), 'sval');
  // julian is the result of a division.
  if (name === 'extract' || name === 'date_part') return TIME_PARTS.has(textOf(part, 'sval').toLowerCase());
  return ROUNDED.has(name) && nodeOf(nodeOf(args[1], 'A_Const'), 'ival') !== undefined;
}

/** A column's order, or that of the collation that is said, is one that a worker has. */
export function isOrderKnown(node: SqlNode | undefined, level: Level): boolean {
  const clause = nodeOf(node, 'CollateClause');
  if (clause !== undefined) {
    const arg = nodeOf(clause, 'arg') ?? {};
    const type = findColumn(arg, level)?.type ?? null;
    // Of Postgres's own types with a collation all are put in order by its bytes, or not at all here.
    if (type === null) return isByteCollation(clause) && isBuiltin(arg, level);
    return isByteCollation(clause) && !type.isDomain && SORTABLE.has(type.type);
  }
  return isSortable(findColumn(node, level)?.type ?? null);
}

/** Or min or max of such a column. In text two of them may look the same, as settings have it; in binary they never do. */
export function isFloat(node: SqlNode | undefined, level: Level): boolean {
  const call = nodeOf(node, 'FuncCall');
  const [value] = call === undefined ? [node] : nodesOf(call, 'args');
  const type = columnTypeName(findColumn(value, level)?.type ?? null);
  return type === 'float4' || type === 'float8';
}

/** Types without a schema of which a constant is given, where it stands beside such a value; null: not known. */
export function columnTypeName(type: CatalogColumn | null): string | null {
  return type === null || type.isDomain || !type.type.startsWith('pg_catalog.')
    ? null
    : type.type.slice('pg_catalog.'.length);
}

/** The same tree, wherever it stands in the text. */
export function isSameNode(one: SqlValue, other: SqlValue): boolean {
  if (one === other) return true;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item: SqlValue, i) => isSameNode(item, other[i]));
  }
  if (!isSqlNode(one) || !isSqlNode(other)) return false;
  const fields = fieldsOf(one);
  return fields.length === fieldsOf(other).length && fields.every((key) => isSameNode(one[key], other[key]));
}

/** Of a tree's node, those that are there and do not tell where it stands. */
export function fieldsOf(node: SqlNode): string[] {
  return Object.keys(node).filter((key) => !isPlace(key) && node[key] !== undefined);
}

/** JSON without places, the same for the same tree. */
export function canonical(value: SqlValue): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (isPlace(key)) return undefined;
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

function isPlace(key: string): boolean {
  return key === 'location' || key.endsWith('_location') || key.endsWith('_start') || key.endsWith('_end');
}

/** How often each parameter stands in a tree. */
export function parametersOf(root: SqlValue): Map<number, number> {
  const counts = new Map<number, number>();
  walkNodes(root, (type, { number }) => {
    if (type === 'ParamRef' && typeof number === 'number') counts.set(number, (counts.get(number) ?? 0) + 1);
    return true;
  });
  return counts;
}

export const isNamedTarget = (item: SqlNode): boolean => textOf(nodeOf(item, 'ResTarget'), 'name') !== '';

/** Quoted: a name as it is, whatever it is. */
export function quoted(path: readonly string[]): string {
  return path.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** A plain column's name, or null. */
export function columnText(node: SqlNode): string | null {
  const reference = nodeOf(node, 'ColumnRef');
  const path = pathOf(reference, 'fields');
  return path.length > 0 && path.length === nodesOf(reference, 'fields').length ? quoted(path) : null;
}
