import {
  type FillReading,
  FRONTEND,
  FrameWriter,
  partsText,
  ROW_COUNT,
  type ShardReading,
  valuesOf,
  withEdits,
} from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { declaredTypes } from './split-insert.js';
import { unnamedBatch, unnamedParse } from './unnamed-batch.js';

const writer = new FrameWriter(4096);

/** A statement with what one server has said in it, and the question to that server. */
export class FilledStatement {
  /** UTF-8. */
  private readonly text: Uint8Array;
  private readonly fill: FillReading;
  /** As its Parse declares them. */
  private readonly types: readonly number[];
  private readonly rowCount: number;
  private filled: Uint8Array | null = null;

  /** @param rowCount of this execution, where a value depends on it. @returns null: nothing is to be asked for */
  static of(
    text: PreparedText | null,
    { fill }: Pick<ShardReading, 'fill'>,
    rowCount: number,
  ): FilledStatement | null {
    if (fill === undefined || text === null) return null;
    const bytes = text.bytes.slice(text.textStart, text.textEnd);
    return new FilledStatement(bytes, fill, declaredTypes(text), rowCount);
  }

  private constructor(text: Uint8Array, fill: FillReading, types: readonly number[], rowCount: number) {
    this.text = text;
    this.rowCount = rowCount;
    this.fill = fill;
    this.types = types;
  }

  /** Sequences are the first shard's. */
  get needsFirst(): boolean {
    return valuesOf(this.fill).some(({ isSequence }) => isSequence);
  }

  get hasIdentity(): boolean {
    return valuesOf(this.fill).some(({ isIdentity }) => isIdentity === true);
  }

  /** Times are read back as they were written in one style only. */
  get hasTime(): boolean {
    return valuesOf(this.fill).some(({ type }) => type.startsWith('time') || type === 'date');
  }

  get question(): string {
    return `SELECT ${valuesOf(this.fill)
      .map(({ sql }) => sql.replaceAll(ROW_COUNT, String(this.rowCount)))
      .join(', ')}`;
  }

  /** @param values of the answer's one row. False: it does not have as many as were asked for */
  fillIn(values: readonly (string | null)[]): boolean {
    if (values.length !== valuesOf(this.fill).length) return false;
    let next = 0;
    const edits = this.fill.edits.map(({ start, end, parts }) => ({
      start,
      end,
      text: partsText(parts, ({ type }) => {
        const value = values[next++] ?? null;
        return value === null ? `NULL::${type}` : `'${value.replaceAll("'", "''")}'::${type}`;
      }),
    }));
    this.filled = withEdits(this.text, 0, this.text.length, edits);
    return true;
  }

  /** As it is now. */
  get whole(): Uint8Array {
    if (this.filled === null) throw new Error('a statement is sent before it has been filled in');
    return this.filled;
  }

  queryFrame(): Uint8Array {
    writer.reset().begin(FRONTEND.Query).bytes(this.whole).byte(0).end();
    return writer.take();
  }

  /** Frames of a batch up to its Sync. */
  batchFrames(frames: readonly Uint8Array[]): Uint8Array {
    return unnamedBatch(unnamedParse(this.whole, this.types), frames);
  }
}
