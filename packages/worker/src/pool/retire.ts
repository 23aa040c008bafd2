import { PgDogError, type PoolSnapshot, serverName } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { forgetCode } from './database-code.js';
import { isOwed } from './make-room.js';
import type { Pool } from './pool.js';

/** The configuration has this pool no more: it opens nothing, and ends with the last who uses it. Idempotent. */
export function retire(pool: Pool, epoch: number): void {
  if (pool.retiredEpoch === 0) pool.retiredEpoch = epoch;
  pool.context.hungryPools.delete(pool);
  for (const server of [...pool.all]) leaveServer(pool, server);
}

/** Whoever was on the way to it when it was retired: it opens nothing any more. */
export function goneError({ snapshot }: Pool): PgDogError {
  const { database } = snapshot;
  const text = `terminating connection: database "${database}" has ${serverName(snapshot)} no more`;
  return new PgDogError('access_removed', text, { hint: 'Reconnect.' });
}

/**
 * What its server connections are has changed (another password, database, setting): those of before end, the idle now,
 * the others when they come free.
 */
export function leaveOldVersions(pool: Pool): void {
  for (const server of [...pool.all]) if (server.version !== pool.version) leaveServer(pool, server);
}

/** A pool that has become smaller: of what is too much the idle end at once, the longest idle first. */
export function shrink(pool: Pool, before: PoolSnapshot): void {
  const { context, index, snapshot, idle, ending } = pool;
  const allowed = snapshot.poolSize + snapshot.reservePoolSize;
  if (allowed >= before.poolSize + before.reservePoolSize) return;
  let excess = context.memory.capacity.claimed(index) - allowed - ending.size;
  for (; excess > 0 && idle.length > 0; excess--) pool.close(idle[0]);
}

/**
 * Whether one of its limits has been lowered and is passed still: then what comes free ends. Asked until once it is not
 * so, in each epoch, and not settled by marking connections when the limit changes: those that are on their way between
 * workers in that moment are in nobody's hands. One at a time, for what ends counts until its server has let go of it.
 */
export function isBeyondLimits(pool: Pool): boolean {
  const { context, index, snapshot, ending } = pool;
  if (pool.limitsEpoch === context.config.epoch) return false;
  const { capacity } = context.memory;
  const isTooLarge = capacity.claimed(index) > snapshot.poolSize + snapshot.reservePoolSize;
  if (isTooLarge || capacity.freeInGroups(index) < 0) return ending.size === 0;
  pool.limitsEpoch = context.config.epoch;
  return false;
}

/** Free, and to be closed instead of given to anybody. Asked once each time that it comes free. */
export function isUnwanted(server: ServerConnection): boolean {
  const { pool, expiresMs, isDoomed } = server;
  const { context } = pool;
  const isExpired = expiresMs !== 0 && context.nowMs >= expiresMs;
  const isNotNeeded = (context.isDraining || pool.isPaused) && pool.waiters.length === 0;
  return isExpired || isNotNeeded || isDoomed || isBeyondLimits(pool) || isOwed(pool);
}

/** Idle: now. Else when it comes free. */
export function leaveServer(pool: Pool, server: ServerConnection): void {
  if (server.state === 'idle') pool.close(server);
  // Streams of replication have no end to wait for; they end with their client.
  else if (server.dedicatedTo === null) server.isDoomed = true;
}

/** Nobody uses the retired pool any more: neither a server connection nor a client is counted in it here. */
export function isLeft({ context, index, all, ending, waiters, opening }: Pool): boolean {
  if (all.size > 0 || ending.size > 0 || waiters.length > 0 || opening.isOpening) return false;
  return context.memory.capacity.clientsOf(context.worker, index) === 0;
}

/** Its number may be another pool's from now on: nothing is written to its rows after this. */
export function leave(pool: Pool): void {
  pool.publishLoad();
  pool.opening.forget();
  pool.row.leave();
  pool.context.pools.delete(pool.index);
  forgetCode(pool.context, pool.code);
}
