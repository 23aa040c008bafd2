// ● per-frame path
import { FRONTEND, FrameWriter, READY, SYNC } from '@pgdog-cluster/core';
import { Connection, type ConnectionOwner } from '../io/connection.js';
import type { Pool } from '../pool/pool.js';
import { serverTlsFailed } from '../pool/tls-outcome.js';
import { NO_PARAMETERS, type ParameterSet } from '../session/parameter-set.js';
import type { Session } from '../session/session.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { type FrameSink, FrameStream } from '../wire/frame-stream.js';
import type { WorkerContext } from '../worker-context.js';
import type { WaitingCancel } from './cancel.js';
import { loginSettled } from './connect.js';
import type { OwnExchange } from './own-exchange.js';
import { KIND_QUERY, KIND_SYNC, PendingReplies, SWALLOW } from './pending-replies.js';
import { Relay } from './relay.js';
import { RequestLog } from './request-log.js';
import type { ServerTls, ServerTlsOwner } from './server-tls.js';

/**
 * Where a server connection is. It is in exactly one state; the pool's lists follow it (Pool.move).
 * `active` has a session; `cleaning` runs our own exchanges or drains what a vanished client left; `testing` answers a check.
 */
export type ServerState = 'connecting' | 'idle' | 'active' | 'cleaning' | 'testing' | 'lending' | 'closed';

/** Receive is stopped because the client does not read. */
export const PAUSE_CLIENT_FULL = 1;

const ownWriter = new FrameWriter(1024);

/** One authenticated socket to one database host: what it owes, what is set on it, whom it serves. */
export class ServerConnection implements ConnectionOwner, ServerTlsOwner {
  readonly context: WorkerContext;
  readonly pool: Pool;
  readonly connection: Connection;
  readonly stream: FrameStream;
  readonly relay: Relay;
  readonly pending = new PendingReplies();
  /** When the last statement that is counted (SHOW QUERIES) ended. */
  answeredUs = 0;
  /** Rows of what the head of the pending replies asked for. */
  rowCount = 0;
  readonly requestLog = new RequestLog();
  state: ServerState = 'connecting';
  session: Session | null = null;
  /** The one session it was opened for and ends with (replication); null: an ordinary one of the pool's. */
  dedicatedTo: Session | null = null;
  /** It is being closed so that this session's dedicated connection can have its place. */
  heir: Session | null = null;
  /** Who used it last; what it left may only be seen by itself. */
  lastSessionId = 0;
  /** Since whom sequences were last forgotten; see discardSequences. */
  sequenceSessionId = 0;
  /** Settings in force, beyond those it was started with. */
  parameters: ParameterSet = NO_PARAMETERS;
  /** ParameterStatus as last reported. Replaced, never changed in place: sessions compare by identity. */
  reported: ReadonlyMap<string, string> = new Map();
  /** Names of prepared statements it has, least recently used first. */
  readonly prepared = new Set<string>();
  /** SQL-level statements that it would not prepare when they had to be repeated (what they read is gone), and the ErrorResponse. */
  readonly refusedPrepares = new Map<string, Uint8Array>();
  /** Of `prepared` some have another result than when they were parsed: all are dropped before the next exchange. */
  isPreparedOutdated = false;
  /** Name on it of what has been parsed, and is not known to have the result yet that its clients know; '' = nothing. */
  comparing = '';
  /** Some client has had a search_path of its own here: the same statement may be of other tables for others. */
  hasHadPath = false;
  /** Which session's unnamed statement it holds: a worker-wide number, 0 = none that we know. */
  unnamedId = 0;
  /** `prepared` may not be what it has: all of them are dropped when it is cleaned. */
  isPreparedUnsure = false;
  /** Of the last ReadyForQuery. */
  readyStatus: number = READY.Idle;
  /** The beginning of a client's frame has been forwarded, its end has not come: whatever is sent now would be read as its body. */
  isFrameOpen = false;
  /** Extended messages were sent after the last Sync. */
  isBatchOpen = false;
  /** An error came and no Sync is on its way: the server ignores everything until one. */
  isSkippingToSync = false;
  isCopyIn = false;
  /** A request under way may change settings or statements; the next one waits for it. */
  hasEffectPending = false;
  /** A request under way may change settings, the one that decides how strings are read among them. */
  isSettingPending = false;
  /** A statement whose effect on the session is not known ran here: reset before anybody else uses it. */
  isSuspect = false;
  /** The same, and nobody has looked since: its prepared statements may be others than we think. */
  isTainted = false;
  /** Functions, triggers, views… were changed over it: what is known of them is out of date. */
  definesCode = false;
  /** Its transaction may have changed tables, types, functions… (plan/definitions.ts). */
  hasDefined = false;
  /** Why a statement that the client's Query executes could not be prepared ahead of it. */
  refusedParse: Uint8Array | null = null;
  /** The current exchange is being repeated; not a second time. */
  isHealing = false;
  /** A FATAL has been relayed: the end of the stream needs no further words. */
  hasFailed = false;
  /** Holds or may hold temp objects, locks, channels, cursors of its last session: reset when it comes back. */
  needsReset = false;
  cleaningSinceMs = 0;
  isCancelSent = false;
  /** Cancel connections on their way to it; it must not be reused before they have ended. */
  cancelsInFlight = 0;
  cancelWaiting: WaitingCancel | null = null;
  /** Null: the connection is in the clear. */
  tls: TlsInfo | null = null;
  /** Between connect(2) and the start-up packet: its answer comes before any frame. */
  tlsUpgrade: ServerTls | null = null;
  /** While it logs in by TLS: knows what a later connect can resume. */
  tlsLogin: ServerTls | null = null;
  remotePid = 0;
  secret: Uint8Array = new Uint8Array(0);
  createdMs: number;
  /** The configuration it was opened under (RECONNECT). */
  openedEpoch: number;
  /** When it must be closed because of its age, 0 = never. */
  expiresMs = 0;
  idleSinceMs = 0;
  /** When it was last known to work: its last answer, to a client or to a check. */
  provenMs = 0;
  checkSinceMs = 0;
  checkCount = 0;
  closedMs = 0;
  requestSinceMs = 0;
  /** Turn of the loop in which the current exchange began. */
  requestTurn = 0;
  /** Turn in which the first of what is owed was asked. It leaves at the end of the turn: what is read before answers nothing. */
  askedTurn = 0;
  /** Turn in which it was given to its session. */
  attachedTurn = 0;
  /** Of the snapshot under which it was opened; see PoolSnapshot.serverVersion. */
  version: number;
  /** Must not be used again: it said so, or an operator did. */
  isDoomed = false;
  /** After closing: the worker that gets its place in the pool, -1 = whoever claims it first. */
  placeFor = -1;
  /** Closed for others, who hold some and wait for one more (pool/held-waits). */
  isGivenBack = false;

  /** What it does is given up for those, and nobody else gets it. */
  giveBackWhenFree(): void {
    this.isDoomed = true;
    this.isGivenBack = true;
  }
  /** After closing: the server has let go as well, and the place has been given back. */
  hasEnded = false;
  lastReceivedMs = 0;
  transactions = 0;
  queries = 0;
  rollbacks = 0;
  errors = 0;
  bytesReceived = 0;
  bytesSent = 0;
  /** Told once the descriptor is free to be given away. */
  onReleased: (() => void) | null = null;

  constructor(context: WorkerContext, pool: Pool, fd: number) {
    this.context = context;
    this.pool = pool;
    this.version = pool.version;
    this.createdMs = context.nowMs;
    this.openedEpoch = context.config.epoch;
    this.relay = new Relay(this);
    this.stream = new FrameStream(this.relay, context.config.general.maxPacketBytes);
    this.connection = new Connection(context.driver, fd, this, {
      outputs: context.outputs,
      beforeClose: context.forgetFd,
    });
  }

  /** Replaced while it logs in (connect.ts). */
  setSink(sink: FrameSink): void {
    this.stream.setSink(sink);
  }

  handleReceived(buffer: number, start: number, end: number): void {
    this.bytesReceived += end - start;
    this.lastReceivedMs = this.context.nowMs;
    if (this.tlsUpgrade === null) this.stream.push(this.context.driver.memory.bytes, start, end, buffer);
    else this.tlsUpgrade.receive(this.context.driver.memory.bytes, start, end);
    this.context.driver.memory.release(buffer);
  }

  handleReceiveEnd(errno: number): void {
    this.pool.serverLost(this, errno, false);
    this.pool.ended(this);
  }

  handleWriteFailed(errno: number): void {
    // Our side is shut down: what was still to be sent cannot be. The server has not let go of it by that.
    if (this.state === 'closed') return;
    this.pool.serverLost(this, errno, true);
    this.pool.ended(this);
  }

  /** The server takes bytes again: let the client that feeds it go on. */
  handleDrained(): void {
    this.session?.onServerDrained();
  }

  handleConnected(errno: number): void {
    this.pool.serverConnected(this, errno);
  }

  tlsSettled(info: TlsInfo | null): void {
    if (this.state === 'connecting') loginSettled(this, info);
  }

  tlsFailed(reason: string): void {
    serverTlsFailed(this, reason);
  }

  handleDetached(): void {
    const told = this.onReleased;
    this.onReleased = null;
    told?.();
  }

  /** A frame of a client, or a piece of one. */
  forward(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    this.bytesSent += end - start;
    if (buffer >= 0) this.connection.sendSlice(buffer, start, end);
    else this.connection.sendBytes(bytes, start, end);
  }

  send(bytes: Uint8Array): void {
    this.bytesSent += bytes.length;
    this.connection.sendBytes(bytes, 0, bytes.length);
  }

  /** Sends a simple query of our own, in order behind what was sent before. */
  ask(exchange: OwnExchange): void {
    if (this.pending.length === 0) {
      // query_timeout counts from here: at a login or a probe no request of a client's has set it.
      this.requestSinceMs = this.context.nowMs;
      this.askedTurn = this.context.turn;
    }
    this.pending.push(KIND_QUERY | SWALLOW, exchange);
    ownWriter.reset().begin(FRONTEND.Query).cstring(exchange.sql).end();
    this.send(ownWriter.view());
    // A simple query drops the unnamed statement (exec_simple_query calls drop_unnamed_stmt).
    this.unnamedId = 0;
  }

  /** Beyond as many as it may hold the names are forgotten: those statements are tried once more. */
  notePrepareRefused(serverName: string, reason: Uint8Array): void {
    const { refusedPrepares } = this;
    if (refusedPrepares.size >= this.context.config.general.preparedStatementsLimit) refusedPrepares.clear();
    refusedPrepares.set(serverName, reason);
  }

  /** Ends an open batch of a client that is gone. */
  sendOwnSync(): void {
    this.pending.push(KIND_SYNC | SWALLOW, null);
    this.send(SYNC);
    this.isBatchOpen = false;
    this.isSkippingToSync = false;
  }

  /**
   * Whether any byte of the current exchange may have reached the server. Output leaves at the end of a turn
   * in one send; a first send that fails has delivered nothing.
   */
  hasLeft(isWriteFailure: boolean): boolean {
    const turns = this.context.turn - this.requestTurn;
    return isWriteFailure ? turns > 1 : turns > 0;
  }

  /** Its descriptor is being taken from the kernel, for another worker. */
  get isLeaving(): boolean {
    return this.onReleased !== null && !this.connection.isClosed;
  }

  /** Nothing is owed and nothing half sent. */
  get isQuiet(): boolean {
    return this.pending.length === 0 && !this.isBatchOpen && !this.isFrameOpen && this.cancelsInFlight === 0;
  }
}
