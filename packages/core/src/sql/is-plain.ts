import {
  IS_SAFE_BEFORE_PAREN,
  STARTS_PLAIN,
  sqlWords,
  WORD_END,
  WORD_FINISH,
  WORD_INSERT,
  WORD_MASK,
  WORD_MERGE,
  WORD_SHOW,
  WORD_UPDATE,
  WORD_WORK,
} from './sql-words.js';

/*
 * The first look at every statement (●): one pass, no allocation, about a nanosecond per byte. It may be wrong
 * in one direction only. What it does not know outright it calls not plain: a second statement, a backslash
 * in a string (so that the answer holds with standard_conforming_strings off), dollar quotes, bytes from 0x80
 * outside of quotes (so that it holds in client encodings whose characters end in ASCII bytes), control
 * characters, '(' after any word but the listed ones, SELECT … INTO, UPDATE of what may be pg_settings.
 */

// What a byte starts, outside of quotes.
const REJECT = 0;
const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;
const QUOTE = 4;
const DOUBLE_QUOTE = 5;
const PAREN = 6;
const DOT = 7;
const SEMICOLON = 8;
const DASH = 9;
const SLASH = 10;
const DOLLAR = 11;
/** Operators, brackets, commas. */
const OTHER = 12;

const CLASSES = new Uint8Array(256);
for (let byte = 0x21; byte < 0x7f; byte++) CLASSES[byte] = OTHER;
for (const char of ' \t\n\r\f') CLASSES[char.charCodeAt(0)] = SPACE;
for (let i = 0; i < 26; i++) CLASSES[0x41 + i] = CLASSES[0x61 + i] = LETTER;
for (let i = 0; i < 10; i++) CLASSES[0x30 + i] = DIGIT;
CLASSES[0x5f] = LETTER;
CLASSES[0x27] = QUOTE;
CLASSES[0x22] = DOUBLE_QUOTE;
CLASSES[0x28] = PAREN;
CLASSES[0x2e] = DOT;
CLASSES[0x3b] = SEMICOLON;
CLASSES[0x2d] = DASH;
CLASSES[0x2f] = SLASH;
CLASSES[0x24] = DOLLAR;
CLASSES[0x5c] = REJECT;

/** 1: the byte continues an identifier. */
const CONTINUES = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if (CLASSES[byte] === LETTER || CLASSES[byte] === DIGIT || CLASSES[byte] === DOLLAR) CONTINUES[byte] = 1;
}

/** 1: the byte ends, or forbids, a '…' string. */
const STOPS_STRING = new Uint8Array(256);
STOPS_STRING[0x27] = STOPS_STRING[0x5c] = STOPS_STRING[0] = 1;

// What stands before a '('. Comments and white space do not count.
const LAST_OTHER = 0;
const LAST_WORD = 1;
/** A qualified or quoted name: no '(' may follow. */
const LAST_NAME = 2;
const LAST_DOT = 3;

/**
 * Whether the text certainly leaves the session as it is, without a closer look: one statement that reads or
 * writes rows, or begins or ends a transaction (no AND CHAIN), and calls no function but harmless built-ins.
 * False means only that somebody must look closer (PlanCache, readSql).
 */
export function isPlainSql(bytes: Uint8Array, start: number, end: number): boolean {
  const at = skipSpace(bytes, start, end);
  if (at < 0 || at >= end || CLASSES[bytes[at]] !== LETTER) return false;
  const wordEnd = skipWord(bytes, at, end);
  const value = sqlWords.find(bytes, at, wordEnd);
  if ((value & STARTS_PLAIN) === 0) return false;
  const word = value & WORD_MASK;
  if (word === WORD_FINISH || word === WORD_END) return isPlainFinish(bytes, wordEnd, end);
  if (word === WORD_SHOW) return isPlainShow(bytes, wordEnd, end);
  return isPlainRest(bytes, at, end);
}

/**
 * The loop over a statement's bytes, its first word included. Letters behind digits are not followed: 1e10, 0x1f,
 * and 5INTO, which versions before 15 read as two tokens.
 */
function isPlainRest(bytes: Uint8Array, from: number, end: number): boolean {
  let at = from;
  let last = LAST_OTHER;
  let wordStart = from;
  let wordEnd = from;
  while (at < end) {
    const start = at;
    switch (CLASSES[bytes[at++]]) {
      case SPACE:
        break;
      case LETTER:
        while (at < end && CONTINUES[bytes[at]] === 1) at++;
        if (at - start === 4 && (bytes[start] | 0x20) === 0x69 && isInto(bytes, start)) {
          if (last !== LAST_WORD || wordStart !== from) return false;
          at = skipInto(bytes, at, end, sqlWords.find(bytes, wordStart, wordEnd) & WORD_MASK);
          if (at < 0) return false;
          last = LAST_OTHER;
          break;
        }
        if (at - start === 6 && mayUpdateSettings(bytes, start, at, end)) return false;
        last = last === LAST_DOT ? LAST_NAME : LAST_WORD;
        wordStart = start;
        wordEnd = at;
        break;
      case DIGIT:
        while (at < end && CLASSES[bytes[at]] === DIGIT) at++;
        if (at < end && CLASSES[bytes[at]] === LETTER) return false;
        last = LAST_OTHER;
        break;
      case QUOTE:
        at = skipString(bytes, at, end);
        if (at < 0) return false;
        last = LAST_OTHER;
        break;
      case DOUBLE_QUOTE:
        at = skipQuoted(bytes, at, end);
        if (at < 0) return false;
        last = LAST_NAME;
        break;
      case PAREN:
        if (last === LAST_NAME) return false;
        if (last === LAST_WORD && !isSafeBeforeParen(bytes, wordStart, wordEnd)) return false;
        last = LAST_OTHER;
        break;
      case DOT:
        last = LAST_DOT;
        break;
      case SEMICOLON:
        return isEmpty(bytes, at, end);
      case DOLLAR:
        if (at >= end || CLASSES[bytes[at]] !== DIGIT) return false;
        last = LAST_OTHER;
        break;
      case DASH:
      case SLASH: {
        const next = skipComment(bytes, start, end);
        if (next < 0) return false;
        if (next === start) last = LAST_OTHER;
        else at = next;
        break;
      }
      case OTHER:
        last = LAST_OTHER;
        break;
      default:
        return false;
    }
  }
  return true;
}

/** COMMIT, ROLLBACK and the like stand alone, or with WORK or TRANSACTION: the rest (AND CHAIN, TO, PREPARED) matters. */
function isPlainFinish(bytes: Uint8Array, from: number, end: number): boolean {
  const at = skipSpace(bytes, from, end);
  if (at < 0) return false;
  if (at >= end || CLASSES[bytes[at]] !== LETTER) return isEmpty(bytes, at, end);
  const wordEnd = skipWord(bytes, at, end);
  if ((sqlWords.find(bytes, at, wordEnd) & WORD_MASK) !== WORD_WORK) return false;
  return isEmpty(bytes, wordEnd, end);
}

/** Only `SHOW word` and `SHOW word word…`: a dot may be that of SHOW pgdog.x, quotes may hide it. */
function isPlainShow(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const kind = CLASSES[bytes[at]];
    if (kind === SEMICOLON) return isEmpty(bytes, at, end);
    if (kind !== LETTER && kind !== SPACE && kind !== DIGIT) return false;
  }
  return true;
}

/** Nothing but white space, comments and semicolons. */
function isEmpty(bytes: Uint8Array, from: number, end: number): boolean {
  let at = skipSpace(bytes, from, end);
  while (at >= 0 && at < end && CLASSES[bytes[at]] === SEMICOLON) at = skipSpace(bytes, at + 1, end);
  return at >= end;
}

/** @returns first byte that is neither white space nor comment, or -1 in a comment we do not follow */
function skipSpace(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const kind = CLASSES[bytes[at]];
    if (kind === SPACE) at++;
    else if (kind === DASH || kind === SLASH) {
      const next = skipComment(bytes, at, end);
      if (next === at || next < 0) return next;
      at = next;
    } else break;
  }
  return at;
}

/**
 * @param from at a '-' or '/'
 * @returns the byte after the comment, `from` when none starts there, -1 when it nests or does not end
 */
function skipComment(bytes: Uint8Array, from: number, end: number): number {
  let at = from + 1;
  if (at >= end) return from;
  if (bytes[from] === 0x2d) {
    if (bytes[at] !== 0x2d) return from;
    while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d && bytes[at] !== 0) at++;
    return at;
  }
  if (bytes[at] !== 0x2a) return from;
  for (at++; at + 1 < end; at++) {
    const byte = bytes[at];
    if (byte === 0x2a && bytes[at + 1] === 0x2f) return at + 2;
    if (byte === 0 || (byte === 0x2f && bytes[at + 1] === 0x2a)) return -1;
  }
  return -1;
}

function skipWord(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && CONTINUES[bytes[at]] === 1) at++;
  return at;
}

/** @param from after the opening quote. A doubled quote comes out as two strings, which changes nothing. */
function skipString(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && STOPS_STRING[bytes[at]] === 0) at++;
  return at < end && bytes[at] === 0x27 ? at + 1 : -1;
}

function skipQuoted(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== 0x22 && bytes[at] !== 0) at++;
  return at < end && bytes[at] === 0x22 ? at + 1 : -1;
}

function isSafeBeforeParen(bytes: Uint8Array, start: number, end: number): boolean {
  return (sqlWords.find(bytes, start, end) & IS_SAFE_BEFORE_PAREN) !== 0;
}

function isInto(bytes: Uint8Array, at: number): boolean {
  return (
    (bytes[at] | 0x20) === 0x69 &&
    (bytes[at + 1] | 0x20) === 0x6e &&
    (bytes[at + 2] | 0x20) === 0x74 &&
    (bytes[at + 3] | 0x20) === 0x6f
  );
}

/**
 * Whether bytes[start, at) is UPDATE and what follows may be pg_settings, whose rule turns the update into a SET:
 * a name, quoted or not, that starts with pg_, U&"…", ONLY, or a comment. FOR UPDATE and DO UPDATE SET are none.
 */
function mayUpdateSettings(bytes: Uint8Array, start: number, at: number, end: number): boolean {
  if ((bytes[start] | 0x20) !== 0x75) return false;
  if ((sqlWords.find(bytes, start, at) & WORD_MASK) !== WORD_UPDATE) return false;
  let next = at;
  while (next < end && CLASSES[bytes[next]] === SPACE) next++;
  if (next < end && bytes[next] === 0x22) next++;
  if (next >= end) return false;
  const kind = CLASSES[bytes[next]];
  if (kind !== LETTER) return kind === DASH || kind === SLASH;
  const first = bytes[next] | 0x20;
  // Only words of o… and p… need a closer look: ONLY, pg_settings, pg_catalog.pg_settings.
  if (first === 0x75) return bytes[next + 1] === 0x26;
  if (first === 0x6f) return (bytes[next + 1] | 0x20) === 0x6e && (bytes[next + 2] | 0x20) === 0x6c;
  return first === 0x70 && (bytes[next + 1] | 0x20) === 0x67 && bytes[next + 2] === 0x5f;
}

/**
 * Only the statement's own INSERT INTO gets here: in SELECT insert INTO t it is a column, and t a new table.
 *
 * @param at after INTO
 * @param before number of the word in front of it
 * @returns where to read on, -1 for the INTO of a SELECT
 */
function skipInto(bytes: Uint8Array, at: number, end: number, before: number): number {
  if (before === WORD_INSERT) return skipInsertTarget(bytes, at, end);
  return before === WORD_MERGE ? at : -1;
}

/**
 * Passes `name.name (` after INSERT INTO, so that its '(' is not taken for a call. Stops early at anything
 * else; what stands there is then read as after an operator, which only a column list can follow.
 */
function skipInsertTarget(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (;;) {
    while (at < end && CLASSES[bytes[at]] === SPACE) at++;
    if (at >= end) return at;
    const kind = CLASSES[bytes[at]];
    if (kind === LETTER) at = skipWord(bytes, at, end);
    else if (kind === DOUBLE_QUOTE) {
      const next = skipQuoted(bytes, at + 1, end);
      if (next < 0) return at;
      at = next;
    } else return at;
    while (at < end && CLASSES[bytes[at]] === SPACE) at++;
    if (at >= end || CLASSES[bytes[at]] !== DOT) return at;
    at++;
  }
}
