/** Tables that every shard has whole, changed on one shard past the proxy. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE country (code text PRIMARY KEY, name text);
  CREATE TABLE "Odd ""table" (at timestamptz, f float8, j jsonb, b bytea);
  CREATE TABLE part (n int) PARTITION BY RANGE (n);
  CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (10);
  ${PGDOG_SCHEMA}`;

let cluster: ShardCluster;
let proxy: TestProxy;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  proxy = await startShardedProxy(cluster, 'epoll', {
    tables: [{ name: 'account', column: 'id', data_type: 'bigint' }],
    general: { omnisharded_check_interval: 200, load_schema_interval: 300 },
    metrics: true,
  });
  // Of every role that logs in to one shard: no difference.
  await cluster.shard(1, "ALTER DATABASE shard_1 SET timezone = 'Asia/Tokyo'");
  await cluster.shard(1, 'ALTER DATABASE shard_1 SET extra_float_digits = 0');
  const client = await shopClient(proxy);
  await client.query("INSERT INTO country VALUES ('fr', 'France'), ('pt', 'Portugal')");
  await client.query(
    `INSERT INTO "Odd ""table" VALUES ('2030-01-31 12:00+00', 0.1::float8 + 0.2::float8, '{"a": [1]}', '\\x00ff')`,
  );
  await client.query('INSERT INTO part VALUES (3)');
  await client.query('INSERT INTO account VALUES (1, 1), (2, 2), (3, 3)');
  await client.end();
});
after(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

const drift = async (): Promise<string[]> => {
  const rows = await proxy.adminQuery('SHOW OMNI_DRIFT');
  return rows.map(({ name, state, shard, rows: count }) => `${name} ${state} ${shard ?? 'all'} ${count}`);
};

it('copies that are the same are one row each, whatever the settings of their servers', async () => {
  assert.deepEqual((await drift()).sort(), [
    'Odd "table same all 1',
    'country same all 2',
    'part same all 1',
  ]);
  await eventually('a look has been', async () =>
    /^omni_tables_differing\{database="shop"\} 0$/m.test(await proxy.metrics()),
  );
});

it('one that differs is told of by SHOW, the log and the metrics, until it differs no more', async () => {
  await cluster.shard(1, "UPDATE country SET name = 'Gaul' WHERE code = 'fr'");
  await cluster.shard(2, "DELETE FROM country WHERE code = 'pt'");
  assert.deepEqual((await drift()).slice(0, 3), [
    'country differs 0 2',
    'country differs 1 2',
    'country differs 2 1',
  ]);
  await eventually('the log', async () =>
    /"shop": public\.country is not the same on all shards: 2 rows on shard 0, 2 rows on shard 1, 1 rows on shard 2/.test(
      proxy.output,
    ),
  );
  await eventually('the metrics', async () =>
    /^omni_tables_differing\{database="shop"\} 1$/m.test(await proxy.metrics()),
  );
  const told = proxy.output.split('is not the same on all shards').length;
  await drift();
  await drift();
  assert.equal(proxy.output.split('is not the same on all shards').length, told, 'it is told once');
  await cluster.shard(1, "UPDATE country SET name = 'France' WHERE code = 'fr'");
  await cluster.shard(2, "INSERT INTO country VALUES ('pt', 'Portugal')");
  await eventually('the same again', async () =>
    /public\.country is the same on all shards again/.test(proxy.output),
  );
});

it('a table that may not be read is said to be unread, with the reason', async () => {
  const holder = new pg.Client(cluster.server.url('shard_2'));
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE country');
    const rows = await proxy.adminQuery('SHOW OMNI_DRIFT');
    const unread = rows.filter(({ name }) => name === 'country');
    assert.deepEqual(
      unread.map(({ state, shard, rows: count }) => [state, shard, count]),
      [
        ['unread', '0', '2'],
        ['unread', '1', '2'],
        ['unread', '2', null],
      ],
    );
    assert.match(String(unread[0].reason), /^shard 2: .*lock timeout/);
  } finally {
    await holder.end();
  }
});
