import {
  type FillReading,
  FRONTEND,
  FrameWriter,
  partsText,
  readTarget,
  type ShardReading,
  TARGET,
  valuesOf,
  withEdits,
} from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { bindFrame, bindParts } from './bind-parts.js';
import { declaredTypes } from './split-insert.js';

const HEADER_BYTES = 5;
const UNNAMED = Uint8Array.of(0);
const writer = new FrameWriter(4096);

/** A write to whole copies that stores what one server has said, and the question to that server. */
export class FilledStatement {
  /** UTF-8. */
  private readonly text: Uint8Array;
  private readonly fill: FillReading;
  /** As its Parse declares them. */
  private readonly types: readonly number[];
  private filled: Uint8Array | null = null;

  /** @returns null: nothing is to be asked for */
  static of(text: PreparedText | null, { fill }: ShardReading): FilledStatement | null {
    if (fill === undefined || text === null) return null;
    return new FilledStatement(text.bytes.slice(text.textStart, text.textEnd), fill, declaredTypes(text));
  }

  private constructor(text: Uint8Array, fill: FillReading, types: readonly number[]) {
    this.text = text;
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
      .map(({ sql }) => sql)
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

  private get whole(): Uint8Array {
    if (this.filled === null) throw new Error('a statement is sent before it has been filled in');
    return this.filled;
  }

  queryFrame(): Uint8Array {
    writer.reset().begin(FRONTEND.Query).bytes(this.whole).byte(0).end();
    return writer.take();
  }

  /** Frames of a batch up to its Sync: the statement is always the unnamed one, prepared anew each time. */
  batchFrames(frames: readonly Uint8Array[]): Uint8Array {
    const out: Uint8Array[] = [this.parseFrame()];
    for (const frame of frames) {
      if (frame[0] === FRONTEND.Parse) continue;
      out.push(frame[0] === FRONTEND.Bind ? bindUnnamed(frame) : isStatement(frame) ? DESCRIBE : frame);
    }
    return Buffer.concat(out);
  }

  private parseFrame(): Uint8Array {
    writer.reset().begin(FRONTEND.Parse).byte(0).bytes(this.whole).byte(0).int16(this.types.length);
    for (const type of this.types) writer.int32(type);
    writer.end();
    return writer.take();
  }
}

function bindUnnamed(frame: Uint8Array): Uint8Array {
  const parts = bindParts(frame);
  return parts === null ? frame : bindFrame({ ...parts, statement: UNNAMED });
}

/** Describe of a statement. */
function isStatement(frame: Uint8Array): boolean {
  if (frame[0] !== FRONTEND.Describe) return false;
  return readTarget(frame, HEADER_BYTES, frame.length)?.target === TARGET.Statement;
}

const DESCRIBE: Uint8Array = new FrameWriter(16)
  .begin(FRONTEND.Describe)
  .byte(TARGET.Statement)
  .byte(0)
  .end()
  .take();
