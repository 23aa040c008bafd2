// ● per-frame path
import {
  CLAIMED,
  type ClaimResult,
  FixedQueue,
  PgDogError,
  type PoolSnapshot,
  ROLE_PRIMARY,
  TERMINATE,
} from '@pgdog-cluster/core';
import { cancelOnServer, resumeCancel } from '../backend/cancel.js';
import { continueCleaning, isRecoverable, startCleaning } from '../backend/cleaning.js';
import { loginConnected } from '../backend/connect.js';
import { PAUSE_CLIENT_FULL, type ServerConnection } from '../backend/server-connection.js';
import { abandonPending } from '../backend/skipped-replies.js';
import { SHUT_WR, shutdown } from '../io/libc.js';
import type { Cluster } from '../route/cluster.js';
import { NO_PARAMETERS } from '../session/parameter-set.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { askCode } from './ask-code.js';
import { checkDone, isUnproven, putIdle, startCheck } from './check-server.js';
import { countWait } from './count-wait.js';
import { CounterRow } from './counter-row.js';
import { Credentials } from './credentials.js';
import { codeOf, type DatabaseCode } from './database-code.js';
import { leaveDedicated, openForHeir, replaceByDedicated } from './dedicated.js';
import { leaveGoneAddresses } from './gone-addresses.js';
import type { KnownReports } from './known-reports.js';
import { framesToRepeat } from './leave-host.js';
import { giveAway, givePlaceBack, shouldGiveAway, wishForServer } from './lend.js';
import { placeCameFree } from './make-room.js';
import { Opening } from './opening.js';
import { PoolShared } from './pool-shared.js';
import type { ReportedParameters } from './reported-parameters.js';
import { isUnwanted, leaveOldVersions, shrink } from './retire.js';
import { serverFailed, serverOutOfSync } from './server-trouble.js';
import { SlowThresholds } from './slow-thresholds.js';

/** This worker's part of one pool: server connections of one (database, user, host). */
export class Pool {
  readonly context: WorkerContext;
  readonly row: CounterRow;
  readonly shared: PoolShared;
  readonly reported: ReportedParameters;
  /** The hosts it is one of; null: the database has this one. */
  cluster: Cluster | null = null;
  readonly opening: Opening;
  readonly credentials: Credentials;
  readonly slow: SlowThresholds;
  snapshot: PoolSnapshot;
  /** Last in, first out: those used last are warm, the others age. */
  readonly idle: ServerConnection[] = [];
  /** All of this worker's, in whatever state. */
  readonly all = new Set<ServerConnection>();
  readonly waiters = new FixedQueue<Session>();
  /** What may happen to a session behind the text of its statements. Shared by all pools of the database. */
  code: DatabaseCode;
  /** PAUSE: server connections are closed as they come free. */
  isPaused = false;
  /** Closed by us, but not by their server yet: they still count. */
  readonly ending = new Set<ServerConnection>();
  /** Of `all`, those that answer a check. */
  testing = 0;
  /** The limit that last kept it from opening a connection, and when it last asked other pools for room. */
  refusedBy: ClaimResult = CLAIMED;
  askedForRoomMs = 0;
  /** Until then the place of the next connection that comes free is another pool's (make-room.ts); 0 = none is owed. */
  owedUntilMs = 0;
  readonly knownReports: KnownReports;
  /** The snapshot that has it no more; 0 = it is configured. */
  retiredEpoch = 0;
  /** The last epoch under whose limits it has been found to be; see isBeyondLimits(). */
  limitsEpoch = 0;

  constructor(context: WorkerContext, snapshot: PoolSnapshot, shared = new PoolShared()) {
    this.context = context;
    this.snapshot = snapshot;
    this.code = codeOf(context, snapshot);
    this.shared = shared;
    this.reported = shared.reported;
    this.knownReports = shared.knownReports;
    this.credentials = new Credentials(snapshot);
    this.row = new CounterRow(context.memory.counters, context.worker, snapshot.index);
    this.opening = new Opening(this);
    this.slow = new SlowThresholds(snapshot);
  }

  /** ROLE_…, as it is now. */
  get role(): number {
    return this.cluster === null ? ROLE_PRIMARY : this.cluster.roleOfPool(this);
  }

  get index(): number {
    return this.snapshot.index;
  }
  /** See PoolSnapshot.serverVersion. */
  get version(): number {
    return this.snapshot.serverVersion ?? 0;
  }

  /** Gives the session an idle server connection at once, or puts it into the queue. */
  checkout(session: Session): void {
    if (session.waitingSinceMs !== 0) return;
    if (this.waiters.length === 0) {
      const server = this.idle.pop();
      if (server !== undefined && !isUnproven(server)) {
        this.attach(server, session);
        this.publishLoad();
        return;
      }
      // The session waits for its answer, or for whatever comes free first.
      if (server !== undefined) startCheck(server);
    }
    this.enqueue(session);
  }

  /** For a session that needs a server connection of its own: it waits in the same queue, for a place in the pool. */
  checkoutDedicated(session: Session): void {
    this.enqueue(session);
  }

  private enqueue(session: Session): void {
    const { context } = this;
    const refusal = this.opening.refusal();
    if (refusal !== null) {
      this.refuseWaiter(session, refusal);
      return;
    }
    const { queueLengthMax } = context.config.general;
    if (queueLengthMax > 0) {
      if (!context.memory.capacity.tryClaimQueued(context.worker, this.index, queueLengthMax)) {
        const text = `too many clients are waiting in this pool (queue_length_max = ${queueLengthMax})`;
        this.refuseWaiter(session, new PgDogError('queue_full', text));
        return;
      }
      session.isQueueCounted = true;
    }
    session.waitingSinceMs = context.nowMs;
    session.waitingSinceUs = context.nowUs;
    this.waiters.push(session);
    context.waitingSessions++;
    this.publishLoad();
    this.opening.want();
    if (!this.opening.isOpening) wishForServer(this);
  }

  attach(server: ServerConnection, session: Session): void {
    server.state = 'active';
    server.attachedTurn = this.context.turn;
    this.context.activeServers++;
    this.context.memory.hosts.addInFlight(this.context.worker, this.snapshot.hostIndex, 1);
    server.session = session;
    session.server = server;
    if (server.sequenceSessionId !== session.id) server.sequenceSessionId = 0;
    this.waitIsOver(session, true);
  }

  /** Cancelled, timed out or gone. */
  leaveQueue(session: Session): void {
    if (session.waitingSinceMs === 0 || session.router?.cluster.leave(session) === true) return;
    const isQueued = this.waiters.remove(session);
    this.waitIsOver(session, false);
    if (!isQueued) return;
    this.context.waitingSessions--;
    this.publishLoad();
  }

  private waitIsOver(session: Session, isServed: boolean): void {
    countWait(this, session, isServed);
    session.waitingSinceMs = 0;
    if (!session.isQueueCounted) return;
    session.isQueueCounted = false;
    this.context.memory.capacity.giveBackQueued(this.context.worker, this.index);
  }

  /** The request of a waiting session is answered with an error; the client stays connected. */
  refuseWaiter(session: Session, error: PgDogError): void {
    this.leaveQueue(session);
    const { requests } = session;
    if (session.phase === 'login' || requests === null) session.fail(error);
    else requests.refusedWhileWaiting(error);
  }

  /** The session is done with it: the next one waiting gets it, here or in another worker. */
  checkin(server: ServerConnection): void {
    this.detach(server);
    if (server.needsReset) {
      startCleaning(server);
      return;
    }
    this.becameFree(server);
  }

  /** Ends the link of session and server connection. */
  detach(server: ServerConnection): void {
    const { session } = server;
    server.relay.flushRun();
    server.session = null;
    server.connection.resumeReceive(PAUSE_CLIENT_FULL);
    if (session === null) return;
    this.context.activeServers--;
    this.context.memory.hosts.addInFlight(this.context.worker, this.snapshot.hostIndex, -1);
    session.server = null;
    session.transaction.reset();
    session.requests?.extended.forgetPortals();
    session.onServerDrained();
  }

  /** Clean, quiet and without a session. `idleSinceMs`: since when, if it did not just serve one. */
  becameFree(server: ServerConnection, idleSinceMs = this.context.nowMs): void {
    const { context } = this;
    if (askCode(server)) return;
    server.idleSinceMs = idleSinceMs;
    server.provenMs = context.nowMs;
    if (isUnwanted(server)) this.close(server);
    else if (shouldGiveAway(this, server.connection.hasFilter)) giveAway(this, server);
    else this.keepFree(server);
  }

  /** As becameFree(), for this worker's own clients only. */
  keepFree(server: ServerConnection): void {
    const next = this.waiters.shift();
    if (next === undefined) {
      server.state = 'idle';
      putIdle(this.idle, server);
      this.publishLoad();
      return;
    }
    this.context.waitingSessions--;
    if (next.dedicatedParameters !== null) {
      replaceByDedicated(this, server, next);
      return;
    }
    this.attach(server, next);
    this.publishLoad();
    next.serverAssigned(server);
  }

  /** All that was asked of it has been answered (Relay). */
  serverQuiet(server: ServerConnection): void {
    if (server.session !== null) server.session.serverQuiet(server);
    else if (server.state === 'cleaning') continueCleaning(server);
    else if (server.state === 'testing') checkDone(server);
  }

  /** The client vanished while it held the server connection. */
  sessionLeft(server: ServerConnection, session: Session, isInsideFrame: boolean): void {
    if (server.dedicatedTo !== null) {
      leaveDedicated(server, isInsideFrame);
      return;
    }
    // What a statement under way sets comes to be, and an open transaction is rolled back, with nobody left to note it.
    const isUnnoted = server.hasEffectPending || session.transaction.hasChanges;
    if (session.pins !== 0 || session.isSessionMode || isUnnoted) server.needsReset = true;
    // PREPARE or DEALLOCATE may be among it.
    if (server.hasEffectPending && server.pending.length > 0) server.isPreparedUnsure = true;
    this.detach(server);
    if (!isInsideFrame && isRecoverable(server, this.context.config.general.connectionRecovery)) {
      startCleaning(server);
      return;
    }
    this.row.forceClosed();
    this.closeCancelled(server);
  }

  /**
   * Closes a server connection that serves nobody. Its place is given back when the server has let go of it too (ended):
   * there are never more of them than allowed, not even on its side. One that is being lent is closed there (lend.ts).
   */
  close(server: ServerConnection): void {
    if (server.state === 'closed' || server.isLeaving) {
      server.isDoomed = true;
      return;
    }
    const wasIdle = server.state === 'idle';
    const wasConnecting = server.state === 'connecting';
    const isBusy = !server.isQuiet;
    if (server.state === 'testing') this.testing--;
    server.state = 'closed';
    server.closedMs = this.context.nowMs;
    server.stream.stop();
    this.all.delete(server);
    if (wasIdle) this.idle.splice(this.idle.indexOf(server), 1);
    abandonPending(server);
    resumeCancel(server);
    this.publishLoad();
    if (wasConnecting) {
      this.ended(server);
      return;
    }
    // In the middle of a frame or a copy Terminate would be read as data: the end of the stream is understood.
    if (isBusy) shutdown(server.connection.fd, SHUT_WR);
    else server.send(TERMINATE);
    this.ending.add(server);
  }

  /** Closes one whose answers nobody waits for: what runs on it must not go on alone. */
  closeCancelled(server: ServerConnection): void {
    if (server.pending.length > 0) cancelOnServer(server);
    this.close(server);
  }

  /** The server has closed its end of a connection that we closed, or took too long. */
  ended(server: ServerConnection): void {
    if (server.state !== 'closed' || server.hasEnded) return;
    server.hasEnded = true;
    this.ending.delete(server);
    server.connection.close();
    if (server.heir !== null && openForHeir(this, server.heir)) return;
    givePlaceBack(this, server.placeFor);
    if (this.waiters.length > 0) this.opening.want();
    placeCameFree(server);
  }

  /** The stream has ended or broken. */
  serverLost(server: ServerConnection, errno: number, isWriteFailure: boolean): void {
    if (server.state === 'closed') return;
    if (server.state === 'connecting') {
      this.opening.failed(server, new PgDogError('server_unreachable', this.lostText(errno)));
      return;
    }
    const { session } = server;
    const frames = framesToRepeat(server, session, isWriteFailure);
    if (session !== null) {
      this.context.memory.hosts.noteReset(this.context.worker, this.snapshot.hostIndex);
      server.relay.flushRun();
    }
    const hasFailed = server.hasFailed;
    if (session !== null) this.detach(server);
    this.close(server);
    if (session === null) return;
    if (frames !== null && session.requests !== null && !hasFailed) {
      // Nothing of the request has left this machine: another server connection takes it.
      session.requests.retry(frames);
      return;
    }
    if (session.phase === 'closed') return;
    if (hasFailed || server.dedicatedTo !== null) session.closeAfterFatal();
    else session.fail(new PgDogError('server_lost', this.lostText(errno)), server.stream.isInsideFrame);
  }

  private lostText(errno: number): string {
    const { host, port } = this.snapshot;
    const why =
      errno === 0 ? 'server closed the connection unexpectedly' : `connection lost (errno ${errno})`;
    return `${why}: ${host}:${port}`;
  }

  /** A FATAL has come: the end of the stream follows. */
  serverFailed(server: ServerConnection, sqlstate: string, message: string): void {
    serverFailed(this, server, sqlstate, message);
  }

  /** What it says cannot be matched with what was asked: nobody may trust it any more. */
  serverOutOfSync(server: ServerConnection, reason: string): void {
    serverOutOfSync(this, server, reason);
  }

  serverConnected(server: ServerConnection, errno: number): void {
    loginConnected(server, errno);
  }

  /** A server connection has logged in, or has come from another worker. */
  serverReady(server: ServerConnection): void {
    // Logged in: from here on it counts until the server has let go of it, should it be closed right away.
    server.state = 'cleaning';
    const isUnset = server.parameters === NO_PARAMETERS && !server.isSuspect;
    if (isUnset && this.knownReports.of(NO_PARAMETERS) === null)
      this.knownReports.note(NO_PARAMETERS, server.reported);
    this.becameFree(server);
  }

  /** What the configuration says has changed: remembered answers may be wrong. */
  takeUp(snapshot: PoolSnapshot): void {
    const before = this.snapshot;
    this.snapshot = snapshot;
    this.retiredEpoch = 0;
    this.code = codeOf(this.context, snapshot);
    this.credentials.takeUp(snapshot);
    this.knownReports.clear();
    this.opening.forget();
    this.slow.takeUp(snapshot);
    leaveGoneAddresses(this, before.addresses);
    leaveOldVersions(this);
    shrink(this, before);
  }

  /** Says in shared memory how this part of the pool stands. */
  publishLoad(): void {
    const { load } = this.context.memory;
    const { worker } = this.context;
    load.setIdle(worker, this.index, this.idle.length);
    load.setActive(worker, this.index, this.all.size - this.idle.length);
    load.setConnecting(worker, this.index, this.opening.connectingCount);
    load.setWaiting(worker, this.index, this.waiters.length);
    load.setOldestWaitSinceMs(worker, this.index, this.waiters.peek()?.waitingSinceMs ?? 0);
    load.markWaiting(worker, this.index, this.waiters.length > 0);
  }
}
