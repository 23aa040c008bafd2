import { type ConfigSnapshot, type EpochMessage, type SnapshotDelta, unpackDelta } from '@pgdog-cluster/core';
import { followConfiguration } from './follow.js';
import { obeyOrders } from './pool/obey-orders.js';
import type { Pool } from './pool/pool.js';
import { isLeft, leave, retire } from './pool/retire.js';
import { takeUpClusters } from './route/clusters.js';
import type { WorkerContext } from './worker-context.js';

/** What a snapshot has otherwise, as far as this worker is concerned. */
interface Change {
  config: ConfigSnapshot;
  /** Pools here that have changed or are gone. */
  pools: readonly Pool[];
  /** Something about the database, or one of its pools, is not as it was. */
  isTouched: (database: string) => boolean;
  /** Those that may have to be kept warm. */
  snapshots: ConfigSnapshot['pools'];
  /** The operator's orders may be others. */
  isOrdered: boolean;
}

/** Another snapshot is published: what it has otherwise is taken up, or all of it where the message does not say. */
export function takeUpEpoch(context: WorkerContext, { epoch, delta: packed }: EpochMessage): void {
  // It was read whole, by an earlier message, after this one had been sent.
  if (epoch <= context.config.epoch) return;
  const delta = packed === undefined ? null : unpackDelta(packed);
  if (delta === null || delta.from !== context.config.epoch) takeUpConfiguration(context);
  else takeUp(context, () => changeBy(context, delta));
}

/** The published snapshot, whole. */
export function takeUpConfiguration(context: WorkerContext): void {
  takeUp(context, () => {
    const { memory, config: known } = context;
    // What a worker has begun with is not unpacked again.
    const config = memory.routing.epoch() === known.epoch ? known : memory.routing.read();
    if (config !== known) context.directory.takeUp(config);
    const pools = [...context.pools.values()];
    return { config, pools, isTouched: () => true, snapshots: config.pools, isOrdered: true };
  });
}

function changeBy(context: WorkerContext, delta: SnapshotDelta): Change {
  const { directory, memory } = context;
  const { pools, clusters, databases, rest, absent } = delta;
  const names = new Set([...databases.removed, ...databases.set.map(({ name }) => name)]);
  for (const { database } of [...pools.set, ...clusters.set]) names.add(database);
  for (const index of pools.removed) names.add(directory.poolAt(index)?.database ?? '');
  const config = directory.apply(delta, memory.catalogs.read() ?? undefined);
  return {
    config,
    // What all pools of a database have in common is told by the database alone.
    pools:
      names.size === 0 ? [] : [...context.pools.values()].filter((pool) => names.has(pool.snapshot.database)),
    isTouched: (database) => names.has(database),
    snapshots: pools.set,
    isOrdered: 'orders' in rest || absent.includes('orders'),
  };
}

/**
 * Between two requests. Order matters: who there is first, then pools, then what is made of pools, and sessions last, which
 * find everything new in its place. See docs/internals/reload.md.
 */
function takeUp(context: WorkerContext, read: () => Change): void {
  const { epoch: epochBefore } = context.config;
  const shardsOf = (database: string) => context.directory.database(database)?.sharding?.shardCount ?? 1;
  const before = context.directory.shardCounts();
  const { config, pools, isTouched, snapshots, isOrdered } = read();
  context.config = config;
  context.plans.entriesMax = config.general.queryCacheLimit;
  context.queries.entriesMax = config.general.queryCacheLimit;
  context.slow.takeUp();
  takeUpTls(context);
  for (const pool of pools) {
    const snapshot = context.directory.poolAt(pool.index);
    if (snapshot === null) retire(pool, config.epoch);
    else pool.takeUp(snapshot);
  }
  takeUpClusters(context, isTouched);
  context.sharded.takeUp();
  followConfiguration(context, {
    pools,
    isTouched,
    isReshaped: (database) => (before.get(database) ?? 1) !== shardsOf(database),
  });
  if (isOrdered) {
    context.holds.takeUp(config.orders);
    obeyOrders(context, epochBefore);
  }
  // Last: who waits for it waits for all of the above.
  context.memory.workers.setEpoch(context.worker, config.epoch);
  // Pools appear when clients ask for them; those to be kept warm, at their keeper, at once.
  for (const snapshot of snapshots) {
    if (snapshot.minPoolSize > 0 && context.arrivals.homes.isKeeper(snapshot)) context.poolFor(snapshot);
  }
  leaveRetired(context);
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
