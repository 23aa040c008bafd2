import { PgDogError, type RowMerge, type RowOrder, type TextRanking } from '@pgdog-cluster/core';
import { RowQueue } from './row-queue.js';

const HEADER_BYTES = 5;
/** What statements keep at the same time. */
export class KeptBudget {
  bytes = 0;
  readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

/** Each worker is a thread, and has its own. */
const workerBudget = new KeptBudget(256 * 1024 * 1024);

/** All rows of an answer, by shard, until the texts that they are sorted by have been ranked. */
export class KeptRows {
  readonly #order: RowOrder;
  readonly #ranking: TextRanking;
  readonly #bytesMax: number;
  readonly #budget: KeptBudget;
  readonly #queues: RowQueue[];
  /** Whose first row the merge does not have yet. */
  #unoffered: number[];
  #heldBytes = 0;
  #isReleased = false;

  constructor(
    order: RowOrder,
    ranking: TextRanking,
    shardCount: number,
    bytesMax: number,
    budget = workerBudget,
  ) {
    this.#budget = budget;
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
  add(index: number, bytes: Uint8Array, start: number, end: number): PgDogError | null {
    if (this.#isReleased) return null;
    const before = this.#ranking.usedBytes;
    this.#queues[index].push(bytes, start, end);
    if (!this.#order.noteTexts(bytes, start + HEADER_BYTES, end))
      return tooMany('rows of several shards cannot be merged: a row that cannot be read');
    const size = end - start + this.#ranking.usedBytes - before;
    this.#heldBytes += size;
    this.#budget.bytes += size;
    if (this.#ranking.isFull)
      return tooMany('too many different texts of several shards are to be sorted by a collation');
    if (this.#heldBytes > this.#bytesMax) {
      const limit = this.#bytesMax / 1024 / 1024;
      return tooMany(`rows of several shards, sorted by a collation, are more than ${limit} MB`);
    }
    return this.#budget.bytes > this.#budget.bytesMax ? new PgDogError('merge_memory') : null;
  }

  /** They are needed no more. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#budget.bytes -= this.#heldBytes;
    this.#queues.fill(new RowQueue());
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

function tooMany(text: string): PgDogError {
  return new PgDogError('cross_shard', text, {
    hint: 'Ask for fewer rows (LIMIT), or sort by COLLATE "C", where the order of bytes will do: then rows pass as they come.',
  });
}
