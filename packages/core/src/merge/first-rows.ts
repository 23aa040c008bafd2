// ● per-frame path
import type { RowOrder } from './row-order.js';

/** DISTINCT ON over sorted rows: of those that are equal in what they are told apart by, the first one passes. */
export class FirstRows {
  readonly #order: RowOrder;
  readonly #places: Int32Array;
  readonly #lastPlaces: Int32Array;
  #lastKeys = new Uint8Array(256);
  #hasLast = false;

  /** @param order of what they are told apart by alone */
  constructor(order: RowOrder) {
    this.#order = order;
    this.#places = new Int32Array(order.placeCount);
    this.#lastPlaces = new Int32Array(order.placeCount);
  }

  /** Whether the DataRow body bytes[start, end), which is next, is of the same group as the row that has passed last. */
  isOfLast(bytes: Uint8Array, start: number, end: number): boolean {
    const order = this.#order;
    // Whoever sorts them has read them before.
    if (!order.placeKeys(bytes, start, end, this.#places, 0)) return false;
    const isSame =
      this.#hasLast && order.compareKeys(bytes, this.#places, 0, this.#lastKeys, this.#lastPlaces, 0) === 0;
    if (isSame) return true;
    const size = order.keyBytes(this.#places, 0);
    if (size > this.#lastKeys.length) this.#lastKeys = new Uint8Array(2 * size);
    order.copyKeys(bytes, this.#places, 0, this.#lastKeys, this.#lastPlaces);
    this.#hasLast = true;
    return false;
  }
}
