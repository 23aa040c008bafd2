// ● per-frame path
import { keyValue, readIntegerBinary, readIntegerText } from '../shard/key-value.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { BACKEND, FRAME_HEADER_BYTES } from '../wire/message-type.js';
import { type CountForm, writeCount } from './count-value.js';
import { placeValues } from './row-places.js';
import type { RowShape } from './row-shape.js';
import { VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

const TWO_32 = 0x1_0000_0000;

/**
 * count(*) OVER () of several shards: every row of a shard has that shard's number, and is given with that of all of them.
 *
 *   addFirst(row) of each shard that has one … fill(row) for each
 */
export class RowTotals {
  readonly #columns: readonly number[];
  readonly #forms: readonly CountForm[];
  readonly #totals: number[];
  readonly #cells: Int32Array;
  readonly #places: Int32Array;
  readonly #writer = new FrameWriter(4096);
  /** The first rows of all shards have been looked at. */
  isKnown = false;

  private constructor(columnCount: number, columns: readonly number[], forms: readonly CountForm[]) {
    this.#columns = columns;
    this.#forms = forms;
    this.#totals = columns.map(() => 0);
    this.#cells = new Int32Array(columnCount).fill(-1);
    columns.forEach((column, i) => {
      this.#cells[column] = 2 * i;
    });
    this.#places = new Int32Array(2 * columns.length);
  }

  /** @param columns of the answer, in their order. null: shards describe something else */
  static of({ columns: described }: RowShape, columns: readonly number[]): RowTotals | null {
    const forms = columns.flatMap((column): CountForm[] => {
      const { typeOid = 0, format = 0 } = described[column] ?? {};
      const isInt4 = typeOid === VALUE_TYPE.int4;
      const isKnown = format === VALUE_FORMAT.text || format === VALUE_FORMAT.binary;
      return isKnown && (isInt4 || typeOid === VALUE_TYPE.int8) ? [{ isInt4, format }] : [];
    });
    return forms.length === columns.length ? new RowTotals(described.length, columns, forms) : null;
  }

  /** @param bytes bytes[start, end) is a whole DataRow. @returns false: it is none of these */
  addFirst(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#place(bytes, start, end)) return false;
    for (let i = 0; i < this.#columns.length; i++) {
      const at = this.#places[2 * i];
      const size = this.#places[2 * i + 1];
      const isBinary = this.#forms[i].format === VALUE_FORMAT.binary;
      const isRead =
        size > 0 &&
        (isBinary ? readIntegerBinary(bytes, at, at + size) : readIntegerText(bytes, at, at + size, 64));
      if (!isRead) return false;
      this.#totals[i] += (keyValue.high | 0) * TWO_32 + keyValue.low;
    }
    return true;
  }

  /** The row with the number of all: valid until the next one. @returns `large`: that does not fit its type; null: the row is malformed */
  fill(bytes: Uint8Array, start: number, end: number): Uint8Array | 'large' | null {
    if (!this.#place(bytes, start, end)) return null;
    const writer = this.#writer.reset().begin(BACKEND.DataRow);
    let at = start + FRAME_HEADER_BYTES;
    for (let i = 0; i < this.#columns.length; i++) {
      const value = this.#places[2 * i];
      // Up to its size.
      writer.bytes(bytes, at, value - 4);
      if (!writeCount(writer, this.#totals[i], this.#forms[i])) return 'large';
      at = value + Math.max(0, this.#places[2 * i + 1]);
    }
    writer.bytes(bytes, at, end).end();
    return writer.view();
  }

  #place(bytes: Uint8Array, start: number, end: number): boolean {
    return placeValues(bytes, start + FRAME_HEADER_BYTES, end, this.#cells, this.#places, 0);
  }
}
