import type { RowMerge, RowOrder, TextRanking } from '@pgdog-cluster/core';
import { RowQueue } from './row-queue.js';

const HEADER_BYTES = 5;

/** All rows of an answer, by shard, until the texts that they are sorted by have been ranked. */
export class KeptRows {
  readonly #order: RowOrder;
  readonly #ranking: TextRanking;
  readonly #bytesMax: number;
  readonly #queues: RowQueue[];
  /** Whose first row the merge does not have yet. */
  #unoffered: number[];
  #heldBytes = 0;

  constructor(order: RowOrder, ranking: TextRanking, shardCount: number, bytesMax: number) {
    this.#order = order;
    this.#ranking = ranking;
    this.#bytesMax = bytesMax;
    this.#queues = Array.from({ length: shardCount }, () => new RowQueue());
    this.#unoffered = this.#queues.map((_, index) => index);
  }

  of(index: number): RowQueue {
    return this.#queues[index];
  }

  /** @param bytes bytes[start, end) is a whole DataRow. @returns why it cannot be kept; null: it is */
  add(index: number, bytes: Uint8Array, start: number, end: number): string | null {
    this.#queues[index].push(bytes, start, end);
    this.#heldBytes += end - start;
    if (!this.#order.noteTexts(bytes, start + HEADER_BYTES, end))
      return 'rows of several shards cannot be merged: a row that cannot be read';
    if (this.#ranking.isFull)
      return 'too many different texts of several shards are to be sorted by a collation';
    if (this.#heldBytes + this.#ranking.usedBytes <= this.#bytesMax) return null;
    return `rows of several shards, sorted by a collation, are more than ${this.#bytesMax / 1024 / 1024} MB`;
  }

  /** Once all are there, and ranked: the shard whose first row is the next of the answer, which is taken before this is asked again; else as RowMerge.next(). */
  next(merge: RowMerge): number {
    for (const index of this.#unoffered) {
      const queue = this.#queues[index];
      if (queue.isEmpty) merge.ended(index);
      else merge.offer(index, queue.bytes, queue.start + HEADER_BYTES, queue.end);
    }
    const index = merge.next();
    this.#unoffered = index >= 0 ? [index] : [];
    return index;
  }
}
