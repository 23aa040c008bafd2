/** What it takes to change one of very many databases, and what clients of the others feel of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { startProxy } from '../support/proxy.js';
import { type TomlTable, toToml } from '../support/toml-text.js';
import { ResidentSamples } from './resident.js';

/** Somebody who has just started thousands of databases does not reload them at once. */
const MANY = 1000;
const BEFORE_MS = 5000;

export interface OneOfManyReport {
  /** Of each reload. */
  reloadMs: number[];
  /** Of the whole proxy, from before it until a moment after. */
  cpuMs: number[];
  /** Of the supervisor's thread alone, and how long that waited for a core that others had: together about what the clock says. */
  threadMs: number[];
  queuedMs: number[];
  /** Longest answer to a client of another database, during each reload, and in as long a time without one. */
  longestMs: number[];
  longestIdleMs: number[];
  resident: ResidentSamples;
}

/** Clock ticks of utime and stime are hundredths of a second. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** CPU of the first thread, and its waiting for a core, ms. */
function threadTimes(pid: number): [number, number] {
  const [ranNs, queuedNs] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return [ranNs / 1e6, queuedNs / 1e6];
}

/** Asks without a pause until `isOver`; the longest that an answer took, ms. */
async function longestAnswer(client: pg.Client, isOver: () => boolean): Promise<number> {
  let longestMs = 0;
  while (!isOver()) {
    const sinceMs = performance.now();
    await client.query('SELECT 1');
    longestMs = Math.max(longestMs, performance.now() - sinceMs);
  }
  return longestMs;
}

/** Answers while `work` runs. */
async function during(client: pg.Client, work: () => Promise<unknown>): Promise<number> {
  let isOver = false;
  const longest = longestAnswer(client, () => isOver);
  await work();
  // Workers take it up after the answer.
  await sleep(50);
  isOver = true;
  return longest;
}

export async function measureOneOfMany(
  server: TestPostgres,
  count: number,
  rounds: number,
): Promise<OneOfManyReport> {
  const { port } = server;
  const databases = (changedSize: number): TomlTable[] =>
    Array.from({ length: count }, (_, n) => ({
      name: `tenant_${n}`,
      host: '127.0.0.1',
      port,
      database_name: 'postgres',
      pool_size: n === 1 ? changedSize : 5,
    }));
  const general = {
    min_pool_size: 0,
    log_connections: false,
    log_disconnections: false,
    config_watch: false,
  };
  const users = [{ name: 'postgres', password: 'postgres', all_databases: true }];
  const proxy = await startProxy({ databases: databases(5) as never, users, general, workers: 1 });
  const resident = new ResidentSamples(proxy.pid);
  const report: OneOfManyReport = {
    reloadMs: [],
    cpuMs: [],
    threadMs: [],
    queuedMs: [],
    longestMs: [],
    longestIdleMs: [],
    resident,
  };
  const client = new pg.Client({ connectionString: proxy.url('tenant_0') });
  const admin = new pg.Client({ connectionString: proxy.adminUrl });
  try {
    await Promise.all([client.connect(), admin.connect()]);
    if (count >= MANY) await sleep(BEFORE_MS);
    for (let round = 0; round < rounds; round++) {
      const text = toToml(
        { general, admin: { password: 'admin' } },
        { databases: databases(6 + (round % 5)) },
      );
      writeFileSync(join(proxy.directory, 'pgdog.toml'), text);
      const cpuBefore = cpuMsOf(proxy.pid);
      const sinceMs = performance.now();
      let tookMs = 0;
      const longest = await during(client, async () => {
        const [ranMs, queuedMs] = threadTimes(proxy.pid);
        await admin.query('RELOAD');
        tookMs = performance.now() - sinceMs;
        const after = threadTimes(proxy.pid);
        report.threadMs.push(after[0] - ranMs);
        report.queuedMs.push(after[1] - queuedMs);
      });
      report.longestMs.push(longest);
      report.reloadMs.push(tookMs);
      report.cpuMs.push(cpuMsOf(proxy.pid) - cpuBefore);
      report.longestIdleMs.push(await during(client, () => sleep(tookMs)));
      resident.take();
    }
  } finally {
    await Promise.all([client.end(), admin.end()]);
    await proxy.stop();
  }
  return report;
}
