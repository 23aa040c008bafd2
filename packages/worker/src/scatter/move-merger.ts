import { BACKEND, decodeText, PgDogError } from '@pgdog-cluster/core';
import { CONSUMED } from '../wire/frame-stream.js';
import { tagFrame } from './agree.js';
import type { Leg } from './leg.js';
import type { MergeOutput, RowMerger } from './row-merger.js';
import { hasColumns, type RowMove } from './row-move.js';

const HEADER_BYTES = 5;

/** What the client is told by the shard where rows go. */
export interface MoveOutput extends Pick<MergeOutput, 'pass'> {
  /** A whole ParameterDescription as the client may see it. */
  described(frame: Uint8Array): Uint8Array;
}

/**
 * Answers while rows leave: those of the shard where they go are the client's, but for its CommandComplete and what is behind
 * that, which wait; the others give rows, which are kept.
 */
export class LeaveMerger implements RowMerger {
  readonly passesLongRows = false;
  problem: PgDogError | null = null;
  /** Rows that the UPDATE changed where they go. */
  private stayedCount = 0;
  private readonly output: MoveOutput;
  private readonly move: RowMove;
  /** The client's, behind its CommandComplete. */
  private readonly behind: Uint8Array[] = [];
  private hasCompleted = false;
  /** Of the leg that is answering: shards are asked one after the other. */
  private types: Uint8Array | null = null;
  private leftBefore = 0;

  constructor(output: MoveOutput, move: RowMove) {
    this.output = output;
    this.move = move;
  }

  begin(): void {
    this.move.begin();
  }
  legMeets(): void {}
  meet(): void {}

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const { move } = this;
    if (leg.shard === move.target) this.output.pass(bytes, start, end, buffer);
    else if (!hasColumns(bytes, start, end, move.plan.columns.length)) this.problem = unlike();
    else this.problem ??= move.keep(bytes, start, end);
    return CONSUMED;
  }

  said(leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    if (leg.shard === this.move.target) this.show(bytes, start, end);
    else this.take(bytes, start, end);
  }

  private show(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === BACKEND.CommandComplete) {
      this.stayedCount = countOf(bytes, start, end, 'UPDATE');
      this.hasCompleted = true;
      if (this.stayedCount < 0) this.problem = unlike();
    } else if (this.hasCompleted) this.behind.push(bytes.slice(start, end));
    else if (bytes[start] !== BACKEND.ParameterDescription) this.output.pass(bytes, start, end, -1);
    else {
      const frame = this.output.described(bytes.slice(start, end));
      this.output.pass(frame, 0, frame.length, -1);
    }
  }

  /** A parameter of another type would mean another value. */
  private take(bytes: Uint8Array, start: number, end: number): void {
    const { move } = this;
    if (bytes[start] === BACKEND.ParameterDescription) {
      const types = bytes.slice(start, end);
      if (this.types === null) this.types = types;
      else {
        if (Buffer.compare(this.types, types) !== 0) this.problem = untyped();
        this.types = null;
      }
    } else if (bytes[start] === BACKEND.CommandComplete) {
      const isAll = countOf(bytes, start, end, 'DELETE') === move.count - this.leftBefore;
      if (!isAll) this.problem = unlike();
      this.leftBefore = move.count;
    }
  }

  /** Of the whole UPDATE, with what the client is told behind. */
  get completion(): Uint8Array {
    return Buffer.concat([tagFrame(`UPDATE ${this.stayedCount + this.move.count}`), ...this.behind]);
  }
}

/** Answers to the INSERTs of rows that have left: what RETURNING gives is the client's. */
export class ArriveMerger implements RowMerger {
  readonly passesLongRows = false;
  problem: PgDogError | null = null;
  arrivedCount = 0;
  private readonly output: MoveOutput;

  constructor(output: MoveOutput) {
    this.output = output;
  }

  begin(): void {}
  legMeets(): void {}
  meet(): void {}

  row(_leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    this.output.pass(bytes, start, end, buffer);
    return CONSUMED;
  }

  said(_leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== BACKEND.CommandComplete) return;
    if (countOf(bytes, start, end, 'INSERT 0') === 1) this.arrivedCount++;
    else this.problem = unlike();
  }
}

/** bytes[start, end) is a CommandComplete. -1: it is of another command. */
function countOf(bytes: Uint8Array, start: number, end: number, verb: string): number {
  const tag = decodeText(bytes, start + HEADER_BYTES, end - 1);
  return tag.startsWith(`${verb} `) ? Number(tag.slice(verb.length + 1)) : -1;
}

export function unlike(): PgDogError {
  return new PgDogError('internal', 'shards have answered otherwise than rows can be moved by');
}

function untyped(): PgDogError {
  return new PgDogError('cross_shard', 'a parameter has another type where rows leave their shard', {
    hint: 'Write its type: $1::bigint.',
  });
}
