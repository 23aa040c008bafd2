// ● per-frame path
import { copyBytes } from '../io/copy-bytes.js';
import type { QueryFigures } from './query-figures.js';

const SLOTS = 512;
/** Of a text that is kept: 2.5 MB in all at most. */
const TEXT_BYTES_MAX = 4096;
const ALIKE_BYTES_MAX = 512;
const FIRST_BYTES = 64;
/** Longer ones are compared by a call, which costs more than these bytes do. */
const LOOP_BYTES_MAX = 64;
const SAMPLES = 8;
/** What is hashed of both ends of a text, its digits left out. */
const END_BYTES = 16;
const PRIME = 0x01000193;
/** Of 2147483647. */
const INTEGER_DIGITS = 10;

const DIGIT = 1;
/** Continues a name, and is no digit. */
const LETTER = 2;
const QUOTE = 3;
const kinds = new Uint8Array(256).fill(LETTER, 0x80);
for (let i = 0; i < 26; i++) kinds[0x41 + i] = kinds[0x61 + i] = LETTER;
for (let i = 0; i < 10; i++) kinds[0x30 + i] = DIGIT;
kinds[0x5f] = kinds[0x24] = LETTER;
kinds[0x22] = QUOTE;

/** A text per slot, a newer one in place of an older one. */
class TextSlots {
  readonly texts: (Buffer | null)[] = new Array(SLOTS).fill(null);
  readonly sizes = new Int32Array(SLOTS);
  readonly figures: (QueryFigures | null)[] = new Array(SLOTS).fill(null);
  /** That they take. */
  bytes = 0;

  /** What stands in the slot, if it is of use on `database`. */
  of(slot: number, database: string): QueryFigures | null {
    const figures = this.figures[slot];
    return figures !== null && figures.entry >= 0 && figures.database === database ? figures : null;
  }

  put(slot: number, bytes: Uint8Array, start: number, end: number, figures: QueryFigures): void {
    const size = end - start;
    let text = this.texts[slot];
    if (text === null || text.length < size) {
      // exempt: a slot grows a few times, from 64 bytes to 4 KB
      this.bytes -= text?.length ?? 0;
      text = Buffer.alloc(capacityFor(size));
      this.bytes += text.length;
      this.texts[slot] = text;
    }
    copyBytes(text, 0, bytes, start, end);
    this.sizes[slot] = size;
    this.figures[slot] = figures;
  }

  clear(): void {
    this.texts.fill(null);
    this.figures.fill(null);
    this.sizes.fill(0);
    this.bytes = 0;
  }
}

/**
 * Texts that came not long ago with what they count for, which costs a fraction of reading their shapes. Those that
 * have numbers in them are found by texts that differ in their digits alone; the others byte for byte.
 */
export class KnownTexts {
  readonly #same = new TextSlots();
  readonly #alike = new TextSlots();

  get bytes(): number {
    return this.#same.bytes + this.#alike.bytes;
  }

  /** What bytes[start, end) counts for on `database`, unless that is not known or no longer kept. */
  find(database: string, bytes: Uint8Array, start: number, end: number): QueryFigures | null {
    const slot = slotOf(bytes, start, end);
    const size = end - start;
    if (this.#same.sizes[slot] === size && isSame(this.#same.texts[slot]!, bytes, start, end)) {
      const figures = this.#same.of(slot, database);
      if (figures !== null) return figures;
    }
    if (size > ALIKE_BYTES_MAX) return null;
    const alike = alikeSlotOf(bytes, start, end);
    const figures = this.#alike.of(alike, database);
    if (figures === null) return null;
    return isAlike(this.#alike.texts[alike]!, this.#alike.sizes[alike], bytes, start, end) ? figures : null;
  }

  /**
   * A text that find() has not found, and whose shape is that of `figures`.
   * @param isExact the shape has a literal of it, digits and all
   */
  keep(bytes: Uint8Array, start: number, end: number, figures: QueryFigures, isExact: boolean): void {
    if (end - start > TEXT_BYTES_MAX) return;
    if (!isExact && end - start <= ALIKE_BYTES_MAX && hasNumber(bytes, start, end)) {
      this.#alike.put(alikeSlotOf(bytes, start, end), bytes, start, end, figures);
    } else this.#same.put(slotOf(bytes, start, end), bytes, start, end, figures);
  }

  clear(): void {
    this.#same.clear();
    this.#alike.clear();
  }
}

function capacityFor(size: number): number {
  let capacity = FIRST_BYTES;
  while (capacity < size) capacity *= 2;
  return capacity;
}

/** By its length, some bytes from all over it, and its end, where texts of one program differ most. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  const step = (size / SAMPLES) | 0;
  let hash = size;
  for (let i = 0, at = start; i < SAMPLES; i++, at += step) hash = Math.imul(hash ^ bytes[at], PRIME);
  for (let at = Math.max(start, end - 4); at < end; at++) hash = Math.imul(hash ^ bytes[at], PRIME);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

/** By its ends without digits. */
function alikeSlotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  let left = END_BYTES;
  for (let at = start; at < end && left > 0; at++) {
    if (kinds[bytes[at]] === DIGIT) continue;
    hash = Math.imul(hash ^ bytes[at], PRIME);
    left--;
  }
  left = END_BYTES;
  for (let at = end - 1; at >= start && left > 0; at--) {
    if (kinds[bytes[at]] === DIGIT) continue;
    hash = Math.imul(hash ^ bytes[at], PRIME);
    left--;
  }
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

function isSame(text: Buffer, bytes: Uint8Array, start: number, end: number): boolean {
  const size = end - start;
  if (size > LOOP_BYTES_MAX) return text.compare(bytes, start, end, 0, size) === 0;
  for (let i = 0; i < size; i++) if (text[i] !== bytes[start + i]) return false;
  return true;
}

/**
 * Digits that begin a number, and in a text without double quotes are no part of a name then, may differ from those of
 * the other text, in their count too: wherever they stand, in a number, a string or a comment, the shape says the same.
 * Numbers that go on with a letter (0x1f, 1e5) must be the same, and integers of more than 31 bits are others.
 */
function isAlike(text: Buffer, size: number, bytes: Uint8Array, start: number, end: number): boolean {
  let i = 0;
  let at = start;
  for (;;) {
    while (i < size && at < end && text[i] === bytes[at]) {
      i++;
      at++;
    }
    if (i === size && at === end) return true;
    // Up to here they are the same, so that the number begins in both where it does in this one.
    let first = at;
    while (first > start && kinds[bytes[first - 1]] === DIGIT) first--;
    if (first > start && kinds[bytes[first - 1]] === LETTER) return false;
    const textFirst = i - (at - first);
    const before = i + at;
    while (at < end && kinds[bytes[at]] === DIGIT) at++;
    while (i < size && kinds[text[i]] === DIGIT) i++;
    if (i + at === before || at === first || i === textFirst) return false;
    if (at < end && kinds[bytes[at]] === LETTER) return false;
    if (i < size && kinds[text[i]] === LETTER) return false;
    if (isInteger(bytes, first, at) !== isInteger(text, textFirst, i)) return false;
  }
}

/** Whether the digits fit 31 bits, as shape.ts has it. */
function isInteger(bytes: Uint8Array, from: number, end: number): boolean {
  const count = end - from;
  if (count !== INTEGER_DIGITS) return count < INTEGER_DIGITS;
  let value = 0;
  for (let at = from; at < end; at++) value = value * 10 + bytes[at] - 0x30;
  return value <= 0x7fffffff;
}

/** Whether it may be found by texts that are alike: a number is in it, and no name in quotes. */
function hasNumber(bytes: Uint8Array, start: number, end: number): boolean {
  let has = false;
  let before = 0;
  for (let at = start; at < end; at++) {
    const kind = kinds[bytes[at]];
    if (kind === QUOTE) return false;
    if (kind === DIGIT && before !== LETTER && before !== DIGIT) has = true;
    before = kind;
  }
  return has;
}
