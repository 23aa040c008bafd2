/** A client that holds an advisory lock and asks other shards: whatever happens meanwhile, it has the lock or is told. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = 'CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)';
const LOCK = 'SELECT pg_advisory_lock(5)';
const TRY = 'SELECT pg_try_advisory_lock(5) AS has';
const UNLOCK = 'SELECT pg_advisory_unlock(5) AS had';

let servers: ShardServers;
before(async () => {
  servers = await ShardServers.start(SCHEMA);
});
after(() => servers.stop());

forEachDriver('a lock that is kept while other shards are asked', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let lost: Promise<unknown>;
  let isLost: boolean;
  /** A row of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(servers.gated, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: { default_pool_size: 1, min_pool_size: 0, checkout_timeout: 2_000 },
    });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    client = await shopClient(proxy);
    isLost = false;
    client.on('error', () => {});
    lost = new Promise((resolve) => {
      client.on('end', () => {
        isLost = true;
        resolve(undefined);
      });
    });
    await Promise.all(servers.servers.map((server) => server.query('TRUNCATE item')));
    const rows = Array.from({ length: 30 }, (_, index) => `(${index + 1})`);
    await client.query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
    ids = [];
    for (const [shard] of servers.servers.entries()) {
      const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM item');
      ids.push(Number(row?.['id']));
    }
    await client.query(LOCK);
  });
  afterEach(async () => {
    if (!isLost) await client.end();
    await eventually('no lock is left', async () => {
      return (await servers.shard(0, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0;
    });
  });

  const increment = (shard: number): string => `UPDATE item SET n = n + 1 WHERE id = ${ids[shard]}`;
  const outcomeOf = (answer: Promise<pg.QueryResult>): Promise<string> =>
    answer.then(
      ({ command }) => command,
      (error: Error & { code?: string }) => error.code ?? 'lost',
    );

  it('with one server connection per shard, by itself and in transactions', async () => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      await client.query('UPDATE item SET n = n + 1');
      for (const shard of [2, 1, 0]) await client.query(increment(shard));
      await client.query('BEGIN');
      for (const shard of [2, 1, 0]) await client.query(increment(shard));
      await client.query(end);
    }
    const [row] = await servers.shard(2, `SELECT n FROM item WHERE id = ${ids[2]}`);
    assert.equal(row?.['n'], 5);
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: false }]);
  });

  it('a cancel of what another shard does, or of the wait for one', async () => {
    const active = eventually('it runs', async () => {
      const rows = await servers.shard(
        1,
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(9)%'",
      );
      return rows.length > 0;
    });
    const slept = outcomeOf(client.query(`SELECT pg_sleep(9) FROM item WHERE id = ${ids[1]}`));
    await active;
    await cancelClient(proxy, client);
    assert.equal(await slept, '57014');
    const other = await shopClient(proxy);
    await other.query('BEGIN');
    await other.query(increment(1));
    for (const _ of [1, 2]) {
      const waits = outcomeOf(client.query(increment(1)));
      await eventually('it waits', async () => {
        const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
        return pools.some(({ cl_waiting }) => Number(cl_waiting) > 0);
      });
      await cancelClient(proxy, client);
      assert.equal(await waits, '57014');
    }
    await other.query('ROLLBACK');
    await other.end();
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
  });

  for (const isInTransaction of [false, true]) {
    const where = isInTransaction ? 'in a transaction' : 'by itself';
    it(`the shard with the lock is lost while another is asked, ${where}: the client is told`, async () => {
      if (isInTransaction) await client.query('BEGIN');
      const stopped = servers.gates[1].stopAt(/^UPDATE/, 'before');
      const update = outcomeOf(client.query(increment(1)));
      await stopped;
      servers.gates[0].cut();
      servers.gates[1].release();
      await update;
      await lost;
    });

    it(`the shard with the lock is lost between two statements, ${where}: the client is told`, async () => {
      if (isInTransaction) await client.query('BEGIN');
      await client.query(increment(1));
      servers.gates[0].cut();
      await lost;
    });

    it(`another shard is lost, ${where}: the lock stays, or the client is told`, async () => {
      if (isInTransaction) await client.query('BEGIN');
      const stopped = servers.gates[1].stopAt(/^UPDATE/, 'before');
      const update = outcomeOf(client.query(increment(1)));
      await stopped;
      servers.gates[1].cut();
      assert.match(await update, /08/);
      if (isInTransaction) await client.query('ROLLBACK');
      assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
    });
  }

  it('a client that goes meanwhile gives it up', async () => {
    const other = await shopClient(proxy);
    const stopped = servers.gates[1].stopAt(/^UPDATE/, 'before');
    const update = outcomeOf(client.query(increment(1)));
    await stopped;
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    assert.equal(await update, 'lost');
    servers.gates[1].release();
    assert.deepEqual((await other.query(TRY)).rows, [{ has: true }]);
    assert.deepEqual((await other.query(UNLOCK)).rows, [{ had: true }]);
    await other.end();
  });
});
