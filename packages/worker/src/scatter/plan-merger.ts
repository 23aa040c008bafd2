import {
  BACKEND,
  cutRow,
  type GroupAnswer,
  MERGE_FAILED,
  type MergePlan,
  PgDogError,
  RowMerge,
  RowShape,
  RowTotals,
  type TextRanking,
} from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { completionOf, shapesProblem, tagFrame } from './agree.js';
import { KeptRows } from './kept-rows.js';
import type { Leg } from './leg.js';
import type { MergeState } from './merge-state.js';
import type { RowCount } from './row-count.js';
import type { MergeOutput, RowMerger } from './row-merger.js';

const HEADER_BYTES = 5;
/** Groups that are finished, sorted or given in one turn of the loop: a few milliseconds at most. */
const STEPS_PER_TURN = 4000;

/** What the client does not get: it has not asked for it, or must wait. */
export interface Withheld {
  /** The RowDescription was asked for by us alone. */
  readonly shape: boolean;
  /** ParseComplete answers a Parse of ours. */
  readonly parse: boolean;
  /** CommandComplete is kept until the transaction has committed. */
  readonly tag: boolean;
}

/** Merges by a MergePlan: one shard's rows among the others', in the order of its sort keys, or as groups. */
export class PlanMerger implements RowMerger {
  /** CommandComplete, kept until the transaction has committed. */
  heldTag: Uint8Array | null = null;
  private readonly output: MergeOutput;
  private readonly state: MergeState;
  private readonly withheld: Withheld;
  private readonly count: RowCount | null;
  private totals: RowTotals | null = null;
  private ownProblem: PgDogError | null = null;
  private legs: readonly Leg[] = [];
  private merge: RowMerge | null = null;
  private sentCount = 0;
  /** The next RowDescription is that of a statement, which does not know the formats. */
  private isStatementDescribed = false;
  private isAdvancing = false;
  /** Groups, or rows that were kept, are being given, of which this many have been. */
  isWorking = false;
  /** All rows, where the texts that they are sorted by are to be ranked first. */
  private kept: KeptRows | null = null;
  private areGroupsDone = false;
  private givenCount = 0;
  private isWaitingForClient = false;
  private hasYielded = false;
  private completion: readonly Uint8Array[] = [];
  /** A row without what it was sorted by. */
  private cutting = new Uint8Array(0);

  /** @param count what is shown is how many rows there are; null: the rows are */
  constructor(output: MergeOutput, state: MergeState, withheld: Withheld, count: RowCount | null = null) {
    this.count = count;
    this.output = output;
    this.state = state;
    this.withheld = withheld;
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
    if (this.kept !== null) {
      this.ownProblem ??= this.kept.add(this.legs.indexOf(leg), bytes, start, end);
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
    if (next >= 0 && this.totals?.isKnown === false) {
      for (const { hasHead, head, headSize } of this.legs) if (hasHead) this.addFirst(head, 0, headSize);
      this.totals.isKnown = true;
    }
    for (; next >= 0; next = this.merge.next()) {
      const leg = this.legs[next];
      leg.hasHead = false;
      this.give(leg.head, 0, leg.headSize, -1);
      if (leg.pending === null) leg.session.resumeAnswers();
      else this.merge.ended(next);
    }
    if (next === MERGE_FAILED) this.state.failMerge(this.merge);
    this.isAdvancing = false;
    if (this.problem === null) this.output.tryMeet();
  }

  private give(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (!this.state.admits(bytes, start, end)) return;
    this.sentCount++;
    if (this.count !== null) return;
    if (this.totals === null) this.pass(bytes, start, end, buffer);
    else {
      const filled = this.totals.fill(bytes, start, end);
      if (filled instanceof Uint8Array) this.pass(filled, 0, filled.length, -1);
      else this.ownProblem ??= filled === null ? malformed() : tooLarge();
    }
  }

  private pass(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const { rewrite } = this.state.plan;
    if (rewrite === undefined || rewrite.groups !== null) this.output.pass(bytes, start, end, buffer);
    else this.giveCut(bytes, start, end, rewrite.shownCount);
  }

  /** Without the columns behind those that are shown. */
  private giveCut(bytes: Uint8Array, start: number, end: number, shownCount: number): void {
    const size = end - start;
    if (this.cutting.length < size) this.cutting = new Uint8Array(2 * size);
    this.cutting.set(bytes.subarray(start, end));
    this.output.pass(this.cutting, 0, cutRow(this.cutting, 0, shownCount), -1);
  }

  legMeets(leg: Leg): void {
    if (
      this.merge === null ||
      this.kept !== null ||
      leg.hasHead ||
      leg.pending?.[0] !== BACKEND.CommandComplete
    )
      return;
    const index = this.legs.indexOf(leg);
    if (this.merge.hasEnded(index)) {
      this.ownProblem = new PgDogError('internal', 'a shard has ended its answer twice');
      return;
    }
    this.merge.ended(index);
    this.advance();
  }

  meet(type: number, frames: readonly Uint8Array[]): void {
    const [first] = frames;
    switch (type) {
      case BACKEND.ParseComplete:
        if (this.withheld.parse) return;
        break;
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
    const isOfPortal = !this.isStatementDescribed;
    this.isStatementDescribed = false;
    this.ownProblem = shapesProblem(frames, this.legs);
    if (this.ownProblem !== null) return false;
    const shape = RowShape.read(frames[0], HEADER_BYTES, frames[0].length);
    if (!isOfPortal || shape === null) return true;
    this.takeShapes(shape, shape);
    return !this.withheld.shape && this.problem === null;
  }

  /** @param asked columns that the shards send. @param client those that the client is shown */
  takeShapes(asked: RowShape, client: RowShape): void {
    const { state } = this;
    this.count?.takeShape(client);
    const shown = this.count === null ? client : countedShape(state.plan, asked);
    state.takeShape(asked, (need) => this.output.isMet(need), shown);
    if (state.order !== null && state.fold === null) {
      this.merge ??= new RowMerge(state.order, this.legs.length);
      if (state.plan.totals !== undefined) this.takeTotals(asked, state.plan.totals);
      const { ranking, order, stateBytesMax } = state;
      if (ranking !== null) this.kept ??= new KeptRows(order, ranking, this.legs.length, stateBytesMax);
    }
  }

  private takeTotals(asked: RowShape, columns: readonly number[]): void {
    this.totals = RowTotals.of(asked, columns);
    if (this.totals === null)
      this.ownProblem = new PgDogError('cross_shard', 'shards describe other columns than were read');
  }

  /** Of a shard: it tells how many rows that has. */
  private addFirst(bytes: Uint8Array, start: number, end: number): void {
    if (this.totals?.addFirst(bytes, start, end) === false) this.ownProblem ??= malformed();
  }

  private complete(frames: readonly Uint8Array[]): void {
    this.completion = frames;
    if (this.state.fold === null && this.kept === null) this.end();
    else {
      this.isWorking = true;
      if (this.state.fold === null) this.rank();
      else this.work();
    }
  }

  /** Has Postgres put the texts in order; then it goes on. */
  private rank(): void {
    const { ranking } = this.state;
    const question = ranking?.question() ?? null;
    if (ranking === null || question === null) {
      this.work();
      return;
    }
    this.hasYielded = true;
    this.output.ask(question, (values) => {
      if (ranking.begin(values)) this.readRanks(ranking);
      else this.end(unanswered());
    });
  }

  private readRanks(ranking: TextRanking): void {
    if (!this.isWorking) return;
    const progress = ranking.step(STEPS_PER_TURN);
    if (progress === 'more') this.output.later(() => this.readRanks(ranking));
    else if (progress === 'done') this.work();
    else this.end(unanswered());
  }

  /** Some of what is to be done; others wait meanwhile, so the rest may be for another turn. */
  private work(): void {
    const { fold } = this.state;
    if (!this.isWorking) return;
    if (fold !== null) this.workOnGroups(fold);
    else if (this.kept !== null && this.merge !== null) this.giveKept(this.kept, this.merge);
  }

  private giveKept(kept: KeptRows, merge: RowMerge): void {
    if (this.totals?.isKnown === false) {
      for (const index of this.legs.keys()) {
        const rows = kept.of(index);
        if (!rows.isEmpty) this.addFirst(rows.bytes, rows.start, rows.end);
      }
      this.totals.isKnown = true;
    }
    for (let steps = 0; steps < STEPS_PER_TURN; steps++) {
      const leg = kept.next(merge);
      if (leg === MERGE_FAILED) this.state.failMerge(merge);
      if (leg < 0 || this.state.isDone || this.problem !== null) {
        this.end();
        return;
      }
      const rows = kept.of(leg);
      this.give(rows.bytes, rows.start, rows.end, -1);
      rows.take();
      if (this.output.isFull) {
        this.isWaitingForClient = true;
        return;
      }
    }
    this.yield();
  }

  private workOnGroups(fold: GroupAnswer): void {
    if (!this.areGroupsDone) {
      const progress = fold.finishSome(STEPS_PER_TURN);
      if (progress === 'asks') this.rank();
      if (progress === 'more') this.yield();
      if (progress === 'failed') this.end(fold.problem);
      this.areGroupsDone = progress === 'done';
    }
    if (this.areGroupsDone) this.giveGroups(fold);
  }

  private giveGroups(fold: GroupAnswer): void {
    const until = Math.min(fold.rowCount, this.givenCount + STEPS_PER_TURN);
    while (this.givenCount < until && this.problem === null) {
      const row = this.givenCount++;
      this.give(fold.bytes, fold.rowStart(row), fold.rowEnd(row), -1);
    }
    if (this.givenCount === fold.rowCount || this.problem !== null) this.end();
    else if (this.output.isFull) this.isWaitingForClient = true;
    else this.yield();
  }

  private yield(): void {
    this.hasYielded = true;
    this.output.later(() => this.work());
  }

  drained(): void {
    if (!this.isWaitingForClient) return;
    this.isWaitingForClient = false;
    this.hasYielded = true;
    this.work();
  }

  stop(): void {
    this.isWorking = false;
    this.kept?.release();
  }

  private end(problem: PgDogError | null = null): void {
    this.isWorking = false;
    this.kept?.release();
    this.ownProblem ??= problem;
    if (this.problem === null) this.giveTag();
    // Else whoever has said that the legs have met goes on by itself.
    if (this.hasYielded) this.output.worked();
  }

  /** @returns false: it is more than its type has room for */
  private giveCount(count: RowCount): boolean {
    const row = count.row(this.sentCount);
    if (row === null) {
      this.ownProblem = tooLarge();
      return false;
    }
    this.output.pass(row, 0, row.length, -1);
    this.sentCount = 1;
    return true;
  }

  private giveTag(): void {
    if (this.count !== null && !this.giveCount(this.count)) return;
    const isCounted = this.state.isCut || this.state.needsShape || this.count !== null;
    const frame = isCounted ? tagFrame(`SELECT ${this.sentCount}`) : completionOf(this.completion);
    if (frame instanceof PgDogError) this.ownProblem = frame;
    else if (this.withheld.tag && this.heldTag === null) this.heldTag = frame;
    else this.output.complete(frame);
  }
}

/** Of what nobody is shown: columns that rows are told apart by, and none of what groups come to. */
function countedShape({ rewrite }: MergePlan, { columns }: RowShape): RowShape {
  return new RowShape(columns.slice(0, rewrite?.shownCount ?? columns.length));
}

const tooLarge = (): PgDogError => new PgDogError('merge_overflow', 'integer out of range');

const malformed = (): PgDogError =>
  new PgDogError('cross_shard', 'rows of several shards cannot be merged: a row that cannot be read');

function unanswered(): PgDogError {
  return new PgDogError('internal', 'a shard has not given what it was asked for');
}
