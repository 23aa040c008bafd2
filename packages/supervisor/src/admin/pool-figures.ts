import {
  BAN_NONE,
  HEALTH_FAILING,
  IO_DRIVER_NAMES,
  ORDER_BAN,
  type PoolSnapshot,
  type SharedMemory,
  WORKER_STATE_NAMES,
  waitedMs,
} from '@pgdog-cluster/core';
import type { WorkerStatus } from '@pgdog-cluster/core/status';
import { poolRole } from './host-figures.js';

/** How one pool stands over all workers, read from shared memory alone. */
export interface PoolFigures {
  pool: PoolSnapshot;
  /** As PgDog says it: what was found where it is not configured. */
  role: string;
  /** Its host is not read from, by what was measured or by order. */
  isBanned: boolean;
  isHostFailing: boolean;
  idle: number;
  /** All others: serving, connecting, being cleaned. */
  active: number;
  waiting: number;
  /** How long the oldest waiter has waited; 0 = nobody waits. */
  maxWaitMs: number;
  workersWaiting: number;
  claimed: number;
  limit: number;
  /** The counter row summed over workers: counters, then three latency histograms. */
  counters: number[];
}

function hostStateOf(
  { hosts }: SharedMemory,
  pool: PoolSnapshot,
): Pick<PoolFigures, 'role' | 'isBanned' | 'isHostFailing'> {
  const { hostIndex } = pool;
  if (hostIndex >= hosts.hostsMax) return { role: pool.role, isBanned: false, isHostFailing: false };
  const isOrdered = (hosts.orders(hostIndex) & ORDER_BAN) !== 0;
  return {
    role: poolRole(pool, hosts),
    isBanned: isOrdered || hosts.banReason(hostIndex) !== BAN_NONE,
    isHostFailing: hosts.health(hostIndex) === HEALTH_FAILING,
  };
}

export function readPoolFigures(memory: SharedMemory, pool: PoolSnapshot, nowMs: number): PoolFigures {
  const { load, capacity, counters, handles } = memory;
  const { index } = pool;
  const sums = { idle: 0, active: 0, waiting: 0 };
  for (let worker = 0; worker < handles.dimensions.workers; worker++) {
    sums.idle += load.idle(worker, index);
    sums.active += load.active(worker, index);
    sums.waiting += load.waiting(worker, index);
  }
  const hasWaiter = load.oldestWaiter(index, -1) !== -1;
  return {
    pool,
    ...hostStateOf(memory, pool),
    ...sums,
    // Workers read their clock once per turn: theirs may be some ms ahead of ours.
    maxWaitMs: hasWaiter ? Math.max(0, waitedMs(load.oldestSinceMs, nowMs)) : 0,
    workersWaiting: load.workersWaiting(index),
    claimed: capacity.claimed(index),
    limit: capacity.limit(index),
    counters: counters.sum(index),
  };
}

/** How a worker stands: what all that tells of workers says. */
export type WorkerStanding = Omit<WorkerStatus, 'busyPercent'>;

export function readStanding(
  { workers, capacity, load }: SharedMemory,
  pools: readonly PoolSnapshot[],
  worker: number,
  nowMs: number,
): WorkerStanding {
  return {
    worker,
    state: WORKER_STATE_NAMES[workers.state(worker)],
    ioDriver: IO_DRIVER_NAMES[workers.ioDriver(worker)],
    clients: workers.clients(worker),
    servers: pools.reduce((sum, { index }) => sum + capacity.claimedBy(worker, index), 0),
    waiting: pools.reduce((sum, { index }) => sum + load.waiting(worker, index), 0),
    // Workers read their clock once per turn: theirs may be some ms ahead of ours.
    heartbeatAgeMs: Math.max(0, workers.heartbeatAgeMs(worker, nowMs)),
    restarts: workers.restarts(worker),
  };
}
