// ● per-frame path
import { createHash } from 'node:crypto';
import type { KeyLookups, LookupKey } from './key-lookups.js';
import {
  keyValue,
  readByteaText,
  readDateText,
  readIntegerBinary,
  readIntegerText,
  readTimestampText,
  readUuidBinary,
  readUuidText,
} from './key-value.js';
import { compareMappingValues, type MappingValue, readMappingValue } from './mapping-value.js';
import { NULL_PARTITION } from './partition-hash.js';
import { type ShardKeyType, shardOfBinary, shardOfText, UNKNOWN_SHARD } from './shard-of-value.js';
import type { ShardMapping, ShardRule } from './sharding-snapshot.js';

const encoder = new TextEncoder();

/** A value by which lists and ranges are searched: numbers by size, others byte by byte. */
type MapKey = LookupKey;

/** From `from` on, before `to`; `isClosed`: and `to` itself. */
interface DecimalRange {
  readonly from: MappingValue | null;
  readonly to: MappingValue | null;
  readonly isClosed: boolean;
  readonly shard: number;
}

/** Values that stand alone are ranges of one. */
function decimalRanges(mapping: Exclude<ShardMapping, { kind: 'default' }>): DecimalRange[] {
  const read = (text: string): MappingValue => {
    const value = readMappingValue('numeric', text);
    if (value === null) throw new RangeError(`"${text}" is no value of type numeric`);
    return value;
  };
  const { shard } = mapping;
  if (mapping.kind === 'list') {
    return mapping.values.map((text) => ({ from: read(text), to: read(text), isClosed: true, shard }));
  }
  const { start, end } = mapping;
  return [
    {
      from: start === null ? null : read(start),
      to: end === null ? null : read(end),
      isClosed: false,
      shard,
    },
  ];
}

interface Range {
  readonly start: MapKey | null;
  readonly end: MapKey | null;
  readonly shard: number;
}

/** Turns keys of one [[sharded_tables]] into shards. */
export class ShardFunction {
  readonly keyType: ShardKeyType;
  private readonly kind: ShardRule['function'];
  private readonly count: number;
  private readonly list = new Map<MapKey, number>();
  private readonly ranges: Range[] = [];
  private readonly otherwise: number = UNKNOWN_SHARD;
  /** Of numeric, whose values are compared by size whatever their scale. */
  private readonly decimals: DecimalRange[] = [];
  /** Of a rule with a query that knows; null: it has none, or nobody here may ask. */
  readonly lookups: KeyLookups | null;

  constructor(rule: ShardRule, shardCount: number, lookups: KeyLookups | null = null) {
    this.keyType = rule.keyType;
    this.kind = rule.function;
    this.count = shardCount;
    this.lookups = lookups;
    for (const mapping of rule.mapping) {
      if (mapping.kind === 'default') this.otherwise = mapping.shard;
      else this.addMapping(mapping);
    }
  }

  private addMapping(mapping: Exclude<ShardMapping, { kind: 'default' }>): void {
    if (this.keyType === 'numeric') {
      this.decimals.push(...decimalRanges(mapping));
      return;
    }
    if (mapping.kind === 'list') {
      for (const text of mapping.values) this.list.set(this.configured(text), mapping.shard);
      return;
    }
    const { start, end, shard } = mapping;
    this.ranges.push({
      start: start === null ? null : this.configured(start),
      end: end === null ? null : this.configured(end),
      shard,
    });
  }

  private configured(text: string): MapKey {
    const bytes = encoder.encode(text);
    const key = mapKeyOfText(this.keyType, bytes, 0, bytes.length);
    if (key === null) throw new RangeError(`"${text}" is no value of type ${this.keyType}`);
    return key;
  }

  /** @returns the shard of a value in text, or UNKNOWN_SHARD */
  ofText(bytes: Uint8Array, start: number, end: number): number {
    if (this.kind === 'hash') return shardOfText(this.keyType, bytes, start, end, this.count);
    if (this.keyType === 'numeric') return this.ofDecimal(bytes, start, end);
    const key = mapKeyOfText(this.keyType, bytes, start, end);
    return key === null ? UNKNOWN_SHARD : this.ofMapKey(key);
  }

  /** @returns the shard of a value in binary, or UNKNOWN_SHARD */
  ofBinary(bytes: Uint8Array, start: number, end: number): number {
    if (this.kind === 'hash') return shardOfBinary(this.keyType, bytes, start, end, this.count);
    const key = mapKeyOfBinary(this.keyType, bytes, start, end);
    return key === null ? UNKNOWN_SHARD : this.ofMapKey(key);
  }

  private ofDecimal(bytes: Uint8Array, start: number, end: number): number {
    const value = readMappingValue('numeric', latin1(bytes, start, end));
    if (value === null || this.kind === 'sha1') return UNKNOWN_SHARD;
    for (const { from, to, isClosed, shard } of this.decimals) {
      const isFrom = from === null || compareMappingValues(value, from) >= 0;
      const toOrder = to === null ? -1 : compareMappingValues(value, to);
      if (isFrom && (toOrder < 0 || (isClosed && toOrder === 0))) return shard;
    }
    return this.otherwise;
  }

  /** Where rows without a key are. */
  get ofNull(): number {
    return this.kind === 'hash' ? NULL_PARTITION : this.otherwise;
  }

  /** The key of a text that `textOfKey` has made. */
  keyOfText(text: string): LookupKey | null {
    const bytes = encoder.encode(text);
    return mapKeyOfText(this.keyType, bytes, 0, bytes.length);
  }

  /** As Postgres reads it. */
  textOfKey(key: LookupKey): string {
    if (typeof key === 'bigint') return String(key);
    const bytes = Buffer.from(key, 'latin1');
    return (this.keyType === 'uuid' ? uuidText(bytes) : bytes).toString();
  }

  private ofMapKey(key: MapKey): number {
    if (this.kind === 'lookup') return this.lookups?.find(key, this.keyType === 'text') ?? UNKNOWN_SHARD;
    if (this.kind === 'sha1') return this.ofSha1(key);
    const listed = this.list.get(key);
    if (listed !== undefined) return listed;
    for (const { start, end, shard } of this.ranges) {
      if ((start === null || key >= start) && (end === null || key < end)) return shard;
    }
    return this.otherwise;
  }

  /** The last four bytes of SHA-1 over the value's text. */
  private ofSha1(key: MapKey): number {
    const text = typeof key === 'bigint' ? Buffer.from(String(key)) : Buffer.from(key, 'latin1');
    // exempt: this function costs a hash per key
    const digest = createHash('sha1')
      .update(this.keyType === 'uuid' ? uuidText(text) : text)
      .digest();
    const last = ((digest[16] * 256 + digest[17]) * 256 + digest[18]) * 256 + digest[19];
    return last % this.count;
  }
}

function uuidText(bytes: Buffer): Buffer {
  const hex = bytes.toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return Buffer.from(parts.join('-'));
}

function mapKeyOfText(type: ShardKeyType, bytes: Uint8Array, start: number, end: number): MapKey | null {
  switch (type) {
    case 'int2':
    case 'int4':
    case 'int8':
      return readIntegerText(bytes, start, end, 64) ? integer() : null;
    case 'date':
      return readDateText(bytes, start, end) ? integer() : null;
    case 'timestamp':
      return readTimestampText(bytes, start, end, false) ? integer() : null;
    case 'timestamptz':
      return readTimestampText(bytes, start, end, true) ? integer() : null;
    case 'uuid':
      return readUuidText(bytes, start, end) ? latin1(keyValue.bytes, 0, 16) : null;
    case 'text':
      return latin1(bytes, start, end);
    case 'bytea':
      return readByteaText(bytes, start, end) ? latin1(keyValue.bytes, 0, keyValue.size) : null;
    default:
      return null;
  }
}

function mapKeyOfBinary(type: ShardKeyType, bytes: Uint8Array, start: number, end: number): MapKey | null {
  switch (type) {
    case 'uuid':
      return readUuidBinary(bytes, start, end) ? latin1(keyValue.bytes, 0, 16) : null;
    case 'text':
    case 'bytea':
      return latin1(bytes, start, end);
    case 'date':
      return end - start === 4 && readIntegerBinary(bytes, start, end) ? integer() : null;
    case 'timestamp':
    case 'timestamptz':
      return end - start === 8 && readIntegerBinary(bytes, start, end) ? integer() : null;
    case 'numeric':
      return null;
    default:
      return readIntegerBinary(bytes, start, end) ? integer() : null;
  }
}

function integer(): bigint {
  return (BigInt(keyValue.high | 0) << 32n) | BigInt(keyValue.low >>> 0);
}

/** One character a byte, so that strings compare as the bytes do. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
