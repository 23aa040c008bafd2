/**
 * Items of one-dimensional arrays, for `key = ANY($1)` and rows of unnest(): text form (array_in,
 * src/backend/utils/adt/arrayfuncs.c) without inner braces, and binary form (array_recv). What looks otherwise is not read.
 */

/** Calls `take` with each item that is not NULL. @returns false: it cannot be read, or `take` has refused an item */
export type TakeItem = (bytes: Uint8Array, start: number, end: number) => boolean;
type TakeNull = () => boolean;

const skip: TakeNull = () => true;
const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NOWHERE = -1;

export function readTextArray(
  bytes: Uint8Array,
  start: number,
  end: number,
  take: TakeItem,
  takeNull: TakeNull = skip,
): boolean {
  if (end - start < 2 || bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return false;
  const last = end - 1;
  let at = skipSpace(bytes, start + 1, last);
  if (at === last) return true;
  for (;;) {
    const next =
      bytes[at] === QUOTE ? readQuoted(bytes, at + 1, last, take) : readBare(bytes, at, last, take, takeNull);
    if (next === NOWHERE) return false;
    if (next === last) return true;
    at = skipSpace(bytes, next + 1, last);
  }
}

/** @returns where the item ends: at a comma, or `last` */
function readBare(
  bytes: Uint8Array,
  start: number,
  last: number,
  take: TakeItem,
  takeNull: TakeNull,
): number {
  let stop = start;
  for (; stop < last && bytes[stop] !== COMMA; stop++) {
    const byte = bytes[stop];
    if (byte === QUOTE || byte === BACKSLASH || byte === 0x7b || byte === 0x7d) return NOWHERE;
  }
  let end = stop;
  while (end > start && isSpace(bytes[end - 1])) end--;
  if (start === end) return NOWHERE;
  const isTaken = isNull(bytes, start, end) ? takeNull() : take(bytes, start, end);
  return isTaken ? stop : NOWHERE;
}

/** bytes[start] is the first one behind the quote. */
function readQuoted(bytes: Uint8Array, start: number, last: number, take: TakeItem): number {
  let close = start;
  let escapes = 0;
  for (; close < last && bytes[close] !== QUOTE; close++) {
    if (bytes[close] !== BACKSLASH) continue;
    escapes++;
    close++;
  }
  if (close >= last) return NOWHERE;
  const stop = skipSpace(bytes, close + 1, last);
  if (stop < last && bytes[stop] !== COMMA) return NOWHERE;
  const item = escapes === 0 ? null : unescaped(bytes, start, close, escapes);
  const isTaken = item === null ? take(bytes, start, close) : take(item, 0, item.length);
  return isTaken ? stop : NOWHERE;
}

function unescaped(bytes: Uint8Array, start: number, end: number, escapes: number): Uint8Array {
  // exempt: of items with quotes or backslashes in them
  const item = new Uint8Array(end - start - escapes);
  let size = 0;
  for (let at = start; at < end; at++) {
    if (bytes[at] === BACKSLASH) at++;
    item[size++] = bytes[at];
  }
  return item;
}

function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(bytes[at])) at++;
  return at;
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
  takeNull: TakeNull = skip,
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
    if (size < 0 && !takeNull()) return false;
    if (size < 0) continue;
    if (at + size > view.byteLength || !take(bytes, start + at, start + at + size)) return false;
    at += size;
  }
  return at === view.byteLength;
}
