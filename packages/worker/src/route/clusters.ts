import { addPool } from '../pool/add-pool.js';
import { PoolShared } from '../pool/pool-shared.js';
import type { WorkerContext } from '../worker-context.js';
import { Cluster } from './cluster.js';

/** The hosts of one shard of a database, for one user; null: there is one, and nothing to choose. */
export function clusterFor(
  context: WorkerContext,
  database: string,
  user: string,
  shard = 0,
): Cluster | null {
  const key = `${database}\0${user}\0${shard}`;
  const known = context.clusters.get(key);
  if (known !== undefined) return known;
  const snapshot = context.directory.cluster(database, user, shard);
  if (snapshot === null || !snapshot.isRouted) return null;
  const snapshots = snapshot.pools.flatMap((index) => context.directory.poolAt(index) ?? []);
  const pools = snapshots.map((pool) => context.pools.get(pool.index));
  const shared = pools.find((pool) => pool !== undefined)?.shared ?? new PoolShared(true);
  // Of a database that had one host until now.
  shared.reported.isRouted = true;
  const made = new Cluster(
    context,
    snapshot,
    snapshots.map((pool, index) => pools[index] ?? addPool(context, pool, shared)),
  );
  context.clusters.set(key, made);
  // Users that are not configured make theirs as they come.
  context.plans.givesRoutes = true;
  return made;
}

/** Something has changed in the table of hosts. */
export function lookAgainAtHosts(context: WorkerContext): void {
  for (const cluster of context.clusters.values()) cluster.lookAgain();
}

/** Another configuration: hosts may have come and gone. Who is served by one that stays notices nothing. */
export function takeUpClusters(context: WorkerContext, isTouched: (database: string) => boolean): void {
  const { clusters, databases, templates = [], plans } = { ...context.config, plans: context.plans };
  const isGuarded = ({ tenantColumn }: { tenantColumn?: string }): boolean => tenantColumn !== undefined;
  const column = (databases.find(isGuarded) ?? templates.find(isGuarded))?.tenantColumn ?? null;
  plans.givesRoutes = column !== null || clusters.some(({ isRouted }) => isRouted);
  plans.tenantColumn = column;
  for (const [key, cluster] of context.clusters) {
    const { database, user, shard } = cluster;
    if (!isTouched(database)) continue;
    const snapshot = context.directory.cluster(database, user, shard);
    const pools = snapshot?.pools.flatMap((index) => context.directory.poolAt(index) ?? []) ?? [];
    if (snapshot === null || pools.length === 0) {
      context.clusters.delete(key);
      continue;
    }
    const { shared } = cluster.hosts[0].pool;
    cluster.takeUp(pools.map((pool) => context.pools.get(pool.index) ?? addPool(context, pool, shared)));
  }
}
