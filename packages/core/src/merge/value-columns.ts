/** Columns whose states are the shards' values themselves: see fold-column.ts. */

import { keyValue, readIntegerBinary, readIntegerText } from '../shard/key-value.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import type { FoldColumn } from './fold-column.js';
import { KeyBuffer } from './key-buffer.js';
import { KeyTable, TABLE_FULL } from './key-table.js';
import type { WriteValueKey } from './value-key.js';
import { VALUE_FORMAT } from './value-types.js';

const NOTHING = new Uint8Array(0);
/** What an array of a few bytes costs. */
const ARRAY_BYTES = 128;

/** What every shard says alike; NULL where all say that. */
export class FirstColumn implements FoldColumn {
  readonly overflow = 'int8';
  readonly isNullable = true;
  readonly #values: (Uint8Array | null)[] = [];
  usedBytes = 0;

  open(): void {
    this.#values.push(null);
    this.usedBytes += ARRAY_BYTES;
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#values[group] !== null) return true;
    // exempt: once for each group
    this.#values[group] = start === end ? NOTHING : bytes.slice(start, end);
    this.usedBytes += end - start;
    return true;
  }

  write(group: number, writer: FrameWriter): boolean {
    const value = this.#values[group];
    if (value === null) writer.int32(-1);
    else writer.int32(value.length).bytes(value);
    return true;
  }
}

/** bit_and, bit_or and bit_xor of whole numbers. */
export class BitColumn implements FoldColumn {
  readonly overflow = 'int8';
  readonly isNullable = true;
  readonly #format: number;
  readonly #size: number;
  readonly #kind: 'bit_and' | 'bit_or' | 'bit_xor';
  readonly #high: number[] = [];
  readonly #low: number[] = [];
  readonly #isKnown: boolean[] = [];

  constructor(format: number, size: number, kind: 'bit_and' | 'bit_or' | 'bit_xor') {
    this.#format = format;
    this.#size = size;
    this.#kind = kind;
  }

  get usedBytes(): number {
    return 24 * this.#high.length;
  }

  open(): void {
    this.#high.push(0);
    this.#low.push(0);
    this.#isKnown.push(false);
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    const isRead =
      this.#format === VALUE_FORMAT.text
        ? readIntegerText(bytes, start, end, 8 * this.#size)
        : end - start === this.#size && readIntegerBinary(bytes, start, end);
    if (!isRead) return false;
    const isFirst = !this.#isKnown[group];
    this.#high[group] = this.#join(isFirst, this.#high[group], keyValue.high);
    this.#low[group] = this.#join(isFirst, this.#low[group], keyValue.low);
    this.#isKnown[group] = true;
    return true;
  }

  #join(isFirst: boolean, one: number, other: number): number {
    if (isFirst) return other;
    return this.#kind === 'bit_and' ? one & other : this.#kind === 'bit_or' ? one | other : one ^ other;
  }

  write(group: number, writer: FrameWriter): boolean {
    const [high, low] = [this.#high[group], this.#low[group]];
    if (!this.#isKnown[group]) writer.int32(-1);
    else if (this.#format === VALUE_FORMAT.text) {
      writer.value(String((BigInt(high | 0) << 32n) + BigInt(low >>> 0)));
    } else {
      writer.int32(this.#size);
      if (this.#size === 8) writer.int32(high);
      if (this.#size === 2) writer.int16(low);
      else writer.int32(low);
    }
    return true;
  }
}

/** Counts or adds up values of which each counts once, however many shards have it. */
export class DistinctColumn implements FoldColumn {
  readonly overflow: 'int8' | 'numeric';
  /** Values themselves may be NULL, and are left out. */
  readonly isNullable = true;
  readonly #writeKey: WriteValueKey;
  readonly #sum: FoldColumn;
  /** What each value counts as, in the format of the sum; null: as itself. */
  readonly #unit: Uint8Array | null;
  readonly #table: KeyTable;
  readonly #key = new KeyBuffer();
  /** The limit is reached: the fold that asks usedBytes ends. */
  #isFull = false;

  constructor(writeKey: WriteValueKey, sum: FoldColumn, unit: Uint8Array | null, limitBytes: number) {
    this.#writeKey = writeKey;
    this.#sum = sum;
    this.overflow = sum.overflow;
    this.#unit = unit;
    this.#table = new KeyTable(limitBytes);
  }

  get usedBytes(): number {
    return this.#isFull ? Number.POSITIVE_INFINITY : this.#table.usedBytes + this.#sum.usedBytes;
  }

  open(): void {
    this.#sum.open();
  }

  add(group: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.#key.length = 0;
    this.#key.int32(group);
    if (!this.#writeKey(this.#key, bytes, start, end)) return false;
    if (this.#table.put(this.#key) === TABLE_FULL) this.#isFull = true;
    else if (this.#table.isNew) {
      const unit = this.#unit;
      return unit === null
        ? this.#sum.add(group, bytes, start, end)
        : this.#sum.add(group, unit, 0, unit.length);
    }
    return true;
  }

  write(group: number, writer: FrameWriter): boolean {
    return this.#sum.write(group, writer);
  }
}
