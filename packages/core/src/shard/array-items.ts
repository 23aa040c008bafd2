/**
 * Items of one-dimensional arrays, for `key = ANY($1)`: text form (array_in, src/backend/utils/adt/arrayfuncs.c) without
 * quotes, escapes or inner braces, and binary form (array_recv). What looks otherwise is not read.
 */

/** Calls `take` with each item that is not NULL. @returns false: it cannot be read, or `take` has refused an item */
export type TakeItem = (bytes: Uint8Array, start: number, end: number) => boolean;

const COMMA = 0x2c;

export function readTextArray(bytes: Uint8Array, start: number, end: number, take: TakeItem): boolean {
  if (end - start < 2 || bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return false;
  const last = end - 1;
  let from = start + 1;
  if (isBlank(bytes, from, last)) return true;
  for (let at = from; at <= last; at++) {
    const byte = at === last ? COMMA : bytes[at];
    if (byte === 0x22 || byte === 0x5c || byte === 0x7b || byte === 0x7d) return false;
    if (byte !== COMMA) continue;
    if (!takeTextItem(bytes, from, at, take)) return false;
    from = at + 1;
  }
  return true;
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0x20) return false;
  return true;
}

function takeTextItem(bytes: Uint8Array, from: number, to: number, take: TakeItem): boolean {
  let start = from;
  let end = to;
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  if (start === end) return false;
  return isNull(bytes, start, end) || take(bytes, start, end);
}

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

function isNull(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 4) return false;
  for (let i = 0; i < 4; i++) if ((bytes[start + i] | 0x20) !== NULL_TEXT[i]) return false;
  return true;
}

const NULL_TEXT = [0x6e, 0x75, 0x6c, 0x6c];

/** @param itemType is asked whether items of this type oid can be read */
export function readBinaryArray(
  bytes: Uint8Array,
  start: number,
  end: number,
  itemType: (oid: number) => boolean,
  take: TakeItem,
): boolean {
  if (end - start < 12) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  const dimensions = view.getInt32(0);
  if (!itemType(view.getUint32(8))) return false;
  if (dimensions === 0) return end - start === 12;
  if (dimensions !== 1 || end - start < 20) return false;
  const count = view.getInt32(12);
  let at = 20;
  for (let index = 0; index < count; index++) {
    if (at + 4 > view.byteLength) return false;
    const size = view.getInt32(at);
    at += 4;
    if (size < 0) continue;
    if (at + size > view.byteLength || !take(bytes, start + at, start + at + size)) return false;
    at += size;
  }
  return at === view.byteLength;
}
