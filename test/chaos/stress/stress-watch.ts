/** What must hold while clients are at work, and when they have gone; and a picture of everything for when it does not. */
import { readFileSync } from 'node:fs';
import { eventually, sleep } from '../../support/wire.js';
import { ACCOUNTS, BALANCE } from './stress-reads.js';
import { PART, PLAIN, SHOP, USERS } from './stress-settings.js';
import type { StressWorld } from './stress-world.js';

const QUIET_MS = 20_000;
const SAMPLE_EVERY_MS = 250;
/** So many samples in a row must be wrong: what comes free goes to who waits in a moment, and servers end connections in theirs. */
const SAMPLES_IN_A_ROW = 16;
const NAMES = USERS.map((name) => `'${name}'`).join();
const BACKENDS = `FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename IN (${NAMES})`;
/** Of the time, of each worker at rest. */
const REST_SHARE_MAX = 0.25;
const REST_MS = 400;

type PoolRow = Record<
  | 'id'
  | 'database'
  | 'user'
  | 'shard'
  | 'cl_waiting'
  | 'sv_idle'
  | 'sv_active'
  | 'sv_idle_xact'
  | 'sv_total'
  | 'workers_waiting'
  | 'paused',
  string
>;

export class StressWatch {
  readonly #world: StressWorld;
  /** Pools with waiters beside idle server connections, and since how many samples. */
  readonly #beside = new Map<string, number>();
  /** Server connections above the places of their pool, and since how many samples. */
  readonly #above = new Map<string, number>();
  samples = 0;
  failure: string | null = null;

  constructor(world: StressWorld) {
    this.#world = world;
  }

  /** Until the phase is over. */
  async run(): Promise<void> {
    while (this.#world.isOpen && this.failure === null) {
      await sleep(SAMPLE_EVERY_MS);
      await this.#sample().catch(() => this.#forget());
      // What is broken now says nothing.
      if (this.#world.excuseFor(performance.now()) !== '') this.#forget();
    }
  }

  #forget(): void {
    this.#beside.clear();
    this.#above.clear();
  }

  async #sample(): Promise<void> {
    const pools = await this.#world.proxy.adminQuery<PoolRow>('SHOW POOLS');
    this.samples++;
    for (const pool of pools) {
      const isIdleBeside =
        Number(pool.cl_waiting) > 0 && Number(pool.sv_idle) > 0 && String(pool.paused) !== 'true';
      this.#count(
        this.#beside,
        nameOf(pool),
        isIdleBeside,
        'clients wait beside an idle server connection of',
      );
    }
    const rows = await this.#world.servers.all(
      SHOP,
      `SELECT datname, usename, count(*) AS count, string_agg(pid || ' ' || state || ' ' || left(query, 40), '; ') AS what ${BACKENDS} GROUP BY 1, 2`,
    );
    const totals = new Map<string, number>();
    for (const { datname, usename, count, what } of rows) {
      const database = datname === 'postgres' ? SHOP : String(datname);
      const limit = this.#world.placesMax.get(database) ?? 0;
      totals.set(String(usename), (totals.get(String(usename)) ?? 0) + Number(count));
      this.#count(
        this.#above,
        `${datname}/${usename}`,
        Number(count) > limit,
        `${count} of ${limit} places (${what}) are taken of`,
      );
    }
    const { userLimit } = this.#world.settings;
    for (const [user, total] of totals)
      this.#count(
        this.#above,
        user,
        userLimit > 0 && total > userLimit,
        `${total} of ${userLimit} places are taken by`,
      );
  }

  #count(counts: Map<string, number>, key: string, isWrong: boolean, what: string): void {
    const count = isWrong ? (counts.get(key) ?? 0) + 1 : 0;
    counts.set(key, count);
    if (count >= SAMPLES_IN_A_ROW) this.failure ??= `for ${count} samples ${what} ${key}`;
  }
}

const nameOf = ({ database, user, shard }: PoolRow): string => `${database}/${user}/shard ${shard}`;

/** When all clients have gone: nothing is left of them, and everything is as they were told. */
export async function checkQuiet(world: StressWorld): Promise<string[]> {
  const problems: string[] = [];
  const eventuallyEmpty = async (what: string, look: () => Promise<string[]>): Promise<void> => {
    let left: string[] = [];
    await eventually(
      what,
      async () => {
        left = await look().catch((error: Error) => [error.message]);
        return left.length === 0;
      },
      QUIET_MS,
    ).catch(() => problems.push(`${what}: ${left.slice(0, 10).join(', ')}`));
  };
  await eventuallyEmpty('clients are left', async () => {
    const rows = await world.proxy.adminQuery('SHOW CLIENTS');
    return rows
      .filter(({ database }) => database !== 'admin')
      .map((row) => `${row['id']} ${row['database']} ${row['state']}`);
  });
  await eventuallyEmpty('prepared transactions are left', () => world.servers.servers.prepared());
  await eventuallyEmpty('transactions and locks are left', () => leftOnServers(world));
  await eventuallyEmpty('pools are not at rest', () => poolsNotAtRest(world));
  await eventuallyEmpty('memory shared by the workers is not at rest', () => memoryNotAtRest(world));
  await eventuallyEmpty('workers are busy', () => busyWorkers(world));
  problems.push(...(await checkRows(world)));
  return problems;
}

async function leftOnServers({ servers }: StressWorld): Promise<string[]> {
  const rows = await servers.all(
    SHOP,
    `SELECT pid || ' ' || datname || ' ' || state || ' ' || left(query, 80) AS text ${BACKENDS} AND state <> 'idle'
     UNION ALL SELECT 'advisory lock ' || objid || ' of ' || pid FROM pg_locks WHERE locktype = 'advisory'`,
  );
  if (servers.hasOrphans) return rows.map(({ text }) => String(text));
  const temps = await servers.everywhere(
    "SELECT 'temporary table ' || relname AS text FROM pg_class JOIN pg_stat_activity ON true WHERE relpersistence = 't' AND relkind = 'r' LIMIT 1",
  );
  return [...rows, ...temps].map(({ text }) => String(text));
}

async function poolsNotAtRest({ proxy, servers }: StressWorld): Promise<string[]> {
  const pools = await proxy.adminQuery<PoolRow>('SHOW POOLS');
  const odd = pools.filter((pool) =>
    (['cl_waiting', 'sv_active', 'sv_idle_xact', 'workers_waiting'] as const).some(
      (name) => Number(pool[name]) !== 0,
    ),
  );
  const texts = odd.map((pool) => `${nameOf(pool)}: ${JSON.stringify(pool)}`);
  const ofClients = pools.filter(({ user }) => (USERS as readonly string[]).includes(user));
  const total = ofClients.reduce((sum, { sv_total }) => sum + Number(sv_total), 0);
  const there = (await servers.all(SHOP, `SELECT pid ${BACKENDS}`)).length;
  if (there !== total) texts.push(`${total} server connections are counted, ${there} are on the servers`);
  return texts;
}

/** Every place that is taken is one of a server connection. */
async function memoryNotAtRest({ proxy }: StressWorld): Promise<string[]> {
  const cells = await proxy.adminQuery('SHOW SHARED_MEMORY');
  const pools = await proxy.adminQuery<PoolRow>('SHOW POOLS');
  const total = pools.reduce((sum, { sv_total }) => sum + Number(sv_total), 0);
  const sumOf = (region: string, cell: string): number => {
    const row = cells.find((one) => one['region'] === region && one['cell'] === cell);
    const text = row?.['value'] ?? '';
    const [, sum] = /sum (-?\d+)/.exec(text) ?? [];
    return sum === undefined ? text.split(' ').reduce((all, value) => all + Number(value), 0) : Number(sum);
  };
  const texts: string[] = [];
  // In all, and once in each pool; and the client that asks for this.
  const claimed = sumOf('capacity', 'claimed') - 2 * total;
  if (claimed < 0 || claimed > 1)
    texts.push(`${claimed} places are taken beside the ${total} of server connections`);
  for (const [region, cell] of [
    ['capacity', 'queued'],
    ['load', 'active'],
    ['load', 'waiting'],
    ['load', 'held waiting'],
    ['load', 'held givable'],
  ] as const)
    if (sumOf(region, cell) !== 0) texts.push(`${region}, ${cell}: ${sumOf(region, cell)}`);
  return texts;
}

async function busyWorkers({ proxy }: StressWorld): Promise<string[]> {
  const busyOf = async (): Promise<Map<string, number>> => {
    const rows = await proxy.adminQuery<{ worker: string; busy_us: string }>('SHOW WORKERS');
    return new Map(rows.map(({ worker, busy_us }) => [worker, Number(busy_us)]));
  };
  const before = await busyOf();
  await sleep(REST_MS);
  const texts: string[] = [];
  for (const [worker, us] of await busyOf()) {
    const share = (us - (before.get(worker) ?? 0)) / 1_000 / REST_MS;
    if (share > REST_SHARE_MAX) texts.push(`worker ${worker} ${Math.round(100 * share)} %`);
  }
  return texts;
}

async function checkRows({ servers, ledger }: StressWorld): Promise<string[]> {
  const problems: string[] = [];
  for (const database of [SHOP, PART, PLAIN]) {
    const found = new Map<string, number>();
    for (const { token } of await servers.all(database, 'SELECT token FROM ledger'))
      found.set(String(token), (found.get(String(token)) ?? 0) + 1);
    problems.push(...ledger.compare(database, found).slice(0, 10));
    const accounts = await servers.all(database, 'SELECT id, balance FROM account');
    const sum = accounts.reduce((all, { balance }) => all + Number(balance), 0);
    const keys = new Set(accounts.map(({ id }) => id));
    if (keys.size !== ACCOUNTS || accounts.length !== ACCOUNTS || sum !== ACCOUNTS * BALANCE)
      problems.push(`${database}: ${accounts.length} accounts with ${keys.size} keys and ${sum} in all`);
  }
  return problems;
}

/** Resident memory of the proxy, MB. */
export function residentMb({ proxy }: StressWorld): number {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kb) / 1024);
}

const ACTIVITY = `SELECT pid, datname, usename, state, wait_event_type || ' ' || wait_event AS waits, pg_blocking_pids(pid)::text AS blocked_by,
  round(extract(epoch FROM clock_timestamp() - state_change) * 1000) AS ms, left(query, 100) AS query
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY datname, usename`;

/** What everybody is doing. */
export async function picture(world: StressWorld): Promise<string> {
  const parts: string[] = [];
  for (const command of ['SHOW POOLS', 'SHOW CLIENTS', 'SHOW SERVERS', 'SHOW MAINTENANCE']) {
    const rows = await world.proxy.adminQuery(command).catch((error: Error) => [{ error: error.message }]);
    parts.push(command, ...rows.map((row) => `  ${shorter(row)}`));
  }
  for (const shard of world.servers.shardsOf(SHOP)) {
    const rows = await world.servers
      .on(shard, SHOP, ACTIVITY)
      .catch((error: Error) => [{ error: error.message }]);
    parts.push(`server ${shard}`, ...rows.map((row) => `  ${shorter(row)}`));
  }
  const prepared = await world.servers.servers.prepared().catch(() => []);
  parts.push(`prepared: ${prepared}`, 'done to it:', ...world.deeds.slice(-40).map((deed) => `  ${deed}`));
  parts.push(world.proxy.output.slice(-3_000));
  return parts.join('\n');
}

/** Without what is nothing. */
const shorter = (row: Record<string, unknown>): string =>
  Object.entries(row)
    .filter(([, value]) => !['', '0', '0.0', 'null', 'false', 'none', 'f'].includes(String(value)))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
