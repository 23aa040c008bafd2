import { type GroupExpression, sizeOfGroup } from '../shard/group-expression.js';
import type { MergePlan, RewritePlan } from '../shard/shard-reading.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { BACKEND, FRAME_HEADER_BYTES } from '../wire/message-type.js';
import { foldedType } from './aggregate-column.js';
import { compileGroup } from './group-program.js';
import { type GroupProgram, type GroupRow, MalformedGroup, NoProgram } from './group-terms.js';
import { oidOfType, typeOfOid, type ValueType, writeGroupValue } from './group-value.js';
import { allCells } from './row-key.js';
import { placeValues } from './row-places.js';
import { RowShape, type ShapeColumn } from './row-shape.js';
import { typeName, VALUE_FORMAT } from './value-types.js';

/** A value of the answer: one of the row's as it is, or computed. */
type Output = { readonly column: number } | { readonly program: GroupProgram; readonly format: number };

/** Parts of expressions that take as long as the rest of a row, about. */
const PARTS_PER_STEP = 8;

/** Makes rows of the answer of rows of partial results, with what they are sorted by behind what is shown. */
export class GroupProjection {
  /** Of the rows that are made. */
  readonly shape: RowShape;
  readonly writer = new FrameWriter(4096);
  /** What a row costs of a budget. */
  readonly stepsPerRow: number;
  readonly #outputs: readonly Output[];
  readonly #having: GroupProgram | null;
  readonly #cells: Int32Array;
  readonly #row: GroupRow;

  private constructor(
    shape: RowShape,
    outputs: readonly Output[],
    having: GroupProgram | null,
    count: number,
    size: number,
  ) {
    this.stepsPerRow = 1 + Math.floor(size / PARTS_PER_STEP);
    this.shape = shape;
    this.#outputs = outputs;
    this.#having = having;
    this.#cells = allCells(count);
    this.#row = { bytes: new Uint8Array(0), places: new Int32Array(2 * count) };
  }

  /**
   * @param asked columns of partial results, as shards send them
   * @param client columns that the client has been told of
   * @returns why groups cannot be computed here, in words, if so
   */
  static of(
    asked: RowShape,
    plan: MergePlan,
    rewrite: RewritePlan,
    client: RowShape,
  ): GroupProjection | string {
    const { groups, shownCount } = rewrite;
    if (groups === null || client.columns.length !== shownCount)
      return 'the answer has other columns than were read';
    const types = asked.columns.map((column, i) => typeOfOid(foldedType(plan.aggregates[i], column)));
    try {
      const shown = groups.shown.map((each, i) => shownOutput(each, i, types, rewrite, client.columns[i]));
      const hidden = groups.hidden.map((each) => compileGroup(each, types));
      const having = groups.having === null ? null : compileGroup(groups.having, types);
      const columns = [
        ...client.columns,
        ...hidden.map((program, i) => hiddenColumn(program, groups.hidden[i], asked)),
      ];
      const outputs = [...shown, ...hidden.map((program) => ({ program, format: VALUE_FORMAT.binary }))];
      const all = [...groups.shown, ...groups.hidden, ...(groups.having === null ? [] : [groups.having])];
      const size = all.reduce((sum, each) => sum + sizeOfGroup(each), 0);
      return new GroupProjection(new RowShape(columns), outputs, having, asked.columns.length, size);
    } catch (error) {
      // Whatever a statement leads to is its client's: other sessions of the worker go on.
      const why = error instanceof NoProgram ? error.message : 'not understood';
      return `groups of several shards cannot be computed: ${why}`;
    }
  }

  /**
   * Writes the row that becomes of bytes[start, end), a DataRow frame; none where the condition is not true.
   * @returns false: it is malformed. Throws Postgres's errors of computing
   */
  write(bytes: Uint8Array, start: number, end: number): boolean {
    const row = this.#row;
    if (!placeValues(bytes, start + FRAME_HEADER_BYTES, end, this.#cells, row.places, 0)) return false;
    row.bytes = bytes;
    try {
      if (this.#having !== null && this.#having.run(row) !== true) return true;
      const values = this.#outputs.map((output) => ('program' in output ? output.program.run(row) : null));
      this.writer.begin(BACKEND.DataRow).int16(this.#outputs.length);
      for (const [i, output] of this.#outputs.entries()) {
        if ('program' in output) writeGroupValue(this.writer, output.program.type, output.format, values[i]);
        else this.#copy(output.column);
      }
      this.writer.end();
      return true;
    } catch (error) {
      if (!(error instanceof MalformedGroup)) throw error;
      return false;
    }
  }

  #copy(column: number): void {
    const { bytes, places } = this.#row;
    const [start, size] = [places[2 * column], places[2 * column + 1]];
    this.writer.int32(size);
    if (size > 0) this.writer.bytes(bytes, start, start + size);
  }
}

function shownOutput(
  expression: GroupExpression,
  position: number,
  types: readonly ValueType[],
  { formats }: RewritePlan,
  column: ShapeColumn,
): Output {
  const isAsked = expression.kind === 'column' && formats[expression.column] === position;
  const program = compileGroup(expression, types);
  const { type } = program;
  if (oidOfType(type) !== column.typeOid) {
    throw new NoProgram(
      `column "${column.name}" is ${typeName(column.typeOid)}, and ${typeName(oidOfType(type))} here`,
    );
  }
  if (isAsked) return { column: expression.column };
  if (typeof type === 'number') throw new NoProgram(`${typeName(type)} (column "${column.name}")`);
  return { program, format: column.format };
}

function hiddenColumn({ type }: GroupProgram, expression: GroupExpression, asked: RowShape): ShapeColumn {
  const column = { name: 'ORDER BY', typeOid: oidOfType(type), typmod: -1, format: VALUE_FORMAT.binary };
  const { labels } = (expression.kind === 'column' ? asked.columns[expression.column] : undefined) ?? {};
  return labels === undefined ? column : { ...column, labels };
}
