// ● per-frame path
import {
  keyValue,
  readByteaText,
  readDateText,
  readIntegerBinary,
  readIntegerText,
  readNumericBinary,
  readNumericText,
  readTimestampText,
  readUuidBinary,
  readUuidText,
} from './key-value.js';
import {
  partitionOfBytes,
  partitionOfInteger,
  partitionOfNumeric,
  partitionOfUint32,
} from './partition-hash.js';

/** Types of columns that data may be sharded by. varchar and text hash alike, int2, int4 and int8 too. */
export type ShardKeyType =
  | 'int2'
  | 'int4'
  | 'int8'
  | 'uuid'
  | 'text'
  | 'bytea'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'numeric';

/** The value's conversion is not known to us: it may be on any shard. */
export const UNKNOWN_SHARD = -1;

const BITS: Partial<Record<ShardKeyType, number>> = { int2: 16, int4: 32, int8: 64 };

/**
 * The shard of a value in its text form: a literal's, or a parameter's.
 * @param bytes bytes[start, end) in the encoding of the server: text is hashed as it is stored
 * @returns 0 to count - 1, or UNKNOWN_SHARD
 */
export function shardOfText(
  type: ShardKeyType,
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): number {
  switch (type) {
    case 'int2':
    case 'int4':
    case 'int8':
      return readIntegerText(bytes, start, end, BITS[type] ?? 64) ? ofInteger(count) : UNKNOWN_SHARD;
    case 'uuid':
      return readUuidText(bytes, start, end) ? ofBytes(count) : UNKNOWN_SHARD;
    case 'text':
      return partitionOfBytes(bytes, start, end, count);
    case 'bytea':
      return readByteaText(bytes, start, end) ? ofBytes(count) : UNKNOWN_SHARD;
    case 'date':
      return readDateText(bytes, start, end) ? partitionOfUint32(keyValue.low, count) : UNKNOWN_SHARD;
    case 'timestamp':
      return readTimestampText(bytes, start, end, false) ? ofInteger(count) : UNKNOWN_SHARD;
    case 'timestamptz':
      return readTimestampText(bytes, start, end, true) ? ofInteger(count) : UNKNOWN_SHARD;
    case 'numeric':
      return readNumericText(bytes, start, end) ? ofNumeric(count) : UNKNOWN_SHARD;
  }
}

/** The shard of a parameter in binary. Integers may come with any of the three sizes: what the client declared. */
export function shardOfBinary(
  type: ShardKeyType,
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): number {
  switch (type) {
    case 'int2':
    case 'int4':
    case 'int8':
      return readIntegerBinary(bytes, start, end) ? ofInteger(count) : UNKNOWN_SHARD;
    case 'timestamp':
    case 'timestamptz':
      if (end - start !== 8) return UNKNOWN_SHARD;
      return readIntegerBinary(bytes, start, end) ? ofInteger(count) : UNKNOWN_SHARD;
    case 'date':
      if (end - start !== 4) return UNKNOWN_SHARD;
      return readIntegerBinary(bytes, start, end) ? partitionOfUint32(keyValue.low, count) : UNKNOWN_SHARD;
    case 'uuid':
      return readUuidBinary(bytes, start, end) ? ofBytes(count) : UNKNOWN_SHARD;
    case 'text':
    case 'bytea':
      return partitionOfBytes(bytes, start, end, count);
    case 'numeric':
      return readNumericBinary(bytes, start, end) ? ofNumeric(count) : UNKNOWN_SHARD;
  }
}

const ofInteger = (count: number): number => partitionOfInteger(keyValue.high, keyValue.low, count);
const ofBytes = (count: number): number => partitionOfBytes(keyValue.bytes, 0, keyValue.size, count);
const ofNumeric = (count: number): number =>
  partitionOfNumeric(keyValue.bytes, keyValue.size, keyValue.weight, count);
