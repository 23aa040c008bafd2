import {
  decodeName,
  FRONTEND,
  readBind,
  readExecute,
  readParse,
  readTarget,
  TARGET,
} from '@pgdog-cluster/core';
import { rowsOfTag } from '../backend/count-answer.js';
import type { QueryFigures } from '../plan/query-figures.js';
import type { Session } from '../session/session.js';
import type { Scatter } from './scatter.js';

const HEADER_BYTES = 5;

/** What will be one call: the Query, or an Execute. */
interface DueCall {
  readonly figures: QueryFigures;
  /** Bind that stand before it in its batch. */
  readonly bindCount: number;
  /** Rows that it asks for; 0: all. */
  readonly rowsMax: number;
}

/**
 * What a request to several shards counts for in SHOW QUERIES: each statement of the client's once, whatever number of shards
 * are asked and whatever is asked of them by us. Time goes from when the first of them was asked until the answer is whole.
 */
export class CountedRequest {
  private readonly session: Session;
  private readonly scatter: Scatter;
  private readonly due: DueCall[] = [];
  private isQuery = false;
  /** Of the call that is being answered. */
  private rowCount = 0;
  private frames: readonly Uint8Array[] = [];
  private answeredUs = 0;
  /** When the client's transaction, or what is none, was begun here, us; 0: there is none. */
  private sinceUs = 0;
  private isSpread = false;
  /** Of the unnamed statement that the batch prepares. */
  private unnamed: QueryFigures | null = null;
  private readonly named = new Map<string, QueryFigures | null>();

  constructor(session: Session, scatter: Scatter) {
    this.session = session;
    this.scatter = scatter;
  }

  private begin(isQuery: boolean): void {
    this.scatter.beginRequest();
    this.isQuery = isQuery;
    this.due.length = 0;
    this.answeredUs = 0;
    this.rowCount = 0;
    this.frames = [];
    this.isSpread = false;
    this.unnamed = null;
    this.named.clear();
  }

  /** bytes[start, end) is a Query. */
  query(bytes: Uint8Array, start: number, end: number): void {
    this.begin(true);
    const { context, database } = this.session;
    const figures = context.queries.of(
      database,
      bytes,
      start + HEADER_BYTES,
      end - 1,
      true,
      this.session.clientReading,
    );
    this.frames = [bytes.subarray(start, end)];
    this.due.push({ figures, bindCount: 0, rowsMax: 0 });
  }

  /** A batch, or a part of it up to a Flush, that is all there. */
  batch(frames: readonly Uint8Array[]): void {
    this.begin(false);
    this.frames = frames;
    let bindCount = 0;
    for (const frame of frames) {
      if (frame[0] === FRONTEND.Bind) bindCount++;
      this.note(frame, bindCount);
    }
  }

  private note(frame: Uint8Array, bindCount: number): void {
    const counted = this.session.requests?.extended.counted ?? null;
    const [start, end] = [HEADER_BYTES, frame.length];
    if (counted === null) return;
    switch (frame[0]) {
      case FRONTEND.Parse: {
        const fields = readParse(frame, start, end);
        if (fields === null) return;
        const figures = counted.parsed(frame, fields.textStart, fields.textEnd);
        if (fields.nameStart === fields.nameEnd) this.unnamed = figures;
        else this.named.set(decodeName(frame, fields.nameStart, fields.nameEnd), figures);
        return;
      }
      case FRONTEND.Bind: {
        const fields = readBind(frame, start, end);
        if (fields === null) return;
        const figures = this.figuresOf(decodeName(frame, fields.statementStart, fields.statementEnd));
        counted.bound(frame, fields.portalStart, fields.portalEnd, figures);
        return;
      }
      case FRONTEND.Execute: {
        const fields = readExecute(frame, start, end);
        const figures = fields === null ? null : counted.find(frame, fields.portalStart, fields.portalEnd);
        if (fields !== null && figures !== null)
          this.due.push({ figures, bindCount, rowsMax: fields.rowsMax });
        return;
      }
      case FRONTEND.Close: {
        const fields = readTarget(frame, start, end);
        if (fields?.target === TARGET.Portal) counted.closed(frame, fields.nameStart, fields.nameEnd);
      }
    }
  }

  /** Null: nobody knows the statement. */
  private figuresOf(name: string): QueryFigures | null {
    const { context, database, requests, statements } = this.session;
    if (name === '') {
      return this.unnamed ?? requests?.extended.unnamed.currentFigures(context.queries) ?? null;
    }
    const own = this.named.get(name);
    if (own !== undefined) return own;
    const statement = statements.get(name);
    return statement === undefined ? null : context.queries.ofPrepared(database, statement, true);
  }

  /** What is bound later counts for the unnamed statement that this batch has prepared. */
  private keepUnnamed(): void {
    const unnamed = this.session.requests?.extended.unnamed ?? null;
    // One that is not kept, after an error, leaves the one before as it was.
    if (unnamed !== null && this.unnamed !== null) unnamed.figures ??= this.unnamed;
  }

  /** A CommandComplete goes to the client, perhaps with more behind it. */
  completed(frame: Uint8Array): void {
    const size = 1 + new DataView(frame.buffer, frame.byteOffset).getUint32(1);
    this.gave(frame.length === size ? rowsOfTag(frame, 0, size) : 0);
  }

  /** PortalSuspended goes to the client. */
  suspended(): void {
    this.gave(this.due[0]?.rowsMax ?? 0);
  }

  /** A statement has been answered. @param isSpread of several shards, though they need not have been asked for this portion */
  gave(rowCount: number, isSpread = false): void {
    const [first] = this.due;
    if (first === undefined) return;
    if (rowCount > 0) first.figures.addRows(rowCount);
    this.rowCount += rowCount;
    this.isSpread ||= isSpread;
    if (!this.isQuery) this.countCall();
  }

  private countCall(): void {
    const { scatter, session } = this;
    const figures = this.due.shift()?.figures;
    if (figures === undefined) return;
    const { nowUs } = session.context;
    // Nobody was asked: all of the portion had come before.
    const sinceUs = scatter.askedUs === 0 ? nowUs : Math.max(scatter.askedUs, this.answeredUs);
    const tookUs = nowUs - sinceUs;
    figures.done(tookUs);
    if (this.isSpread || scatter.askedShards.size > 1) figures.spread();
    const slowUs = session.homePool?.slow.statementUs ?? Number.POSITIVE_INFINITY;
    if (tookUs >= slowUs) this.tellSlow(figures, tookUs);
    this.answeredUs = nowUs;
    this.rowCount = 0;
  }

  private tellSlow(figures: QueryFigures, tookUs: number, isFinished = true): void {
    const { scatter, session, rowCount, frames } = this;
    const { slowestShard, slowestUs, askedUs, requestUs } = scatter;
    const shards = [...scatter.askedShards].sort((a, b) => a - b);
    const waitedUs = Math.max(0, askedUs - requestUs);
    session.context.slow.spread(session, figures, {
      tookUs,
      waitedUs,
      rowCount,
      shards,
      slowestShard,
      slowestUs,
      isFinished,
      frames,
    });
  }

  /** The client has gone. */
  left(): void {
    const [first] = this.due;
    const { context, homePool } = this.session;
    const { askedUs } = this.scatter;
    if (first === undefined || askedUs === 0 || homePool === null) return;
    const tookUs = context.nowUs - Math.max(askedUs, this.answeredUs);
    if (tookUs >= homePool.slow.statementUs) this.tellSlow(first.figures, tookUs, false);
  }

  // Counters of the client.

  /** Its transaction, or what is none, has been since then. */
  started(sinceUs: number): void {
    if (this.sinceUs === 0) this.sinceUs = sinceUs;
  }

  /** All up to a Flush has been answered. */
  flushed(): void {
    this.endCalls(false);
    this.noteTime();
    this.keepUnnamed();
  }

  /** All has been answered. @param tag what the client was told last; null: it has been counted, or there was an error */
  finished(hasFailed: boolean, tag: Uint8Array | null, isTransactionOver: boolean): void {
    const { session, scatter } = this;
    if (!hasFailed && tag !== null) this.completed(tag);
    this.endCalls(hasFailed);
    this.keepUnnamed();
    if (hasFailed) session.errors++;
    // What no server has got was refused, and no more.
    if (!hasFailed || scatter.askedUs > 0) {
      session.queries++;
      this.noteTime();
      if (isTransactionOver) this.noteTransaction();
    }
    if (isTransactionOver) this.forgetTransaction();
  }

  /** It was a batch's own, whose statements have been counted. */
  transactionOver(hasFailed: boolean): void {
    if (hasFailed) this.session.errors++;
    this.noteTransaction();
    this.forgetTransaction();
  }

  private forgetTransaction(): void {
    this.sinceUs = 0;
    this.session.requests?.extended.counted.forget();
  }

  private noteTime(): void {
    const { session, scatter } = this;
    if (scatter.askedUs === 0) return;
    session.queryTimeUs += session.context.nowUs - scatter.askedUs;
    session.waitTimeUs += scatter.askedUs - scatter.requestUs;
  }

  private noteTransaction(): void {
    const { session, scatter, sinceUs } = this;
    session.transactions++;
    const { context, homePool } = session;
    const tookUs = sinceUs === 0 ? 0 : context.nowUs - sinceUs;
    session.transactionTimeUs += tookUs;
    // Of one request alone its statement is told.
    const isOne = scatter.requestUs <= sinceUs;
    if (!isOne && homePool !== null && tookUs >= homePool.slow.transactionUs) {
      context.slow.spreadTransaction(
        session,
        tookUs,
        [...scatter.askedShards].sort((a, b) => a - b),
      );
    }
    if (homePool !== null) session.countTraffic(homePool.row);
  }

  /** `hasFailed`: with an error. What no server has got does not count. */
  private endCalls(hasFailed: boolean): void {
    const [first] = this.due;
    const { askedUs, failedBindCount } = this.scatter;
    if (hasFailed && first !== undefined && askedUs > 0) {
      first.figures.addError();
      // What fails before its Execute is no call.
      if (this.isQuery || failedBindCount >= first.bindCount) this.countCall();
    }
    while (!hasFailed && this.due.length > 0) this.countCall();
    this.due.length = 0;
    this.frames = [];
  }
}
