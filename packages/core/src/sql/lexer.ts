/**
 * Postgres's lexical rules (scan.l) over bytes, as far as they decide where a token starts and ends.
 *
 * Bytes from 0x80 up are identifier characters, as in Postgres. standard_conforming_strings is taken to be on;
 * `hasBackslash` tells when that mattered. Operators come out one character at a time: nothing here needs
 * them whole, and a comment ends an operator anywhere.
 */
import { progress } from '../base/assert.js';

/** Token kinds. Punctuation and operator characters have their byte as their kind. */
export const TOKEN_END = 0;
/** Keyword or unquoted identifier. */
export const TOKEN_WORD = 1;
/** "…" or U&"…". */
export const TOKEN_QUOTED = 2;
/** '…' with any prefix, or $tag$…$tag$. */
export const TOKEN_STRING = 3;
export const TOKEN_NUMBER = 4;
/** $1 */
export const TOKEN_PARAMETER = 5;
/** Unterminated string, quoted identifier or comment, or a NUL: no server can accept the text. */
export const TOKEN_MALFORMED = 6;

const BYTE_TAB = 0x09;
const BYTE_NEWLINE = 0x0a;
const BYTE_RETURN = 0x0d;
const BYTE_SPACE = 0x20;
const BYTE_DOUBLE_QUOTE = 0x22;
const BYTE_DOLLAR = 0x24;
const BYTE_AMPERSAND = 0x26;
const BYTE_QUOTE = 0x27;
const BYTE_STAR = 0x2a;
const BYTE_PLUS = 0x2b;
const BYTE_MINUS = 0x2d;
const BYTE_DOT = 0x2e;
const BYTE_SLASH = 0x2f;
const BYTE_BACKSLASH = 0x5c;
const LOWER_CASE = 0x20;
const LETTER_B = 0x62;
const LETTER_E = 0x65;
const LETTER_U = 0x75;
const LETTER_X = 0x78;

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isIdentifierStart(byte: number): boolean {
  const lower = byte | LOWER_CASE;
  return (lower >= 0x61 && lower <= 0x7a) || byte === 0x5f || byte >= 0x80;
}

function isSpace(byte: number): boolean {
  return byte === BYTE_SPACE || (byte >= BYTE_TAB && byte <= BYTE_RETURN);
}

export class SqlLexer {
  kind = TOKEN_END;
  /** The token occupies bytes[start, end). */
  start = 0;
  end = 0;
  /** A '…' string without E before it held a backslash. */
  hasBackslash = false;
  /** Invariant: start <= end <= limit between calls of next(). */
  #bytes: Uint8Array = new Uint8Array(0);
  #limit = 0;

  reset(bytes: Uint8Array, start: number, limit: number): void {
    this.#bytes = bytes;
    this.#limit = limit;
    this.start = start;
    this.end = start;
    this.kind = TOKEN_END;
    this.hasBackslash = false;
  }

  /** Moves to the next token and returns its kind; TOKEN_END and TOKEN_MALFORMED are final. */
  next(): number {
    if (this.kind === TOKEN_MALFORMED) return TOKEN_MALFORMED;
    const at = this.#skipSpace(this.end);
    this.start = at < 0 ? this.#limit : at;
    if (at < 0) return this.#finish(TOKEN_MALFORMED, this.#limit);
    if (at >= this.#limit) return this.#finish(TOKEN_END, this.#limit);
    const byte = this.#bytes[at];
    if (isIdentifierStart(byte)) return this.#word(at, byte);
    if (isDigit(byte)) return this.#number(at);
    if (byte === BYTE_QUOTE) return this.#string(at, false);
    if (byte === BYTE_DOUBLE_QUOTE) return this.#quoted(at);
    if (byte === BYTE_DOLLAR) return this.#dollar(at);
    if (byte === BYTE_DOT && isDigit(this.#peek(at + 1))) return this.#number(at);
    return this.#finish(byte === 0 ? TOKEN_MALFORMED : byte, at + 1);
  }

  #finish(kind: number, end: number): number {
    this.kind = kind;
    // Only what is final may stay where it is: callers loop until then.
    this.end = kind === TOKEN_END || kind === TOKEN_MALFORMED ? end : progress(this.start, end);
    return kind;
  }

  #peek(at: number): number {
    return at < this.#limit ? this.#bytes[at] : 0;
  }

  /** @returns where the next token starts, or -1 inside an unterminated comment */
  #skipSpace(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (at < this.#limit) {
      const byte = bytes[at];
      if (isSpace(byte)) at++;
      else if (byte === BYTE_MINUS && this.#peek(at + 1) === BYTE_MINUS) at = this.#lineEnd(at);
      else if (byte === BYTE_SLASH && this.#peek(at + 1) === BYTE_STAR) {
        at = this.#commentEnd(at);
        if (at < 0) return -1;
      } else break;
    }
    return at;
  }

  #lineEnd(from: number): number {
    let at = from;
    while (at < this.#limit && this.#bytes[at] !== BYTE_NEWLINE && this.#bytes[at] !== BYTE_RETURN) at++;
    return at;
  }

  /** Block comments nest. */
  #commentEnd(from: number): number {
    let depth = 1;
    for (let at = from + 2; at < this.#limit; at++) {
      const byte = this.#bytes[at];
      if (byte === BYTE_STAR && this.#peek(at + 1) === BYTE_SLASH) {
        depth--;
        at++;
        if (depth === 0) return at + 1;
      } else if (byte === BYTE_SLASH && this.#peek(at + 1) === BYTE_STAR) {
        depth++;
        at++;
      }
    }
    return -1;
  }

  #word(from: number, first: number): number {
    const second = this.#peek(from + 1);
    const lower = first | LOWER_CASE;
    if (second === BYTE_QUOTE) {
      if (lower === LETTER_E) return this.#string(from + 1, true);
      if (lower === LETTER_B || lower === LETTER_X) return this.#bits(from + 1);
    } else if (lower === LETTER_U && second === BYTE_AMPERSAND) {
      const third = this.#peek(from + 2);
      // Backslashes in U&'…' introduce code points and never hide a quote.
      if (third === BYTE_QUOTE) return this.#string(from + 2, false);
      if (third === BYTE_DOUBLE_QUOTE) return this.#quoted(from + 2);
    }
    let at = from + 1;
    while (at < this.#limit) {
      const byte = this.#bytes[at];
      if (!isIdentifierStart(byte) && !isDigit(byte) && byte !== BYTE_DOLLAR) break;
      at++;
    }
    return this.#finish(TOKEN_WORD, at);
  }

  /**
   * Letters straight after a number come out as a word of their own, as in versions before 15; newer ones
   * refuse most of them. Hexadecimal and 1_000 thus give two tokens, which harms nobody.
   */
  #number(from: number): number {
    let at = this.#digitsEnd(from);
    if (this.#peek(at) === BYTE_DOT && this.#peek(at + 1) !== BYTE_DOT) at = this.#digitsEnd(at + 1);
    if ((this.#peek(at) | LOWER_CASE) === LETTER_E) {
      const sign = this.#peek(at + 1);
      const digits = sign === BYTE_PLUS || sign === BYTE_MINUS ? at + 2 : at + 1;
      if (isDigit(this.#peek(digits))) at = this.#digitsEnd(digits);
    }
    return this.#finish(TOKEN_NUMBER, at);
  }

  #digitsEnd(from: number): number {
    let at = from;
    while (at < this.#limit && isDigit(this.#bytes[at])) at++;
    return at;
  }

  /** B'…' and X'…', in which a doubled quote ends one string and starts another. */
  #bits(quote: number): number {
    for (let at = quote + 1; at < this.#limit && this.#bytes[at] !== 0; at++) {
      if (this.#bytes[at] === BYTE_QUOTE) return this.#finish(TOKEN_STRING, at + 1);
    }
    return this.#finish(TOKEN_MALFORMED, this.#limit);
  }

  /** @param quote position of the opening quote */
  #string(quote: number, hasEscapes: boolean): number {
    let at = quote + 1;
    while (at < this.#limit) {
      const byte = this.#bytes[at];
      if (byte === BYTE_QUOTE) {
        if (this.#peek(at + 1) === BYTE_QUOTE) at += 2;
        else {
          const next = hasEscapes ? this.#continuation(at + 1) : -1;
          if (next < 0) return this.#finish(TOKEN_STRING, at + 1);
          at = next;
        }
      } else if (byte === BYTE_BACKSLASH) {
        this.hasBackslash ||= !hasEscapes;
        at += hasEscapes ? 2 : 1;
      } else if (byte === 0) break;
      else at++;
    }
    return this.#finish(TOKEN_MALFORMED, this.#limit);
  }

  /**
   * A string goes on after white space with a newline in it ('a' newline 'b'), and keeps the kind of its
   * first part. That matters for E'…' only, where the second part has escapes as well.
   * @returns first byte after the quote that goes on, or -1
   */
  #continuation(from: number): number {
    let at = from;
    let hasNewline = false;
    while (at < this.#limit) {
      const byte = this.#bytes[at];
      if (byte === BYTE_QUOTE && hasNewline) return at + 1;
      if (byte === BYTE_NEWLINE || byte === BYTE_RETURN) hasNewline = true;
      else if (byte === BYTE_MINUS && this.#peek(at + 1) === BYTE_MINUS) {
        at = this.#lineEnd(at);
        continue;
      } else if (!isSpace(byte)) return -1;
      at++;
    }
    return -1;
  }

  #quoted(quote: number): number {
    for (let at = quote + 1; at < this.#limit; at++) {
      const byte = this.#bytes[at];
      if (byte === 0) break;
      if (byte !== BYTE_DOUBLE_QUOTE) continue;
      if (this.#peek(at + 1) !== BYTE_DOUBLE_QUOTE) return this.#finish(TOKEN_QUOTED, at + 1);
      at++;
    }
    return this.#finish(TOKEN_MALFORMED, this.#limit);
  }

  /** $1, $$…$$, $tag$…$tag$, or a lone '$' that no grammar accepts. */
  #dollar(from: number): number {
    const bytes = this.#bytes;
    if (isDigit(this.#peek(from + 1))) return this.#finish(TOKEN_PARAMETER, this.#digitsEnd(from + 1));
    let tagEnd = from + 1;
    if (isIdentifierStart(this.#peek(tagEnd))) {
      while (tagEnd < this.#limit && (isIdentifierStart(bytes[tagEnd]) || isDigit(bytes[tagEnd]))) tagEnd++;
    }
    if (this.#peek(tagEnd) !== BYTE_DOLLAR) return this.#finish(BYTE_DOLLAR, from + 1);
    const tagLength = tagEnd + 1 - from;
    // Linear in all: a tag holds no '$', so no comparison reads past the next one.
    for (let at = tagEnd + 1; at + tagLength <= this.#limit; at++) {
      if (bytes[at] === 0) break;
      if (bytes[at] !== BYTE_DOLLAR) continue;
      let same = 1;
      while (same < tagLength && bytes[at + same] === bytes[from + same]) same++;
      if (same === tagLength) return this.#finish(TOKEN_STRING, at + tagLength);
    }
    return this.#finish(TOKEN_MALFORMED, this.#limit);
  }
}
