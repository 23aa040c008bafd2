import {
  BACKEND,
  LimitCut,
  MERGE_FAILED,
  type MergePlan,
  PgDogError,
  RowDistinct,
  RowFold,
  RowMerge,
  RowOrder,
  RowShape,
  type SettingNeed,
  settingNeeds,
} from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { completionOf, shapesProblem, tagFrame } from './agree.js';
import type { CrossShardRequest } from './cross-shard.js';
import type { Leg } from './leg.js';
import type { MergeOutput, RowMerger } from './row-merger.js';

const HEADER_BYTES = 5;
/** Of groups, and of rows that were seen, for one statement. */
const STATE_BYTES_MAX = 64 * 1024 * 1024;

/** Merges by a MergePlan: one shard's rows among the others', in the order of its sort keys, or as groups. */
export class PlanMerger implements RowMerger {
  problem: PgDogError | null = null;
  /** CommandComplete, kept until the transaction has committed. */
  heldTag: Uint8Array | null = null;
  private readonly output: MergeOutput;
  private readonly plan: MergePlan;
  private readonly cut: LimitCut;
  private readonly isCut: boolean;
  private readonly holdsTag: boolean;
  /** The RowDescription was asked for by us alone. */
  private readonly swallowsShape: boolean;
  private legs: readonly Leg[] = [];
  private merge: RowMerge | null = null;
  private order: RowOrder | null = null;
  private fold: RowFold | null = null;
  private distinct: RowDistinct | null = null;
  private sentCount = 0;
  /** The next RowDescription is that of a statement, which does not know the formats. */
  private isStatementDescribed = false;
  private hasShape = false;
  private isAdvancing = false;

  constructor(
    output: MergeOutput,
    request: CrossShardRequest,
    plan: MergePlan,
    swallowsShape: boolean,
    holdsTag: boolean,
  ) {
    this.output = output;
    this.plan = plan;
    const { limit, offset } = request;
    this.isCut = limit !== Number.POSITIVE_INFINITY || offset > 0;
    this.cut = new LimitCut(limit === Number.POSITIVE_INFINITY ? null : limit, offset);
    this.swallowsShape = swallowsShape;
    this.holdsTag = holdsTag;
  }

  /** Rows must be looked into, so their types must be known. */
  static needsShape(plan: MergePlan): boolean {
    return plan.sort.length > 0 || plan.isDistinct || isFolding(plan);
  }

  get passesLongRows(): boolean {
    return !this.isCut && !PlanMerger.needsShape(this.plan);
  }

  begin(legs: readonly Leg[]): void {
    this.legs = legs;
  }

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    if (!PlanMerger.needsShape(this.plan)) {
      this.give(bytes, start, end, buffer);
      return CONSUMED;
    }
    if (!this.hasShape) {
      this.problem = new PgDogError('internal', 'a row came before its description');
      return CONSUMED;
    }
    if (this.fold !== null) {
      if (!this.fold.add(bytes, start + HEADER_BYTES, end)) this.problem = foldProblem(this.fold);
      return CONSUMED;
    }
    if (this.merge === null) {
      this.giveDistinct(bytes, start, end, buffer);
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
      this.giveDistinct(leg.head, 0, leg.headSize, -1);
      if (leg.pending === null) leg.session.resumeAnswers();
      else this.merge.ended(next);
    }
    if (next === MERGE_FAILED) {
      this.problem ??= new PgDogError(
        'cross_shard',
        'rows of a shard are not in the order that was asked for',
        {
          hint: 'Sort by a column of a collation that compares bytes ("C"), or ask one shard.',
        },
      );
    }
    this.isAdvancing = false;
    if (this.problem === null) this.output.tryMeet();
  }

  private giveDistinct(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.distinct !== null) {
      const distinction = this.distinct.take(bytes, start + HEADER_BYTES, end);
      if (distinction === 'seen') return;
      if (distinction !== 'new') {
        const why = distinction === 'full' ? 'too many rows for DISTINCT' : 'a row that cannot be read';
        this.problem = new PgDogError('cross_shard', `rows of several shards cannot be merged: ${why}`);
        return;
      }
    }
    this.give(bytes, start, end, buffer);
  }

  private give(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.isCut && this.cut.take() !== 'pass') return;
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
    const isOfPortal = !this.isStatementDescribed;
    this.isStatementDescribed = false;
    this.problem = shapesProblem(frames, this.legs);
    if (this.problem !== null) return false;
    const shape = RowShape.read(frames[0], HEADER_BYTES, frames[0].length);
    if (!isOfPortal || shape === null) return true;
    if (!this.hasShape && PlanMerger.needsShape(this.plan)) this.takeShape(shape);
    this.hasShape = true;
    return !this.swallowsShape && this.problem === null;
  }

  private takeShape(shape: RowShape): void {
    const { sort, group, aggregates, isDistinct } = this.plan;
    const refuse = (why: string): void => {
      this.problem = new PgDogError('cross_shard', why);
    };
    const seen = isDistinct || isFolding(this.plan) ? shape.columns.map((_, column) => column) : [];
    for (const need of settingNeeds(shape, [...seen, ...sort.map(({ column }) => column)])) {
      if (this.output.isMet(need)) continue;
      const text = `rows of several shards cannot be merged with this ${need}`;
      this.problem = new PgDogError('cross_shard', text, { hint: NEED_HINTS[need] });
      return;
    }
    if (isFolding(this.plan)) {
      const fold = RowFold.of(shape, group, aggregates, STATE_BYTES_MAX);
      if (typeof fold === 'string') refuse(fold);
      else this.fold = fold;
    }
    if (sort.length > 0) {
      const order = RowOrder.of(shape, sort);
      if (typeof order === 'string') refuse(order);
      else {
        this.order = order;
        if (this.fold === null) this.merge = new RowMerge(order, this.legs.length);
      }
    }
    if (isDistinct) {
      const distinct = RowDistinct.of(shape, STATE_BYTES_MAX);
      if (typeof distinct === 'string') refuse(distinct);
      else this.distinct = distinct;
    }
  }

  private complete(frames: readonly Uint8Array[]): void {
    const { fold } = this;
    if (fold !== null) {
      if (!fold.finish(this.order)) {
        this.problem = foldProblem(fold);
        return;
      }
      for (let row = 0; row < fold.rowCount; row++) {
        this.giveDistinct(fold.bytes, fold.rowStart(row), fold.rowEnd(row), -1);
      }
    }
    const isCounted = this.isCut || PlanMerger.needsShape(this.plan);
    const frame = isCounted ? tagFrame(`SELECT ${this.sentCount}`) : completionOf(frames);
    if (frame instanceof PgDogError) this.problem = frame;
    else if (this.holdsTag) this.heldTag = frame;
    else this.output.pass(frame, 0, frame.length, -1);
  }
}

const NEED_HINTS: Record<SettingNeed, string> = {
  DateStyle: "SET datestyle TO 'ISO'.",
  extra_float_digits: 'SET extra_float_digits TO 1, or ask for the binary format.',
  bytea_output: "SET bytea_output TO 'hex', or ask for the binary format.",
  client_encoding: "Set client_encoding to the server's.",
};

function isFolding({ group, aggregates }: MergePlan): boolean {
  return group !== null || aggregates.some((each) => each !== null);
}

function foldProblem({ failure }: RowFold): PgDogError {
  switch (failure) {
    case 'int8':
      return new PgDogError('merge_overflow', 'bigint out of range');
    case 'numeric':
      return new PgDogError('merge_overflow', 'value overflows numeric format');
    case 'full':
      return new PgDogError('cross_shard', 'rows of several shards cannot be merged: too many groups');
    default:
      return new PgDogError(
        'cross_shard',
        'rows of several shards cannot be merged: a row that cannot be read',
      );
  }
}
