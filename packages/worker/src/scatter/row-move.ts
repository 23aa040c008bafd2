import { FRONTEND, FrameWriter, type MovePlan, TARGET } from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { type BindParts, bindFrame, bindParts } from './bind-parts.js';
import { MovedRows, type RowRoutes } from './moved-rows.js';
import { declaredTypes } from './split-insert.js';

const NONE = Uint8Array.of(0, 0);
const UNNAMED = Uint8Array.of(0);
/** Rows that are inserted at a time have about this many bytes, so that what is queued for the shard stays small. */
const PORTION_BYTES = 64 * 1024;
const writer = new FrameWriter(4096);

/** An UPDATE of the sharding key: what is asked of the shards that rows leave and of those where they go, and the rows. */
export class RowMove {
  /** Where rows are, and where they go as far as that is known; null: every shard. */
  readonly shards: ReadonlySet<number> | null;
  /** Where rows go, or how each finds its shard. */
  readonly target: number | RowRoutes;
  readonly plan: MovePlan;
  private readonly text: Uint8Array;
  private readonly types: readonly number[];
  private readonly formats: readonly number[];

  constructor(
    shards: ReadonlySet<number> | null,
    target: number | RowRoutes,
    plan: MovePlan,
    text: PreparedText,
  ) {
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

  newRows(): MovedRows {
    return new MovedRows(this.target, this.formats.length);
  }

  /**
   * For a shard that rows leave. The client's own text is read there first: it tells what is wrong with it, and which types
   * its parameters have.
   * @param bind the client's; null: there are no parameters
   */
  leaveFrames(bind: Uint8Array | null): Uint8Array {
    const given = partsOf(bind);
    // The key as it was is compared byte by byte.
    const formats = this.plan.routed === null ? this.formats : [...this.formats, 1];
    const results = Buffer.concat([int16(formats.length), ...formats.map(int16)]);
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

  /** Some of the rows, for the shard where they go. null: all have come. */
  arrival(rows: MovedRows, bind: Uint8Array | null): { shard: number; frames: Uint8Array } | null {
    const portion = rows.take(PORTION_BYTES);
    if (portion === null) return null;
    const { results } = partsOf(bind);
    writer.reset();
    this.parse(Buffer.from(this.plan.insertText), []);
    for (const body of portion.bodies) {
      writer.begin(FRONTEND.Bind).byte(0).byte(0).int16(this.formats.length);
      for (const format of this.formats) writer.int16(format);
      writer.bytes(body).bytes(results).end();
      writer.begin(FRONTEND.Execute).byte(0).int32(0).end();
    }
    writer.begin(FRONTEND.Sync).end();
    return { shard: portion.shard, frames: writer.take() };
  }
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
