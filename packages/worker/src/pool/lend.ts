import { waitedMs } from '@pgdog-cluster/core';
import { packServer, unpackServer } from '../backend/parcel.js';
import { ServerConnection } from '../backend/server-connection.js';
import type { Pool } from './pool.js';
import { isUnwanted } from './retire.js';

/**
 * Another worker's oldest waiter is served ahead of our own when it has waited this much longer, and more than
 * twice as long. The second half keeps connections where they are while all workers queue alike: a hand-over
 * costs as much as some queries.
 */
const CLEARLY_OLDER_MS = 20;
/**
 * The state of TLS cannot move: such a connection is closed and its place given to the other worker, which connects
 * and shakes hands anew. That costs milliseconds, so it needs waiters that have waited for some.
 */
const PLACE_AFTER_MS = 50;
const PLACE_CLEARLY_OLDER_MS = 250;

/** No capacity is left and clients wait: asks the worker with most idle connections for one. */
export function wishForServer(pool: Pool): void {
  const { context } = pool;
  const lender = context.memory.load.mostIdleWorker(pool.index, context.worker);
  if (lender < 0) return;
  context.post(lender, { type: 'lendRequest', pool: pool.index, fromWorker: context.worker });
}

/** Whether a connection that has just become free belongs to another worker's waiter. */
export function shouldGiveAway(pool: Pool, hasTls: boolean): boolean {
  const { load } = pool.context.memory;
  const ownWaiter = pool.waiters.peek();
  const waitingWorkers = load.workersWaiting(pool.index);
  if (waitingWorkers === 0 || (ownWaiter !== undefined && waitingWorkers === 1)) return false;
  const other = load.oldestWaiter(pool.index, pool.context.worker);
  if (other < 0) return false;
  const otherWaited = waitedMs(load.oldestSinceMs, pool.context.nowMs);
  if (ownWaiter === undefined) return !hasTls || otherWaited >= PLACE_AFTER_MS;
  const ownWaited = pool.context.nowMs - ownWaiter.waitingSinceMs;
  return otherWaited > 2 * ownWaited + (hasTls ? PLACE_CLEARLY_OLDER_MS : CLEARLY_OLDER_MS);
}

/** Sends a free connection to the worker whose client waits longest. See docs/internals/connection-hand-over.md. */
export function giveAway(pool: Pool, server: ServerConnection): void {
  const { load } = pool.context.memory;
  const target = load.oldestWaiter(pool.index, pool.context.worker);
  if (target < 0) {
    keep(pool, server);
    return;
  }
  hand(pool, server, target);
}

/** Another worker asks. What is idle and not needed here goes there. */
export function lendTo(pool: Pool, target: number): void {
  if (pool.waiters.length > 0) return;
  const next = pool.idle[pool.idle.length - 1];
  // Not for one that has only just begun to wait; it asks again.
  if (next === undefined || (next.connection.hasFilter && !shouldGiveAway(pool, true))) return;
  const server = pool.idle.pop();
  if (server !== undefined) hand(pool, server, target);
}

function hand(pool: Pool, server: ServerConnection, target: number): void {
  if (server.connection.hasFilter) {
    handPlace(pool, server, target);
    return;
  }
  const state = packServer(server);
  if (state === null) {
    // It has too many statements to be described in a message. Whoever waits there would do so beside idle ones here.
    if (shouldGiveAway(pool, true)) handPlace(pool, server, target);
    else keep(pool, server);
    return;
  }
  server.state = 'lending';
  pool.publishLoad();
  server.onReleased = () => deliver(pool, server, target, state);
  server.connection.release();
}

/** The kernel holds nothing of the descriptor any more: it can change hands, or come back. */
function deliver(pool: Pool, server: ServerConnection, target: number, state: Uint8Array): void {
  const { context } = pool;
  const { fd } = server.connection;
  pool.all.delete(server);
  const isClean = server.stream.isAtBoundary && server.pending.length === 0 && !server.isDoomed;
  const isPosted =
    isClean &&
    context.post(target, { type: 'adopt', pool: pool.index, fd, fromWorker: context.worker, state }, () =>
      context.memory.capacity.moveClaim(pool.index, context.worker, target),
    );
  server.state = 'closed';
  server.stream.stop();
  if (isPosted) pool.row.lent();
  else takeBack(server, state, isClean);
  pool.publishLoad();
  if (pool.waiters.length > 0) pool.opening.want();
}

/**
 * Not taken, or it said something meanwhile that nobody asked for: then it ends, and counts until the server has
 * let go of it too. So does one that has lost its use meanwhile (PAUSE, the end of its time). It is not offered once more:
 * that would go to and fro for as long as the other worker takes nothing.
 */
function takeBack(before: ServerConnection, state: Uint8Array, isClean: boolean): void {
  const { pool } = before;
  const server = new ServerConnection(pool.context, pool, before.connection.fd);
  pool.all.add(server);
  unpackServer(server, state);
  server.idleSinceMs = before.idleSinceMs;
  server.provenMs = before.provenMs;
  server.state = 'cleaning';
  if (isClean && !isUnwanted(server)) keep(pool, server);
  else pool.close(server);
}

/** In place of the connection: it is closed, and when the server has let go of it the other worker may open one. */
function handPlace(pool: Pool, server: ServerConnection, target: number): void {
  server.state = 'lending';
  server.placeFor = target;
  pool.close(server);
}

/**
 * A server connection has ended: its claim goes to the worker it was closed for, or back. Moved and not given back
 * and taken again, so that nobody comes in between and no limit is exceeded.
 */
export function givePlaceBack(pool: Pool, target: number): void {
  const { context, index } = pool;
  const { capacity } = context.memory;
  const isMoved =
    target >= 0 &&
    context.post(target, { type: 'adoptPlace', pool: index, fromWorker: context.worker }, () =>
      capacity.moveClaim(index, context.worker, target),
    );
  if (!isMoved) capacity.giveBack(context.worker, index);
}

/** Stays after all. */
function keep(pool: Pool, server: ServerConnection): void {
  pool.keepFree(server);
}
