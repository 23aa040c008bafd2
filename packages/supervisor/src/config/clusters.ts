import type { ClusterSnapshot, PoolSnapshot } from '@pgdog-cluster/core';

/** Pools of one shard of a database for one user, host by host, in the order of the configuration. */
export function clustersOf(pools: readonly PoolSnapshot[]): ClusterSnapshot[] {
  const clusters = new Map<string, ClusterSnapshot>();
  const sharded = new Set(pools.filter(({ shard }) => shard > 0).map(({ database }) => database));
  for (const { database, user, shard, index, role } of pools) {
    const key = `${database}\0${user}\0${shard}`;
    const known = clusters.get(key);
    if (known === undefined) {
      const isRouted = role !== 'primary' || sharded.has(database);
      clusters.set(key, { database, user, shard, pools: [index], isRouted });
    } else {
      known.pools.push(index);
      known.isRouted = true;
    }
  }
  return [...clusters.values()];
}
