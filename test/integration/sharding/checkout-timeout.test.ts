/** checkout_timeout is of what a client asks, however many shards it waits for one after the other. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { forOneDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);
  ${PGDOG_SCHEMA}`;
const LIMIT_MS = 1500;
/** Time-outs are looked for every 50 ms, and the machine may be busy. */
const LATE_MS = 700;
const COUNT = 'SELECT count(*)::int AS count FROM item';
const WRITE = 'UPDATE item SET n = n + 1';

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forOneDriver('waits for several shards', (driver) => {
  for (const limit of [{}, { max_db_connections: 3 }]) {
    const name = Object.keys(limit)[0] ?? 'pools of one';
    /** A row of each shard, whoever holds it, and who waits. */
    let ids: number[];
    let proxy: TestProxy;
    let holders: pg.Client[];
    let asker: pg.Client;

    const start = async (): Promise<void> => {
      proxy = await startShardedProxy(cluster, driver, {
        tables: [{ name: 'item', column: 'id', data_type: 'bigint' }],
        workers: 1,
        general: { default_pool_size: 1, min_pool_size: 0, checkout_timeout: LIMIT_MS, ...limit },
      });
      [asker, ...holders] = await Promise.all([0, 1, 2, 3].map(() => shopClient(proxy)));
      await asker.query('TRUNCATE item');
      await asker.query(`INSERT INTO item (id) VALUES ${Array.from({ length: 30 }, (_, i) => `(${i + 1})`)}`);
      ids = [];
      for (let shard = 0; shard < cluster.shardCount; shard++) {
        const [row] = await cluster.shard(shard, 'SELECT min(id)::int AS id FROM item');
        ids.push(Number(row?.id));
      }
    };
    const stop = async (): Promise<void> => {
      await Promise.all([asker, ...holders].map((client) => client.end()));
      await proxy.stop();
    };
    /** Each shard is held by a transaction for so long. */
    const hold = async (...timesMs: number[]): Promise<Promise<unknown>[]> => {
      for (const [shard] of timesMs.entries()) {
        await holders[shard].query('BEGIN');
        await holders[shard].query('SELECT n FROM item WHERE id = $1', [ids[shard]]);
      }
      return timesMs.map((ms, shard) => sleep(ms).then(() => holders[shard].query('COMMIT')));
    };
    const ask = async (sql: string): Promise<{ code: string; ms: number }> => {
      const sinceMs = performance.now();
      const code = await asker.query(sql).then(
        () => '',
        (error: { code?: string }) => String(error.code),
      );
      return { code, ms: performance.now() - sinceMs };
    };

    it(`together they are no longer than one may be: ${name}`, async () => {
      await start();
      for (const sql of [COUNT, WRITE]) {
        const held = await hold(LIMIT_MS * 0.7, LIMIT_MS * 1.4, LIMIT_MS * 2.1);
        const { code, ms } = await ask(sql);
        assert.equal(code, '58000', `${sql}: ${ms}`);
        assert.ok(ms >= LIMIT_MS - 100 && ms < LIMIT_MS + LATE_MS, `${sql}: ${ms}`);
        await Promise.all(held);
        assert.equal((await ask(sql)).code, '', 'nothing is left of it');
      }
      await stop();
    });

    it(`short ones are waited for, and each request has its own limit: ${name}`, async () => {
      await start();
      const held = await hold(LIMIT_MS * 0.2, LIMIT_MS * 0.4, LIMIT_MS * 0.6);
      assert.equal((await ask(COUNT)).code, '');
      await Promise.all(held);
      await asker.query('BEGIN');
      for (const [shard, id] of ids.entries()) {
        await holders[shard].query('BEGIN');
        await holders[shard].query('SELECT n FROM item WHERE id = $1', [id]);
        const free = sleep(LIMIT_MS * 0.6).then(() => holders[shard].query('COMMIT'));
        assert.equal((await ask(`SELECT n FROM item WHERE id = ${id}`)).code, '', `shard ${shard}`);
        await free;
      }
      await asker.query('COMMIT');
      await stop();
    });
  }
});
