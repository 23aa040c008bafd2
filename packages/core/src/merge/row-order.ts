// ● per-frame path
import { assert } from '../base/assert.js';
import type { SortKey } from '../shard/shard-reading.js';
import { INCOMPARABLE, type ValueOrder } from './byte-order.js';
import { orderOfColumn } from './column-order.js';
import { NULL_SIZE, placeValues } from './row-places.js';
import type { RowShape } from './row-shape.js';
import type { TextRanking } from './text-ranking.js';
import { typeName, VALUE_TYPE } from './value-types.js';

const RANKED_TYPES: ReadonlySet<number> = new Set([VALUE_TYPE.text, VALUE_TYPE.varchar]);
type RankedTexts = ReturnType<TextRanking['of']>;

/**
 * The order of ORDER BY over rows as they are on the wire. value-order.ts says what its caller has checked.
 *
 * A key's value of a row is found once and compared often: placeKeys() notes where they are, in `placeCount` numbers.
 */
export class RowOrder {
  /** How many numbers placeKeys() writes. */
  readonly placeCount: number;
  readonly #cells: Int32Array;
  /** By key: index of its pair in the places of a row. */
  readonly #pairs: number[] = [];
  readonly #orders: ValueOrder[] = [];
  readonly #isDescending: boolean[] = [];
  readonly #isNullsFirst: boolean[] = [];
  /** Of texts that Postgres puts in order: index of their pair in the places of a row, and who is to know of them. */
  readonly #ranked: { pair: number; texts: RankedTexts }[] = [];
  /** Of compare(): two rows. */
  readonly #scratch: Int32Array;

  private constructor(
    shape: RowShape,
    keys: readonly SortKey[],
    orders: readonly ValueOrder[],
    ranked: readonly (RankedTexts | null)[],
  ) {
    this.#cells = new Int32Array(shape.columns.length).fill(-1);
    let count = 0;
    keys.forEach(({ column, isDescending, isNullsFirst }, index) => {
      if (this.#cells[column] < 0) {
        this.#cells[column] = count;
        count += 2;
      }
      this.#pairs.push(this.#cells[column]);
      const texts = ranked[index];
      if (texts !== null) this.#ranked.push({ pair: this.#cells[column], texts });
      this.#orders.push(orders[index]);
      this.#isDescending.push(isDescending);
      this.#isNullsFirst.push(isNullsFirst);
    });
    this.placeCount = count;
    this.#scratch = new Int32Array(2 * count);
  }

  /**
   * @param ranking of texts by collations; null: there are none
   * @returns the order, or why rows cannot be put into it here
   */
  static of(
    shape: RowShape,
    keys: readonly SortKey[],
    ranking: TextRanking | null = null,
  ): RowOrder | string {
    const orders: ValueOrder[] = [];
    const ranked: (RankedTexts | null)[] = [];
    for (const { column, collation } of keys) {
      const described = shape.columns[column];
      if (described === undefined) return `the answer has no column ${column + 1} to sort by`;
      const isRanked = collation !== undefined && RANKED_TYPES.has(described.typeOid);
      const texts = isRanked ? (ranking?.of(collation) ?? null) : null;
      const order = isRanked ? (texts?.order ?? null) : orderOfColumn(described);
      ranked.push(texts);
      if (order === null) {
        return `rows of several shards cannot be sorted by column "${described.name}" of ${typeName(described.typeOid)}`;
      }
      orders.push(order);
    }
    return new RowOrder(shape, keys, orders, ranked);
  }

  /**
   * The texts of the DataRow body bytes[start, end) that Postgres is to put in order, to its ranking.
   * @returns false: it is no row of this shape
   */
  noteTexts(bytes: Uint8Array, start: number, end: number): boolean {
    const places = this.#scratch;
    if (!this.placeKeys(bytes, start, end, places, 0)) return false;
    for (const { pair, texts } of this.#ranked) {
      const at = places[pair];
      const size = places[pair + 1];
      if (size !== NULL_SIZE) texts.note(bytes, at, at + size);
    }
    return true;
  }

  /**
   * Notes at places[from] on where the keys of the DataRow body bytes[start, end) are.
   * @returns false: it is no row of this shape
   */
  placeKeys(bytes: Uint8Array, start: number, end: number, places: Int32Array, from: number): boolean {
    return placeValues(bytes, start, end, this.#cells, places, from);
  }

  /** @returns -1, 0, 1, or INCOMPARABLE when a value of one of them is not of its type */
  compareKeys(
    a: Uint8Array,
    aPlaces: Int32Array,
    aFrom: number,
    b: Uint8Array,
    bPlaces: Int32Array,
    bFrom: number,
  ): number {
    const pairs = this.#pairs;
    for (let key = 0; key < pairs.length; key++) {
      const aAt = aPlaces[aFrom + pairs[key]];
      const aSize = aPlaces[aFrom + pairs[key] + 1];
      const bAt = bPlaces[bFrom + pairs[key]];
      const bSize = bPlaces[bFrom + pairs[key] + 1];
      if (aSize === NULL_SIZE || bSize === NULL_SIZE) {
        if (aSize === bSize) continue;
        return (aSize === NULL_SIZE) === this.#isNullsFirst[key] ? -1 : 1;
      }
      const compared = this.#orders[key](a, aAt, aAt + aSize, b, bAt, bAt + bSize);
      if (compared === 0) continue;
      return this.#isDescending[key] && compared !== INCOMPARABLE ? -compared : compared;
    }
    return 0;
  }

  /**
   * The same for two rows that nobody has looked into: DataRow bodies, from behind the length word to their ends.
   * INCOMPARABLE also when one of them is no row of this shape.
   */
  compare(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
    const places = this.#scratch;
    if (!this.placeKeys(a, aStart, aEnd, places, 0)) return INCOMPARABLE;
    if (!this.placeKeys(b, bStart, bEnd, places, this.placeCount)) return INCOMPARABLE;
    return this.compareKeys(a, places, 0, b, places, this.placeCount);
  }

  /**
   * Copies the keys' values into `target`, which is large enough (keyBytes()), and notes where they are there: for a row
   * whose bytes will be gone.
   */
  copyKeys(
    bytes: Uint8Array,
    places: Int32Array,
    from: number,
    target: Uint8Array,
    copied: Int32Array,
  ): void {
    let to = 0;
    for (let pair = 0; pair < this.placeCount; pair += 2) {
      const at = places[from + pair];
      const size = places[from + pair + 1];
      copied[pair] = to;
      copied[pair + 1] = size;
      for (let index = 0; index < size; index++) target[to + index] = bytes[at + index];
      if (size > 0) to += size;
    }
    assert(to <= target.length, 'keys are copied to where they fit');
  }

  /** Bytes of the keys' values together. */
  keyBytes(places: Int32Array, from: number): number {
    let total = 0;
    for (let pair = 0; pair < this.placeCount; pair += 2) total += Math.max(0, places[from + pair + 1]);
    return total;
  }
}
