/**
 * COPY FROM STDIN divided among three shards, beside plain COPY into one server without a proxy. The shards are databases of the
 * same server, so all have the same cores. Keys come in an order that leaves no two neighbours together.
 */
import {
  addCase,
  addContender,
  type BenchRun,
  direct,
  errorText,
  measure,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import type { Contender, Endpoint, Login } from '../macro/endpoint.js';
import { type IoDriver, isBuilt, pgdogCluster } from '../macro/pgdog-cluster.js';
import { withClient } from '../macro/postgres-server.js';
import { rssKb } from '../macro/proc.js';
import { message, RawClient } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';

const ROWS = 10_000_000;
const QUICK_ROWS = 1_000_000;
const CHUNK_ROWS = 320;
const NOTE = 'sixty bytes of text, which is about what a short row may have';
const WARM_UP_CHUNKS = 1000;
const RSS_PERIOD_MS = 200;
/** Not a divisor of anything: keys of a chunk are on all shards, in no order. */
const KEY_STEP = 7919;

const SHARDS = ['bench_shard_0', 'bench_shard_1', 'bench_shard_2'];
const TABLE = 'CREATE UNLOGGED TABLE bench_rows (id bigint, number int, note text)';
const COMMITS = `CREATE SCHEMA pgdog;
  CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT now())`;

const DRIVERS = ['io_uring', 'epoll'] as const satisfies readonly IoDriver[];

/** Keys of the contenders of this workload, for the verdict. */
export const COPY_KEYS = DRIVERS.map((driver) => ({ driver, split: `split-${driver}`, plain: 'direct' }));

export async function copy(run: BenchRun): Promise<void> {
  if (!isBuilt()) return;
  const { owner, pooled } = run.server;
  try {
    await withClient(owner, async (client) => {
      for (const name of SHARDS) {
        await client.query(`DROP DATABASE IF EXISTS ${name}`);
        await client.query(`CREATE DATABASE ${name} OWNER ${pooled.user}`);
      }
    });
    for (const database of SHARDS) {
      await withClient({ ...pooled, database }, (client) => client.query(`${TABLE}; ${COMMITS}`));
    }
    await withClient(pooled, (client) => client.query(`DROP TABLE IF EXISTS bench_rows; ${TABLE}`));
  } catch (error) {
    return skip(run, 'copy (all contenders)', errorText(error));
  }
  await measureAll(run, run.options.isQuick ? QUICK_ROWS : ROWS);
  await withClient(owner, async (client) => {
    for (const name of SHARDS) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  await withClient(pooled, (client) => client.query('DROP TABLE bench_rows'));
}

async function measureAll(run: BenchRun, rowCount: number): Promise<void> {
  run.results.settings.copyRows = rowCount;
  const running = await startAll(run, contendersOf(run), 'trust');
  const chunk = chunkOfRows();
  const chunkCount = Math.ceil(rowCount / CHUNK_ROWS);
  const key = addCase(run, {
    key: 'copy-split',
    group: 'copy',
    title: `COPY FROM STDIN of ${rowCount} rows, split over ${SHARDS.length} shards or plain`,
  });
  // A process that has copied nothing yet has still to grow into its heap.
  for (const { endpoint } of running) await send(endpoint, chunk, WARM_UP_CHUNKS);
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      await empty(run.server.pooled);
      await measure(run, key, contender, repeat, () => send(endpoint, chunk, chunkCount));
    }
  }
  await stopAll(running);
}

async function empty(pooled: Login): Promise<void> {
  for (const database of [pooled.database, ...SHARDS]) {
    await withClient({ ...pooled, database }, (client) => client.query('TRUNCATE bench_rows'));
  }
}

function contendersOf(run: BenchRun): Contender[] {
  const version = run.mainContenders.find((contender) => contender.kind === 'ours')?.version ?? '';
  const split = COPY_KEYS.map(({ driver, split }) => {
    const base = pgdogCluster(run.server.pooled, version, driver, 1);
    const shards = { databases: SHARDS, table: 'bench_rows', column: 'id' };
    return {
      ...base,
      key: split,
      label: `${SHARDS.length} shards, ${driver}`,
      start: (setup: Parameters<Contender['start']>[0]) => base.start({ ...setup, shards }),
    };
  });
  const contenders = [direct(run.server), ...split];
  for (const contender of contenders) addContender(run, contender);
  return contenders;
}

function chunkOfRows(): Buffer {
  const lines = Array.from({ length: CHUNK_ROWS }, (_, row) => `${row * KEY_STEP}\t${row}\t${NOTE}\n`);
  return message('d', Buffer.from(lines.join('')));
}

async function send(endpoint: Endpoint, chunk: Buffer, chunkCount: number): Promise<Values> {
  const client = await RawClient.open(endpoint.login);
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(rssKb(endpoint.pids) / 1024), RSS_PERIOD_MS);
  try {
    const start = process.hrtime.bigint();
    const cpu = await withCpu(endpoint, () => client.copyIn('COPY bench_rows FROM STDIN', chunk, chunkCount));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const rowsPerS = (chunkCount * CHUNK_ROWS) / seconds;
    if (endpoint.pids.length === 0) return { rowsPerS };
    const half = samples.slice(samples.length >> 1);
    const megabytes = (chunk.length * chunkCount) / 1e6;
    return {
      rowsPerS,
      cpuMsPerMb: (cpu.userUs + cpu.systemUs) / 1000 / megabytes,
      rssMb: Math.max(...samples),
      rssGrowthMb: (half.at(-1) ?? Number.NaN) - half[0],
    };
  } finally {
    clearInterval(timer);
    client.close();
  }
}
