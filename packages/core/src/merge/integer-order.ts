// ● per-frame path
/** The order of whole numbers, in decimal and in binary, without making numbers of them: int8 does not fit one. */
import { compareBytes, INCOMPARABLE, type ValueOrder } from './byte-order.js';

const DASH = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
/** Of 2^63. */
const DIGITS_MAX = 19;

/** Digits as Postgres writes them: no zero before others. Else the longer would not be the greater. */
function isWhole(bytes: Uint8Array, start: number, end: number): boolean {
  const size = end - start;
  if (size < 1 || size > DIGITS_MAX || (size > 1 && bytes[start] === ZERO)) return false;
  for (let at = start; at < end; at++) if (bytes[at] < ZERO || bytes[at] > NINE) return false;
  return true;
}

export const compareIntegerText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
  const isNegative = aStart < aEnd && a[aStart] === DASH;
  const isOtherNegative = bStart < bEnd && b[bStart] === DASH;
  const aFirst = isNegative ? aStart + 1 : aStart;
  const bFirst = isOtherNegative ? bStart + 1 : bStart;
  if (!isWhole(a, aFirst, aEnd) || !isWhole(b, bFirst, bEnd)) return INCOMPARABLE;
  if (isNegative !== isOtherNegative) return isNegative ? -1 : 1;
  const longer = aEnd - aFirst - (bEnd - bFirst);
  const absolute = longer !== 0 ? (longer < 0 ? -1 : 1) : compareBytes(a, aFirst, aEnd, b, bFirst, bEnd);
  return isNegative && absolute !== 0 ? -absolute : absolute;
};

/** Two's complement, high byte first: int2, int4, int8, and what is stored as one of them. */
function compareSigned(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, size: number): number {
  // The sign bit turned over, all compare as unsigned.
  const first = (a[aAt] ^ 0x80) - (b[bAt] ^ 0x80);
  if (first !== 0) return first < 0 ? -1 : 1;
  for (let index = 1; index < size; index++) {
    const difference = a[aAt + index] - b[bAt + index];
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return 0;
}

export const compareInt2: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 2 && bEnd - bStart === 2 ? compareSigned(a, aStart, b, bStart, 2) : INCOMPARABLE;
export const compareInt4: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 4 && bEnd - bStart === 4 ? compareSigned(a, aStart, b, bStart, 4) : INCOMPARABLE;
export const compareInt8: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  aEnd - aStart === 8 && bEnd - bStart === 8 ? compareSigned(a, aStart, b, bStart, 8) : INCOMPARABLE;
