// ● per-frame path

import { FRAME_HEADER_BYTES } from '../wire/message-type.js';
import { INCOMPARABLE } from './byte-order.js';
import type { RowOrder } from './row-order.js';

/** `more`: call again; `failed`: a row is malformed; `asks`: of groups, again once their texts are ranked. */
export type Progress = 'more' | 'done' | 'failed' | 'asks';

/**
 * Sorts finished rows that are all in memory, some at a time: other sessions of the worker wait for each call. Equal rows
 * stay as they were. Runs of #width rows are merged, from #source to #target:
 *
 *   #left <= #one <= #left + #width <= #other <= #left + 2 * #width <= count;  #to: next place in #target
 */
export class RowSort {
  readonly #order: RowOrder;
  readonly #bytes: Uint8Array;
  readonly #starts: Float64Array;
  readonly #count: number;
  readonly #places: Int32Array;
  /** Rows whose keys are known. */
  #placedCount = 0;
  #source: Uint32Array;
  #target: Uint32Array;
  #width = 1;
  #left = 0;
  #one = 0;
  #other = 0;
  #to = 0;

  /** @param starts where each row's DataRow frame begins in `bytes`, and at last where the last one ends */
  constructor(order: RowOrder, bytes: Uint8Array, starts: Float64Array) {
    this.#order = order;
    this.#bytes = bytes;
    this.#starts = starts;
    this.#count = starts.length - 1;
    this.#places = new Int32Array(this.#count * order.placeCount);
    this.#source = new Uint32Array(this.#count);
    this.#target = new Uint32Array(this.#count);
    for (let row = 0; row < this.#count; row++) this.#source[row] = row;
    this.#other = Math.min(1, this.#count);
  }

  /** The rows in order, once step() has said `done`. */
  get sequence(): Uint32Array {
    return this.#source;
  }

  /** @param budget rows looked at; sorting n rows takes about n (1 + log2 n) of them */
  step(budget: number): Progress {
    let left = budget;
    for (; this.#placedCount < this.#count; left--) {
      if (left <= 0) return 'more';
      if (!this.#place()) return 'failed';
    }
    for (; this.#width < this.#count; left--) {
      if (left <= 0) return 'more';
      if (!this.#mergeOne()) return 'failed';
    }
    return 'done';
  }

  #place(): boolean {
    const row = this.#placedCount++;
    const start = this.#starts[row] + FRAME_HEADER_BYTES;
    const from = row * this.#order.placeCount;
    return this.#order.placeKeys(this.#bytes, start, this.#starts[row + 1], this.#places, from);
  }

  #mergeOne(): boolean {
    const middle = Math.min(this.#left + this.#width, this.#count);
    const right = Math.min(middle + this.#width, this.#count);
    let takesOther = this.#one === middle;
    if (!takesOther && this.#other < right) {
      const compared = this.#compare(this.#source[this.#one], this.#source[this.#other]);
      if (compared === INCOMPARABLE) return false;
      takesOther = compared > 0;
    }
    this.#target[this.#to++] = this.#source[takesOther ? this.#other++ : this.#one++];
    if (this.#to === right) this.#nextRuns(right);
    return true;
  }

  #nextRuns(right: number): void {
    this.#left = right;
    if (right === this.#count) {
      [this.#source, this.#target] = [this.#target, this.#source];
      this.#width *= 2;
      this.#left = 0;
    }
    this.#one = this.#to = this.#left;
    this.#other = Math.min(this.#left + this.#width, this.#count);
  }

  #compare(one: number, other: number): number {
    const { placeCount } = this.#order;
    const places = this.#places;
    return this.#order.compareKeys(
      this.#bytes,
      places,
      one * placeCount,
      this.#bytes,
      places,
      other * placeCount,
    );
  }
}
