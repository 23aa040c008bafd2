// ● per-frame path
import { assert } from '../base/assert.js';
import type { AggregateKind } from '../shard/shard-reading.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { BACKEND, readLength } from '../wire/message-type.js';
import { aggregateColumn } from './aggregate-column.js';
import type { FoldColumn } from './fold-column.js';
import { KeyBuffer } from './key-buffer.js';
import { KeyTable, TABLE_FULL } from './key-table.js';
import { allCells, RowKey } from './row-key.js';
import type { RowOrder } from './row-order.js';
import { NULL_SIZE, placeValues } from './row-places.js';
import type { RowShape } from './row-shape.js';
import { type Progress, RowSort } from './row-sort.js';

/**
 * Why a fold gives no rows: more groups than the limit allows; a row that is none of its shape; a sum beyond int8
 * (Postgres: 22003 "bigint out of range") or beyond numeric (22003 "value overflows numeric format").
 */
export type FoldFailure = 'full' | 'malformed' | 'int8' | 'numeric';

const FAILED = -1;

/**
 * Aggregates over the partial results of several shards, with or without GROUP BY: all rows of all shards in, then the rows
 * of the answer out.
 *
 *   add(row) … finishSome(order, budget) until it is done → row 0 <= index < rowCount: bytes[rowStart(index), rowEnd(index))
 *
 * Of values that are equal and not the same bytes (1.0 and 1.00) the first one is shown; Postgres shows either.
 */
export class RowFold {
  readonly #cells: Int32Array;
  readonly #places: Int32Array;
  readonly #key: RowKey;
  readonly #groups: readonly number[];
  /** By column: its states, or null for a column of #groups. */
  readonly #columns: readonly (FoldColumn | null)[];
  readonly #limitBytes: number;
  readonly #table: KeyTable;
  /** The groups' values as they came, where keys are not just these: as a DataRow has them, at #shownStarts. */
  readonly #shown = new KeyBuffer();
  #shownStarts = new Float64Array(16);
  readonly #writer = new FrameWriter(4096);
  /** Of finished rows, by group, and the order they are given in. */
  #starts = new Float64Array(1);
  #sequence: Uint32Array = new Uint32Array(0);
  #bytes: Uint8Array = new Uint8Array(0);
  #writtenCount = 0;
  #sort: RowSort | null = null;
  #isFinishing = false;
  failure: FoldFailure | null = null;

  private constructor(
    shape: RowShape,
    groups: readonly number[],
    key: RowKey,
    columns: readonly (FoldColumn | null)[],
    limitBytes: number,
  ) {
    this.#cells = allCells(shape.columns.length);
    this.#places = new Int32Array(2 * shape.columns.length);
    this.#groups = groups;
    this.#key = key;
    this.#columns = columns;
    this.#limitBytes = limitBytes;
    this.#table = new KeyTable(limitBytes);
  }

  /**
   * @param group of MergePlan: columns of the answer; null: all rows are one group
   * @param limitBytes of all that is kept, the finished rows included
   * @returns why this cannot be folded exactly, in words, if so
   */
  static of(
    shape: RowShape,
    group: readonly number[] | null,
    aggregates: readonly (AggregateKind | null)[],
    limitBytes: number,
  ): RowFold | string {
    if (aggregates.length !== shape.columns.length) {
      return `the answer has ${shape.columns.length} columns, and ${aggregates.length} were expected`;
    }
    // In the order of the columns, in which rows are written.
    const groups = aggregates.map((_, column) => column).filter((column) => group?.includes(column));
    if (group?.some((column) => !groups.includes(column))) return 'the answer lacks a column of GROUP BY';
    const columns: (FoldColumn | null)[] = [];
    for (let index = 0; index < aggregates.length; index++) {
      const kind = aggregates[index];
      const column = kind === null ? null : aggregateColumn(kind, shape.columns[index], limitBytes);
      if (typeof column === 'string') return column;
      if ((column === null) !== groups.includes(index)) {
        return `column "${shape.columns[index].name}" must be either an aggregate or one of GROUP BY`;
      }
      columns.push(column);
    }
    const key = RowKey.of(shape, groups);
    return typeof key === 'string' ? key : new RowFold(shape, groups, key, columns, limitBytes);
  }

  /** @param bytes bytes[start, end) is a DataRow body. @returns false: `failure` says why, and the answer is an error */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    assert(!this.#isFinishing, 'rows are added before the end');
    if (this.failure !== null) return false;
    if (!placeValues(bytes, start, end, this.#cells, this.#places, 0)) return this.#fail('malformed');
    const group = this.#groupOf(bytes);
    if (group === FAILED) return false;
    for (let column = 0; column < this.#columns.length; column++) {
      const at = this.#places[2 * column];
      const size = this.#places[2 * column + 1];
      const state = this.#columns[column];
      if (state === null) continue;
      if (size === NULL_SIZE) {
        // A count is never NULL: then this is not the count of anything.
        if (!state.isNullable) return this.#fail('malformed');
      } else if (!state.add(group, bytes, at, at + size)) return this.#fail('malformed');
    }
    return this.#usedBytes() <= this.#limitBytes ? true : this.#fail('full');
  }

  /** Of no rows there is one group all the same: aggregates without GROUP BY. */
  addNone(): void {
    if (this.#table.count > 0) return;
    this.#key.key.length = 0;
    this.#table.put(this.#key.key);
    for (const column of this.#columns) column?.open();
  }

  /** The row's group, old or new, or FAILED. */
  #groupOf(bytes: Uint8Array): number {
    if (!this.#key.write(bytes, this.#places)) {
      this.#fail('malformed');
      return FAILED;
    }
    const group = this.#table.put(this.#key.key);
    if (group === TABLE_FULL) {
      this.#fail('full');
      return FAILED;
    }
    if (this.#table.isNew) {
      for (const column of this.#columns) column?.open();
      if (!this.#key.isValues) this.#show(bytes, group);
    }
    return group;
  }

  #show(bytes: Uint8Array, group: number): void {
    if (group + 2 > this.#shownStarts.length) {
      const grown = new Float64Array(2 * this.#shownStarts.length);
      grown.set(this.#shownStarts);
      this.#shownStarts = grown;
    }
    for (const column of this.#groups) {
      const size = this.#places[2 * column + 1];
      this.#shown.int32(size);
      if (size > 0) {
        const at = this.#places[2 * column];
        this.#shown.append(bytes, at, at + size);
      }
    }
    this.#shownStarts[group + 1] = this.#shown.length;
  }

  /** Twice what is known of the groups: the finished rows have it once more. */
  #usedBytes(): number {
    let used = this.#table.usedBytes + this.#shown.length;
    for (const column of this.#columns) used += column === null ? 0 : column.usedBytes;
    return 2 * used;
  }

  /**
   * Makes the rows of the answer, in the order asked for, else in the order in which the groups came: in parts, as many
   * groups may take longer than other sessions should wait.
   * @param budget steps of a row each
   * @returns `failed`: `failure` says why, and the answer is an error
   */
  finishSome(order: RowOrder | null, budget: number): Progress {
    this.#isFinishing = true;
    if (this.failure !== null) return 'failed';
    const { count } = this.#table;
    let left = budget;
    for (; this.#writtenCount < count; left--) {
      if (left <= 0) return 'more';
      if (this.#starts.length <= count) this.#starts = new Float64Array(count + 1);
      if (!this.#writeRow(this.#writtenCount)) return 'failed';
      this.#starts[++this.#writtenCount] = this.#writer.length;
    }
    this.#bytes = this.#writer.view();
    if (order === null) {
      this.#sequence = Uint32Array.from({ length: count }, (_, group) => group);
      return 'done';
    }
    this.#sort ??= new RowSort(order, this.#bytes, this.#starts);
    const progress = this.#sort.step(left);
    if (progress === 'done') this.#sequence = this.#sort.sequence;
    if (progress === 'failed') this.#fail('malformed');
    return progress;
  }

  get rowCount(): number {
    return this.#sequence.length;
  }

  /** Holds the finished rows, each a whole DataRow frame: rowStart() to rowEnd(). */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  rowStart(index: number): number {
    return this.#starts[this.#sequence[index]];
  }

  rowEnd(index: number): number {
    return this.#starts[this.#sequence[index] + 1];
  }

  #writeRow(group: number): boolean {
    const isKey = this.#key.isValues;
    const values = isKey ? this.#table.bytes : this.#shown.bytes;
    let at = isKey ? this.#table.keyStart(group) : this.#shownStarts[group];
    const writer = this.#writer.begin(BACKEND.DataRow).int16(this.#columns.length);
    for (const column of this.#columns) {
      if (column === null) {
        const size = readLength(values, at) | 0;
        const end = at + 4 + Math.max(0, size);
        writer.bytes(values, at, end);
        at = end;
      } else if (!column.write(group, writer)) return this.#fail(column.overflow);
    }
    writer.end();
    return true;
  }

  #fail(failure: FoldFailure): false {
    this.failure ??= failure;
    return false;
  }
}
