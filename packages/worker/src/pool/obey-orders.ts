import { HOLD_PAUSE, PgDogError } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { HOLDS, HOLDS_LOGINS } from '../session/holds.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import type { Pool } from './pool.js';

/** What the snapshot orders of pools and their clients. `epochBefore`: of the configuration this worker had before. */
export function obeyOrders(context: WorkerContext, epochBefore: number): void {
  for (const pool of context.pools.values()) takeUpOrders(pool);
  for (const database of killedSince(context, epochBefore)) kill(context, database);
  if (!context.holds.isOn) return;
  for (const { waiters, database } of context.clusters.values()) {
    recallAll(context, waiters, context.holds.of(database).holds);
  }
  for (const { waiters, snapshot } of context.pools.values()) {
    recallAll(context, waiters, context.holds.of(snapshot.database).holds);
  }
}

/** PAUSE and RECONNECT, for one pool. */
export function takeUpOrders(pool: Pool): void {
  const { holds } = pool.context.holds.of(pool.snapshot.database);
  pool.isPaused = (holds & HOLD_PAUSE) !== 0;
  for (const server of [...pool.all]) doomIfOld(server);
  for (const server of [...pool.idle]) if (pool.isPaused || server.isDoomed) pool.close(server);
}

/** It was opened before RECONNECT was ordered: nobody gets it any more. */
export function doomIfOld(server: ServerConnection): void {
  const { pool, openedEpoch } = server;
  if (openedEpoch < pool.context.holds.of(pool.snapshot.database).reconnectEpoch) server.isDoomed = true;
}

/**
 * Those that queue before their transaction wait where no time-out counts. Now and not when a server connection comes
 * for each: the first would pass it on to the second within its own call, and so on, as deep as the queue is long. Legs
 * of transactions under way stay, as these are to come to their end, and logins that are not held keep their places.
 */
function recallAll(context: WorkerContext, waiters: Pool['waiters'], holds: number): void {
  if ((holds & HOLDS) === 0) return;
  const areLoginsHeld = (holds & HOLDS_LOGINS) !== 0;
  const recalled: Session[] = [];
  for (let index = 0; index < waiters.length; index++) {
    const session = waiters.at(index);
    if (session?.isLeg === false && (areLoginsHeld || session.phase !== 'login')) recalled.push(session);
  }
  for (const session of recalled) if (session.waitingSinceMs !== 0) context.holds.recall(session);
}

/** Databases for which KILL was ordered since then. */
function killedSince(context: WorkerContext, epochBefore: number): Set<string> {
  const names = new Set<string>();
  context.sessions.forEach(({ database, isAdmin }) => {
    if (!isAdmin) names.add(database);
  });
  for (const { snapshot } of context.pools.values()) names.add(snapshot.database);
  for (const name of names) if (context.holds.of(name).killEpoch <= epochBefore) names.delete(name);
  return names;
}

/** Clients first, so that nobody is told of a lost server; then all that serves nobody. */
function kill(context: WorkerContext, database: string): void {
  context.sessions.forEach((session) => {
    const isOurs = session.database === database && !session.isAdmin;
    if (isOurs && (session.phase === 'ready' || session.phase === 'login')) session.fail(killed());
  });
  for (const pool of context.pools.values()) {
    if (pool.snapshot.database !== database) continue;
    for (const server of [...pool.all]) {
      // On its way to another worker, or not logged in: it ends when that has ended.
      if (server.state === 'connecting' || server.state === 'lending') server.isDoomed = true;
      else cutServer(pool, server);
    }
  }
}

function cutServer(pool: Pool, server: ServerConnection): void {
  const { session } = server;
  const isInsideFrame = server.stream.isInsideFrame;
  if (session !== null) pool.detach(server);
  pool.row.forceClosed();
  pool.closeCancelled(server);
  session?.fail(killed(), isInsideFrame);
}

export function killed(): PgDogError {
  return new PgDogError('session_killed', 'admin forced disconnect');
}
