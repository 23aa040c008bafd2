/**
 * What it costs to read a statement and to choose its host: select-only through a proxy that has a primary and a standby,
 * beside the same proxy with one server. Reads go to the standby alone, so that both have as many server connections.
 * Then what the cache of plans does with a great many texts: of one shape, and of as many shapes.
 */
import {
  addCase,
  addContender,
  type BenchRun,
  cpuValues,
  errorText,
  measure,
  type Running,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import type { Contender, Endpoint } from '../macro/endpoint.js';
import { runPgbench } from '../macro/pgbench.js';
import { type IoDriver, isBuilt, pgdogCluster } from '../macro/pgdog-cluster.js';
import { rssKb } from '../macro/proc.js';
import { PACKAGES } from '../macro/programs.js';
import { query, RawClient } from '../macro/raw-client.js';
import { startStandby } from '../macro/standby.js';
import type { Values } from '../report/results.js';

const CLIENTS = 32;
/** In quick runs for 2 s each, where one of the two may meet what the other does not; so a little longer than elsewhere. */
const SECONDS_MIN = 4;
const PROTOCOLS = ['prepared', 'simple'] as const;
const TEXT_CLIENTS = 16;
const RSS_PERIOD_MS = 200;

const DRIVERS = ['io_uring', 'epoll'] as const satisfies readonly IoDriver[];

/** Keys of the contenders of this workload, for the verdict. */
export const ROUTING_KEYS = DRIVERS.map((driver) => ({
  driver,
  plain: `plain-${driver}`,
  routed: `routed-${driver}`,
}));

export async function routing(run: BenchRun): Promise<void> {
  if (run.pgbench === null)
    return skip(run, 'routing (all contenders)', `pgbench not found: ${PACKAGES.pgbench}`);
  if (!isBuilt()) return;
  let standby: { host: string; port: number };
  try {
    standby = await startStandby(run.server);
  } catch (error) {
    return skip(run, 'routing (all contenders)', errorText(error));
  }
  await costs(run, run.pgbench.path, standby);
  await manyTexts(run, standby);
}

function contendersOf(run: BenchRun, standby: { host: string; port: number }): Contender[] {
  const version = run.mainContenders.find((contender) => contender.kind === 'ours')?.version ?? '';
  const contenders = ROUTING_KEYS.flatMap(({ driver, plain, routed }) => {
    const base = pgdogCluster(run.server.pooled, version, driver, 1);
    return [
      { ...base, key: plain, label: `one server, ${driver}` },
      {
        ...base,
        key: routed,
        label: `primary and standby, ${driver}`,
        start: (setup: Parameters<Contender['start']>[0]) =>
          base.start({ ...setup, standby, hasMetrics: true }),
      },
    ];
  });
  for (const contender of contenders) addContender(run, contender);
  return contenders;
}

async function costs(run: BenchRun, pgbench: string, standby: { host: string; port: number }): Promise<void> {
  const running = await startAll(run, contendersOf(run, standby), 'trust');
  const seconds = Math.max(SECONDS_MIN, run.options.seconds);
  const load = (protocol: string, endpoint: Endpoint) =>
    runPgbench(pgbench, run.folder, endpoint.login, {
      clients: CLIENTS,
      seconds,
      args: ['-S', '-M', protocol],
      samplingRate: 0.1,
    });
  for (const protocol of PROTOCOLS) {
    for (const { endpoint } of running) await load(protocol, endpoint);
    const title = `select-only, ${protocol} protocol, ${CLIENTS} clients, one server or read from a standby`;
    const key = addCase(run, { key: `routing-${protocol}`, group: 'routing', title });
    for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
      for (const { contender, endpoint } of running) {
        await measure(run, key, contender, repeat, async (): Promise<Values> => {
          const cpu = await withCpu(endpoint, () => load(protocol, endpoint));
          const { tps, p50Ms, p99Ms, transactions } = cpu.result;
          return { tps, p50Ms, p99Ms, ...cpuValues(endpoint, cpu, transactions) };
        });
      }
    }
  }
  await stopAll(running);
}

/** What is read of a new shape becomes old garbage, which is collected first after some 400,000 of them. */
const TEXTS = {
  'one-shape': { textOf: (index: number) => `SELECT ${index}`, quickCount: 200_000 },
  'many-shapes': { textOf: (index: number) => `SELECT 1 AS c${index}`, quickCount: 1_000_000 },
};
const TEXT_COUNT = 1_000_000;

async function manyTexts(run: BenchRun, standby: { host: string; port: number }): Promise<void> {
  const contenders = contendersOf(run, standby).filter(({ key }) =>
    ROUTING_KEYS.some(({ routed }) => routed === key),
  );
  for (const [name, { textOf, quickCount }] of Object.entries(TEXTS)) {
    const count = run.options.isQuick ? quickCount : TEXT_COUNT;
    const title = `${count} texts, ${name.replace('-', ' ')}, ${TEXT_CLIENTS} clients`;
    const key = addCase(run, { key: `routing-${name}`, group: 'routing', title });
    for (const contender of contenders) {
      const running: Running[] = await startAll(run, [contender], 'trust');
      for (const { endpoint } of running) {
        await measure(run, key, contender, 0, () => sendTexts(endpoint, count, textOf));
      }
      await stopAll(running);
    }
  }
}

async function sendTexts(
  endpoint: Endpoint,
  count: number,
  textOf: (index: number) => string,
): Promise<Values> {
  const clients = await Promise.all(
    Array.from({ length: TEXT_CLIENTS }, () => RawClient.open(endpoint.login)),
  );
  let next = 0;
  const sendUntil = async (end: number): Promise<void> => {
    await Promise.all(
      clients.map(async (client) => {
        while (next < end) {
          await client.exchange(query(textOf(next++)), 1);
        }
      }),
    );
  };
  try {
    // The first half fills the cache, which the figures show. Then what is in use stays the same, while garbage comes
    // and goes in tens of megabytes: the lowest of a stretch is compared, not what one instant shows.
    await sendUntil(count / 2);
    const full = await cacheFigures(endpoint);
    const beforeKb = await lowestRssKb(endpoint, () => sendUntil((count * 3) / 4));
    const start = process.hrtime.bigint();
    let afterKb = 0;
    const cpu = await withCpu(endpoint, async () => {
      afterKb = await lowestRssKb(endpoint, () => sendUntil(count));
    });
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const rssGrowthMb = (afterKb - beforeKb) / 1024;
    const { bytes, hits, misses } = await cacheFigures(endpoint);
    if (bytes > full.bytes) throw new Error('the cache was not full when its memory was measured');
    const cache = { cacheMb: bytes / 1e6, hitRate: hits / (hits + misses) };
    return { tps: count / 4 / seconds, rssGrowthMb, ...cache, ...cpuValues(endpoint, cpu, count / 4) };
  } finally {
    for (const client of clients) client.close();
  }
}

/** Plans, and what SHOW QUERIES counts for; all workers together. */
async function cacheFigures({
  metricsPort,
}: Endpoint): Promise<{ bytes: number; hits: number; misses: number }> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const figureOf = (name: string): number => {
    const line = text
      .split('\n')
      .find((each) => each.includes(`query_cache_${name}`) && !each.startsWith('#'));
    if (line === undefined) throw new Error(`no metric query_cache_${name}`);
    return Number(line.slice(line.lastIndexOf(' ')));
  };
  return { bytes: figureOf('bytes'), hits: figureOf('hits'), misses: figureOf('misses') };
}

/** While `work` runs. */
async function lowestRssKb(endpoint: Endpoint, work: () => Promise<void>): Promise<number> {
  let lowest = rssKb(endpoint.pids);
  const timer = setInterval(() => {
    lowest = Math.min(lowest, rssKb(endpoint.pids));
  }, RSS_PERIOD_MS);
  await work().finally(() => clearInterval(timer));
  return lowest;
}
