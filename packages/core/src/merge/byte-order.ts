// ● per-frame path
/**
 * Orders of values on the bytes of a DataRow: a value is bytes[start, end), which the caller has seen to be inside its row.
 */

/** Neither less, equal nor greater: one of the two is no value of its type. Every comparison here may give it. */
export const INCOMPARABLE = 2;

/** @returns -1, 0, 1, or INCOMPARABLE */
export type ValueOrder = (
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
) => number;

/** memcmp(), then the shorter first: text under a collation like C, bytea, uuid. */
export const compareBytes: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
  const shared = Math.min(aEnd - aStart, bEnd - bStart);
  for (let index = 0; index < shared; index++) {
    const difference = a[aStart + index] - b[bStart + index];
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return Math.sign(aEnd - aStart - (bEnd - bStart));
};

/** Where bytes[start, end) ends without the spaces behind it. */
export function withoutSpaces(bytes: Uint8Array, start: number, end: number): number {
  let last = end;
  while (last > start && bytes[last - 1] === 0x20) last--;
  return last;
}

/** char(n): the spaces behind it are not part of the value. */
export const comparePadded: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  compareBytes(a, aStart, withoutSpaces(a, aStart, aEnd), b, bStart, withoutSpaces(b, bStart, bEnd));
