import {
  type ClaimResult,
  DATABASE_FULL,
  type EvictMessage,
  POOL_FULL,
  TOTAL_FULL,
  UNLIMITED,
  USER_FULL,
  waitedMs,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { WorkerContext } from '../worker-context.js';
import type { Pool } from './pool.js';

/** A pool asks others for room at most this often. */
const ASK_AGAIN_MS = 50;
/** After so long in the queue idle connections of others are not the only ones that have to go. */
const STARVED_MS = 100;
/** A connection that was asked for and did not come free by then is kept. */
const OWED_MS = 1000;
/** Connections asked for at once. */
const EVICT_MAX = 16;

/**
 * A limit over several pools (of a database, a user, all) keeps this one from opening a connection, while others
 * have some that they do not use. Those are closed, the longest idle first; without it whoever came first would keep
 * the limit's places for ever. When all are in use and a client here has waited long, the pool that has most
 * gives up one at its next check-in, until shares are about equal.
 */
export function makeRoom(pool: Pool, refusal: ClaimResult): void {
  const { context } = pool;
  const { load } = context.memory;
  pool.refusedBy = refusal;
  // A server that fails is tried by one worker, for the clients of all.
  const ownCount = pool.waiters.length;
  if (ownCount === 0 && !(pool.opening.isFailing && load.workersWaiting(pool.index) > 0)) return;
  if (refusal === POOL_FULL) {
    context.hungryPools.delete(pool);
    return;
  }
  if (ownCount > 0) context.hungryPools.add(pool);
  if (context.nowMs - pool.askedForRoomMs < ASK_AGAIN_MS) return;
  pool.askedForRoomMs = context.nowMs;
  const count = Math.min(EVICT_MAX, Math.max(ownCount, 1) - pool.opening.connectingCount);
  if (count <= 0) return;
  const others = poolsUnder(pool, refusal);
  if (askIdle(context, others, count)) return;
  const hasWaiter = load.oldestWaiter(pool.index, -1) >= 0;
  if (hasWaiter && waitedMs(load.oldestSinceMs, context.nowMs) > STARVED_MS) askBusy(pool, others);
}

/** Other pools have all places under a limit that this one is counted in too, and it has none. */
export function isCrowdedOut({ context, index }: Pool): boolean {
  const { capacity } = context.memory;
  return capacity.claimed(index) === 0 && capacity.freeInGroups(index) <= 0;
}

/** Which limit keeps the pool's clients waiting, with its value. */
export function limitText({ refusedBy, snapshot, context }: Pool): string {
  if (refusedBy === DATABASE_FULL) return `max_db_connections = ${snapshot.databaseServersMax}`;
  if (refusedBy === USER_FULL) return `max_user_connections = ${snapshot.userServersMax}`;
  if (refusedBy === TOTAL_FULL) return `max_server_conn = ${context.memory.capacity.totalLimit()}`;
  const { poolSize, reservePoolSize } = snapshot;
  return reservePoolSize === 0
    ? `pool_size = ${poolSize}`
    : `pool_size = ${poolSize}, reserve_pool_size = ${reservePoolSize}`;
}

/** Whether clients of another pool wait for a place under a limit that this one is counted in too. */
export function isRoomWanted(pool: Pool): boolean {
  const { capacity, load } = pool.context.memory;
  const isLimited =
    capacity.databaseLimitOf(pool.index) > 0 ||
    capacity.userLimitOf(pool.index) > 0 ||
    capacity.totalLimit() > 0;
  if (!isLimited) return false;
  return pool.context.config.pools.some(
    ({ index }) => index !== pool.index && load.workersWaiting(index) > 0 && isLimitShared(pool, index),
  );
}

/**
 * Whether the last places under a limit over several pools belong to others, whose clients wait longer. Without it a
 * pool that has just made room would take the place back, being the first to know of it. Clients that hold others meanwhile go
 * before any that hold none: what they hold comes free only when they have got it (held-waits.ts).
 */
export function mustYield(pool: Pool): boolean {
  const { capacity, load, held } = pool.context.memory;
  const freeCount = capacity.freeInGroups(pool.index);
  if (freeCount === UNLIMITED) return false;
  const hasHolders = held.heldInPool(pool.index) > 0;
  load.oldestWaiter(pool.index, -1);
  const ownSinceMs = load.oldestSinceMs;
  let olderCount = 0;
  for (const { index } of pool.context.config.pools) {
    if (index === pool.index || load.workersWaiting(index) === 0 || !isLimitShared(pool, index)) continue;
    // One that is full itself, whose server does not answer or that another limit stops has no use for a place.
    if (capacity.claimed(index) >= capacity.limit(index) || load.hasProber(index)) continue;
    if (capacity.freeInGroups(index) <= 0) continue;
    const otherHasHolders = held.heldInPool(index) > 0;
    if (otherHasHolders !== hasHolders) {
      if (otherHasHolders) olderCount++;
      continue;
    }
    const hasWaiter = load.oldestWaiter(index, -1) >= 0;
    if (hasWaiter && (ownSinceMs === 0 || waitedMs(load.oldestSinceMs, ownSinceMs) > 0)) olderCount++;
  }
  return olderCount >= freeCount && olderCount > 0;
}

function isLimitShared(pool: Pool, other: number): boolean {
  const { capacity } = pool.context.memory;
  if (capacity.totalLimit() > 0) return true;
  if (capacity.databaseLimitOf(pool.index) > 0 && capacity.isSameDatabase(pool.index, other)) return true;
  return capacity.userLimitOf(pool.index) > 0 && capacity.isSameUser(pool.index, other);
}

/** A place has been given back here: who waits for one of another pool's looks at once. */
export function placeCameFree({ pool, isGivenBack }: ServerConnection): void {
  feedHungry(pool.context);
  if (isGivenBack) pool.context.sharded.heldWaits.cameFree(pool);
}

export function feedHungry(context: WorkerContext): void {
  if (context.hungryPools.size === 0) return;
  for (const pool of [...context.hungryPools]) {
    if (pool.waiters.length === 0) context.hungryPools.delete(pool);
    else pool.opening.want();
  }
}

/** Another worker's pool needs room. */
export function evictFor(context: WorkerContext, message: EvictMessage): void {
  const pool = context.pools.get(message.pool);
  if (pool === undefined) return;
  let left = Math.min(message.count, EVICT_MAX);
  for (; left > 0 && pool.idle.length > 0; left--) pool.close(pool.idle[0]);
  if (left > 0 && message.isFirm) pool.owedUntilMs = context.nowMs + OWED_MS;
}

/** Whether the connection that has just come free must make room; asked once for each request. */
export function isOwed(pool: Pool): boolean {
  if (pool.owedUntilMs === 0) return false;
  const isDue = pool.context.nowMs <= pool.owedUntilMs;
  pool.owedUntilMs = 0;
  return isDue;
}

/** The other pools counted in the limit that refused. */
function poolsUnder(pool: Pool, refusal: ClaimResult): number[] {
  const { capacity } = pool.context.memory;
  const indexes: number[] = [];
  for (const { index } of pool.context.config.pools) {
    if (index === pool.index) continue;
    if (refusal === DATABASE_FULL && !capacity.isSameDatabase(index, pool.index)) continue;
    if (refusal === USER_FULL && !capacity.isSameUser(index, pool.index)) continue;
    indexes.push(index);
  }
  return indexes;
}

/** True: somebody has idle ones, and was asked. */
function askIdle(context: WorkerContext, others: readonly number[], wanted: number): boolean {
  const { load } = context.memory;
  let left = wanted;
  for (const pool of others) {
    for (let worker = load.mostIdleWorker(pool, -1); worker >= 0 && left > 0; worker = -1) {
      const count = Math.min(left, load.idle(worker, pool));
      if (ask(context, worker, { type: 'evict', pool, count, isFirm: false })) left -= count;
    }
    if (left === 0) break;
  }
  return left < wanted;
}

/** The pool with most connections gives up one, if it would still have as many as this one gets. */
function askBusy(pool: Pool, others: readonly number[]): void {
  const { context } = pool;
  const { capacity, load, handles } = context.memory;
  const own = capacity.claimed(pool.index);
  let richest = -1;
  for (const index of others) {
    if (richest < 0 || capacity.claimed(index) > capacity.claimed(richest)) richest = index;
  }
  if (richest < 0 || capacity.claimed(richest) < (own === 0 ? 1 : own + 2)) return;
  let target = -1;
  for (let worker = 0; worker < handles.dimensions.workers; worker++) {
    if (target < 0 || load.active(worker, richest) > load.active(target, richest)) target = worker;
  }
  ask(context, target, { type: 'evict', pool: richest, count: 1, isFirm: true });
}

function ask(context: WorkerContext, worker: number, message: EvictMessage): boolean {
  if (worker !== context.worker) return context.post(worker, message);
  evictFor(context, message);
  return true;
}
