import { BACKEND, decodeText, PgDogError, RowShape } from '@pgdog-cluster/core';
import { CONSUMED } from '../wire/frame-stream.js';
import { tagFrame } from './agree.js';
import type { Leg } from './leg.js';
import { type MovedRows, unlike } from './moved-rows.js';
import type { MergeOutput, RowMerger } from './row-merger.js';

const HEADER_BYTES = 5;

/** What the client is told. */
export interface MoveOutput extends Pick<MergeOutput, 'pass'> {
  /** A whole ParameterDescription as the client may see it. */
  described(frame: Uint8Array): Uint8Array;
}

/** The client's own UPDATE on one shard, whose CommandComplete waits, with what is behind it, until all is done. */
export class OwnAnswer {
  problem: PgDogError | null = null;
  /** Rows that it changed, and that stay. */
  private count = 0;
  private readonly output: MoveOutput;
  private readonly behind: Uint8Array[] = [];
  private hasCompleted = false;
  /** No row may be there any more. */
  private readonly isEmpty: boolean;
  /** Of rows of RETURNING, as far as somebody has asked. */
  shape: RowShape | null = null;

  constructor(output: MoveOutput, isEmpty: boolean) {
    this.output = output;
    this.isEmpty = isEmpty;
  }

  show(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === BACKEND.CommandComplete) {
      this.count = countOf(bytes, start, end, 'UPDATE');
      this.hasCompleted = true;
      if (this.count < 0) this.problem = unlike();
      if (this.count > 0 && this.isEmpty) this.problem = new PgDogError('moved_meanwhile');
    } else if (this.hasCompleted) this.behind.push(bytes.slice(start, end));
    else this.pass(bytes, start, end);
  }

  private pass(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === BACKEND.RowDescription) this.shape = RowShape.read(bytes, start + HEADER_BYTES, end);
    if (bytes[start] !== BACKEND.ParameterDescription) this.output.pass(bytes, start, end, -1);
    else {
      const frame = this.output.described(bytes.slice(start, end));
      this.output.pass(frame, 0, frame.length, -1);
    }
  }

  /** Of the whole UPDATE, with what the client is told behind. */
  completion(movedCount: number): Uint8Array {
    return Buffer.concat([tagFrame(`UPDATE ${this.count + movedCount}`), ...this.behind]);
  }
}

/** Answers while rows leave: those of one shard may be the client's; the others give rows, which are kept. */
export class LeaveMerger implements RowMerger {
  readonly passesLongRows = false;
  private readonly output: MoveOutput;
  private readonly rows: MovedRows;
  private readonly own: OwnAnswer;
  /** Whose answers are the client's; -1: none. */
  private readonly ownShard: number;
  private failed: PgDogError | null = null;
  /** Of the leg that is answering: shards are asked one after the other. */
  private types: Uint8Array | null = null;
  private leftBefore = 0;

  constructor(output: MoveOutput, rows: MovedRows, own: OwnAnswer, ownShard: number) {
    this.output = output;
    this.rows = rows;
    this.own = own;
    this.ownShard = ownShard;
  }

  get problem(): PgDogError | null {
    return this.failed ?? this.own.problem;
  }

  begin(): void {}
  legMeets(): void {}
  meet(): void {}

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    if (leg.shard === this.ownShard) this.output.pass(bytes, start, end, buffer);
    else this.failed ??= this.rows.keep(bytes, start, end);
    return CONSUMED;
  }

  said(leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    if (leg.shard === this.ownShard) this.own.show(bytes, start, end);
    else this.take(bytes, start, end);
  }

  /** A parameter of another type would mean another value. */
  private take(bytes: Uint8Array, start: number, end: number): void {
    const { rows } = this;
    if (bytes[start] === BACKEND.ParameterDescription) {
      const types = bytes.slice(start, end);
      if (this.types === null) this.types = types;
      else {
        if (Buffer.compare(this.types, types) !== 0) this.failed = untyped();
        this.types = null;
      }
    } else if (bytes[start] === BACKEND.CommandComplete) {
      const isAll = countOf(bytes, start, end, 'DELETE') === rows.count - this.leftBefore;
      if (!isAll) this.failed = unlike();
      this.leftBefore = rows.count;
    }
  }
}

/** Answers to the INSERTs of rows that have left: what RETURNING gives is the client's. */
export class ArriveMerger implements RowMerger {
  readonly passesLongRows = false;
  problem: PgDogError | null = null;
  arrivedCount = 0;
  private readonly output: MoveOutput;
  private readonly own: OwnAnswer;

  constructor(output: MoveOutput, own: OwnAnswer) {
    this.output = output;
    this.own = own;
  }

  begin(): void {}
  legMeets(): void {}
  meet(): void {}

  row(_leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    this.output.pass(bytes, start, end, buffer);
    return CONSUMED;
  }

  said(leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] === BACKEND.RowDescription) this.agree(leg, bytes, start, end);
    if (bytes[start] !== BACKEND.CommandComplete) return;
    if (countOf(bytes, start, end, 'INSERT 0') === 1) this.arrivedCount++;
    else this.problem = unlike();
  }

  /** The client is told of its columns once. */
  private agree(leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    const { own } = this;
    const shape = RowShape.read(bytes, start + HEADER_BYTES, end)?.withFormats([]) ?? null;
    own.shape = own.shape?.withFormats([]) ?? shape;
    const why = shape === null ? 'a description that cannot be read' : (own.shape?.agree(shape) ?? null);
    if (why === null) return;
    this.problem = new PgDogError('cross_shard', `shard ${leg.shard} answers differently: ${why}`, {
      hint: 'Leave such columns out of RETURNING.',
    });
  }
}

/** bytes[start, end) is a CommandComplete. -1: it is of another command. */
function countOf(bytes: Uint8Array, start: number, end: number, verb: string): number {
  const tag = decodeText(bytes, start + HEADER_BYTES, end - 1);
  return tag.startsWith(`${verb} `) ? Number(tag.slice(verb.length + 1)) : -1;
}

function untyped(): PgDogError {
  return new PgDogError('cross_shard', 'a parameter has another type where rows leave their shard', {
    hint: 'Write its type: $1::bigint.',
  });
}
