// ● per-frame path
/**
 * Literals of a statement's text as the bytes of their values, where that takes no knowledge of settings or encodings.
 * Lexical structure: https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS
 */

const QUOTE = 0x27;
const BACKSLASH = 0x5c;
const DOLLAR = 0x24;
const DASH = 0x2d;
const COMMA = 0x2c;

/** What was read last: bytes[start, end), valid until the next call. */
export const literal = { bytes: new Uint8Array(0) as Uint8Array, start: 0, end: 0 };

let scratch = new Uint8Array(256);

function scratchOf(size: number): Uint8Array {
  // exempt: grows to the longest literal with a quote in it
  if (scratch.length < size) scratch = new Uint8Array(2 * size);
  return scratch;
}

function set(bytes: Uint8Array, start: number, end: number): true {
  literal.bytes = bytes;
  literal.start = start;
  literal.end = end;
  return true;
}

/**
 * The literal token bytes[start, end): a number in decimal digits, '…', E'…' without a backslash in it, or $$…$$.
 * @param isNegative a '-' stood before it
 * @returns false: it is spelt otherwise, and may mean anything
 */
export function readLiteral(bytes: Uint8Array, start: number, end: number, isNegative: boolean): boolean {
  const first = bytes[start];
  if (first === QUOTE) return !isNegative && readQuoted(bytes, start + 1, end - 1);
  if ((first | 0x20) === 0x65 && bytes[start + 1] === QUOTE) {
    return !isNegative && readQuoted(bytes, start + 2, end - 1);
  }
  if (first === DOLLAR) return !isNegative && readDollarQuoted(bytes, start, end);
  return readNumber(bytes, start, end, isNegative);
}

function readNumber(bytes: Uint8Array, start: number, end: number, isNegative: boolean): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if ((byte < 0x30 || byte > 0x39) && byte !== 0x2e) return false;
  }
  if (!isNegative) return set(bytes, start, end);
  const target = scratchOf(end - start + 1);
  target[0] = DASH;
  for (let at = start; at < end; at++) target[at - start + 1] = bytes[at];
  return set(target, 0, end - start + 1);
}

/** Between the quotes. A quote stands for itself when doubled; alone it is the seam of a string in several pieces. */
function readQuoted(bytes: Uint8Array, start: number, end: number): boolean {
  let quotes = 0;
  for (let at = start; at < end; at++) {
    if (bytes[at] === BACKSLASH) return false;
    if (bytes[at] !== QUOTE) continue;
    if (at + 1 >= end || bytes[at + 1] !== QUOTE) return false;
    quotes++;
    at++;
  }
  if (quotes === 0) return set(bytes, start, end);
  const target = scratchOf(end - start);
  let size = 0;
  for (let at = start; at < end; at++) {
    target[size++] = bytes[at];
    if (bytes[at] === QUOTE) at++;
  }
  return set(target, 0, size);
}

function readDollarQuoted(bytes: Uint8Array, start: number, end: number): boolean {
  let tag = start + 1;
  while (tag < end && bytes[tag] !== DOLLAR) tag++;
  const size = tag + 1 - start;
  return end - start >= 2 * size && set(bytes, start + size, end - size);
}

/** End of the literal token at `start`, of the kinds that readLiteral knows without E and $; -1: another. */
function literalEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  if (bytes[at] === QUOTE) {
    for (at++; at < end; at++) {
      if (bytes[at] !== QUOTE) continue;
      if (at + 1 < end && bytes[at + 1] === QUOTE) at++;
      else return at + 1;
    }
    return -1;
  }
  while (at < end && ((bytes[at] >= 0x30 && bytes[at] <= 0x39) || bytes[at] === 0x2e)) at++;
  return at === start ? -1 : at;
}

/** bytes[at] behind spaces. */
function skipSpaces(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] === 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0d))) at++;
  return at;
}

export const LIST_END = -1;
export const LIST_UNREADABLE = -2;

/**
 * Reads the next literal of a list into `literal`. @param from behind an item
 * @returns behind that literal, LIST_END, or LIST_UNREADABLE
 */
export function nextInList(bytes: Uint8Array, from: number, end: number): number {
  let at = skipSpaces(bytes, from, end);
  if (at >= end) return LIST_UNREADABLE;
  if (bytes[at] === 0x29 || bytes[at] === 0x5d) return LIST_END;
  if (bytes[at] !== COMMA) return LIST_UNREADABLE;
  at = skipSpaces(bytes, at + 1, end);
  const isNegative = bytes[at] === DASH;
  if (isNegative) at = skipSpaces(bytes, at + 1, end);
  const next = literalEnd(bytes, at, end);
  return next > 0 && readLiteral(bytes, at, next, isNegative) ? next : LIST_UNREADABLE;
}
