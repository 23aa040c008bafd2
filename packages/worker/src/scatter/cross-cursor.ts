import { MERGE_FAILED, type MergePlan, PgDogError, RowMerge } from '@pgdog-cluster/core';
import type { Leg } from './leg.js';
import type { MergeState } from './merge-state.js';
import { RowQueue } from './row-queue.js';

/** Asked of a shard at first, where rows are sorted; then as many as PORTION_BYTES has. */
const PORTION_ROWS_MIN = 64;
const PORTION_ROWS_MAX = 8192;
const PORTION_BYTES = 256 * 1024;

/** Takes the rows of the answer. */
export interface RowTaker {
  /** How many more are wanted. */
  readonly left: number;
  give(bytes: Uint8Array, start: number, end: number, buffer: number): void;
}

/** Of a shard's next row: not known; in the merge; there is none. */
const NEXT = { unknown: 0, offered: 1, none: 2 } as const;

/** One shard's part of a cursor. */
class CursorPart {
  readonly queue = new RowQueue();
  /** Its server has no more rows. */
  isEnded = false;
  next: number = NEXT.unknown;
  rowCount = 0;
  rowBytes = 0;

  /** Rows that are about as long as those so far, and not so many that they take too much room. */
  get portionRows(): number {
    if (this.rowCount === 0) return PORTION_ROWS_MIN;
    const fitting = Math.floor(PORTION_BYTES / Math.max(1, this.rowBytes / this.rowCount));
    // What comes may be longer than what has come.
    return Math.max(1, Math.min(fitting, PORTION_ROWS_MAX, 2 * this.rowCount));
  }
}

/**
 * A cursor or a portal that is open on several shards, whose rows are given a portion at a time. On each shard it is a real
 * one, which has the snapshot of its declaration; here is kept what has come from the shards before its turn.
 *
 *   advance() → parts that must be asked → portionOf(), take() for each row, partEnded() → advance() …
 *
 * Unsorted rows pass as they come, one shard's after the other's, and no more are asked for than are wanted. Sorted rows are
 * asked for in portions of which a part may stay until the next time. Groups are made of all rows at the first time.
 */
export class CrossCursor {
  readonly legs: readonly Leg[];
  readonly state: MergeState;
  /** RowDescription as the client was told last, and for which formats; null: not yet. */
  shape: Uint8Array | null = null;
  formats: string | null = null;
  /** An error came while it gave rows: as on one server it gives none any more. */
  hasFailed = false;
  /** Bytes of rows that are kept. */
  heldBytes = 0;
  private readonly parts: readonly CursorPart[];
  private merge: RowMerge | null = null;
  /** Of unsorted rows: the part whose turn it is. */
  private at = 0;
  /** Of groups: the row that is next; -1: they are not made yet. */
  private foldedAt = -1;

  constructor(legs: readonly Leg[], state: MergeState) {
    this.legs = legs;
    this.state = state;
    this.parts = legs.map(() => new CursorPart());
  }

  get plan(): MergePlan {
    return this.state.plan;
  }

  /** Rows pass as they come, and need not be whole. */
  get passesRows(): boolean {
    return !this.state.needsShape && !this.state.isCut;
  }

  private get isSorted(): boolean {
    return this.plan.sort.length > 0 && !this.state.isFolding;
  }

  /** Gives rows as long as they are known. @returns parts of which more must be asked first; none: that is all */
  advance(taker: RowTaker): readonly number[] {
    if (this.state.problem !== null) return [];
    if (this.state.isFolding) return this.advanceFolded(taker);
    return this.isSorted ? this.advanceSorted(taker) : this.advanceUnsorted(taker);
  }

  private advanceUnsorted(taker: RowTaker): readonly number[] {
    while (this.at < this.parts.length && this.parts[this.at].isEnded) this.at++;
    const isOver = taker.left <= 0 || this.state.isDone || this.at >= this.parts.length;
    return isOver ? [] : [this.at];
  }

  private advanceSorted(taker: RowTaker): readonly number[] {
    while (taker.left > 0 && !this.state.isDone) {
      const missing = this.offerNext();
      if (missing.length > 0 || this.merge === null) return missing;
      const next = this.merge.next();
      if (next === MERGE_FAILED && this.merge !== null) this.state.failMerge(this.merge);
      if (next < 0) return [];
      const part = this.parts[next];
      const { bytes, start, end } = part.queue;
      part.next = NEXT.unknown;
      this.heldBytes -= end - start;
      if (this.state.admits(bytes, start, end)) taker.give(bytes, start, end, -1);
      part.queue.take();
      if (this.state.problem !== null) return [];
    }
    return [];
  }

  /** Shows the merge each part's next row. @returns parts whose next row is not here */
  private offerNext(): number[] {
    const { order } = this.state;
    if (order !== null) this.merge ??= new RowMerge(order, this.parts.length);
    const missing: number[] = [];
    for (const [index, part] of this.parts.entries()) {
      if (part.next !== NEXT.unknown) continue;
      const { queue } = part;
      if (!queue.isEmpty) {
        part.next = NEXT.offered;
        this.merge?.offer(index, queue.bytes, queue.start + HEADER_BYTES, queue.end);
      } else if (part.isEnded) {
        part.next = NEXT.none;
        this.merge?.ended(index);
      } else missing.push(index);
    }
    return missing;
  }

  private advanceFolded(taker: RowTaker): readonly number[] {
    const missing = this.parts.flatMap(({ isEnded }, index) => (isEnded ? [] : [index]));
    const { fold } = this.state;
    if (missing.length > 0 || fold === null) return missing;
    if (this.foldedAt < 0) {
      if (!this.state.finishFold(fold)) return [];
      this.foldedAt = 0;
    }
    while (taker.left > 0 && this.foldedAt < fold.rowCount) {
      const [start, end] = [fold.rowStart(this.foldedAt), fold.rowEnd(this.foldedAt)];
      this.foldedAt++;
      if (this.state.admits(fold.bytes, start, end)) taker.give(fold.bytes, start, end, -1);
      if (this.state.problem !== null) break;
    }
    return [];
  }

  /** How many rows a part is asked for; Infinity: all. */
  portionOf(index: number, left: number): number {
    if (this.state.isFolding) return Number.POSITIVE_INFINITY;
    return this.isSorted ? Math.min(left, this.parts[index].portionRows) : left;
  }

  /** A row that was asked for has come. */
  take(index: number, bytes: Uint8Array, start: number, end: number, buffer: number, taker: RowTaker): void {
    const { state } = this;
    if (state.fold !== null) state.addToFold(state.fold, bytes, start, end);
    else if (this.isSorted) this.keep(this.parts[index], bytes, start, end);
    else if (state.admits(bytes, start, end)) taker.give(bytes, start, end, buffer);
  }

  private keep(part: CursorPart, bytes: Uint8Array, start: number, end: number): void {
    part.rowCount++;
    part.rowBytes += end - start;
    this.heldBytes += end - start;
    part.queue.push(bytes, start, end);
  }

  partEnded(index: number): void {
    this.parts[index].isEnded = true;
  }

  /** Formats other than those of the rows that are kept. @returns why they cannot be had; null: they can */
  ask(formats: string): PgDogError | null {
    if (this.formats === formats) return null;
    if (this.formats !== null && this.state.needsShape) {
      return new PgDogError('cross_shard', 'a cursor over several shards gives all its rows in one format', {
        hint: 'FETCH always in text, or always in binary.',
      });
    }
    this.formats = formats;
    this.shape = null;
    return null;
  }
}

const HEADER_BYTES = 5;
