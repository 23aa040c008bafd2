// SHOW QUERIES and SHOW QUERY_CACHE: what clients did, by shape, over all workers.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientsOfAllWorkers, sleep, spread, WIRE_USER } from '../support/wire.js';

const WORKERS = 3;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE items (id int PRIMARY KEY, name text)' });
});
after(() => server.stop());

interface QueryRow {
  database: string;
  query: string;
  route: string | null;
  calls: string;
  errors: string;
  rows: string;
  total_time: string;
  avg_time: string;
  p99_time: string;
  max_time: string;
  workers: string;
}

forOneDriver('SHOW QUERIES', (ioDriver) => {
  let proxy: TestProxy;
  before(async () => {
    const { database, general } = spread(WORKERS, 60);
    proxy = await startProxy({
      ioDriver,
      workers: WORKERS,
      metrics: true,
      general,
      users: [WIRE_USER, { ...WIRE_USER, database: 'session' }],
      databases: [
        databaseOf(server, database),
        databaseOf(server, {
          ...database,
          name: 'session',
          database_name: 'postgres',
          pooler_mode: 'session',
        }),
      ],
    });
  });
  after(async () => {
    assert.equal(await proxy.stop(), 0);
  });

  const queries = (rest = '') => proxy.adminQuery<QueryRow>(`SHOW QUERIES ${rest}`);
  const rowOf = async (text: string, database = 'postgres'): Promise<QueryRow | undefined> =>
    (await queries('LIMIT 1000')).find((row) => row.query === text && row.database === database);
  const withAll = async (database: string, body: (clients: RawClient[]) => Promise<void>): Promise<void> => {
    const clients = await clientsOfAllWorkers(proxy, WORKERS, 4, { database });
    try {
      await body(clients);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  };
  const ask = async (client: RawClient, ...parts: Buffer[]) => {
    client.send(...parts, S());
    return client.readUntilReady();
  };

  for (const database of ['postgres', 'session']) {
    it(`counts both protocols over all workers, and again after RESET: ${database}`, () =>
      withAll(database, async (clients) => {
        await proxy.adminQuery('RESET QUERY_CACHE');
        const count = clients.length;
        const PREPARED = 'SELECT abs($1::int) FROM (VALUES (1)) v(x)';
        const shownPrepared = 'select abs($1::int) from(values($2)) v(x)';
        for (const [i, client] of clients.entries()) {
          await client.query(`SELECT x FROM generate_series(1, ${10 + i}) s(x)`);
          await client.query(`select x from generate_series(1,${i}0) s(x)`);
          await ask(client, P('', 'SELECT $1::int, 5'), B('', '', { values: ['1'] }), E(''));
          await ask(client, P('kept', PREPARED), B('', 'kept', { values: ['1'] }), E(''));
          for (let again = 0; again < 2; again++) await ask(client, B('', 'kept', { values: ['1'] }), E(''));
          await client.query('SELECT 1/0');
        }
        const check = async (series: number, unnamed: number, named: number): Promise<void> => {
          const row = await rowOf('select x from generate_series($1, $2) s(x)', database);
          assert.equal(Number(row?.calls ?? 0), series);
          assert.equal(Number((await rowOf('select $1::int, $2', database))?.calls ?? 0), unnamed);
          assert.equal(Number((await rowOf(shownPrepared, database))?.calls ?? 0), named);
        };
        await check(2 * count, count, 3 * count);
        const series = await rowOf('select x from generate_series($1, $2) s(x)', database);
        const total = clients.reduce((sum, _, i) => sum + 10 + i + 10 * i, 0);
        assert.deepEqual(
          [series?.rows, series?.workers, series?.errors],
          [String(total), String(WORKERS), '0'],
        );
        const failed = await rowOf('select $1/$2', database);
        assert.deepEqual([failed?.errors, failed?.calls], [String(count), String(count)]);

        await proxy.adminQuery('RESET QUERY_CACHE');
        await check(0, 0, 0);
        for (const client of clients) {
          const { rows } = await ask(client, B('', 'kept', { values: ['-4'] }), E(''));
          assert.deepEqual(rows, [['4']]);
        }
        await check(0, 0, count);
      }));
  }

  it('RESET QUERY_CACHE while statements are on their way harms none of them', () =>
    withAll('postgres', async (clients) => {
      const { host, port } = server;
      const direct = new pg.Client({
        host,
        port,
        user: 'postgres',
        password: 'postgres',
        database: 'postgres',
      });
      await direct.connect();
      try {
        await direct.query('SELECT pg_advisory_lock(77)');
        const answers = clients.map((client) => client.query('SELECT pg_advisory_xact_lock(77), 42'));
        const areWaiting = async () => {
          const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'advisory'";
          return (await direct.query(sql)).rows[0].n === clients.length;
        };
        while (!(await areWaiting())) await sleep(20);
        for (let i = 0; i < 3; i++) await proxy.adminQuery('RESET QUERY_CACHE');
        await direct.query('SELECT pg_advisory_unlock(77)');
        for (const { rows } of await Promise.all(answers)) assert.equal(rows[0][1], '42');
      } finally {
        await direct.end();
      }
      const evicted = await rowOf('(evicted)');
      assert.equal(Number(evicted?.calls), clients.length);
    }));

  it('times are those of the server: p99, mean, most', () =>
    withAll('postgres', async (clients) => {
      await proxy.adminQuery('RESET QUERY_CACHE');
      for (let i = 0; i < 10; i++) {
        await Promise.all(clients.map((client) => client.query(`SELECT pg_sleep(${i === 0 ? 0.4 : 0.01})`)));
      }
      const row = await rowOf('select pg_sleep($1)');
      assert.ok(row !== undefined);
      // A tenth took 0.4 s: so did what 99 of 100 do not exceed. Upper bounds only for a machine that is not idle.
      const [mean, p99, max] = [row.avg_time, row.p99_time, row.max_time].map(Number);
      assert.ok(p99 >= 300 && p99 <= max, `p99 ${p99}, max ${max}`);
      assert.ok(max >= 395, `max ${max}`);
      assert.ok(mean >= 40 && mean < p99, `mean ${mean}`);
      assert.ok(Math.abs(Number(row.total_time) - mean * Number(row.calls)) < 1);
      const [first] = await queries();
      assert.equal(first.query, 'select pg_sleep($1)', 'what took most time is first');
    }));

  it('finds by part of the text, and as many as are asked for', async () => {
    const client = new pg.Client({ connectionString: proxy.url() });
    await client.connect();
    try {
      for (let i = 0; i < 5; i++) await client.query(`SELECT ${i} AS findable_${i}`);
      assert.equal((await queries("'FINDABLE_'")).length, 5);
      assert.equal((await queries('findable_3')).length, 1);
      assert.equal((await queries("'findable_' LIMIT 2")).length, 2);
      assert.equal((await queries('LIMIT 1')).length, 1);
      assert.equal((await queries("'no such text'")).length, 0);
    } finally {
      await client.end();
    }
  });

  it('SHOW QUERY_CACHE and the metrics: hits and shapes', () =>
    withAll('postgres', async ([client]) => {
      await proxy.adminQuery('RESET QUERY_CACHE');
      const hitsBefore = metric(await proxy.metrics(), 'query_cache_hits');
      for (let i = 0; i < 8; i++) await client.query(`SELECT ${i} AS cached`);
      await client.query("SELECT 'a secret' AS cached");
      const rows = await proxy.adminQuery<Record<string, string>>("SHOW QUERY_CACHE 'as cached'");
      assert.deepEqual(
        rows.map(({ query, hits, direct, multi, workers }) => [query, hits, direct, multi, workers]),
        [['select $1 as cached', '7', '9', '0', '1']].flatMap(([text, ...rest]) => [[text, ...rest]]),
      );
      // Workers publish twenty times a second, and what others did before may have been published after hitsBefore.
      let page = await proxy.metrics();
      while (metric(page, 'query_cache_hits') < hitsBefore + 7 || metric(page, 'query_cache_size') < 2) {
        await sleep(50);
        page = await proxy.metrics();
      }
      assert.ok(metric(page, 'query_cache_misses') >= 2 && metric(page, 'query_cache_bytes') > 0);
      assert.ok(!JSON.stringify(await queries('LIMIT 1000')).includes('secret'));
    }));

  it('a text that the grammar refuses is counted, and its error', async () => {
    const client = new pg.Client({ connectionString: proxy.url() });
    await client.connect();
    try {
      await assert.rejects(client.query('SELEC nonsense_words'), { code: '42601' });
      const [row] = await queries('nonsense_words');
      assert.deepEqual([row?.errors, row?.calls], ['1', '1']);
    } finally {
      await client.end();
    }
  });
});

/** The sum of a metric over its labels; its name may have a prefix. */
function metric(page: string, name: string): number {
  const lines = page.split('\n').filter((line) => !line.startsWith('#') && line.split(' ')[0].endsWith(name));
  assert.equal(lines.length, 1, name);
  return Number(lines[0].split(' ')[1]);
}
