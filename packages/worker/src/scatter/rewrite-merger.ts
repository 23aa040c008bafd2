import { BACKEND, PgDogError, RowShape } from '@pgdog-cluster/core';
import { shapesProblem } from './agree.js';
import type { Leg } from './leg.js';
import type { PlanMerger } from './plan-merger.js';
import type { Awaited, RewrittenStatement, Told } from './rewritten-statement.js';
import type { MergeOutput, RowMerger } from './row-merger.js';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
/** Of a column behind its name; the last of them is its format. */
const FIELDS_BYTES = 18;
const FORMAT_BYTES = 2;
/**
 * Answers to a statement that was rewritten: the client is told of its own columns, as the shards have described them; rows
 * are merged by what was asked instead.
 */
export class RewriteMerger implements RowMerger {
  readonly passesLongRows = false;
  private readonly output: MergeOutput;
  private readonly inner: PlanMerger;
  private readonly statement: RewrittenStatement;
  private readonly awaited: Awaited[];
  private legs: readonly Leg[] = [];
  private own: PgDogError | null = null;
  private types: Uint8Array | null = null;
  private shape: Uint8Array | null = null;

  constructor(
    output: MergeOutput,
    inner: PlanMerger,
    statement: RewrittenStatement,
    awaited: readonly Awaited[],
  ) {
    this.output = output;
    this.inner = inner;
    this.statement = statement;
    this.awaited = [...awaited];
  }

  get problem(): PgDogError | null {
    return this.own ?? this.inner.problem;
  }

  get heldTag(): Uint8Array | null {
    return this.inner.heldTag;
  }

  get isWorking(): boolean {
    return this.inner.isWorking;
  }

  begin(legs: readonly Leg[]): void {
    this.legs = legs;
    this.inner.begin(legs);
  }

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    return this.inner.row(leg, bytes, start, end, buffer);
  }

  legMeets(leg: Leg): void {
    this.inner.legMeets(leg);
  }

  drained(): void {
    this.inner.drained();
  }

  stop(): void {
    this.inner.stop();
  }

  meet(type: number, frames: readonly Uint8Array[]): void {
    const awaited = type === BACKEND.CommandComplete ? undefined : this.awaited.shift();
    if (awaited === undefined) {
      this.inner.meet(type, frames);
      return;
    }
    this.take(awaited, frames);
    if (this.problem !== null) return;
    if (awaited.isShown) this.output.pass(frames[0], 0, frames[0].length, -1);
    for (const told of awaited.tells) this.tell(told);
  }

  private take({ is }: Awaited, frames: readonly Uint8Array[]): void {
    const [first] = frames;
    switch (is) {
      case 'clientTypes':
        this.types = first;
        this.requireAlike(frames, first);
        break;
      case 'askedTypes':
        if (this.types !== null) this.requireAlike(frames, this.types);
        break;
      case 'clientShape':
        this.shape = first;
        this.own = shapesProblem(frames, this.legs);
        break;
      case 'askedShape':
        this.own = shapesProblem(frames, this.legs);
        if (this.own === null) this.takeShapes(first);
        break;
    }
  }

  /** A parameter of another type would mean another value. */
  private requireAlike(frames: readonly Uint8Array[], types: Uint8Array): void {
    if (frames.every((frame) => Buffer.compare(frame, types) === 0)) return;
    this.own = new PgDogError('cross_shard', 'a parameter has another type in what shards are asked', {
      hint: 'Write its type: $1::bigint.',
    });
  }

  private takeShapes(frame: Uint8Array): void {
    const { plan, formats } = this.statement;
    const asked = RowShape.read(frame, HEADER_BYTES, frame.length);
    const client = this.shape === null ? null : RowShape.read(this.shape, HEADER_BYTES, this.shape.length);
    const all = formats === null ? null : plan.formats.map((column) => (column < 0 ? 1 : formats[column]));
    const isAsked = asked?.columns.length === plan.formats.length;
    const isShown = client?.columns.length === plan.shownCount;
    if (!isAsked || !isShown || formats === null || all === null) {
      this.own = new PgDogError('cross_shard', 'shards describe other columns than were read');
      return;
    }
    const described = asked.named(plan.names).withFormats(all);
    const shown = client.withFormats(formats);
    if (described !== null && shown !== null) this.inner.takeShapes(described, shown);
  }

  private tell(told: Told): void {
    const frame = told === 'types' ? this.types : told === 'shape' ? this.shape : this.formattedShape();
    if (frame !== null) this.output.pass(frame, 0, frame.length, -1);
  }

  /** The description of a statement, which has no formats yet, with those of a portal. */
  private formattedShape(): Uint8Array | null {
    const { formats } = this.statement;
    if (this.shape === null || formats === null) return null;
    const frame = this.shape.slice();
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    let at = HEADER_BYTES + COUNT_BYTES;
    for (const format of formats) {
      while (frame[at] !== 0) at++;
      at += 1 + FIELDS_BYTES;
      view.setInt16(at - FORMAT_BYTES, format);
    }
    return frame;
  }
}
