// ● per-frame path
import { CopySplitter, FRONTEND, PgDogError } from '@pgdog-cluster/core';
import { PAUSE_SERVER_FULL, type Session } from '../session/session.js';
import { BLOCKED, CONSUMED, NEED_WHOLE } from '../wire/frame-stream.js';
import { COPY_END, type CopyEnd, ended, failFrame } from './copy-end.js';
import type { CopyRequest } from './cross-shard-request.js';
import type { Leg } from './leg.js';

const HEADER_BYTES = 5;
/** Longer words of a client that gives up are not told. */
const FAIL_BYTES_MAX = 8 * 1024;

/**
 * The data of a COPY FROM STDIN on their way from the client to the legs, as fast as the slowest of them takes them.
 *
 * States: open → over (the legs have been told the end, by the client's word or because something is wrong; what the
 * client sends waits until they have answered).
 */
export class CopyIn {
  private readonly client: Session;
  private readonly legs: readonly Leg[];
  private readonly splitter: CopySplitter;
  /** Tells of what is wrong with the data at once. */
  private readonly onProblem: (problem: PgDogError) => void;
  private isOver = false;

  constructor(
    client: Session,
    legs: readonly Leg[],
    request: CopyRequest | null,
    onProblem: (problem: PgDogError) => void,
  ) {
    this.client = client;
    this.legs = legs;
    this.onProblem = onProblem;
    this.splitter = new CopySplitter(
      legs.length,
      request?.layout ?? null,
      request?.rule ?? null,
      request?.isForeign === true,
      (leg, bytes, start, end) => legs[leg].sendCopy(bytes, start, end),
    );
  }

  /** Each row has gone to a leg of its own. */
  get isSplit(): boolean {
    return !this.splitter.isAlike;
  }

  /** What was found wrong, if all shards have taken what they got. */
  get problem(): PgDogError | null {
    const { problem } = this.splitter;
    if (problem === null) return null;
    const text = `COPY, line ${problem.line}: ${problem.text}`;
    if (problem.kind === 'malformed') return new PgDogError('copy_malformed', text);
    return new PgDogError(problem.kind === 'tooLong' ? 'copy_row_too_long' : 'cross_shard', text, {
      hint: 'Nothing of this COPY is kept.',
    });
  }

  /** Of legs that have got rows. */
  get written(): Leg[] {
    return this.legs.filter((_, index) => this.splitter.hasRows(index));
  }

  /** A frame of the client's. */
  frame(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    if (this.isOver) return BLOCKED;
    switch (type) {
      case FRONTEND.CopyData:
        this.feed(bytes, start + HEADER_BYTES, end);
        return CONSUMED;
      case FRONTEND.CopyDone:
        this.splitter.end();
        this.endAll(COPY_END.done);
        return CONSUMED;
      case FRONTEND.CopyFail:
        if (end - start === frameBytes) this.endAll(ended(bytes.slice(start, end)));
        else if (frameBytes <= FAIL_BYTES_MAX) return NEED_WHOLE;
        else this.endAll(ended(failFrame('')));
        return CONSUMED;
      case FRONTEND.Sync:
      case FRONTEND.Flush:
        // Postgres reads past them (backend/commands/copyfromparse.c).
        return CONSUMED;
      default:
        this.client.fail(new PgDogError('protocol_violation', 'unexpected message during COPY from stdin'));
        return CONSUMED;
    }
  }

  /** More of a CopyData. */
  rest(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isOver) this.feed(bytes, start, end);
  }

  private feed(bytes: Uint8Array, start: number, end: number): void {
    const { splitter } = this;
    splitter.feed(bytes, start, end);
    if (splitter.problem === null || !splitter.isEnded) {
      if (this.isFull) this.client.connection.pauseReceive(PAUSE_SERVER_FULL);
      return;
    }
    splitter.end();
    this.endAll(COPY_END.done);
  }

  /** A row that cannot be placed is judged by a shard first: it may have better words for what is wrong. */
  private endAll(end: CopyEnd): void {
    this.stop();
    const { problem } = this.splitter;
    if (problem !== null && problem.kind !== 'unplaced') {
      if (this.problem !== null) this.onProblem(this.problem);
      return;
    }
    for (const leg of this.legs) leg.endCopy(end);
  }

  private get isFull(): boolean {
    for (const { session } of this.legs) if (session.server?.connection.isFull === true) return true;
    return false;
  }

  /** A leg's server connection has taken what was queued. */
  balance(): void {
    if (!this.isFull) this.client.connection.resumeReceive(PAUSE_SERVER_FULL);
  }

  stop(): void {
    this.isOver = true;
    this.client.connection.resumeReceive(PAUSE_SERVER_FULL);
  }
}
