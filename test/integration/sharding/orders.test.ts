/** PAUSE of a database with several shards: a transaction that needs a further shard gets it, and then there is nobody. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { eventually, sleep } from '../../support/wire.js';

const SCHEMA = `CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL); ${PGDOG_SCHEMA}`;
const TABLES = [{ name: 'account', column: 'id', data_type: 'bigint' }];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA, shardCount: 2 });
});
after(() => cluster.stop());

forOneDriver('orders about several shards', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
  });
  after(() => proxy.stop());

  it('PAUSE lets a transaction over several shards come to its end, holds the next, and leaves no connection', async () => {
    const [writer, reader] = [await shopClient(proxy), await shopClient(proxy)];
    for (let id = 1; id <= 20; id++) await writer.query('INSERT INTO account VALUES ($1, 100)', [id]);
    await writer.query('BEGIN');
    await writer.query('UPDATE account SET balance = 1 WHERE id = 1');
    let isPaused = false;
    const paused = proxy.adminQuery(`PAUSE ${SHOP}`).then(() => {
      isPaused = true;
    });
    await eventually('the order is in force', async () => {
      const rows = await proxy.adminQuery<{ database: string; paused: boolean }>('SHOW POOLS');
      return rows.every((row) => row.paused);
    });
    const held = reader.query('SELECT count(*) FROM account');
    await writer.query('UPDATE account SET balance = 2');
    await sleep(100);
    assert.equal(isPaused, false);
    await writer.query('COMMIT');
    await paused;
    // A process whose connection has been closed takes its time to end.
    await eventually("no connections are left but the test's own", async () => {
      const left = await cluster.server.query<{ count: string }>(
        `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname LIKE 'shard_%'
         AND application_name NOT LIKE 'pgdog-cluster%'`,
      );
      return Number(left[0]?.count) <= cluster.shardCount;
    });
    await proxy.adminQuery(`RESUME ${SHOP}`);
    assert.equal(Number((await held).rows[0].count), 20);
    const rows = await cluster.all('SELECT DISTINCT balance::int FROM account');
    assert.deepEqual([...new Set(rows.map(({ balance }) => balance))], [2]);
    await Promise.all([writer.end(), reader.end()]);
  });
});
