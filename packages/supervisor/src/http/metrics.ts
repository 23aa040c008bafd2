import { IO_DRIVER_NAMES, type MirrorReport, PgDogError, WORKER_STATE_NAMES } from '@pgdog-cluster/core';
import { Registry } from 'prom-client';
import type { AdminContext } from '../admin/admin-context.js';
import { allHostFigures } from '../admin/host-figures.js';
import { readPoolFigures, serversOfWorker, waitingInWorker } from '../admin/pool-figures.js';
import { mirrorFigures } from '../admin/show-mirrors.js';
import { LatencyHistogram } from './latency-histogram.js';
import { registerMetric, type Scrape, type WorkerFigures } from './metric.js';
import { LATENCY_METRICS, METRICS } from './metric-table.js';

function readWorker({ memory, config, nowMs }: AdminContext, worker: number): WorkerFigures {
  const { workers } = memory;
  const { pools } = config();
  return {
    worker,
    state: WORKER_STATE_NAMES[workers.state(worker)],
    ioDriver: IO_DRIVER_NAMES[workers.ioDriver(worker)],
    clients: workers.clients(worker),
    servers: serversOfWorker(memory, pools, worker),
    waiting: waitingInWorker(memory, pools, worker),
    busyUs: workers.busyUs(worker),
    turns: workers.turns(worker),
    loopDelayMaxUs: workers.loopDelayMaxUs(worker),
    heartbeatAgeMs: Math.max(0, workers.heartbeatAgeMs(worker, nowMs())),
    restarts: workers.restarts(worker),
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
function readScrape(context: AdminContext, mirrors: readonly MirrorReport[]): Scrape {
  const { memory, window, version, startedMs } = context;
  const { pools, general, epoch, databases, maintenance = [] } = context.config();
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
    databases,
    maintenance,
    listeners: context.listeners(),
    mirrors,
    certificates: context.certificates(),
    recovery: context.recovery(),
    drift: context.driftFigures(),
    nowMs: now,
  };
}

export interface Metrics {
  readonly contentType: string;
  /** The page, of this moment. */
  text(): Promise<string>;
}

/**
 * @param namespace put in front of every name as it is
 * @throws PgDogError configuration when that gives names Prometheus does not allow.
 */
export function createMetrics(context: AdminContext, namespace = ''): Metrics {
  const registry = new Registry();
  let scrape = readScrape(context, []);
  try {
    for (const metric of METRICS) registerMetric(metric, registry, namespace, () => scrape);
    for (const metric of LATENCY_METRICS) new LatencyHistogram(metric, registry, namespace, () => scrape);
  } catch (error) {
    throw new PgDogError(
      'configuration',
      `openmetrics_namespace "${namespace}" does not give valid metric names`,
      { cause: error, hint: 'Use letters, digits and _; a digit cannot be first.' },
    );
  }
  return {
    contentType: registry.contentType,
    text: async () => {
      const mirrors = await mirrorFigures(context);
      // The registry collects all families before it first awaits, so scrapes do not mix.
      scrape = readScrape(context, mirrors);
      return registry.metrics();
    },
  };
}
