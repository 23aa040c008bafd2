/** [[sharded_tables]] with its mapping and [[sharded_mappings]]: each entry as a rule, or why it cannot be one. */
import { compareMappingValues, type MappingValue, readMappingValue } from '../shard/mapping-value.js';
import type { ShardKeyType } from '../shard/shard-of-value.js';
import type { ShardFunctionKind, ShardMapping, ShardRule } from '../shard/sharding-snapshot.js';
import type { Origin, Place, ProblemList } from './problem-list.js';
import type { ShardedMappingInput, ShardedTableInput, ShardMappingInput } from './sharding-schema.js';

export interface PlacedInput<T> {
  input: T;
  origin: Origin;
}

export type PlacedTable = PlacedInput<ShardedTableInput>;

type DataType = NonNullable<ShardedTableInput['data_type']>;

const KEY_TYPES: Record<Exclude<DataType, 'vector'>, ShardKeyType> = {
  bigint: 'int8',
  int: 'int4',
  smallint: 'int2',
  uuid: 'uuid',
  varchar: 'text',
  text: 'text',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  numeric: 'numeric',
  bytea: 'bytea',
};

/** Types whose text form is one and the same whoever writes it. */
const SHA1_TYPES: readonly ShardKeyType[] = ['int2', 'int4', 'int8', 'uuid', 'text'];

const NO_VECTORS = 'sharding by vectors is not supported by this version';

/** What values have to look like, where that is not plain. */
const FORMS: Partial<Record<ShardKeyType, string>> = {
  date: ' (as "2024-01-31")',
  timestamp: ' (as "2024-01-31 12:00:00")',
  timestamptz: ' (as "2024-01-31 12:00:00+00")',
  bytea: ' (as "\\x00ff")',
};

/** As Postgres takes a name in SQL: letters become small ones unless it stands in double quotes. */
export function foldIdentifier(text: string): string {
  if (text.length >= 2 && text.startsWith('"') && text.endsWith('"')) {
    return text.slice(1, -1).replaceAll('""', '"');
  }
  let folded = '';
  for (const char of text) folded += char >= 'A' && char <= 'Z' ? char.toLowerCase() : char;
  return folded;
}

const foldOrNull = (text: string | undefined): string | null =>
  text === undefined ? null : foldIdentifier(text);

/** `orders`, `shop.orders`, `orders.customer_id` of a rule, for messages. */
export function ruleName({ schema, table, column }: ShardRule): string {
  const owner = table ?? 'every table';
  return `column "${column}" of ${schema === null ? owner : `${schema}.${owner}`}`;
}

export class RuleReader {
  readonly #problems: ProblemList;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  /** @param folded entries of [[sharded_mappings]] that belong to it */
  rule(
    { input, origin }: PlacedTable,
    folded: readonly PlacedInput<ShardMappingInput>[],
    shardCount: number,
  ): ShardRule {
    for (const key of ['centroids', 'centroids_path', 'centroid_probes'] as const) {
      if (input[key] !== undefined) this.#problems.error(origin.place(key), NO_VECTORS);
    }
    if (input.name?.includes('.') === true && !input.name.startsWith('"')) {
      this.#problems.error(origin.place('name'), 'the schema has a key of its own, "schema"');
    }
    const dataType = input.data_type ?? 'bigint';
    if (dataType === 'vector') this.#problems.error(origin.place('data_type'), NO_VECTORS);
    const keyType = dataType === 'vector' ? 'int8' : KEY_TYPES[dataType];
    const own = (input.mapping ?? []).map((mapping, index) => ({
      input: mapping,
      origin: origin.part('mapping', index),
    }));
    const mapping = new MappingReader(keyType, dataType, shardCount, this.#problems).read([
      ...own,
      ...folded,
    ]);
    return {
      schema: foldOrNull(input.schema),
      table: foldOrNull(input.name),
      column: foldIdentifier(input.column),
      keyType,
      function: this.#functionOf(input, origin, keyType, mapping.length > 0),
      mapping,
      lookupQuery: input.lookup_query ?? null,
      lookupResult: input.lookup_result ?? 'value',
      areUniquesPerShard: input.unique_per_shard ?? false,
      ...(input.lookup_query !== undefined && input.hasher === 'sha1' ? { lookupHash: 'sha1' } : {}),
    };
  }

  #checkLookup(
    { lookup_query: query = '', lookup_result: result, data_type: dataType, hasher }: ShardedTableInput,
    keyType: ShardKeyType,
    isMapped: boolean,
    error: (key: string, text: string) => void,
  ): void {
    if (isMapped) error('lookup_query', 'contradicts the mapping beside it: one of them decides');
    if (!SHA1_TYPES.includes(keyType)) {
      error('lookup_query', `is asked with the text form of the key, which ${dataType} has more than one of`);
    }
    if (!query.includes('$1') || query.includes('$2'))
      error('lookup_query', 'must have the key as its only parameter, $1');
    if (hasher !== undefined && result === 'shard')
      error('hasher', 'has no meaning where lookup_query gives the shard itself');
  }

  #functionOf(
    input: ShardedTableInput,
    origin: Origin,
    keyType: ShardKeyType,
    isMapped: boolean,
  ): ShardFunctionKind {
    const error = (key: string, text: string): void => this.#problems.error(origin.place(key), text);
    if (input.lookup_query !== undefined) {
      this.#checkLookup(input, keyType, isMapped, error);
      return 'lookup';
    }
    if (input.lookup_result !== undefined) error('lookup_result', 'has no meaning without lookup_query');
    if (isMapped) {
      if (input.hasher !== undefined)
        error('hasher', 'contradicts the mapping beside it: one of them decides');
      return 'mapped';
    }
    if (input.hasher !== 'sha1') return 'hash';
    if (!SHA1_TYPES.includes(keyType)) {
      error('hasher', `"sha1" is of the text form, which ${input.data_type} has more than one of`);
    }
    return 'sha1';
  }
}

interface PlacedValue {
  value: MappingValue;
  text: string;
  place: Place;
}

interface PlacedRange {
  start: PlacedValue | null;
  end: PlacedValue | null;
  place: Place;
}

const MAPPING_RANK = { list: 0, range: 1, default: 2 };

class MappingReader {
  readonly #keyType: ShardKeyType;
  readonly #dataType: DataType;
  readonly #shardCount: number;
  readonly #problems: ProblemList;
  readonly #listed: PlacedValue[] = [];
  readonly #ranges: PlacedRange[] = [];
  #hasDefault = false;

  constructor(keyType: ShardKeyType, dataType: DataType, shardCount: number, problems: ProblemList) {
    this.#keyType = keyType;
    this.#dataType = dataType;
    this.#shardCount = shardCount;
    this.#problems = problems;
  }

  /** In the order of trial. */
  read(entries: readonly PlacedInput<ShardMappingInput>[]): ShardMapping[] {
    const mapping = entries.map((entry) => this.#entry(entry));
    this.#checkList();
    this.#checkRanges();
    return mapping.sort((a, b) => MAPPING_RANK[a.kind] - MAPPING_RANK[b.kind]);
  }

  #entry({ input, origin }: PlacedInput<ShardMappingInput>): ShardMapping {
    const { values, start, end, shard } = input;
    checkShard(shard, this.#shardCount, origin.place('shard'), this.#problems);
    const isRange = start !== undefined || end !== undefined;
    if (values !== undefined) {
      if (isRange) {
        const key = start === undefined ? 'end' : 'start';
        this.#problems.error(origin.place(key), 'contradicts values: an entry is a list or a range');
      }
      const read = values.map((value, index) => this.#value(value, origin.place('values', index)));
      this.#listed.push(...read.filter((one) => one.value !== null).map((one) => one as PlacedValue));
      return { kind: 'list', values: read.map(({ text }) => text), shard };
    }
    if (isRange) return this.#range(input, origin);
    if (this.#hasDefault) this.#problems.error(origin.place('shard'), 'there is a default already');
    this.#hasDefault = true;
    return { kind: 'default', shard };
  }

  #range({ start, end, shard }: ShardMappingInput, origin: Origin): ShardMapping {
    const from = start === undefined ? null : this.#value(start, origin.place('start'));
    const to = end === undefined ? null : this.#value(end, origin.place('end'));
    const isRead = from?.value !== null && to?.value !== null;
    if (isRead) {
      const range = {
        start: from as PlacedValue | null,
        end: to as PlacedValue | null,
        place: origin.place(),
      };
      if (range.start !== null && range.end !== null) {
        const isEmpty = compareMappingValues(range.start.value, range.end.value) >= 0;
        if (isEmpty)
          this.#problems.error(origin.place('end'), 'must be above start, which is included; end is not');
      }
      this.#ranges.push(range);
    }
    return { kind: 'range', start: from?.text ?? null, end: to?.text ?? null, shard };
  }

  #value(input: string | number, place: Place): { value: MappingValue | null; text: string; place: Place } {
    const text = String(input);
    // 2^53 - 1 stands for whatever is larger too: the parser could not keep it.
    if (typeof input === 'number' && Math.abs(input) >= Number.MAX_SAFE_INTEGER) {
      this.#problems.error(place, 'a number this large must be written in quotes');
      return { value: null, text, place };
    }
    const value = readMappingValue(this.#keyType, text);
    if (value === null) {
      const form = FORMS[this.#keyType] ?? '';
      this.#problems.error(place, `${JSON.stringify(text)} is no value of ${this.#dataType}${form}`);
    }
    return { value, text, place };
  }

  #checkList(): void {
    const sorted = this.#listed
      .map((one, index) => ({ ...one, index }))
      .sort((a, b) => compareMappingValues(a.value, b.value) || a.index - b.index);
    for (const [index, one] of sorted.entries()) {
      const before = sorted[index - 1];
      if (before === undefined || compareMappingValues(before.value, one.value) !== 0) continue;
      this.#problems.error(
        one.place,
        `${JSON.stringify(one.text)} is listed already (${whereOf(before.place)})`,
      );
    }
  }

  /** By their starts: whichever two overlap, there are two neighbours that do. */
  #checkRanges(): void {
    const sorted = [...this.#ranges].sort((a, b) =>
      a.start === null || b.start === null
        ? Number(a.start !== null) - Number(b.start !== null)
        : compareMappingValues(a.start.value, b.start.value),
    );
    for (const [index, range] of sorted.entries()) {
      const before = sorted[index - 1];
      if (before === undefined) continue;
      const isApart =
        before.end !== null &&
        range.start !== null &&
        compareMappingValues(before.end.value, range.start.value) <= 0;
      if (!isApart) {
        this.#problems.error(
          range.place,
          `the range has values in common with another (${whereOf(before.place)})`,
        );
      }
    }
  }
}

export function checkShard(shard: number, shardCount: number, place: Place, problems: ProblemList): void {
  if (shard < shardCount) return;
  const range = shardCount === 1 ? 'only shard 0' : `shards 0 to ${shardCount - 1}`;
  problems.error(place, `there is no shard ${shard}: the database has ${range}`);
}

export function whereOf({ source, line, key }: Place): string {
  return line > 0 ? `${source}:${line}` : `${source}: ${key}`;
}

const KIND_KEYS = { list: ['values'], range: ['start', 'end'], default: [] } as const;

/** An entry of the deprecated [[sharded_mappings]] as one of [[sharded_tables.mapping]]. */
export function toMappingInput(
  { input, origin }: PlacedInput<ShardedMappingInput>,
  problems: ProblemList,
): PlacedInput<ShardMappingInput> {
  const keys: readonly string[] = KIND_KEYS[input.kind];
  for (const key of ['values', 'start', 'end'] as const) {
    if (input[key] !== undefined && !keys.includes(key)) {
      problems.error(origin.place(key), `has no meaning with kind = "${input.kind}"`);
    }
  }
  if (input.kind !== 'default' && keys.every((key) => input[key as 'values'] === undefined)) {
    problems.error(origin.place('kind'), `"${input.kind}" needs ${keys.join(' or ')}`);
  }
  const { values, start, end, shard } = input;
  return { input: { values, start, end, shard }, origin };
}
