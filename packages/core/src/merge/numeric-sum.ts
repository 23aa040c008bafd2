// ● per-frame path
import { assert } from '../base/assert.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import { DIGITS_BEFORE_MAX, SCALE_MAX, special, writeDecimal } from './decimal.js';
import { NUMERIC_HEADER_BYTES, NUMERIC_SIGN, numericDigitCount } from './decimal-order.js';
import { VALUE_FORMAT } from './value-types.js';

const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;

/** src/backend/utils/adt/numeric.c: NUMERIC_WEIGHT_MAX. */
const WEIGHT_MAX = 0x7fff;
/** Values added before carrying: 100,000 times 9,999 fits 31 bits, with room for what is carried in. */
const PENDING_MAX = 100_000;
const TENS = [1, 10, 100, 1000];
/** What an empty sum is in memory, about. */
const OBJECT_BYTES = 160;

const word = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

/**
 * Sum of numeric values, exact, with the scale that Postgres shows: the largest of them. Digits of base 10,000 are added up
 * each for itself and carried now and then.
 *
 *   #slots[index] counts 10,000 to the power of #low + index; the last one is there for what is carried.
 */
export class NumericSum {
  #slots: Int32Array = new Int32Array(0);
  #low = 0;
  #scale = 0;
  #pending = 0;
  #isNan = false;
  #isInfinite = false;
  #isMinusInfinite = false;
  /** Sum of nothing is NULL. */
  isEmpty = true;

  get usedBytes(): number {
    return OBJECT_BYTES + 4 * this.#slots.length;
  }

  /** @returns false when bytes[start, end) is no numeric in that format */
  add(bytes: Uint8Array, start: number, end: number, format: number): boolean {
    this.isEmpty = false;
    return format === VALUE_FORMAT.text
      ? this.#addText(bytes, start, end)
      : this.#addBinary(bytes, start, end);
  }

  #addText(bytes: Uint8Array, start: number, end: number): boolean {
    const isNegative = start < end && bytes[start] === DASH;
    const from = isNegative ? start + 1 : start;
    if (from < end && bytes[from] > 0x39) return this.#addWord(bytes, from, end, isNegative);
    let point = end;
    for (let at = from; at < end; at++) {
      if (bytes[at] === DOT && point === end) point = at;
      else if (bytes[at] < ZERO || bytes[at] > 0x39) return false;
    }
    const before = point - from;
    const behind = Math.max(0, end - point - 1);
    if (before < 1 || before > DIGITS_BEFORE_MAX || behind > SCALE_MAX || point === end - 1) return false;
    this.#reserve(-behind >> 2, (before - 1) >> 2);
    let place = before - 1;
    for (let at = from; at < end; at++) {
      if (at === point) continue;
      const digit = (bytes[at] - ZERO) * TENS[place & 3];
      this.#slots[(place >> 2) - this.#low] += isNegative ? -digit : digit;
      place--;
    }
    this.#scale = Math.max(this.#scale, behind);
    return true;
  }

  #addWord(bytes: Uint8Array, start: number, end: number, isNegative: boolean): boolean {
    const text = end - start === 3 ? 'NaN' : 'Infinity';
    if (end - start !== text.length || (isNegative && text === 'NaN')) return false;
    for (let index = 0; index < text.length; index++) {
      if (bytes[start + index] !== text.charCodeAt(index)) return false;
    }
    if (text === 'NaN') this.#isNan = true;
    else if (isNegative) this.#isMinusInfinite = true;
    else this.#isInfinite = true;
    return true;
  }

  #addBinary(bytes: Uint8Array, start: number, end: number): boolean {
    const count = numericDigitCount(bytes, start, end);
    if (count < 0) return false;
    const sign = word(bytes, start + 4);
    if (sign === NUMERIC_SIGN.nan) this.#isNan = true;
    else if (sign === NUMERIC_SIGN.infinity) this.#isInfinite = true;
    else if (sign === NUMERIC_SIGN.minusInfinity) this.#isMinusInfinite = true;
    else if (sign !== NUMERIC_SIGN.positive && sign !== NUMERIC_SIGN.negative) return false;
    if (sign === NUMERIC_SIGN.positive || sign === NUMERIC_SIGN.negative) {
      const weight = (word(bytes, start + 2) << 16) >> 16;
      const scale = word(bytes, start + 6);
      // Digits that would not be shown: Postgres has none.
      if (scale > SCALE_MAX || (count > 0 && 4 * (count - weight - 1) > scale + 3)) return false;
      this.#scale = Math.max(this.#scale, scale);
      if (count > 0) this.#addDigits(bytes, start + NUMERIC_HEADER_BYTES, count, weight, sign);
    }
    return true;
  }

  #addDigits(bytes: Uint8Array, start: number, count: number, weight: number, sign: number): void {
    this.#reserve(weight - count + 1, weight);
    for (let index = 0; index < count; index++) {
      const digit = word(bytes, start + 2 * index);
      this.#slots[weight - index - this.#low] += sign === NUMERIC_SIGN.negative ? -digit : digit;
    }
  }

  /** Room for digits of these weights, and for one more value. */
  #reserve(low: number, high: number): void {
    const length = this.#slots.length;
    if (length === 0) {
      this.#low = low;
      this.#slots = new Int32Array(high - low + 2);
    } else if (low < this.#low || high > this.#low + length - 2) {
      const newLow = Math.min(low, this.#low);
      const newHigh = Math.max(high, this.#low + length - 1);
      const grown = new Int32Array(newHigh - newLow + 2);
      grown.set(this.#slots, this.#low - newLow);
      this.#slots = grown;
      this.#low = newLow;
      this.#pending = PENDING_MAX;
    }
    if (this.#pending >= PENDING_MAX) this.#carry();
    this.#pending++;
  }

  /** Each digit but the last to 0..9,999; the last one has the sign of all. */
  #carry(): void {
    const slots = this.#slots;
    for (let index = 0; index + 1 < slots.length; index++) {
      const carried = Math.floor(slots[index] / 10_000);
      slots[index] -= carried * 10_000;
      slots[index + 1] += carried;
    }
    this.#pending = 0;
  }

  /** Writes the sum as a value of a DataRow, its size first; false when it is larger than numeric can be. */
  write(writer: FrameWriter, format: number): boolean {
    assert(!this.isEmpty, 'the sum of nothing is NULL');
    if (this.#isNan || this.#isInfinite || this.#isMinusInfinite) {
      const hasBoth = this.#isInfinite && this.#isMinusInfinite;
      const which = this.#isNan || hasBoth ? 'nan' : this.#isInfinite ? 'infinity' : 'minusInfinity';
      writeDecimal(writer, format, special(which));
      return true;
    }
    // Two more: what has been carried into the last slot may have up to ten digits.
    this.#reserve(Math.min(this.#low, 0), Math.max(this.#low + this.#slots.length + 1, 0));
    this.#carry();
    const slots = this.#slots;
    const isNegative = slots[slots.length - 1] < 0;
    if (isNegative) {
      for (let index = 0; index < slots.length; index++) slots[index] = -slots[index];
      this.#carry();
    }
    let top = slots.length - 1;
    while (top >= 0 && slots[top] === 0) top--;
    const isFitting = top + this.#low <= WEIGHT_MAX;
    if (isFitting && format === VALUE_FORMAT.text) this.#writeText(writer, top, isNegative);
    else if (isFitting) this.#writeBinary(writer, top, isNegative);
    // What is written can be added to again.
    if (isNegative) for (let index = 0; index < slots.length; index++) slots[index] = -slots[index];
    return isFitting;
  }

  #digitOf(weight: number): number {
    const index = weight - this.#low;
    return index >= 0 && index < this.#slots.length ? this.#slots[index] : 0;
  }

  #writeText(writer: FrameWriter, top: number, isNegative: boolean): void {
    const topWeight = Math.max(0, top < 0 ? 0 : top + this.#low);
    const text = new Uint8Array(4 * (topWeight + 1) + this.#scale + 2);
    let size = 0;
    if (isNegative) text[size++] = DASH;
    let isBegun = false;
    for (let place = 4 * topWeight + 3; place >= -this.#scale; place--) {
      if (place === -1) text[size++] = DOT;
      const digit = Math.floor(this.#digitOf(place >> 2) / TENS[place & 3]) % 10;
      isBegun ||= digit !== 0 || place <= 0;
      if (isBegun) text[size++] = ZERO + digit;
    }
    writer.int32(size).bytes(text, 0, size);
  }

  #writeBinary(writer: FrameWriter, top: number, isNegative: boolean): void {
    let bottom = 0;
    while (bottom <= top && this.#slots[bottom] === 0) bottom++;
    const count = top < 0 ? 0 : top - bottom + 1;
    writer.int32(NUMERIC_HEADER_BYTES + 2 * count).int16(count);
    writer.int16(count === 0 ? 0 : top + this.#low);
    writer.int16(isNegative ? NUMERIC_SIGN.negative : NUMERIC_SIGN.positive).int16(this.#scale);
    for (let index = top; index >= bottom && count > 0; index--) writer.int16(this.#slots[index]);
  }
}
