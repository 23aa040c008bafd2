/** By the process id in a notification a client knows what it has said itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** pg tells it to whoever asks, and its types to nobody. */
const idOf = (client: pg.Client): number => (client as unknown as { processID: number }).processID;

forEachDriver('process ids of notifications', (driver) => {
  let proxy: TestProxy;
  let clients: pg.Client[] = [];

  before(async () => {
    proxy = await startProxy({
      ioDriver: driver,
      databases: [
        databaseOf(server),
        databaseOf(server, { name: 'session', database_name: 'postgres', pooler_mode: 'session' }),
      ],
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    });
  });
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.end()));
    clients = [];
  });
  after(() => proxy.stop());

  async function client(database: string): Promise<pg.Client> {
    const one = new pg.Client({ connectionString: proxy.url(database) });
    clients.push(one);
    await one.connect();
    return one;
  }

  async function told(listener: pg.Client, notify: () => Promise<unknown>): Promise<pg.Notification> {
    const news = once(listener, 'notification');
    await notify();
    return (await news)[0];
  }

  for (const database of ['postgres', 'session']) {
    it(`of its own NOTIFY a client is told by the id it knows as its own (${database})`, async () => {
      const listener = await client(database);
      await listener.query('LISTEN ids');
      const own = await told(listener, () => listener.query("NOTIFY ids, 'own'"));
      assert.deepEqual([own.processId, own.payload], [idOf(listener), 'own']);
      const within = await told(listener, () =>
        listener.query("BEGIN; SELECT pg_notify('ids', 'within'); COMMIT"),
      );
      assert.deepEqual([within.processId, within.payload], [idOf(listener), 'within']);
    });

    it(`of others' by the server's (${database})`, async () => {
      const listener = await client(database);
      await listener.query('LISTEN ids');
      const other = await client(database);
      await other.query('BEGIN');
      const { rows } = await other.query('SELECT pg_backend_pid() AS pid');
      await other.query("NOTIFY ids, 'other'");
      const news = await told(listener, () => other.query('COMMIT'));
      assert.deepEqual([news.processId, news.payload], [rows[0].pid, 'other']);
    });
  }
});
