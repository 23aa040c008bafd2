import { BACKEND, FrameWriter, PgDogError } from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { completionOf, shapesProblem } from './agree.js';
import type { Leg } from './leg.js';
import type { MergeOutput, RowMerger } from './row-merger.js';
import type { SplitInsert } from './split-insert.js';

/** Type, length and count stand before them. */
const PARAMETERS_AT = 7;
/** Of a parameter that nothing uses. */
const TEXT_OID = 25;
const writer = new FrameWriter(256);

/** Answers to a split INSERT: rows of RETURNING in the order of the rows that were inserted, counts added up. */
export class SplitMerger implements RowMerger {
  readonly passesLongRows = false;
  problem: PgDogError | null = null;
  heldTag: Uint8Array | null = null;
  private readonly output: MergeOutput;
  private readonly split: SplitInsert;
  private readonly holdsTag: boolean;
  /** ParseComplete answers a Parse of ours. */
  private readonly swallowsParse: boolean;
  private legs: readonly Leg[] = [];
  private at = 0;
  private isGiving = false;

  constructor(output: MergeOutput, split: SplitInsert, swallowsParse: boolean, holdsTag: boolean) {
    this.output = output;
    this.split = split;
    this.swallowsParse = swallowsParse;
    this.holdsTag = holdsTag;
  }

  begin(legs: readonly Leg[]): void {
    this.legs = legs;
  }

  row(leg: Leg, bytes: Uint8Array, start: number, end: number): number {
    if (leg.hasHead) return BLOCKED;
    leg.keepHead(bytes, start, end);
    this.give();
    return CONSUMED;
  }

  /** Rows may be fewer than were sent (ON CONFLICT DO NOTHING, triggers): a shard that has no more is passed over. */
  private give(): void {
    const { sequence } = this.split;
    if (this.isGiving) return;
    this.isGiving = true;
    for (; this.at < sequence.length; this.at++) {
      const leg = this.legs.find(({ shard }) => shard === sequence[this.at]);
      if (leg === undefined) break;
      if (!leg.hasHead && leg.pending === null) break;
      if (!leg.hasHead) continue;
      leg.hasHead = false;
      this.output.pass(leg.head, 0, leg.headSize, -1);
      if (leg.pending === null) leg.session.resumeAnswers();
    }
    this.isGiving = false;
    this.output.tryMeet();
  }

  legMeets(leg: Leg): void {
    if (leg.pending?.[0] === BACKEND.CommandComplete) this.give();
  }

  meet(type: number, frames: readonly Uint8Array[]): void {
    const [first] = frames;
    if (type === BACKEND.ParseComplete && this.swallowsParse) return;
    if (type === BACKEND.ParameterDescription) {
      const whole = this.parameters(frames);
      if (whole !== null) this.output.pass(whole, 0, whole.length, -1);
      return;
    }
    if (type === BACKEND.RowDescription) this.problem = shapesProblem(frames, this.legs);
    if (this.problem !== null) return;
    if (type !== BACKEND.CommandComplete) {
      this.output.pass(first, 0, first.length, -1);
      return;
    }
    const completion = completionOf(frames);
    if (completion instanceof PgDogError) this.problem = completion;
    else if (this.holdsTag && this.heldTag === null) this.heldTag = completion;
    else this.output.complete(completion);
  }

  /** Of the whole statement; each shard describes those of its own rows. */
  private parameters(frames: readonly Uint8Array[]): Uint8Array | null {
    const oids: number[] = [];
    for (const [i, frame] of frames.entries()) {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
      for (const [at, parameter] of this.split.parametersOf(this.legs[i].shard).entries()) {
        const oid = view.getUint32(PARAMETERS_AT + 4 * at);
        if (oids[parameter] !== undefined && oids[parameter] !== oid) {
          this.problem = new PgDogError('cross_shard', `parameter $${parameter + 1} has several types`);
          return null;
        }
        oids[parameter] = oid;
      }
    }
    writer.reset().begin(BACKEND.ParameterDescription).int16(oids.length);
    for (let i = 0; i < oids.length; i++) writer.int32(oids[i] ?? TEXT_OID);
    writer.end();
    return writer.take();
  }
}
