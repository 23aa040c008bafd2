/**
 * A sharded database whose shards have replicas: a session sees what it has written, on each of its shards, though no replica
 * has replayed it; what it has not written may be read from a replica.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../support/drivers.js';
import { c, d, Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { PGDOG_SCHEMA, SHOP, shopClient, startShardedProxy } from '../support/shard-cluster.js';
import { eventually, firstValue } from '../support/wire.js';

const SHARDS = ['shard_0', 'shard_1'];
const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL);
  CREATE TABLE label (id int PRIMARY KEY, name text NOT NULL);`;
const LOGIN = { user: 'postgres', password: 'postgres', timeoutMs: 30_000 };
const QUICK = {
  min_pool_size: 0,
  lsn_check_delay: 0,
  lsn_check_interval: 50,
  ban_replica_lag: 3_600_000,
  read_write_split: 'exclude_primary',
};

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    standbyCount: 1,
    settings: { max_prepared_transactions: '20' },
  });
  for (const shard of SHARDS) {
    await cluster.primary.query(`CREATE DATABASE ${shard}`);
    const { host, port } = cluster.primary.server;
    const client = new pg.Client({ host, port, user: 'postgres', password: 'postgres', database: shard });
    await client.connect();
    await client.query(SCHEMA);
    await client.end();
  }
  await cluster.untilCaughtUp();
});
after(() => cluster.stop());

forEachDriver('a session of shards with replicas', (driver) => {
  for (const mode of ['session', 'lsn']) {
    let proxy: TestProxy;
    let client: pg.Client;
    let stranger: pg.Client;
    /** Of rows on each shard. */
    let keys: [number, number];

    const start = async (): Promise<void> => {
      const entries = SHARDS.flatMap((database_name, shard) =>
        cluster.hosts.map(({ server: { host, port } }, index) => {
          const role = index === 0 ? 'primary' : 'replica';
          return { name: SHOP, host, port, shard, database_name, role };
        }),
      );
      proxy = await startShardedProxy({ entries }, driver, {
        tables: [{ name: 'item', column: 'id', data_type: 'bigint' }],
        general: { ...QUICK, read_your_writes: mode, read_your_writes_ms: 3_600_000 },
      });
      client = await shopClient(proxy);
      await client.query('DELETE FROM item');
      await client.query('DELETE FROM label');
      for (let id = 1; id <= 20; id++) await client.query('INSERT INTO item VALUES ($1, 0)', [id]);
      await client.query("INSERT INTO label VALUES (1, 'old')");
      const shardOf = async (id: number): Promise<string> => {
        const { rows } = await client.query('SELECT current_database() AS name FROM item WHERE id = $1', [
          id,
        ]);
        return rows[0].name;
      };
      const first = await shardOf(1);
      let other = 2;
      while ((await shardOf(other)) === first) other++;
      keys = [1, other];
      await cluster.untilCaughtUp();
      await client.end();
      client = await shopClient(proxy);
      stranger = await shopClient(proxy);
    };
    const whereOf = async (by: pg.Client, id: number): Promise<string> => {
      const { rows } = await by.query(
        "SELECT current_setting('cluster_name') AS name FROM item WHERE id = $1",
        [id],
      );
      return rows[0].name;
    };
    const countOf = async (by: pg.Client, id: number): Promise<number> =>
      (await by.query('SELECT n FROM item WHERE id = $1', [id])).rows[0].n;
    const sumOf = async (by: pg.Client): Promise<number> =>
      Number((await by.query('SELECT sum(n) AS sum FROM item')).rows[0].sum);
    const values = async (by: pg.Client): Promise<number[]> =>
      (await by.query('SELECT n FROM item ORDER BY id')).rows.map(({ n }) => n);

    it(`read_your_writes = "${mode}": on the shards that it has written to, and on no others`, async () => {
      await start();
      try {
        // What comes before the catalogs are read may write, for all that is known: its session is owed its writes.
        await eventually('reads go to the standby', async () => {
          const places: string[] = [];
          for (const fresh of [client, stranger]) await fresh.end();
          client = await shopClient(proxy);
          stranger = await shopClient(proxy);
          for (const by of [client, stranger]) for (const id of keys) places.push(await whereOf(by, id));
          return places.every((name) => name === 'standby1');
        });
        await cluster.standbys[0].pauseReplay();
        const [here, there] = keys;
        await client.query('UPDATE item SET n = 5 WHERE id = $1', [here]);
        assert.equal(await countOf(client, here), 5);
        assert.equal(await whereOf(client, here), 'primary');
        assert.equal(await whereOf(client, there), 'standby1', 'the other shard is not written to');
        assert.equal(await sumOf(client), 5, 'of all shards');
        assert.deepEqual([...new Set(await values(client))].sort(), [0, 5]);
        assert.equal(await countOf(stranger, here), 0, 'nobody else is owed anything');
        // Over several shards, in a transaction and by one statement.
        await client.query('BEGIN');
        await client.query('UPDATE item SET n = 10 WHERE id = $1', [here]);
        await client.query('UPDATE item SET n = 10 WHERE id = $1', [there]);
        await client.query('COMMIT');
        assert.equal(await countOf(client, there), 10);
        assert.equal(await whereOf(client, there), 'primary');
        assert.equal(await sumOf(client), 20);
        const writer = await shopClient(proxy);
        await writer.query('UPDATE item SET n = n + 1');
        assert.equal(await countOf(writer, here), 11);
        assert.equal(await sumOf(writer), 40);
        // Copies of whole tables, and COPY.
        await writer.query("UPDATE label SET name = 'new'");
        for (let i = 0; i < 4; i++) {
          const reader =
            i % 2 === 0 ? 'SELECT name FROM label' : 'SELECT l.name FROM label l JOIN item i ON i.id = $1';
          const { rows } = await writer.query(reader, i % 2 === 0 ? [] : [i === 1 ? here : there]);
          assert.equal(rows[0].name, 'new');
        }
        await writer.end();
        const copier = await RawClient.connect({ ...LOGIN, port: proxy.port, database: SHOP });
        const lines = Array.from({ length: 50 }, (_, i) => `${1000 + i}\t1\n`).join('');
        copier.send(Q('COPY item FROM STDIN'), d(lines), c());
        assert.equal((await copier.readUntilReady()).error, null);
        assert.equal(await firstValue(copier, 'SELECT sum(n) FROM item'), '90');
        copier.destroy();
        assert.equal(await sumOf(stranger), 0);
      } finally {
        await cluster.standbys[0].resumeReplay();
        await client.end();
        await stranger.end();
        await proxy.stop();
      }
    });
  }
});
