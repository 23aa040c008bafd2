/** A reload takes shards away that clients wait for: they are told so, and everybody else is served. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ shardCount: 2, schema: 'CREATE TABLE item (id bigint PRIMARY KEY)' });
});
after(() => cluster.stop());

forEachDriver('fewer shards by RELOAD', (driver) => {
  for (const sql of ['SELECT id FROM item', '/* pgdog_shard: 1 */ SELECT id FROM item'])
    it(`whoever waits for one that is gone: ${sql}`, async () => {
      const proxy = await startShardedProxy(cluster, driver, {
        tables: [{ name: 'item', column: 'id' }],
        workers: 1,
        general: { default_pool_size: 1, min_pool_size: 0, checkout_timeout: 60_000, config_watch: false },
      });
      try {
        const [holder, waiter] = [await shopClient(proxy), await shopClient(proxy)];
        for (const client of [holder, waiter]) client.on('error', () => undefined);
        await holder.query('BEGIN');
        await holder.query('/* pgdog_shard: 1 */ SELECT id FROM item');
        const told = assert.rejects(waiter.query(sql), { message: /has another number of shards now/ });
        await eventually('it waits', async () => {
          const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
          return pools.some(({ cl_waiting }) => Number(cl_waiting) > 0);
        });
        const path = join(proxy.directory, 'pgdog.toml');
        const [head = '', ...entries] = readFileSync(path, 'utf8').split('[[databases]]');
        const kept = entries.filter((entry) => !entry.includes('shard = 1'));
        assert.equal(kept.length, entries.length - 1);
        writeFileSync(path, [head, ...kept].join('[[databases]]'));
        await proxy.adminQuery('RELOAD');
        await told;
        const next = await shopClient(proxy);
        await next.query('SELECT id FROM item');
        await next.end();
        // Its transaction was to come to its end.
        await holder.query('COMMIT');
      } finally {
        await proxy.stop();
      }
    });
});
