import type {
  CatalogColumn,
  CatalogForeignKey,
  CatalogRelation,
  CatalogUnique,
  RelationKind,
} from '@pgdog-cluster/core';
import type { CatalogAnswer } from './catalog-sql.js';

/** `collation` is what this shard calls it. */
export interface RawColumn extends CatalogColumn {
  /** What the order of its collation depends on beside the name. Absent: that is not known, or it compares bytes. */
  readonly sorting?: string;
}

/** A relation as one shard has it. */
export interface RawRelation
  extends Omit<CatalogRelation, 'columns' | 'placement' | 'keyColumn' | 'rule' | 'shard' | 'looseUniques'> {
  readonly columns: readonly RawColumn[];
}

/** What has a number that each server gives it by itself. */
export interface RawNumbered {
  readonly schema: string;
  readonly name: string;
  readonly oid: number;
}

export interface RawType extends RawNumbered {
  /** Of an enum, in their order. Absent: it is none. */
  readonly labels?: readonly string[];
}

export interface RawFunctions {
  schema: string;
  name: string;
  /** Each of them. */
  isImmutable: boolean;
  /** Of what they are. */
  digest: string;
}

/** What one shard says. */
export interface RawCatalog {
  /** By schema, then name. */
  relations: RawRelation[];
  schemas: string[];
  types: RawType[];
  /** `relations`, by their oids. */
  numbered: RawNumbered[];
  /** All of one name together. */
  functions: RawFunctions[];
  /** See ShardCatalogData. */
  searchPaths: Record<string, string>;
  /** Postgres's name of it: UTF8. */
  encoding: string;
  /** Of the database's own collation: 'bytes', or what its order depends on; null: that is not known. */
  sorting: string | null;
  /** max_prepared_transactions. */
  preparedMax: number;
}

type Cell = string | number | boolean | null;
export type AnswerRows = Record<CatalogAnswer, readonly (readonly Cell[])[]>;

const KINDS: Record<string, RelationKind> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materializedView',
  f: 'foreignTable',
  S: 'sequence',
};

type Building = { -readonly [K in keyof RawRelation]: RawRelation[K] } & {
  columns: RawColumn[];
  parents: (readonly [string, string])[];
  uniques: CatalogUnique[];
  foreignKeys: CatalogForeignKey[];
};

/** Answers to CATALOG_SQL. */
export function toRawCatalog(rows: AnswerRows): RawCatalog {
  const byOid = new Map<Cell, Building>();
  for (const row of rows.relations) byOid.set(row[0], toRelation(row));
  for (const row of rows.columns) byOid.get(row[0])?.columns.push(toColumn(row));
  for (const [oid, schema, name] of rows.parents)
    byOid.get(oid)?.parents.push([String(schema), String(name)]);
  for (const row of rows.uniques) byOid.get(row[0])?.uniques.push(toUnique(row));
  for (const row of rows.foreignKeys) byOid.get(row[0])?.foreignKeys.push(toForeignKey(row));
  const relations = [...byOid.values()];
  // Their order is that of their making, which may differ from shard to shard.
  for (const { uniques, foreignKeys } of relations) {
    sortByText(uniques, uniqueText);
    sortByText(foreignKeys, (foreignKey) => JSON.stringify(foreignKey));
  }
  const [[preparedMax, encoding, , sorting]] = rows.facts;
  return {
    relations,
    schemas: rows.schemas.map(([name]) => String(name)),
    types: rows.types.map(toType),
    numbered: rows.relations.map(toNumbered),
    functions: rows.functions.map(([schema, name, isImmutable, digest]) => ({
      schema: String(schema),
      name: String(name),
      isImmutable: isImmutable === true,
      digest: String(digest),
    })),
    searchPaths: toSearchPaths(rows),
    encoding: String(encoding),
    sorting: sorting === null ? null : String(sorting),
    preparedMax: Number(preparedMax),
  };
}

function toNumbered([oid, schema, name]: readonly Cell[]): RawNumbered {
  return { schema: String(schema), name: String(name), oid: Number(oid) };
}

function toType(row: readonly Cell[]): RawType {
  const labels = row[3] ?? null;
  return { ...toNumbered(row), ...(labels === null ? {} : { labels: toNames(labels) }) };
}

function toRelation([
  ,
  schema,
  name,
  kind,
  hasRowSecurity,
  hasTriggers,
  hasRules,
  viewText,
]: readonly Cell[]): Building {
  return {
    schema: String(schema),
    name: String(name),
    kind: KINDS[String(kind)],
    columns: [],
    viewText: viewText === null ? null : String(viewText),
    parents: [],
    uniques: [],
    foreignKeys: [],
    hasTriggers: hasTriggers === true,
    hasRules: hasRules === true,
    hasRowSecurity: hasRowSecurity === true,
  };
}

function toColumn(row: readonly Cell[]): RawColumn {
  const [, name, schema, type, typmod, isDomain, isNotNull, isByteOrdered, isDeterministic, text, generated] =
    row;
  const [collation, sorting] = row.slice(11);
  const isRanked =
    isByteOrdered !== true && isDeterministic === true && collation !== null && sorting !== null;
  return {
    name: String(name),
    type: `${schema}.${type}`,
    typmod: Number(typmod),
    isDomain: isDomain === true,
    isNotNull: isNotNull === true,
    isByteOrdered: isByteOrdered === true,
    isDeterministic: isDeterministic === true,
    defaultText: text === null ? null : String(text),
    generated: String(generated) as CatalogColumn['generated'],
    ...(isRanked ? { collation: String(collation), sorting: String(sorting) } : {}),
  };
}

function toUnique([, name, isPrimary, hasEqualNulls, keys, columns]: readonly Cell[]): CatalogUnique {
  return {
    name: String(name),
    keys: toNames(keys),
    columns: toNames(columns),
    ...(hasEqualNulls === true ? { hasEqualNulls } : {}),
    ...(isPrimary === true ? { isPrimary } : {}),
  };
}

/** What it keeps unique: names of indexes may differ from shard to shard. */
export function uniqueText({ name: _, ...what }: CatalogUnique): string {
  return JSON.stringify(what);
}

function toForeignKey([
  ,
  columns,
  schema,
  table,
  targets,
  onDelete,
  onUpdate,
  setOnDelete,
]: readonly Cell[]): CatalogForeignKey {
  return {
    columns: toNames(columns),
    schema: String(schema),
    table: String(table),
    targetColumns: toNames(targets),
    onDelete: String(onDelete),
    onUpdate: String(onUpdate),
    ...(setOnDelete === null || setOnDelete === undefined ? {} : { setOnDelete: toNames(setOnDelete) }),
  };
}

const toNames = (json: Cell): string[] => JSON.parse(String(json)) as string[];

function sortByText<T>(list: T[], write: (item: T) => string): void {
  const texts = new Map(list.map((item) => [item, write(item)]));
  const textOf = (item: T): string => texts.get(item) ?? '';
  list.sort((a, b) => (textOf(a) < textOf(b) ? -1 : textOf(a) > textOf(b) ? 1 : 0));
}

const DEFAULT_PATH = '"$user", public';
/** Where the server's own value comes from, if neither role nor database has one. */
const SERVER_SOURCES: readonly Cell[] = ['configuration file', 'environment variable', 'command line'];

/** As Postgres ranks them: of the role in this database, of the role, of the database, of all, of the server. */
function toSearchPaths({ roleSettings, searchPath }: AnswerRows): Record<string, string> {
  const paths: Record<string, string> = {};
  for (const isHere of [false, true]) {
    for (const [role, isOfDatabase, path] of roleSettings) {
      if (isOfDatabase === isHere) paths[String(role)] = String(path);
    }
  }
  const [value, source] = searchPath[0] ?? [];
  if (SERVER_SOURCES.includes(source) && value !== DEFAULT_PATH) paths[''] ??= String(value);
  return paths;
}
