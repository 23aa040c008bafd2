/** What needs that nobody is connected to a database: idle connections of clients that have gone do not count. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { startProxy, type TestProxy } from '../support/proxy.js';

const CLIENTS = 4;

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const start = (driver: TestDriver): Promise<TestProxy> =>
  startProxy({
    workers: 2,
    ioDriver: driver,
    databases: [{ name: '*', host: server.host, port: server.port }],
    users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    general: { default_pool_size: CLIENTS },
  });

async function connect({ port }: TestProxy, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: 'postgres',
    database,
  });
  await client.connect();
  return client;
}

/** Clients that were there, and have left server connections in both workers. */
async function visit(proxy: TestProxy, database: string): Promise<void> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(proxy, database)));
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.02)')));
  await Promise.all(clients.map((client) => client.end()));
}

async function databases(driver: TestDriver): Promise<string[]> {
  const rows = await server.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname LIKE 'vacated_${driver}%'`,
  );
  return rows.map(({ datname }) => datname);
}

forEachDriver('a database that clients have left', (driver) => {
  const [one, two, three, four] = ['1', 'TWO', '3', '4'].map((name) => `vacated_${driver}_${name}`);

  it('is copied, renamed and dropped as without a proxy', async () => {
    const proxy = await start(driver);
    const client = await connect(proxy, 'postgres');
    try {
      await client.query(`CREATE DATABASE ${one}`);
      await visit(proxy, one);
      await client.query(`CREATE DATABASE "${two}" TEMPLATE ${one}`);
      await visit(proxy, one);
      await client.query(`ALTER DATABASE ${one} RENAME TO ${three}`);
      await visit(proxy, two);
      await visit(proxy, three);
      // Both protocols.
      await client.query(`DROP DATABASE "${two}"`);
      await client.query({ text: `DROP DATABASE IF EXISTS ${three}`, values: [], name: 'drop' });
      assert.deepEqual(await databases(driver), []);
    } finally {
      await client.end();
      await proxy.stop();
    }
  });

  it('a client that is connected keeps it, and what it does is not disturbed', async () => {
    const proxy = await start(driver);
    const client = await connect(proxy, 'postgres');
    await client.query(`CREATE DATABASE ${four}`);
    const inside = await connect(proxy, four);
    try {
      const processId = (await inside.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
      await assert.rejects(client.query(`DROP DATABASE ${four}`), { code: '55006' });
      const kept = await server.query('SELECT FROM pg_stat_activity WHERE pid = $1', [processId]);
      assert.equal(kept.length, 1);
      await inside.query('SELECT 1');
      // It goes while Postgres waits.
      const dropped = client.query(`DROP DATABASE ${four}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await inside.end();
      await dropped;
      assert.deepEqual(await databases(driver), []);
    } finally {
      // Both: one left for the proxy's end would have an error of its own, in the place of the one that matters.
      await inside.end();
      await client.end();
      await proxy.stop();
    }
  });
});
