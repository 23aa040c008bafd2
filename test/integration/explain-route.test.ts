// EXPLAIN (PGDOG) on a database with one host: answered here in both protocols, in order, and never sent.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, C, D, E, P, Q, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';

const EXPLAIN = 'EXPLAIN (PGDOG) UPDATE items SET name = $1 WHERE id = $2';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    initSql: 'CREATE TABLE items (id int, name text); INSERT INTO items VALUES (1)',
  });
});
after(() => server.stop());

forOneDriver('EXPLAIN (PGDOG), one host', (ioDriver) => {
  let proxy: TestProxy;
  const clients: pg.Client[] = [];
  before(async () => {
    proxy = await startProxy({
      ioDriver,
      databases: [
        databaseOf(server),
        databaseOf(server, { name: 'session', database_name: 'postgres', pooler_mode: 'session' }),
      ],
    });
  });
  after(async () => {
    for (const client of clients) await client.end().catch(() => {});
    assert.equal(await proxy.stop(), 0);
  });
  const connect = async (database = 'postgres'): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: proxy.url(database) });
    await client.connect();
    clients.push(client);
    return client;
  };
  const raw = (database = 'postgres') =>
    RawClient.connect({ port: proxy.port, user: 'postgres', password: 'postgres', database });
  const plan = async (client: pg.Client, sql: string, values?: unknown[]): Promise<string[]> => {
    const { rows } = await client.query(sql, values);
    return rows.map((row) => row['QUERY PLAN']);
  };

  it('says what the statement is and that there is one host', async () => {
    for (const database of ['postgres', 'session']) {
      const client = await connect(database);
      const lines = await plan(client, EXPLAIN);
      assert.ok(lines.includes('Statement: UPDATE'), lines.join('\n'));
      assert.ok(lines.includes('Access: write'));
      assert.ok(lines.includes('Relations: items'));
      const chosen = database === 'session' ? 'where the session' : "the database's only host";
      assert.match(lines.at(-1) ?? '', new RegExp(`^Chosen: 127\\.0\\.0\\.1:\\d+, ${chosen}`));
      const json = await client.query('EXPLAIN (PGDOG, FORMAT JSON) SELECT f(1) FROM items');
      const [report] = JSON.parse(json.rows[0]['QUERY PLAN']);
      assert.equal(report.access, 'read');
      assert.deepEqual(report.functions, ['f']);
    }
  });

  it('runs nothing, in a transaction too, and says where that is', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query('UPDATE items SET name = $1', ['kept']);
    const lines = await plan(client, 'EXPLAIN (PGDOG) DELETE FROM items');
    assert.match(lines.join('\n'), /in a transaction[\s\S]*where the session's server connection is/);
    assert.equal((await client.query('SELECT count(*)::int AS n FROM items')).rows[0].n, 1);
    await assert.rejects(client.query('EXPLAIN (PGDOG, ANALYZE) SELECT 1'), { code: '42601' });
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await assert.rejects(client.query('EXPLAIN (PGDOG) SELECT 1'), { code: '25P02' });
    await client.query('ROLLBACK');
    assert.equal((await plan(client, 'EXPLAIN (PGDOG) SELECT 1'))[0], 'Statement: SELECT');
  });

  it('the extended protocol: unnamed, named, described, with parameters', async () => {
    const client = await connect();
    assert.ok((await plan(client, EXPLAIN, ['x', 1])).includes('Access: write'));
    for (let i = 0; i < 3; i++) {
      const { rows } = await client.query({ name: 'plan', text: EXPLAIN, values: ['x', i] });
      assert.equal(rows[0]['QUERY PLAN'], 'Statement: UPDATE');
      const read = await client.query({ name: 'read', text: 'SELECT $1::int AS n', values: [i] });
      assert.equal(read.rows[0].n, i);
    }
  });

  it('every frame has its answer, Flush or not, and names are told apart', async () => {
    const client = await raw();
    const told = async (...frames: Buffer[]): Promise<string> => {
      client.send(...frames);
      return (await client.readUntilReady()).frames.map(({ type }) => type).join('');
    };
    assert.equal(await told(P('p', EXPLAIN), D('S', 'p'), S()), '1tTZ');
    assert.equal(await told(P('p', 'SELECT 1'), S()), 'EZ');
    assert.match(await told(B('', 'p'), D('P', ''), E(''), C('S', 'p'), S()), /^2TD+C3Z$/);
    const behind = [P('p', 'SELECT 1'), B('', 'p'), E(''), P('', 'EXPLAIN (PGDOG) SELECT 1'), S()];
    assert.match(await told(...behind), /^12DCEZ$/);
    const before = [
      P('', 'EXPLAIN (PGDOG) SELECT 1'),
      B('', ''),
      E(''),
      P('', 'SELECT 1'),
      B('', ''),
      E(''),
      S(),
    ];
    assert.match(await told(...before), /^12D+C12DCZ$/);
    assert.equal(await told(B('', ''), E(''), S()), '2DCZ');
    await client.end();
  });

  it('in a pipeline of queries its answer has its place', async () => {
    const client = await raw();
    const plan = Q('EXPLAIN (PGDOG) SELECT 2');
    client.send(Q('SELECT 1'), plan, Q('SELECT 3'), Q('BEGIN'), plan);
    const { frames } = await client.readUntilReady(5);
    assert.match(frames.map(({ type }) => type).join(''), /^TDCZTD+CZTDCZCZTD+CZ$/);
    await client.end();
  });
});
