/** What becomes of clients whose pools, hosts or rights are others by a new configuration. */
import { clusterKeyOf, PgDogError } from '@pgdog-cluster/core';
import type { Pool } from './pool/pool.js';
import { SessionRouter } from './route/session-router.js';
import { moveHomePool } from './session/client-places.js';
import { isBusy } from './session/is-busy.js';
import type { Session } from './session/session.js';
import type { WorkerContext } from './worker-context.js';

export interface FollowedChange {
  /** Pools here that have changed or are gone. */
  pools: readonly Pool[];
  isTouched: (database: string) => boolean;
  /** Whether it has another number of shards than before. */
  isReshaped: (database: string) => boolean;
}

/**
 * After pools and clusters have been taken up. Who may still be where it is goes on: with another pool, if its own is gone.
 * Who may not is told so between two transactions.
 */
export function followConfiguration(context: WorkerContext, change: FollowedChange): void {
  const { pools, isTouched, isReshaped } = change;
  const retired = pools.filter(({ retiredEpoch }) => retiredEpoch !== 0);
  const isAffected = pools.some((pool) => isReshaped(pool.snapshot.database) || isNewlyRouted(pool));
  // One that was to leave may be allowed here again.
  if (retired.length === 0 && !isAffected && !context.hasOutdated) return;
  context.hasOutdated = false;
  for (const pool of retired) emptyQueue(pool);
  context.sessions.forEach((session) => {
    // Not logged in yet: it finds the new configuration when it does.
    if (session.homePool === null || session.phase === 'closed') return;
    if (isTouched(session.database)) {
      session.outdated = whyOutdated(session, isReshaped) ?? whyStillOutdated(session);
      session.isStale = true;
      if (session.outdated === null) moveToPool(session);
      followAtRest(session);
    }
    if (session.outdated !== null) context.hasOutdated = true;
  });
}

/** Between two transactions: ends it, or lets it choose among hosts that have come to be several. */
export function followAtRest(session: Session): void {
  const { outdated, server, router, context } = session;
  if (outdated !== null) {
    // Streams of replication have no end of a transaction to wait for.
    if (isBusy(session) && session.dedicatedParameters === null) return;
    // The answer that has just ended comes before the last words.
    server?.relay.flushRun();
    session.fail(outdated);
    return;
  }
  session.isStale = false;
  // One that keeps its server connection, or is replicating, stays where it is.
  if (router !== null || session.isSessionMode || session.dedicatedParameters !== null) return;
  const cluster = context.clusterFor(session.database, session.user);
  if (cluster === null) return;
  const isAtRest =
    session.phase === 'ready' &&
    server === null &&
    session.waitingSinceMs === 0 &&
    session.stream.isAtBoundary;
  if (isAtRest) session.router = new SessionRouter(session, cluster);
  else session.isStale = true;
}

function isNewlyRouted({ context, cluster, snapshot }: Pool): boolean {
  if (cluster !== null) return false;
  return context.directory.cluster(snapshot.database, snapshot.user, snapshot.shard)?.isRouted === true;
}

function whyOutdated(session: Session, isReshaped: (database: string) => boolean): PgDogError | null {
  const { directory } = session.context;
  const { database, user } = session;
  if (directory.pool(database, user) === null) {
    const what =
      directory.database(database) === null
        ? `database "${database}" is not configured any more`
        : `user "${user}" has no access to database "${database}" any more`;
    return new PgDogError('access_removed', `terminating connection: ${what}`);
  }
  if (!isReshaped(database)) return null;
  const text = `terminating connection: database "${database}" has another number of shards now`;
  return new PgDogError('access_removed', text, { hint: 'Reconnect.' });
}

/** It was to leave, and may be here again. */
function whyStillOutdated(session: Session): PgDogError | null {
  const { outdated, router, context, database, user } = session;
  if (outdated === null || isStillReshaped(session)) return outdated;
  // Nobody tells its cluster any more of hosts that come and go, nor looks after those who wait there.
  const cluster = router?.cluster ?? null;
  if (cluster === null || context.clusters.get(clusterKeyOf(database, user, cluster.shard)) === cluster) {
    return null;
  }
  const text = `terminating connection: database "${database}" was removed and is configured again`;
  return new PgDogError('access_removed', text, { hint: 'Reconnect.' });
}

/** Its desk counts other shards than there are: no later configuration mends that, unless it is the one of before. */
function isStillReshaped({ router, context, database }: Session): boolean {
  const count = context.directory.database(database)?.sharding?.shardCount ?? 1;
  return (router?.shardCount ?? 1) !== count;
}

/** Its own pool is gone, another host serves the same database: what comes next goes there. */
function moveToPool(session: Session): void {
  const { context, database, user } = session;
  const isHomeless = session.homePool !== null && session.homePool.retiredEpoch !== 0;
  const isAstray = session.pool !== null && session.pool.retiredEpoch !== 0;
  if (!isHomeless && !isAstray) return;
  const snapshot = session.router?.cluster.standing().snapshot ?? context.directory.pool(database, user);
  if (snapshot === null) return;
  const pool = context.poolFor(snapshot);
  if (isAstray) session.pool = pool;
  if (isHomeless) moveHomePool(session, pool);
}

/** Those who wait in a pool that is gone wait for another host, from when they asked. */
function emptyQueue(pool: Pool): void {
  const { directory } = pool.context;
  // Each once: whoever comes back to this queue is not taken out of it for ever.
  for (let left = pool.waiters.length; left > 0; left--) {
    const session = pool.waiters.peek();
    if (session === undefined) return;
    const { waitingSinceMs, router, database, user } = session;
    const snapshot = directory.pool(database, user);
    if (snapshot === null || isOfGoneShard(session)) {
      refuse(pool, session);
      continue;
    }
    pool.leaveQueue(session);
    if (router !== null) router.cluster.checkout(session);
    else {
      session.pool = pool.context.poolFor(snapshot);
      if (session.dedicatedParameters === null) session.pool.checkout(session);
      else session.pool.checkoutDedicated(session);
    }
    const { server } = session;
    if (session.waitingSinceMs !== 0) session.waitingSinceMs = waitingSinceMs;
    else if (server !== null) session.serverAssigned(server);
  }
}

/** Its database is there, without the shard that it waits for. */
function isOfGoneShard({ router, context, database, user }: Session): boolean {
  return router !== null && context.directory.cluster(database, user, router.cluster.shard) === null;
}

function refuse(pool: Pool, session: Session): void {
  const problem = whyOutdated(session, () => isOfGoneShard(session)) ?? new PgDogError('access_removed');
  // A session without a client is somebody else's double: its request fails.
  if (session.slot >= 0) session.fail(problem);
  else pool.refuseWaiter(session, problem);
}
