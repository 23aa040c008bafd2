import { followConfiguration } from './follow.js';
import { obeyOrders } from './pool/obey-orders.js';
import { isLeft, leave, retire } from './pool/retire.js';
import { takeUpClusters } from './route/clusters.js';
import type { WorkerContext } from './worker-context.js';

/**
 * Takes up the published snapshot, whole, between two requests. Order matters: who there is first, then pools, then what is
 * made of pools, and sessions last, which find everything new in its place. See docs/internals/reload.md.
 */
export function takeUpConfiguration(context: WorkerContext): void {
  const config = context.memory.routing.read();
  const { epoch: epochBefore } = context.config;
  const shardsBefore = shardCounts(context);
  context.config = config;
  context.directory.takeUp(config);
  context.plans.entriesMax = config.general.queryCacheLimit;
  context.queries.entriesMax = config.general.queryCacheLimit;
  takeUpTls(context);
  for (const pool of context.pools.values()) {
    const snapshot = context.directory.poolAt(pool.index);
    if (snapshot === null) retire(pool, config.epoch);
    else pool.takeUp(snapshot);
  }
  takeUpClusters(context);
  context.sharded.takeUp();
  const shardsNow = shardCounts(context);
  followConfiguration(context, (database) => shardsBefore.get(database) !== shardsNow.get(database));
  context.holds.takeUp(config.orders);
  obeyOrders(context, epochBefore);
  // Last: who waits for it waits for all of the above.
  context.memory.workers.setEpoch(context.worker, config.epoch);
  // Pools appear when clients ask for them; those to be kept warm, at their keeper, at once.
  for (const snapshot of config.pools) {
    if (snapshot.minPoolSize > 0 && context.arrivals.homes.isKeeper(snapshot)) context.poolFor(snapshot);
  }
  leaveRetired(context);
}

/** Of databases that have pools here. */
function shardCounts({ pools, directory }: WorkerContext): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { snapshot } of pools.values()) {
    const { database } = snapshot;
    counts.set(database, directory.database(database)?.sharding?.shardCount ?? 1);
  }
  return counts;
}

/** Forgets pools that are gone and empty, and says in shared memory how far that has come. */
export function leaveRetired(context: WorkerContext): void {
  const { config, worker, memory } = context;
  let settledEpoch = config.epoch;
  for (const pool of context.pools.values()) {
    if (pool.retiredEpoch === 0) continue;
    if (isLeft(pool)) leave(pool);
    else settledEpoch = Math.min(settledEpoch, pool.retiredEpoch - 1);
  }
  memory.workers.setSettledEpoch(worker, settledEpoch);
}

/** The supervisor has tried the settings out; should this OpenSSL see them otherwise, the old ones stay in force. */
function takeUpTls(context: WorkerContext): void {
  const { tls, config } = context;
  tls.takeUp(config, (what, reason) => {
    context.log('error', 'tls_settings', `TLS towards ${what} cannot be set up: ${reason}`, {});
  });
  if (config.tls.clients !== null && tls.clients === null) {
    throw new Error('TLS towards clients cannot be set up, and they must not be served without it');
  }
}
