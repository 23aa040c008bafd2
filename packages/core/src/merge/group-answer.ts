import { PgDogError } from '../base/errors.js';
import type { MergePlan } from '../shard/shard-reading.js';
import { FRAME_HEADER_BYTES } from '../wire/message-type.js';
import { effort } from './group-numbers.js';
import { GroupProjection } from './group-projection.js';
import { RowFold } from './row-fold.js';
import { RowOrder } from './row-order.js';
import type { RowShape } from './row-shape.js';
import { type Progress, RowSort } from './row-sort.js';
import type { TextRanking } from './text-ranking.js';

const COUNT_BYTES = 2;

/**
 * The answer of a statement whose groups are spread over shards: partial results of all of them in, then the rows of the
 * answer out, with what is computed of them, without those that HAVING leaves out, sorted.
 *
 *   add(row) … finishSome(budget) until it is done → row 0 <= index < rowCount: bytes[rowStart(index), rowEnd(index))
 */
export class GroupAnswer {
  readonly #fold: RowFold;
  readonly #projection: GroupProjection | null;
  readonly #order: RowOrder | null;
  readonly #plan: MergePlan;
  readonly #limitBytes: number;
  /** Why there is no answer. */
  problem: PgDogError | null = null;
  #projectedCount = 0;
  /** Of rows that are made: where each begins, and at last where the last one ends. */
  readonly #starts: number[] = [0];
  #sort: RowSort | null = null;
  #sequence: Uint32Array | null = null;
  readonly #ranking: TextRanking | null;
  /** Finished rows whose texts have been noted, and whether their places have been asked for. */
  #notedCount = 0;
  #isRanked: boolean;

  private constructor(
    plan: MergePlan,
    fold: RowFold,
    projection: GroupProjection | null,
    order: RowOrder | null,
    limitBytes: number,
    ranking: TextRanking | null,
  ) {
    this.#ranking = ranking;
    this.#isRanked = ranking === null;
    this.#plan = plan;
    this.#fold = fold;
    this.#projection = projection;
    this.#order = order;
    this.#limitBytes = limitBytes;
  }

  /**
   * @param asked columns that the shards send
   * @param client columns that the client has been told of
   * @param ranking of texts that groups are sorted by; null: of none
   * @returns why it cannot be made here, in words, if so
   */
  static of(
    plan: MergePlan,
    asked: RowShape,
    client: RowShape,
    limitBytes: number,
    ranking: TextRanking | null = null,
  ): GroupAnswer | string {
    const fold = RowFold.of(asked, plan.group, plan.aggregates, limitBytes);
    if (typeof fold === 'string') return fold;
    const { rewrite } = plan;
    const projection = rewrite === undefined ? null : GroupProjection.of(asked, plan, rewrite, client);
    if (typeof projection === 'string') return projection;
    const order = plan.sort.length === 0 ? null : RowOrder.of(projection?.shape ?? asked, plan.sort, ranking);
    if (typeof order === 'string') return order;
    return new GroupAnswer(plan, fold, projection, order, limitBytes, ranking);
  }

  /** @param bytes bytes[start, end) is a DataRow body. @returns false: `problem` says why there is no answer */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#fold.add(bytes, start, end) || this.#foldFailed();
  }

  /** @param budget steps of a row each: other sessions of the worker wait for each call */
  finishSome(budget: number): Progress {
    if (this.#plan.rewrite?.groups?.isOne === true) this.#fold.addNone();
    if (this.#projection === null && this.#isRanked) return this.#finishFold(this.#order, budget);
    const progress = this.#finishFold(null, budget);
    if (progress !== 'done') return progress;
    if (this.#projection === null) return this.#noteTexts(this.#order, budget);
    try {
      return this.#project(this.#projection, budget);
    } catch (error) {
      // Whatever values lead to is their client's: other sessions of the worker go on.
      if (!(error instanceof PgDogError)) return this.#fail('values that cannot be computed with');
      this.problem = error;
      return 'failed';
    }
  }

  #finishFold(order: RowOrder | null, budget: number): Progress {
    const progress = this.#fold.finishSome(order, budget);
    if (progress === 'failed') this.#foldFailed();
    return progress;
  }

  #project(projection: GroupProjection, budget: number): Progress {
    const { writer } = projection;
    const fold = this.#fold;
    let left = budget;
    for (; this.#projectedCount < fold.rowCount; left -= projection.stepsPerRow + effort.steps) {
      if (left <= 0) return 'more';
      effort.steps = 0;
      const row = this.#projectedCount++;
      const before = writer.length;
      if (!projection.write(fold.bytes, fold.rowStart(row), fold.rowEnd(row))) return this.#malformed();
      if (writer.length > before) this.#starts.push(writer.length);
      if (writer.length > this.#limitBytes) return this.#fail('too many groups');
    }
    if (!this.#isRanked) return this.#noteTexts(this.#order, Math.max(1, left));
    return this.#sorted(projection, Math.max(1, left));
  }

  /** `asks`: all are noted, and are to be ranked before rows are put in order. */
  #noteTexts(order: RowOrder | null, budget: number): Progress {
    const count = this.rowCount;
    for (let left = budget; this.#notedCount < count; left--) {
      if (left <= 0) return 'more';
      const row = this.#notedCount++;
      const start = this.rowStart(row) + FRAME_HEADER_BYTES;
      const end = this.#projection === null ? this.#fold.rowEnd(row) : this.#starts[row + 1];
      if (order?.noteTexts(this.bytes, start, end) === false) return this.#malformed();
      if (this.#ranking?.isFull === true || (this.#ranking?.usedBytes ?? 0) > this.#limitBytes)
        return this.#fail('too many groups');
    }
    this.#isRanked = true;
    return 'asks';
  }

  #sorted(projection: GroupProjection, budget: number): Progress {
    const bytes = projection.writer.view();
    if (this.#order !== null && this.#sequence === null) {
      this.#sort ??= new RowSort(this.#order, bytes, Float64Array.from(this.#starts));
      const progress = this.#sort.step(budget);
      if (progress === 'failed') return this.#malformed();
      if (progress === 'more') return progress;
      this.#sequence = this.#sort.sequence;
    }
    return 'done';
  }

  #foldFailed(): false {
    switch (this.#fold.failure) {
      case 'int8':
        this.problem = new PgDogError('merge_overflow', 'bigint out of range');
        break;
      case 'numeric':
        this.problem = new PgDogError('merge_overflow', 'value overflows numeric format');
        break;
      case 'full':
        this.#fail('too many groups');
        break;
      default:
        this.#malformed();
    }
    return false;
  }

  #malformed(): 'failed' {
    return this.#fail('a row that cannot be read');
  }

  #fail(why: string): 'failed' {
    this.problem = new PgDogError('cross_shard', `rows of several shards cannot be merged: ${why}`);
    return 'failed';
  }

  get rowCount(): number {
    return this.#projection === null ? this.#fold.rowCount : this.#starts.length - 1;
  }

  /** Holds the finished rows, each a whole DataRow frame: rowStart() to rowEnd(). */
  get bytes(): Uint8Array {
    return this.#projection === null ? this.#fold.bytes : this.#projection.writer.view();
  }

  rowStart(index: number): number {
    return this.#projection === null ? this.#fold.rowStart(index) : this.#starts[this.#rowAt(index)];
  }

  /** What rows were sorted by is taken off: each ends behind what is shown. */
  rowEnd(index: number): number {
    const projection = this.#projection;
    if (projection === null) return this.#fold.rowEnd(index);
    const row = this.#rowAt(index);
    const shownCount = this.#plan.rewrite?.shownCount ?? 0;
    if (shownCount === projection.shape.columns.length) return this.#starts[row + 1];
    return cutRow(projection.writer.view(), this.#starts[row], shownCount);
  }

  #rowAt(index: number): number {
    return this.#sequence === null ? index : this.#sequence[index];
  }
}

/** Leaves so many values in a DataRow frame, which has them. @returns where it ends */
export function cutRow(bytes: Uint8Array, start: number, count: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const from = start + FRAME_HEADER_BYTES;
  let at = from + COUNT_BYTES;
  for (let column = 0; column < count; column++) at += 4 + Math.max(0, view.getInt32(at));
  view.setInt32(start + 1, at - start - 1);
  view.setInt16(from, count);
  return at;
}
