import { BACKEND, PgDogError, RowShape } from '@pgdog-cluster/core';
import { CONSUMED } from '../wire/frame-stream.js';
import type { CrossCursor, RowTaker } from './cross-cursor.js';
import type { CursorSource } from './cursor-source.js';
import { errorFrame } from './error-frame.js';
import type { Leg } from './leg.js';
import type { RowMerger } from './row-merger.js';
import type { Scatter } from './scatter.js';

const HEADER_BYTES = 5;
/** Of rows that all cursors of a session keep. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

export interface FetchTerms {
  readonly cursor: CrossCursor;
  /** How its shards are asked for rows. */
  readonly source: CursorSource;
  /** Infinity: all. */
  readonly wanted: number;
  /** MOVE: the client gets no rows. */
  readonly isMove: boolean;
  /** The client is to be told of the columns. */
  readonly showsShape: boolean;
  /** Kept by other cursors of the session. */
  readonly othersBytes: number;
  /** The client does not read: no more is asked for. */
  isClientFull(): boolean;
}

/** One portion of a cursor: asks the shards for what is missing, again and again, until the client has what it wants. */
export class CursorFetch implements RowMerger, RowTaker {
  problem: PgDogError | null = null;
  left: number;
  /** Rows it came to. */
  count = 0;
  /** Goes on when the client has read. */
  isPaused = false;
  private readonly scatter: Scatter;
  private readonly terms: FetchTerms;
  private readonly onDone: (failure: Uint8Array | null) => void;
  /** By part: rows asked for, and those that have come. */
  private readonly asked: number[] = [];
  private readonly came: number[] = [];
  private hasShown = false;

  constructor(scatter: Scatter, terms: FetchTerms, onDone: (failure: Uint8Array | null) => void) {
    this.scatter = scatter;
    this.terms = terms;
    this.onDone = onDone;
    this.left = terms.wanted;
  }

  get passesLongRows(): boolean {
    return this.terms.cursor.passesRows && !this.terms.isMove;
  }

  start(): void {
    const { cursor, source } = this.terms;
    this.problem = cursor.hasFailed ? portalFailed(source.name) : cursor.ask(source.formats);
    if (cursor.shape !== null) this.show(cursor.shape);
    this.goOn();
  }

  /** Until it needs to wait. */
  goOn(): void {
    const { cursor, wanted } = this.terms;
    this.isPaused = false;
    if (this.problem !== null) {
      this.onDone(errorFrame(this.problem));
      return;
    }
    // Whatever happens from here on while it gives rows, it gives none any more.
    cursor.hasFailed = true;
    const missing = cursor.advance(this);
    this.problem = cursor.state.problem;
    if (this.problem !== null) this.goOn();
    else if (missing.length > 0) this.askOrWait(missing);
    // All rows have been given, and the client has asked for them in another format since.
    else if (this.terms.showsShape && !this.hasShown && wanted > 0) this.ask([cursor.legs.length - 1]);
    else {
      cursor.hasFailed = false;
      this.onDone(null);
    }
  }

  private askOrWait(missing: readonly number[]): void {
    if (this.terms.isClientFull()) this.isPaused = true;
    else this.ask(missing);
  }

  /** While it waits for the client to read. */
  cancel(): void {
    this.problem = new PgDogError('query_cancelled');
    this.goOn();
  }

  private ask(missing: readonly number[]): void {
    const { cursor, source } = this.terms;
    const legs = missing.map((index) => cursor.legs[index]);
    const lost = legs.find((leg) => leg.isGone);
    if (lost !== undefined) {
      this.problem = new PgDogError('server_lost', `the connection to shard ${lost.shard} was lost`);
      this.goOn();
      return;
    }
    for (const index of missing) {
      this.asked[index] = cursor.portionOf(index, Math.max(1, this.left));
      this.came[index] = 0;
    }
    this.scatter.start({
      shards: legs.map(({ shard }) => shard),
      framesFor: (leg) => source.framesFor(this.asked[cursor.legs.indexOf(leg)]),
      isInTurn: false,
      merger: this,
      prepare: () => [],
      described: (frame) => frame,
      done: (_legs, failure) => {
        if (failure === null) this.goOn();
        else this.onDone(failure);
      },
    });
  }

  // What the shards say.

  begin(): void {}
  legMeets(): void {}
  meet(): void {}

  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const { cursor, othersBytes } = this.terms;
    const index = cursor.legs.indexOf(leg);
    if (cursor.state.needsShape && !cursor.state.hasShape) {
      this.problem = new PgDogError('internal', 'a row came before its description');
      return CONSUMED;
    }
    this.came[index]++;
    cursor.take(index, bytes, start, end, buffer, this);
    this.problem = cursor.state.problem;
    if (cursor.heldBytes + othersBytes > HELD_BYTES_MAX) {
      this.problem = new PgDogError(
        'cross_shard',
        'rows of cursors over several shards take more than 64 MB',
        {
          hint: 'Fetch fewer rows at a time, or leave large columns out.',
        },
      );
    }
    return CONSUMED;
  }

  said(leg: Leg, bytes: Uint8Array, start: number, end: number): void {
    const { cursor } = this.terms;
    const index = cursor.legs.indexOf(leg);
    switch (bytes[start]) {
      case BACKEND.RowDescription:
        this.describe(leg, bytes.slice(start, end));
        break;
      // What gives fewer rows than were asked for has no more.
      case BACKEND.CommandComplete:
        if (this.came[index] < this.asked[index]) cursor.partEnded(index);
        break;
    }
  }

  private describe(leg: Leg, frame: Uint8Array): void {
    const { cursor } = this.terms;
    const shape = RowShape.read(frame, HEADER_BYTES, frame.length);
    const known =
      cursor.shape === null ? shape : RowShape.read(cursor.shape, HEADER_BYTES, cursor.shape.length);
    const why = shape === null || known === null ? 'a description that cannot be read' : known.agree(shape);
    if (shape === null || why !== null) {
      const text = `shards ${cursor.legs[0].shard} and ${leg.shard} answer differently: ${why}`;
      this.problem = new PgDogError('cross_shard', text, { hint: 'SHOW SHARDED_TABLES tells what differs.' });
      return;
    }
    cursor.shape ??= frame;
    cursor.state.takeShape(shape, (need) => this.scatter.isMet(need));
    this.problem = cursor.state.problem;
    if (this.problem === null) this.show(cursor.shape);
  }

  private show(shape: Uint8Array): void {
    if (!this.terms.showsShape || this.hasShown || this.problem !== null) return;
    this.hasShown = true;
    if (!this.terms.isMove) this.scatter.pass(shape, 0, shape.length, -1);
  }

  give(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    this.left--;
    this.count++;
    if (!this.terms.isMove) this.scatter.pass(bytes, start, end, buffer);
  }
}

function portalFailed(name: string): PgDogError {
  return new PgDogError('portal_failed', `portal "${name}" cannot be run`);
}
