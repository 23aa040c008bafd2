import { progress } from '../base/assert.js';
import { decodeText } from '../wire/cstring.js';
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_WORD } from './lexer.js';
import type { Directive } from './route-facts.js';

const BYTE_SEMICOLON = 0x3b;
const BYTE_OPEN = 0x28;
const BYTE_CLOSE = 0x29;
const BYTE_DASH = 0x2d;
const BYTE_SLASH = 0x2f;
const BYTE_UNDERSCORE = 0x5f;
const PREFIX = 'pgdog_';
const SHARD_MAX = 65_535;

interface Mutable {
  role: 'primary' | 'replica' | null;
  shard: number | null;
  shardingKey: string | null;
  error: string | null;
}

/** Whether the prefix of all directives stands somewhere in bytes[start, end), in whatever case. */
export function mentionsDirective(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start + 5; at < end; at++) {
    if (bytes[at] !== BYTE_UNDERSCORE) continue;
    let i = 0;
    while (i < 5 && (bytes[at - 5 + i] | 0x20) === PREFIX.charCodeAt(i)) i++;
    if (i === 5) return true;
  }
  return false;
}

/**
 * The directives in the comments of bytes[start, end): `pgdog_role: primary`, `pgdog_shard: 2`, `pgdog_sharding_key: 'x'`,
 * at the start or the end of a statement. What is misspelt, misplaced or contradicts itself makes an error: a route
 * that somebody asked for in vain would be worse. null: there are none.
 */
export function readDirective(bytes: Uint8Array, start: number, end: number): Directive | null {
  if (!mentionsDirective(bytes, start, end)) return null;
  const found: Mutable = { role: null, shard: null, shardingKey: null, error: null };
  const lexer = new SqlLexer();
  const explainedFrom = skipExplain(lexer, bytes, start, end);
  lexer.reset(bytes, start, end);
  let before = BYTE_SEMICOLON;
  for (;;) {
    const from = lexer.end;
    const kind = lexer.next();
    if (kind === TOKEN_MALFORMED) break;
    const isAtStart = before === BYTE_SEMICOLON || from === explainedFrom;
    const isOutside = isAtStart || kind === BYTE_SEMICOLON || kind === TOKEN_END;
    readGap(bytes, from, lexer.start, isOutside, found);
    if (kind === TOKEN_END) break;
    before = kind;
  }
  const isEmpty = found.role === null && found.shard === null && found.shardingKey === null;
  return isEmpty && found.error === null ? null : Object.freeze(found);
}

/** Where EXPLAIN and its options end: what stands there stood at the start of the statement until somebody asked about it. -1: no EXPLAIN. */
function skipExplain(lexer: SqlLexer, bytes: Uint8Array, start: number, end: number): number {
  lexer.reset(bytes, start, end);
  const word = (): string =>
    lexer.kind === TOKEN_WORD ? decodeText(bytes, lexer.start, lexer.end).toLowerCase() : '';
  lexer.next();
  if (word() !== 'explain') return -1;
  let at = lexer.end;
  if (lexer.next() !== BYTE_OPEN) {
    for (; word() === 'analyze' || word() === 'verbose'; lexer.next()) at = lexer.end;
    return at;
  }
  for (let depth = 1; depth > 0; ) {
    const kind = lexer.next();
    if (kind === TOKEN_END || kind === TOKEN_MALFORMED) return -1;
    if (kind === BYTE_OPEN) depth++;
    else if (kind === BYTE_CLOSE) depth--;
  }
  return lexer.end;
}

/** Between two tokens stand white space and comments. */
function readGap(bytes: Uint8Array, start: number, end: number, isOutside: boolean, found: Mutable): void {
  let at = start;
  while (at < end) {
    if (bytes[at] !== BYTE_DASH && bytes[at] !== BYTE_SLASH) {
      at++;
      continue;
    }
    const close = bytes[at] === BYTE_DASH ? lineEnd(bytes, at, end) : blockEnd(bytes, at, end);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, close - at).toString('utf8');
    readComment(bytes[at] === BYTE_DASH ? text.slice(2) : text.slice(2, -2), isOutside, found);
    at = progress(at, close);
  }
}

function lineEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++;
  return at;
}

function blockEnd(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  for (let at = start; at + 1 < end; at++) {
    if (bytes[at] === BYTE_SLASH && bytes[at + 1] === 0x2a) {
      depth++;
      at++;
    } else if (bytes[at] === 0x2a && bytes[at + 1] === BYTE_SLASH) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return end;
}

function isNameCharacter(char: string): boolean {
  const lower = char.toLowerCase();
  return (lower >= 'a' && lower <= 'z') || (char >= '0' && char <= '9') || char === '_' || char === '$';
}

function isSpace(char: string): boolean {
  return char === ' ' || (char >= '\t' && char <= '\r');
}

/** Other words may stand around directives: tracers write their own into the same comment. */
function readComment(text: string, isOutside: boolean, found: Mutable): void {
  const folded = text.toLowerCase();
  for (let at = folded.indexOf(PREFIX); at >= 0; at = folded.indexOf(PREFIX, at + 1)) {
    if (at > 0 && isNameCharacter(text[at - 1])) continue;
    let nameEnd = at;
    while (nameEnd < text.length && isNameCharacter(text[nameEnd])) nameEnd++;
    const name = folded.slice(at, nameEnd);
    let colon = nameEnd;
    while (colon < text.length && isSpace(text[colon])) colon++;
    const isKnown = name === 'pgdog_role' || name === 'pgdog_shard' || name === 'pgdog_sharding_key';
    if (text[colon] !== ':') {
      // Prose may mention us, but not by the name of a directive.
      if (isKnown) found.error ??= `${name} must be followed by a colon and a value`;
      continue;
    }
    if (!isKnown) found.error ??= `there is no directive ${name}`;
    else if (!isOutside) found.error ??= `${name} must stand at the start or the end of a statement`;
    else readValue(name, text, colon + 1, found);
  }
}

function readValue(name: string, text: string, from: number, found: Mutable): void {
  let at = from;
  while (at < text.length && isSpace(text[at])) at++;
  const quote = text[at] === "'" || text[at] === '"' ? text[at] : '';
  let value = '';
  if (quote === '') {
    const start = at;
    while (at < text.length && !isSpace(text[at]) && text[at] !== ',' && text[at] !== ';') at++;
    value = text.slice(start, at);
  } else {
    for (at++; at < text.length; at++) {
      if (text[at] !== quote) value += text[at];
      else if (text[at + 1] === quote) value += text[++at];
      else break;
    }
    if (at >= text.length) found.error ??= `the value of ${name} has no closing quote`;
    const after = text[at + 1] ?? ' ';
    if (!isSpace(after) && after !== ',' && after !== ';')
      found.error ??= `something stands right behind the value of ${name}`;
  }
  if (name === 'pgdog_role') setRole(value, found);
  else if (name === 'pgdog_shard') setShard(value, found);
  else setShardingKey(value, quote !== '', found);
}

function setRole(value: string, found: Mutable): void {
  const role = value.toLowerCase();
  if (role !== 'primary' && role !== 'replica') found.error ??= 'pgdog_role must be primary or replica';
  else if (found.role !== null && found.role !== role) found.error ??= 'pgdog_role is given twice';
  else found.role = role;
}

function setShard(value: string, found: Mutable): void {
  const shard = Number(value);
  const isWhole = value !== '' && [...value].every((char) => char >= '0' && char <= '9');
  if (!isWhole || shard > SHARD_MAX) found.error ??= 'pgdog_shard must be the number of a shard';
  else if (found.shard !== null && found.shard !== shard) found.error ??= 'pgdog_shard is given twice';
  else found.shard = shard;
}

function setShardingKey(value: string, isQuoted: boolean, found: Mutable): void {
  if (value === '' && !isQuoted) found.error ??= 'pgdog_sharding_key must have a value';
  else if (found.shardingKey !== null && found.shardingKey !== value)
    found.error ??= 'pgdog_sharding_key is given twice';
  else found.shardingKey = value;
}
