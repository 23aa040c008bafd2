import { assert } from './assert.js';

/** Above this many slots an emptied queue gives its memory back, so one burst is not paid for ever. */
const KEPT_SLOTS_MAX = 1024;

/**
 * FIFO of objects in a ring of slots: no allocation per push or shift, one array doubling when full.
 *
 *       head            head + length (modulo slots)
 *        v               v
 *   [ . | A | B | C | D | . | . | . ]      0 <= length <= slots, slots a power of two
 *
 * Freed slots are set to undefined, or the ring would keep closed sessions alive.
 */
export class FixedQueue<T extends object> {
  #slots: (T | undefined)[];
  #head = 0;
  #length = 0;

  constructor(slotCount = 8) {
    assert(slotCount > 0 && (slotCount & (slotCount - 1)) === 0, 'slot count must be a power of two');
    this.#slots = new Array(slotCount).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length += 1;
  }

  /** Puts an item before all others: for one that was taken out and could not be served. */
  unshift(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = item;
    this.#length += 1;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length -= 1;
    if (this.#length === 0 && this.#slots.length > KEPT_SLOTS_MAX) this.clear();
    return item;
  }

  /** The next item to be shifted, left where it is. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head];
  }

  /** The item `index` places behind the first; undefined outside. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)];
  }

  /**
   * Takes one item out wherever it stands, keeping the order of the rest; false when it is not there.
   * O(n): used when a waiter times out or vanishes, not per request.
   */
  remove(item: T): boolean {
    // Time-outs take the oldest, which stands first: a queue of thousands would be moved once for each.
    if (this.peek() === item) {
      this.shift();
      return true;
    }
    const mask = this.#slots.length - 1;
    for (let index = 0; index < this.#length; index += 1) {
      if (this.#slots[(this.#head + index) & mask] !== item) continue;
      for (let next = index + 1; next < this.#length; next += 1) {
        this.#slots[(this.#head + next - 1) & mask] = this.#slots[(this.#head + next) & mask];
      }
      this.#length -= 1;
      this.#slots[(this.#head + this.#length) & mask] = undefined;
      return true;
    }
    return false;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
    this.#slots = new Array(8).fill(undefined);
  }

  #grow(): void {
    const count = this.#slots.length;
    const grown: (T | undefined)[] = new Array(count * 2).fill(undefined);
    for (let index = 0; index < count; index += 1) {
      grown[index] = this.#slots[(this.#head + index) & (count - 1)];
    }
    this.#slots = grown;
    this.#head = 0;
    assert(this.#slots.length > this.#length, 'a grown queue has room');
  }
}
