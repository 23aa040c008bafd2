// ● per-frame path
/**
 * The order that Postgres gives the values of a type, by type and format. The caller has checked what setting-needs.ts says,
 * and that collations order bytes as C and POSIX do.
 */
import { compareBytes, comparePadded, INCOMPARABLE, type ValueOrder } from './byte-order.js';
import { compareDecimalText, compareNumericBinary } from './decimal-order.js';
import { compareInt2, compareInt4, compareInt8, compareIntegerText } from './integer-order.js';
import { compareDateText, compareTimestampText, compareTimestamptzText } from './moment.js';
import { VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

const COLON = 0x3a;
const BACKSLASH = 0x5c;
const UUID_TEXT_BYTES = 36;

/** `f` before `t`. */
const compareBoolText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
  if (aEnd - aStart !== 1 || bEnd - bStart !== 1) return INCOMPARABLE;
  const isOne = a[aStart] === 0x74;
  const isOther = b[bStart] === 0x74;
  if ((!isOne && a[aStart] !== 0x66) || (!isOther && b[bStart] !== 0x66)) return INCOMPARABLE;
  return isOne === isOther ? 0 : isOne ? 1 : -1;
};

const compareBoolBinary: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
  if (aEnd - aStart !== 1 || bEnd - bStart !== 1 || a[aStart] > 1 || b[bStart] > 1) return INCOMPARABLE;
  return a[aStart] - b[bStart];
};

/** oid: four bytes without a sign. */
const compareOidBinary: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 4 && bEnd - bStart === 4 ? compareBytes(a, aStart, aEnd, b, bStart, bEnd) : INCOMPARABLE;

/** "char": the byte, nothing for zero, or \ooo in octal; -1 for what is none. */
export function charOf(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size === 0) return 0;
  if (size === 1) return bytes[start];
  if (size !== 4 || bytes[start] !== BACKSLASH) return -1;
  let value = 0;
  for (let at = start + 1; at < end; at++) {
    if (bytes[at] < 0x30 || bytes[at] > 0x37) return -1;
    value = value * 8 + bytes[at] - 0x30;
  }
  return value > 0xff ? -1 : value;
}

const compareCharText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
  const one = charOf(a, aStart, aEnd);
  const other = charOf(b, bStart, bEnd);
  return one < 0 || other < 0 ? INCOMPARABLE : Math.sign(one - other);
};

const compareCharBinary: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 1 && bEnd - bStart === 1 ? Math.sign(a[aStart] - b[bStart]) : INCOMPARABLE;

/** Lower case and hyphens at the same places in all: in the order of the bytes. */
const compareUuidText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === UUID_TEXT_BYTES && bEnd - bStart === UUID_TEXT_BYTES
    ? compareBytes(a, aStart, aEnd, b, bStart, bEnd)
    : INCOMPARABLE;

const compareUuidBinary: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 16 && bEnd - bStart === 16
    ? compareBytes(a, aStart, aEnd, b, bStart, bEnd)
    : INCOMPARABLE;

/** \x and digits in lower case. The escape format of bytea_output has another order. */
export const isByteaHex = (bytes: Uint8Array, start: number, end: number): boolean =>
  end - start >= 2 && (end - start) % 2 === 0 && bytes[start] === BACKSLASH && bytes[start + 1] === 0x78;

const compareByteaText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  isByteaHex(a, aStart, aEnd) && isByteaHex(b, bStart, bEnd)
    ? compareBytes(a, aStart, aEnd, b, bStart, bEnd)
    : INCOMPARABLE;

const isTimeText = (bytes: Uint8Array, start: number, end: number): boolean =>
  end - start >= 8 && bytes[start + 2] === COLON && bytes[start + 5] === COLON;

/** HH:MM:SS[.digits], zeros behind the last digit left out: in the order of the bytes. */
const compareTimeText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  isTimeText(a, aStart, aEnd) && isTimeText(b, bStart, bEnd)
    ? compareBytes(a, aStart, aEnd, b, bStart, bEnd)
    : INCOMPARABLE;

const float = new DataView(new ArrayBuffer(8));

/** The number in bytes[start, start + size), size 4 or 8. */
export function readFloat(bytes: Uint8Array, start: number, size: number): number {
  for (let index = 0; index < size; index++) float.setUint8(index, bytes[start + index]);
  return size === 8 ? float.getFloat64(0) : float.getFloat32(0);
}

/** NaN is the greatest and equal to itself; -0 equals 0. */
function compareFloats(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, size: number): number {
  const one = readFloat(a, aStart, size);
  const other = readFloat(b, bStart, size);
  if (one < other) return -1;
  if (one > other) return 1;
  if (one === other) return 0;
  return Math.sign(Number(Number.isNaN(one)) - Number(Number.isNaN(other)));
}

const compareFloat4: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 4 && bEnd - bStart === 4 ? compareFloats(a, aStart, b, bStart, 4) : INCOMPARABLE;
const compareFloat8: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 8 && bEnd - bStart === 8 ? compareFloats(a, aStart, b, bStart, 8) : INCOMPARABLE;

/** In text, in binary. */
const ORDERS: Record<number, readonly [ValueOrder, ValueOrder]> = {
  [VALUE_TYPE.bool]: [compareBoolText, compareBoolBinary],
  [VALUE_TYPE.bytea]: [compareByteaText, compareBytes],
  [VALUE_TYPE.char]: [compareCharText, compareCharBinary],
  [VALUE_TYPE.name]: [compareBytes, compareBytes],
  [VALUE_TYPE.int8]: [compareIntegerText, compareInt8],
  [VALUE_TYPE.int2]: [compareIntegerText, compareInt2],
  [VALUE_TYPE.int4]: [compareIntegerText, compareInt4],
  [VALUE_TYPE.text]: [compareBytes, compareBytes],
  [VALUE_TYPE.oid]: [compareIntegerText, compareOidBinary],
  [VALUE_TYPE.float4]: [compareDecimalText, compareFloat4],
  [VALUE_TYPE.float8]: [compareDecimalText, compareFloat8],
  [VALUE_TYPE.bpchar]: [comparePadded, comparePadded],
  [VALUE_TYPE.varchar]: [compareBytes, compareBytes],
  [VALUE_TYPE.date]: [compareDateText, compareInt4],
  [VALUE_TYPE.time]: [compareTimeText, compareInt8],
  [VALUE_TYPE.timestamp]: [compareTimestampText, compareInt8],
  [VALUE_TYPE.timestamptz]: [compareTimestamptzText, compareInt8],
  [VALUE_TYPE.numeric]: [compareDecimalText, compareNumericBinary],
  [VALUE_TYPE.uuid]: [compareUuidText, compareUuidBinary],
};

/** null: no order is known here for this type in this format. */
export function orderOf(typeOid: number, format: number): ValueOrder | null {
  if (format !== VALUE_FORMAT.text && format !== VALUE_FORMAT.binary) return null;
  return ORDERS[typeOid]?.[format] ?? null;
}
