/*
 * ● The shape of a text: its tokens in a spelling of their own, literals replaced, comments and white space gone. It is
 * over 400 lines because the lexical rules share tables and state, which across files would cost a call per byte.
 *
 * What comes out is SQL again and is what the parser reads, so that all texts of one shape have one plan by
 * construction: words folded, one space where two tokens would run together, 0 for an integer, 0.0 for another
 * number, '' for any string. Lists of literals behind IN and ARRAY shrink to their first item, rows of VALUES that
 * look alike to the first of them. Parameters stay. About 2 ns a byte; nothing is allocated.
 */
import { mentionsDirective } from './directive.js';
import { hashOfWords } from './shape-hash.js';

export const SHAPE_READ = 0;
/** An unterminated string, quoted identifier or comment, or a NUL: no server can accept the text. */
export const SHAPE_MALFORMED = 1;
/** What is left is still longer than the parser may be given. */
export const SHAPE_TOO_LONG = 2;

/** A '…' string without E before it holds a backslash. */
export const SHAPE_BACKSLASH = 1;
/** A byte from 0x80 up stands somewhere. */
export const SHAPE_HIGH = 2;
/** A comment mentions a directive. */
export const SHAPE_DIRECTIVE = 4;
/** A string holds a dot: it may name a custom setting. */
export const SHAPE_DOTTED = 8;
/** It has a literal in it as it was written. */
export const SHAPE_KEPT = 16;
/** Rows of VALUES are left out, each like the one before it. */
export const SHAPE_ROWS = 32;

export const SHAPE_BYTES_MAX = 64 * 1024;
/** Literals whose places are remembered; further ones are only counted. */
export const SHAPE_LITERALS_MAX = 1024;
/** A kept literal, an operator, a doubled separator: what one token may write beyond its own length. */
const SLACK = 64;
const KEPT_LITERAL_MAX = 48;

const words = new Int32Array((SHAPE_BYTES_MAX + 2 * SLACK) / 4);
const out = new Uint8Array(words.buffer);
const literalStarts = new Int32Array(SHAPE_LITERALS_MAX);
const literalEnds = new Int32Array(SHAPE_LITERALS_MAX);
const literalPlaces = new Int32Array(SHAPE_LITERALS_MAX);

/** The shape read last; valid until the next call of readShape(). */
export const shape = {
  /** Its bytes, `length` of them. */
  bytes: out,
  length: 0,
  flags: 0,
  /** Where in the source the literals stand that the shape has kept. */
  literalStarts,
  literalEnds,
  /** Where in the shape they stand. */
  literalPlaces,
  literalCount: 0,
};

const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;
const QUOTE = 4;
const DOUBLE_QUOTE = 5;
const DOLLAR = 6;
const DOT = 7;
const DASH = 8;
const SLASH = 9;
const OPERATOR = 10;
/** Stands for itself, whatever is beside it. */
const SINGLE = 11;

const CLASSES = new Uint8Array(256);
for (let byte = 1; byte < 0x80; byte++) CLASSES[byte] = SINGLE;
for (let byte = 0x80; byte < 256; byte++) CLASSES[byte] = LETTER;
for (const char of ' \t\n\v\f\r') CLASSES[char.charCodeAt(0)] = SPACE;
for (let i = 0; i < 26; i++) CLASSES[0x41 + i] = CLASSES[0x61 + i] = LETTER;
for (let i = 0; i < 10; i++) CLASSES[0x30 + i] = DIGIT;
// A colon runs together with another one or with '=', as operators do.
for (const char of '~!@#^&|`?+*%<>=:') CLASSES[char.charCodeAt(0)] = OPERATOR;
CLASSES[0x5f] = LETTER;
CLASSES[0x27] = QUOTE;
CLASSES[0x22] = DOUBLE_QUOTE;
CLASSES[0x24] = DOLLAR;
CLASSES[0x2d] = DASH;
CLASSES[0x2e] = DOT;
CLASSES[0x2f] = SLASH;

/** 1: the byte continues an identifier. */
const CONTINUES = new Uint8Array(256);
/** The byte as it stands in a folded identifier. */
const FOLDED = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if (CLASSES[byte] === LETTER || CLASSES[byte] === DIGIT || CLASSES[byte] === DOLLAR) CONTINUES[byte] = 1;
  FOLDED[byte] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** 1: something must be done about the byte inside of a '…' string. */
const STOPS_STRING = new Uint8Array(256);
STOPS_STRING[0x27] = STOPS_STRING[0x5c] = STOPS_STRING[0] = STOPS_STRING[0x2e] = 1;

// What stands last in the shape, as far as it matters to what may stand beside it.
const LAST_NONE = 0;
const LAST_WORD = 1;
const LAST_NUMBER = 2;
const LAST_OPERATOR = 3;

// What a list of literals waits for.
const LIST_NONE = 0;
const LIST_ITEM = 1;
const LIST_COMMA = 2;
/** Behind the '-' of an item. Only a number may follow: that is a literal to the grammar too, where -'2' and + 2 are calls of operators. */
const LIST_SIGNED = 3;

// The word before this token, as far as it matters.
const WORD_OTHER = 0;
const WORD_IN = 1;
const WORD_ARRAY = 2;
const WORD_CURRENT_SETTING = 3;

let length = 0;
let flags = 0;
let high = 0;
let last = LAST_NONE;
/** The source goes on right behind the last token. */
let isAdjacent = false;
let word = WORD_OTHER;
/** current_setting and '(' stand before this token. */
let keepsLiteral = false;
let list = LIST_NONE;
let listClose = 0;
/** Where in the shape the list's second and later items begin, with their comma; 0 before. */
let itemAt = 0;
let itemLiterals = 0;
let depth = 0;
/** No depth: texts that close more than they open have depths below 0. */
const NO_ROWS = -0x4000_0000;
/** Parentheses around the rows of VALUES; NO_ROWS outside of them. */
let rowsDepth = NO_ROWS;
let rowAt = 0;
let rowLiterals = 0;
/** The row kept last, as a part of the shape. */
let keptRowAt = -1;
let keptRowEnd = 0;

/**
 * Reads bytes[start, end) into `shape`. Offsets of literals count from the start of `bytes`.
 * @returns SHAPE_READ, or why there is no shape
 */
export function readShape(bytes: Uint8Array, start: number, end: number): number {
  length = flags = high = 0;
  last = LAST_NONE;
  isAdjacent = keepsLiteral = false;
  word = WORD_OTHER;
  list = LIST_NONE;
  depth = 0;
  rowsDepth = NO_ROWS;
  keptRowAt = -1;
  shape.literalCount = 0;
  let at = start;
  while (at < end) {
    const next = readToken(bytes, at, end);
    // Not only -1: a token that ends where it begins would be read for ever.
    if (next <= at) return SHAPE_MALFORMED;
    if (length > SHAPE_BYTES_MAX) return SHAPE_TOO_LONG;
    at = next;
  }
  if (high > 0x7f) flags |= SHAPE_HIGH;
  shape.flags = flags;
  shape.length = length;
  return SHAPE_READ;
}

/** Hashes the shape read last into `hashWords`. @param kind what else must keep two shapes apart @param scope likewise */
export function hashShape(kind: number, scope = 0): void {
  out[length] = out[length + 1] = out[length + 2] = 0;
  let count = (length + 3) >> 2;
  if (scope !== 0) words[count++] = scope;
  hashOfWords(words, count, (length << 8) | (kind & 0xff));
}

/** Hashes a text as it is, at most SHAPE_BYTES_MAX bytes of it. Overwrites the shape. */
export function hashText(bytes: Uint8Array, start: number, end: number, kind: number, scope = 0): void {
  length = end - start;
  for (let i = 0; i < length; i++) out[i] = bytes[start + i];
  hashShape(kind, scope);
}

/** @returns where the next token or space starts, or -1 */
function readToken(bytes: Uint8Array, at: number, end: number): number {
  switch (CLASSES[bytes[at]]) {
    case SPACE:
      isAdjacent = false;
      return at + 1;
    case LETTER:
      return readWord(bytes, at, end);
    case DIGIT:
      return readNumber(bytes, at, end);
    case QUOTE:
      return takeString(bytes, at, readString(bytes, at + 1, end));
    case DOUBLE_QUOTE:
      return readQuoted(bytes, at, at + 1, end);
    case DOLLAR:
      return readDollar(bytes, at, end);
    case DOT:
      if (at + 1 < end && CLASSES[bytes[at + 1]] === DIGIT) return readNumber(bytes, at, end);
      if (last === LAST_NUMBER) out[length++] = 0x20;
      takeOperator(0x2e, at);
      // Two dots are one token.
      return at + 1 < end && bytes[at + 1] === 0x2e ? takeOperator(0x2e, at + 1) : at + 1;
    case DASH:
      if (at + 1 < end && bytes[at + 1] === 0x2d) return skipLine(bytes, at, end);
      return takeOperator(0x2d, at);
    case SLASH:
      if (at + 1 < end && bytes[at + 1] === 0x2a) return skipBlock(bytes, at, end);
      return takeOperator(0x2f, at);
    case OPERATOR:
      return takeOperator(bytes[at], at);
    case SINGLE:
      takeSingle(bytes[at]);
      return at + 1;
    default:
      return -1;
  }
}

/** Operators stay together or apart as they were: where one ends is then for the parser to say. */
function takeOperator(byte: number, at: number): number {
  if (last === LAST_OPERATOR && !isAdjacent) out[length++] = 0x20;
  out[length++] = byte;
  last = LAST_OPERATOR;
  isAdjacent = true;
  word = WORD_OTHER;
  keepsLiteral = false;
  list = byte === 0x2d && (list === LIST_ITEM || list === LIST_SIGNED) ? LIST_SIGNED : LIST_NONE;
  if (depth === rowsDepth) rowsDepth = NO_ROWS;
  return at + 1;
}

function takeSingle(byte: number): void {
  const before = word;
  word = WORD_OTHER;
  keepsLiteral = false;
  last = LAST_NONE;
  isAdjacent = true;
  if (list !== LIST_NONE && takeInList(byte)) return;
  list = LIST_NONE;
  if (byte === 0x28) {
    if (depth === rowsDepth) startRow();
    depth++;
    if (before === WORD_IN) startList(0x29);
    keepsLiteral = before === WORD_CURRENT_SETTING;
  } else if (byte === 0x29) {
    depth--;
    if (depth < rowsDepth) rowsDepth = NO_ROWS;
    out[length++] = byte;
    if (depth === rowsDepth) endRow();
    return;
  } else if (byte === 0x2c) {
    if (depth === rowsDepth) rowAt = length;
  } else {
    if (depth === rowsDepth) rowsDepth = NO_ROWS;
    if (byte === 0x5b && before === WORD_ARRAY) startList(0x5d);
  }
  out[length++] = byte;
}

/** The opening bracket is written after this. */
function startList(close: number): void {
  list = LIST_ITEM;
  listClose = close;
  itemAt = 0;
}

/** A comma or the end of a list of literals; false for anything else. */
function takeInList(byte: number): boolean {
  if (list !== LIST_COMMA || (byte !== 0x2c && byte !== listClose)) return false;
  if (itemAt > 0) {
    length = itemAt;
    shape.literalCount = itemLiterals;
  }
  if (byte === listClose) {
    list = LIST_NONE;
    // As any bracket.
    if (byte !== 0x29) out[length++] = byte;
    else {
      depth--;
      if (depth < rowsDepth) rowsDepth = NO_ROWS;
      out[length++] = byte;
      if (depth === rowsDepth) endRow();
    }
    return true;
  }
  list = LIST_ITEM;
  itemAt = length;
  itemLiterals = shape.literalCount;
  out[length++] = 0x2c;
  return true;
}

function startRow(): void {
  if (keptRowAt < 0) rowAt = length;
  rowLiterals = shape.literalCount;
}

/** A row like the one before it goes, with the comma between them. `rowAt` is where that stands. */
function endRow(): void {
  if (keptRowAt < 0) {
    keptRowAt = rowAt;
    keptRowEnd = length;
    return;
  }
  const from = rowAt + 1;
  let same = length - from === keptRowEnd - keptRowAt;
  for (let i = 0; same && i < length - from; i++) same = out[from + i] === out[keptRowAt + i];
  if (same) {
    length = rowAt;
    shape.literalCount = rowLiterals;
    flags |= SHAPE_ROWS;
    return;
  }
  keptRowAt = from;
  keptRowEnd = length;
}

/** Before a word, number, parameter or quoted name. */
function separate(): void {
  if (last === LAST_WORD || last === LAST_NUMBER) out[length++] = 0x20;
}

/** Before quotes, which u& must not run into. */
function separateQuotes(): void {
  if (last === LAST_OPERATOR && out[length - 1] === 0x26) out[length++] = 0x20;
  else separate();
}

/** A token that is neither literal nor list. */
function leaveLists(): void {
  list = LIST_NONE;
  keepsLiteral = false;
  if (depth === rowsDepth) rowsDepth = NO_ROWS;
}

function readWord(bytes: Uint8Array, from: number, end: number): number {
  const second = from + 1 < end ? bytes[from + 1] : 0;
  if (second === 0x27 || second === 0x26) {
    const next = readPrefixed(bytes, from, end);
    if (next !== 0) return next;
  }
  // Letters right behind a number stay there: only old servers take them for another token.
  if (last !== LAST_NUMBER || !isAdjacent) separate();
  const wordAt = length;
  let at = from;
  let target = wordAt;
  let seen = 0;
  for (; at < end && target <= SHAPE_BYTES_MAX; at++) {
    const byte = bytes[at];
    if (CONTINUES[byte] === 0) break;
    seen |= byte;
    out[target++] = FOLDED[byte];
  }
  length = target;
  high |= seen;
  leaveLists();
  last = LAST_WORD;
  isAdjacent = true;
  word = wordOf(wordAt, length - wordAt);
  return at;
}

const encoder = new TextEncoder();
const IN = encoder.encode('in');
const ARRAY = encoder.encode('array');
const VALUES = encoder.encode('values');
const CURRENT_SETTING = encoder.encode('current_setting');

function isWord(at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (out[at + i] !== name[i]) return false;
  return true;
}

/** Also starts the rows of VALUES. */
function wordOf(at: number, size: number): number {
  switch (size) {
    case 2:
      return isWord(at, IN) ? WORD_IN : WORD_OTHER;
    case 5:
      return isWord(at, ARRAY) ? WORD_ARRAY : WORD_OTHER;
    case 6:
      if (isWord(at, VALUES)) {
        rowsDepth = depth;
        keptRowAt = -1;
      }
      return WORD_OTHER;
    case 15:
      return isWord(at, CURRENT_SETTING) ? WORD_CURRENT_SETTING : WORD_OTHER;
    default:
      return WORD_OTHER;
  }
}

/** E'…', B'…', X'…', U&'…', U&"…", N'…'. @returns 0 when it is none of them */
function readPrefixed(bytes: Uint8Array, from: number, end: number): number {
  const letter = bytes[from] | 0x20;
  if (bytes[from + 1] === 0x26) {
    if (letter !== 0x75 || from + 2 >= end) return 0;
    if (bytes[from + 2] === 0x27) return takeString(bytes, from, readString(bytes, from + 3, end));
    return bytes[from + 2] === 0x22 ? readQuoted(bytes, from, from + 3, end) : 0;
  }
  if (letter === 0x65) return takeString(bytes, from, readEscaped(bytes, from + 2, end));
  if (letter !== 0x62 && letter !== 0x78 && letter !== 0x6e) return 0;
  const isNational = letter === 0x6e;
  const next = isNational ? readString(bytes, from + 2, end) : readBits(bytes, from + 2, end);
  if (next < 0) return -1;
  separate();
  out[length++] = letter;
  // The letter and the quotes are one token, or two that stand together.
  last = LAST_NONE;
  return takeString(bytes, from, next);
}

/** Writes a string literal. @param next behind its last quote, or -1 */
function takeString(bytes: Uint8Array, from: number, next: number): number {
  if (next < 0) return -1;
  separateQuotes();
  const place = length;
  if (keepsLiteral && bytes[from] === 0x27 && next - from <= KEPT_LITERAL_MAX) {
    for (let i = from; i < next; i++) out[length++] = bytes[i];
    flags |= SHAPE_KEPT;
  } else {
    out[length++] = 0x27;
    out[length++] = 0x27;
  }
  if (list === LIST_SIGNED) list = LIST_NONE;
  takeLiteral(from, next, place);
  last = LAST_WORD;
  return next;
}

function takeLiteral(from: number, next: number, place: number): void {
  if (shape.literalCount < SHAPE_LITERALS_MAX) {
    literalPlaces[shape.literalCount] = place;
    literalStarts[shape.literalCount] = from;
    literalEnds[shape.literalCount] = next;
  }
  shape.literalCount++;
  list = list === LIST_ITEM || list === LIST_SIGNED ? LIST_COMMA : LIST_NONE;
  isAdjacent = true;
  word = WORD_OTHER;
  keepsLiteral = false;
  if (depth === rowsDepth) rowsDepth = NO_ROWS;
}

/** @param at behind the opening quote. @returns behind the closing one, or -1 */
function readString(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    let seen = 0;
    let byte = 0;
    do {
      byte = bytes[at++];
      seen |= byte;
    } while (STOPS_STRING[byte] === 0 && at < end);
    high |= seen;
    if (STOPS_STRING[byte] === 0) return -1;
    if (byte === 0x2e) flags |= SHAPE_DOTTED;
    else if (byte === 0x5c) flags |= SHAPE_BACKSLASH;
    else if (byte === 0) return -1;
    else if (at < end && bytes[at] === 0x27) at++;
    else {
      const next = continuation(bytes, at, end);
      if (next < 0) return at;
      at = next;
    }
  }
  return -1;
}

function readEscaped(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at++];
    high |= byte;
    if (STOPS_STRING[byte] === 0) continue;
    if (byte === 0x2e) flags |= SHAPE_DOTTED;
    else if (byte === 0x5c) {
      // A name may be spelt in escapes.
      flags |= SHAPE_DOTTED;
      if (at < end) high |= bytes[at];
      if (bytes[at++] === 0) return -1;
    } else if (byte === 0) return -1;
    else if (at < end && bytes[at] === 0x27) at++;
    else {
      const next = continuation(bytes, at, end);
      if (next < 0) return at;
      at = next;
    }
  }
  return -1;
}

/** A doubled quote ends one of these, and starts another string. */
function readBits(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at++];
    high |= byte;
    if (byte === 0) return -1;
    if (byte !== 0x27) continue;
    const next = at < end && bytes[at] === 0x27 ? -1 : continuation(bytes, at, end);
    if (next < 0) return at;
    at = next;
  }
  return -1;
}

/**
 * A string goes on behind white space with a newline in it ('a' newline 'b'), in which `--` comments may stand.
 * @returns behind the quote that goes on, or -1
 */
function continuation(bytes: Uint8Array, from: number, end: number): number {
  if (from >= end || (CLASSES[bytes[from]] !== SPACE && bytes[from] !== 0x2d)) return -1;
  let hasNewline = false;
  let at = from;
  while (at < end) {
    const byte = bytes[at];
    if (byte === 0x27 && hasNewline) {
      // Comments in between are skipped here once and for all.
      if (mentionsDirective(bytes, from, at)) flags |= SHAPE_DIRECTIVE;
      for (let i = from; i < at; i++) high |= bytes[i];
      return at + 1;
    }
    if (byte === 0x0a || byte === 0x0d) hasNewline = true;
    else if (byte === 0x2d && at + 1 < end && bytes[at + 1] === 0x2d) {
      while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++;
      continue;
    } else if (CLASSES[byte] !== SPACE) return -1;
    at++;
  }
  return -1;
}

/** "…" and U&"…" are copied as they are. @param at behind the opening quote */
function readQuoted(bytes: Uint8Array, from: number, at: number, end: number): number {
  for (; at < end; at++) {
    if (bytes[at] === 0) return -1;
    if (bytes[at] !== 0x22) continue;
    at++;
    if (at >= end || bytes[at] !== 0x22) return takeQuoted(bytes, from, at);
  }
  return -1;
}

function takeQuoted(bytes: Uint8Array, from: number, next: number): number {
  separateQuotes();
  leaveLists();
  last = LAST_WORD;
  isAdjacent = true;
  word = WORD_OTHER;
  if (length + next - from > SHAPE_BYTES_MAX) length = SHAPE_BYTES_MAX + 1;
  else {
    for (let i = from; i < next; i++) {
      high |= bytes[i];
      out[length++] = bytes[i];
    }
  }
  return next;
}

/** An integer that fits the grammar's, or another number. Underscores may stand between digits. */
function readNumber(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  let isInteger = true;
  const prefix = bytes[from] === 0x30 && from + 2 < end ? bytes[from + 1] | 0x20 : 0;
  if (prefix === 0x78 || prefix === 0x6f || prefix === 0x62) {
    // A '_' may stand behind the prefix too: 0x_F.
    const digits = from + 2 < end && bytes[from + 2] === 0x5f ? from + 3 : from + 2;
    at = digitsEnd(bytes, digits, end, prefix === 0x78);
    if (at === digits) at = from + 2;
    isInteger = at - from < (prefix === 0x78 ? 10 : prefix === 0x6f ? 13 : 33);
    if (at === from + 2) at = from + 1;
  } else {
    at = digitsEnd(bytes, from, end, false);
    isInteger = at - from < 10 || (at - from === 10 && isSmall(bytes, from));
    if (at < end && bytes[at] === 0x2e && (at + 1 >= end || bytes[at + 1] !== 0x2e)) {
      isInteger = false;
      at = digitsEnd(bytes, at + 1, end, false);
    }
    const exponent = exponentEnd(bytes, at, end);
    if (exponent > 0) {
      isInteger = false;
      at = exponent;
    }
  }
  if (last === LAST_OPERATOR && out[length - 1] === 0x2e) out[length++] = 0x20;
  else separate();
  const place = length;
  out[length++] = 0x30;
  if (!isInteger) {
    out[length++] = 0x2e;
    out[length++] = 0x30;
  }
  takeLiteral(from, at, place);
  last = LAST_NUMBER;
  return at;
}

/** Ten digits that fit 31 bits. */
function isSmall(bytes: Uint8Array, from: number): boolean {
  let value = 0;
  for (let i = from; i < from + 10; i++) value = value * 10 + bytes[i] - 0x30;
  return value <= 0x7fffffff;
}

function isDigit(byte: number, isHex: boolean): boolean {
  return CLASSES[byte] === DIGIT || (isHex && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function digitsEnd(bytes: Uint8Array, from: number, end: number, isHex: boolean): number {
  let at = from;
  while (at < end && CLASSES[bytes[at]] === DIGIT) at++;
  if (at >= end || CONTINUES[bytes[at]] === 0) return at;
  while (at < end) {
    const byte = bytes[at];
    const isJoint = byte === 0x5f && at > from && at + 1 < end && isDigit(bytes[at + 1], isHex);
    if (!isJoint && !isDigit(byte, isHex)) break;
    at++;
  }
  return at;
}

/** Behind e10, E+10, e-10; 0 when no exponent stands there. */
function exponentEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || (bytes[at] | 0x20) !== 0x65) return 0;
  const sign = at + 1 < end ? bytes[at + 1] : 0;
  const digits = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
  const next = digitsEnd(bytes, digits, end, false);
  return next > digits ? next : 0;
}

/** $1, $$…$$, $tag$…$tag$, or a '$' that no grammar accepts. */
function readDollar(bytes: Uint8Array, from: number, end: number): number {
  let at = from + 1;
  if (at < end && CLASSES[bytes[at]] === DIGIT) {
    while (at < end && CLASSES[bytes[at]] === DIGIT) at++;
    if (last !== LAST_NUMBER || !isAdjacent) separate();
    if (length + at - from > SHAPE_BYTES_MAX) length = SHAPE_BYTES_MAX + 1;
    else for (let i = from; i < at; i++) out[length++] = bytes[i];
    list = LIST_NONE;
    keepsLiteral = false;
    if (depth === rowsDepth) rowsDepth = NO_ROWS;
    // Letters right behind it are its own affair, as with numbers.
    last = LAST_NUMBER;
    isAdjacent = true;
    word = WORD_OTHER;
    return at;
  }
  while (at < end && CONTINUES[bytes[at]] === 1 && bytes[at] !== 0x24) at++;
  if (at >= end || bytes[at] !== 0x24) {
    separate();
    takeSingle(0x24);
    last = LAST_WORD;
    return from + 1;
  }
  return takeString(bytes, from, dollarEnd(bytes, from, at + 1, end));
}

/** Linear in all: a tag holds no '$', so no comparison reads past the next one. */
function dollarEnd(bytes: Uint8Array, from: number, start: number, end: number): number {
  const size = start - from;
  for (let i = from; i < start; i++) high |= bytes[i];
  for (let at = start; at + size <= end; at++) {
    const byte = bytes[at];
    high |= byte;
    if (byte === 0) return -1;
    if (byte === 0x2e) flags |= SHAPE_DOTTED;
    if (byte !== 0x24) continue;
    let same = 1;
    while (same < size && bytes[at + same] === bytes[from + same]) same++;
    if (same === size) return at + size;
  }
  return -1;
}

function skipLine(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (; at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d; at++) {
    if (bytes[at] === 0) return -1;
    high |= bytes[at];
  }
  if (mentionsDirective(bytes, from, at)) flags |= SHAPE_DIRECTIVE;
  isAdjacent = false;
  return at;
}

/** Block comments nest. */
function skipBlock(bytes: Uint8Array, from: number, end: number): number {
  let nesting = 1;
  for (let at = from + 2; at < end; at++) {
    const byte = bytes[at];
    high |= byte;
    if (byte === 0) return -1;
    if (byte === 0x2a && at + 1 < end && bytes[at + 1] === 0x2f) {
      nesting--;
      at++;
      if (nesting > 0) continue;
      if (mentionsDirective(bytes, from, at)) flags |= SHAPE_DIRECTIVE;
      isAdjacent = false;
      return at + 1;
    }
    if (byte === 0x2f && at + 1 < end && bytes[at + 1] === 0x2a) {
      nesting++;
      at++;
    }
  }
  return -1;
}
