import { BACKEND, PgDogError } from '@pgdog-cluster/core';
import { CONSUMED } from '../wire/frame-stream.js';
import type { Leg } from './leg.js';
import type { MergeOutput, RowMerger } from './row-merger.js';
import { SameNotices } from './same-notices.js';

/** All shards do the same, and one tells the client of it: writes to omnisharded tables, DDL. */
export class FirstMerger implements RowMerger {
  readonly passesLongRows = false;
  problem: PgDogError | null = null;
  /** CommandComplete, kept until the transaction has committed. */
  heldTag: Uint8Array | null = null;
  private readonly output: MergeOutput;
  private readonly holdsTag: boolean;
  /** ParseComplete answers a Parse of ours. */
  private readonly swallowsParse: boolean;
  private first: Leg | null = null;
  private readonly notices = new SameNotices();

  constructor(output: MergeOutput, holdsTag: boolean, swallowsParse = false) {
    this.output = output;
    this.holdsTag = holdsTag;
    this.swallowsParse = swallowsParse;
  }

  begin(legs: readonly Leg[]): void {
    this.first = legs[0] ?? null;
  }

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    if (leg === this.first) this.output.pass(bytes, start, end, buffer);
    return CONSUMED;
  }

  legMeets(): void {}

  isNews(leg: Leg, bytes: Uint8Array, start: number, end: number): boolean {
    return this.notices.isNews(leg, bytes, start, end);
  }

  meet(type: number, frames: readonly Uint8Array[]): void {
    const [first] = frames;
    if (type === BACKEND.ParseComplete && this.swallowsParse) return;
    if (type === BACKEND.CommandComplete && frames.some((frame) => Buffer.compare(frame, first) !== 0)) {
      this.problem = new PgDogError(
        'cross_shard',
        'the copies of an omnisharded table differ: shards changed different numbers of rows',
        {
          hint: 'Compare the tables on the shards; nothing was changed.',
        },
      );
      return;
    }
    if (type !== BACKEND.CommandComplete) this.output.pass(first, 0, first.length, -1);
    else if (this.holdsTag && this.heldTag === null) this.heldTag = first;
    else this.output.complete(first);
  }
}
