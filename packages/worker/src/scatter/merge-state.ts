import {
  FirstRows,
  GroupAnswer,
  LimitCut,
  type MergePlan,
  PgDogError,
  type PlainColumn,
  type PlainProblem,
  plainProblem,
  RowDistinct,
  type RowMerge,
  RowOrder,
  type RowShape,
  type SettingNeed,
  settingNeeds,
  TextRanking,
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
  fold: GroupAnswer | null = null;
  /** Of texts that rows are sorted by and Postgres alone can put in order: it is asked when all are there. null: there are none. */
  readonly ranking: TextRanking | null;
  hasShape = false;
  private distinct: RowDistinct | null = null;
  private first: FirstRows | null = null;
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
    this.ranking = TextRanking.isNeeded(plan) ? new TextRanking() : null;
    const keepsRows = this.isFolding || plan.isDistinct || this.ranking !== null;
    this.stateBytesMax = keepsRows ? stateBytesMax : 0;
  }

  static needsShape(plan: MergePlan): boolean {
    return plan.sort.length > 0 || plan.isDistinct || plan.totals !== undefined || isFolding(plan);
  }

  /** No row will pass any more. */
  get isDone(): boolean {
    return this.isCut && this.cut.isDone;
  }

  /**
   * Once.
   * @param told columns that the shards send
   * @param isMet whether the session has a setting as a merge needs it
   * @param toldClient columns that the client is shown
   */
  takeShape(told: RowShape, isMet: (need: SettingNeed) => boolean, toldClient = told): void {
    if (this.hasShape) return;
    this.hasShape = true;
    if (!this.needsShape) return;
    const { enums } = this.plan;
    const [asked, client] = [told.labelled(enums), toldClient.labelled(enums)];
    const why = plainProblem(asked, this.plan.plain ?? [], this.plan.aggregates);
    this.problem = why === null ? this.needProblem(asked, client, isMet) : unplain(why);
    if (this.problem === null) this.make(asked, client);
  }

  /** A setting that the session has not as the merge needs it. */
  private needProblem(
    asked: RowShape,
    client: RowShape,
    isMet: (need: SettingNeed) => boolean,
  ): PgDogError | null {
    const { sort, isDistinct } = this.plan;
    const all = ({ columns }: RowShape): number[] => columns.map((_, column) => column);
    const sorted = sort.map(({ column }) => column);
    const needs = [
      ...settingNeeds(asked, isDistinct || this.isFolding ? all(asked) : sorted),
      ...settingNeeds(client, isDistinct ? all(client) : this.isFolding ? sorted : []),
    ];
    const unmet = needs.find((need) => !isMet(need));
    if (unmet === undefined) return null;
    const text = `rows of several shards cannot be merged with this ${unmet}`;
    return new PgDogError('cross_shard', text, { hint: NEED_HINTS[unmet] });
  }

  private make(asked: RowShape, client: RowShape): void {
    const { plan, isFolding, stateBytesMax, ranking } = this;
    const made = <T>(outcome: T | string): T | null => {
      if (typeof outcome !== 'string') return outcome;
      this.problem = new PgDogError('cross_shard', outcome);
      return null;
    };
    if (isFolding) this.fold = made(GroupAnswer.of(plan, asked, client, stateBytesMax, ranking));
    // Before the first row is given there must be one of each shard, whatever they are sorted by.
    else if (plan.sort.length > 0 || plan.totals !== undefined)
      this.order = made(RowOrder.of(asked, plan.sort, ranking));
    if (plan.firstOf !== undefined) {
      const order = made(RowOrder.of(asked, plan.sort.slice(0, plan.firstOf), ranking));
      this.first = order === null ? null : new FirstRows(order);
    }
    if (!plan.isDistinct) return;
    const inexact = isFolding ? plainProblem(client, distinctGroups(client), []) : null;
    if (inexact !== null) this.problem = unplain(inexact);
    else this.distinct = made(RowDistinct.of(client, stateBytesMax));
  }

  /** A shard's part of the groups: bytes[start, end) is its whole DataRow. */
  addToFold(fold: GroupAnswer, bytes: Uint8Array, start: number, end: number): void {
    if (!fold.add(bytes, start + HEADER_BYTES, end)) this.problem = fold.problem;
  }

  /** All at once. False: `problem` says why. */
  finishFold(fold: GroupAnswer): boolean {
    if (fold.finishSome(Number.POSITIVE_INFINITY) === 'done') return true;
    this.problem = fold.problem;
    return false;
  }

  /** Whether the row that is next, a whole DataRow, is one of the answer. Asked once for each. */
  admits(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.first?.isOfLast(bytes, start + HEADER_BYTES, end) === true) return false;
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

  failMerge({ failure }: RowMerge): void {
    if (failure === 'malformed') {
      const text = 'rows of several shards cannot be merged: a row that cannot be read';
      this.problem ??= new PgDogError('cross_shard', text);
      return;
    }
    const text = 'rows of a shard are not in the order that was asked for';
    this.problem ??= new PgDogError('cross_shard', text, {
      hint: 'Are the libraries that sort texts the same on all shards? Else sort by COLLATE "C", or ask one shard.',
    });
  }
}

function unplain({ text, hint }: PlainProblem): PgDogError {
  return new PgDogError('cross_shard', text, hint === undefined ? {} : { hint });
}

/** Rows that are equal must be the same: which of them is shown is not said. */
function distinctGroups({ columns }: RowShape): PlainColumn[] {
  return columns.map((_, column) => ({ column, mayBeText: true, mayBeInexact: false }));
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
