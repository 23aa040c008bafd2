/** Statements whose rows are on one shard: they go there, and nowhere else; what does not is refused or asked of all. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import postgres from 'postgres';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { SHOP, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, city text);
  CREATE TABLE orders (id bigint, customer_id bigint NOT NULL, amount numeric(10,2), PRIMARY KEY (customer_id, id));
  CREATE TABLE device (id uuid PRIMARY KEY, label text);
  CREATE TABLE tag (name text PRIMARY KEY, note text);
  CREATE TABLE country (code text PRIMARY KEY, name text);
  INSERT INTO country VALUES ('nl', 'Netherlands'), ('pt', 'Portugal');`;

const TABLES = [
  { name: 'customer', column: 'id', data_type: 'bigint' },
  { name: 'orders', column: 'customer_id', data_type: 'bigint' },
  { name: 'device', column: 'id', data_type: 'uuid' },
  { name: 'tag', column: 'name', data_type: 'text' },
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('statements of one shard', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    client = await shopClient(proxy);
    await cluster.everywhere('TRUNCATE customer, orders, device, tag');
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  const refused = async (sql: string, code: string, text: RegExp, values?: unknown[]): Promise<void> => {
    await assert.rejects(client.query(sql, values), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });
  };

  before(async () => {
    for (const type of ['bigint', 'uuid', 'text']) {
      await cluster.reference(`CREATE TABLE IF NOT EXISTS part_${type} (k ${type}) PARTITION BY HASH (k)`);
    }
  });

  it('rows go where PARTITION BY HASH puts them, by literal and by parameter, in text and binary', async () => {
    for (let id = 1; id <= 60; id++) {
      if (id % 2 === 0) await client.query(`INSERT INTO customer VALUES (${id}, 'customer ${id}', 'Porto')`);
      else await client.query('INSERT INTO customer VALUES ($1, $2, $3)', [id, `customer ${id}`, 'Porto']);
    }
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const rows = await cluster.shard(shard, 'SELECT id FROM customer');
      assert.ok(rows.length > 5, `shard ${shard} has ${rows.length} rows`);
      for (const { id } of rows) assert.equal(await cluster.partitionOf('bigint', String(id)), shard);
    }
  });

  it('reads find them: alone, joined by key, with tables that every shard has', async () => {
    for (const id of [1, 2, 3, 4, 5]) {
      await client.query('INSERT INTO orders VALUES ($1, $2, $3)', [id * 10, id, '12.50']);
      const found = await client.query(`SELECT name FROM customer WHERE id = ${id}`);
      assert.deepEqual(found.rows, [{ name: `customer ${id}` }]);
      const joined = await client.query(
        `SELECT c.name, o.amount, k.name AS country FROM customer c JOIN orders o ON o.customer_id = c.id
         JOIN country k ON k.code = 'nl' WHERE c.id = $1`,
        [id],
      );
      assert.deepEqual(joined.rows, [{ name: `customer ${id}`, amount: '12.50', country: 'Netherlands' }]);
    }
  });

  it('updates and deletes too, with RETURNING', async () => {
    const updated = await client.query("UPDATE customer SET city = 'Faro' WHERE id = 7 RETURNING city");
    assert.deepEqual(updated.rows, [{ city: 'Faro' }]);
    const gone = await client.query('DELETE FROM customer WHERE id = $1', [7]);
    assert.equal(gone.rowCount, 1);
    assert.deepEqual(await cluster.all('SELECT id FROM customer WHERE id = 7'), []);
  });

  it('keys of other types: uuid and text', async () => {
    const ids = ['5b30857f-0bfa-48b5-ac0b-5c64e28078d1', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'];
    for (const id of ids) await client.query('INSERT INTO device VALUES ($1, $2)', [id, 'x']);
    for (const name of ['plain', "it''s", 'ünïcode']) {
      await client.query(`INSERT INTO tag VALUES ('${name}', 'n')`);
    }
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      for (const { id } of await cluster.shard(shard, 'SELECT id FROM device')) {
        assert.equal(await cluster.partitionOf('uuid', String(id)), shard);
      }
      for (const { name } of await cluster.shard(shard, 'SELECT name FROM tag')) {
        assert.equal(await cluster.partitionOf('text', String(name)), shard);
      }
    }
    const { rows } = await client.query("SELECT note FROM tag WHERE name = 'it''s'");
    assert.equal(rows.length, 1);
  });

  it('a transaction of one shard: what it does is there after COMMIT, and not after ROLLBACK', async () => {
    const [here] = await keysOfTwoShards();
    const cityOf = async (): Promise<string> =>
      (await client.query('SELECT city FROM customer WHERE id = $1', [here])).rows[0].city;
    await client.query('BEGIN');
    await client.query("UPDATE customer SET city = 'Lagos' WHERE id = $1", [here]);
    assert.equal(await cityOf(), 'Lagos');
    await client.query('ROLLBACK');
    assert.equal(await cityOf(), 'Porto');
    await client.query('BEGIN');
    await client.query("UPDATE customer SET city = 'Lagos' WHERE id = $1", [here]);
    await client.query('SELECT count(*) FROM country');
    await client.query('COMMIT');
    assert.equal(await cityOf(), 'Lagos');
  });

  const keysOfTwoShards = async (): Promise<[number, number]> => {
    const first = (await cluster.shard(0, 'SELECT min(id)::int AS id FROM customer'))[0]?.id as number;
    const second = (await cluster.shard(1, 'SELECT min(id)::int AS id FROM customer'))[0]?.id as number;
    return [first, second];
  };

  it('named statements follow their parameter from shard to shard', async () => {
    for (let id = 10; id < 40; id++) {
      const { rows } = await client.query({
        name: 'by id',
        text: 'SELECT name FROM customer WHERE id = $1',
        values: [id],
      });
      assert.deepEqual(rows, [{ name: `customer ${id}` }]);
    }
  });

  it('postgres.js pipelines queries of several shards: each gets its own answer', async () => {
    const sql = postgres(proxy.url(SHOP), { max: 2, onnotice: () => undefined });
    try {
      const rows = await Promise.all(
        Array.from(
          { length: 50 },
          (_, index) => sql`SELECT name FROM customer WHERE id = ${10 + (index % 40)}`,
        ),
      );
      for (const [index, row] of rows.entries()) assert.equal(row[0]?.name, `customer ${10 + (index % 40)}`);
    } finally {
      await sql.end();
    }
  });

  it('refuses what is not on one shard and cannot be asked of several', async () => {
    await refused('INSERT INTO customer (name) VALUES ($1)', '0A000', /id/, ['x']);
    await refused('UPDATE customer SET id = 5 WHERE id = 6', '0A000', /id/);
    await refused('COPY customer FROM STDIN (ON_ERROR ignore)', '0A000', /with this ON_ERROR/);
    await refused('SELECT * FROM nothing_like_it', '42P01', /nothing_like_it/);
    await refused('SELEC 1', '42601', /syntax error/);
  });

  it('SET pgdog.shard and comments name a shard for what cannot tell by itself', async () => {
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const [{ n }] = (await cluster.shard(shard, 'SELECT count(*)::int AS n FROM customer')) as [
        { n: number },
      ];
      const hinted = await client.query(
        `/* pgdog_shard: ${shard} */ SELECT count(*)::int AS n FROM customer`,
      );
      assert.equal(hinted.rows[0].n, n);
      await client.query(`SET pgdog.shard = ${shard}`);
      const set = await client.query('SELECT count(*)::int AS n, current_database() AS db FROM customer');
      assert.deepEqual(set.rows[0], { n, db: `shard_${shard}` });
    }
    await client.query('RESET pgdog.shard');
    await refused('/* pgdog_sharding_key: 11 */ SELECT 1', '22023', /different rules/);
    await refused('/* pgdog_shard: 9 */ SELECT 1', '22023', /shard/);
    await refused('SET pgdog.shard = 3', '22023', /shards 0 to 2/);
  });

  it('search_path says which table a name means, and is not changed where that could not be seen', async () => {
    await cluster.everywhere(
      `CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.customer (id bigint PRIMARY KEY, name text, city text);
       TRUNCATE other.customer`,
    );
    await eventually('the schema is read', async () => {
      const { rows } = await client.query('SELECT count(*) AS n FROM other.customer WHERE id = 1');
      return rows[0].n === '0';
    });
    await client.query('SET search_path TO other, public');
    await client.query("INSERT INTO customer VALUES (3, 'of other', 'Beja')");
    await client.query('RESET search_path');
    const found = await client.query('SELECT name FROM customer WHERE id = 3');
    assert.equal(found.rows[0].name, 'customer 3');
    assert.deepEqual(await cluster.all('SELECT name FROM other.customer'), [{ name: 'of other' }]);
    await refused('SET search_path TO other; SELECT * FROM customer WHERE id = 3', '0A000', /search_path/);
    await client.query('BEGIN');
    await refused('SET LOCAL search_path TO other', '0A000', /search_path/);
    await client.query('ROLLBACK');
  });

  it("users' functions: immutable ones run where their rows are, others not without a hint", async () => {
    await cluster.everywhere(`
      CREATE OR REPLACE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
      CREATE OR REPLACE FUNCTION others() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM customer'`);
    await eventually('the functions are read', async () => {
      await client.query('SELECT count(*) AS n FROM unknown_yet').catch(() => undefined);
      return client.query('SELECT twice(id) AS n FROM customer WHERE id = 21').then(
        ({ rows }) => rows[0].n === '42',
        () => false,
      );
    });
    await refused('SELECT others() FROM customer WHERE id = 21', '0A000', /others/);
    await refused('SELECT others()', '0A000', /others/);
    await cluster.shard(
      1,
      "CREATE OR REPLACE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 3'",
    );
    await eventually('the difference is seen', async () => {
      await client.query('SELECT count(*) AS n FROM unknown_yet').catch(() => undefined);
      return client.query('SELECT twice(id) AS n FROM customer WHERE id = 21').then(
        () => false,
        (error: Error & { code?: string }) => error.code === '0A000',
      );
    });
  });

  it('EXPLAIN (PGDOG) and SHOW pgdog.shards tell where statements go', async () => {
    const explain = async (sql: string): Promise<string> =>
      (await client.query(`EXPLAIN (PGDOG) ${sql}`)).rows.map((row) => Object.values(row)[0]).join('\n');
    const shard = await cluster.partitionOf('bigint', '12');
    assert.match(await explain('SELECT * FROM customer WHERE id = 12'), new RegExp(`direct: shard ${shard}`));
    assert.match(await explain('SELECT * FROM customer'), /all 3 shards: rows are passed on as they come/);
    assert.match(await explain('SELECT id FROM customer ORDER BY id LIMIT 3'), /merged by column 1, LIMIT/);
    assert.match(await explain('SELECT * FROM country'), /any shard/);
    const rows = '(1, now()::text), (2, now()::text), (3, now()::text), (4, now()::text), (5, now()::text)';
    assert.match(await explain("INSERT INTO country VALUES ('xx', now()::text)"), /all 3 shards do the same/);
    assert.match(
      await explain(`INSERT INTO customer (id, name) VALUES ${rows.replaceAll('now()', "'x'")}`),
      /each row goes to its shard/,
    );
    assert.match(
      await explain(`INSERT INTO customer (id, name) VALUES ${rows}`),
      /refused: now\(\) would differ from shard to shard/,
    );
    assert.match(await explain('SELECT rank() OVER (ORDER BY id) FROM customer'), /refused: .*window/);
    await client.query('SELECT * FROM customer WHERE id = 12');
    const lastOf = async (): Promise<number[]> =>
      (await client.query('SHOW pgdog.shards')).rows
        .filter(({ name, last }) => name === SHOP && last === true)
        .map((row) => Number(row.shard));
    assert.deepEqual(await lastOf(), [shard]);
    await client.query('SELECT id FROM customer');
    assert.deepEqual(await lastOf(), [0, 1, 2]);
  });

  it('a table that is made while clients are connected is known at once', async () => {
    await cluster.everywhere(`CREATE TABLE IF NOT EXISTS late_${driver} (id int, note text)`);
    await eventually('the new table is read', async () => {
      const { rows } = await client.query(`SELECT count(*)::int AS n FROM late_${driver}`);
      return rows[0].n === 0;
    });
  });
});
