import {
  ADOPTED,
  CANCELS,
  CHECKOUT_TIMEOUTS,
  CONNECT_LATENCY,
  CONNECT_TIME_US,
  ERROR_COUNT,
  FORCE_CLOSED,
  LENT,
  OUT_OF_SYNC,
  PREPARED_EVICTIONS,
  QUERY_LATENCY,
  QUERY_TIME_US,
  WAIT_LATENCY,
  WAIT_TIME_US,
  XACT_LATENCY,
  XACT_TIME_US,
} from '@pgdog-cluster/core';
import { averageOf, STATISTICS, type Statistic, totalOf } from '../admin/averages.js';
import type { ListenerRow } from '../pubsub/hub.js';
import { COPY_METRICS } from './copy-metrics.js';
import { HOST_METRICS } from './host-metrics.js';
import type { LatencyMetric } from './latency-histogram.js';
import { type Metric, plainMetric, poolMetric, type WorkerFigures, workerMetric } from './metric.js';
import { MIRROR_METRICS } from './mirror-metrics.js';
import { RELOAD_METRICS } from './reload-metrics.js';
import { TWO_PHASE_METRICS } from './two-phase-metrics.js';

/** Of SHOW STATS, what is counted; `errors` has names of its own. */
const EXPORTED: readonly Statistic[] = STATISTICS.filter(
  ({ counter, name }) => counter !== null && name !== 'errors',
);

const POOL_GAUGES: readonly Metric[] = [
  poolMetric('cl_waiting', 'gauge', 'Clients waiting for a server connection.', ({ waiting }) => waiting),
  poolMetric(
    'sv_active',
    'gauge',
    'Server connections in use, being opened or cleaned.',
    ({ active }) => active,
  ),
  poolMetric('sv_idle', 'gauge', 'Server connections nobody uses.', ({ idle }) => idle),
  poolMetric(
    'maxwait',
    'gauge',
    'How long the oldest waiter has waited, seconds.',
    ({ maxWaitMs }) => maxWaitMs / 1000,
  ),
  poolMetric('max_connections', 'gauge', 'Most server connections of the pool.', ({ limit }) => limit),
  poolMetric(
    'capacity_claimed',
    'gauge',
    'Server connections, those being opened included.',
    ({ claimed }) => claimed,
  ),
  poolMetric('capacity_limit', 'gauge', 'Most server connections over all workers.', ({ limit }) => limit),
  poolMetric(
    'workers_waiting',
    'gauge',
    'Workers that have waiters.',
    ({ workersWaiting }) => workersWaiting,
  ),
];

function counterOf(name: string, help: string, cell: number): Metric {
  return poolMetric(name, 'counter', help, ({ counters }) => counters[cell]);
}

const POOL_COUNTERS: readonly Metric[] = [
  counterOf('errors', 'Errors the servers reported.', ERROR_COUNT),
  counterOf('total_server_errors', 'Errors the servers reported.', ERROR_COUNT),
  counterOf('out_of_sync', 'Connections closed because replies did not match requests.', OUT_OF_SYNC),
  counterOf('total_force_closed', 'Connections closed instead of cleaned.', FORCE_CLOSED),
  counterOf('total_prepared_evictions', 'Prepared statements closed to make room.', PREPARED_EVICTIONS),
  counterOf('checkout_timeouts', 'Clients that waited in vain for a server connection.', CHECKOUT_TIMEOUTS),
  counterOf('total_cancels', 'Cancel requests passed on.', CANCELS),
  counterOf('total_lent', 'Server connections given to another worker.', LENT),
  counterOf('total_adopted', 'Server connections taken from another worker.', ADOPTED),
  ...EXPORTED.map((statistic) =>
    poolMetric(`total_${statistic.name}`, 'counter', statistic.meaning, ({ counters }) =>
      totalOf(statistic, counters),
    ),
  ),
];

const POOL_AVERAGES: readonly Metric[] = EXPORTED.map((statistic) =>
  poolMetric(
    `avg_${statistic.name}`,
    'gauge',
    `${statistic.meaning} Over the last stats_period, ${statistic.isTime ? 'each' : 'per second'}.`,
    (_, change) => averageOf(statistic, change),
  ),
);

const WORKER_METRICS: readonly Metric[] = [
  workerMetric('worker_clients', 'gauge', 'Clients the worker serves.', ({ clients }) => clients),
  workerMetric('worker_servers', 'gauge', 'Server connections it has.', ({ servers }) => servers),
  workerMetric('worker_waiting', 'gauge', 'Its clients that wait.', ({ waiting }) => waiting),
  workerMetric(
    'worker_busy_seconds_total',
    'counter',
    'CPU that its thread has had, in the kernel too.',
    ({ busyUs }) => busyUs / 1e6,
  ),
  workerMetric('worker_turns_total', 'counter', 'Turns of its loop.', ({ turns }) => turns),
  workerMetric(
    'worker_io_events_total',
    'counter',
    'What its io driver told it: bytes received, sends that ended, clients that came.',
    ({ ioEvents }) => ioEvents,
  ),
  workerMetric('worker_restarts_total', 'counter', 'Starts after a crash.', ({ restarts }) => restarts),
  workerMetric(
    'worker_loop_delay_max_seconds',
    'gauge',
    'Its longest turn.',
    ({ loopDelayMaxUs }) => loopDelayMaxUs / 1e6,
  ),
  workerMetric(
    'worker_heartbeat_age_seconds',
    'gauge',
    'Since it last came round.',
    ({ heartbeatAgeMs }) => heartbeatAgeMs / 1000,
  ),
  workerMetric(
    'worker_tls_handshakes_total',
    'counter',
    'TLS handshakes completed, with clients and servers.',
    ({ tlsHandshakes }) => tlsHandshakes,
  ),
  workerMetric(
    'worker_tls_handshake_failures_total',
    'counter',
    'TLS handshakes that failed.',
    ({ tlsFailures }) => tlsFailures,
  ),
  {
    name: 'worker_info',
    type: 'gauge',
    help: 'Always 1; its labels say how the worker is.',
    labels: ['worker', 'state', 'io_driver'],
    *samples({ workers }) {
      for (const { worker, state, ioDriver } of workers)
        yield [{ worker: String(worker), state, io_driver: ioDriver }, 1];
    },
  },
];

function queryCacheMetric(
  name: string,
  type: Metric['type'],
  help: string,
  cell: (worker: WorkerFigures) => number,
): Metric {
  return plainMetric(`query_cache_${name}`, type, help, ({ workers }) =>
    workers.reduce((sum, worker) => sum + cell(worker), 0),
  );
}

/** Over all workers. */
const QUERY_CACHE_METRICS: readonly Metric[] = [
  queryCacheMetric('hits', 'counter', 'Texts whose shape was known.', (row) => row.queryCacheHits),
  queryCacheMetric('misses', 'counter', 'Texts whose shape was not known.', (row) => row.queryCacheMisses),
  queryCacheMetric('evictions', 'counter', 'Shapes thrown out for others.', (row) => row.queryCacheEvictions),
  queryCacheMetric('size', 'gauge', 'Shapes known.', (row) => row.queryCacheSize),
  queryCacheMetric(
    'bytes',
    'gauge',
    'What shapes, their texts and plans take, by estimate.',
    (row) => row.queryCacheBytes,
  ),
];

/** CPU time of all threads. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function listenerMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (row: ListenerRow) => number,
): Metric {
  return {
    name,
    type,
    help,
    labels: ['database', 'user', 'shard', 'channel'],
    *samples({ listeners }) {
      for (const row of listeners) {
        const { database, user, channel } = row;
        yield [{ database, user, shard: '0', channel }, value(row)];
      }
    },
  };
}

/** Channels are the clients' choice: one sample for each that is listened to. */
const LISTENER_METRICS: readonly Metric[] = [
  listenerMetric(
    'pub_sub_listeners',
    'gauge',
    'Clients that listen by the shared connection.',
    (row) => row.listeners,
  ),
  listenerMetric('pub_sub_listener_received', 'counter', 'Notifications that came.', (row) => row.received),
  listenerMetric(
    'pub_sub_listener_dropped',
    'counter',
    'Clients disconnected as too slow.',
    (row) => row.dropped,
  ),
];

const PROCESS_METRICS: readonly Metric[] = [
  plainMetric('clients', 'gauge', 'Clients, over all workers.', ({ clients }) => clients),
  plainMetric('clients_limit', 'gauge', 'Most clients; 0: no limit.', ({ clientLimit }) => clientLimit),
  plainMetric('servers', 'gauge', 'Server connections, over all pools.', ({ serverTotal }) => serverTotal),
  plainMetric(
    'servers_limit',
    'gauge',
    'Most server connections; 0: no limit.',
    ({ serverLimit }) => serverLimit,
  ),
  plainMetric(
    'prepared_statements_limit',
    'gauge',
    'Prepared statements kept per server connection.',
    (scrape) => scrape.preparedStatementsLimit,
  ),
  plainMetric(
    'config_epoch',
    'gauge',
    'Number of the configuration in force.',
    ({ configEpoch }) => configEpoch,
  ),
  plainMetric('draining', 'gauge', '1 while it is shutting down.', ({ isDraining }) => (isDraining ? 1 : 0)),
  ...LISTENER_METRICS,
  ...RELOAD_METRICS,
  ...MIRROR_METRICS,
  ...TWO_PHASE_METRICS,
  ...COPY_METRICS,
  {
    name: 'maintenance',
    type: 'gauge',
    help: '1 while clients wait before their next transaction (MAINTENANCE ON).',
    labels: ['database'],
    *samples({ databases, maintenance }) {
      for (const { name } of databases) yield [{ database: name }, maintenance.includes(name) ? 1 : 0];
    },
  },
  {
    name: 'tls_certificate_expiry_seconds',
    type: 'gauge',
    help: 'Seconds until a certificate in use expires; negative: it has.',
    labels: ['usage', 'file', 'subject', 'serial'],
    *samples({ certificates, nowMs }) {
      for (const { usage, file, subject, serial, notAfterMs } of certificates)
        yield [{ usage, file, subject, serial }, (notAfterMs - nowMs) / 1000];
    },
  },
  {
    name: 'build_info',
    type: 'gauge',
    help: 'Always 1; its labels say what runs.',
    labels: ['version', 'node'],
    samples: ({ version }) => [[{ version, node: process.version }, 1]],
  },
  plainMetric('process_cpu_seconds_total', 'counter', 'CPU time of the process, all threads.', cpuSeconds),
  plainMetric('process_resident_memory_bytes', 'gauge', 'Resident memory of the process.', () =>
    process.memoryUsage.rss(),
  ),
  plainMetric(
    'process_start_time_seconds',
    'gauge',
    'When it started, epoch seconds.',
    ({ startedMs }) => startedMs / 1000,
  ),
];

/** Every gauge and counter, in the order of the page. Names without the namespace. */
export const METRICS: readonly Metric[] = [
  ...PROCESS_METRICS,
  ...POOL_GAUGES,
  ...POOL_COUNTERS,
  ...POOL_AVERAGES,
  ...WORKER_METRICS,
  ...QUERY_CACHE_METRICS,
  ...HOST_METRICS,
];

export const LATENCY_METRICS: readonly LatencyMetric[] = [
  {
    name: 'query_duration_seconds',
    help: 'How long queries took.',
    start: QUERY_LATENCY,
    sum: QUERY_TIME_US,
  },
  {
    name: 'transaction_duration_seconds',
    help: 'How long transactions took.',
    start: XACT_LATENCY,
    sum: XACT_TIME_US,
  },
  {
    name: 'wait_duration_seconds',
    help: 'How long clients waited for a server connection.',
    start: WAIT_LATENCY,
    sum: WAIT_TIME_US,
  },
  {
    name: 'connect_duration_seconds',
    help: 'How long it took to open server connections, logging in included.',
    start: CONNECT_LATENCY,
    sum: CONNECT_TIME_US,
  },
];
