import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_PARAMETER, TOKEN_WORD } from '../sql/lexer.js';

const OPEN = 0x28;
const CLOSE = 0x29;
const COMMA = 0x2c;

/** The rows of `INSERT … VALUES (…), (…)` in its text: bytes[starts[i], ends[i]) is a row with its parentheses. */
export interface InsertRows {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** @returns null: the text has no such list where one is looked for */
export function findInsertRows(bytes: Uint8Array, start: number, end: number): InsertRows | null {
  const lexer = new SqlLexer();
  lexer.reset(bytes, start, end);
  if (!skipToValues(lexer, bytes)) return null;
  const starts: number[] = [];
  const ends: number[] = [];
  for (;;) {
    if (lexer.next() !== OPEN) return null;
    starts.push(lexer.start);
    if (!skipRow(lexer)) return null;
    ends.push(lexer.end);
    if (lexer.next() !== COMMA) return { starts, ends };
  }
}

/** VALUES outside of parentheses: the first one is the INSERT's own. */
function skipToValues(lexer: SqlLexer, bytes: Uint8Array): boolean {
  let depth = 0;
  for (;;) {
    const kind = lexer.next();
    if (kind === TOKEN_END || kind === TOKEN_MALFORMED) return false;
    if (kind === OPEN) depth++;
    else if (kind === CLOSE) depth--;
    else if (kind === TOKEN_WORD && depth === 0 && isValues(bytes, lexer.start, lexer.end)) return true;
  }
}

function skipRow(lexer: SqlLexer): boolean {
  for (let depth = 1; depth > 0; ) {
    const kind = lexer.next();
    if (kind === TOKEN_END || kind === TOKEN_MALFORMED) return false;
    if (kind === OPEN) depth++;
    else if (kind === CLOSE) depth--;
  }
  return true;
}

const VALUES = new TextEncoder().encode('values');

function isValues(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== VALUES.length) return false;
  for (let i = 0; i < VALUES.length; i++) if ((bytes[start + i] | 0x20) !== VALUES[i]) return false;
  return true;
}

/** A text of some of the rows, and which parameters of the whole it has, in the order of their new numbers. */
export interface PartialInsert {
  readonly text: Uint8Array;
  /** From 0. */
  readonly parameters: readonly number[];
}

/** The statement bytes[start, end) with these of its rows alone, its parameters numbered anew. */
export function takeInsertRows(
  bytes: Uint8Array,
  start: number,
  end: number,
  rows: InsertRows,
  chosen: readonly number[],
): PartialInsert {
  const last = rows.ends.length - 1;
  const pieces: Uint8Array[] = [bytes.subarray(start, rows.starts[0])];
  for (const [index, row] of chosen.entries()) {
    if (index > 0) pieces.push(Uint8Array.of(COMMA));
    pieces.push(bytes.subarray(rows.starts[row], rows.ends[row]));
  }
  pieces.push(bytes.subarray(rows.ends[last], end));
  return renumber(Buffer.concat(pieces));
}

/** Its parameters numbered anew, in the order in which they stand. */
export function renumber(text: Uint8Array): PartialInsert {
  const lexer = new SqlLexer();
  lexer.reset(text, 0, text.length);
  const numbers = new Map<number, number>();
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind !== TOKEN_PARAMETER) continue;
    const old = numberOf(text, lexer.start + 1, lexer.end) - 1;
    const known = numbers.get(old) ?? numbers.size;
    numbers.set(old, known);
    pieces.push(text.subarray(from, lexer.start), Buffer.from(`$${known + 1}`));
    from = lexer.end;
  }
  if (pieces.length === 0) return { text, parameters: [] };
  pieces.push(text.subarray(from));
  return { text: Buffer.concat(pieces), parameters: [...numbers.keys()] };
}

function numberOf(text: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + text[at] - 0x30;
  return value;
}
