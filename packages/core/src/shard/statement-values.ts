// ● per-frame path
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_PARAMETER } from '../sql/lexer.js';
import { readShape, SHAPE_READ, shape } from '../sql/shape.js';
import { decodeText } from '../wire/cstring.js';
import { NO_VALUE, NULL_VALUE, valueBytesOf } from '../wire/frame-header.js';
import { readBinaryArray, readTextArray } from './array-items.js';
import { keyValue, readIntegerBinary } from './key-value.js';
import { mayTellTime, TIME_OIDS } from './time-words.js';

const NO_BYTES = new Uint8Array(0);
/** Parameters of one Bind, as the protocol has it. */
const PARAMETERS_MAX = 65_535;
const START_CAPACITY = 32;
const NOT_SENT = 'has not been sent within the first bytes of its message';

/** In place of a size: NULL; not sent, or not there yet. */
export const IS_NULL = -1;
export const IS_ABSENT = -2;

/** None said, bool, text, unknown, varchar. */
const PLAIN_TEXT_OIDS: ReadonlySet<number> = new Set([0, 16, 25, 705, 1043]);

/**
 * Where the values of one execution stand: literals in its text, parameters in its Bind (protocol page "Bind"). One
 * object serves all sessions of a thread, one statement at a time.
 */
export class StatementValues {
  text: Uint8Array = NO_BYTES;
  private textStart = 0;
  private textEnd = 0;
  private isShapeRead = false;
  bytes: Uint8Array = NO_BYTES;
  starts = new Int32Array(START_CAPACITY);
  sizes = new Int32Array(START_CAPACITY);
  isBinary = new Uint8Array(START_CAPACITY);
  /** Type oids as the Parse declares them, so many. */
  private types = new Uint32Array(START_CAPACITY);
  private typeCount = 0;
  count = 0;
  /** A Bind's: the text was prepared before. */
  isBound = false;
  /** Texts that are not ASCII are not stored as they are sent: the encodings differ. */
  isForeign = false;
  /** They are stored as UTF-8. */
  isUtf8 = true;
  /** Why a parameter that it should have is not known. */
  absence = NOT_SENT;

  /** A Query or Parse with this text. @param isShapeRead readShape() was last called for it */
  begin(text: Uint8Array, start: number, end: number, isShapeRead = false): void {
    this.text = text;
    this.textStart = start;
    this.textEnd = end;
    this.isShapeRead = isShapeRead;
    this.isBound = false;
    this.count = 0;
    this.bytes = NO_BYTES;
  }

  /** Reads where the literals stand. False: nowhere that is known. */
  readLiterals(): boolean {
    if (!this.isShapeRead) {
      if (readShape(this.text, this.textStart, this.textEnd) !== SHAPE_READ) return false;
      this.isShapeRead = true;
    }
    return true;
  }

  /** False: the shape has no literal of this number, or not all were noted. */
  hasLiteral(index: number): boolean {
    return this.readLiterals() && index < shape.literalCount && index < shape.literalStarts.length;
  }

  literalStart(index: number): number {
    return shape.literalStarts[index];
  }

  literalEnd(index: number): number {
    return shape.literalEnds[index];
  }

  /** How often the text has $number. */
  parameterUses(number: number): number {
    // exempt: of statements of several shards
    const lexer = new SqlLexer();
    lexer.reset(this.text, this.textStart, this.textEnd);
    const name = `$${number}`;
    let count = 0;
    for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
      if (kind === TOKEN_PARAMETER && decodeText(this.text, lexer.start, lexer.end) === name) count++;
    }
    return count;
  }

  /** Bytes from the beginning of the text. */
  literalOffset(index: number): number {
    return shape.literalStarts[index] - this.textStart;
  }

  literalOffsetEnd(index: number): number {
    return shape.literalEnds[index] - this.textStart;
  }

  /** As it is written; '' when there is no such literal. */
  literalText(index: number): string {
    return this.hasLiteral(index)
      ? decodeText(this.text, this.literalStart(index), this.literalEnd(index))
      : '';
  }

  /** An integer parameter in decimal; null: NULL; '': not there, or no integer. */
  parameterText(index: number): string | null {
    if (index >= this.count || this.sizes[index] === IS_ABSENT) return '';
    if (this.sizes[index] === IS_NULL) return null;
    const start = this.starts[index];
    const end = start + this.sizes[index];
    if (this.isBinary[index] === 0) return decodeText(this.bytes, start, end);
    if (!readIntegerBinary(this.bytes, start, end)) return '';
    return String((BigInt(keyValue.high | 0) << 32n) | BigInt(keyValue.low >>> 0));
  }

  /** A text or a boolean, in text or in binary; null: NULL; undefined: it is not there, or is declared as something else. */
  plainText(index: number): string | null | undefined {
    if (index >= this.count || this.sizes[index] === IS_ABSENT) return undefined;
    if (index < this.typeCount && !PLAIN_TEXT_OIDS.has(this.types[index])) return undefined;
    const size = this.sizes[index];
    if (size === IS_NULL) return null;
    const start = this.starts[index];
    const isBoolean = this.isBinary[index] === 1 && size === 1 && this.bytes[start] <= 1;
    return isBoolean ? String(this.bytes[start] === 1) : decodeText(this.bytes, start, start + size);
  }

  /** Whether one of them, or of those that a Parse declares as times, is written as 'now' or its like. @param numbers from 1 */
  tellsTime(numbers: readonly number[]): boolean {
    if (!this.isBound) return false;
    if (numbers.some((number) => this.isTimeWord(number - 1))) return true;
    for (let index = 0; index < this.typeCount; index++)
      if (TIME_OIDS.has(this.types[index]) && this.isTimeWord(index)) return true;
    return false;
  }

  private isTimeWord(index: number): boolean {
    if (index >= this.count || this.isBinary[index] !== 0 || this.sizes[index] <= 0) return false;
    const start = this.starts[index];
    return mayTellTime(decodeText(this.bytes, start, start + this.sizes[index]));
  }

  /** Items of an array parameter, NULLs among them; null: that cannot be read. */
  arrayLength(index: number): number | null {
    if (index >= this.count || this.sizes[index] === IS_ABSENT) return null;
    if (this.sizes[index] === IS_NULL) return 0;
    let count = 0;
    const add = (): boolean => ++count > 0;
    const start = this.starts[index];
    const end = start + this.sizes[index];
    const isRead =
      this.isBinary[index] === 0
        ? readTextArray(this.bytes, start, end, add, add)
        : readBinaryArray(this.bytes, start, end, () => true, add, add);
    return isRead ? count : null;
  }

  get listEnd(): number {
    return this.textEnd;
  }

  /** Types of a Parse: bytes[start, …) are `count` oids. */
  readTypes(bytes: Uint8Array, start: number, count: number): void {
    const size = Math.min(count, PARAMETERS_MAX);
    this.reserve(size);
    this.typeCount = size;
    for (let index = 0; index < size; index++) this.types[index] = oidAt(bytes, start + 4 * index);
  }

  noTypes(): void {
    this.typeCount = 0;
  }

  /** Oid of a parameter's type; 0: the server infers it. */
  typeOf(index: number): number {
    return index < this.typeCount ? this.types[index] : 0;
  }

  /**
   * bytes[start, end) is a Bind behind the statement's name, or as much of it as has come.
   * @returns false: it is malformed
   */
  readParameters(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytes = bytes;
    this.isBound = true;
    this.absence = NOT_SENT;
    this.count = 0;
    if (end - start < 2) return true;
    const formatCount = int16(bytes, start);
    const formatsStart = start + 2;
    let at = formatsStart + 2 * formatCount;
    if (at + 2 > end) return true;
    const count = int16(bytes, at);
    at += 2;
    this.reserve(count);
    for (let index = 0; index < count; index++) {
      const size = at + 4 > end ? NO_VALUE : valueBytesOf(bytes, at, end);
      this.sizes[index] = IS_ABSENT;
      if (size !== NO_VALUE) {
        const which = formatCount === 1 ? 0 : index;
        this.isBinary[index] = which < formatCount ? int16(bytes, formatsStart + 2 * which) & 1 : 0;
        this.starts[index] = at + 4;
        this.sizes[index] = size === NULL_VALUE ? IS_NULL : size;
        at += 4 + Math.max(0, size);
      } else at = end;
    }
    this.count = count;
    return true;
  }

  /** What stands for it is no value yet: the server converts it. */
  markAbsent(index: number): void {
    this.sizes[index] = IS_ABSENT;
    this.absence = 'is given by a literal that would have to be converted';
  }

  private reserve(count: number): void {
    if (count <= this.starts.length) return;
    // exempt: grows to the statement with the most parameters
    const capacity = Math.min(PARAMETERS_MAX, 2 * count);
    const { types } = this;
    this.starts = new Int32Array(capacity);
    this.sizes = new Int32Array(capacity);
    this.isBinary = new Uint8Array(capacity);
    this.types = new Uint32Array(capacity);
    this.types.set(types);
  }
}

function int16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function oidAt(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x1000000 + ((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]);
}
