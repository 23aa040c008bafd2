// ● per-frame path
import {
  type AuthReplyMessage,
  buildErrorResponse,
  buildParameterStatus,
  type ErrorFields,
  PgDogError,
  progress,
  READY,
  type Replication,
  readyForQuery,
  SETS_PARAMETER,
  type SqlPlan,
} from '@pgdog-cluster/core';
import { PAUSE_CLIENT_FULL, type ServerConnection } from '../backend/server-connection.js';
import { followAtRest } from '../follow.js';
import { Connection, type ConnectionOwner, HIGH_MARK } from '../io/connection.js';
import type { SessionTap } from '../mirror/session-tap.js';
import { SilentDriver } from '../mirror/silent-driver.js';
import type { CounterRow } from '../pool/counter-row.js';
import type { Pool } from '../pool/pool.js';
import type { SessionRouter } from '../route/session-router.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { CONSUMED, type FrameSink, FrameStream } from '../wire/frame-stream.js';
import type { WorkerContext } from '../worker-context.js';
import { ClientReading } from './client-reading.js';
import { ClientStatements } from './client-statements.js';
import { sessionGone } from './close.js';
import { rewriteStatementNames } from './error-names.js';
import { fieldsOf } from './fields-of.js';
import { NO_PARAMETERS, type ParameterSet } from './parameter-set.js';
import { PIN_UNKNOWN_SETTING } from './pin-reasons.js';
import { probePins } from './pins.js';
import type { RequestSink } from './requests.js';
import { SessionTransaction } from './transaction.js';

/** Reasons for which a client's bytes are not read. */
export const PAUSE_SERVER_FULL = 1;
export const PAUSE_HELD = 2;
export const PAUSE_OUTPUT = 4;
/** Not logged in, and this turn has no time left for it. */
export const PAUSE_TURN = 8;

/** Bytes kept of a client whose turn has not come; more is left in its socket. */
const HELD_BYTES_MAX = 64 * 1024;

export type SessionPhase = 'startup' | 'authenticating' | 'login' | 'ready' | 'closed';

/** FRONTEND_ALLOWED.startup: until the start-up packet is through, bytes go to rawReader and none get here. */
const BEFORE_STARTUP: FrameSink = {
  headBytes: () => -1,
  onFrame: () => CONSUMED,
  onRest() {},
  onChunkEnd() {},
  onViolation() {},
};

/** One client's life from accept to close. */
export class Session implements ConnectionOwner {
  readonly context: WorkerContext;
  readonly connection: Connection;
  readonly slot: number;
  /** Unique in this worker; slots are reused. */
  readonly id: number;
  /** Of the client, as the kernel or a trusted PROXY header says; UNIX_ADDRESS for a Unix socket. */
  addr: string;
  port: number;
  /** The system's user at the other end of a Unix socket; null: another kind of socket, or nobody we know. */
  peerUser: string | null = null;
  connectedMs: number;
  stream: FrameStream;
  phase: SessionPhase = 'startup';
  user = '';
  database = '';
  /** Null: the connection is in the clear. */
  tls: TlsInfo | null = null;
  isAdmin = false;
  /** It asks one shard for another session: who is held, counted, and told of its statements is that one. */
  readonly isLeg: boolean = false;
  /** What it asks is under way elsewhere: of a leg, on another shard. */
  get isAskingElsewhere(): boolean {
    return false;
  }
  /** What it counts for in the limits on clients (client-places.ts). */
  places = 0;
  /** Its place in the queue is counted over all workers. */
  isQueueCounted = false;
  /** The wait it was told of: its start (query_wait_notify). */
  toldWaitMs = 0;
  secret: Uint8Array | null = null;
  /** Of the host that serves it, or served it last. */
  pool: Pool | null = null;
  /** The pool in which it is counted as a client. */
  homePool: Pool | null = null;
  /** A new configuration is still to be followed (follow.ts); `outdated`: by it the session may not be here. */
  isStale = false;
  outdated: PgDogError | null = null;
  /** Chooses among several hosts; null: there is one. */
  router: SessionRouter | null = null;
  isSessionMode = false;
  replication: Replication = 'none';
  /** Replication streams (COPY BOTH): the command has no end of its own. */
  isStreaming = false;
  /** What a dedicated server connection is opened with, beyond user and database; null: it uses the pool's. */
  dedicatedParameters: readonly (readonly [name: string, value: string])[] | null = null;
  server: ServerConnection | null = null;
  /** Since when it waits in the pool's queue, 0 = it does not. */
  waitingSinceMs = 0;
  waitingSinceUs = 0;
  /** How long what it asks now has waited for its server connection. */
  waitedUs = 0;
  /** As the client wants them now, and as it asked at start-up (where RESET leads). */
  parameters: ParameterSet = NO_PARAMETERS;
  startupParameters: ParameterSet = NO_PARAMETERS;
  /** What the client was told by ParameterStatus. */
  reported: ReadonlyMap<string, string> = new Map();
  reportedAtLogin: ReadonlyMap<string, string> = this.reported;
  private readonly reading = new ClientReading();
  readonly transaction: SessionTransaction;
  readonly statements: ClientStatements;
  pins = 0;
  /** A statement ran that may have ended a pin. */
  needsProbe = false;
  /** A statement of unknown effect ran: the server is to be asked for the whole state. */
  isStateUnread = false;
  /** Custom settings such statements may have meant. */
  mentionedNames: string[] = [];
  lastActivityMs: number;
  requestSinceUs = 0;
  transactionSinceUs = 0;
  queries = 0;
  transactions = 0;
  errors = 0;
  waitTimeUs = 0;
  queryTimeUs = 0;
  transactionTimeUs = 0;
  bytesReceived = 0;
  bytesSent = 0;
  /** Of the above, what the pool's counters have already. */
  private countedReceived = 0;
  private countedSent = 0;
  /** When the last answer ended. */
  readySinceUs = 0;
  requests: RequestSink | null = null;
  /** Of a mirrored database. */
  tap: SessionTap | null = null;
  /** Takes the descriptor once the kernel has let go of it (leave). */
  private onReleased: ((fd: number) => void) | null = null;
  /** Its pool is small, and at home in this worker. */
  isHomed = false;
  /** Called instead of going on with requests when a server connection has come: login. */
  onServer: ((server: ServerConnection) => void) | null = null;
  /** Called with what the supervisor knows about the user: authentication. */
  onAuthReply: ((reply: AuthReplyMessage) => void) | null = null;

  constructor(context: WorkerContext, fd: number, slot: number, id: number, addr: string, port: number) {
    this.context = context;
    this.slot = slot;
    this.id = id;
    this.addr = addr;
    this.port = port;
    this.connectedMs = context.nowMs;
    this.lastActivityMs = context.nowMs;
    this.transaction = new SessionTransaction(this);
    this.statements = new ClientStatements(context);
    this.stream = new FrameStream(BEFORE_STARTUP, context.config.general.maxPacketBytes);
    // A session without a client: mirror-session.ts.
    const driver = fd < 0 ? new SilentDriver(context.driver.memory) : context.driver;
    this.connection = new Connection(driver, fd, this, {
      outputs: context.outputs,
      beforeClose: context.forgetFd,
    });
  }

  /** Bytes of the untyped first packets; replaced by the frame stream once start-up is through. */
  rawReader: ((bytes: Uint8Array, start: number, end: number) => number) | null = null;

  handleReceived(buffer: number, start: number, end: number): void {
    const { memory } = this.context.driver;
    this.bytesReceived += end - start;
    this.lastActivityMs = this.context.nowMs;
    if (this.phase === 'startup' || this.phase === 'authenticating') {
      this.context.arrivals.receive(this, memory.bytes, start, end, buffer);
    } else this.read(memory.bytes, start, end, buffer);
    memory.release(buffer);
  }

  /** bytes[start, end) of the client, in `buffer` or, -1, elsewhere. */
  read(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    let from = start;
    while (this.rawReader !== null && from < end) {
      from = progress(from, this.rawReader(bytes, from, end));
    }
    if (from >= end || this.phase === 'closed') return;
    this.stream.push(bytes, from, end, buffer);
    if (this.router?.isLookingAhead === true) this.resumeRequests();
    if (this.stream.heldBytes > HELD_BYTES_MAX) this.connection.pauseReceive(PAUSE_HELD);
  }

  handleReceiveEnd(): void {
    this.context.arrivals.flush(this);
    sessionGone(this, 'client closed the connection');
  }
  handleWriteFailed(): void {
    sessionGone(this, 'client reset the connection');
  }
  /** The client has read what was queued: whoever was held up goes on. */
  handleDrained(): void {
    this.context.pubSub.drained(this);
    this.connection.resumeReceive(PAUSE_OUTPUT);
    this.server?.connection.resumeReceive(PAUSE_CLIENT_FULL);
    this.router?.shards?.cross.drained();
  }

  handleConnected(): void {}
  handleDetached(): void {
    this.onReleased?.(this.connection.fd);
  }

  /** Not logged in, and another worker's from now on: the session ends, its descriptor goes to `onReleased`. */
  leave(onReleased: (fd: number) => void): void {
    this.phase = 'closed';
    this.stream.stop();
    this.onReleased = onReleased;
    this.context.sessions.remove(this);
    this.context.arrivals.settled(this);
    this.connection.release();
  }

  /** A slice of a received buffer, for the client. */
  passSlice(buffer: number, start: number, end: number): void {
    this.bytesSent += end - start;
    this.connection.sendSlice(buffer, start, end);
  }

  passBytes(bytes: Uint8Array, start: number, end: number): void {
    this.bytesSent += end - start;
    this.connection.sendBytes(bytes, start, end);
  }

  send(bytes: Uint8Array): void {
    this.passBytes(bytes, 0, bytes.length);
  }

  /** After each chunk of the server's: a client that does not read stops its own server connection, nothing else. */
  onServerChunkEnd(): void {
    if (this.connection.queuedBytes <= HIGH_MARK) return;
    this.server?.connection.pauseReceive(PAUSE_CLIENT_FULL);
    this.connection.pauseReceive(PAUSE_OUTPUT);
  }

  onClientChunkEnd(): void {
    const serverBytes = this.server?.connection.queuedBytes ?? 0;
    if (serverBytes > HIGH_MARK) this.connection.pauseReceive(PAUSE_SERVER_FULL);
    if (this.connection.queuedBytes > HIGH_MARK) this.connection.pauseReceive(PAUSE_OUTPUT);
  }

  onServerDrained(): void {
    this.connection.resumeReceive(PAUSE_SERVER_FULL);
  }

  /** Goes on with what was held. */
  resumeRequests(): void {
    this.stream.resume();
    if (this.stream.heldBytes <= HELD_BYTES_MAX) this.connection.resumeReceive(PAUSE_HELD);
  }

  /** The pool has given it a server connection (Pool.attach has set both sides). */
  serverAssigned(server: ServerConnection): void {
    const { onServer } = this;
    this.onServer = null;
    if (onServer === null) this.resumeRequests();
    else onServer(server);
  }

  /** All that was asked has been answered. */
  serverQuiet(server: ServerConnection): void {
    if (this.phase === 'login') return;
    server.isHealing = false;
    // Nothing of the client's has run yet. Given back here, two clients of different roles would take the
    // connection from each other before either got to its request.
    if (this.requests?.isSettling === true) {
      this.requests.isSettling = false;
      this.resumeRequests();
      return;
    }
    const isIdle = server.readyStatus === READY.Idle;
    if (isIdle) {
      this.exchangeDone(server);
      if (this.router?.ended(server) === true) return;
    } else if (this.pool?.snapshot.poolerMode === 'statement') {
      this.fail(new PgDogError('statement_mode_transaction'));
      return;
    }
    if (isIdle && this.context.pubSub.isUsed && this.context.pubSub.quiet(this, server)) return;
    if (isIdle && !this.isSessionMode && !probePins(this, server) && this.pins === 0) {
      server.pool.checkin(server);
    }
    if (this.isStale && isIdle) followAtRest(this);
    this.requests?.wake();
  }

  /** An exchange has been answered: a Query, a function call, or everything up to a Sync. */
  queryDone(server: ServerConnection): void {
    const { nowUs } = this.context;
    const took = nowUs - this.requestSinceUs;
    this.queries++;
    this.queryTimeUs += took;
    this.readySinceUs = nowUs;
    if (this.waitedUs !== 0) this.waitedUs = 0;
    server.pool.row.queryDone(took);
    this.context.memory.hosts.noteStatement(this.context.worker, server.pool.snapshot.hostIndex, took);
  }

  /** Counts what has just ended. */
  private exchangeDone(server: ServerConnection): void {
    // Our own exchanges (a probe) end here too, and are no transaction of the client's.
    if (this.transactionSinceUs === 0) return;
    const took = this.context.nowUs - this.transactionSinceUs;
    this.transactionSinceUs = 0;
    this.transactions++;
    this.transactionTimeUs += took;
    server.transactions++;
    const { row } = server.pool;
    row.transactionDone(took);
    if (took >= server.pool.slow.transactionUs) this.context.slow.transaction(this, server, took);
    this.countTraffic(row);
    server.requestLog.spoil();
  }

  countTraffic(row: CounterRow): void {
    row.traffic(this.bytesReceived - this.countedReceived, this.bytesSent - this.countedSent);
    this.countedReceived = this.bytesReceived;
    this.countedSent = this.bytesSent;
  }

  get clientReading(): number {
    return this.reading.of(this.reported);
  }

  /** A message that says nothing new need not be passed on. Returns whether it is news to the client. */
  noteReported(name: string, value: string): boolean {
    if (this.reported.get(name) === value) return false;
    this.reported = this.pool?.reported.change(this.reported, name, value) ?? this.reported;
    return true;
  }

  /** The server reports other values than the client was told (its configuration was reloaded). */
  tellReports(reported: ReadonlyMap<string, string>): void {
    for (const [name, value] of reported) {
      if (this.reported.get(name) !== value) this.send(buildParameterStatus(name, value));
    }
    this.reported = reported;
  }

  /** The error with the client's own statement names in it, or null when there are none to change. */
  rewriteError(ref: object | null, fields: Required<ErrorFields>): Uint8Array | null {
    this.errors++;
    return rewriteStatementNames(this, ref, fields);
  }

  /** A prepared statement that itself changes settings was executed by name: only the server knows the result. */
  noteExecuted(server: ServerConnection, plan: SqlPlan): void {
    if ((plan.flags & SETS_PARAMETER) === 0 || this.isSessionMode) return;
    this.pins |= PIN_UNKNOWN_SETTING;
    server.isSuspect = true;
  }

  /** Sends the exchange's frames once more (heal.ts). */
  repeat(frames: Uint8Array): void {
    this.requests?.repeat(frames);
  }

  /** FATAL: says why and ends the session. In the middle of a server's frame the words would be taken for its rest. */
  fail(error: PgDogError, isInsideAnswer = this.server?.stream.isInsideFrame === true): void {
    if (this.phase === 'closed') return;
    const isInside = isInsideAnswer || this.router?.shards?.cross.isInsideAnswer === true;
    if (!isInside) this.send(buildErrorResponse({ ...fieldsOf(error), severity: 'FATAL' }));
    sessionGone(this, error.message, true);
  }

  /** The server's own FATAL has been passed on: nothing is to be added. */
  closeAfterFatal(): void {
    sessionGone(this, 'server connection ended', true);
  }

  /** ERROR and ReadyForQuery for a request that no server has seen. */
  answerError(error: PgDogError): void {
    this.errors++;
    this.tap?.localError();
    this.send(buildErrorResponse(fieldsOf(error)));
  }

  sendReady(): void {
    const status = this.server?.readyStatus ?? this.router?.heldStatus ?? READY.Idle;
    this.send(readyForQuery(status));
    this.tap?.answered(status, false, 0);
  }
}
