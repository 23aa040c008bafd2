// ● per-frame path
import { assert } from '../base/assert.js';
import { INCOMPARABLE } from './byte-order.js';
import type { RowOrder } from './row-order.js';

/** next(): a shard's next row is not known yet. */
export const MERGE_WAITING = -1;
/** next(): all shards have ended, and all rows were given. */
export const MERGE_ENDED = -2;
/** next(): a row was malformed, or a shard's rows are not in the order asked for; nothing can be merged any more. */
export const MERGE_FAILED = -3;

/** `unsorted`: a shard's rows are not in the order asked for, as those of another collation are. */
export type MergeFailure = 'malformed' | 'unsorted';

const STATE = { waiting: 0, head: 1, ended: 2 } as const;

/**
 * Merges sorted answers of several shards into one sorted answer, streaming. The caller holds one row of each shard, its
 * head, and keeps its bytes where they are until next() has named that shard.
 *
 *   offer(shard, row) for each … next() → shard: send its row … offer(shard, its next row) or ended(shard) … next() …
 *
 *   #sorted[0 .. #headCount): shards whose heads are known, least first; equal rows in the order of the shards.
 *
 * A shard that does not sort as we do would make a wrong order without a word. So the keys of the row given last are kept,
 * and a head that is less fails the merge.
 */
export class RowMerge {
  readonly #order: RowOrder;
  readonly #states: Uint8Array;
  readonly #rows: Uint8Array[] = [];
  /** Where the keys of each head are, #order.placeCount numbers per shard. */
  readonly #places: Int32Array;
  readonly #sorted: Int32Array;
  #headCount = 0;
  #endedCount = 0;
  #lastKeys = new Uint8Array(256);
  readonly #lastPlaces: Int32Array;
  #hasLast = false;
  /** Why next() gives MERGE_FAILED. */
  failure: MergeFailure | null = null;

  constructor(order: RowOrder, shardCount: number) {
    assert(shardCount > 0, 'there is a shard to merge');
    this.#order = order;
    this.#states = new Uint8Array(shardCount);
    this.#places = new Int32Array(shardCount * order.placeCount);
    this.#sorted = new Int32Array(shardCount);
    this.#lastPlaces = new Int32Array(order.placeCount);
    for (let shard = 0; shard < shardCount; shard++) this.#rows.push(this.#lastKeys);
  }

  /** @returns false when next() will give MERGE_FAILED. @param bytes bytes[start, end) is a DataRow body */
  offer(shard: number, bytes: Uint8Array, start: number, end: number): boolean {
    assert(this.#states[shard] === STATE.waiting, 'a shard has one head, and none behind its end');
    const from = shard * this.#order.placeCount;
    if (this.failure !== null) return false;
    if (!this.#order.placeKeys(bytes, start, end, this.#places, from)) return this.#fail('malformed');
    if (this.#hasLast) {
      const compared = this.#order.compareKeys(
        bytes,
        this.#places,
        from,
        this.#lastKeys,
        this.#lastPlaces,
        0,
      );
      if (compared === INCOMPARABLE) return this.#fail('malformed');
      if (compared < 0) return this.#fail('unsorted');
    }
    const place = this.#placeOf(shard, bytes, from);
    if (place < 0) return this.#fail('malformed');
    for (let index = this.#headCount; index > place; index--) this.#sorted[index] = this.#sorted[index - 1];
    this.#sorted[place] = shard;
    this.#headCount++;
    this.#rows[shard] = bytes;
    this.#states[shard] = STATE.head;
    return true;
  }

  hasEnded(shard: number): boolean {
    return this.#states[shard] === STATE.ended;
  }

  /** The shard has no more rows. */
  ended(shard: number): void {
    assert(this.#states[shard] === STATE.waiting, 'a shard ends once, and behind its last row');
    this.#states[shard] = STATE.ended;
    this.#endedCount++;
  }

  /** The shard whose head is the next row of the answer, and no longer its head; or MERGE_WAITING, _ENDED, _FAILED. */
  next(): number {
    if (this.failure !== null) return MERGE_FAILED;
    if (this.#headCount + this.#endedCount < this.#states.length) return MERGE_WAITING;
    if (this.#headCount === 0) return MERGE_ENDED;
    const shard = this.#sorted[0];
    this.#headCount--;
    for (let index = 0; index < this.#headCount; index++) this.#sorted[index] = this.#sorted[index + 1];
    this.#states[shard] = STATE.waiting;
    this.#keep(shard);
    return shard;
  }

  /** Where among the known heads this one belongs, or -1. */
  #placeOf(shard: number, bytes: Uint8Array, from: number): number {
    let low = 0;
    let high = this.#headCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#sorted[middle];
      const compared = this.#order.compareKeys(
        bytes,
        this.#places,
        from,
        this.#rows[other],
        this.#places,
        other * this.#order.placeCount,
      );
      if (compared === INCOMPARABLE) return -1;
      if (compared < 0 || (compared === 0 && shard < other)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #keep(shard: number): void {
    const from = shard * this.#order.placeCount;
    const size = this.#order.keyBytes(this.#places, from);
    if (size > this.#lastKeys.length) this.#lastKeys = new Uint8Array(2 * size);
    this.#order.copyKeys(this.#rows[shard], this.#places, from, this.#lastKeys, this.#lastPlaces);
    this.#hasLast = true;
    // The caller's memory is not held any longer.
    this.#rows[shard] = this.#lastKeys;
  }

  #fail(failure: MergeFailure): false {
    this.failure = failure;
    return false;
  }
}
