import { HOLD_MAINTENANCE, type MirrorReport, ordersOf, PgDogError } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin/admin-context.js';
import { allHostFigures } from '../admin/host-figures.js';
import { readPoolFigures, readStanding } from '../admin/pool-figures.js';
import { mirrorFigures } from '../admin/show-mirrors.js';
import type { Exposition } from './exposition.js';
import type { Scrape, WorkerFigures } from './metric.js';
import { LATENCY_METRICS, METRICS } from './metric-table.js';
import { isMetricName, MetricsPage } from './metrics-page.js';

/** What the page is made of. */
export type MetricsContext = Pick<
  AdminContext,
  | 'memory'
  | 'window'
  | 'config'
  | 'version'
  | 'startedMs'
  | 'nowMs'
  | 'isDraining'
  | 'reloadState'
  | 'listeners'
  | 'certificates'
  | 'recovery'
  | 'driftFigures'
  | 'reportMirrors'
>;

function readWorker(
  { memory, config, nowMs }: Pick<MetricsContext, 'memory' | 'config' | 'nowMs'>,
  worker: number,
): WorkerFigures {
  const { workers } = memory;
  const { pools } = config();
  return {
    ...readStanding(memory, pools, worker, nowMs()),
    busyUs: workers.busyUs(worker),
    turns: workers.turns(worker),
    ioEvents: workers.ioEvents(worker),
    loopDelayMaxUs: workers.loopDelayMaxUs(worker),
    tlsHandshakes: workers.tlsHandshakes(worker),
    queryCacheHits: workers.queryCacheHits(worker),
    queryCacheMisses: workers.queryCacheMisses(worker),
    queryCacheEvictions: workers.queryCacheEvictions(worker),
    queryCacheSize: workers.queryCacheSize(worker),
    queryCacheBytes: workers.queryCacheBytes(worker),
    tlsFailures: workers.tlsFailures(worker),
  };
}

/** Everything from shared memory: a scrape costs the workers nothing, but for the figures of mirrors where there are any. */
function readScrape(context: MetricsContext, mirrors: readonly MirrorReport[]): Scrape {
  const { memory, window, version, startedMs } = context;
  const { pools, general, epoch, databases, orders } = context.config();
  const now = context.nowMs();
  return {
    pools: pools.map((pool) => ({
      figures: readPoolFigures(memory, pool, now),
      change: window.poolChange(pool.index),
    })),
    workers: Array.from({ length: memory.handles.dimensions.workers }, (_, worker) =>
      readWorker(context, worker),
    ),
    hosts: allHostFigures(memory.hosts, context.config(), now),
    clients: memory.capacity.clientsClaimed(),
    clientLimit: memory.capacity.clientLimit(),
    serverTotal: memory.capacity.totalClaimed(),
    serverLimit: memory.capacity.totalLimit(),
    preparedStatementsLimit: general.preparedStatementsLimit,
    configEpoch: epoch,
    version,
    startedMs,
    isDraining: context.isDraining(),
    reloadState: context.reloadState(),
    databases,
    maintenance: databases
      .map(({ name }) => name)
      .filter((name) => (ordersOf(orders, name).holds & HOLD_MAINTENANCE) !== 0),
    listeners: context.listeners(),
    mirrors,
    certificates: context.certificates(),
    recovery: context.recovery(),
    drift: context.driftFigures(),
    nowMs: now,
  };
}

export interface Metrics {
  /** The page, of this moment; UTF-8. */
  page(exposition?: Exposition): Promise<Buffer>;
}

/**
 * @param namespace put in front of every name as it is
 * @throws PgDogError configuration when that gives names Prometheus does not allow.
 */
export function createMetrics(context: MetricsContext, namespace = ''): Metrics {
  if (!isMetricName(`${namespace}x`)) {
    throw new PgDogError(
      'configuration',
      `openmetrics_namespace "${namespace}" does not give valid metric names`,
      { hint: 'Use letters, digits and _; a digit cannot be first.' },
    );
  }
  const pages = new Map<Exposition, MetricsPage>();
  const pageOf = (exposition: Exposition): MetricsPage => {
    const made = pages.get(exposition) ?? new MetricsPage(METRICS, LATENCY_METRICS, namespace, exposition);
    pages.set(exposition, made);
    return made;
  };
  return {
    page: async (exposition = 'text') =>
      pageOf(exposition).write(readScrape(context, await mirrorFigures(context))),
  };
}
