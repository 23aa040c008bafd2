import { assert, PgDogError, READY, type SqlPlan } from '@pgdog-cluster/core';
import { cancelAtServer } from '../backend/cancel.js';
import { PAUSE_CLIENT_FULL, type ServerConnection } from '../backend/server-connection.js';
import type { Cluster } from '../route/cluster.js';
import { SessionRouter } from '../route/session-router.js';
import { sessionGone } from '../session/close.js';
import { RequestSink } from '../session/requests.js';
import { Session } from '../session/session.js';
import { type FrameSink, FrameStream } from '../wire/frame-stream.js';
import { type LegEvents, LegTap } from './leg-tap.js';

/** Neither a descriptor nor a slot: it is in no table. */
const NONE = -1;
/** Kept of what a shard says ahead of the others; above it its server connection is not read. */
const HELD_BYTES_MAX = 256 * 1024;

class LegRequests extends RequestSink {
  private readonly leg: LegSession;
  private readonly events: LegEvents;

  constructor(session: LegSession, events: LegEvents) {
    super(session);
    this.leg = session;
    this.events = events;
  }

  override retry(frames: Uint8Array): void {
    // What stands there is another session's.
    if (this.leg.noteTakenLost()) return;
    super.retry(frames);
    this.events.onRetried();
  }

  override serverForRequest(): ServerConnection | null {
    this.leg.useTaken();
    return super.serverForRequest();
  }

  override refusedWhileWaiting(error: PgDogError): void {
    if (this.leg.stopTaking()) this.events.onRefused(error);
    else super.refusedWhileWaiting(error);
  }
}

/**
 * A client's double on one shard: a session like any other, with its pools, limits, hosts and prepared statements, at whose
 * other end a scatter reads the answers.
 */
export class LegSession extends Session {
  readonly shard: number;
  override readonly isLeg = true;
  readonly answers: FrameStream;
  private readonly client: Session;
  private readonly events: LegEvents;
  /** Its server connection's answers are being shown. */
  private isShowing = false;
  /** What it was asked has not been read yet. */
  private isPostponed = false;
  /**
   * Between PREPARE TRANSACTION and what ends it. Given back meanwhile, the server connection could go to somebody who waits there for a
   * lock of this very transaction, and none would be left to end it on. 'untilDone': up to the first answer without an error.
   */
  keepsServer: 'no' | 'untilTold' | 'untilDone' = 'no';
  /** Nothing has been asked of its server connection yet. */
  isTaken = false;
  /** That one, while it is decided where what is asked first belongs. */
  private atHand: ServerConnection | null = null;

  constructor(client: Session, shard: number, cluster: Cluster, sink: FrameSink, events: LegEvents) {
    super(client.context, NONE, NONE, client.context.sessions.takeId(), client.addr, client.port);
    const { context } = client;
    this.client = client;
    this.shard = shard;
    this.answers = new FrameStream(sink, context.config.general.maxPacketBytes);
    this.database = client.database;
    this.user = client.user;
    this.pool = cluster.standing();
    this.homePool = this.pool;
    this.startupParameters = client.startupParameters;
    const desk = client.router?.shards ?? null;
    const part = desk === null ? null : { shardCount: desk.count, trace: desk.traceOf(shard) };
    this.router = new SessionRouter(this, cluster, null, part);
    this.requests = new LegRequests(this, events);
    this.stream.setSink(this.requests);
    this.tap = new LegTap({
      ...events,
      onAnswered: (hasError) => {
        if (this.keepsServer === 'untilDone' && !hasError) this.keepsServer = 'no';
        events.onAnswered(hasError);
      },
    });
    this.events = events;
    this.reported = client.reported;
    this.reportedAtLogin = client.reportedAtLogin;
    this.phase = 'ready';
  }

  override get isAskingElsewhere(): boolean {
    return this.client.router?.shards?.cross.isBusy === true;
  }

  /** Takes over what the client has set since. */
  prepare(): void {
    const { parameters, reported } = this.client;
    this.parameters = parameters;
    this.reported = reported;
  }

  /** The client's server connection, quiet, with the transaction that is open on it. */
  takeOver(client: Session, server: ServerConnection): void {
    server.session = this;
    this.server = server;
    this.pool = server.pool;
    client.server = null;
    this.parameters = client.parameters;
    this.transactionSinceUs = client.transactionSinceUs;
    client.transactionSinceUs = 0;
    this.transaction.takeOver(client.transaction);
    this.pins = client.pins;
    client.pins = 0;
    this.needsProbe = client.needsProbe;
    client.needsProbe = false;
    client.requests?.extended.portals.forget();
    if (server.sequenceSessionId === client.id) server.sequenceSessionId = this.id;
    if (server.lastSessionId === client.id) server.lastSessionId = this.id;
  }

  /** Its server connection, which is quiet and in no transaction, is the client's again, which keeps it for what it has there. */
  giveBack(server: ServerConnection): void {
    const { client } = this;
    server.session = client;
    client.server = server;
    client.pool = server.pool;
    this.server = null;
    this.transaction.reset();
    client.pins |= this.pins;
    this.pins = 0;
    if (server.sequenceSessionId === this.id) server.sequenceSessionId = client.id;
    if (server.lastSessionId === this.id) server.lastSessionId = client.id;
  }

  /** @param plan of the one Query that `frames` is; null: it is read */
  ask(frames: Uint8Array, plan: SqlPlan | null = null): void {
    this.lastActivityMs = this.context.nowMs;
    // The last answers are shown while the server connection is being given back: nothing may be sent on it any more.
    this.isPostponed = this.isShowing;
    if (!this.isPostponed) this.take(frames, plan);
    else {
      this.context.sharded.postpone(() => {
        this.isPostponed = false;
        this.take(frames, plan);
        if (!this.isWaiting) this.events.onServed(0);
      });
    }
  }

  /**
   * It has no server connection for what it was asked; or it is about to give back the one of what it was asked before, which a
   * cancel under way may still hit.
   */
  get isWaiting(): boolean {
    return this.isPostponed || this.isCancelWaitedFor || this.waitingSinceMs !== 0;
  }

  /** Its server connection is not read, until somebody wants what has come. */
  get isFull(): boolean {
    return this.answers.heldBytes > HELD_BYTES_MAX;
  }

  /** It has a server connection for which others wait, in whichever worker. */
  get isInDemand(): boolean {
    return this.server !== null && this.context.memory.load.workersWaiting(this.server.pool.index) > 0;
  }

  /** It will be asked as soon as one of another shard has its server connection. */
  foresee(): void {
    // Of several hosts it is not known which.
    if (this.server === null && this.router?.cluster.hosts.length === 1) this.pool?.opening.foresee();
  }

  private get isCancelWaitedFor(): boolean {
    return this.requests?.isAwaitingQuiet === true && this.server !== null && this.server.cancelsInFlight > 0;
  }

  override serverQuiet(server: ServerConnection): void {
    const wasAwaitingQuiet = this.requests?.isAwaitingQuiet === true;
    if (this.keepsServer !== 'no' && server.readyStatus === READY.Idle) {
      // What comes next is no part of the transaction that was prepared.
      this.router?.transactionEnded();
      this.requests?.wake();
    } else super.serverQuiet(server);
    const cross = this.client.router?.shards?.cross;
    const isKept = this.pins !== 0 && this.server === server && server.readyStatus === READY.Idle;
    if (isKept || cross?.isAwaitingKept === true) this.context.sharded.postpone(() => cross?.resumeKept());
    // It goes on where it is: nobody is assigned to it.
    if (wasAwaitingQuiet && this.server === server && !this.isWaiting) this.events.onServed(0);
  }

  override serverAssigned(server: ServerConnection): void {
    const { waitedUs } = this;
    super.serverAssigned(server);
    this.events.onServed(waitedUs);
  }

  private take(frames: Uint8Array, plan: SqlPlan | null): void {
    if (this.requests !== null) this.requests.knownPlan = plan;
    if (this.phase === 'closed') return;
    if (this.isTaken) this.putAtHand();
    this.read(frames, 0, frames.length, NONE);
    // It was not needed for that.
    if (this.atHand !== null && this.useTaken()) this.server?.pool.checkin(this.server);
  }

  // A server connection ahead of what is asked of it.

  /** Takes one, or waits for it: onServed, onRefused. */
  takeServer(isWrite: boolean): void {
    const { router } = this;
    if (router === null) return;
    this.prepare();
    router.choice.foresee(isWrite);
    this.onServer = () => {
      this.isTaken = true;
    };
    router.cluster.checkout(this);
    if (this.server === null) return;
    this.onServer = null;
    this.isTaken = true;
  }

  /** False: it takes none. */
  stopTaking(): boolean {
    if (this.onServer === null) return false;
    this.onServer = null;
    return true;
  }

  /** Only if nothing waits there to be asked. */
  leaveQueue(): void {
    if (this.stopTaking()) this.pool?.leaveQueue(this);
  }

  leaveTaken(): void {
    const { server } = this;
    if (!this.isTaken || server === null) return;
    this.isTaken = false;
    server.pool.checkin(server);
  }

  closeTaken(): void {
    const { server } = this;
    if (!this.isTaken || server === null) return;
    this.isTaken = false;
    server.isGivenBack = true;
    server.pool.detach(server);
    server.pool.close(server);
  }

  /** True: that was all it was. */
  noteTakenLost(): boolean {
    if (!this.isTaken) return false;
    this.closeTaken();
    this.isTaken = false;
    this.events.onTakenLost();
    return true;
  }

  /** What is asked first is read as if there were none: where it belongs is decided by what it is. */
  private putAtHand(): void {
    const { server } = this;
    this.isTaken = false;
    if (server === null) return;
    server.session = null;
    this.server = null;
    this.atHand = server;
  }

  /** False: there is none at hand, or it was of the wrong host and has been given back. */
  useTaken(): boolean {
    const { atHand, router } = this;
    if (atHand === null) return false;
    this.atHand = null;
    atHand.session = this;
    this.server = atHand;
    this.pool = atHand.pool;
    if (router === null || router.isServedBy(atHand.pool)) return true;
    atHand.pool.checkin(atHand);
    return false;
  }

  /** A frame of COPY's data. Never while answers are shown: it could not be kept until later. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    assert(!this.isShowing, 'data of COPY are sent while answers are shown');
    this.lastActivityMs = this.context.nowMs;
    if (this.phase !== 'closed') this.read(bytes, start, end, NONE);
  }

  override onServerDrained(): void {
    super.onServerDrained();
    this.events.onDrained();
  }

  /** Shows what it has said and was held. */
  resumeAnswers(): void {
    this.answers.resume();
    this.balance();
  }

  /** Reads on from its server connection, or stops to. */
  private balance(): void {
    const { server } = this;
    if (server === null) return;
    if (this.isFull) this.events.onFull();
    const isFull = this.isFull || this.client.connection.isFull;
    if (isFull) server.connection.pauseReceive(PAUSE_CLIENT_FULL);
    else server.connection.resumeReceive(PAUSE_CLIENT_FULL);
  }

  /** The client has read what was queued for it. */
  clientDrained(): void {
    this.balance();
  }

  cancel(): void {
    const { server } = this;
    if (this.waitingSinceMs !== 0) this.end();
    else if (server !== null) cancelAtServer(this, server);
  }

  /** Whatever it was doing: a transaction that is open is rolled back. */
  end(): void {
    const keptServer = this.keepsForClient;
    sessionGone(this, 'its client needs it no more');
    if (keptServer) this.context.sharded.postpone(() => this.tellClient());
  }

  /** What the client has on its server connection (locks) ends with that. */
  private get keepsForClient(): boolean {
    return this.server !== null && this.pins !== 0 && this.client.phase === 'ready';
  }

  private tellClient(): void {
    if (this.client.phase !== 'ready') return;
    this.client.fail(new PgDogError('server_lost', `the connection to shard ${this.shard} was lost`));
  }

  /** Between two statements of a transaction there is nobody but the client to be told (idle in transaction). */
  override fail(error: PgDogError, isInsideAnswer?: boolean): void {
    if (this.noteTakenLost()) return;
    const isUnheard = (this.events.isIdle() && this.keepsServer === 'no') || this.keepsForClient;
    super.fail(error, isInsideAnswer);
    if (isUnheard) this.client.fail(error);
  }

  /** A server's FATAL between two statements, too: what it had done is lost, and must not be begun anew. */
  override closeAfterFatal(): void {
    if (this.noteTakenLost()) return;
    const isUnheard = (this.events.isIdle() && this.keepsServer === 'no') || this.keepsForClient;
    super.closeAfterFatal();
    if (isUnheard) this.tellClient();
  }

  override passSlice(buffer: number, start: number, end: number): void {
    this.show(this.context.driver.memory.bytes, start, end, buffer);
  }

  override passBytes(bytes: Uint8Array, start: number, end: number): void {
    this.show(bytes, start, end, NONE);
  }

  private show(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    // Last words of a server that was asked nothing.
    if (this.isTaken) return;
    const wasShowing = this.isShowing;
    this.isShowing = true;
    this.answers.push(bytes, start, end, buffer);
    this.isShowing = wasShowing;
  }

  override onServerChunkEnd(): void {
    this.balance();
  }
}
