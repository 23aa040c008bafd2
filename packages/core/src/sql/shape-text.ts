/*
 * The shape read last, for people to read: every literal is $n, numbered on from the parameters. It is made from the
 * shape and never from the text, so that a literal cannot come through.
 */

import { CLIENT_UTF8 } from './client-encoding.js';
import { TEXT_ASCII, TEXT_UNCERTAIN, textEncoding } from './read-sql.js';
import { SHAPE_BACKSLASH, shape } from './shape.js';

/** Characters of a text that is kept; of longer ones the head and the tail, where WHERE stands. */
export const SHAPE_TEXT_MAX = 1024;
const TAIL_MAX = 200;
const ELLIPSIS = ' … ';

const WORD = 1;
const DIGIT = 2;
/** Stands apart from what is beside it. */
const COMPARISON = 3;
const kinds = new Uint8Array(256).fill(WORD, 0x80);
for (let i = 0; i < 26; i++) kinds[0x41 + i] = kinds[0x61 + i] = WORD;
for (let i = 0; i < 10; i++) kinds[0x30 + i] = DIGIT;
for (const char of '<>=~!') kinds[char.charCodeAt(0)] = COMPARISON;
kinds[0x5f] = WORD;

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const DOT = 0x2e;
const DASH = 0x2d;
const SPACE = 0x20;
const STAR = 0x2a;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
/** What they set may be written as names are: SET app.token TO abc. */
const UTILITIES: ReadonlySet<string> = new Set(['set', 'alter', 'create']);
const ROLES: ReadonlySet<string> = new Set(['role', 'user', 'group']);
const OPERATORS = new Set([...'~!@#^&|`?+-*/%<>=:'].map((char) => char.charCodeAt(0)));

/** Writes `shape` anew. One use per text: this is the path of shapes not seen before. */
class ShapeWriter {
  readonly #bytes = shape.bytes;
  readonly #length = shape.length;
  /** Where strings end is not certain: nothing behind the first literal is shown. */
  readonly #isCut: boolean;
  #out = '';
  #at = 0;
  /** Where the part begins that is copied as it is. */
  #from = 0;
  #number: number;
  #isEnded = false;
  /** First word of the statement, '' before it. */
  #verb = '';
  /** SET stands before this: what comes behind = or TO is a value, be it written as a name. */
  #hasSet = false;
  #expectsValue = false;
  #isPassword = false;
  /** Second word of the statement. */
  #object = '';

  constructor(isCut: boolean) {
    this.#isCut = isCut;
    this.#number = parameterMax(shape.bytes, shape.length);
  }

  text(): string {
    while (this.#at < this.#length && !this.#isEnded) this.#token();
    this.#copy(this.#at);
    const text = this.#out.trim();
    if (text.length <= SHAPE_TEXT_MAX) return text;
    return text.slice(0, SHAPE_TEXT_MAX - TAIL_MAX - ELLIPSIS.length) + ELLIPSIS + text.slice(-TAIL_MAX);
  }

  #token(): void {
    const byte = this.#bytes[this.#at];
    if (byte === QUOTE) this.#literal(this.#at, stringEnd(this.#bytes, this.#at, this.#length));
    else if (byte === DOUBLE_QUOTE) this.#quoted(quotedEnd(this.#bytes, this.#at, this.#length));
    else if (byte === DOLLAR) this.#at = this.#run(this.#at + 1, (kind) => kind === DIGIT);
    else if (kinds[byte] === DIGIT) this.#literal(this.#at, this.#numberEnd());
    else if (kinds[byte] === WORD) this.#word();
    else if (OPERATORS.has(byte)) this.#operator();
    else {
      this.#at++;
      if (byte === SEMICOLON) {
        this.#verb = this.#object = '';
        this.#hasSet = this.#expectsValue = this.#isPassword = false;
      }
      if (byte === COMMA) this.#space();
      else if (byte === 0x29 && kinds[this.#bytes[this.#at]] !== 0) this.#space();
    }
  }

  /** As one token, with the letter before bit strings and national strings. */
  #word(): void {
    const end = this.#run(this.#at, (kind, byte) => kind === WORD || kind === DIGIT || byte === DOLLAR);
    if (end === this.#at + 1 && this.#bytes[end] === QUOTE && end < this.#length) {
      this.#literal(this.#at, quotedEnd(this.#bytes, end, this.#length));
      return;
    }
    const word = Buffer.from(this.#bytes.subarray(this.#at, end)).toString();
    // PASSWORD abc is a mistake as well, but only where there is no column of that name.
    if (this.#isPassword && ROLES.has(this.#object) && word !== 'null') this.#expectsValue = true;
    const wasValue = this.#expectsValue;
    this.#name(end);
    this.#isPassword &&= !wasValue;
    if (wasValue) return;
    if (this.#verb === '') this.#verb = word;
    else if (this.#object === '') this.#object = word;
    if (!UTILITIES.has(this.#verb)) return;
    if (word === 'set') this.#hasSet = true;
    this.#isPassword = word === 'password';
    this.#expectsValue = word === 'to' && this.#hasSet;
  }

  /** PASSWORD "…" is a mistake, and a secret all the same. */
  #quoted(end: number): void {
    this.#expectsValue ||= this.#isPassword;
    this.#isPassword = false;
    this.#name(end);
  }

  /** A word or quoted name, which is a value behind SET name =. */
  #name(end: number): void {
    if (this.#expectsValue) this.#literal(this.#at, end);
    else this.#at = end;
  }

  #operator(): void {
    const start = this.#at;
    let isComparison = false;
    let end = start;
    for (; end < this.#length && OPERATORS.has(this.#bytes[end]); end++) {
      if (kinds[this.#bytes[end]] === COMPARISON) isComparison = true;
    }
    if (isComparison) {
      this.#at = start;
      this.#space();
    }
    if (this.#hasSet && end === start + 1 && this.#bytes[start] === EQUALS) this.#expectsValue = true;
    if (this.#bytes[start] === STAR && kinds[this.#bytes[start - 1]] === WORD) this.#space();
    this.#at = end;
    const isStarred = this.#bytes[end - 1] === STAR && kinds[this.#bytes[end]] === WORD && end < this.#length;
    if (isComparison || isStarred) this.#space();
  }

  #literal(start: number, end: number): void {
    this.#isPassword = false;
    this.#copy(start);
    this.#out += `$${++this.#number}`;
    this.#at = this.#from = end;
    this.#expectsValue &&= this.#bytes[end] === COMMA && end < this.#length;
    if (!this.#isCut) return;
    this.#out += ELLIPSIS;
    this.#isEnded = true;
  }

  #numberEnd(): number {
    let end = this.#run(this.#at, (kind) => kind === DIGIT);
    if (this.#bytes[end] === DOT && kinds[this.#bytes[end + 1]] === DIGIT && end + 1 < this.#length) {
      end = this.#run(end + 1, (kind) => kind === DIGIT);
    }
    return end;
  }

  #run(from: number, takes: (kind: number, byte: number) => boolean): number {
    let end = from;
    while (end < this.#length && takes(kinds[this.#bytes[end]], this.#bytes[end])) end++;
    return end;
  }

  /** One space here, unless there is one. */
  #space(): void {
    this.#copy(this.#at);
    if (!this.#out.endsWith(' ')) this.#out += ' ';
    if (this.#bytes[this.#at] === SPACE) this.#at++;
    this.#from = this.#at;
  }

  #copy(end: number): void {
    if (end > this.#from) this.#out += Buffer.from(this.#bytes.subarray(this.#from, end)).toString();
    this.#from = end;
  }
}

/** Behind the quotes that open at `at`; doubled ones are part of what they enclose. */
function quotedEnd(bytes: Uint8Array, at: number, length: number): number {
  const quote = bytes[at];
  for (let i = at + 1; i < length; i++) {
    if (bytes[i] !== quote) continue;
    if (i + 1 >= length || bytes[i + 1] !== quote) return i + 1;
    i++;
  }
  return length;
}

/** As quotedEnd(), with what continues the string: only one that is kept as it was written has white space and comments behind it. */
function stringEnd(bytes: Uint8Array, from: number, length: number): number {
  let end = quotedEnd(bytes, from, length);
  let hasNewline = false;
  for (let at = end; at < length; at++) {
    const byte = bytes[at];
    if (byte === 0x0a || byte === 0x0d) hasNewline = true;
    else if (byte === DASH && bytes[at + 1] === DASH) {
      while (at + 1 < length && bytes[at + 1] !== 0x0a && bytes[at + 1] !== 0x0d) at++;
    } else if (byte === QUOTE && hasNewline) {
      end = quotedEnd(bytes, at, length);
      at = end - 1;
      hasNewline = false;
    } else if (byte !== SPACE && (byte < 0x09 || byte > 0x0d)) break;
  }
  return end;
}

/** The largest $n; literals are numbered from behind it. */
function parameterMax(bytes: Uint8Array, length: number): number {
  let max = 0;
  for (let at = 0; at < length; at++) {
    if (bytes[at] !== DOLLAR) continue;
    // Within a name it is one of its letters.
    const before = at === 0 ? 0 : kinds[bytes[at - 1]];
    if (before === WORD || before === DIGIT) continue;
    let number = 0;
    while (at + 1 < length && kinds[bytes[at + 1]] === DIGIT) number = number * 10 + bytes[++at] - 0x30;
    if (number > max && number <= 0xffff) max = number;
  }
  return max;
}

/** Of the text bytes[start, end), whose shape has just been read. @param client one of CLIENT_… */
export function shapeText(
  bytes: Uint8Array,
  start: number,
  end: number,
  isAscii: boolean,
  client = CLIENT_UTF8,
): string {
  const encoding = isAscii ? TEXT_ASCII : textEncoding(bytes, start, end, client);
  const isCut = encoding === TEXT_UNCERTAIN || (shape.flags & SHAPE_BACKSLASH) !== 0;
  return new ShapeWriter(isCut).text();
}
