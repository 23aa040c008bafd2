// ● per-frame path
/**
 * Values as bytes that are equal exactly when Postgres calls the values equal: for DISTINCT and GROUP BY. The caller has
 * checked what setting-needs.ts says, and that collations are deterministic, as all are that were not made otherwise.
 */
import { withoutSpaces } from './byte-order.js';
import { isDecimalText, NUMERIC_HEADER_BYTES, NUMERIC_SIGN, numericDigitCount } from './decimal-order.js';
import type { KeyBuffer } from './key-buffer.js';
import { MOMENT, moment, readMoment } from './moment.js';
import { readFloat } from './value-order.js';
import { VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/** Appends the value's key; false when bytes[start, end) is no value of the type. */
export type WriteValueKey = (key: KeyBuffer, bytes: Uint8Array, start: number, end: number) => boolean;

/** Equal values have equal bytes. */
export const sameBytes: WriteValueKey = (key, bytes, start, end) => key.append(bytes, start, end);

const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const EXPONENT = 0x65;

/** char(n): spaces behind it do not count. */
const paddedKey: WriteValueKey = (key, bytes, start, end) =>
  key.append(bytes, start, withoutSpaces(bytes, start, end));

/** Two floats that differ have texts that differ; only zero has two. */
const floatTextKey: WriteValueKey = (key, bytes, start, end) => {
  if (!isDecimalText(bytes, start, end)) return false;
  const isMinusZero = end - start === 2 && bytes[start] === DASH && bytes[start + 1] === ZERO;
  return key.append(bytes, isMinusZero ? start + 1 : start, end);
};

function floatKey(key: KeyBuffer, bytes: Uint8Array, start: number, end: number, size: number): boolean {
  if (end - start !== size) return false;
  const value = readFloat(bytes, start, size);
  // One byte for each of the two that have several forms; no float has one byte.
  if (value === 0) return key.byte(0);
  if (Number.isNaN(value)) return key.byte(1);
  return key.append(bytes, start, end);
}

/** 1.50 is 1.5: without zeros behind the last digit. */
const numericTextKey: WriteValueKey = (key, bytes, start, end) => {
  if (!isDecimalText(bytes, start, end)) return false;
  let point = start;
  while (point < end && bytes[point] !== DOT) point++;
  // Only floats are written with an exponent, whose zeros would be cut off here.
  for (let at = start; at < end; at++) if (bytes[at] === EXPONENT) return false;
  let last = end;
  if (point < end) {
    while (last > point + 1 && bytes[last - 1] === ZERO) last--;
    if (last === point + 1) last = point;
  }
  return key.append(bytes, start, last);
};

/** Sign, weight and digits, without zeros before and behind them and without the scale to show. */
const numericBinaryKey: WriteValueKey = (key, bytes, start, end) => {
  if (numericDigitCount(bytes, start, end) < 0) return false;
  const sign = (bytes[start + 4] << 8) | bytes[start + 5];
  const isNumber = sign === NUMERIC_SIGN.positive || sign === NUMERIC_SIGN.negative;
  if (!isNumber) return key.byte(bytes[start + 4]);
  let weight = (((bytes[start + 2] << 8) | bytes[start + 3]) << 16) >> 16;
  let first = start + NUMERIC_HEADER_BYTES;
  let last = end;
  for (; first < last && bytes[first] === 0 && bytes[first + 1] === 0; first += 2) weight--;
  while (last > first && bytes[last - 1] === 0 && bytes[last - 2] === 0) last -= 2;
  if (first === last) return key.byte(0);
  return key.byte(bytes[start + 4]) && key.int32(weight) && key.append(bytes, first, last);
};

function momentKey(key: KeyBuffer, bytes: Uint8Array, start: number, end: number, form: number): boolean {
  if (!readMoment(bytes, start, end, form)) return false;
  if (!Number.isFinite(moment.days)) return key.byte(moment.days < 0 ? 0 : 1);
  return (
    key.int32(moment.days) &&
    key.int32(Math.floor(moment.micros / 0x100000000)) &&
    key.int32(moment.micros % 0x100000000)
  );
}

/** In text, in binary. */
const KEYS: Record<number, readonly [WriteValueKey, WriteValueKey]> = {
  [VALUE_TYPE.bool]: [sameBytes, sameBytes],
  [VALUE_TYPE.bytea]: [sameBytes, sameBytes],
  [VALUE_TYPE.char]: [sameBytes, sameBytes],
  [VALUE_TYPE.name]: [sameBytes, sameBytes],
  [VALUE_TYPE.int8]: [sameBytes, sameBytes],
  [VALUE_TYPE.int2]: [sameBytes, sameBytes],
  [VALUE_TYPE.int4]: [sameBytes, sameBytes],
  [VALUE_TYPE.text]: [sameBytes, sameBytes],
  [VALUE_TYPE.oid]: [sameBytes, sameBytes],
  [VALUE_TYPE.float4]: [floatTextKey, (key, bytes, start, end) => floatKey(key, bytes, start, end, 4)],
  [VALUE_TYPE.float8]: [floatTextKey, (key, bytes, start, end) => floatKey(key, bytes, start, end, 8)],
  [VALUE_TYPE.bpchar]: [paddedKey, paddedKey],
  [VALUE_TYPE.varchar]: [sameBytes, sameBytes],
  [VALUE_TYPE.date]: [(key, bytes, start, end) => momentKey(key, bytes, start, end, MOMENT.date), sameBytes],
  [VALUE_TYPE.time]: [sameBytes, sameBytes],
  [VALUE_TYPE.timestamp]: [
    (key, bytes, start, end) => momentKey(key, bytes, start, end, MOMENT.timestamp),
    sameBytes,
  ],
  [VALUE_TYPE.timestamptz]: [
    (key, bytes, start, end) => momentKey(key, bytes, start, end, MOMENT.timestamptz),
    sameBytes,
  ],
  [VALUE_TYPE.numeric]: [numericTextKey, numericBinaryKey],
  [VALUE_TYPE.uuid]: [sameBytes, sameBytes],
};

/** null: when values of this type in this format are equal is not known here. */
export function valueKeyOf(typeOid: number, format: number): WriteValueKey | null {
  if (format !== VALUE_FORMAT.text && format !== VALUE_FORMAT.binary) return null;
  return KEYS[typeOid]?.[format] ?? null;
}
