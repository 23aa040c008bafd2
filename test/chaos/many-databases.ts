/** What databases cost that there are many of: tenants as they come, and configured ones. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';

/** Of logins to tenants that had to be made, around one number. */
export interface LoginCost {
  number: number;
  meanMs: number;
  /** Of the supervisor's thread, and of the whole proxy. */
  supervisorUs: number;
  proxyUs: number;
}

const USERS = [{ name: 'postgres', password: 'postgres', all_databases: true }];
const GENERAL = { min_pool_size: 0, log_connections: false, log_disconnections: false, config_watch: false };
const TICK_US = 10_000;

function cpuUs(path: string): number {
  const fields = readFileSync(path, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return TICK_US * (Number(fields[11]) + Number(fields[12]));
}

const ofProxy = ({ pid }: TestProxy): number => cpuUs(`/proc/${pid}/stat`);
const ofSupervisor = ({ pid }: TestProxy): number => cpuUs(`/proc/${pid}/task/${pid}/stat`);

export function residentMb({ pid }: TestProxy): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

async function visit(proxy: TestProxy, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: proxy.url(database) });
  await client.connect();
  await client.end();
}

async function costOf(proxy: TestProxy, from: number, count: number): Promise<LoginCost> {
  const before = [performance.now(), ofSupervisor(proxy), ofProxy(proxy)];
  for (let number = from; number < from + count; number++) await visit(proxy, `tenant_${number}`);
  const after = [performance.now(), ofSupervisor(proxy), ofProxy(proxy)];
  const [tookMs, supervisorUs, proxyUs] = after.map((value, place) => (value - before[place]) / count);
  return { number: from, meanMs: tookMs, supervisorUs, proxyUs };
}

/** Databases by pattern, one login each; measured are those from each mark on. */
export async function measureTenants(
  server: TestPostgres,
  marks: readonly number[],
  count: number,
  idleTimeoutMs: number,
): Promise<{ costs: LoginCost[]; residentMb: number[]; dropMs: number; dropCpuMs: number }> {
  const proxy = await startProxy({
    workers: 1,
    databases: [{ name: 'tenant_*', host: server.host, port: server.port, database_name: 'postgres' }],
    users: USERS,
    general: { ...GENERAL, idle_timeout: 50, tenant_idle_timeout: idleTimeoutMs },
  });
  try {
    const costs: LoginCost[] = [];
    const resident: number[] = [];
    let made = 0;
    for (const mark of marks) {
      while (made < mark) {
        const batch = Math.min(8, mark - made);
        await Promise.all(
          Array.from({ length: batch }, (_, place) => visit(proxy, `tenant_${made + place}`)),
        );
        made += batch;
      }
      costs.push(await costOf(proxy, made, count));
      made += count;
      resident.push(residentMb(proxy));
    }
    const beganMs = performance.now();
    const cpu = ofProxy(proxy);
    for (;;) {
      const [row] = await proxy.adminQuery('SHOW TENANTS');
      if (row === undefined || Number(row['tenants']) === 0) break;
      await sleep(200);
    }
    return {
      costs,
      residentMb: resident,
      dropMs: performance.now() - beganMs,
      dropCpuMs: (ofProxy(proxy) - cpu) / 1000,
    };
  } finally {
    await proxy.stop();
  }
}

export interface ConfiguredCost {
  residentMb: number;
  /** CPU of the proxy per query of one client after the other. */
  queryUs: number[];
}

/** The same queries beside so many configured databases. */
export async function measureConfigured(
  server: TestPostgres,
  count: number,
  rounds: number,
  queries: number,
): Promise<ConfiguredCost> {
  const databases = Array.from({ length: count }, (_, number) => ({
    name: `tenant_${number}`,
    host: server.host,
    port: server.port,
    database_name: 'postgres',
  }));
  const options: StartProxyOptions = { workers: 1, databases, users: USERS, general: GENERAL };
  const proxy = await startProxy(options);
  const client = new pg.Client({ connectionString: proxy.url('tenant_0') });
  try {
    await client.connect();
    const queryUs: number[] = [];
    for (let round = 0; round < rounds + 1; round++) {
      const cpu = ofProxy(proxy);
      for (let query = 0; query < queries; query++) await client.query('SELECT 1');
      // The first warms up.
      if (round > 0) queryUs.push((ofProxy(proxy) - cpu) / queries);
    }
    return { residentMb: residentMb(proxy), queryUs };
  } finally {
    await client.end();
    await proxy.stop();
  }
}
