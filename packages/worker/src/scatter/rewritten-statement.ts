import { FRONTEND, FrameWriter, type MergePlan, type RewritePlan, TARGET } from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { bindFrame, bindParts } from './bind-parts.js';
import { declaredTypes } from './split-insert.js';

const UNNAMED = Uint8Array.of(0);
const TARGET_AT = 5;
const writer = new FrameWriter(4096);

/** What the client is told once the frame before has gone to it. */
export type Told = 'types' | 'shape' | 'formattedShape';

/** A frame that shards answer with, other than rows and what ends them. */
export interface Awaited {
  /** Of the client's text: types of its parameters and of its columns; of the other text: the same. */
  readonly is: 'clientTypes' | 'clientShape' | 'askedTypes' | 'askedShape' | 'other';
  readonly isShown: boolean;
  readonly tells: readonly Told[];
}

/**
 * What is sent instead of a client's statement: the client's own is parsed and described, as whoever runs it is told of its
 * columns; then another is parsed, described and run. All of it is the unnamed statement.
 */
export class RewrittenStatement {
  readonly plan: RewritePlan;
  /** By column that the client is shown: 0 text, 1 binary. null: as no Bind can have it, which the server says. */
  formats: readonly number[] | null = null;
  private readonly text: Uint8Array;
  private readonly types: readonly number[];

  constructor(plan: RewritePlan, text: PreparedText) {
    this.plan = plan;
    this.text = text.bytes.slice(text.textStart, text.textEnd);
    this.types = declaredTypes(text);
  }

  /** @param taken of a batch up to its Sync; none: it is a Query */
  ask(taken: readonly Uint8Array[]): { frames: Uint8Array; awaited: Awaited[] } {
    return taken.length === 0 ? this.query() : this.batch(taken);
  }

  private query(): { frames: Uint8Array; awaited: Awaited[] } {
    writer.reset().begin(FRONTEND.Bind).cstring('').cstring('').int16(0).int16(0).int16(0).end();
    const bind = writer.take();
    const script = new Script(this);
    script.bind(bind, false, ['formattedShape']);
    writer.reset().begin(FRONTEND.Execute).cstring('').int32(0).end().begin(FRONTEND.Sync).end();
    return { frames: Buffer.concat([...script.frames, writer.take()]), awaited: script.awaited };
  }

  private batch(frames: readonly Uint8Array[]): { frames: Uint8Array; awaited: Awaited[] } {
    const script = new Script(this);
    for (const frame of frames) script.add(frame);
    return { frames: Buffer.concat(script.frames), awaited: script.awaited };
  }

  clientParse(): Uint8Array {
    return this.parse(this.text);
  }

  askedParse(): Uint8Array {
    return this.parse(Buffer.from(this.plan.text));
  }

  private parse(text: Uint8Array): Uint8Array {
    writer.reset().begin(FRONTEND.Parse).byte(0).bytes(text).byte(0).int16(this.types.length);
    for (const type of this.types) writer.int32(type);
    writer.end();
    return writer.take();
  }

  /** The same portal and values, and the formats that the other columns are wanted in. null: as it is. */
  takeBind(frame: Uint8Array): Uint8Array | null {
    const parts = bindParts(frame);
    const formats = parts === null ? null : this.resultFormats(parts.results);
    this.formats = formats;
    if (parts === null || formats === null) return null;
    const asked = this.plan.formats.map((column) => (column < 0 ? 1 : formats[column]));
    const results = Buffer.alloc(2 + 2 * asked.length);
    results.writeUInt16BE(asked.length);
    for (const [i, format] of asked.entries()) results.writeUInt16BE(format, 2 + 2 * i);
    return bindFrame({ ...parts, statement: UNNAMED, results });
  }

  private resultFormats(results: Uint8Array): number[] | null {
    const view = new DataView(results.buffer, results.byteOffset, results.byteLength);
    const count = results.length < 2 ? -1 : view.getUint16(0);
    if (count < 0 || results.length !== 2 + 2 * count) return null;
    const given = Array.from({ length: count }, (_, i) => view.getUint16(2 + 2 * i));
    const { shownCount } = this.plan;
    if (count > 1 && count !== shownCount) return null;
    if (given.some((format) => format > 1)) return null;
    return Array.from({ length: shownCount }, (_, i) => given[count === 1 ? 0 : i] ?? 0);
  }
}

/** Of a plan whose text is another than the client's. */
export function rewrittenOf(
  plan: MergePlan | null,
  text: PreparedText | null,
): { rewritten?: RewrittenStatement } {
  const rewrite = plan?.rewrite;
  return rewrite === undefined || text === null ? {} : { rewritten: new RewrittenStatement(rewrite, text) };
}

/** Frames to be sent, and what is answered to them, in order. */
class Script {
  readonly frames: Uint8Array[] = [];
  readonly awaited: Awaited[] = [];
  private readonly statement: RewrittenStatement;
  private isParsed = false;
  private isDescribed = false;
  /** The unnamed statement is the other one. */
  private isBound = false;

  constructor(statement: RewrittenStatement) {
    this.statement = statement;
  }

  add(frame: Uint8Array): void {
    const isStatement = frame[TARGET_AT] === TARGET.Statement;
    switch (frame[0]) {
      case FRONTEND.Parse:
        this.parse(true);
        break;
      case FRONTEND.Describe:
        if (isStatement) this.describe(true);
        else this.tell('formattedShape', frame);
        break;
      case FRONTEND.Bind:
        this.bind(frame, true, []);
        break;
      default:
        this.frames.push(frame);
        if (frame[0] === FRONTEND.Close) this.await('other', true);
    }
  }

  private await(is: Awaited['is'], isShown: boolean, tells: readonly Told[] = []): void {
    this.awaited.push({ is, isShown, tells });
  }

  private parse(isShown: boolean): void {
    this.frames.push(this.statement.clientParse());
    this.isParsed = true;
    this.await('other', isShown);
  }

  private describe(isShown: boolean): void {
    if (!this.isParsed) this.parse(false);
    if (this.isBound) {
      this.tell('types', null);
      this.tell('shape', null);
      return;
    }
    this.frames.push(describeUnnamed());
    this.isDescribed = true;
    this.await('clientTypes', isShown);
    this.await('clientShape', isShown);
  }

  /** Behind the frame that the client gets before; a portal that is not bound is for the server to refuse. */
  private tell(told: Told, frame: Uint8Array | null): void {
    const last = this.awaited.at(-1);
    if (last === undefined || !this.isBound || this.statement.formats === null) {
      if (frame !== null) this.frames.push(frame);
      if (frame !== null) this.await('other', true);
      return;
    }
    this.awaited[this.awaited.length - 1] = { ...last, tells: [...last.tells, told] };
  }

  bind(frame: Uint8Array, isShown: boolean, tells: readonly Told[]): void {
    if (!this.isDescribed) this.describe(false);
    const bind = this.statement.takeBind(frame);
    if (bind === null) {
      // The server refuses it, of the client's own text.
      const parts = bindParts(frame);
      this.frames.push(parts === null ? frame : bindFrame({ ...parts, statement: UNNAMED }));
      this.await('other', isShown);
      return;
    }
    this.frames.push(this.statement.askedParse(), describeUnnamed(), bind);
    this.await('other', false);
    this.await('askedTypes', false);
    this.await('askedShape', false);
    this.await('other', isShown, tells);
    this.isBound = true;
  }
}

function describeUnnamed(): Uint8Array {
  writer.reset().begin(FRONTEND.Describe).byte(TARGET.Statement).byte(0).end();
  return writer.take();
}
