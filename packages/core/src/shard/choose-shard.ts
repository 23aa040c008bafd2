// ● per-frame path
import { shape } from '../sql/shape.js';
import { readBinaryArray, readTextArray, type TakeItem } from './array-items.js';
import { awaitsKeys, beginLookups, lookupOutcome, MISSING_KEYS_MAX } from './key-lookups.js';
import { LIST_END, literal, nextInList, readLiteral } from './literal-bytes.js';
import type { ShardFunction } from './shard-function.js';
import { type ShardKeyType, UNKNOWN_SHARD } from './shard-of-value.js';
import type { KeyGroup, KeyPin, KeySource, ShardReading } from './shard-reading.js';
import { IS_ABSENT, IS_NULL, type StatementValues } from './statement-values.js';

/** Any shard may serve it. */
export const SHARD_ANY = -1;
/** Rows of several shards, or of unknown ones, are meant: `choice` says which. */
export const SHARD_SEVERAL = -2;
/** Every shard. */
export const SHARD_EVERY = -3;

export const DIFFERENT_SHARDS = 'its tables are on different shards';

/** More about the last SHARD_SEVERAL. */
export const choice = {
  /** null: all of them. */
  shards: null as ReadonlySet<number> | null,
  /** The group that is not on one shard. */
  group: null as KeyGroup | null,
  /** A value whose shard is not known, beside what is said of the group: its parameter is not sent yet… */
  problem: '',
};

const OIDS: Readonly<Record<ShardKeyType, ReadonlySet<number>>> = {
  int2: new Set([20, 21, 23]),
  int4: new Set([20, 21, 23]),
  int8: new Set([20, 21, 23]),
  uuid: new Set([2950]),
  text: new Set([25, 1043]),
  bytea: new Set([17]),
  date: new Set([1082]),
  timestamp: new Set([1114]),
  timestamptz: new Set([1184]),
  numeric: new Set([1700]),
};

const ARRAY_OIDS: Readonly<Record<ShardKeyType, ReadonlySet<number>>> = {
  int2: new Set([1005, 1007, 1016]),
  int4: new Set([1005, 1007, 1016]),
  int8: new Set([1005, 1007, 1016]),
  uuid: new Set([2951]),
  text: new Set([1009, 1015]),
  bytea: new Set([1001]),
  date: new Set([1182]),
  timestamp: new Set([1115]),
  timestamptz: new Set([1185]),
  numeric: new Set([1231]),
};

/** What a pin's sources have come to so far. */
const NOTHING_YET = -4;

let collected = NOTHING_YET;
/** Once there is a second shard. */
let collectedSet: Set<number> | null = null;
/** Of each value, in order, where that is asked for. */
let rowShards: number[] | null = null;

function collect(shard: number): void {
  if (rowShards !== null) rowShards.push(shard);
  if (collected === NOTHING_YET || collected === shard) collected = shard;
  else if (shard === UNKNOWN_SHARD || collected === UNKNOWN_SHARD) collected = UNKNOWN_SHARD;
  else {
    // exempt: keys of several shards
    collectedSet ??= new Set([collected]);
    collectedSet.add(shard);
  }
}

/**
 * The shard on which a statement's rows are, by its reading and the values of this execution.
 * @param functions by rule
 * @returns a shard, SHARD_ANY, SHARD_SEVERAL or SHARD_EVERY
 */
export function chooseShard(
  reading: ShardReading,
  functions: readonly ShardFunction[],
  values: StatementValues,
): number {
  beginLookups();
  const { groups, home } = reading;
  if (groups.length === 0) return home === 'every' ? SHARD_EVERY : home === 'first' ? 0 : SHARD_ANY;
  let shard = SHARD_ANY;
  for (const group of groups) {
    const own = group.rule < 0 ? shardOfFixed(group) : shardOfGroup(group, functions[group.rule], values);
    if (own === SHARD_SEVERAL) return SHARD_SEVERAL;
    if (shard !== SHARD_ANY && own !== shard) {
      choice.shards = null;
      choice.group = group;
      choice.problem = DIFFERENT_SHARDS;
      return SHARD_SEVERAL;
    }
    shard = own;
  }
  return shard;
}

/**
 * The shard of each row of an INSERT, of VALUES or of unnest(); null: of some it is not known, and `choice` has the group.
 */
export function shardsOfRows(
  group: KeyGroup,
  functions: readonly ShardFunction[],
  values: StatementValues,
): number[] | null {
  choice.group = group;
  choice.problem = '';
  const rule = functions[group.rule];
  const shards: number[] = [];
  const sources = group.pins[0]?.sources ?? [];
  if (sources.length === 0) return null;
  rowShards = shards;
  try {
    for (const source of sources) {
      collected = NOTHING_YET;
      collectedSet = null;
      collectSource(source, rule, values);
      if (collected < 0) break;
    }
  } finally {
    rowShards = null;
  }
  return collected < 0 ? null : shards;
}

/** NULL in an array: nothing is equal to it, but it is a row of its own. */
function takeNull(rule: ShardFunction): () => boolean {
  // exempt: once per array of keys
  return () => {
    if (rowShards !== null) collect(rule.ofNull);
    return true;
  };
}

/** Of what one shard has alone. */
function shardOfFixed(group: KeyGroup): number {
  choice.group = group;
  choice.problem = '';
  choice.shards = null;
  const [source] = group.pins[0]?.sources ?? [];
  return source?.kind === 'shard' ? source.shard : SHARD_SEVERAL;
}

/** SHARD_SEVERAL: `choice` says which. */
export function shardOfGroup(group: KeyGroup, rule: ShardFunction, values: StatementValues): number {
  choice.group = group;
  choice.problem = '';
  choice.shards = null;
  let shard = SHARD_ANY;
  let set: ReadonlySet<number> | null = null;
  for (const pin of group.pins) {
    collectPin(pin, rule, values);
    if (lookupOutcome.problem !== '') choice.problem = lookupOutcome.problem;
    if (collected === UNKNOWN_SHARD || collected === NOTHING_YET) continue;
    // Conditions hold all at once: one that leaves a single shard is enough, others can only leave less.
    if (collectedSet === null) {
      if (shard === SHARD_ANY) shard = collected;
    } else if (set === null || collectedSet.size < set.size) set = collectedSet;
  }
  if (shard !== SHARD_ANY) return shard;
  choice.shards = set;
  return SHARD_SEVERAL;
}

function collectPin({ sources }: KeyPin, rule: ShardFunction, values: StatementValues): void {
  collected = NOTHING_YET;
  collectedSet = null;
  for (const source of sources) {
    collectSource(source, rule, values);
    if (!isOpen()) return;
  }
  // An empty list selects nothing, wherever it is asked.
  if (collected === NOTHING_YET && sources.length > 0) collected = 0;
}

/** Whether it is worth reading on. Keys that must be looked up are found all at once, as many as are asked for. */
function isOpen(): boolean {
  if (collected !== UNKNOWN_SHARD) return true;
  return awaitsKeys() && lookupOutcome.missing.length < MISSING_KEYS_MAX;
}

const encoder = new TextEncoder();

function collectSource(source: KeySource, rule: ShardFunction, values: StatementValues): void {
  switch (source.kind) {
    case 'parameter':
      collectParameter(source.number - 1, source.cast, rule, values);
      return;
    case 'literal':
      collectLiteral(source.index, source.isNegative, rule, values);
      return;
    case 'literalList':
      collectList(source.index, rule, values);
      return;
    case 'literalArray': {
      const isRead =
        values.hasLiteral(source.index) &&
        readLiteral(values.text, values.literalStart(source.index), values.literalEnd(source.index), false) &&
        readTextArray(literal.bytes, literal.start, literal.end, textItems(rule, values), takeNull(rule));
      if (!isRead) collected = UNKNOWN_SHARD;
      return;
    }
    case 'value': {
      // exempt: of a text that is read for itself
      const bytes = encoder.encode(source.text);
      collectText(bytes, 0, bytes.length, rule, values);
      return;
    }
    case 'parameterArray':
      collectArray(source.number - 1, rule, values);
      return;
    case 'null':
      collect(rule.ofNull);
      return;
    case 'shard':
      collect(source.shard);
  }
}

function collectText(
  bytes: Uint8Array,
  start: number,
  end: number,
  rule: ShardFunction,
  values: StatementValues,
): void {
  collect(isSame(bytes, start, end, rule, values) ? rule.ofText(bytes, start, end) : UNKNOWN_SHARD);
}

/** Whether what is sent is what the rule's function is of: bytes as they are stored, or UTF-8 where they are asked for. */
function isSame(
  bytes: Uint8Array,
  start: number,
  end: number,
  { keyType, lookups }: ShardFunction,
  { isForeign, isUtf8 }: StatementValues,
): boolean {
  if (keyType !== 'text') return true;
  return !(isForeign || (lookups !== null && !isUtf8)) || isAscii(bytes, start, end);
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] >= 0x80) return false;
  return true;
}

function collectLiteral(
  index: number,
  isNegative: boolean,
  rule: ShardFunction,
  values: StatementValues,
): void {
  const isRead =
    values.hasLiteral(index) &&
    readLiteral(values.text, values.literalStart(index), values.literalEnd(index), isNegative);
  if (isRead) collectText(literal.bytes, literal.start, literal.end, rule, values);
  else collected = UNKNOWN_SHARD;
}

function collectList(index: number, rule: ShardFunction, values: StatementValues): void {
  if (!values.hasLiteral(index)) {
    collected = UNKNOWN_SHARD;
    return;
  }
  const { text } = values;
  const start = shape.literalStarts[index];
  collectLiteral(index, isSigned(text, start), rule, values);
  let at = shape.literalEnds[index];
  while (isOpen()) {
    at = nextInList(text, at, values.listEnd);
    if (at === LIST_END) return;
    if (at < 0) {
      collected = UNKNOWN_SHARD;
      return;
    }
    collectText(literal.bytes, literal.start, literal.end, rule, values);
  }
}

/** Whether a '-' stands before the first item of a list: it is part of a number there. */
function isSigned(text: Uint8Array, start: number): boolean {
  let at = start - 1;
  while (at >= 0 && (text[at] === 0x20 || (text[at] >= 0x09 && text[at] <= 0x0d))) at--;
  return at >= 0 && text[at] === 0x2d;
}

function collectParameter(
  index: number,
  cast: string | null,
  rule: ShardFunction,
  values: StatementValues,
): void {
  if (index >= values.count || values.sizes[index] === IS_ABSENT) {
    choice.problem = `parameter $${index + 1} ${values.absence}`;
    collected = UNKNOWN_SHARD;
    return;
  }
  if (values.sizes[index] === IS_NULL) {
    collect(rule.ofNull);
    return;
  }
  const type = values.typeOf(index);
  const isConverted = cast !== null && TEXT_OIDS.has(type) && isReadFromText(cast, rule.keyType);
  // Of another type the value is converted, or compared otherwise, by rules that are Postgres's.
  if (type !== 0 && !isConverted && !OIDS[rule.keyType].has(type)) {
    choice.problem = `parameter $${index + 1} is declared with another type (oid ${type}) than the key`;
    collected = UNKNOWN_SHARD;
    return;
  }
  const start = values.starts[index];
  const end = start + values.sizes[index];
  // The binary form of a text is the text.
  if (values.isBinary[index] === 0 || isConverted) collectText(values.bytes, start, end, rule, values);
  else if (!isSame(values.bytes, start, end, rule, values)) collected = UNKNOWN_SHARD;
  else if (type === 0 && cast !== null && !isCastAlike(cast, rule.keyType)) collected = UNKNOWN_SHARD;
  else collect(rule.ofBinary(values.bytes, start, end));
}

/** text and varchar. */
const TEXT_OIDS: ReadonlySet<number> = new Set([25, 1043]);

/** $1::bigint of a text: the key type's own reading of it, as of a parameter whose type is not declared. */
function isReadFromText(cast: string, keyType: ShardKeyType): boolean {
  return READ_FROM_TEXT.has(keyType) && isCastAlike(cast, keyType);
}

/** No setting and no length has a say in how these are read. */
const READ_FROM_TEXT: ReadonlySet<ShardKeyType> = new Set(['int2', 'int4', 'int8', 'uuid']);

/** Binary parameters of a type that a cast infers: integers tell their size, others must be of the key's own type. */
function isCastAlike(cast: string, keyType: ShardKeyType): boolean {
  const name = cast.slice(cast.indexOf('.') + 1);
  if (keyType === 'int2' || keyType === 'int4' || keyType === 'int8') {
    return name === 'int2' || name === 'int4' || name === 'int8';
  }
  return name === keyType || (keyType === 'text' && name === 'varchar');
}

function textItems(rule: ShardFunction, values: StatementValues): TakeItem {
  // exempt: once per array of keys
  return (bytes, start, end) => {
    collectText(bytes, start, end, rule, values);
    return isOpen();
  };
}

function collectArray(index: number, rule: ShardFunction, values: StatementValues): void {
  const type = values.typeOf(index);
  const isThere = index < values.count && values.sizes[index] >= 0;
  if (!isThere || (type !== 0 && !ARRAY_OIDS[rule.keyType].has(type))) {
    // = ANY(NULL) selects nothing.
    if (index < values.count && values.sizes[index] === IS_NULL) return;
    collected = UNKNOWN_SHARD;
    return;
  }
  const start = values.starts[index];
  const end = start + values.sizes[index];
  const isRead =
    values.isBinary[index] === 0
      ? readTextArray(values.bytes, start, end, textItems(rule, values), takeNull(rule))
      : readBinaryArray(
          values.bytes,
          start,
          end,
          (oid) => OIDS[rule.keyType].has(oid),
          (bytes, from, to) => {
            collect(isSame(bytes, from, to, rule, values) ? rule.ofBinary(bytes, from, to) : UNKNOWN_SHARD);
            return isOpen();
          },
          takeNull(rule),
        );
  if (!isRead) collected = UNKNOWN_SHARD;
}
