/** What the shards have in common, and in words what they do not. */
import {
  type CatalogColumn,
  type CatalogEnum,
  type CatalogOids,
  DATABASE_COLLATION,
  type OidsByShard,
  placementDigest,
  type RelationKind,
  type SchemaRule,
  type ShardCatalogData,
  type ShardingSnapshot,
  type TextOrder,
} from '@pgdog-cluster/core';
import { PlaceRelations } from './place-relations.js';
import {
  type RawCatalog,
  type RawColumn,
  type RawNumbered,
  type RawRelation,
  type RawType,
  uniqueText,
} from './raw-catalog.js';

export type CatalogDifference = ShardCatalogData['differences'][number];
export type CatalogContent = Omit<ShardCatalogData, 'version'>;

/** Of our own tables, which every shard has whatever the rules say of other schemas. */
const OWN_SCHEMA = 'pgdog';

/** What `setup` makes: alike on all shards but for their rows, so no shard answers for another. */
const OWN_TABLES: readonly string[] = ['transactions', 'shard'];
/** Refused like any difference, and nothing that anybody has to mend. */
export const OWN_ROWS = 'each shard has rows of its own: name the shard by SET pgdog.shard';

/** What commits over several shards lack, in words; null: nothing. */
export function missingSetup(differences: readonly CatalogDifference[]): string | null {
  const isThere = (table: string): boolean =>
    differences.some(
      ({ schema, name, text }) => schema === OWN_SCHEMA && name === table && text === OWN_ROWS,
    );
  if (OWN_TABLES.every(isThere)) return null;
  return 'schema pgdog is not complete on every shard, and commits over several fail: run pgdog-cluster setup';
}

/**
 * Sharded tables with unique constraints that each shard would see to by itself, in words: an INSERT is refused there, unless
 * what they compare is made and no other row can have it.
 */
export function looseUniqueTexts(
  { relations }: Pick<ShardCatalogData, 'relations'>,
  { tables }: ShardingSnapshot,
): string[] {
  return relations.flatMap(({ schema, name, looseUniques = [], rule }) => {
    if (looseUniques.length === 0 || tables[rule]?.areUniquesPerShard === true) return [];
    const names = looseUniques.map((unique) => `"${unique.name}"`).join(', ');
    return [
      `${schema}.${name} has unique constraints without the sharding key (${names}): writes that they would have to check are refused`,
    ];
  });
}

const KIND_WORDS: Record<RelationKind, string> = {
  table: 'a table',
  partitioned: 'a partitioned table',
  view: 'a view',
  materializedView: 'a materialized view',
  foreignTable: 'a foreign table',
  sequence: 'a sequence',
};

/** The shard that has the schema alone; null: all have it. */
export function shardOfSchema(name: string, schemas: readonly SchemaRule[]): number | null {
  if (name === OWN_SCHEMA) return null;
  const rule = schemas.find((one) => one.name === name) ?? schemas.find((one) => one.name === null);
  return rule === undefined || rule.isOnAll ? null : rule.shard;
}

/** @param shards one per shard, in their order */
export function compareCatalogs(
  database: string,
  shards: readonly RawCatalog[],
  sharding: ShardingSnapshot,
): CatalogContent & { unmatchedRules: string[] } {
  const enums = enumsOf(shards);
  const comparison = new Comparison(shards, sharding.schemas, new Set(enums.map(({ name }) => name)));
  const schemas = comparison.schemas();
  const agreed = comparison.relations();
  const searchPaths = comparison.searchPaths();
  const encodings = shards.map(({ encoding }) => encoding);
  const places = new PlaceRelations(agreed, sharding, encodings, (schema) =>
    shardOfSchema(schema, sharding.schemas),
  );
  const { relations, differences, unmatchedRules } = places.placed(comparison.differences);
  const functions = comparison.functions();
  const placedBy = placementDigest(sharding);
  const textOrder = comparison.textOrder();
  const oids = oidsOf(shards);
  return {
    canPrepare: shards.every(({ preparedMax }) => preparedMax > 0),
    ...(oids === null ? {} : { oids }),
    ...(enums.length === 0 ? {} : { enums }),
    database,
    placedBy,
    relations,
    functions,
    searchPaths,
    schemas,
    textOrder,
    differences,
    unmatchedRules,
  };
}

class Comparison {
  readonly differences: CatalogDifference[] = [];
  readonly #shards: readonly RawCatalog[];
  readonly #rules: readonly SchemaRule[];
  /** Those that the shards have alike. */
  readonly #enums: ReadonlySet<string>;

  constructor(shards: readonly RawCatalog[], rules: readonly SchemaRule[], enums: ReadonlySet<string>) {
    this.#enums = enums;
    this.#shards = shards;
    this.#rules = rules;
  }

  schemas(): string[] {
    const names = new Set(this.#shards.flatMap(({ schemas }) => schemas));
    return [...names].filter((name) => {
      const only = shardOfSchema(name, this.#rules);
      if (only !== null) return this.#shards[only].schemas.includes(name);
      const missing = this.#missing(({ schemas }) => schemas.includes(name));
      if (missing.length === 0) return true;
      this.#differ(name, '', `the schema is missing on ${shardList(missing)}`);
      return false;
    });
  }

  /** By name; what is not the same on all shards counts as not immutable. */
  functions(): ShardCatalogData['functions'] {
    const byShard = this.#shards.map(
      ({ functions }) => new Map(functions.map((each) => [`${each.schema}\0${each.name}`, each])),
    );
    return [...new Set(byShard.flatMap((functions) => [...functions.keys()]))].map((key) => {
      const found = byShard.map((functions) => functions.get(key));
      const [schema, name] = key.split('\0');
      const isImmutable = found.every(
        (each) => each?.isImmutable === true && each.digest === found[0]?.digest,
      );
      return [schema, name, isImmutable] as const;
    });
  }

  relations(): RawRelation[] {
    const byShard = this.#shards.map(
      ({ relations }) => new Map(relations.map((relation) => [keyOf(relation), relation])),
    );
    const agreed: RawRelation[] = [];
    for (const key of new Set(byShard.flatMap((relations) => [...relations.keys()]))) {
      const found = byShard.map((relations) => relations.get(key));
      const sample = found.find((relation) => relation !== undefined)!;
      const only = shardOfSchema(sample.schema, this.#rules);
      if (only !== null) {
        const relation = found[only];
        if (relation !== undefined) agreed.push(this.#agreed([relation]));
        // There it would be taken for what another schema of the search path has under the name.
        else this.#differ(sample.schema, sample.name, leftoverText(found, only));
        continue;
      }
      const isOwn = sample.schema === OWN_SCHEMA && OWN_TABLES.includes(sample.name);
      const text = this.#relationText(found) ?? (isOwn ? OWN_ROWS : null);
      if (text === null) agreed.push(this.#agreed(found.flatMap((each) => each ?? [])));
      else this.#differ(sample.schema, sample.name, text);
    }
    return agreed;
  }

  #agreed(alike: readonly RawRelation[]): RawRelation {
    const relation = withSortings(alike);
    const columns = relation.columns.map((column): RawColumn => {
      return this.#enums.has(column.type) ? { ...column, isEnum: true } : column;
    });
    return { ...relation, columns };
  }

  #relationText(found: readonly (RawRelation | undefined)[]): string | null {
    const missing = found.flatMap((relation, shard) => (relation === undefined ? [shard] : []));
    if (missing.length > 0) return `missing on ${shardList(missing)}`;
    const [first, ...others] = found as readonly RawRelation[];
    for (const [index, other] of others.entries()) {
      const text = relationDifference(first, other, index + 1);
      if (text !== null) return text;
    }
    return null;
  }

  /** Of roles for which the shards differ: empty. */
  searchPaths(): Record<string, string> {
    const roles = new Set(this.#shards.flatMap(({ searchPaths }) => Object.keys(searchPaths)));
    const paths: Record<string, string> = {};
    for (const role of roles) {
      const said = this.#shards.map(({ searchPaths }) => searchPaths[role]);
      if (said.every((path) => path === said[0])) {
        paths[role] = said[0];
        continue;
      }
      paths[role] = '';
      const whose = role === '' ? 'of the database' : `of role "${role}"`;
      const texts = said.map((path, shard) => `${path ?? 'not set'} on shard ${shard}`);
      this.#differ('', 'search_path', `the default ${whose} is ${texts.join(', ')}`);
    }
    return paths;
  }

  textOrder(): TextOrder | null {
    const [first, ...others] = this.#shards.map(({ sorting }) => sorting);
    if (first === null || others.some((other) => other !== first)) return null;
    return first === 'bytes' ? first : DATABASE_COLLATION;
  }

  #missing(has: (catalog: RawCatalog) => boolean): number[] {
    return this.#shards.flatMap((catalog, shard) => (has(catalog) ? [] : [shard]));
  }

  #differ(schema: string, name: string, text: string): void {
    this.differences.push({ schema, name, text });
  }
}

/** Of those that differ; null: none do. */
function oidsOf(shards: readonly RawCatalog[]): CatalogOids | null {
  const types = differingOids(shards.map((shard) => shard.types));
  const relations = differingOids(shards.map(({ numbered }) => numbered));
  return types.length + relations.length === 0 ? null : { types, relations };
}

/** Types that have the same labels in the same order on all shards. */
function enumsOf([first, ...others]: readonly RawCatalog[]): CatalogEnum[] {
  const keyOfType = ({ schema, name }: RawType): string => `${schema}.${name}`;
  const labelsOf = ({ types }: RawCatalog): Map<string, string> =>
    new Map(types.map((type) => [keyOfType(type), JSON.stringify(type.labels)]));
  const known = others.map(labelsOf);
  return first.types.flatMap((type) => {
    const { oid, labels } = type;
    const [name, text] = [keyOfType(type), JSON.stringify(labels)];
    const isAlike = labels !== undefined && known.every((types) => types.get(name) === text);
    return isAlike ? [{ name, oid, labels }] : [];
  });
}

function differingOids(shards: readonly (readonly RawNumbered[])[]): OidsByShard {
  const byName = new Map<string, number[]>();
  for (const [shard, things] of shards.entries()) {
    for (const { schema, name, oid } of things) {
      const key = `${schema}\0${name}`;
      const oids = byName.get(key) ?? shards.map(() => 0);
      oids[shard] = oid;
      byName.set(key, oids);
    }
  }
  return [...byName.values()].filter((oids) => oids.some((oid) => oid !== oids[0]));
}

/** A collation by which the shards do not all sort alike has no order that they have in common. */
function withSortings([first, ...others]: readonly RawRelation[]): RawRelation {
  const columns = first.columns.map(({ sorting, collation, ...column }, i): RawColumn => {
    const isAlike = others.every(({ columns }) => {
      return columns[i].collation === collation && columns[i].sorting === sorting;
    });
    return collation !== undefined && isAlike ? { ...column, collation } : column;
  });
  return { ...first, columns };
}

function leftoverText(found: readonly (RawRelation | undefined)[], owner: number): string {
  const where = found.flatMap((relation, shard) => (relation === undefined ? [] : [shard]));
  return `it is on ${shardList(where)}, and its schema is shard ${owner}'s alone`;
}

function keyOf({ schema, name }: RawRelation): string {
  return `${schema}\0${name}`;
}

export function shardList(shards: readonly number[]): string {
  const last = shards[shards.length - 1];
  if (shards.length === 1) return `shard ${last}`;
  return `shards ${shards.slice(0, -1).join(', ')} and ${last}`;
}

/** `one` is of shard 0. */
function relationDifference(one: RawRelation, other: RawRelation, shard: number): string | null {
  const on = ` on shard 0 and `;
  if (one.kind !== other.kind)
    return `${KIND_WORDS[one.kind]}${on}${KIND_WORDS[other.kind]} on shard ${shard}`;
  const columns = columnsDifference(one.columns, other.columns, shard);
  if (columns !== null) return columns;
  if (one.viewText !== other.viewText) return `the view's query is another on shard ${shard}`;
  const parts: [(relation: RawRelation) => string, string][] = [
    [({ parents }) => JSON.stringify(parents), 'the tables it inherits from are'],
    [({ uniques }) => uniques.map(uniqueText).join(), 'primary key or unique constraints are'],
    [({ foreignKeys }) => JSON.stringify(foreignKeys), 'foreign keys are'],
  ];
  for (const [textOf, words] of parts) {
    if (textOf(one) !== textOf(other)) return `${words} others on shard ${shard}`;
  }
  const flags: [keyof RawRelation, string][] = [
    ['hasTriggers', 'triggers'],
    ['hasRules', 'rules'],
    ['hasRowSecurity', 'row security'],
  ];
  for (const [key, words] of flags) {
    if (one[key] !== other[key])
      return `has ${words} on ${one[key] === true ? 'shard 0' : `shard ${shard}`} only`;
  }
  return null;
}

function columnsDifference(
  ones: readonly CatalogColumn[],
  others: readonly CatalogColumn[],
  shard: number,
): string | null {
  for (const one of ones) {
    const other = others.find(({ name }) => name === one.name);
    if (other === undefined) return `column "${one.name}" is missing on shard ${shard}`;
    const text = columnDifference(one, other, shard);
    if (text !== null) return `column "${one.name}" ${text}`;
  }
  const extra = others.find(({ name }) => !ones.some((one) => one.name === name));
  if (extra !== undefined) return `column "${extra.name}" is missing on shard 0`;
  const isMoved = ones.some(({ name }, index) => others[index].name !== name);
  return isMoved ? `the columns are in another order on shard ${shard}` : null;
}

function columnDifference(one: CatalogColumn, other: CatalogColumn, shard: number): string | null {
  const [mine, theirs] = [typeWords(one), typeWords(other)];
  if (mine !== theirs) return `is ${mine} on shard 0 and ${theirs} on shard ${shard}`;
  if (one.isNotNull !== other.isNotNull) {
    return `is NOT NULL on ${one.isNotNull ? 'shard 0' : `shard ${shard}`} only`;
  }
  if (one.generated !== other.generated) return `is generated otherwise on shard ${shard}`;
  if (one.defaultText !== other.defaultText) {
    return `has the default ${one.defaultText ?? 'NULL'} on shard 0 and ${other.defaultText ?? 'NULL'} on shard ${shard}`;
  }
  const isSorted = one.isByteOrdered === other.isByteOrdered;
  if (!isSorted || one.isDeterministic !== other.isDeterministic)
    return `has another collation on shard ${shard}`;
  return null;
}

const CHARACTERS = ['pg_catalog.varchar', 'pg_catalog.bpchar'];

/** `varchar(20)`, `numeric(10,2)`, `int8 (by a domain)`. */
export function typeWords({ type, typmod, isDomain }: CatalogColumn): string {
  const name = type.startsWith('pg_catalog.') ? type.slice('pg_catalog.'.length) : type;
  let length = '';
  if (typmod >= 0) {
    if (CHARACTERS.includes(type)) length = `(${typmod - 4})`;
    else if (type === 'pg_catalog.numeric') {
      // Postgres's numeric.c: the scale is signed, of eleven bits.
      const scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
      length = `(${((typmod - 4) >> 16) & 0xffff},${scale})`;
    } else length = `(${typmod})`;
  }
  return `${name}${length}${isDomain ? ' (by a domain)' : ''}`;
}
