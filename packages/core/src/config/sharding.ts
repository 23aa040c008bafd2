/** Sharding of all databases out of the configuration: who has how many shards, and by which rules rows are on them. */
import { NODE_MAX } from '../base/unique-id.js';
import type { CrossShard, SchemaRule, ShardingSnapshot, ShardRule } from '../shard/sharding-snapshot.js';
import type { GeneralSettings, RewriteSettings } from './defaults.js';
import { suggestion } from './parse-document.js';
import type { Origin, Place, ProblemList } from './problem-list.js';
import {
  checkShard,
  foldIdentifier,
  type PlacedInput,
  RuleReader,
  ruleName,
  toMappingInput,
  whereOf,
} from './sharding-rules.js';
import type {
  OmnishardedTableInput,
  RewriteInput,
  ShardedMappingInput,
  ShardedSchemaInput,
  ShardedTableInput,
} from './sharding-schema.js';

export interface ShardingSections {
  sharded_tables?: ShardedTableInput[];
  sharded_mappings?: ShardedMappingInput[];
  omnisharded_tables?: OmnishardedTableInput[];
  sharded_schemas?: ShardedSchemaInput[];
  rewrite?: RewriteInput;
}

interface DatabaseShard {
  name: string;
  shard: number;
  isCrossShardDisabled: boolean | null;
}

export interface ShardingParts {
  /** null: no file. */
  sections: { input: ShardingSections; origin: Origin } | null;
  databases: readonly DatabaseShard[];
  general: GeneralSettings;
  rewrite: RewriteSettings;
}

/** Whoever says it last, of user, database, general; null: not said. */
export function crossShardOf(said: readonly (boolean | null)[], general: GeneralSettings): CrossShard {
  const isDisabled = said.find((one) => one !== null) ?? general.cross_shard_disabled;
  return isDisabled ? 'direct_only' : general.cross_shard;
}

/** What would be silently wrong, or is not there. */
export function checkRewrite(rewrite: RewriteSettings, origin: Origin, problems: ProblemList): void {
  for (const key of ['shard_key', 'split_inserts'] as const) {
    const value = rewrite[key];
    if (value === 'error' || value === 'rewrite') continue;
    const why = value === 'ignore' ? 'rows would be where nobody looks for them' : 'it has no meaning here';
    problems.error(origin.place(key), `"${value}" is refused, ${why}: expected "error" or "rewrite"`);
  }
}

const KEYS_MADE = { rewrite: 'all', rewrite_omni: 'omni', error: 'error' } as const;

function madeKeysOf({ primary_key }: RewriteSettings): Pick<ShardingSnapshot, 'madeKeys'> {
  return primary_key === 'ignore' ? {} : { madeKeys: KEYS_MADE[primary_key] };
}

/** Ids of two proxies with one number may be the same, and so may those of a number that is cut off. */
export function checkUniqueIds(
  { node_id, unique_id_function }: GeneralSettings,
  at: (key: string) => Place,
  problems: ProblemList,
): void {
  const max = NODE_MAX[unique_id_function];
  if (node_id === null || node_id <= max) return;
  problems.error(
    at('node_id'),
    `node ${node_id} does not fit ids of unique_id_function = "${unique_id_function}": 0 to ${max}`,
  );
}

/** Of each database with several shards. Problems of entries about others are found all the same. */
export function readSharding(parts: ShardingParts, problems: ProblemList): Map<string, ShardingSnapshot> {
  const reader = new ShardingReader(parts, problems);
  reader.checkNames();
  const sharding = new Map<string, ShardingSnapshot>();
  for (const name of reader.names) {
    const snapshot = reader.of(name);
    if (snapshot.shardCount > 1) sharding.set(name, snapshot);
  }
  return sharding;
}

class ShardingReader {
  readonly #parts: ShardingParts;
  readonly #problems: ProblemList;
  readonly #rules: RuleReader;
  readonly #entriesOf = new Map<string, DatabaseShard[]>();

  constructor(parts: ShardingParts, problems: ProblemList) {
    this.#parts = parts;
    // Of thousands hardly any have several shards, or an entry about shards.
    const concerned = new Set(parts.databases.filter(({ shard }) => shard > 0).map(({ name }) => name));
    for (const { input } of this.#all()) concerned.add(input.database);
    for (const database of parts.databases) {
      if (!concerned.has(database.name)) continue;
      const known = this.#entriesOf.get(database.name);
      if (known === undefined) this.#entriesOf.set(database.name, [database]);
      else known.push(database);
    }
    this.#problems = problems;
    this.#rules = new RuleReader(problems);
  }

  #section<K extends Exclude<keyof ShardingSections, 'rewrite'>>(
    key: K,
  ): PlacedInput<NonNullable<ShardingSections[K]>[number]>[] {
    const { sections } = this.#parts;
    const entries = sections?.input[key] ?? [];
    return entries.map((input, index) => ({ input, origin: sections!.origin.part(key, index) }));
  }

  /** Of databases about which there is something to say. */
  get names(): Iterable<string> {
    return this.#entriesOf.keys();
  }

  #all() {
    return [
      ...this.#section('sharded_tables'),
      ...this.#section('sharded_mappings'),
      ...this.#section('omnisharded_tables'),
      ...this.#section('sharded_schemas'),
    ];
  }

  /** Entries about databases that do not exist. */
  checkNames(): void {
    const entries = this.#all();
    if (entries.length === 0) return;
    const known = this.#parts.databases.map(({ name }) => name);
    for (const { input, origin } of entries) {
      const { database } = input;
      if (known.includes(database)) continue;
      const text = `no database "${database}" is configured${suggestion(database, known)}`;
      this.#problems.error(origin.place('database'), text);
    }
  }

  of(name: string): ShardingSnapshot {
    const { general, rewrite } = this.#parts;
    const own = this.#entriesOf.get(name) ?? [];
    const shardCount = new Set(own.map(({ shard }) => shard)).size;
    const tables = this.#tablesOf(name, shardCount);
    const schemas = this.#schemasOf(name, shardCount);
    const { omnisharded, isSticky } = this.#omnishardedOf(name, tables);
    this.#checkSchemas(name, tables, schemas);
    // Entries that contradict one another are held to the stricter one.
    const said = own.map(({ isCrossShardDisabled }) => isCrossShardDisabled);
    const isDisabled = said.includes(true) ? true : said.includes(false) ? false : null;
    return {
      shardCount,
      tables,
      schemas,
      omnisharded,
      crossShard: crossShardOf([isDisabled], general),
      isOmniSticky: general.omnisharded_sticky || isSticky,
      isCatalogSticky: general.system_catalogs === 'omnisharded_sticky',
      commit:
        general.two_phase_commit === null ? 'as_allowed' : general.two_phase_commit ? 'two_phase' : 'plain',
      areKeysMovable: rewrite.shard_key === 'rewrite',
      areInsertsSplit: rewrite.split_inserts === 'rewrite',
      ...madeKeysOf(rewrite),
    };
  }

  #tablesOf(name: string, shardCount: number): ShardRule[] {
    const placed = this.#section('sharded_tables').filter(({ input }) => input.database === name);
    const folded = this.#section('sharded_mappings').filter(({ input }) => input.database === name);
    for (const mapping of folded) this.#checkFolded(mapping, placed);
    const rules = placed.map((entry) => {
      const own = folded.filter(({ input }) => isMappingOf(input, entry.input));
      return this.#rules.rule(
        entry,
        own.map((mapping) => toMappingInput(mapping, this.#problems)),
        shardCount,
      );
    });
    for (const [index, rule] of rules.entries()) {
      const twin = rules.slice(0, index).findIndex((other) => isSameTable(rule, other));
      if (twin === -1) continue;
      const { origin } = placed[index];
      const key = rule.table === null ? 'column' : 'name';
      const where = whereOf(placed[twin].origin.place(key));
      const what = `${ruleName(rules[twin])} is the sharding key already (${where})`;
      this.#problems.error(origin.place(key), what);
    }
    if (shardCount === 1 && placed.length > 0) {
      this.#problems.warning(placed[0].origin.place(), `has no effect: "${name}" has one shard`);
    }
    return rules;
  }

  #checkFolded(
    { input, origin }: PlacedInput<ShardedMappingInput>,
    tables: readonly PlacedInput<ShardedTableInput>[],
  ): void {
    const place = origin.place();
    if (tables.some((table) => isMappingOf(input, table.input))) {
      this.#problems.warning(place, 'is deprecated: write [[sharded_tables.mapping]] below its table');
    } else {
      this.#problems.error(
        origin.place('column'),
        `no [[sharded_tables]] entry of "${input.database}" has this column and table`,
      );
    }
  }

  #omnishardedOf(name: string, rules: readonly ShardRule[]) {
    const omnisharded: [schema: string | null, table: string][] = [];
    let isSticky = false;
    for (const { input, origin } of this.#section('omnisharded_tables')) {
      if (input.database !== name) continue;
      isSticky ||= input.sticky ?? false;
      for (const [index, text] of input.tables.entries()) {
        const table = splitName(text);
        omnisharded.push(table);
        const rule = rules.find((other) => other.table === table[1] && areAlike(other.schema, table[0]));
        if (rule === undefined) continue;
        this.#problems.error(
          origin.place('tables', index),
          `"${text}" is sharded by ${ruleName(rule)}: it cannot be whole on every shard too`,
        );
      }
    }
    return { omnisharded, isSticky };
  }

  #schemasOf(name: string, shardCount: number): SchemaRule[] {
    const placed = this.#section('sharded_schemas').filter(({ input }) => input.database === name);
    return placed.map(({ input, origin }, index) => {
      const shard = input.shard ?? 0;
      const isOnAll = input.all ?? false;
      checkShard(shard, shardCount, origin.place('shard'), this.#problems);
      if (isOnAll && input.shard !== undefined) {
        this.#problems.error(origin.place('shard'), 'contradicts all = true: the schema is on every shard');
      }
      const folded = input.name === undefined ? null : foldIdentifier(input.name);
      const twin = placed
        .slice(0, index)
        .find(
          (other) => (other.input.name === undefined ? null : foldIdentifier(other.input.name)) === folded,
        );
      if (twin !== undefined) {
        const what =
          folded === null ? 'there is an entry for all other schemas' : `schema "${folded}" has an entry`;
        this.#problems.error(origin.place('name'), `${what} already (${whereOf(twin.origin.place('name'))})`);
      }
      return { name: folded, shard, isOnAll };
    });
  }

  /** A table by its key in a schema that lives on one shard: one of the two is a mistake. */
  #checkSchemas(name: string, tables: readonly ShardRule[], schemas: readonly SchemaRule[]): void {
    const placed = this.#section('sharded_tables').filter(({ input }) => input.database === name);
    for (const [index, { schema }] of tables.entries()) {
      if (schema === null) continue;
      const rule = schemas.find((one) => one.name === schema) ?? schemas.find((one) => one.name === null);
      if (rule === undefined || rule.isOnAll) continue;
      const text = `schema "${schema}" is on shard ${rule.shard} only ([[sharded_schemas]]): its tables are not sharded`;
      this.#problems.error(placed[index].origin.place('schema'), text);
    }
  }
}

/** `null` is every schema. */
const areAlike = (a: string | null, b: string | null): boolean => a === null || b === null || a === b;

/** Both would decide about one and the same table; rules by column alone give way to those that name the table. */
function isSameTable(a: ShardRule, b: ShardRule): boolean {
  if (a.table !== b.table || !areAlike(a.schema, b.schema)) return false;
  return a.table !== null || a.column === b.column;
}

function isMappingOf(mapping: ShardedMappingInput, table: ShardedTableInput): boolean {
  const isFolded = (mine: string | undefined, theirs: string | undefined): boolean =>
    mine === undefined || (theirs !== undefined && foldIdentifier(mine) === foldIdentifier(theirs));
  return (
    foldIdentifier(mapping.column) === foldIdentifier(table.column) &&
    isFolded(mapping.table, table.name) &&
    isFolded(mapping.schema, table.schema)
  );
}

/** `orders`, `shop.orders`, `"Shop"."Orders"`. */
function splitName(text: string): [schema: string | null, table: string] {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] === '.' && !isQuoted) {
      return [foldIdentifier(text.slice(0, at)), foldIdentifier(text.slice(at + 1))];
    }
  }
  return [null, foldIdentifier(text)];
}
