/** [rewrite] primary_key: rows without their bigint key get an id; sharding keys by their default. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE customer (id bigint PRIMARY KEY, name text);
  CREATE TABLE orders (note text, id bigserial, customer_id bigint, PRIMARY KEY (id));
  CREATE TABLE country (id bigint PRIMARY KEY, code text, made timestamptz DEFAULT now());
  CREATE TABLE region (kind text DEFAULT 'eu', n int, PRIMARY KEY (kind, n));
  CREATE TABLE small (id int PRIMARY KEY, n int);`;
const TABLES = [
  { name: 'customer', column: 'id', data_type: 'bigint' },
  { name: 'orders', column: 'customer_id', data_type: 'bigint' },
  { name: 'region', column: 'kind', data_type: 'text' },
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('made keys', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  const start = async (primary_key: string): Promise<void> => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      sections: { rewrite: { primary_key } },
    });
    client = await shopClient(proxy);
  };
  const stop = async (): Promise<void> => {
    await client.end();
    await proxy.stop();
  };
  before(async () => {
    await cluster.everywhere('TRUNCATE customer, orders, country, region, small');
    await start('rewrite');
  });
  after(stop);

  const refused = async (sql: string, text: RegExp): Promise<void> => {
    await assert.rejects(client.query(sql), (error: Error & { code?: string }) => {
      assert.equal(error.code, '0A000', error.message);
      assert.match(error.message, text);
      return true;
    });
  };

  it('of a sharded table lead to their shards', async () => {
    const ids = new Set<string>();
    for (let i = 0; i < 10; i++) {
      for (const { rows } of [
        await client.query(`INSERT INTO customer (name) VALUES ('n${i}') RETURNING id`),
        await client.query('INSERT INTO customer VALUES (DEFAULT, $1) RETURNING id', [`p${i}`]),
        await client.query({
          name: 'c',
          text: 'INSERT INTO customer (name) VALUES ($1) RETURNING id',
          values: ['s'],
        }),
      ]) {
        ids.add(rows[0].id);
      }
    }
    const { rows } = await client.query(
      "INSERT INTO customer (name) VALUES ('a'), ('b'), ('c') RETURNING id, name",
    );
    assert.deepEqual(
      rows.map(({ name }) => name),
      ['a', 'b', 'c'],
    );
    for (const { id } of rows) ids.add(id);
    await client.query("INSERT INTO customer (id, name) VALUES (7, 'own'), (DEFAULT, 'made')");
    assert.equal(ids.size, 33);
    for (const id of [...ids, '7']) {
      assert.equal((await client.query('SELECT FROM customer WHERE id = $1', [id])).rowCount, 1);
    }
    const counts = await Promise.all(
      cluster.shards.map((_, shard) => cluster.shard(shard, 'SELECT FROM customer')),
    );
    assert.ok(counts.every(({ length }) => length > 0));
  });

  it('of other tables too: in the place of sequences, in any column, in whole copies', async () => {
    await client.query("INSERT INTO orders (customer_id, note) VALUES (5, 'x'), (6, 'y'), (7, 'z')");
    await client.query("INSERT INTO orders VALUES ('w', DEFAULT, 8)");
    const orders = await cluster.all('SELECT id FROM orders');
    assert.equal(new Set(orders.map(({ id }) => id)).size, 4);
    assert.ok(orders.every(({ id }) => BigInt(id as string) > 1_000_000n));
    await client.query("INSERT INTO country (code) VALUES ('at'), ('ch')");
    await client.query('INSERT INTO country DEFAULT VALUES');
    await client.query('INSERT INTO country (code) VALUES ($1)', ['fr']);
    const copies = await cluster.all('SELECT x::text AS r FROM country x');
    assert.equal(copies.length, 4 * cluster.shardCount);
    assert.equal(new Set(copies.map(({ r }) => r)).size, 4);
  });

  it('what would need one for each row is refused by name', async () => {
    const text = /without its key "id".*each row would need an id of its own/;
    await refused('INSERT INTO country (code) SELECT name FROM customer WHERE id = 7', text);
    await refused("WITH x AS (INSERT INTO country (code) VALUES ('x') RETURNING id) SELECT * FROM x", text);
    await refused("EXPLAIN ANALYZE INSERT INTO country (code) VALUES ('x')", text);
    await refused("SELECT 1; INSERT INTO country (code) VALUES ('x')", text);
    await refused("PREPARE p AS INSERT INTO country (code) VALUES ('x')", text);
    await refused('INSERT INTO country (code) VALUES (generate_series(1, 3)::text)', text);
    await assert.rejects(client.query('INSERT INTO small (n) VALUES (1)'), { code: '23502' });
  });

  it('a sharding key with a constant default leads to its shard', async () => {
    await client.query('INSERT INTO region (n) VALUES (1), (2)');
    await client.query("INSERT INTO region (n, kind) VALUES (3, DEFAULT), (4, 'us')");
    await client.query('INSERT INTO region (n) VALUES ($1)', [5]);
    const { rows } = await client.query("SELECT n FROM region WHERE kind = 'eu' ORDER BY n");
    assert.deepEqual(
      rows.map(({ n }) => n),
      [1, 2, 3, 5],
    );
    assert.equal((await client.query("SELECT FROM region WHERE kind = 'us'")).rowCount, 1);
  });

  it('statements that are prepared while definitions change are filled in as well', async () => {
    const other = await shopClient(proxy);
    for (let i = 0; i < 5; i++) {
      await other.query(`CREATE TABLE made_${i} (id bigint PRIMARY KEY, n int)`);
      const text = `INSERT INTO made_${i} (n) VALUES ($1) RETURNING id`;
      const { rows } = await client.query({ name: `made ${i}`, text, values: [i] });
      assert.ok(BigInt(rows[0].id) > 1_000_000n);
      const again = await client.query({ name: `made ${i}`, text, values: [i] });
      assert.ok(BigInt(again.rows[0].id) > BigInt(rows[0].id));
      await other.query(`DROP TABLE made_${i}`);
    }
    await other.end();
  });

  it('in a transaction, prepared before it or within it', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
    });
    const insert = 'INSERT INTO customer (name) VALUES ($1) RETURNING id';
    const answer = async (...frames: Buffer[]): Promise<string> => {
      raw.send(...frames);
      return (await raw.readUntil('Z')).map(({ type }) => type).join('');
    };
    assert.equal(await answer(P('p', insert), S()), '1Z');
    assert.equal(await answer(Q('BEGIN')), 'CZ');
    assert.equal(await answer(P('a', insert), B('', 'a', { values: ['x'] }), E(''), S()), '12DCZ');
    assert.equal(await answer(B('', 'p', { values: ['y'] }), E(''), S()), '2DCZ');
    assert.equal(await answer(Q("INSERT INTO customer (name) VALUES ('z')")), 'CZ');
    assert.equal(await answer(Q('COMMIT')), 'CZ');
    raw.destroy();
    const { rowCount } = await client.query("SELECT FROM customer WHERE name IN ('x', 'y', 'z')");
    assert.equal(rowCount, 3);
  });

  it('error: rows without their key are refused by name', async () => {
    await stop();
    await start('error');
    const text = /does not give its primary key "id"/;
    await refused("INSERT INTO country (code) VALUES ('x')", text);
    await refused("INSERT INTO customer (name) VALUES ('x')", text);
    await client.query("INSERT INTO customer VALUES (pgdog.unique_id(), 'given')");
  });

  it('rewrite_omni: of whole tables only; without it none are made', async () => {
    await stop();
    await start('rewrite_omni');
    await client.query("INSERT INTO country (code) VALUES ('nl')");
    await refused("INSERT INTO customer (name) VALUES ('x')", /does not give its sharding key "id"/);
    await stop();
    await start('ignore');
    await assert.rejects(client.query("INSERT INTO country (code) VALUES ('pt')"), { code: '23502' });
  });
});
