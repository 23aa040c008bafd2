/**
 * What one scrape of /metrics takes of the supervisor's time with a thousand pools that all have traffic. Everything is
 * read from shared memory: no worker is asked, and the number of connections plays no part.
 */
import {
  createSharedMemory,
  latencyBucket,
  QUERY_COUNT,
  QUERY_LATENCY,
  QUERY_TIME_US,
  SeededRandom,
  type SharedMemory,
  WAIT_LATENCY,
  WORKER_SERVING,
  XACT_LATENCY,
} from '@pgdog-cluster/core';
import { assembleConfig } from '@pgdog-cluster/core/config';
import { buildSnapshot, createMetrics, type MetricsContext, StatsWindow } from 'pgdog-cluster';
import type { MicroResult } from './time-operations.js';

const POOLS = 1000;
const WORKERS = 8;
const ROUNDS = 40;
const QUICK_ROUNDS = 3;
/** At most that much CPU, ms. The best round counts: others share the caches, and the first ones are not compiled yet. */
const BOUND_MS = 50;

function toml(): string {
  const databases = Array.from(
    { length: POOLS },
    (_, pool) => `[[databases]]\nname = "tenant_${pool}"\nhost = "10.0.${pool >> 7}.${1 + (pool & 127)}"\n`,
  );
  return databases.join('');
}

/** Every worker has served every pool: no line of the page is a bare zero. */
function serve({ counters }: SharedMemory): void {
  const random = new SeededRandom(1);
  for (let worker = 0; worker < WORKERS; worker++) {
    for (let pool = 0; pool < POOLS; pool++) {
      const row = counters.rowBase(worker, pool);
      for (let cell = QUERY_COUNT; cell <= QUERY_TIME_US; cell++)
        counters.cells[row + cell] = random.below(1e9);
      for (const start of [QUERY_LATENCY, XACT_LATENCY, WAIT_LATENCY]) {
        for (let i = 0; i < 40; i++) {
          counters.cells[row + start + latencyBucket(random.below(1 << random.below(22)))] +=
            random.below(9999);
        }
      }
    }
  }
}

const RELOAD_STATE: ReturnType<MetricsContext['reloadState']> = {
  status: { atMs: 0, tookMs: 0, trigger: 'start', isOk: true, error: '', changes: [], pending: [], epoch: 1 },
  figures: { okCount: 0, failedCount: 0, lastOkMs: 0 },
  epoch: 1,
  layers: { persisted: [], unpersisted: [], unmatched: new Set(), rows: null },
  source: null,
};

export async function makeScrapeContext(): Promise<MetricsContext> {
  const loaded = assembleConfig({
    config: { name: 'pgdog.toml', text: toml() },
    users: { name: 'users.toml', text: '[[users]]\nname = "app"\nall_databases = true\npassword = "p"\n' },
    commandLine: { workers: WORKERS, listen: [], isSessionMode: false, databaseUrls: [] },
    environment: {},
    cpuCount: WORKERS,
    readSecretFile: () => '',
  });
  const snapshot = await buildSnapshot(loaded, 1);
  const memory = createSharedMemory({ workers: WORKERS, poolsMax: POOLS, fdMax: 1024 });
  for (const { index, poolSize } of snapshot.pools) memory.capacity.setPoolLimit(index, poolSize);
  for (let worker = 0; worker < WORKERS; worker++) memory.workers.setState(worker, WORKER_SERVING);
  const window = new StatsWindow(memory, () => snapshot);
  serve(memory);
  window.endPeriod();
  return {
    memory,
    window,
    config: () => snapshot,
    version: '0',
    startedMs: 0,
    nowMs: Date.now,
    isDraining: () => false,
    reloadState: () => RELOAD_STATE,
    listeners: () => [],
    certificates: () => [],
    recovery: () => [],
    driftFigures: () => [],
    reportMirrors: () => Promise.resolve([]),
  };
}

export async function run({ quick }: { quick: boolean }): Promise<MicroResult[]> {
  const metrics = createMetrics(await makeScrapeContext());
  let bestMs = Number.POSITIVE_INFINITY;
  let bytes = 0;
  for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
    const start = process.cpuUsage();
    bytes = (await metrics.page()).length;
    const { user, system } = process.cpuUsage(start);
    bestMs = Math.min(bestMs, (user + system) / 1000);
  }
  if (!quick && bestMs > BOUND_MS)
    throw new Error(`a scrape took ${bestMs.toFixed(1)} ms, more than ${BOUND_MS}`);
  // Times of day are in the page: only its length is the same each time, nearly.
  return [{ name: `scrape of ${POOLS} pools`, nsPerOp: bestMs * 1e6, hash: Math.round(bytes / 1e5) }];
}
