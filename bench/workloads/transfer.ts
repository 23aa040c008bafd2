/** Many bytes: a large result, COPY out and COPY in over one connection. */
import { addCase, type BenchRun, measure, startAll, stopAll, withCpu } from '../macro/bench-run.js';
import type { Endpoint } from '../macro/endpoint.js';
import { withClient } from '../macro/postgres-server.js';
import { message, query, RawClient } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';

const ROW_TEXT_LENGTH = 100;
const MB = 1e6;
/** About what libpq-based clients put into one CopyData when they batch lines. */
const COPY_CHUNK_BYTES = 32 * 1024;

interface Transfer {
  key: string;
  title: string;
  /** Returns the payload's bytes. */
  move(client: RawClient, rowCount: number): Promise<number>;
}

async function received(client: RawClient, sql: string): Promise<number> {
  const before = client.receivedBytes;
  await client.exchange(query(sql), 1);
  return client.receivedBytes - before;
}

const rows = (count: number): string =>
  `SELECT i, repeat('x', ${ROW_TEXT_LENGTH}) FROM generate_series(1, ${count}) i`;

const TRANSFERS: readonly Transfer[] = [
  { key: 'large-result', title: 'one large result', move: (client, count) => received(client, rows(count)) },
  {
    key: 'copy-out',
    title: 'COPY TO STDOUT',
    move: (client, count) => received(client, `COPY (${rows(count)}) TO STDOUT`),
  },
  { key: 'copy-in', title: 'COPY FROM STDIN (unlogged table)', move: copyIn },
];

async function copyIn(client: RawClient, rowCount: number): Promise<number> {
  const line = `1234567\t${'x'.repeat(ROW_TEXT_LENGTH)}\n`;
  const chunk = message('d', Buffer.from(line.repeat(Math.floor(COPY_CHUNK_BYTES / line.length))));
  const chunkCount = Math.ceil((rowCount * line.length) / chunk.length);
  await client.copyIn('COPY bench_copy FROM STDIN', chunk, chunkCount);
  return chunk.length * chunkCount;
}

export async function transfer(run: BenchRun): Promise<void> {
  const rowCount = run.options.isQuick ? 200_000 : 1_000_000;
  run.results.settings.transferRows = rowCount;
  await withClient(run.server.pooled, async (client) => {
    await client.query('DROP TABLE IF EXISTS bench_copy');
    await client.query('CREATE UNLOGGED TABLE bench_copy (number int, text text)');
  });
  const running = await startAll(run, run.mainContenders, 'trust');
  for (const one of TRANSFERS) {
    addCase(run, {
      key: one.key,
      group: 'transfer',
      title: `${one.title}, ${rowCount} rows of ${ROW_TEXT_LENGTH} bytes`,
    });
    for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
      for (const { contender, endpoint } of running) {
        await withClient(run.server.pooled, (client) => client.query('TRUNCATE bench_copy'));
        await measure(run, one.key, contender, repeat, () => move(one, endpoint, rowCount));
      }
    }
  }
  await stopAll(running);
  await withClient(run.server.pooled, (client) => client.query('DROP TABLE bench_copy'));
}

async function move(one: Transfer, endpoint: Endpoint, rowCount: number): Promise<Values> {
  const client = await RawClient.open(endpoint.login);
  try {
    await client.exchange(query('SELECT 1'), 1);
    const start = process.hrtime.bigint();
    const cpu = await withCpu(endpoint, () => one.move(client, rowCount));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const megabytes = cpu.result / MB;
    const mbPerS = megabytes / seconds;
    if (endpoint.pids.length === 0) return { mbPerS };
    return { mbPerS, cpuMsPerMb: (cpu.userUs + cpu.systemUs) / 1000 / megabytes };
  } finally {
    client.close();
  }
}
