/** Reads of several shards: the rows that one server with all of them gives. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE customer (id bigint PRIMARY KEY, name text COLLATE "C" NOT NULL, city text COLLATE "C", born date, score numeric, active boolean);
  CREATE TABLE orders (id bigint, customer_id bigint NOT NULL, amount integer, PRIMARY KEY (customer_id, id));`;
const TABLES = [
  { name: 'customer', column: 'id', data_type: 'bigint' },
  { name: 'orders', column: 'customer_id', data_type: 'bigint' },
];
const CUSTOMERS = 300;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('reads of several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let reference: pg.Client;
  before(async () => {
    await cluster.everywhere('TRUNCATE customer, orders');
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    client = await shopClient(proxy);
    reference = new pg.Client({ connectionString: cluster.referenceUrl() });
    await reference.connect();
    for (let id = 1; id <= CUSTOMERS; id++) {
      const values = [
        id,
        `name ${(id * 7919) % 101}`,
        id % 11 === 0 ? null : `city ${id % 5}`,
        id % 13 === 0 ? null : `19${10 + (id % 80)}-03-0${1 + (id % 9)}`,
        id % 17 === 0 ? null : `${id % 7}.${id % 10}`,
        id % 3 === 0,
      ];
      for (const to of [client, reference]) {
        await to.query('INSERT INTO customer VALUES ($1, $2, $3, $4, $5, $6)', values);
        await to.query('INSERT INTO orders VALUES (1, $1, $2)', [id, id * 10]);
      }
    }
  });
  after(async () => {
    await client.end();
    await reference.end();
    await proxy.stop();
  });

  /** `isOrdered` false: the order of rows is not said by the statement. */
  const same = async (sql: string, values: unknown[] = [], isOrdered = true): Promise<void> => {
    const [ours, theirs] = await Promise.all([
      client.query({ text: sql, values, rowMode: 'array' }),
      reference.query({ text: sql, values, rowMode: 'array' }),
    ]);
    const texts = (rows: unknown[][]): string[] => {
      const lines = rows.map((row) => JSON.stringify(row));
      return isOrdered ? lines : lines.sort();
    };
    assert.deepEqual(texts(ours.rows as unknown[][]), texts(theirs.rows as unknown[][]), sql);
    assert.equal(ours.command, theirs.command, sql);
    assert.equal(ours.rowCount, theirs.rowCount, sql);
    assert.deepEqual(
      ours.fields.map(({ name, dataTypeID, format }) => [name, dataTypeID, format]),
      theirs.fields.map(({ name, dataTypeID, format }) => [name, dataTypeID, format]),
      sql,
    );
  };

  it('all rows, in any order', async () => {
    await same('SELECT * FROM customer', [], false);
    await same('SELECT id, name FROM customer WHERE city = $1', ['city 3'], false);
    await same('SELECT c.name, o.amount FROM customer c JOIN orders o ON o.customer_id = c.id', [], false);
    await same('SELECT id FROM customer WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)', [], false);
    await same('SELECT id FROM customer WHERE id = ANY($1)', [[1, 2, 3, 4, 250]], false);
    await same('SELECT id FROM customer WHERE false', []);
  });

  it('sorted by one key and several, up and down, nulls first and last', async () => {
    await same('SELECT id, name FROM customer ORDER BY id');
    await same('SELECT id, name FROM customer ORDER BY id DESC');
    await same('SELECT city, name, id FROM customer ORDER BY city NULLS FIRST, name DESC, id');
    await same('SELECT born, id FROM customer ORDER BY born DESC NULLS LAST, id DESC');
    await same('SELECT score, id FROM customer ORDER BY 1 DESC, 2');
    await same('SELECT score, id FROM customer ORDER BY 1 DESC, 2');
    await same('SELECT active, id FROM customer WHERE id > $1 ORDER BY active, id', [100]);
  });

  it('LIMIT and OFFSET, in the text and as a parameter', async () => {
    await same('SELECT id FROM customer ORDER BY id LIMIT 7');
    await same('SELECT id FROM customer ORDER BY id DESC LIMIT 10 OFFSET 20');
    await same('SELECT id FROM customer ORDER BY id LIMIT 0');
    // Which column it is stands among the literals, too.
    await same('SELECT name, id FROM customer ORDER BY 2 DESC LIMIT 10 OFFSET 20');
    await same('SELECT name, id FROM customer WHERE id > $1 ORDER BY 2 LIMIT 10 OFFSET 20', [4]);
    await same("SELECT 'é', id FROM customer ORDER BY 2 /* é 2 */ OFFSET 5 LIMIT 3");
    await same(
      'SELECT city, count(*) FROM customer GROUP BY 1 ORDER BY 2 DESC, 1 NULLS FIRST LIMIT 2 OFFSET 1',
    );
    await same('SELECT id FROM customer ORDER BY id OFFSET 290');
    await same('SELECT id FROM customer ORDER BY id LIMIT $1', [5]);
    await same('SELECT id FROM customer WHERE id > $3 ORDER BY id LIMIT $1 OFFSET $2', [5, 10, 7]);
    await same('SELECT id FROM customer ORDER BY id OFFSET $1', [290]);
    await same('SELECT id FROM customer ORDER BY id LIMIT $1 OFFSET 3 ROWS'.replace('3', '$2'), [null, 295]);
    await same(
      'SELECT city, count(*) FROM customer GROUP BY city ORDER BY count(*) DESC, city LIMIT $1',
      [3],
    );
    await same(
      'SELECT city, count(*) FROM customer GROUP BY city ORDER BY count(*) DESC, city LIMIT 2 OFFSET 1',
    );
    await assert.rejects(client.query('SELECT id FROM customer ORDER BY id LIMIT $1 OFFSET $1', [3]), {
      code: '0A000',
    });
  });

  it('LIMIT and OFFSET in the text of what is prepared', async () => {
    await same('SELECT id FROM customer WHERE id > $1 ORDER BY id LIMIT 10 OFFSET 20', [3]);
    await same('SELECT * FROM customer WHERE id > $1 ORDER BY name, id OFFSET 20 LIMIT 10', [3]);
    await same('SELECT id FROM customer WHERE id > $2 ORDER BY id LIMIT $1 OFFSET 4', [5, 7]);
    await same('SELECT id FROM customer WHERE id > $2 ORDER BY id LIMIT 5 OFFSET $1', [5, 7]);
    await same(
      "SELECT 'é', id FROM customer WHERE id > $1 ORDER BY id DESC OFFSET 5 ROWS FETCH FIRST 3 ROWS ONLY",
      [7],
    );
    await same(
      'SELECT city, count(*) FROM customer WHERE id > $1 GROUP BY city ORDER BY city LIMIT 3 OFFSET 1',
      [9],
    );
    await same(
      'SELECT DISTINCT city FROM customer WHERE id > $1 ORDER BY city NULLS FIRST LIMIT 2 OFFSET 2',
      [9],
    );
    await same('SELECT id FROM customer WHERE id IN ($1, 2, 3, 4, 5, 6) ORDER BY id LIMIT 2 OFFSET 1', [1]);
  });

  it('the same by name: prepared once, run with other values, in and out of transactions', async () => {
    const text = 'SELECT id, name FROM customer WHERE id > $1 ORDER BY id LIMIT 4 OFFSET 6';
    const run = async (on: pg.Client, after: number): Promise<unknown[]> => {
      const { rows } = await on.query({ name: 'page', text, values: [after], rowMode: 'array' });
      return rows;
    };
    for (const id of [1, 50, 290, 400])
      assert.deepEqual(await run(client, id), await run(reference, id), `${id}`);
    await client.query('BEGIN');
    for (const id of [2, 60]) assert.deepEqual(await run(client, id), await run(reference, id), `${id}`);
    await client.query('COMMIT');
    // A shape has one plan, whatever its numbers.
    const other = {
      name: 'other',
      text: text.replace('4 OFFSET 6', '2 OFFSET 1'),
      values: [7],
      rowMode: 'array' as const,
    };
    assert.deepEqual((await client.query(other)).rows, (await reference.query(other)).rows);
    assert.deepEqual(await run(client, 50), await run(reference, 50));
  });

  it('DISTINCT, and aggregates with groups and without', async () => {
    await same('SELECT DISTINCT city FROM customer ORDER BY city');
    await same('SELECT DISTINCT city, active FROM customer', [], false);
    await same(
      'SELECT count(*), min(id), max(name), sum(id), bool_and(active), bool_or(active) FROM customer',
    );
    await same('SELECT count(*) FROM customer WHERE id < 0');
    await same('SELECT city, count(*), sum(score) FROM customer GROUP BY city ORDER BY city');
    await same('SELECT city, max(born) FROM customer GROUP BY city', [], false);
    await same('SELECT city, count(*) FROM customer GROUP BY city ORDER BY city LIMIT 3 OFFSET 1');
  });

  it('within a transaction as well', async () => {
    await client.query('BEGIN');
    try {
      const { rows } = await client.query('SELECT count(*) AS n FROM customer WHERE id IN (1, 2, 3)');
      assert.equal(rows[0].n, '3');
      await client.query("UPDATE customer SET city = 'changed' WHERE id = 1");
      const all = await client.query("SELECT id::int FROM customer WHERE city = 'changed'");
      assert.deepEqual(all.rows, [{ id: 1 }]);
    } finally {
      await client.query('ROLLBACK');
    }
  });

  it('a row of 20 MB among others, and 300,000 rows in order', async () => {
    const [first] = (
      await client.query("SELECT repeat('x', 20000000) AS long, id FROM customer WHERE id IN (1, 2, 3)")
    ).rows;
    assert.equal(first.long.length, 20_000_000);
    const many =
      'INSERT INTO orders SELECT g, id, g FROM customer, generate_series(2, 1000) g ON CONFLICT DO NOTHING';
    await cluster.everywhere(many);
    const { rows } = await client.query('SELECT customer_id, id FROM orders ORDER BY customer_id, id');
    assert.equal(rows.length, CUSTOMERS * 1000);
    for (const [index, { customer_id, id }] of rows.entries()) {
      const [customer, order] = [Math.floor(index / 1000) + 1, (index % 1000) + 1];
      if (Number(customer_id) !== customer || Number(id) !== order) assert.fail(`row ${index}`);
    }
  });

  it('an error of one shard is the answer, and the connection is as before', async () => {
    await assert.rejects(client.query('SELECT 1 / (id - 5) FROM customer'), { code: '22012' });
    const { rows } = await client.query('SELECT count(*) AS n FROM customer');
    assert.equal(rows[0].n, String(CUSTOMERS));
  });

  it('refuses what shards together cannot answer, and says why', async () => {
    for (const sql of [
      'SELECT string_agg(city, $$,$$) FROM customer',
      'SELECT a.id FROM customer a JOIN customer b ON a.city = b.city',
      'SELECT rank() OVER (ORDER BY id) FROM customer',
      'SELECT city FROM customer GROUP BY city HAVING upper(max(name)) > $$A$$',
      'SELECT id FROM customer INTERSECT SELECT id FROM orders',
      'SELECT avg(score::float8) FROM customer',
    ]) {
      await assert.rejects(client.query(sql), { code: '0A000' }, sql);
    }
  });
});
