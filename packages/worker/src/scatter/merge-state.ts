import {
  LimitCut,
  type MergePlan,
  PgDogError,
  RowDistinct,
  RowFold,
  RowOrder,
  type RowShape,
  type SettingNeed,
  settingNeeds,
} from '@pgdog-cluster/core';

const HEADER_BYTES = 5;
/** Of groups, and of rows that were seen, for one statement. */
export const STATE_BYTES_MAX = 64 * 1024 * 1024;

/** What is known of the rows of several shards while they become one answer: their order, their groups, what was seen and sent. */
export class MergeState {
  readonly plan: MergePlan;
  /** LIMIT or OFFSET are applied here. */
  readonly isCut: boolean;
  /** Rows must be looked into, so their types must be known. */
  readonly needsShape: boolean;
  readonly isFolding: boolean;
  problem: PgDogError | null = null;
  order: RowOrder | null = null;
  fold: RowFold | null = null;
  hasShape = false;
  private distinct: RowDistinct | null = null;
  private readonly cut: LimitCut;
  /** Bytes that it may take for groups and for rows that were seen. */
  readonly stateBytesMax: number;

  constructor(
    plan: MergePlan,
    { limit, offset }: { limit: number; offset: number },
    stateBytesMax = STATE_BYTES_MAX,
  ) {
    this.plan = plan;
    this.isCut = limit !== Number.POSITIVE_INFINITY || offset > 0;
    this.needsShape = MergeState.needsShape(plan);
    this.isFolding = isFolding(plan);
    this.cut = new LimitCut(limit === Number.POSITIVE_INFINITY ? null : limit, offset);
    this.stateBytesMax = this.isFolding || plan.isDistinct ? stateBytesMax : 0;
  }

  static needsShape(plan: MergePlan): boolean {
    return plan.sort.length > 0 || plan.isDistinct || isFolding(plan);
  }

  /** No row will pass any more. */
  get isDone(): boolean {
    return this.isCut && this.cut.isDone;
  }

  /** Once. @param isMet whether the session has a setting as a merge needs it */
  takeShape(shape: RowShape, isMet: (need: SettingNeed) => boolean): void {
    if (this.hasShape) return;
    this.hasShape = true;
    if (!this.needsShape) return;
    const { sort, isDistinct } = this.plan;
    const seen = isDistinct || this.isFolding ? shape.columns.map((_, column) => column) : [];
    for (const need of settingNeeds(shape, [...seen, ...sort.map(({ column }) => column)])) {
      if (isMet(need)) continue;
      const text = `rows of several shards cannot be merged with this ${need}`;
      this.problem = new PgDogError('cross_shard', text, { hint: NEED_HINTS[need] });
      return;
    }
    this.make(shape);
  }

  private make(shape: RowShape): void {
    const { sort, group, aggregates, isDistinct } = this.plan;
    const made = <T>(outcome: T | string): T | null => {
      if (typeof outcome !== 'string') return outcome;
      this.problem = new PgDogError('cross_shard', outcome);
      return null;
    };
    if (this.isFolding) this.fold = made(RowFold.of(shape, group, aggregates, this.stateBytesMax));
    if (sort.length > 0) this.order = made(RowOrder.of(shape, sort));
    if (isDistinct) this.distinct = made(RowDistinct.of(shape, this.stateBytesMax));
  }

  /** A shard's part of the groups: bytes[start, end) is its whole DataRow. */
  addToFold(fold: RowFold, bytes: Uint8Array, start: number, end: number): void {
    if (!fold.add(bytes, start + HEADER_BYTES, end)) this.problem = foldProblem(fold);
  }

  /** False: `problem` says why. */
  finishFold(fold: RowFold): boolean {
    if (fold.finish(this.order)) return true;
    this.problem = foldProblem(fold);
    return false;
  }

  /** Whether the row that is next, a whole DataRow, is one of the answer. Asked once for each. */
  admits(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.distinct !== null) {
      const distinction = this.distinct.take(bytes, start + HEADER_BYTES, end);
      if (distinction === 'seen') return false;
      if (distinction !== 'new') {
        const why = distinction === 'full' ? 'too many rows for DISTINCT' : 'a row that cannot be read';
        this.problem = new PgDogError('cross_shard', `rows of several shards cannot be merged: ${why}`);
        return false;
      }
    }
    return !this.isCut || this.cut.take() === 'pass';
  }

  failUnsorted(): void {
    const text = 'rows of a shard are not in the order that was asked for';
    this.problem ??= new PgDogError('cross_shard', text, {
      hint: 'Sort by a column of a collation that compares bytes ("C"), or ask one shard.',
    });
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
