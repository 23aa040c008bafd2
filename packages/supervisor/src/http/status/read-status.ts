import {
  type ConfigSnapshot,
  HOLD_MAINTENANCE,
  HOLD_PAUSE,
  HOLD_SUSPEND,
  ordersOf,
  WORKER_SERVING,
} from '@pgdog-cluster/core';
import {
  type DatabaseStatus,
  type HostStatus,
  type PoolStatus,
  type ReloadSummary,
  STATUS_POOLS_MAX,
  type StatusFrame,
  type TotalFigures,
  type WorkerStatus,
} from '@pgdog-cluster/core/status';
import type { AdminContext } from '../../admin/admin-context.js';
import { allHostFigures, type HostFigures } from '../../admin/host-figures.js';
import { type PoolFigures, readPoolFigures, readStanding } from '../../admin/pool-figures.js';
import { unreadiness } from '../readiness.js';
import { type CounterSample, Growth } from './counter-sample.js';

/** What a page has room for; SHOW CONFIG_STATUS has all of it. */
const RELOAD_ERROR_CHARS_MAX = 600;

export type StatusContext = Pick<
  AdminContext,
  | 'memory'
  | 'config'
  | 'isDraining'
  | 'version'
  | 'startedMs'
  | 'nowMs'
  | 'reportQueries'
  | 'recentEvents'
  | 'reloadState'
>;

function reloadSummary({ reloadState }: StatusContext): ReloadSummary {
  const { atMs, trigger, error, pending } = reloadState().status;
  const names = pending.map(({ name }) => name);
  return { atMs, trigger, error: error.slice(0, RELOAD_ERROR_CHARS_MAX), pending: names };
}

const HOLDS = [
  [HOLD_MAINTENANCE, 'MAINTENANCE'],
  [HOLD_PAUSE, 'PAUSE'],
  [HOLD_SUSPEND, 'SUSPEND'],
] as const;

function heldDatabases({ databases, orders }: ConfigSnapshot): string[] {
  return databases.flatMap(({ name }) => {
    const { holds } = ordersOf(orders, name);
    const by = HOLDS.filter(([bit]) => (holds & bit) !== 0).map(([, order]) => order);
    return by.length === 0 ? [] : [`${name} (${by.join(', ')})`];
  });
}

interface GrownPool {
  figures: PoolFigures;
  growth: Growth;
}

/** From two samples to one frame. Everything is read from shared memory; no worker is asked. */
export function readStatus(
  context: StatusContext,
  before: CounterSample,
  after: CounterSample,
): Omit<StatusFrame, 'shapes'> {
  const { memory } = context;
  const { pools, epoch } = context.config();
  const nowMs = context.nowMs();
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const grown = pools.map((pool) => {
    const growth = new Growth();
    growth.add(before.pools.get(pool.index), after.pools.get(pool.index) ?? memory.counters.sum(pool.index));
    return { figures: readPoolFigures(memory, pool, nowMs), growth };
  });
  const hosts = allHostFigures(memory.hosts, context.config(), nowMs);
  const workers = readWorkers(context, before, after, nowMs);
  return {
    atMs: nowMs,
    version: context.version,
    startedMs: context.startedMs,
    unready: unreadiness(context),
    epoch,
    epochWorkers: workers.filter(
      ({ worker }) =>
        memory.workers.state(worker) === WORKER_SERVING && memory.workers.epoch(worker) === epoch,
    ).length,
    reload: reloadSummary(context),
    held: heldDatabases(context.config()),
    totals: totalsOf(context, grown, before, after, seconds),
    workers,
    databases: databasesOf(grown, hosts, seconds),
    pools: shownPools(grown, seconds),
    poolCount: pools.length,
    events: context.recentEvents(),
  };
}

function totalsOf(
  { memory }: StatusContext,
  grown: readonly GrownPool[],
  before: CounterSample,
  after: CounterSample,
  seconds: number,
): TotalFigures {
  const all = new Growth();
  for (const { growth } of grown) all.include(growth);
  const { capacity } = memory;
  return {
    ...all.rates(seconds),
    ...all.traffic(seconds),
    clients: capacity.clientsClaimed(),
    clientLimit: capacity.clientLimit(),
    servers: capacity.totalClaimed(),
    serverLimit: capacity.totalLimit(),
    waiting: grown.reduce((sum, { figures }) => sum + figures.waiting, 0),
    cpuPercent: (after.cpuUs - before.cpuUs) / 1e4 / seconds,
    memoryBytes: process.memoryUsage.rss(),
  };
}

function readWorkers(
  { memory, config }: StatusContext,
  before: CounterSample,
  after: CounterSample,
  nowMs: number,
): WorkerStatus[] {
  const { pools } = config();
  const tookUs = Math.max(1, (after.atMs - before.atMs) * 1000);
  return after.busyUs.map((busyUs, worker) => {
    // A worker that was started again counts from 0.
    const grownUs = busyUs >= before.busyUs[worker] ? busyUs - before.busyUs[worker] : busyUs;
    const busyPercent = Math.min(100, (100 * grownUs) / tookUs);
    return { ...readStanding(memory, pools, worker, nowMs), busyPercent };
  });
}

/** As configured where nobody has to find it out. */
function roleOf({ role, configured }: HostFigures): string {
  const isSaid = configured === 'primary' || configured === 'replica';
  return role === 'unknown' && isSaid ? configured : role;
}

/** All but what is each database's own. */
function hostStatus(figures: HostFigures): Omit<HostStatus, 'busyCount'> {
  const { host, health, isBanOrdered, banReason, orders, lagMs, lagBytes, latencyUs } = figures;
  const ban = isBanOrdered ? 'by order' : banReason;
  return {
    host: host.host,
    port: host.port,
    role: roleOf(figures),
    health,
    ban,
    orders,
    lagMs,
    lagBytes,
    latencyUs,
  };
}

interface DatabaseSum {
  growth: Growth;
  status: Pick<DatabaseStatus, 'idle' | 'active' | 'waiting' | 'maxWaitMs' | 'limit'>;
  /** By number of the shard and index of the host: server connections of this database there that are not idle. */
  shards: Map<number, Map<number, number>>;
}

function databasesOf(
  grown: readonly GrownPool[],
  hosts: readonly HostFigures[],
  seconds: number,
): DatabaseStatus[] {
  const sums = new Map<string, DatabaseSum>();
  for (const { figures, growth } of grown) {
    const { database, shard, hostIndex } = figures.pool;
    let sum = sums.get(database);
    if (sum === undefined) {
      const status = { idle: 0, active: 0, waiting: 0, maxWaitMs: 0, limit: 0 };
      sum = { growth: new Growth(), status, shards: new Map() };
      sums.set(database, sum);
    }
    sum.growth.include(growth);
    sum.status.idle += figures.idle;
    sum.status.active += figures.active;
    sum.status.waiting += figures.waiting;
    sum.status.limit += figures.limit;
    sum.status.maxWaitMs = Math.max(sum.status.maxWaitMs, figures.maxWaitMs);
    const busy = sum.shards.get(shard) ?? new Map<number, number>();
    sum.shards.set(shard, busy.set(hostIndex, (busy.get(hostIndex) ?? 0) + figures.active));
  }
  const byIndex = new Map(hosts.map((figures) => [figures.host.index, hostStatus(figures)]));
  const shardsOf = ({ shards }: DatabaseSum) =>
    [...shards]
      .sort(([a], [b]) => a - b)
      .map(([shard, busy]) => ({
        shard,
        hosts: [...busy].flatMap(([index, busyCount]) => {
          const host = byIndex.get(index);
          return host === undefined ? [] : [{ ...host, busyCount }];
        }),
      }));
  return [...sums].map(([database, sum]) => ({
    database,
    ...sum.status,
    ...sum.growth.rates(seconds),
    shards: shardsOf(sum),
  }));
}

/** Those that somebody must look at, then the busiest. */
function shownPools(grown: readonly GrownPool[], seconds: number): PoolStatus[] {
  const rows = grown.map(({ figures, growth }) => {
    const { pool, role, idle, active, waiting, maxWaitMs, limit } = figures;
    const { index: id, database, user, host, port, shard, poolerMode: mode } = pool;
    const place = { id, database, user, host, port, shard, role, mode };
    return { ...place, idle, active, waiting, maxWaitMs, limit, ...growth.rates(seconds) };
  });
  rows.sort((a, b) => b.waiting - a.waiting || b.queriesPerS - a.queriesPerS || a.id - b.id);
  return rows.slice(0, STATUS_POOLS_MAX);
}
