// ● per-frame path
/**
 * Columns of aggregates while the shards' partial results come: one state for each group, numbered from 0. Partial results
 * that are NULL say nothing; a column without any is NULL.
 */
import { keyValue, readIntegerBinary, readIntegerText } from '../shard/key-value.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import { INCOMPARABLE, type ValueOrder } from './byte-order.js';
import { NumericSum } from './numeric-sum.js';
import { VALUE_FORMAT } from './value-types.js';

export interface FoldColumn {
  /** Memory of all its states. */
  readonly usedBytes: number;
  /** What is wrong when write() gives false. */
  readonly overflow: 'int8' | 'numeric';
  /** May a partial result be NULL? */
  readonly isNullable: boolean;
  /** Makes the state of the next group. */
  open(): void;
  /** Adds a value that is not NULL; false when it is none of the type. */
  add(group: number, bytes: Uint8Array, start: number, end: number): boolean;
  /** The result as a value of a DataRow, its size first; false when it does not fit its type. */
  write(group: number, writer: FrameWriter): boolean;
}

const TWO_32 = 0x1_0000_0000;
const INT32_MAX = 0x7fff_ffff;

/** count, and sum of int2 and int4: int8. Added up in 85 bits, so that only the end must fit. */
export class WholeColumn implements FoldColumn {
  readonly overflow = 'int8';
  /** Of no rows a sum is NULL and a count 0. */
  readonly isNullable: boolean;
  readonly #format: number;
  #high = new Float64Array(16);
  #low = new Float64Array(16);
  #isKnown = new Uint8Array(16);
  #count = 0;

  constructor(format: number, isCount: boolean) {
    this.#format = format;
    this.isNullable = !isCount;
  }

  get usedBytes(): number {
    return 17 * this.#high.length;
  }

  open(): void {
    if (this.#count === this.#high.length) {
      const [high, low, isKnown] = [this.#high, this.#low, this.#isKnown];
      this.#high = new Float64Array(2 * this.#count);
      this.#low = new Float64Array(2 * this.#count);
      this.#isKnown = new Uint8Array(2 * this.#count);
      this.#high.set(high);
      this.#low.set(low);
      this.#isKnown.set(isKnown);
    }
    this.#count++;
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    const isRead =
      this.#format === VALUE_FORMAT.text
        ? readIntegerText(bytes, start, end, 64)
        : end - start === 8 && readIntegerBinary(bytes, start, end);
    if (!isRead) return false;
    const low = this.#low[group] + keyValue.low;
    const carried = low >= TWO_32 ? 1 : 0;
    this.#low[group] = low - carried * TWO_32;
    this.#high[group] += (keyValue.high | 0) + carried;
    this.#isKnown[group] = 1;
    return true;
  }

  write(group: number, writer: FrameWriter): boolean {
    if (this.#isKnown[group] === 0 && this.isNullable) {
      writer.int32(-1);
      return true;
    }
    const high = this.#high[group];
    if (high > INT32_MAX || high < -INT32_MAX - 1) return false;
    if (this.#format === VALUE_FORMAT.binary) writer.int32(8).int32(high).int32(this.#low[group]);
    else writer.value(String((BigInt(high) << 32n) + BigInt(this.#low[group])));
    return true;
  }
}

/** sum of int8 and numeric: numeric. */
export class NumericColumn implements FoldColumn {
  readonly overflow = 'numeric';
  readonly isNullable = true;
  readonly #format: number;
  readonly #sums: NumericSum[] = [];
  usedBytes = 0;

  constructor(format: number) {
    this.#format = format;
  }

  open(): void {
    const sum = new NumericSum();
    this.#sums.push(sum);
    this.usedBytes += sum.usedBytes;
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    const sum = this.#sums[group];
    const before = sum.usedBytes;
    const isAdded = sum.add(bytes, start, end, this.#format);
    this.usedBytes += sum.usedBytes - before;
    return isAdded;
  }

  write(group: number, writer: FrameWriter): boolean {
    const sum = this.#sums[group];
    if (!sum.isEmpty) return sum.write(writer, this.#format);
    writer.int32(-1);
    return true;
  }
}

/** What an array of a few bytes costs. */
const ARRAY_BYTES = 128;
const NOTHING = new Uint8Array(0);

/** min and max; the first of equal ones. */
export class ExtremeColumn implements FoldColumn {
  readonly overflow = 'int8';
  readonly isNullable = true;
  readonly #order: ValueOrder;
  readonly #isMax: boolean;
  readonly #values: Uint8Array[] = [];
  /** -1: none yet. */
  readonly #sizes: number[] = [];
  usedBytes = 0;

  constructor(order: ValueOrder, isMax: boolean) {
    this.#order = order;
    this.#isMax = isMax;
  }

  open(): void {
    this.#values.push(NOTHING);
    this.#sizes.push(-1);
    this.usedBytes += ARRAY_BYTES;
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    const size = this.#sizes[group];
    if (size >= 0) {
      const compared = this.#order(bytes, start, end, this.#values[group], 0, size);
      if (compared === INCOMPARABLE) return false;
      if (this.#isMax ? compared <= 0 : compared >= 0) return true;
    }
    this.#keep(group, bytes, start, end);
    return true;
  }

  #keep(group: number, bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size > this.#values[group].length) {
      this.usedBytes += size - this.#values[group].length;
      this.#values[group] = new Uint8Array(size);
    }
    const kept = this.#values[group];
    for (let index = 0; index < size; index++) kept[index] = bytes[start + index];
    this.#sizes[group] = size;
  }

  write(group: number, writer: FrameWriter): boolean {
    const size = this.#sizes[group];
    writer.int32(size);
    if (size > 0) writer.bytes(this.#values[group], 0, size);
    return true;
  }
}

const LETTER_T = 0x74;
const LETTER_F = 0x66;

/** bool_and and bool_or. */
export class BoolColumn implements FoldColumn {
  readonly overflow = 'int8';
  readonly isNullable = true;
  readonly #format: number;
  /** bool_and ends with the first false, bool_or with the first true. */
  readonly #decisive: boolean;
  /** 0: none yet. */
  #states = new Uint8Array(64);
  #count = 0;

  constructor(format: number, isAnd: boolean) {
    this.#format = format;
    this.#decisive = !isAnd;
  }

  get usedBytes(): number {
    return this.#states.length;
  }

  open(): void {
    if (this.#count === this.#states.length) {
      const grown = new Uint8Array(2 * this.#count);
      grown.set(this.#states);
      this.#states = grown;
    }
    this.#count++;
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start !== 1) return false;
    const byte = bytes[start];
    const isText = this.#format === VALUE_FORMAT.text;
    const isTrue = byte === (isText ? LETTER_T : 1);
    if (!isTrue && byte !== (isText ? LETTER_F : 0)) return false;
    const state = isTrue ? LETTER_T : LETTER_F;
    if (this.#states[group] === 0 || isTrue === this.#decisive) this.#states[group] = state;
    return true;
  }

  write(group: number, writer: FrameWriter): boolean {
    const state = this.#states[group];
    if (state === 0) writer.int32(-1);
    else writer.int32(1).byte(this.#format === VALUE_FORMAT.text ? state : state === LETTER_T ? 1 : 0);
    return true;
  }
}
