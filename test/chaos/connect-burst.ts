/**
 * Far more connects than max_client_conn allows, while those who are in work on: all of them keep working, every
 * other one is refused with the limit's name, and the counts are right afterwards.
 */
import { readFileSync } from 'node:fs';
import { Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/wire.js';

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
}

export interface BurstReport {
  seconds: number;
  /** SQLSTATE, or what else ended an attempt, to how often. */
  outcomes: Record<string, number>;
  /** Statements of the running clients per second, before and during the burst. */
  perSecondBefore: number;
  perSecondDuring: number;
  /** Fewest statements that one of them got through during it. */
  fewest: number;
  failures: string[];
  /** CPU time of the proxy during the burst, all threads, milliseconds. */
  cpuMs: number;
}

const CALM_MS = 1000;
const LOGINS_AT_ONCE = 50;
/** /proc counts in hundredths of a second. */
const TICK_MS = 10;

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function openAll(port: number, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const portion = Array.from({ length: Math.min(LOGINS_AT_ONCE, count - clients.length) }, () =>
      RawClient.connect({ port, password: 'postgres', timeoutMs: 30_000 }),
    );
    clients.push(...(await Promise.all(portion)));
  }
  return clients;
}

/** One connect that should be refused; what came of it. */
async function attempt(port: number): Promise<string> {
  try {
    const client = await RawClient.open({ port, password: 'postgres', timeoutMs: 30_000 });
    const { error } = await client.login();
    client.destroy();
    if (error === null) return 'logged in';
    return error.M?.includes('max_client_conn') === true ? (error.C ?? '') : (error.M ?? '');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export async function runBurst(options: BurstOptions): Promise<BurstReport> {
  const { proxy, limit, burst, concurrency } = options;
  const clients = await openAll(proxy.port, limit);
  const failures: string[] = [];
  const counts = new Array<number>(options.running).fill(0);
  let isOver = false;
  const running = clients.slice(0, options.running).map(async (client, index) => {
    while (!isOver) {
      client.send(Q('SELECT 1'));
      const result = await client.readUntilReady(1, 30_000).catch((error: Error) => error);
      if (result instanceof Error || result.error !== null) {
        failures.push(result instanceof Error ? result.message : (result.error?.M ?? ''));
        return;
      }
      counts[index] = (counts[index] ?? 0) + 1;
    }
  });
  const total = (): number => counts.reduce((sum, count) => sum + count, 0);
  const measured = async (work: () => Promise<unknown>): Promise<{ seconds: number; perSecond: number }> => {
    const [since, before] = [performance.now(), total()];
    await work();
    const seconds = (performance.now() - since) / 1000;
    return { seconds, perSecond: (total() - before) / seconds };
  };
  const calm = await measured(() => new Promise((resolve) => setTimeout(resolve, CALM_MS)));
  const outcomes: Record<string, number> = {};
  const [cpuBefore, countsBefore] = [cpuMs(proxy.pid), [...counts]];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next++ < burst) {
      const outcome = await attempt(proxy.port);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  const stormy = await measured(() => Promise.all(Array.from({ length: concurrency }, lane)));
  const cpuAfter = cpuMs(proxy.pid);
  isOver = true;
  await Promise.all(running);
  await checkIdle(clients.slice(options.running), failures);
  await checkCounts(proxy, limit, clients);
  return {
    seconds: stormy.seconds,
    outcomes,
    perSecondBefore: calm.perSecond,
    perSecondDuring: stormy.perSecond,
    fewest: Math.min(...counts.map((count, index) => count - (countsBefore[index] ?? 0))),
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
  await eventually('nobody is counted', async () => (await used()) === 0, 10_000);
}
