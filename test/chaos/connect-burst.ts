/**
 * Far more connects than max_client_conn allows, while those who are in work on: all of them keep working, every
 * other one is refused with the limit's name, and the counts are right afterwards.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { type ClientOptions, eventually } from '../support/wire.js';
import type { StormOrder } from './connect-storm.js';

export interface BurstOptions {
  proxy: TestProxy;
  /** max_client_conn of the proxy. */
  limit: number;
  /** Connects on top of them. */
  burst: number;
  /** How many of those are under way at a time. */
  concurrency: number;
  /** Clients that query while the burst lasts; the rest of the limit idles. */
  running: number;
  /** How long those are measured alone, before and after. */
  calmMs?: number;
  /** Everybody asks for TLS first. */
  isTls?: boolean;
}

/** Of the running clients: statements per second, and how long 99 of 100 took at most, milliseconds. */
export interface Pace {
  perSecond: number;
  p99Ms: number;
}

export interface BurstReport {
  seconds: number;
  /** SQLSTATE, or what else ended an attempt, to how often. */
  outcomes: Record<string, number>;
  before: Pace;
  during: Pace;
  after: Pace;
  /** Fewest statements that one of them got through during it. */
  fewest: number;
  failures: string[];
  /** CPU time of the proxy during the burst, all threads, milliseconds. */
  cpuMs: number;
}

const CALM_MS = 2000;
const LOGINS_AT_ONCE = 50;
/** /proc counts in hundredths of a second. */
const TICK_MS = 10;

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** In a thread of its own: who measures the others must not be kept busy by it. */
async function storm(order: StormOrder): Promise<Record<string, number>> {
  const thread = new Worker(new URL('connect-storm.js', import.meta.url), { workerData: order });
  const [outcomes] = (await once(thread, 'message')) as [Record<string, number>];
  return outcomes;
}

async function openAll(port: number, count: number, to: ClientOptions): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const portion = Array.from({ length: Math.min(LOGINS_AT_ONCE, count - clients.length) }, () =>
      RawClient.connect({ ...to, port, password: 'postgres', timeoutMs: 30_000 }),
    );
    clients.push(...(await Promise.all(portion)));
  }
  return clients;
}

export async function runBurst(options: BurstOptions): Promise<BurstReport> {
  const { proxy, limit, burst, concurrency } = options;
  const to: ClientOptions = options.isTls === true ? { tls: {} } : {};
  const clients = await openAll(proxy.port, limit, to);
  const failures: string[] = [];
  const counts = new Array<number>(options.running).fill(0);
  let isOver = false;
  let tookMs: number[] = [];
  const running = clients.slice(0, options.running).map(async (client, index) => {
    while (!isOver) {
      const sinceMs = performance.now();
      client.send(Q('SELECT 1'));
      const result = await client.readUntilReady(1, 30_000).catch((error: Error) => error);
      if (result instanceof Error || result.error !== null) {
        failures.push(result instanceof Error ? result.message : (result.error?.M ?? ''));
        return;
      }
      counts[index] = (counts[index] ?? 0) + 1;
      tookMs.push(performance.now() - sinceMs);
    }
  });
  const measured = async (work: () => Promise<unknown>): Promise<Pace & { seconds: number }> => {
    tookMs = [];
    const since = performance.now();
    await work();
    const seconds = (performance.now() - since) / 1000;
    const sorted = tookMs.toSorted((a, b) => a - b);
    const p99Ms = sorted[Math.floor(sorted.length * 0.99)] ?? Number.POSITIVE_INFINITY;
    return { seconds, perSecond: sorted.length / seconds, p99Ms };
  };
  const calm = () => new Promise((resolve) => setTimeout(resolve, options.calmMs ?? CALM_MS));
  // The first second has the warming up of everything.
  await calm();
  const before = await measured(calm);
  let outcomes: Record<string, number> = {};
  const [cpuBefore, countsBefore] = [cpuMs(proxy.pid), [...counts]];
  const stormy = await measured(async () => {
    outcomes = await storm({ port: proxy.port, limit, burst, concurrency, to });
  });
  const cpuAfter = cpuMs(proxy.pid);
  const fewest = Math.min(...counts.map((count, index) => count - (countsBefore[index] ?? 0)));
  const after = await measured(calm);
  isOver = true;
  await Promise.all(running);
  await checkIdle(clients.slice(options.running), failures);
  await checkCounts(proxy, limit, clients);
  return {
    seconds: stormy.seconds,
    outcomes,
    before,
    during: stormy,
    after,
    fewest,
    failures,
    cpuMs: cpuAfter - cpuBefore,
  };
}

/** Those that only idled are still there. */
async function checkIdle(idle: RawClient[], failures: string[]): Promise<void> {
  for (const client of idle) {
    const result = await client.query('SELECT 2', 30_000).catch((error: Error) => error);
    if (result instanceof Error) failures.push(`idle client: ${result.message}`);
  }
}

/** The limit is counted exactly: full now, and free again when the clients have gone. */
async function checkCounts(proxy: TestProxy, limit: number, clients: RawClient[]): Promise<void> {
  const used = async (): Promise<number> => {
    const [row] = await proxy.adminQuery<{ used_clients: string }>('SHOW LISTS');
    return Number(row?.used_clients);
  };
  const now = await used();
  if (now !== limit) throw new Error(`${now} clients are counted, ${limit} are there`);
  await Promise.all(clients.map((client) => client.end()));
  await eventually('nobody is counted', async () => (await used()) === 0);
}
