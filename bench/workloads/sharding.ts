/**
 * What several shards cost: statements of one shard beside the same proxy with one server, a read that all shards are asked
 * for beside the slowest of them, a sorted read of a million rows, and a commit over two shards beside the same work on
 * one. The shards are databases of one server, so all have the same cores.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addCase,
  addContender,
  type BenchRun,
  cpuValues,
  errorText,
  measure,
  POOL_SIZE,
  type Running,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import type { Contender, Endpoint, Login } from '../macro/endpoint.js';
import { runPgbench } from '../macro/pgbench.js';
import { type IoDriver, isBuilt, pgdogCluster } from '../macro/pgdog-cluster.js';
import { withClient } from '../macro/postgres-server.js';
import { rssKb } from '../macro/proc.js';
import { PACKAGES } from '../macro/programs.js';
import { message, query, RawClient } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';
import { percentile } from '../report/statistics.js';

const ROWS = 1_000_000;
const CHUNK_ROWS = 320;
const CLIENTS = 32;
/** As for routing: where each run is short, one of two may meet what the other does not. */
const SECONDS_MIN = 4;
const PROTOCOLS = ['prepared', 'simple'] as const;
const COMMITS = 2000;
const QUICK_DIVISOR = 4;
/** As long as V8 takes to compile what a kind of statement runs through: of a few hundred rounds most would be measured before. */
const WARM_UP_MS = 2000;
const RSS_PERIOD_MS = 100;

const SHARDS = ['bench_shop_0', 'bench_shop_1', 'bench_shop_2'];
const TABLE = 'CREATE TABLE bench_shop (id bigint, number int, note text)';
const INDEXES = `ALTER TABLE bench_shop ADD PRIMARY KEY (id); CREATE INDEX ON bench_shop (number); VACUUM ANALYZE bench_shop`;
const SETUP = `CREATE SCHEMA pgdog;
  CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT now())`;

const DRIVERS = ['io_uring', 'epoll'] as const satisfies readonly IoDriver[];

/** Keys of the contenders of this workload, for the verdict. */
export const SHARDING_KEYS = DRIVERS.map((driver) => ({
  driver,
  plain: `one-${driver}`,
  sharded: `sharded-${driver}`,
}));

export async function sharding(run: BenchRun): Promise<void> {
  if (!isBuilt()) return;
  try {
    await makeDatabases(run);
  } catch (error) {
    return skip(run, 'sharding (all contenders)', errorText(error));
  }
  const { plain, sharded } = contendersOf(run);
  const running = await startAll(run, sharded, 'trust', Math.ceil(POOL_SIZE / SHARDS.length));
  try {
    await fill(run, running);
    const ids = await Promise.all(SHARDS.map((database) => someIds({ ...run.server.pooled, database })));
    await direct(run, [...(await startAll(run, plain, 'trust')), ...running]);
    await scatter(run, running, ids);
    await merge(run, running);
    await commit(run, running, ids);
  } catch (error) {
    skip(run, 'sharding', errorText(error));
  }
  await stopAll(running);
  await withClient(run.server.owner, async (client) => {
    for (const name of SHARDS) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  await withClient(run.server.pooled, (client) => client.query('DROP TABLE bench_shop'));
}

async function makeDatabases({ server: { owner, pooled } }: BenchRun): Promise<void> {
  await withClient(owner, async (client) => {
    for (const name of SHARDS) {
      await client.query(`DROP DATABASE IF EXISTS ${name}`);
      await client.query(`CREATE DATABASE ${name} OWNER ${pooled.user}`);
    }
  });
  for (const database of SHARDS) {
    await withClient({ ...pooled, database }, (client) => client.query(`${TABLE}; ${SETUP}`));
  }
  await withClient(pooled, (client) => client.query(`DROP TABLE IF EXISTS bench_shop; ${TABLE}`));
}

function contendersOf(run: BenchRun): { plain: Contender[]; sharded: Contender[] } {
  const version = run.mainContenders.find((contender) => contender.kind === 'ours')?.version ?? '';
  const shards = { databases: SHARDS, table: 'bench_shop', column: 'id' };
  const made = SHARDING_KEYS.map(({ driver, plain, sharded }) => {
    const base = pgdogCluster(run.server.pooled, version, driver, 1);
    return {
      plain: { ...base, key: plain, label: `one server, ${driver}` },
      sharded: {
        ...base,
        key: sharded,
        label: `${SHARDS.length} shards, ${driver}`,
        start: (setup: Parameters<Contender['start']>[0]) => base.start({ ...setup, shards }),
      },
    };
  });
  const found = { plain: made.map(({ plain }) => plain), sharded: made.map(({ sharded }) => sharded) };
  for (const contender of [...found.plain, ...found.sharded]) addContender(run, contender);
  return found;
}

/** Through the proxy, which knows where rows belong; and into the one server. */
async function fill({ server: { pooled } }: BenchRun, running: readonly Running[]): Promise<void> {
  const [first] = running;
  if (first === undefined) throw new Error('no sharded proxy to fill the shards by');
  for (const login of [pooled, first.endpoint.login]) {
    const client = await RawClient.open(login);
    for (let start = 0; start < ROWS; start += CHUNK_ROWS) {
      const lines = Array.from({ length: CHUNK_ROWS }, (_, row) => {
        const id = (start + row) % ROWS;
        return `${id}\t${id}\tsixty bytes of text, which is about what a short row may have\n`;
      });
      const count = Math.min(CHUNK_ROWS, ROWS - start);
      await client.copyIn(
        'COPY bench_shop FROM STDIN',
        message('d', Buffer.from(lines.slice(0, count).join(''))),
        1,
      );
    }
    client.close();
  }
  for (const database of [pooled.database, ...SHARDS]) {
    for (const sql of INDEXES.split('; ')) {
      await withClient({ ...pooled, database }, (client) => client.query(sql));
    }
  }
}

/** Some of those that one shard has; their numbers are the same. */
async function someIds(login: Login): Promise<number[]> {
  let ids: number[] = [];
  await withClient(login, async (client) => {
    const { rows } = await client.query(
      'SELECT id::int AS id FROM bench_shop ORDER BY md5(id::text) LIMIT 1000',
    );
    ids = rows.map(({ id }: { id: number }) => id);
  });
  return ids;
}

async function direct(run: BenchRun, running: readonly Running[]): Promise<void> {
  const { pgbench } = run;
  const plain = running.filter(({ contender }) => SHARDING_KEYS.some(({ plain }) => plain === contender.key));
  if (pgbench === null) {
    skip(run, 'sharding, one shard (all contenders)', `pgbench not found: ${PACKAGES.pgbench}`);
    return stopAll(plain);
  }
  const script = join(run.folder, 'one-shard.sql');
  writeFileSync(script, `\\set id random(0, ${ROWS - 1})\nSELECT note FROM bench_shop WHERE id = :id;\n`);
  const seconds = Math.max(SECONDS_MIN, run.options.seconds);
  const load = (protocol: string, endpoint: Endpoint) =>
    runPgbench(pgbench.path, run.folder, endpoint.login, {
      clients: CLIENTS,
      seconds,
      args: ['-f', script, '-M', protocol],
      samplingRate: 0.1,
    });
  for (const protocol of PROTOCOLS) {
    for (const { endpoint } of running) await load(protocol, endpoint);
    const title = `one row by its key, ${protocol} protocol, ${CLIENTS} clients, one server or one of ${SHARDS.length} shards`;
    const key = addCase(run, { key: `sharding-${protocol}`, group: 'sharding', title });
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
  await stopAll(plain);
}

/** At once: three servers, the load and the proxy want two cores at a time. Waiting: as a server behind a network does. */
const LOOKUPS = [
  { key: 'busy', what: 'one row by another column', where: '', count: 4000 },
  { key: 'waiting', what: 'one row that takes 2 ms', where: ' AND pg_sleep(0.002) IS NOT NULL', count: 1000 },
];

async function scatter(
  run: BenchRun,
  running: readonly Running[],
  numbers: readonly (readonly number[])[],
): Promise<void> {
  for (const { key, what, where, count } of LOOKUPS) {
    const rounds = run.options.isQuick ? count / QUICK_DIVISOR : count;
    const lookup = (number: number): string =>
      `SELECT id, note FROM bench_shop WHERE number = ${number}${where}`;
    const one = addCase(run, {
      key: `sharding-${key}-slowest`,
      group: 'sharding',
      title: `${what}, one client, of the slowest of ${SHARDS.length} shards, each asked alone`,
    });
    const every = addCase(run, {
      key: `sharding-${key}-all`,
      group: 'sharding',
      title: `${what}, one client, of all shards at once`,
    });
    const beside = addCase(run, {
      key: `sharding-${key}-beside`,
      group: 'sharding',
      title: `${what}, of the slowest of ${SHARDS.length} shards, each asked by a client of its own at the same time`,
    });
    for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
      for (const { contender, endpoint } of running) {
        await measure(run, beside, contender, repeat, () => together(endpoint, rounds, lookup, numbers));
        await measure(run, one, contender, repeat, () => slowest(endpoint, rounds, lookup, numbers));
        await measure(run, every, contender, repeat, () =>
          exchanges(endpoint, rounds, (index) => [lookup(at(numbers[index % numbers.length], index))]),
        );
      }
    }
  }
}

const at = (numbers: readonly number[], index: number): number => numbers[index % numbers.length];

/** A row is on one shard, so each is asked for those that it has. */
async function slowest(
  endpoint: Endpoint,
  count: number,
  lookup: (number: number) => string,
  numbers: readonly (readonly number[])[],
): Promise<Values> {
  const all: Values[] = [];
  for (const [shard, own] of numbers.entries()) {
    all.push(
      await exchanges(endpoint, count, (index) => [`/* pgdog_shard: ${shard} */ ${lookup(at(own, index))}`]),
    );
  }
  return all.reduce((slow, next) => ((next.p50Ms ?? 0) > (slow.p50Ms ?? 0) ? next : slow));
}

/** The machine has the same to do as for all shards at once: what is left of the difference is the proxy's. */
async function together(
  endpoint: Endpoint,
  count: number,
  lookup: (number: number) => string,
  numbers: readonly (readonly number[])[],
): Promise<Values> {
  const clients = await Promise.all(numbers.map(() => RawClient.open(endpoint.login)));
  try {
    return await latenciesOf(count, (index) => {
      const frames = numbers.map((own, shard) =>
        query(`/* pgdog_shard: ${shard} */ ${lookup(at(own, index))}`),
      );
      return async () => void (await Promise.all(clients.map((client, i) => client.exchange(frames[i], 1))));
    });
  } finally {
    for (const client of clients) client.close();
  }
}

async function merge(run: BenchRun, running: readonly Running[]): Promise<void> {
  const title = `${ROWS} rows of ${SHARDS.length} shards in the order of a column, one client`;
  const key = addCase(run, { key: 'sharding-merge', group: 'sharding', title });
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      await measure(run, key, contender, repeat, () => readSorted(endpoint));
    }
  }
}

async function readSorted(endpoint: Endpoint): Promise<Values> {
  const client = await RawClient.open(endpoint.login);
  const samples: number[] = [];
  try {
    const sorted = query('SELECT id, number, note FROM bench_shop ORDER BY id');
    // Once before: the heap grows into what it needs, and the pages of the server are at hand.
    await client.exchange(sorted, 1);
    const timer = setInterval(() => samples.push(rssKb(endpoint.pids) / 1024), RSS_PERIOD_MS);
    const start = process.hrtime.bigint();
    await client.exchange(sorted, 1).finally(() => clearInterval(timer));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const half = samples.slice(samples.length >> 1);
    const rssGrowthMb = (half.at(-1) ?? Number.NaN) - half[0];
    return { rowsPerS: ROWS / seconds, rssMb: Math.max(...samples), rssGrowthMb };
  } finally {
    client.close();
  }
}

async function commit(
  run: BenchRun,
  running: readonly Running[],
  ids: readonly (readonly number[])[],
): Promise<void> {
  const count = run.options.isQuick ? COMMITS / QUICK_DIVISOR : COMMITS;
  const update = (id: number): string => `UPDATE bench_shop SET number = number + 1 WHERE id = ${id}`;
  const kinds = [
    { key: 'sharding-commit-one', where: 'of one shard', rows: [ids[0][0], ids[0][1]] },
    { key: 'sharding-commit-two', where: 'of two shards', rows: [ids[0][0], ids[1][0]] },
  ].map(({ key, where, rows }) => {
    const title = `a transaction that changes two rows ${where}, one client`;
    return {
      key: addCase(run, { key, group: 'sharding', title }),
      steps: ['BEGIN', ...rows.map(update), 'COMMIT'],
    };
  });
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      for (const { key, steps } of kinds)
        await measure(run, key, contender, repeat, () => exchanges(endpoint, count, () => steps));
    }
  }
}

/** Latencies of `count` rounds of one client, each of some statements, one after the other, once all is warm. */
async function exchanges(
  endpoint: Endpoint,
  count: number,
  stepsOf: (index: number) => readonly string[],
): Promise<Values> {
  const client = await RawClient.open(endpoint.login);
  try {
    return await latenciesOf(count, (index) => {
      const frames = stepsOf(index).map(query);
      return async () => {
        for (const frame of frames) await client.exchange(frame, 1);
      };
    });
  } finally {
    client.close();
  }
}

/** @param roundOf what is measured, with all that can be made ahead of it made */
async function latenciesOf(count: number, roundOf: (index: number) => () => Promise<void>): Promise<Values> {
  const latencies: number[] = [];
  const measuredFrom = performance.now() + WARM_UP_MS;
  for (let index = 0; latencies.length < count; index++) {
    const round = roundOf(index);
    const start = performance.now();
    await round();
    if (start >= measuredFrom) latencies.push(performance.now() - start);
  }
  latencies.sort((a, b) => a - b);
  return { p50Ms: percentile(latencies, 50), p99Ms: percentile(latencies, 99) };
}
