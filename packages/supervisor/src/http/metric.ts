import type { DatabaseSnapshot, MirrorReport } from '@pgdog-cluster/core';
import type { ReloadState } from '../admin/admin-context.js';
import type { HostFigures } from '../admin/host-figures.js';
import type { PoolFigures, WorkerStanding } from '../admin/pool-figures.js';
import type { PoolChange } from '../admin/stats-window.js';
import type { CertificateReport } from '../config/tls-files.js';
import type { DriftFigures } from '../copies/copy-watch.js';
import type { ListenerRow } from '../pubsub/hub.js';
import type { RecoveryFigures } from '../two-phase/recovery.js';

/** What one scrape is made of: read once, so that all families show the same moment. */
export interface Scrape {
  pools: readonly { figures: PoolFigures; change: PoolChange }[];
  workers: readonly WorkerFigures[];
  hosts: readonly HostFigures[];
  clients: number;
  clientLimit: number;
  serverTotal: number;
  serverLimit: number;
  preparedStatementsLimit: number;
  configEpoch: number;
  version: string;
  startedMs: number;
  isDraining: boolean;
  reloadState: ReloadState;
  databases: readonly DatabaseSnapshot[];
  maintenance: readonly string[];
  listeners: readonly ListenerRow[];
  mirrors: readonly MirrorReport[];
  certificates: readonly CertificateReport[];
  recovery: readonly RecoveryFigures[];
  drift: readonly DriftFigures[];
  nowMs: number;
}

export interface WorkerFigures extends WorkerStanding {
  busyUs: number;
  turns: number;
  ioEvents: number;
  loopDelayMaxUs: number;
  tlsHandshakes: number;
  tlsFailures: number;
  queryCacheHits: number;
  queryCacheMisses: number;
  queryCacheEvictions: number;
  queryCacheSize: number;
  queryCacheBytes: number;
}

export type Labels = Record<string, string>;

/** A gauge or counter: its head, and its samples of one scrape. */
export interface Metric {
  name: string;
  type: 'gauge' | 'counter';
  help: string;
  labels: readonly string[];
  samples: (scrape: Scrape) => Iterable<readonly [labels: Labels, value: number]>;
  /** One sample per pool instead, with POOL_LABELS: made without an object for each. */
  ofPool?: (figures: PoolFigures, change: PoolChange) => number;
}

/** As PgDog labels everything about a pool. */
export const POOL_LABELS = ['user', 'database', 'host', 'port', 'shard', 'role'] as const;

export function poolLabels({ pool, role }: PoolFigures): Labels {
  const { user, database, host, port, shard } = pool;
  return { user, database, host, port: String(port), shard: String(shard), role };
}

/** One sample per pool. */
export function poolMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (figures: PoolFigures, change: PoolChange) => number,
): Metric {
  return { name, type, help, labels: POOL_LABELS, samples: () => [], ofPool: value };
}

/** One sample per worker. */
export function workerMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (figures: WorkerFigures) => number,
): Metric {
  return {
    name,
    type,
    help,
    labels: ['worker'],
    *samples({ workers }) {
      for (const figures of workers) yield [{ worker: String(figures.worker) }, value(figures)];
    },
  };
}

/** One sample. */
export function plainMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (scrape: Scrape) => number,
): Metric {
  return { name, type, help, labels: [], samples: (scrape) => [[{}, value(scrape)]] };
}
