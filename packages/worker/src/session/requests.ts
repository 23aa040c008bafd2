// ● per-frame path
// This file is over 400 lines because every frame of a client comes through here, in one state.
import {
  asksRoute,
  assert,
  FRONTEND,
  FRONTEND_ALLOWED,
  findNul,
  frameBytesOf,
  PgDogError,
  READY,
  type SqlPlan,
  SYNC,
} from '@pgdog-cluster/core';
import {
  FORWARD,
  KIND_COPY_END,
  KIND_FUNCTION_CALL,
  KIND_SYNC,
  SWALLOW,
} from '../backend/pending-replies.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { synchronise } from '../backend/synchronise.js';
import { MadeStatements } from '../made/made-statements.js';
import { refuseWrite } from '../route/refuse-write.js';
import type { SessionRouter } from '../route/session-router.js';
import { GO } from '../route/unserved-frames.js';
import type { CrossShard } from '../scatter/cross-shard.js';
import { HOLD, SCATTER, SPREAD } from '../shard/shard-outcome.js';
import { BLOCKED, CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { sessionGone } from './close.js';
import { ExplainFrames, NOT_EXPLAINED } from './explain-frames.js';
import { ExtendedQuery } from './extended-query.js';
import { noteUnknown } from './foreseen-effects.js';
import type { Session } from './session.js';
import { refuseQuery, simpleQuery } from './simple-query.js';
import { guardFunctionCall } from './tenant-guard.js';

const HEADER_BYTES = 5;
/** The session's transaction is over several shards now: the frame is theirs. */
const SPREAD_OUT = -3;
const ALLOWED = FRONTEND_ALLOWED.ready;
/** Query and Parse up to this size are read whole. Larger Queries stream, larger Parses are collected. */
const WHOLE_BYTES = 64 * 1024;
/** Of a Query that streams: enough to see its first words. */
const STREAMED_HEAD_BYTES = 1024;
/** Largest Parse: its text must be kept, to be sent to whichever server lacks it. */
const PARSE_BYTES_MAX = 64 * 1024 * 1024;
/** Enough for the two names at the head of a Bind (NAMEDATALEN is 64; portals have no limit). */
const BIND_HEAD_BYTES = 1024;

/** Takes a logged-in client's frames to its server connection. */
export class RequestSink implements FrameSink {
  readonly session: Session;
  readonly extended: ExtendedQuery;
  /** EXPLAIN (PGDOG); null: none was asked for. */
  private explains: ExplainFrames | null = null;
  /** Blocked until everything asked so far has been answered. */
  isAwaitingQuiet = false;
  /** Where a Sync of ours ends what the client has only flushed, and is not answered yet; null: nowhere. */
  private flushedAt: ServerConnection | null = null;
  /** Settings that a request waited for have been answered: it goes on, on the same server connection. */
  isSettling = false;
  /** We answered an extended message with an error ourselves: ignore everything up to Sync. */
  isSkippingToSync = false;
  /** Set while the request that waited in vain is shown again, or that shall not wait is being shown. */
  private localRefusal: PgDogError | null = null;
  /** The pool is being asked for a server connection, on behalf of the frame that is shown. */
  private isCheckingOut = false;
  /** Settings could not be applied: the next request is answered with this. */
  refusal: PgDogError | null = null;
  /** Of the Query that is shown, where whoever has sent it knows; null: it is read. */
  knownPlan: SqlPlan | null = null;
  /** Fills in what the proxy makes; null: nothing has needed it yet. */
  made: MadeStatements | null = null;
  /** The frame that is being shown is the first one to be filled in. */
  private isMadeDue = false;

  constructor(session: Session) {
    this.session = session;
    this.extended = new ExtendedQuery(this);
  }

  headBytes(type: number, frameBytes: number): number {
    if (!ALLOWED.allows(type, frameBytes)) return -1;
    switch (type) {
      case FRONTEND.Query:
        return frameBytes <= WHOLE_BYTES ? frameBytes : STREAMED_HEAD_BYTES;
      case FRONTEND.Parse:
        return frameBytes <= PARSE_BYTES_MAX ? frameBytes : HEADER_BYTES;
      case FRONTEND.Bind:
        return Math.min(frameBytes, BIND_HEAD_BYTES);
      case FRONTEND.CopyData:
      case FRONTEND.CopyFail:
      case FRONTEND.FunctionCall:
        return HEADER_BYTES;
      default:
        return frameBytes;
    }
  }

  onFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    const { made } = this;
    const outcome =
      made === null
        ? this.take(type, bytes, start, end, buffer, frameBytes)
        : made.show(this, type, bytes, start, end, buffer, frameBytes);
    if (!this.isMadeDue) return outcome;
    this.isMadeDue = false;
    return this.onFrame(type, bytes, start, end, buffer, frameBytes);
  }

  /** From here on the session's frames are filled in; the one that is shown is to be shown again. False: they are already. */
  makesValues(): boolean {
    if (this.made !== null) return false;
    this.made = new MadeStatements(this.session);
    this.isMadeDue = true;
    return true;
  }

  /** A frame as it goes on: the client's, or what has been made of it. */
  take(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    const { tap } = this.session;
    if (tap === null) return this.show(type, bytes, start, end, buffer, frameBytes);
    tap.showing();
    const outcome = this.show(type, bytes, start, end, buffer, frameBytes);
    tap.shown(outcome === CONSUMED, type, bytes, start, end, frameBytes);
    return outcome;
  }

  private show(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    let outcome = this.dispatch(type, bytes, start, end, buffer, frameBytes);
    // The pool refused at once: what would have waited is answered now.
    if (outcome === BLOCKED && this.localRefusal !== null) outcome = this.refuseLocally(type);
    if (outcome !== CONSUMED) return outcome;
    const { server } = this.session;
    if (server !== null) {
      if (end - start === frameBytes) server.requestLog.append(bytes, start, end);
      else {
        server.requestLog.spoil();
        server.isFrameOpen = !this.isRestDropped;
      }
    }
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, buffer: number, isLast: boolean): void {
    const { server, tap } = this.session;
    if (tap !== null) tap.rest(bytes, start, end);
    if (this.isRestDropped) return;
    if (server === null) {
      this.session.router?.shards?.cross.restWhileBusy(bytes, start, end);
      return;
    }
    server.forward(bytes, start, end, buffer);
    if (!isLast) return;
    server.isFrameOpen = false;
    // All may have been answered meanwhile: a COPY fails in the middle of its data.
    if (server.isQuiet) server.pool.serverQuiet(server);
  }

  onChunkEnd(): void {
    this.session.onClientChunkEnd();
  }

  onViolation(reason: string): void {
    this.session.fail(new PgDogError('protocol_violation', reason));
  }

  onTooLong(reason: string): void {
    this.session.fail(new PgDogError('message_too_large', reason));
  }

  /** The frame last shown is not forwarded: its rest is dropped too. */
  isRestDropped = false;

  /** Once more, what was asked in this exchange; what came behind it waits. */
  repeat(frames: Uint8Array): void {
    const { stream } = this.session;
    stream.block();
    let at = 0;
    while (at + HEADER_BYTES <= frames.length && this.session.phase === 'ready') {
      const size = frameBytesOf(frames, at);
      assert(size > 0 && at + size <= frames.length, 'what was kept for a repeat is whole frames');
      // Never blocked: the server connection is at hand and synchronised.
      this.dispatch(frames[at], frames, at, at + size, -1, size);
      at += size;
    }
    this.session.resumeRequests();
  }

  private dispatch(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    this.isRestDropped = false;
    if (this.localRefusal !== null) return this.refuseLocally(type);
    // Several shards are being asked: what comes behind waits for their answer.
    const cross = this.session.router?.shards?.cross ?? null;
    if (cross !== null && type !== FRONTEND.Terminate) {
      if (cross.isBusy) return cross.whileBusy(type, bytes, start, end, frameBytes);
      if (this.isHeldUp(cross)) return BLOCKED;
    }
    if (type !== FRONTEND.Sync && type !== FRONTEND.Terminate) {
      // After an error in a batch, ours or Postgres's, nothing is read: a Query, a call or a copy no more than the rest.
      if (this.isSkippingToSync || this.session.server?.isSkippingToSync === true) return this.drop();
    }
    const explained = this.explain(type, bytes, start, end, frameBytes);
    if (explained !== NOT_EXPLAINED) return explained;
    const { router, server } = this.session;
    if (router !== null) {
      if (server === null) {
        const outcome = router.unserved.handle(type, bytes, start, end, frameBytes);
        if (outcome !== GO) return outcome;
      } else if (isBehind(server, type) && !router.served.follows(server, type, bytes, start, end)) {
        this.isAwaitingQuiet = true;
        return BLOCKED;
      } else if (router.choice.isReadOnlyByChoice) {
        const refused = refuseWrite(this, server, router, type, bytes, start, end);
        if (refused) return this.drop();
      }
      if (server?.isQuiet === true) router.served.atHand(type, bytes, start, end, frameBytes);
      if (server !== null && router.shards !== null && !isBehind(server, type)) {
        const refused = this.refuseOffShard(server, router, type, bytes, start, end, frameBytes);
        if (refused === SPREAD_OUT) {
          const outcome = this.dispatch(type, bytes, start, end, buffer, frameBytes);
          router.shards.cross.isLending = false;
          return outcome;
        }
        if (refused !== GO) return refused;
      }
    }
    switch (type) {
      case FRONTEND.Query:
        return simpleQuery(this, bytes, start, end, buffer, frameBytes);
      case FRONTEND.Sync:
        return this.sync(bytes, start, end, buffer);
      case FRONTEND.Terminate:
        sessionGone(this.session, 'client said goodbye');
        return CONSUMED;
      case FRONTEND.Flush:
        if (this.session.server !== null) this.flush(this.session.server, bytes, start, end, buffer);
        return CONSUMED;
      case FRONTEND.CopyData:
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        return this.copy(type, bytes, start, end, buffer);
      case FRONTEND.FunctionCall:
        return this.functionCall(bytes, start, end, buffer);
      default: {
        const outcome = this.extended.message(type, bytes, start, end, buffer, frameBytes);
        if (type === FRONTEND.Bind && outcome === CONSUMED) router?.shards?.bindTaken();
        return outcome;
      }
    }
  }

  private isHeldUp(cross: CrossShard): boolean {
    const { server } = this.session;
    if (server === null) return !cross.takeBack();
    if (this.flushedAt !== server) return false;
    // An error of what was flushed has everything dropped up to a Sync, and whether there was one is not known yet.
    this.isAwaitingQuiet = true;
    return true;
  }

  /** GO: it belongs to the shard of the session's server connection. */
  private refuseOffShard(
    server: ServerConnection,
    router: SessionRouter,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): number {
    const outcome = router.served.atServer(server, type, bytes, start, end, frameBytes);
    if (outcome === null) return GO;
    if (outcome === SPREAD) return SPREAD_OUT;
    if (outcome === HOLD && router.shards?.asked.isHeld === true) this.giveBackUnused(server);
    if (outcome === HOLD || outcome === SCATTER) return BLOCKED;
    return this.refuseAt(server, type, outcome);
  }

  /**
   * It came for what must wait once more, for a catalog that is being read or a key that is looked up: others may have it meanwhile, and
   * nobody keeps it when the wait is given up, or ends at another shard.
   */
  private giveBackUnused(server: ServerConnection): void {
    const { session } = this;
    const isFree = server.isQuiet && server.readyStatus === READY.Idle;
    if (isFree && !session.isSessionMode && session.pins === 0) server.pool.checkin(server);
  }

  /** By a statement that the server refuses: a transaction that is open fails by it. */
  private refuseAt(server: ServerConnection, type: number, error: PgDogError): number {
    if (type === FRONTEND.Query || type === FRONTEND.FunctionCall) return refuseQuery(this, server, error);
    this.extended.refuse(server, error);
    return this.drop();
  }

  /** A frame that cannot be filled in. */
  refuseMade(type: number, error: PgDogError): number {
    const { server, router } = this.session;
    if (router?.shards?.cross.isBusy === true) return BLOCKED;
    if (this.isSkippingToSync || server?.isSkippingToSync === true) return this.drop();
    if (server === null) {
      this.localRefusal = error;
      return this.refuseLocally(type);
    }
    if (isBehind(server, type)) {
      this.isAwaitingQuiet = true;
      return BLOCKED;
    }
    if (type === FRONTEND.Query) return refuseQuery(this, server, error);
    return this.extended.refuse(server, error);
  }

  private explain(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const isAsked = end - start === frameBytes && mayAskRoute(type, bytes, start + HEADER_BYTES, end);
    // exempt: once per client that asks
    if (isAsked) this.explains ??= new ExplainFrames(this);
    if (this.explains === null) return NOT_EXPLAINED;
    return this.explains.frame(type, bytes, start, end, isAsked);
  }

  /** Answers the one request that waited; what follows is asked anew. */
  private refuseLocally(type: number): number {
    const error = this.localRefusal;
    this.localRefusal = null;
    if (error === null) return CONSUMED;
    // Every Query drops the unnamed statement, answered or not.
    if (type === FRONTEND.Query) this.extended.unnamed.id = 0;
    const { server } = this.session;
    if (error.severity === 'FATAL') this.session.fail(error);
    else if (server !== null && mustKnow(server) && type !== FRONTEND.Sync)
      return this.refuseAt(server, type, error);
    else this.refuse(error, type !== FRONTEND.Query && type !== FRONTEND.FunctionCall);
    return this.drop();
  }

  /** Postgres ignores it as well: after an error, until Sync; copy data out of place. */
  drop(): number {
    this.isRestDropped = true;
    return CONSUMED;
  }

  /**
   * The server connection for the next message of an exchange, with the client's settings in force; null when
   * the session has to wait (the frame then stays where it is).
   */
  serverForRequest(): ServerConnection | null {
    const { session } = this;
    const { holds } = session.context;
    if (holds.isOn && !session.isLeg && holds.hold(session)) return null;
    const { server } = session;
    if (server === null) {
      this.isCheckingOut = true;
      if (session.router === null) session.pool?.checkout(session);
      else session.router.cluster.checkout(session);
      this.isCheckingOut = false;
      if (session.server === null) return null;
      return this.beginExchange(session.server);
    }
    if (server.pending.length > 0 || server.isBatchOpen) {
      // What is under way may change settings or statements that this request depends on.
      if (!server.isBatchOpen && server.hasEffectPending) return this.awaitQuiet();
      return server;
    }
    // A cancel under way is meant for what has just ended, not for what comes now.
    if (server.cancelsInFlight > 0) return this.awaitQuiet();
    return this.beginExchange(server);
  }

  /** False: this request was answered with an error. */
  refuse(error: PgDogError, isExtended: boolean): void {
    const { session } = this;
    session.answerError(error);
    session.router?.refused();
    const isPiece = session.router?.shards?.cross.pieces.isOn === true;
    if (isExtended || isPiece) this.isSkippingToSync = true;
    else session.sendReady();
  }

  /** The wait for a server connection has ended without one; the frame that waited is answered with `error`. */
  refusedWhileWaiting(error: PgDogError): void {
    this.localRefusal = error;
    if (this.isCheckingOut) return;
    this.session.resumeRequests();
    this.localRefusal = null;
  }

  /** The server connection was lost before anything was sent: what was asked goes to another one. */
  retry(frames: Uint8Array): void {
    this.isAwaitingQuiet = false;
    this.session.router?.again();
    this.session.tap?.again(frames.length);
    this.session.stream.prepend(frames);
    this.session.resumeRequests();
  }

  /** What waited for the answers under way is shown again. */
  wake(): void {
    if (!this.isAwaitingQuiet) return;
    this.isAwaitingQuiet = false;
    this.session.resumeRequests();
  }

  /** The frame that is shown waits for an answer in its batch. */
  waits(): number {
    this.isAwaitingQuiet = true;
    return BLOCKED;
  }

  private awaitQuiet(): null {
    this.isAwaitingQuiet = true;
    return null;
  }

  private beginExchange(server: ServerConnection): ServerConnection | null {
    const { session } = this;
    const { nowUs, nowMs, loginBudget } = session.context;
    loginBudget.noteRequest(session.connectedMs, nowMs);
    session.requestSinceUs = nowUs;
    server.requestSinceMs = nowMs;
    server.requestTurn = session.context.turn;
    server.askedTurn = session.context.turn;
    if (server.readyStatus === READY.Idle) {
      if (session.transactionSinceUs === 0) session.transactionSinceUs = nowUs;
      server.requestLog.reset();
    } else {
      if (session.context.config.general.logTextBytes > 0) server.requestLog.watch();
      else server.requestLog.spoil();
      server.pool.row.idleInTransaction(nowUs - session.readySinceUs);
    }
    server.relay.beginExchange();
    server.refusedParse = null;
    session.statements.underWay = null;
    server.hasEffectPending = false;
    server.isSettingPending = false;
    // Settings could not be applied: the request will be refused, with whatever settings.
    if (this.refusal !== null) return server;
    if (!synchronise(session, server)) return null;
    session.router?.begin(server);
    return server;
  }

  /** The Sync of a batch that was taken in pieces. */
  endPieces(): number {
    this.isSkippingToSync = false;
    this.session.router?.shards?.cross.pieces.end();
    return CONSUMED;
  }

  private sync(bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const { session } = this;
    const { server } = session;
    if (session.router?.shards?.cross.pieces.isOn === true) return this.endPieces();
    if (server === null || (this.isSkippingToSync && !server.isBatchOpen && server.pending.length === 0)) {
      this.isSkippingToSync = false;
      session.router?.settled();
      session.sendReady();
      return CONSUMED;
    }
    this.isSkippingToSync = false;
    server.isSkippingToSync = false;
    // Within COPY IN Postgres reads past it without an answer.
    if (!server.isCopyIn) {
      server.pending.push(KIND_SYNC | FORWARD, null);
      server.isBatchOpen = false;
    }
    server.forward(bytes, start, end, buffer);
    server.relay.emitFakes();
    return CONSUMED;
  }

  /**
   * Of a sharded database: behind messages that only prepare and describe, the batch ends for the server, since what binds them
   * may belong to another shard.
   */
  private flush(
    server: ServerConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
  ): void {
    if (this.session.router?.endsAtFlush !== true || !server.isBatchOpen || server.isSkippingToSync) {
      server.forward(bytes, start, end, buffer);
      return;
    }
    server.pending.push(KIND_SYNC | SWALLOW, {
      sql: '',
      onError: () => undefined,
      onDone: () => {
        this.flushedAt = null;
        // What it has said comes before whatever is told for what comes now.
        server.relay.flushRun();
        // Postgres would read past what comes, up to the client's own Sync.
        if (server.relay.hasError) this.isSkippingToSync = true;
        server.relay.hasError = false;
      },
    });
    this.flushedAt = server;
    server.isBatchOpen = false;
    server.send(SYNC);
    server.relay.emitFakes();
  }

  private copy(type: number, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const { server } = this.session;
    // Postgres drops copy data that comes when no copy runs (an error ended it, and the client did not know yet).
    if (server === null || server.pending.length === 0) return this.drop();
    if (type !== FRONTEND.CopyData) {
      // Sent ahead of the server's word that the copy has begun: noted for when that comes.
      if (!server.isCopyIn) server.pending.push(KIND_COPY_END | FORWARD, null);
      server.isCopyIn = false;
    }
    server.requestLog.spoil();
    server.forward(bytes, start, end, buffer);
    return CONSUMED;
  }

  /** Fastpath: the function is named by an oid, so what it does to the session is not known. */
  private functionCall(bytes: Uint8Array, start: number, end: number, buffer: number): number {
    const server = this.serverForRequest();
    if (server === null) return BLOCKED;
    const refusal = guardFunctionCall(server);
    if (refusal !== null) return refuseQuery(this, server, refusal);
    noteUnknown(this.session, server);
    server.hasEffectPending = true;
    // As with a Query inside a batch (simple-query.ts).
    if (server.isBatchOpen) server.needsReset = true;
    server.pending.push(KIND_FUNCTION_CALL | FORWARD, null);
    server.forward(bytes, start, end, buffer);
    return CONSUMED;
  }
}

/** An error of ours is the server's as well: what is open there fails by it, and what it still has to answer comes ahead. */
const mustKnow = ({ readyStatus, pending, isBatchOpen }: ServerConnection): boolean =>
  readyStatus !== READY.Idle || pending.length > 0 || isBatchOpen;

/** Begins an exchange while the one before is not answered yet. */
function isBehind(server: ServerConnection, type: number): boolean {
  if (server.pending.length === 0 || server.isBatchOpen || server.isFrameOpen) return false;
  return type !== FRONTEND.Sync && type !== FRONTEND.Flush && type !== FRONTEND.Terminate && !isCopy(type);
}

function isCopy(type: number): boolean {
  return type === FRONTEND.CopyData || type === FRONTEND.CopyDone || type === FRONTEND.CopyFail;
}

/** Whether a Query or Parse may hold an EXPLAIN (PGDOG). */
function mayAskRoute(type: number, bytes: Uint8Array, start: number, end: number): boolean {
  if (type === FRONTEND.Query) return asksRoute(bytes, start, end);
  return type === FRONTEND.Parse && asksRoute(bytes, Math.max(start, findNul(bytes, start, end) + 1), end);
}
