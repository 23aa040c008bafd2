import { BACKEND, MERGE_FAILED, PgDogError, RowMerge, RowShape } from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { completionOf, shapesProblem, tagFrame } from './agree.js';
import type { Leg } from './leg.js';
import type { MergeState } from './merge-state.js';
import type { MergeOutput, RowMerger } from './row-merger.js';

const HEADER_BYTES = 5;

/** Merges by a MergePlan: one shard's rows among the others', in the order of its sort keys, or as groups. */
export class PlanMerger implements RowMerger {
  /** CommandComplete, kept until the transaction has committed. */
  heldTag: Uint8Array | null = null;
  private readonly output: MergeOutput;
  private readonly state: MergeState;
  private readonly holdsTag: boolean;
  /** The RowDescription was asked for by us alone. */
  private readonly swallowsShape: boolean;
  private ownProblem: PgDogError | null = null;
  private legs: readonly Leg[] = [];
  private merge: RowMerge | null = null;
  private sentCount = 0;
  /** The next RowDescription is that of a statement, which does not know the formats. */
  private isStatementDescribed = false;
  private isAdvancing = false;

  constructor(output: MergeOutput, state: MergeState, swallowsShape: boolean, holdsTag: boolean) {
    this.output = output;
    this.state = state;
    this.swallowsShape = swallowsShape;
    this.holdsTag = holdsTag;
  }

  get problem(): PgDogError | null {
    return this.ownProblem ?? this.state.problem;
  }

  get passesLongRows(): boolean {
    return !this.state.isCut && !this.state.needsShape;
  }

  begin(legs: readonly Leg[]): void {
    this.legs = legs;
  }

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const { state } = this;
    if (state.needsShape && !state.hasShape) {
      this.ownProblem = new PgDogError('internal', 'a row came before its description');
      return CONSUMED;
    }
    if (state.fold !== null) {
      state.addToFold(state.fold, bytes, start, end);
      return CONSUMED;
    }
    if (this.merge === null) {
      this.give(bytes, start, end, buffer);
      return CONSUMED;
    }
    if (leg.hasHead) return BLOCKED;
    leg.keepHead(bytes, start, end);
    this.merge.offer(this.legs.indexOf(leg), leg.head, HEADER_BYTES, leg.headSize);
    this.advance();
    return CONSUMED;
  }

  /** Gives heads as long as it is known which comes next: every leg has one, or has no more. */
  private advance(): void {
    // A leg that is resumed here shows its next row, and comes here again: the loop outside goes on with that.
    if (this.isAdvancing || this.merge === null) return;
    this.isAdvancing = true;
    let next = this.merge.next();
    for (; next >= 0; next = this.merge.next()) {
      const leg = this.legs[next];
      leg.hasHead = false;
      this.give(leg.head, 0, leg.headSize, -1);
      if (leg.pending === null) leg.session.resumeAnswers();
      else this.merge.ended(next);
    }
    if (next === MERGE_FAILED) this.state.failUnsorted();
    this.isAdvancing = false;
    if (this.problem === null) this.output.tryMeet();
  }

  private give(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (!this.state.admits(bytes, start, end)) return;
    this.sentCount++;
    this.output.pass(bytes, start, end, buffer);
  }

  legMeets(leg: Leg): void {
    if (this.merge === null || leg.hasHead || leg.pending?.[0] !== BACKEND.CommandComplete) return;
    this.merge.ended(this.legs.indexOf(leg));
    this.advance();
  }

  meet(type: number, frames: readonly Uint8Array[]): void {
    const [first] = frames;
    switch (type) {
      case BACKEND.ParameterDescription:
        this.isStatementDescribed = true;
        break;
      case BACKEND.RowDescription:
        if (!this.describe(frames)) return;
        break;
      case BACKEND.NoData:
        this.isStatementDescribed = false;
        break;
      case BACKEND.CommandComplete:
        this.complete(frames);
        return;
    }
    this.output.pass(first, 0, first.length, -1);
  }

  /** False: it does not go to the client. */
  private describe(frames: readonly Uint8Array[]): boolean {
    const { state } = this;
    const isOfPortal = !this.isStatementDescribed;
    this.isStatementDescribed = false;
    this.ownProblem = shapesProblem(frames, this.legs);
    if (this.ownProblem !== null) return false;
    const shape = RowShape.read(frames[0], HEADER_BYTES, frames[0].length);
    if (!isOfPortal || shape === null) return true;
    state.takeShape(shape, (need) => this.output.isMet(need));
    if (state.order !== null && state.fold === null) {
      this.merge ??= new RowMerge(state.order, this.legs.length);
    }
    return !this.swallowsShape && this.problem === null;
  }

  private complete(frames: readonly Uint8Array[]): void {
    const { state } = this;
    const { fold } = state;
    if (fold !== null) {
      if (!state.finishFold(fold)) return;
      for (let row = 0; row < fold.rowCount; row++) {
        this.give(fold.bytes, fold.rowStart(row), fold.rowEnd(row), -1);
      }
    }
    const isCounted = state.isCut || state.needsShape;
    const frame = isCounted ? tagFrame(`SELECT ${this.sentCount}`) : completionOf(frames);
    if (frame instanceof PgDogError) this.ownProblem = frame;
    else if (this.holdsTag) this.heldTag = frame;
    else this.output.pass(frame, 0, frame.length, -1);
  }
}
