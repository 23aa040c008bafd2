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
        start: (setup: Parameters<Contender['start']>[0]) => base.start({ ...setup, standby }),
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

const TEXTS = {
  'one-shape': (index: number) => `SELECT ${index}`,
  'many-shapes': (index: number) => `SELECT 1 AS c${index}`,
};

async function manyTexts(run: BenchRun, standby: { host: string; port: number }): Promise<void> {
  const count = run.options.isQuick ? 200_000 : 1_000_000;
  const contenders = contendersOf(run, standby).filter(({ key }) =>
    ROUTING_KEYS.some(({ routed }) => routed === key),
  );
  for (const [name, textOf] of Object.entries(TEXTS)) {
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
    // The first quarter fills the cache. Then what is in use stays the same, while garbage comes and goes in tens of
    // megabytes: the lowest of a stretch is compared, not what one instant shows.
    await sendUntil(count / 4);
    const beforeKb = await lowestRssKb(endpoint, () => sendUntil(count / 2));
    const start = process.hrtime.bigint();
    let afterKb = 0;
    const cpu = await withCpu(endpoint, async () => {
      afterKb = await lowestRssKb(endpoint, () => sendUntil(count));
    });
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const rssGrowthMb = (afterKb - beforeKb) / 1024;
    return { tps: count / 2 / seconds, rssGrowthMb, ...cpuValues(endpoint, cpu, count / 2) };
  } finally {
    for (const client of clients) client.close();
  }
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
