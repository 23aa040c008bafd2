import { PgDogError, type PoolSnapshot, READY, serverName } from '@pgdog-cluster/core';
import { cancelOnServer } from '../backend/cancel.js';
import { checkCleaning } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { wishForServer } from './lend.js';
import type { Pool } from './pool.js';

/** How often pools are looked after; what a client's time-out may be late. */
export const POOL_CHECK_MS = 50;
/** Sessions are many and their time-outs long. */
export const SESSION_CHECK_MS = 500;
/** Free pages of the kernel's memory go back to the system. */
export const TRIM_MS = 5000;

/**
 * Time-outs, found by looking at start times that stand in queues and connections anyway. A pool has at most its
 * size of server connections, and of the queue only the head is looked at.
 */
export function checkPools(context: WorkerContext): void {
  for (const pool of context.pools.values()) {
    checkWaiters(pool);
    for (const server of pool.all) checkServer(pool, server);
    if (pool.waiters.length > 0) {
      // Capacity may have been given back by another worker, or a wish have come to nothing.
      pool.opening.want();
      if (pool.waiters.length > 0 && !pool.opening.isOpening) wishForServer(pool);
    } else keepMinimum(pool);
  }
}

function checkWaiters(pool: Pool): void {
  const { context } = pool;
  const { checkoutTimeoutMs } = context.config.general;
  if (checkoutTimeoutMs === 0) return;
  for (let waiter = pool.waiters.peek(); waiter !== undefined; waiter = pool.waiters.peek()) {
    if (context.nowMs - waiter.waitingSinceMs < checkoutTimeoutMs) return;
    pool.row.checkoutTimeout();
    const { cause } = pool.opening;
    const { database, user, poolSize } = pool.snapshot;
    const text = `checkout timeout: no server connection for user "${user}" and database "${database}" in ${checkoutTimeoutMs} ms (pool_size = ${poolSize})`;
    pool.refuseWaiter(
      waiter,
      cause === null
        ? new PgDogError('checkout_timeout', text)
        : new PgDogError('checkout_timeout', `${text}; last error: ${cause.message}`, { hint: cause.hint }),
    );
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
  else if (server.state === 'idle') checkIdle(pool, server);
  else if (server.state === 'active') checkActive(pool, server);
}

function checkIdle(pool: Pool, server: ServerConnection): void {
  const { context, snapshot } = pool;
  const { nowMs } = context;
  if (server.isDoomed || (server.expiresMs !== 0 && nowMs >= server.expiresMs)) {
    pool.close(server);
    return;
  }
  const isOld = snapshot.idleTimeoutMs > 0 && nowMs - server.idleSinceMs > snapshot.idleTimeoutMs;
  if (isOld && context.memory.capacity.claimed(pool.index) > snapshot.minPoolSize) pool.close(server);
}

function checkActive(pool: Pool, server: ServerConnection): void {
  const { nowMs, config } = pool.context;
  const { queryTimeoutMs, clientIdleInTransactionTimeoutMs } = config.general;
  const { session } = server;
  if (session === null) return;
  if (server.pending.length > 0) {
    // A stream of replication or a base backup takes as long as it takes.
    if (server.dedicatedTo !== null) return;
    if (queryTimeoutMs === 0 || nowMs - server.requestSinceMs <= queryTimeoutMs) return;
    // The client is told and let go; what runs on the server is cancelled and the connection closed.
    cancelOnServer(server);
    pool.detach(server);
    pool.row.forceClosed();
    pool.close(server);
    session.fail(new PgDogError('query_timeout'), server.stream.isInsideFrame);
    return;
  }
  const isInTransaction = server.readyStatus !== READY.Idle || server.isBatchOpen || server.isFrameOpen;
  if (!isInTransaction || clientIdleInTransactionTimeoutMs === 0) return;
  if (nowMs - session.lastActivityMs > clientIdleInTransactionTimeoutMs) {
    session.fail(new PgDogError('idle_in_transaction_timeout'));
  }
}

/** min_pool_size is kept by one worker of each pool, so that N of them do not open N times as many. */
function keepMinimum(pool: Pool): void {
  const { context, snapshot } = pool;
  if (context.isDraining || snapshot.minPoolSize === 0 || pool.opening.isOpening) return;
  if (!isKeeper(context, snapshot) || pool.credentials.isWaitingForProof) return;
  if (context.memory.capacity.claimed(snapshot.index) < snapshot.minPoolSize) pool.opening.tryOpen();
}

/** Whether this worker keeps the pool's minimum. */
export function isKeeper(context: WorkerContext, snapshot: PoolSnapshot): boolean {
  return snapshot.index % context.memory.handles.dimensions.workers === context.worker;
}

/** Login and idle time-outs of clients. */
export function checkSessions(context: WorkerContext): void {
  const { clientLoginTimeoutMs, clientIdleTimeoutMs } = context.config.general;
  context.sessions.forEach((session) => {
    if (session.phase !== 'ready') {
      const isLate = clientLoginTimeoutMs > 0 && context.nowMs - session.connectedMs > clientLoginTimeoutMs;
      if (isLate && session.phase !== 'closed') session.fail(new PgDogError('login_timeout'));
    } else if (clientIdleTimeoutMs > 0 && isIdleFor(session, clientIdleTimeoutMs)) {
      session.fail(new PgDogError('idle_timeout'));
    }
  });
}

function isIdleFor(session: Session, timeoutMs: number): boolean {
  return session.state === 'idle' && session.context.nowMs - session.lastActivityMs > timeoutMs;
}
