import type { PoolSnapshot } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';
import { takeUpOrders } from './obey-orders.js';
import { Pool } from './pool.js';
import type { PoolShared } from './pool-shared.js';

/** @param shared what it has in common with other pools of its database, user and shard */
export function addPool(context: WorkerContext, snapshot: PoolSnapshot, shared: PoolShared): Pool {
  const pool = new Pool(context, snapshot, shared);
  shared.oids = context.sharded.oidsOf(snapshot);
  context.pools.set(snapshot.index, pool);
  takeUpOrders(pool);
  return pool;
}
