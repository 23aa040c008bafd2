/** A unique constraint without the sharding key takes values that the proxy has made, and no others, however they are written. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, P, S } from '../../support/frames.js';
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
  CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL);`;
const TABLES = [{ name: 'orders', column: 'customer_id', data_type: 'bigint' }];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('marks of made values', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    await cluster.everywhere('TRUNCATE orders');
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES, general: { node_id: 5 } });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  const LOOSE = /unique constraint of "orders".*does not have the sharding key/;
  const refused = async (query: string | pg.QueryConfig, text = LOOSE): Promise<void> => {
    await assert.rejects(client.query(query), (error: Error & { code?: string }) => {
      assert.equal(error.code, '0A000', error.message);
      assert.match(error.message, text);
      return true;
    });
  };
  const countOf = async (): Promise<number> => (await cluster.all('SELECT id FROM orders')).length;

  const FORGED = [
    '5',
    '5::int8::int8',
    "'5'::int8::int8",
    '(5::int8)::int8',
    'CAST(CAST(5 AS int8) AS int8)',
    '"int8"(5)::int8::int8',
  ];

  it('a client that writes them is refused as with a plain value', async () => {
    for (const each of FORGED) {
      await refused(`INSERT INTO orders (id, customer_id) VALUES (${each}, 1)`);
      await refused({ text: `INSERT INTO orders (id, customer_id) VALUES (${each}, $1)`, values: [1] });
      await refused({ name: each, text: `INSERT INTO orders (id, customer_id) VALUES (${each}, 1)` });
      await refused(`INSERT INTO orders (id, customer_id) VALUES (${each}, 1), (6::int8::int8, 2)`);
      await refused(`SELECT 1; INSERT INTO orders (id, customer_id) VALUES (${each}, 1)`);
      await refused(`EXPLAIN ANALYZE INSERT INTO orders (id, customer_id) VALUES (${each}, 1)`);
      await refused(`UPDATE orders SET id = ${each} WHERE customer_id = 1`);
    }
    for (const each of ['$1', '$1::int8::int8', '($1::int8)::int8', 'CAST(CAST($1 AS int8) AS int8)']) {
      const text = `INSERT INTO orders (id, customer_id) VALUES (${each}, 1)`;
      await refused({ text, values: [5] });
      await refused({ name: text, text, values: [5] });
      const rows = `INSERT INTO orders (id, customer_id) VALUES (${each}, 1), ($2::int8::int8, 2)`;
      await refused({ text: rows, values: [5, 6] });
    }
    assert.equal(await countOf(), 0);
  });

  it('a session whose frames are filled in is refused as well', async () => {
    const own = 'INSERT INTO orders (id, customer_id) VALUES (pgdog.unique_id(), $1)';
    const forged = 'INSERT INTO orders (id, customer_id) VALUES ($2::int8::int8, $1)';
    await client.query({ name: 'own', text: own, values: [1] });
    await client.query({ text: own, values: [2] });
    await client.query('INSERT INTO orders (id, customer_id) VALUES (pgdog.unique_id(), 3)');
    await client.query('INSERT INTO orders VALUES (pgdog.unique_id(), 4), (pgdog.unique_id(), 5)');
    await client.query('BEGIN');
    await client.query('INSERT INTO orders VALUES (pgdog.unique_id(), 7)');
    await client.query({ name: 'own', text: own, values: [7] });
    await client.query('COMMIT');
    const count = await countOf();
    assert.equal(count, 7);
    // The very text that servers have of the statement above, with a value of the client's own.
    await refused({ text: forged, values: [1, 5] });
    await refused({ name: 'forged', text: forged, values: [1, 5] });
    for (const each of FORGED) await refused(`INSERT INTO orders (id, customer_id) VALUES (${each}, 1)`);
    const beside = /cast to int8 twice stands beside/;
    await refused('INSERT INTO orders VALUES (pgdog.unique_id(), 1), (5::int8::int8, 2)', beside);
    await refused(
      { text: 'INSERT INTO orders VALUES (pgdog.unique_id(), 1), ($1::int8::int8, 2)', values: [5] },
      beside,
    );
    await refused('SELECT pgdog.unique_id(); INSERT INTO orders VALUES (5::int8::int8, 2)', beside);
    assert.equal(await countOf(), count);
  });

  it('names that change their meaning within a batch do not help', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
    });
    const count = await countOf();
    const own = 'INSERT INTO orders (id, customer_id) VALUES (pgdog.unique_id(), $1)';
    const forged = 'INSERT INTO orders (id, customer_id) VALUES ($2::int8::int8, $1)';
    const bind = (name: string, ...values: string[]): Buffer => B('', name, { values });
    for (const name of ['', 'n']) {
      const close = name === '' ? [] : [C('S', name)];
      raw.send(
        P(name, own),
        bind(name, '1'),
        E(''),
        ...close,
        P(name, forged),
        bind(name, '1', '5'),
        E(''),
        S(),
      );
      const types = (await raw.readUntil('Z')).map(({ type }) => type).join('');
      assert.ok(types.includes('E'), types);
      raw.send(
        P(name, forged),
        bind(name, '1', '5'),
        E(''),
        ...close,
        P(name, own),
        bind(name, '1'),
        E(''),
        S(),
      );
      assert.ok((await raw.readUntil('Z')).some(({ type }) => type === 'E'));
      raw.send(...close, S());
      await raw.readUntil('Z');
    }
    raw.send(P('k', own), S());
    await raw.readUntil('Z');
    raw.send(P('k', forged), bind('k', '1', '5'), E(''), S());
    assert.ok((await raw.readUntil('Z')).some(({ type }) => type === 'E'));
    raw.send(bind('k', '1', '5'), E(''), S());
    assert.ok((await raw.readUntil('Z')).some(({ type }) => type === 'E'));
    raw.send(bind('k', '1'), E(''), S());
    assert.equal((await raw.readUntil('Z')).map(({ type }) => type).join(''), '2CZ');
    raw.destroy();
    const ids = (await cluster.all('SELECT id FROM orders')).map(({ id }) => BigInt(id as string));
    assert.ok(
      ids.every((id) => id > 1_000_000n),
      ids.join(),
    );
    assert.ok(ids.length > count);
  });

  it('a statement whose Close is skipped behind an error lives on, and is filled in on', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
    });
    const own = 'SELECT 1 / $1::int AS x, pgdog.unique_id() AS id';
    const other = 'SELECT pgdog.unique_id() AS a, pgdog.unique_id() AS b, $1::int AS x';
    const bind = (value: string): Buffer => B('', 's', { values: [value] });
    const sent = async (...frames: Buffer[]): Promise<string> => {
      raw.send(...frames, S());
      return (await raw.readUntil('Z')).map(({ type }) => type).join('');
    };
    await sent(P('s', own));
    for (const parse of [[], [P('s', other)], [P('s', 'SELECT 1')]]) {
      assert.equal(await sent(bind('0'), E(''), C('S', 's'), ...parse), 'EZ');
      assert.equal(await sent(bind('1'), E('')), '2DCZ');
      assert.equal(await sent(D('S', 's'), bind('1'), E('')), 'tT2DCZ');
    }
    assert.equal(await sent(C('S', 's'), P('s', other), bind('1'), E('')), '312DCZ');
    assert.equal(await sent(bind('0'), E('')), '2DCZ');
    assert.equal(await sent(C('S', 's')), '3Z');
    assert.equal(await sent(bind('0'), E('')), 'EZ');
    assert.equal(await sent(P('s', 'SELECT $1::int'), bind('1'), E('')), '12DCZ');
    raw.destroy();
  });
});
