// ● per-frame path
import { KeyTable, TABLE_FULL } from './key-table.js';
import { allCells, RowKey } from './row-key.js';
import { placeValues } from './row-places.js';
import type { RowShape } from './row-shape.js';

/** `full`: one more row than the limit allows to remember; `malformed`: no row of this shape. Both end the answer. */
export type Distinction = 'new' | 'seen' | 'full' | 'malformed';

/** SELECT DISTINCT over the rows of several shards: of rows that are equal in all columns the first one passes. */
export class RowDistinct {
  readonly #key: RowKey;
  readonly #cells: Int32Array;
  readonly #places: Int32Array;
  readonly #table: KeyTable;

  private constructor(key: RowKey, columnCount: number, limitBytes: number) {
    this.#key = key;
    this.#cells = allCells(columnCount);
    this.#places = new Int32Array(2 * columnCount);
    this.#table = new KeyTable(limitBytes);
  }

  /** @returns why rows of this shape cannot be told apart here, if so */
  static of(shape: RowShape, limitBytes: number): RowDistinct | string {
    const count = shape.columns.length;
    const key = RowKey.of(
      shape,
      Array.from({ length: count }, (_, column) => column),
    );
    return typeof key === 'string' ? key : new RowDistinct(key, count, limitBytes);
  }

  /** @param bytes bytes[start, end) is a DataRow body */
  take(bytes: Uint8Array, start: number, end: number): Distinction {
    if (!placeValues(bytes, start, end, this.#cells, this.#places, 0)) return 'malformed';
    if (!this.#key.write(bytes, this.#places)) return 'malformed';
    if (this.#table.put(this.#key.key) === TABLE_FULL) return 'full';
    return this.#table.isNew ? 'new' : 'seen';
  }
}
