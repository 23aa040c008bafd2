import type { ClusterSnapshot, PoolSnapshot } from '@pgdog-cluster/core';

/** Pools of one database and user, host by host, in the order of the configuration. */
export function clustersOf(pools: readonly PoolSnapshot[]): ClusterSnapshot[] {
  const clusters = new Map<string, ClusterSnapshot>();
  for (const { database, user, index, role } of pools) {
    const key = `${database}\0${user}`;
    const known = clusters.get(key);
    if (known === undefined) {
      clusters.set(key, { database, user, pools: [index], isRouted: role !== 'primary' });
    } else {
      known.pools.push(index);
      known.isRouted = true;
    }
  }
  return [...clusters.values()];
}
