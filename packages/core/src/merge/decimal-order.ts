// ● per-frame path
/**
 * The order of numbers that are written in decimal (numeric, float4, float8 in text) and of numeric in binary, on the bytes
 * themselves: nothing is rounded, nothing is made. Two floats have the same order as their shortest texts have.
 *
 * -Infinity < numbers < Infinity < NaN, and NaN equals NaN: src/backend/utils/adt/numeric.c, cmp_numerics; float.h, float8_gt.
 */
import { INCOMPARABLE } from './byte-order.js';

const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** Rank of what was scanned: numbers of the same rank are compared digit by digit. */
const RANK = { minusInfinity: -3, negative: -1, zero: 0, positive: 1, infinity: 3, nan: 4 } as const;
const NO_RANK = 9;

/** Where the first digit that is not zero stands, and how many digits the point is behind it: left by scan(). */
let digitsAt = 0;
let digitsEnd = 0;
let magnitude = 0;

function isWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) {
    if (bytes[start + index] !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** The rank, or NO_RANK when this is no number. Sets digitsAt, digitsEnd and magnitude of one that is not zero. */
function scan(bytes: Uint8Array, start: number, end: number): number {
  const isNegative = start < end && bytes[start] === DASH;
  const from = isNegative ? start + 1 : start;
  if (from < end && bytes[from] > NINE) {
    if (isWord(bytes, from, end, 'Infinity')) return isNegative ? RANK.minusInfinity : RANK.infinity;
    return !isNegative && isWord(bytes, from, end, 'NaN') ? RANK.nan : NO_RANK;
  }
  let at = from;
  let point = -1;
  let first = -1;
  for (; at < end; at++) {
    const byte = bytes[at];
    if (byte === DOT && point < 0) point = at;
    else if (byte < ZERO || byte > NINE) break;
    else if (byte !== ZERO && first < 0) first = at;
  }
  if (at - from - (point < 0 ? 0 : 1) < 1) return NO_RANK;
  const exponent = at === end ? 0 : exponentAt(bytes, at, end);
  if (Number.isNaN(exponent)) return NO_RANK;
  if (first < 0) return RANK.zero;
  if (point < 0) point = at;
  digitsAt = first;
  digitsEnd = at;
  // Digits between the first one and the point; behind the point it is zero or less.
  magnitude = exponent + (first < point ? point - first : point - first + 1);
  return isNegative ? RANK.negative : RANK.positive;
}

/** `e+20` and nothing behind it; NaN else. */
function exponentAt(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  if (bytes[start] !== 0x65 || at >= end) return Number.NaN;
  const isNegative = bytes[at] === DASH;
  if (isNegative || bytes[at] === 0x2b) at++;
  // Floats have three digits at most.
  if (at === end || end - at > 4) return Number.NaN;
  let value = 0;
  for (; at < end; at++) {
    if (bytes[at] < ZERO || bytes[at] > NINE) return Number.NaN;
    value = value * 10 + bytes[at] - ZERO;
  }
  return isNegative ? -value : value;
}

/** Digits behind the first one, points left out; the shorter goes on with zeros. */
function compareDigits(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  let aAt = aStart;
  let bAt = bStart;
  while (aAt < aEnd || bAt < bEnd) {
    if (aAt < aEnd && a[aAt] === DOT) aAt++;
    if (bAt < bEnd && b[bAt] === DOT) bAt++;
    const aDigit = aAt < aEnd ? a[aAt] : ZERO;
    const bDigit = bAt < bEnd ? b[bAt] : ZERO;
    if (aDigit !== bDigit) return aDigit < bDigit ? -1 : 1;
    aAt++;
    bAt++;
  }
  return 0;
}

export function compareDecimalText(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aRank = scan(a, aStart, aEnd);
  const aDigitsAt = digitsAt;
  const aDigitsEnd = digitsEnd;
  const aMagnitude = magnitude;
  const bRank = scan(b, bStart, bEnd);
  if (aRank === NO_RANK || bRank === NO_RANK) return INCOMPARABLE;
  if (aRank !== bRank) return aRank < bRank ? -1 : 1;
  if (aRank !== RANK.positive && aRank !== RANK.negative) return 0;
  const absolute =
    aMagnitude !== magnitude
      ? aMagnitude < magnitude
        ? -1
        : 1
      : compareDigits(a, aDigitsAt, aDigitsEnd, b, digitsAt, digitsEnd);
  return aRank === RANK.positive || absolute === 0 ? absolute : -absolute;
}

/** Is bytes[start, end) a number in decimal, of those that Postgres writes? */
export const isDecimalText = (bytes: Uint8Array, start: number, end: number): boolean =>
  scan(bytes, start, end) !== NO_RANK;

/** Sign word of numeric in binary. */
export const NUMERIC_SIGN = {
  positive: 0,
  negative: 0x4000,
  nan: 0xc000,
  infinity: 0xd000,
  minusInfinity: 0xf000,
} as const;
export const NUMERIC_HEADER_BYTES = 8;

const word = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

/** Number of digits of base 10,000, or -1 when this is no numeric in binary. */
export function numericDigitCount(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < NUMERIC_HEADER_BYTES) return -1;
  const count = word(bytes, start);
  if (end - start !== NUMERIC_HEADER_BYTES + 2 * count) return -1;
  for (let at = start + NUMERIC_HEADER_BYTES; at < end; at += 2) if (word(bytes, at) > 9999) return -1;
  return count;
}

/** As scan(), of numeric in binary: magnitude counts digits of base 10,000. */
function scanBinary(bytes: Uint8Array, start: number, end: number): number {
  if (numericDigitCount(bytes, start, end) < 0) return NO_RANK;
  const sign = word(bytes, start + 4);
  if (sign === NUMERIC_SIGN.nan) return RANK.nan;
  if (sign === NUMERIC_SIGN.infinity) return RANK.infinity;
  if (sign === NUMERIC_SIGN.minusInfinity) return RANK.minusInfinity;
  if (sign !== NUMERIC_SIGN.positive && sign !== NUMERIC_SIGN.negative) return NO_RANK;
  let at = start + NUMERIC_HEADER_BYTES;
  magnitude = (word(bytes, start + 2) << 16) >> 16;
  for (; at < end && word(bytes, at) === 0; at += 2) magnitude--;
  digitsAt = at;
  digitsEnd = end;
  if (at === end) return RANK.zero;
  return sign === NUMERIC_SIGN.negative ? RANK.negative : RANK.positive;
}

export function compareNumericBinary(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aRank = scanBinary(a, aStart, aEnd);
  const aDigitsAt = digitsAt;
  const aMagnitude = magnitude;
  const bRank = scanBinary(b, bStart, bEnd);
  if (aRank === NO_RANK || bRank === NO_RANK) return INCOMPARABLE;
  if (aRank !== bRank) return aRank < bRank ? -1 : 1;
  if (aRank !== RANK.positive && aRank !== RANK.negative) return 0;
  let absolute = 0;
  if (aMagnitude !== magnitude) absolute = aMagnitude < magnitude ? -1 : 1;
  for (
    let aAt = aDigitsAt, bAt = digitsAt;
    absolute === 0 && (aAt < aEnd || bAt < bEnd);
    aAt += 2, bAt += 2
  ) {
    const aDigit = aAt < aEnd ? word(a, aAt) : 0;
    const bDigit = bAt < bEnd ? word(b, bAt) : 0;
    if (aDigit !== bDigit) absolute = aDigit < bDigit ? -1 : 1;
  }
  return aRank === RANK.positive || absolute === 0 ? absolute : -absolute;
}
