/**
 * What takes longer than log_min_duration_… says is logged, one line each; literals are not.
 * It has over 400 lines because all of it reads one log in the same few words.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver, forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../support/frames.js';
import { JSON_LOG, type LogEntry, logLine, logLines } from '../support/log-lines.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy } from '../support/routed-proxy.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, shopClient, startShardedProxy } from '../support/shard-cluster.js';
import { eventually } from '../support/wire.js';

const TIMEOUT_MS = 60_000;
const SLOW_MS = 200;
const THRESHOLDS = { log_min_duration_statement: SLOW_MS };
/** Longer than that, however coarse the clock. */
const SLEEP = 'pg_sleep(0.25)';
const SECRET = 'not-for-the-log';
const ALL_SECRETS = new RegExp(SECRET);

const sumOf = (lines: LogEntry[]): number =>
  lines.reduce((sum, { count }) => sum + (count === undefined ? 1 : Number(count)), 0);
const took = ({ durationMs }: LogEntry, ms: number): void => {
  assert.ok(Number(durationMs) >= ms && Number(durationMs) < TIMEOUT_MS, `${durationMs} ms`);
};

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE items (id int PRIMARY KEY, name text)' });
});
after(() => server.stop());

/** How many statements with this text have run for longer than is slow: to the proxy, which sent them before, too. */
const SLOW_COUNT = (part: string): string =>
  `SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
    AND query LIKE '%${part}%' AND clock_timestamp() - query_start > interval '${SLOW_MS + 50} ms'`;

forEachDriver('slow statements on one server', (ioDriver) => {
  let proxy: TestProxy;
  let raw: RawClient;
  const connect = (database: string) =>
    RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database,
      timeoutMs: TIMEOUT_MS,
      parameters: { application_name: 'the shop' },
    });
  before(async () => {
    const database = (name: string, settings = {}) =>
      databaseOf(server, { name, database_name: 'postgres', pool_size: 2, min_pool_size: 0, ...settings });
    proxy = await startProxy({
      ioDriver,
      workers: 1,
      general: {
        ...JSON_LOG,
        ...THRESHOLDS,
        log_min_duration_transaction: SLOW_MS,
        log_min_duration_checkout: SLOW_MS,
      },
      databases: [
        database('postgres'),
        database('quiet', { log_min_duration_statement: 0, log_min_duration_transaction: 0 }),
        database('one', { pool_size: 1, log_min_duration_statement: 0, log_min_duration_transaction: 0 }),
        database('session', { pooler_mode: 'session' }),
        database('limited', { query_timeout: 600 }),
      ],
      users: [
        {
          name: 'postgres',
          password: 'postgres',
          databases: ['postgres', 'quiet', 'one', 'session', 'limited'],
        },
      ],
    });
    raw = await connect('postgres');
  });
  after(async () => {
    raw.destroy();
    await proxy.stop();
    assert.doesNotMatch(proxy.output, ALL_SECRETS);
  });
  const slow = (part: string, from = 0) =>
    logLine(proxy, 'slow_query', ({ query }) => String(query).includes(part), from);

  for (const database of ['postgres', 'session']) {
    it(`are told with client, shape, rows and server, in both protocols: ${database}`, async () => {
      const client = await connect(database);
      const mark = `plain_${database}`;
      await client.query(`SELECT '${SECRET}' AS ${mark}, ${SLEEP}, x FROM generate_series(1, 3) x LIMIT 3`);
      const line = await slow(mark);
      took(line, 3 * SLOW_MS);
      const { level, message, user, addr, port, rows, role, server: where, applicationName, plan } = line;
      assert.deepEqual(
        { level, message, user, addr, rows, role, where, applicationName, plan, database: line.database },
        {
          level: 'WARN',
          message: 'a statement was slow',
          user: 'postgres',
          addr: '127.0.0.1',
          rows: 3,
          role: 'primary',
          where: `${server.host}:${server.port}`,
          applicationName: 'the shop',
          plan: 'miss',
          database,
        },
      );
      assert.equal(port, client.socket.localPort);
      assert.equal(
        line.query,
        `select $1 as ${mark}, pg_sleep($2), x from generate_series($3, $4) x limit $5`,
      );
      assert.equal(line.text, undefined);
      assert.equal(line.shard, undefined);

      const other = `prepared_${database}`;
      client.send(
        P('kept', `SELECT $1::text AS ${other}, ${SLEEP}, x FROM generate_series(1, 2) x`),
        B('', 'kept', { values: [SECRET] }),
        E(''),
        S(),
      );
      await client.readUntilReady();
      const prepared = await slow(other);
      took(prepared, 2 * SLOW_MS);
      assert.deepEqual([prepared.rows, prepared.plan], [2, 'miss']);
      // One line a second and shape.
      await client.query('SELECT pg_sleep(1.1)');
      const from = logLines(proxy, 'slow_query').length;
      client.send(B('', 'kept', { values: [SECRET] }), E('', 1), S());
      await client.readUntilReady();
      const again = await slow(other, from);
      assert.deepEqual([again.rows, again.plan], [1, 'hit']);
      await client.end();
    });
  }

  it('with an error, and with why the session keeps its server', async () => {
    await raw.query('SET pgdog.pin TO on');
    await raw.query(`SELECT 1 / (x - 1) AS failing FROM generate_series(1, 1) x, ${SLEEP}`);
    const line = await slow('failing');
    took(line, SLOW_MS);
    assert.equal(line.pin, 'pgdog.pin');
    await raw.query('SET pgdog.pin TO off');
  });

  it('those of clients that go, or are sent away, before the answer', async () => {
    const [leaver, limited] = await Promise.all([connect('postgres'), connect('limited')]);
    leaver.send(Q('SELECT pg_sleep(30) AS leaving'));
    const text = 'SELECT pg_sleep($1::int) AS limited';
    limited.send(P('', text), B('', '', { values: ['30'] }), E(''), S());
    await eventually('it is slow', async () => {
      const [{ n }] = await server.query<{ n: number }>(SLOW_COUNT('pg_sleep(30) AS leaving'));
      return n > 0;
    });
    leaver.destroy();
    const left = await slow('leaving');
    took(left, SLOW_MS);
    assert.deepEqual([left.isFinished, left.applicationName], [false, 'the shop']);
    await limited.expectClosed();
    const cut = await slow('limited');
    took(cut, 500);
    assert.equal(cut.isFinished, false);
    limited.destroy();
  });

  it('a flood of one shape is one line a second and a count of the rest', async () => {
    await proxy.adminQuery('SET log_min_duration_statement = 1');
    const from = logLines(proxy, 'slow_query').length;
    for (let i = 0; i < 8; i++) await raw.query(`SELECT ${i} AS flood, pg_sleep(0.01)`);
    await proxy.adminQuery(`SET log_min_duration_statement = ${SLOW_MS}`);
    const told = () => logLines(proxy, 'slow_query').slice(from);
    await eventually('all are told of or counted', async () => sumOf(told()) >= 8);
    assert.equal(sumOf(told()), 8);
    assert.ok(told().length < 8);
  });

  it('nothing of a database whose threshold is 0, nor of what is quick', async () => {
    const client = await connect('quiet');
    await client.query(`SELECT ${SLEEP} AS silent`);
    await client.query('BEGIN');
    await client.query(`SELECT ${SLEEP} AS silent`);
    await client.query('COMMIT');
    await client.end();
    // Again where the machine was not quick.
    let quick = '';
    for (let round = 0, tookMs = SLOW_MS; tookMs >= SLOW_MS; round++) {
      quick = `quick_${round} `;
      const startMs = performance.now();
      await raw.query(`SELECT 1 AS ${quick}, 'x'`);
      tookMs = performance.now() - startMs;
    }
    // Lines come in order: one that is to come is behind all that should not.
    await raw.query(`SELECT ${SLEEP} AS fence`);
    await slow('fence');
    assert.deepEqual(
      logLines(proxy, 'slow_query').filter(
        ({ query }) => String(query).includes('silent') || String(query).includes(quick.trim()),
      ),
      [],
    );
    assert.deepEqual(
      logLines(proxy, 'slow_transaction').filter(({ database }) => database === 'quiet'),
      [],
    );
  });

  it('transactions of several requests, with the time between them', async () => {
    await raw.query('BEGIN');
    await raw.query('SELECT 1');
    await raw.query(`SELECT ${SLEEP}`);
    await raw.query('COMMIT');
    const line = await logLine(proxy, 'slow_transaction', () => true);
    took(line, SLOW_MS);
    assert.deepEqual([line.database, line.role], ['postgres', 'primary']);
    const from = logLines(proxy, 'slow_transaction').length;
    await raw.query(`BEGIN; SELECT ${SLEEP} AS together; COMMIT`);
    await slow('together');
    assert.equal(logLines(proxy, 'slow_transaction').length, from);
  });

  it('waits for a server connection, of those who got one and of those who went', async () => {
    const [holder, waiter, leaver] = await Promise.all([connect('one'), connect('one'), connect('one')]);
    await holder.query('BEGIN');
    await holder.query('SELECT 1');
    waiter.send(Q('SELECT 2'));
    leaver.send(Q('SELECT 3'));
    await holder.query('SELECT pg_sleep(0.4)');
    leaver.destroy();
    // A login waits for a server connection, too, where the machine is busy.
    const isWaiter = ({ database, applicationName }: LogEntry) =>
      database === 'one' && applicationName === 'the shop';
    await logLine(proxy, 'slow_checkout', (line) => isWaiter(line) && line.isServed === false);
    await holder.query('COMMIT');
    await waiter.readUntilReady();
    const line = await logLine(proxy, 'slow_checkout', (each) => isWaiter(each) && each.isServed === true);
    assert.ok(Number(line.waitMs) >= SLOW_MS, `${line.waitMs}`);
    assert.equal(line.server, `${server.host}:${server.port}`);
    await Promise.all([holder.end(), waiter.end()]);
  });
});

forOneDriver('texts of slow statements', (ioDriver) => {
  let proxy: TestProxy;
  let raw: RawClient;
  before(async () => {
    proxy = await startProxy({
      ioDriver,
      workers: 1,
      general: { ...JSON_LOG, ...THRESHOLDS, log_query_text: true, log_min_duration_parse: 1 },
      databases: [databaseOf(server)],
    });
    const login = { user: 'postgres', password: 'postgres', database: 'postgres', timeoutMs: TIMEOUT_MS };
    raw = await RawClient.connect({ ...login, port: proxy.port });
  });
  after(async () => {
    raw.destroy();
    await proxy.stop();
  });
  const textOf = async (part: string) =>
    (await logLine(proxy, 'slow_query', ({ query }) => String(query).includes(part))).text;

  it('are told when that is asked for, in both protocols and in transactions', async () => {
    await raw.query(`SELECT 'abc' AS one, ${SLEEP}`);
    assert.equal(await textOf('one'), `SELECT 'abc' AS one, ${SLEEP}`);
    await raw.query('BEGIN');
    await raw.query('SELECT 1');
    await raw.query(`SELECT 'def' AS two, ${SLEEP}`);
    assert.equal(await textOf('two'), `SELECT 'def' AS two, ${SLEEP}`);
    const text = `SELECT 'ghi' AS three, $1::text, ${SLEEP}`;
    raw.send(P('s', text), B('', 's', { values: [SECRET] }), E(''), S());
    await raw.readUntilReady();
    assert.equal(await textOf('three'), text);
    await raw.query('COMMIT');
    const unnamed = `SELECT 'jkl' AS four, ${SLEEP}`;
    raw.send(P('', unnamed), S());
    await raw.readUntilReady();
    raw.send(B('', ''), E(''), S());
    await raw.readUntilReady();
    assert.equal(await textOf('four'), unnamed);
    assert.doesNotMatch(proxy.output, ALL_SECRETS);
  });

  it('are not guessed among several, and are cut', async () => {
    raw.send(Q(`SELECT 1 AS five, ${SLEEP}`), Q(`SELECT 2 AS six, ${SLEEP}`));
    await raw.readUntilReady(2);
    assert.equal(await textOf('five'), undefined);
    await proxy.adminQuery('SET log_query_sample_length = 20');
    await raw.query(`SELECT 'mno' AS seven, ${SLEEP}`);
    assert.equal(await textOf('seven'), "SELECT 'mno' AS seve…");
  });

  it('what the proxy takes to read a statement is told too', async () => {
    const columns = Array.from({ length: 4000 }, (_, i) => `${i} AS c${i % 1600}`).slice(0, 1600);
    await raw.query(`SELECT set_config('app.x', '${SECRET}', false), ${columns.join(', ')}`);
    const line = await logLine(proxy, 'slow_parse', () => true);
    took(line, 1);
    assert.ok(Number(line.bytes) > 1000);
  });
});

forEachDriver('slow statements over several shards', (driver) => {
  let cluster: ShardCluster;
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    cluster = await ShardCluster.start({
      schema: `CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, name text); ${PGDOG_SCHEMA}`,
    });
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'thing', column: 'id', data_type: 'bigint' }],
      general: { ...JSON_LOG, ...THRESHOLDS, log_min_duration_transaction: SLOW_MS },
    });
    client = await shopClient(proxy);
    for (let id = 1; id <= 30; id++)
      await client.query('INSERT INTO thing VALUES ($1, $2, $3)', [id, id % 5, 'x']);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
    await cluster.stop();
    assert.doesNotMatch(proxy.output, ALL_SECRETS);
  });
  const slow = (part: string) => logLine(proxy, 'slow_query', ({ query }) => String(query).includes(part));

  it('once, with the shards and the slowest of them', async () => {
    const counts = await cluster.all('SELECT count(*)::int AS n FROM thing');
    // One shard sleeps for its rows, the others have other ones.
    const [{ id }] = await cluster.shard(1, 'SELECT id FROM thing LIMIT 1');
    const total = counts.reduce((sum, { n }) => sum + Number(n), 0);
    const ask = async (name: string): Promise<LogEntry> => {
      const text = `SELECT id, CASE WHEN id = ${id} THEN ${SLEEP}::text END AS ${name} FROM thing WHERE name <> '${SECRET}'`;
      const { rows } = await client.query(text);
      assert.equal(rows.length, total);
      return slow(name);
    };
    let line = await ask('scattered');
    // A machine that stands still makes any of them the slowest.
    for (let round = 1; line.slowestShard !== 1 && round < 5; round++) line = await ask(`scattered_${round}`);
    took(line, SLOW_MS);
    assert.deepEqual(
      [line.shards, line.slowestShard, line.rows, line.database, line.user, line.plan],
      ['0,1,2', 1, 30, SHOP, 'postgres', 'miss'],
    );
    assert.ok(Number(line.slowestMs) >= SLOW_MS && Number(line.slowestMs) <= Number(line.durationMs) + 1);
    const same = logLines(proxy, 'slow_query').filter(({ query }) => query === line.query);
    assert.equal(same.length, 1);
  });

  it('with parameters, and where one shard answers', async () => {
    await client.query(`SELECT id, ${SLEEP} AS bound FROM thing WHERE kind = $1 AND name <> $2 LIMIT 1`, [
      1,
      SECRET,
    ]);
    assert.equal((await slow('bound')).shards, '0,1,2');
    await client.query(`SELECT id, ${SLEEP} AS direct FROM thing WHERE id = $1`, [7]);
    const line = await slow('direct');
    assert.equal(line.shards, undefined);
    assert.ok([0, 1, 2].includes(Number(line.shard)));
  });

  it('those of clients that go before all shards have answered', async () => {
    const leaver = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
      timeoutMs: TIMEOUT_MS,
    });
    leaver.send(Q('SELECT id, pg_sleep(30) AS leaving FROM thing'));
    await eventually('it is slow', async () => {
      const found = await cluster.all(SLOW_COUNT('AS leaving'));
      return found.every(({ n }) => Number(n) > 0);
    });
    leaver.destroy();
    const line = await slow('leaving');
    took(line, SLOW_MS);
    assert.deepEqual([line.isFinished, line.shards], [false, '0,1,2']);
  });

  it('transactions over several shards', async () => {
    await client.query('BEGIN');
    await client.query("UPDATE thing SET name = 'y'");
    await client.query('SELECT pg_sleep(0.25)');
    await client.query('COMMIT');
    const line = await logLine(proxy, 'slow_transaction', ({ shards }) => shards !== undefined);
    took(line, SLOW_MS);
    assert.equal(line.shards, '0,1,2');
  });
});

forOneDriver('slow statements on replicas', (driver) => {
  it('say which server and role', async () => {
    const cluster = await ReplicationCluster.start({ standbyCount: 1 });
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { ...JSON_LOG, log_min_duration_statement: 1 },
    });
    const client = new pg.Client({ connectionString: proxy.url() });
    try {
      await client.connect();
      // What sleeps may write, and so may everything until the catalog has been read.
      await eventually('a slow read on a replica', async () => {
        await client.query('SELECT count(*) AS reading FROM generate_series(1, 100000)');
        return logLines(proxy, 'slow_query').some(({ role }) => role === 'replica');
      });
      const line = await logLine(proxy, 'slow_query', ({ role }) => role === 'replica');
      const { host, port } = cluster.standbys[0].server;
      assert.equal(line.server, `${host}:${port}`);
      assert.match(String(line.query), /reading/);
    } finally {
      await client.end();
      await proxy.stop();
      await cluster.stop();
    }
  });
});
