import { buildNoticeResponse, PgDogError, READY, serverName } from '@pgdog-cluster/core';
import { cancelOnServer } from '../backend/cancel.js';
import { checkCleaning } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { followAtRest } from '../follow.js';
import type { Session } from '../session/session.js';
import { restMsOf, stateOfSession } from '../session/session-state.js';
import type { WorkerContext } from '../worker-context.js';
import { checkOverdue, startCheck } from './check-server.js';
import { wishForServer } from './lend.js';
import { isRoomWanted, limitText } from './make-room.js';
import type { Pool } from './pool.js';
import { isBeyondLimits } from './retire.js';

/** How often pools are looked after; what a client's time-out may be late. */
export const POOL_CHECK_MS = 50;
/** Sessions are many and their time-outs long. */
export const SESSION_CHECK_MS = 500;
/**
 * How long a server may take to end a connection before its place is given to another all the same. Long: until then
 * it counts the connection, and so must we; not for ever: a host without power never ends anything.
 */
const ENDING_MS = 10_000;
/** Connects under way to a host at which none is begun for a pool's minimum only. */
const KEEPING_MAX = 16;
/** Free pages of the kernel's memory go back to the system. */
export const TRIM_MS = 5000;

/**
 * Time-outs, found by looking at start times that stand in queues and connections anyway. A pool has at most its
 * size of server connections, and of the queue only the head is looked at.
 */
export function checkPools(context: WorkerContext): void {
  for (const cluster of context.clusters.values()) cluster.checkWaiters();
  noteConnecting(context);
  for (const pool of context.pools.values()) {
    checkWaiters(pool);
    for (const server of pool.all) checkServer(pool, server);
    checkEnding(pool);
    if (pool.waiters.length > 0) {
      // Capacity may have been given back by another worker, or a wish have come to nothing.
      pool.opening.want();
      openReserve(pool);
      if (pool.waiters.length > 0 && !pool.opening.isOpening) wishForServer(pool);
    } else keepMinimum(pool);
    if (!context.isDraining && !pool.isPaused) pool.opening.probe();
  }
  for (const waiter of context.sharded.heldWaits.overdue()) {
    if (waiter.pool !== null) refuseOverdue(waiter.pool, waiter);
  }
  context.sharded.heldWaits.check();
}

function checkWaiters(pool: Pool): void {
  const { context } = pool;
  const { checkoutTimeoutMs } = pool.snapshot;
  tellWaiters(pool);
  if (checkoutTimeoutMs === 0) return;
  for (let waiter = pool.waiters.peek(); waiter !== undefined; waiter = pool.waiters.peek()) {
    if (context.nowMs - waiter.waitingSinceMs < checkoutTimeoutMs) return;
    refuseOverdue(pool, waiter);
  }
}

function refuseOverdue(pool: Pool, waiter: Session): void {
  const { database, user, checkoutTimeoutMs } = pool.snapshot;
  pool.row.checkoutTimeout();
  const { cause } = pool.opening;
  const text = `checkout timeout: no server connection for user "${user}" and database "${database}" in ${checkoutTimeoutMs} ms (${limitText(pool)})`;
  pool.refuseWaiter(
    waiter,
    cause === null
      ? new PgDogError('checkout_timeout', text)
      : new PgDogError('checkout_timeout', `${text}; last error: ${cause.message}`, { hint: cause.hint }),
  );
}

/** A NOTICE for those that wait long; they stand at the head of the queue. */
function tellWaiters(pool: Pool): void {
  const { nowMs, config } = pool.context;
  const { queryWaitNotifyMs } = config.general;
  if (queryWaitNotifyMs === 0) return;
  for (let index = 0; index < pool.waiters.length; index++) {
    const waiter = pool.waiters.at(index);
    if (waiter === undefined || nowMs - waiter.waitingSinceMs < queryWaitNotifyMs) return;
    if (waiter.toldWaitMs === waiter.waitingSinceMs) continue;
    waiter.toldWaitMs = waiter.waitingSinceMs;
    if (waiter.phase === 'ready') waiter.send(waitNotice(pool));
  }
}

function waitNotice(pool: Pool): Uint8Array {
  const { database, user } = pool.snapshot;
  return buildNoticeResponse({
    severity: 'NOTICE',
    sqlstate: '00000',
    message: `waiting for a server connection of user "${user}" and database "${database}" (${limitText(pool)})`,
  });
}

/** One at a time, for a client that the ordinary connections have left waiting (reserve_pool_size). */
function openReserve(pool: Pool): void {
  const { context, snapshot } = pool;
  const oldest = pool.waiters.peek();
  if (snapshot.reservePoolSize === 0 || oldest === undefined || pool.opening.isOpening) return;
  const waitedMs = context.nowMs - oldest.waitingSinceMs;
  if (waitedMs >= context.config.general.reservePoolTimeoutMs) pool.opening.tryOpen(true);
}

/** A server that does not end what we ended: its place is given to another, and the limit may be passed on its side. */
function checkEnding(pool: Pool): void {
  if (pool.ending.size === 0) return;
  const { context } = pool;
  for (const server of pool.ending) {
    if (context.nowMs - server.closedMs <= ENDING_MS) continue;
    const { host, port, database } = pool.snapshot;
    const text = `server did not end a closed connection in ${ENDING_MS} ms: its place is used again`;
    context.log('warn', 'server_not_ended', text, { host, port, database, remotePid: server.remotePid });
    pool.ended(server);
  }
}

function checkServer(pool: Pool, server: ServerConnection): void {
  const { context } = pool;
  const { nowMs } = context;
  const { general } = context.config;
  if (server.state === 'connecting') {
    if (general.connectTimeoutMs > 0 && nowMs - server.createdMs > general.connectTimeoutMs) {
      pool.opening.failed(
        server,
        new PgDogError(
          'server_unreachable',
          `connect to ${serverName(pool.snapshot)} timed out after ${general.connectTimeoutMs} ms`,
        ),
      );
    }
  } else if (server.state === 'cleaning') checkCleaning(server, nowMs);
  else if (server.state === 'testing') checkOverdue(server, nowMs);
  else if (server.state === 'idle') checkIdle(pool, server);
  else if (server.state === 'active') checkActive(pool, server);
}

function checkIdle(pool: Pool, server: ServerConnection): void {
  const { context, snapshot } = pool;
  const { nowMs } = context;
  const { reservePoolTimeoutMs, idleHealthcheckIntervalMs } = context.config.general;
  if (server.isDoomed || (server.expiresMs !== 0 && nowMs >= server.expiresMs)) {
    pool.close(server);
    return;
  }
  const idleMs = nowMs - server.idleSinceMs;
  const { capacity } = context.memory;
  const isOld = snapshot.idleTimeoutMs > 0 && idleMs > snapshot.idleTimeoutMs;
  // One of the reserve, or of a pool that was larger: not needed any more.
  const isBeyond = idleMs > reservePoolTimeoutMs && capacity.claimed(pool.index) > capacity.limit(pool.index);
  if (isBeyond || isBeyondLimits(pool) || (isOld && capacity.claimed(pool.index) > snapshot.minPoolSize)) {
    pool.close(server);
    return;
  }
  if (idleHealthcheckIntervalMs === 0 || nowMs - server.provenMs < idleHealthcheckIntervalMs) return;
  pool.idle.splice(pool.idle.indexOf(server), 1);
  startCheck(server);
}

/** What a client may not exceed on a server connection. */
function checkActive(pool: Pool, server: ServerConnection): void {
  const { context } = pool;
  const { session } = server;
  if (session === null || context.holds.has(session)) return;
  // A stream of replication or a base backup takes as long as it takes.
  if (server.dedicatedTo !== null && server.pending.length > 0) return;
  const { nowMs, nowUs } = context;
  const { queryTimeoutMs, transactionTimeoutMs, clientIdleInTransactionTimeoutMs } = pool.snapshot;
  const isRunning = server.pending.length > 0;
  if (isRunning && queryTimeoutMs > 0 && nowMs - server.requestSinceMs > queryTimeoutMs) {
    cutOff(server, session, new PgDogError('query_timeout', `query timeout (${queryTimeoutMs} ms)`));
    return;
  }
  const isLong =
    transactionTimeoutMs > 0 &&
    session.transactionSinceUs !== 0 &&
    nowUs - session.transactionSinceUs > transactionTimeoutMs * 1000;
  if (isLong) {
    const text = `terminating connection due to transaction timeout (${transactionTimeoutMs} ms)`;
    cutOff(server, session, new PgDogError('transaction_timeout', text));
    return;
  }
  const isInTransaction = server.readyStatus !== READY.Idle || server.isBatchOpen || server.isFrameOpen;
  if (isRunning || !isInTransaction || clientIdleInTransactionTimeoutMs === 0) return;
  // Behind a Flush what has been answered is not over.
  const restMs = Math.min(restMsOf(session), nowMs - server.lastReceivedMs);
  if (session.isAskingElsewhere || restMs <= clientIdleInTransactionTimeoutMs) return;
  const text = `disconnecting idle in transaction client (${clientIdleInTransactionTimeoutMs} ms)`;
  session.fail(new PgDogError('idle_in_transaction_timeout', text));
}

/** The client is told and let go; what runs on the server is cancelled and the connection closed, or rolled back. */
function cutOff(server: ServerConnection, session: Session, error: PgDogError): void {
  const isInsideFrame = server.stream.isInsideFrame;
  if (server.pending.length > 0) {
    const { pool } = server;
    pool.context.slow.left(server);
    cancelOnServer(server);
    pool.detach(server);
    pool.row.forceClosed();
    pool.close(server);
  }
  session.fail(error, isInsideFrame);
}

/** Connects under way by host, filled anew for each look at the pools. */
const connecting = new Map<number, number>();

function noteConnecting({ pools }: WorkerContext): void {
  connecting.clear();
  for (const { opening, snapshot } of pools.values()) {
    if (opening.isOpening) countConnecting(snapshot.hostIndex, opening.connectingCount);
  }
}

function countConnecting(host: number, count: number): void {
  connecting.set(host, (connecting.get(host) ?? 0) + count);
}

/**
 * min_pool_size is kept by one worker of each pool, so that N of them do not open N times as many. Thousands of pools on
 * one host get theirs a few at a time: nobody waits for these.
 */
function keepMinimum(pool: Pool): void {
  const { context, snapshot } = pool;
  if (context.isDraining || pool.isPaused || snapshot.minPoolSize === 0 || pool.opening.isOpening) return;
  if (!context.arrivals.homes.isKeeper(snapshot) || pool.credentials.isWaitingForProof) return;
  if (context.memory.capacity.claimed(snapshot.index) >= snapshot.minPoolSize) return;
  if ((connecting.get(snapshot.hostIndex) ?? 0) >= KEEPING_MAX || isRoomWanted(pool)) return;
  if (pool.opening.tryOpen()) countConnecting(snapshot.hostIndex, 1);
}

/** Login and idle time-outs of clients. */
export function checkSessions(context: WorkerContext): void {
  const { general } = context.config;
  const { clientLoginTimeoutMs } = general;
  context.pubSub.check();
  context.sessions.forEach((session) => {
    if (session.isStale) followAtRest(session);
    if (context.holds.has(session)) return;
    if (session.phase !== 'ready') {
      const isLate = clientLoginTimeoutMs > 0 && context.nowMs - session.connectedMs > clientLoginTimeoutMs;
      if (isLate && session.phase !== 'closed') {
        session.fail(new PgDogError('login_timeout', `client login timeout (${clientLoginTimeoutMs} ms)`));
      }
      return;
    }
    checkHeld(session);
    const timeoutMs = session.pool?.snapshot.clientIdleTimeoutMs ?? general.clientIdleTimeoutMs;
    if (timeoutMs === 0 || !isIdleFor(session, timeoutMs)) return;
    session.fail(new PgDogError('idle_timeout', `disconnecting idle client (${timeoutMs} ms)`));
  });
}

/** A transaction that no server knows of yet keeps nothing; it is idle all the same. */
function checkHeld(session: Session): void {
  const limitMs = session.pool?.snapshot.clientIdleInTransactionTimeoutMs ?? 0;
  if (limitMs === 0 || session.router?.held == null || session.waitingSinceMs !== 0) return;
  if (restMsOf(session) <= limitMs) return;
  const text = `disconnecting idle in transaction client (${limitMs} ms)`;
  session.fail(new PgDogError('idle_in_transaction_timeout', text));
}

function isIdleFor(session: Session, timeoutMs: number): boolean {
  return stateOfSession(session) === 'idle' && restMsOf(session) > timeoutMs;
}
