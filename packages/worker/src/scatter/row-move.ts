import { FRONTEND, FrameWriter, type MovePlan, PgDogError, TARGET } from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { type BindParts, bindFrame, bindParts } from './bind-parts.js';
import { declaredTypes } from './split-insert.js';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
const NONE = Uint8Array.of(0, 0);
const UNNAMED = Uint8Array.of(0);
/** Kept until all shards have given theirs: a client's rows must not fill the worker. */
const ROWS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;
/** Rows that are inserted at a time have about this many bytes, so that what is queued for the shard stays small. */
const PORTION_BYTES = 64 * 1024;
const writer = new FrameWriter(4096);

/** An UPDATE of the sharding key: what is asked of the shards that rows leave and of the one where they go, and the rows. */
export class RowMove {
  /** Where rows are, and where they go; null: every shard. */
  readonly shards: ReadonlySet<number> | null;
  /** Where rows go. */
  readonly target: number;
  readonly plan: MovePlan;
  private readonly text: Uint8Array;
  private readonly types: readonly number[];
  private readonly formats: readonly number[];
  /** Rows that have left, as they are to be: bodies of DataRows. */
  private rows: Uint8Array[] = [];
  private bytes = 0;
  private nextRow = 0;

  constructor(shards: ReadonlySet<number> | null, target: number, plan: MovePlan, text: PreparedText) {
    this.shards = shards;
    this.target = target;
    this.plan = plan;
    this.text = text.bytes.slice(text.textStart, text.textEnd);
    this.types = declaredTypes(text);
    this.formats = plan.columns.map(({ isBinary }) => (isBinary ? 1 : 0));
  }

  /** Some values come as text, which two settings may make ambiguous. */
  get hasText(): boolean {
    return this.formats.includes(0);
  }

  get count(): number {
    return this.rows.length;
  }

  begin(): void {
    this.rows = [];
    this.bytes = 0;
    this.nextRow = 0;
  }

  /** bytes[start, end) is a DataRow. @returns why no more can be kept; null: it is kept */
  keep(bytes: Uint8Array, start: number, end: number): PgDogError | null {
    this.bytes += end - start;
    const isFull = this.rows.length === ROWS_MAX || this.bytes > BYTES_MAX;
    if (isFull) {
      const text = `an UPDATE moves more than ${ROWS_MAX} rows, or ${BYTES_MAX / 1024 / 1024} MB of them, to other shards`;
      return new PgDogError('moved_rows_limit', text);
    }
    this.rows.push(bytes.slice(start + HEADER_BYTES, end));
    return null;
  }

  /**
   * For a shard that rows leave. The client's own text is read there first: it tells what is wrong with it, and which types
   * its parameters have.
   * @param bind the client's; null: there are no parameters
   */
  leaveFrames(bind: Uint8Array | null): Uint8Array {
    const given = partsOf(bind);
    const results = Buffer.concat([int16(this.formats.length), ...this.formats.map(int16)]);
    writer.reset();
    this.parse(this.text, this.types);
    this.parse(Buffer.from(this.plan.deleteText), this.types);
    const asked = writer.take();
    const bound = bindFrame({ ...given, portal: UNNAMED, statement: UNNAMED, results });
    return Buffer.concat([asked, bound, EXECUTE_AND_SYNC]);
  }

  private parse(text: Uint8Array, types: readonly number[]): void {
    writer.begin(FRONTEND.Parse).byte(0).bytes(text).byte(0).int16(types.length);
    for (const type of types) writer.int32(type);
    writer.end().begin(FRONTEND.Describe).byte(TARGET.Statement).byte(0).end();
  }

  /** For the shard where rows go: some of those that have left. null: all have come. */
  arriveFrames(bind: Uint8Array | null): Uint8Array | null {
    if (this.nextRow === this.rows.length) return null;
    const { results } = partsOf(bind);
    writer
      .reset()
      .begin(FRONTEND.Parse)
      .byte(0)
      .bytes(Buffer.from(this.plan.insertText))
      .byte(0)
      .int16(0)
      .end();
    let bytes = 0;
    while (this.nextRow < this.rows.length && bytes < PORTION_BYTES) {
      const row = this.rows[this.nextRow++];
      bytes += row.length;
      writer.begin(FRONTEND.Bind).byte(0).byte(0).int16(this.formats.length);
      for (const format of this.formats) writer.int16(format);
      // A row's count and values are written in both messages alike.
      writer.bytes(row).bytes(results).end();
      writer.begin(FRONTEND.Execute).byte(0).int32(0).end();
    }
    writer.begin(FRONTEND.Sync).end();
    return writer.take();
  }
}

/** Whether bytes[start, end), a DataRow's frame, has this many columns. */
export function hasColumns(bytes: Uint8Array, start: number, end: number, count: number): boolean {
  const at = start + HEADER_BYTES;
  return at + COUNT_BYTES <= end && ((bytes[at] << 8) | bytes[at + 1]) === count;
}

function partsOf(bind: Uint8Array | null): BindParts {
  const parts = bind === null ? null : bindParts(bind);
  return parts ?? { portal: UNNAMED, statement: UNNAMED, formats: [], values: [], results: NONE };
}

function int16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

const EXECUTE_AND_SYNC: Uint8Array = new FrameWriter(32)
  .begin(FRONTEND.Execute)
  .byte(0)
  .int32(0)
  .end()
  .begin(FRONTEND.Sync)
  .end()
  .take();
