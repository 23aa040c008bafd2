/**
 * Values of [[sharded_tables.mapping]] as they compare: what a type cannot hold, and what two ranges have in common, is
 * found when the configuration is read. Text compares byte by byte, whatever its collation: a mapping is ours, not a
 * server's.
 */
import {
  keyValue,
  readByteaText,
  readDateText,
  readIntegerText,
  readNumericText,
  readTimestampText,
  readUuidText,
} from './key-value.js';
import type { ShardKeyType } from './shard-of-value.js';

/** Of numeric: `unscaled` / 10^`scale`. */
export type MappingValue = bigint | Uint8Array | { readonly unscaled: bigint; readonly scale: number };

const BITS = { int2: 16, int4: 32, int8: 64 };

/** null: no value of this type, or one whose reading depends on a session's settings. */
export function readMappingValue(type: ShardKeyType, text: string): MappingValue | null {
  const bytes = new TextEncoder().encode(text);
  const end = bytes.length;
  switch (type) {
    case 'int2':
    case 'int4':
    case 'int8':
      return readIntegerText(bytes, 0, end, BITS[type]) ? integer() : null;
    case 'date':
      return readDateText(bytes, 0, end) ? integer() : null;
    case 'timestamp':
      return readTimestampText(bytes, 0, end, false) ? integer() : null;
    case 'timestamptz':
      return readTimestampText(bytes, 0, end, true) ? integer() : null;
    case 'uuid':
      return readUuidText(bytes, 0, end) ? keyValue.bytes.slice(0, keyValue.size) : null;
    case 'bytea':
      return readByteaText(bytes, 0, end) ? keyValue.bytes.slice(0, keyValue.size) : null;
    case 'numeric':
      return readNumericText(bytes, 0, end) ? decimal(text.trim()) : null;
    case 'text':
      return bytes;
  }
}

function integer(): bigint {
  return BigInt.asIntN(64, (BigInt(keyValue.high >>> 0) << 32n) | BigInt(keyValue.low >>> 0));
}

/** Digits with a sign and a point at most: readNumericText() has seen to it. */
function decimal(text: string): MappingValue {
  const isNegative = text.startsWith('-');
  const digits = isNegative || text.startsWith('+') ? text.slice(1) : text;
  const point = digits.indexOf('.');
  const scale = point === -1 ? 0 : digits.length - point - 1;
  const unscaled = BigInt(point === -1 ? digits : digits.slice(0, point) + digits.slice(point + 1));
  return { unscaled: isNegative ? -unscaled : unscaled, scale };
}

/** Below 0: a is the lesser. Both of one type. */
export function compareMappingValues(a: MappingValue, b: MappingValue): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  const [left, right] = [parts(a), parts(b)];
  const difference = left.unscaled * 10n ** BigInt(right.scale) - right.unscaled * 10n ** BigInt(left.scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function parts(value: MappingValue): { unscaled: bigint; scale: number } {
  if (typeof value === 'bigint') return { unscaled: value, scale: 0 };
  if (value instanceof Uint8Array) throw new TypeError('values of two types do not compare');
  return value;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let at = 0; at < common; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}
