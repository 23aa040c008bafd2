/** pgdog.unique_id(): anew for each execution, over all workers, wherever the statement runs. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, P, S } from '../../support/frames.js';
import { startProxy, type TestProxy } from '../../support/proxy.js';
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
  CREATE TABLE country (code text PRIMARY KEY, number bigint);`;
const TABLES = [{ name: 'customer', column: 'id', data_type: 'bigint' }];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('unique ids', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    await cluster.everywhere('TRUNCATE customer, country');
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES, general: { node_id: 5 } });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  const idOf = async (sql: string, values?: unknown[]): Promise<bigint> => {
    const { rows } = await client.query(sql, values);
    return BigInt(Object.values(rows[0] as Record<string, string>)[0]);
  };
  const refused = async (sql: string, text: RegExp, values?: unknown[]): Promise<void> => {
    await assert.rejects(client.query(sql, values), (error: Error & { code?: string }) => {
      assert.equal(error.code, '0A000', error.message);
      assert.match(error.message, text);
      return true;
    });
  };

  it('is made by SELECT and SHOW, grows, and has the node in it', async () => {
    const ids: bigint[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push(await idOf('SELECT pgdog.unique_id()'));
      ids.push(await idOf('SELECT pgdog.unique_id() AS x', []));
      ids.push(await idOf('SHOW pgdog.unique_id'));
    }
    for (const [i, id] of ids.entries()) {
      assert.equal((id >> 12n) & 1023n, 5n);
      if (i > 0) assert.ok(id > ids[i - 1], `${id} after ${ids[i - 1]}`);
    }
    const { fields, rows } = await client.query(
      'SELECT pgdog.unique_id(), pgdog.unique_id()::text AS text, 1 AS one',
    );
    assert.deepEqual(
      fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
      [
        ['unique_id', 20],
        ['text', 25],
        ['one', 23],
      ],
    );
    assert.notEqual(rows[0].unique_id, rows[0].text);
    const named = await client.query('SELECT pgdog.unique_id()::text');
    assert.equal(named.fields[0].name, 'unique_id');
  });

  it('as a sharding key each row goes where its id belongs', async () => {
    for (let i = 0; i < 30; i++) {
      if (i % 2 === 0) await client.query(`INSERT INTO customer VALUES (pgdog.unique_id(), 'name ${i}')`);
      else
        await client.query('INSERT INTO customer (name, id) VALUES ($1, pgdog.unique_id())', [`name ${i}`]);
    }
    const { rows } = await client.query(
      "INSERT INTO customer VALUES (pgdog.unique_id(), 'a'), (pgdog.unique_id(), 'b'), (pgdog.unique_id(), 'c'), (pgdog.unique_id(), 'd') RETURNING id, name",
    );
    assert.deepEqual(
      rows.map(({ name }) => name),
      ['a', 'b', 'c', 'd'],
    );
    const counts = [];
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      counts.push((await cluster.shard(shard, 'SELECT id FROM customer')).length);
    }
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      34,
    );
    assert.ok(
      counts.every((count) => count > 0),
      `rows by shard: ${counts.join()}`,
    );
    const all = await cluster.all('SELECT id FROM customer');
    assert.equal(new Set(all.map(({ id }) => id)).size, 34);
    for (const { id } of all) {
      const found = await client.query('SELECT name FROM customer WHERE id = $1', [id]);
      assert.equal(found.rowCount, 1);
    }
  });

  it('a prepared statement makes another one each time it is executed', async () => {
    const query = {
      name: 'insert',
      text: 'INSERT INTO customer VALUES (pgdog.unique_id(), $1) RETURNING id',
    };
    const ids = new Set<string>();
    for (let i = 0; i < 20; i++) ids.add((await client.query({ ...query, values: [`p${i}`] })).rows[0].id);
    assert.equal(ids.size, 20);
    await client.query('BEGIN');
    const inside = await client.query({ ...query, values: ['in a transaction'] });
    const second = await client.query({ ...query, values: ['in a transaction'] });
    await client.query('COMMIT');
    assert.notEqual(inside.rows[0].id, second.rows[0].id);
    const { rowCount } = await client.query("SELECT FROM customer WHERE name = 'in a transaction'");
    assert.equal(rowCount, 2);
  });

  it('a client sees its own parameters alone', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
    });
    const text = 'INSERT INTO customer VALUES (pgdog.unique_id(), $1) RETURNING id';
    for (const name of ['s1', '']) {
      raw.send(P(name, text), D('S', name), S());
      const described = await raw.readUntil('Z');
      const frame = described.find(({ type }) => type === 't');
      assert.equal(frame?.body.toString('hex'), '000100000019');
      for (let i = 0; i < 3; i++) {
        raw.send(B('', name, { values: ['x'] }), E(''), S());
        const types = (await raw.readUntil('Z')).map(({ type }) => type).join('');
        assert.equal(types, '2DCZ');
      }
    }
    raw.destroy();
  });

  it('whole copies get one and the same', async () => {
    await client.query("INSERT INTO country VALUES ('at', pgdog.unique_id())");
    await client.query('INSERT INTO country VALUES ($1, pgdog.unique_id())', ['ch']);
    await client.query("UPDATE country SET number = pgdog.unique_id() WHERE code = 'at'");
    await client.query('UPDATE country SET number = pgdog.unique_id() WHERE $1 = code', ['ch']);
    const copies = await cluster.all('SELECT code, number FROM country');
    assert.equal(copies.length, 2 * cluster.shardCount);
    assert.equal(new Set(copies.map(({ code, number }) => `${code} ${number}`)).size, 2);
  });

  it('what would take one for each row is refused by name', async () => {
    const perRow = /each row would need one of its own/;
    await refused('SELECT pgdog.unique_id(), name FROM customer', perRow);
    await refused('UPDATE country SET number = pgdog.unique_id()', perRow);
    await refused("UPDATE country SET number = pgdog.unique_id() WHERE code > 'a'", perRow);
    await refused('UPDATE customer SET name = pgdog.unique_id()::text WHERE name = $1', perRow, ['x']);
    await refused('INSERT INTO customer SELECT pgdog.unique_id(), code FROM country', perRow);
    await refused('INSERT INTO country SELECT pgdog.unique_id()::text, generate_series(1, 3)', perRow);
    await refused('DELETE FROM customer WHERE id = pgdog.unique_id()', perRow);
    await refused('ALTER TABLE country ALTER number SET DEFAULT pgdog.unique_id()', perRow);
    await refused('SELECT pgdog.unique_id(5)', /takes no arguments/);
    await refused(
      "INSERT INTO country VALUES ('at', 1) ON CONFLICT (code) DO UPDATE SET number = pgdog.unique_id()",
      perRow,
    );
    const { rows } = await client.query(
      "SELECT 'pgdog.unique_id()' AS text, 1 AS unique_id -- pgdog.unique_id()",
    );
    assert.deepEqual(rows, [{ text: 'pgdog.unique_id()', unique_id: 1 }]);
  });

  it('a refusal fails a transaction as any error does', async () => {
    await client.query('BEGIN');
    await client.query("INSERT INTO customer VALUES (pgdog.unique_id(), 'gone')");
    await refused('SELECT pgdog.unique_id() FROM country', /each row/);
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await client.query('ROLLBACK');
    const { rowCount } = await client.query("SELECT FROM customer WHERE name = 'gone'");
    assert.equal(rowCount, 0);
  });

  it('workers at the same time never make the same', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => shopClient(proxy)));
    const batches = await Promise.all(
      clients.map(async (each) => {
        const ids: string[] = [];
        for (let i = 0; i < 50; i++) {
          const { rows } = await each.query('SELECT pgdog.unique_id() AS a, pgdog.unique_id() AS b');
          ids.push(rows[0].a, rows[0].b);
        }
        return ids;
      }),
    );
    await Promise.all(clients.map((each) => each.end()));
    assert.equal(new Set(batches.flat()).size, 800);
  });
});

forEachDriver('unique ids of a database of one shard', (driver) => {
  it('are made in all protocols', async () => {
    const { host, port } = cluster.server;
    const proxy = await startProxy({
      ioDriver: driver,
      workers: 1,
      users: [{ name: 'postgres', password: 'postgres', database: 'one' }],
      databases: [{ name: 'one', host, port, database_name: 'reference' }],
      general: { log_connections: false, unique_id_function: 'compact', unique_id_min: 7 },
    });
    const client = new pg.Client({ connectionString: proxy.url('one') });
    await client.connect();
    const ids: number[] = [];
    for (let i = 0; i < 10; i++) {
      ids.push(Number((await client.query('SELECT pgdog.unique_id()')).rows[0].unique_id));
      ids.push(Number((await client.query('SELECT $1::int, pgdog.unique_id()', [i])).rows[0].unique_id));
      const named = { name: 'n', text: 'SELECT $1::int AS x, pgdog.unique_id() AS id', values: [i] };
      ids.push(Number((await client.query(named)).rows[0].id));
    }
    assert.ok(ids.every((id, i) => Number.isSafeInteger(id) && (i === 0 || id > ids[i - 1])));
    await assert.rejects(client.query('SELECT pgdog.unique_id() FROM pg_class'), { code: '0A000' });
    await client.end();
    await proxy.stop();
  });
});
