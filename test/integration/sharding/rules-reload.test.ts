/** Other rules by RELOAD: no statement is placed by the rules of one configuration and the catalog of another. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { type TomlTable, toToml } from '../../support/toml-text.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE orders (customer_id bigint, note text);
  CREATE TABLE parcels (customer_id bigint, note text);
  CREATE TABLE things (id bigint, note text);
  ${PGDOG_SCHEMA}`;

const ORDERS = { name: 'orders', column: 'customer_id', data_type: 'bigint' };
const PARCELS = { name: 'parcels', column: 'customer_id', data_type: 'bigint', hasher: 'sha1' };
const THINGS = { name: 'things', column: 'id', data_type: 'bigint' };
const KEYS = Array.from({ length: 12 }, (_, index) => index + 1);
/** Nothing is read again unless somebody asks. */
const GENERAL = { load_schema: 'off', config_watch: false };

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('rules and catalogs over a reload', (driver) => {
  let proxy: TestProxy;
  let head: string;
  /** Some on each worker. */
  let clients: pg.Client[];
  before(async () => {
    await cluster.everywhere(
      'DROP TABLE IF EXISTS late; ALTER TABLE orders DROP COLUMN IF EXISTS more; TRUNCATE orders, parcels, things',
    );
    proxy = await startShardedProxy(cluster, driver, { tables: [ORDERS, PARCELS], general: GENERAL });
    const config = readFileSync(join(proxy.directory, 'pgdog.toml'), 'utf8');
    head = config.slice(0, config.indexOf('[[sharded_tables]]'));
    clients = await Promise.all(Array.from({ length: 6 }, () => shopClient(proxy)));
    await Promise.all(clients.map((client) => client.query('SELECT count(*) FROM orders')));
    for (const key of KEYS) {
      for (const table of ['orders', 'parcels']) await write(`INSERT INTO ${table} VALUES (${key}, 'first')`);
    }
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await proxy.stop();
  });

  const reload = async (rules: TomlTable[], general = ''): Promise<void> => {
    const lists = { sharded_tables: rules.map((rule) => ({ database: SHOP, ...rule })) };
    const text = `${head}${toToml({}, lists)}`.replace('[general]\n', `[general]\n${general}`);
    writeFileSync(join(proxy.directory, 'pgdog.toml'), text);
    await proxy.adminQuery('RELOAD');
    const [{ epoch = '' } = {}] = await proxy.adminQuery<{ epoch: string }>('SHOW CONFIG_STATUS');
    await eventually('all workers have taken it up', async () => {
      const rows = await proxy.adminQuery<{ epoch: string }>('SHOW WORKERS');
      return rows.every((row) => Number(row.epoch) >= Number(epoch));
    });
  };

  /** To the shards by one of the clients, and to the reference. */
  const write = async (sql: string, client = clients[0]): Promise<void> => {
    await client.query(sql);
    await cluster.reference(sql);
  };

  /** By every client, one statement of one shard for each key. */
  const compare = async (table: string, key: string): Promise<void> => {
    for (const client of clients) {
      for (const value of KEYS) {
        const sql = `SELECT * FROM ${table} WHERE ${key} = ${value} ORDER BY note`;
        const { rows } = await client.query(sql);
        assert.deepEqual(rows, await cluster.reference(sql), sql);
      }
    }
    const all = `SELECT * FROM ${table} ORDER BY 1, 2`;
    const sorted = (rows: unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
    assert.deepEqual(sorted(await cluster.all(all)), sorted(await cluster.reference(all)), 'each row once');
  };

  it('rules of the same type in another order: each table keeps its own', async () => {
    await reload([PARCELS, ORDERS]);
    await compare('orders', 'customer_id');
    for (const [index, key] of KEYS.entries()) {
      await write(`INSERT INTO orders VALUES (${key}, 'second')`, clients[index % clients.length]);
      await write(`UPDATE parcels SET note = 'second' WHERE customer_id = ${key}`, clients[0]);
    }
    await compare('orders', 'customer_id');
    await compare('parcels', 'customer_id');
  });

  it('a table that becomes sharded is so for every worker', async () => {
    await reload([THINGS, PARCELS, ORDERS]);
    for (const [index, key] of KEYS.entries())
      await write(`INSERT INTO things VALUES (${key}, 'first')`, clients[index % clients.length]);
    await compare('things', 'id');
    await compare('orders', 'customer_id');
  });

  it('what was changed on the servers is known after a reload', async () => {
    await cluster.everywhere("ALTER TABLE orders ADD COLUMN more text DEFAULT 'm'");
    await reload([THINGS, PARCELS, ORDERS]);
    const sql = 'INSERT INTO orders (customer_id, note, more) VALUES (99, $$third$$, $$m$$)';
    await eventually('the new column is known', () =>
      write(sql, clients[1]).then(
        () => true,
        (error: Error) => {
          assert.match(error.message, /"orders" is not known to have a column "more"/);
          return false;
        },
      ),
    );
    await cluster.everywhere('CREATE TABLE late (customer_id bigint)');
    await reload([THINGS, PARCELS, ORDERS]);
    for (const client of clients) await write('INSERT INTO late VALUES (1)', client);
    assert.deepEqual((await clients[0].query('SELECT count(*) FROM late')).rows, [{ count: '6' }]);
    await compare('orders', 'customer_id');
  });

  it('while the catalog cannot be read, other rules wait for it and everything else goes on', async () => {
    const rules = [THINGS, PARCELS, ORDERS];
    const spread = async (client: pg.Client): Promise<void> => {
      for (const sql of [
        'BEGIN',
        ...KEYS.map((key) => `INSERT INTO orders VALUES (${key}, 'both')`),
        'COMMIT',
      ])
        await write(sql, client);
    };
    await spread(clients[0]);
    const close = (isOpen: boolean) =>
      cluster.server.query(`ALTER DATABASE shard_2 ALLOW_CONNECTIONS ${isOpen}`);
    await close(false);
    try {
      await reload(rules, 'query_timeout = 60000\n');
      await spread(clients[0]);
      await compare('orders', 'customer_id');
      await reload(rules, 'two_phase_commit = true\n');
      await spread(clients[0]);
      await compare('orders', 'customer_id');
      await reload([ORDERS, THINGS, PARCELS]);
      const refused = clients.map((client) =>
        assert.rejects(
          client.query('SELECT * FROM orders WHERE customer_id = 1'),
          /the tables of the shards are not known: shard 2/,
        ),
      );
      await Promise.all(refused);
    } finally {
      await close(true);
    }
    await compare('orders', 'customer_id');
    await compare('parcels', 'customer_id');
    await spread(clients[0]);
    await compare('orders', 'customer_id');
  });
});
