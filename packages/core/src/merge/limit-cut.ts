// ● per-frame path
import { assert } from '../base/assert.js';

/** What becomes of the next row: skipped by OFFSET, passed on, or there is no more to pass. */
export type Cut = 'skip' | 'pass' | 'done';

/** LIMIT and OFFSET over the rows of one answer. */
export class LimitCut {
  #skipCount: number;
  #passCount: number;

  /** @param limit null: LIMIT ALL. Counts beyond 2^53 are as good as none: no answer has so many rows */
  constructor(limit: number | null, offset: number) {
    assert(limit === null || limit >= 0, 'LIMIT is not negative');
    assert(offset >= 0, 'OFFSET is not negative');
    this.#passCount = limit ?? Number.POSITIVE_INFINITY;
    this.#skipCount = offset;
  }

  /** No row will pass any more: the shards need not go on. */
  get isDone(): boolean {
    return this.#passCount <= 0;
  }

  /** Asked once for each row. */
  take(): Cut {
    if (this.#passCount <= 0) return 'done';
    if (this.#skipCount > 0) {
      this.#skipCount--;
      return 'skip';
    }
    this.#passCount--;
    return 'pass';
  }
}
