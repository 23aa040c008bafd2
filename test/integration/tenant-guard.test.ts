// [multi_tenant] on a real Postgres: what is refused is not sent, in every protocol and pool mode, and what passes shows
// rows of one tenant only.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { F, Q } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { compareRandomStatements } from '../support/tenant-statements.js';
import { eventually } from '../support/wire.js';

const REFUSED = { code: '42501', message: /tenant guard: / };
const SCHEMA = `
CREATE TABLE orders (tenant_id int, id int, total int, PRIMARY KEY (tenant_id, id));
CREATE TABLE items (tenant_id int, order_id int, name text);
CREATE TABLE countries (id int, name text);
INSERT INTO orders SELECT t, n, n FROM generate_series(1, 2) t, generate_series(1, 5) n;
INSERT INTO items SELECT t, n, 'item of ' || t FROM generate_series(1, 2) t, generate_series(1, 5) n;
INSERT INTO countries VALUES (1, 'one');
CREATE VIEW order_view AS SELECT * FROM orders;
CREATE VIEW leaky_view AS SELECT o.tenant_id, i.name FROM orders o JOIN items i ON i.order_id = o.id;
CREATE VIEW total_view AS SELECT sum(total) FROM orders;
CREATE TABLE parent (id int);
CREATE TABLE child (tenant_id int) INHERITS (parent)`;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: SCHEMA });
});
after(() => server.stop());

forOneDriver('tenant guard', (ioDriver) => {
  let proxy: TestProxy;
  const clients: pg.Client[] = [];
  before(async () => {
    const database = (name: string, settings = {}) =>
      databaseOf(server, { name, database_name: 'postgres', ...settings });
    proxy = await startProxy({
      ioDriver,
      databases: [
        database('guarded'),
        database('session', { pooler_mode: 'session' }),
        database('free', { multi_tenant: false }),
      ],
      sections: { multi_tenant: { column: 'tenant_id' } },
    });
  });
  after(async () => {
    for (const client of clients) await client.end().catch(() => {});
    assert.equal(await proxy.stop(), 0);
  });
  const connect = async (database = 'guarded'): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: proxy.url(database) });
    await client.connect();
    clients.push(client);
    return client;
  };
  const raw = () =>
    RawClient.connect({ port: proxy.port, user: 'postgres', password: 'postgres', database: 'guarded' });

  for (const database of ['guarded', 'session']) {
    it(`refuses and lets pass, in both protocols (${database})`, async () => {
      const client = await connect(database);
      const one =
        'SELECT name FROM orders o JOIN items i USING (tenant_id) WHERE o.tenant_id = $1 AND o.id = i.order_id';
      const { rows } = await client.query(one, [1]);
      assert.deepEqual(new Set(rows.map(({ name }) => name)), new Set(['item of 1']));
      assert.equal((await client.query('SELECT name FROM countries')).rows[0].name, 'one');
      for (const sql of [
        'SELECT * FROM orders',
        'DELETE FROM items',
        'SELECT * FROM leaky_view WHERE tenant_id = 1',
      ]) {
        await assert.rejects(client.query(sql), REFUSED, sql);
        await assert.rejects(
          client.query({ text: sql, values: [], queryMode: 'extended' } as pg.QueryConfig),
          REFUSED,
          sql,
        );
        await assert.rejects(client.query({ name: sql, text: sql }), REFUSED, sql);
        await assert.rejects(client.query(`SELECT 1; ${sql}`), REFUSED, sql);
      }
      assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    });
  }

  it('names the table and the column, and what to do', async () => {
    const client = await connect();
    await assert.rejects(client.query('SELECT * FROM orders o, items i WHERE o.tenant_id = 1'), {
      code: '42501',
      message: 'tenant guard: "items" must be restricted to one tenant by "tenant_id" = a value',
      hint: /multi-tenant\.md/,
    });
  });

  it('a refusal ends a transaction as any error does, and nothing of it was done', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query('UPDATE orders SET total = 99 WHERE tenant_id = 1');
    await assert.rejects(client.query('DELETE FROM orders'), REFUSED);
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await client.query('COMMIT');
    const { rows } = await client.query('SELECT max(total) AS most FROM orders WHERE tenant_id = 1');
    assert.equal(rows[0].most, 5);
  });

  it('views, inheritance and the catalogs', async () => {
    const client = await connect();
    assert.equal((await client.query('SELECT * FROM order_view WHERE tenant_id = 1')).rowCount, 5);
    for (const relation of [
      'order_view',
      'total_view',
      'parent',
      'child',
      'pg_stats',
      'pg_catalog.pg_statistic',
    ]) {
      await assert.rejects(client.query(`SELECT * FROM ${relation}`), REFUSED, relation);
    }
    assert.ok((await client.query("SELECT relname FROM pg_class WHERE relname = 'orders'")).rowCount);
    assert.ok((await client.query('SELECT table_name FROM information_schema.tables LIMIT 1')).rowCount);
  });

  it('SQL-level statements, cursors, COPY', async () => {
    const client = await connect();
    await client.query('PREPARE mine AS SELECT * FROM orders WHERE tenant_id = $1');
    assert.equal((await client.query('EXECUTE mine (1)')).rowCount, 5);
    await assert.rejects(client.query('PREPARE all_of_them AS SELECT * FROM orders'), REFUSED);
    await assert.rejects(client.query('PREPARE a AS SELECT * FROM orders; EXECUTE a'), REFUSED);
    await assert.rejects(client.query('DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders'), REFUSED);
    await assert.rejects(client.query('COPY orders TO STDOUT'), REFUSED);
    const { rows } = await client.query('EXPLAIN (PGDOG) SELECT * FROM orders');
    assert.ok(rows.some((row) => /^Tenant guard: .*"orders" must be restricted/.test(row['QUERY PLAN'])));
  });

  it('what cannot be read: too long, too new, misread, called by number', async () => {
    const client = await connect();
    const long = (bytes: number) => `SELECT 1 AS one, '${'x'.repeat(bytes)}' AS x`;
    assert.equal((await client.query(long(60_000))).rows[0].one, 1);
    await assert.rejects(client.query(`SELECT * FROM orders WHERE '${'x'.repeat(70_000)}' <> ''`), REFUSED);
    await assert.rejects(client.query('SELECT * FROM orders FROBNICATE'), REFUSED);
    await client.query('SET standard_conforming_strings = off');
    const trick = "SELECT * FROM orders WHERE tenant_id = 1 AND '\\' = ' OR true --'";
    await assert.rejects(client.query(trick), REFUSED);
    await client.query('RESET standard_conforming_strings');
    const caller = await raw();
    caller.send(F(31, []));
    const { error } = await caller.readUntilReady();
    assert.equal(error?.C, '42501');
    await caller.end();
    await assert.rejects(connectReplication(), { code: '0A000' });
  });
  const connectReplication = async () => {
    const client = new pg.Client({
      connectionString: proxy.url('guarded'),
      replication: 'database',
    } as pg.ClientConfig);
    await client.connect();
  };

  it('nothing of a long text goes to the server', async () => {
    const client = await raw();
    client.send(Q(`DELETE FROM orders WHERE '${'x'.repeat(200_000)}' <> ''`), Q('SELECT 1'));
    const { frames, error } = await client.readUntilReady(2);
    assert.equal(error?.C, '42501');
    assert.equal(frames.map(({ type }) => type).join(''), 'EZTDCZ');
    assert.equal((await client.query('SELECT * FROM orders WHERE tenant_id = 2')).rows.length, 5);
    await client.end();
  });

  it('tables that come to be, or come to have the column', async () => {
    const client = await connect();
    const name = `made_${ioDriver}`;
    await client.query(`CREATE TABLE ${name} (id int)`);
    await eventually('a new table without the column is free', async () => {
      try {
        return (await client.query(`SELECT * FROM ${name}`)).rowCount === 0;
      } catch (error) {
        assert.equal((error as { code: string }).code, '42501');
        return false;
      }
    });
    const prepared = { name: 'made', text: `SELECT * FROM ${name}` };
    assert.equal((await client.query(prepared)).rowCount, 0);
    await client.query(`ALTER TABLE ${name} ADD COLUMN tenant_id int`);
    await eventually('with the column it is guarded, prepared statements too', async () => {
      return client.query(prepared).then(
        () => false,
        ({ code }) => code === '42501',
      );
    });
  });

  it('a database can be exempt', async () => {
    const client = await connect('free');
    assert.equal((await client.query('SELECT * FROM orders')).rowCount, 10);
  });
});

describe('what passes is of one tenant', () => {
  it('random statements show the same when all other tenants are gone', async () => {
    await compareRandomStatements(server);
  });
});
