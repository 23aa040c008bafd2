/** A reload takes shards away, or adds some, while clients are busy: they are told so, and everybody else is served. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { Q } from '../../support/frames.js';
import type { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { toToml } from '../../support/toml-text.js';
import { clientOf, eventually } from '../../support/wire.js';

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({
    shardCount: 3,
    schema: `CREATE TABLE item (id bigint PRIMARY KEY); ${PGDOG_SCHEMA}`,
  });
});
after(() => cluster.stop());

forEachDriver('fewer shards by RELOAD', (driver) => {
  const cases = [
    { sql: 'SELECT id FROM item', held: 1, general: {} },
    { sql: '/* pgdog_shard: 1 */ SELECT id FROM item', held: 1, general: {} },
    // On its way there.
    { sql: 'SELECT id FROM item', held: 0, general: {} },
    { sql: 'DELETE FROM item', held: 0, general: {} },
    { sql: 'DELETE FROM item', held: 0, general: { max_user_connections: 3 } },
  ];
  for (const { sql, held, general } of cases)
    it(`whoever waits for one that is gone: ${sql}, behind shard ${held} ${Object.keys(general)}`, async () => {
      const proxy = await startShardedProxy({ entries: cluster.entries.slice(0, 2) }, driver, {
        tables: [{ name: 'item', column: 'id' }],
        workers: 1,
        general: {
          ...{ default_pool_size: 1, min_pool_size: 0, checkout_timeout: 60_000, config_watch: false },
          ...general,
        },
      });
      try {
        const [holder, waiter] = [await shopClient(proxy), await shopClient(proxy)];
        for (const client of [holder, waiter]) client.on('error', () => undefined);
        await holder.query('BEGIN');
        await holder.query(`/* pgdog_shard: ${held} */ SELECT id FROM item`);
        const told = assert.rejects(waiter.query(sql), {
          message: /has another number of shards now|has 127.0.0.1:\d+ no more/,
        });
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
        // Its transaction was to come to its end.
        if (held === 0) await holder.query('COMMIT');
        await told;
        const next = await shopClient(proxy);
        await next.query('SELECT id FROM item');
        await next.end();
        if (held !== 0) await holder.query('COMMIT');
      } finally {
        await proxy.stop();
      }
    });
});

const KEYS = Array.from({ length: 40 }, (_, index) => index + 1);
const TRANSACTIONS = {
  'over several shards': ['BEGIN', 'SELECT count(*) FROM item'],
  'on one shard': ['BEGIN', 'SELECT id FROM item WHERE id = 1'],
  'that ends': ['BEGIN', 'SELECT id FROM item WHERE id = 1'],
  'that has asked nothing': ['BEGIN'],
};
const MANY = `SELECT id FROM item WHERE id IN (${KEYS})`;

forEachDriver('another shard by RELOAD', (driver) => {
  it('clients in transactions ask no shard that they do not know', async () => {
    const proxy = await startShardedProxy({ entries: cluster.entries.slice(0, 2) }, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: { default_pool_size: 4, min_pool_size: 0, config_watch: false },
    });
    try {
      const clients = new Map<string, RawClient>();
      for (const [what, begin] of Object.entries(TRANSACTIONS)) {
        const client = await clientOf(proxy, { database: SHOP });
        for (const sql of begin) assert.equal((await client.query(sql)).error, null);
        clients.set(what, client);
      }
      const path = join(proxy.directory, 'pgdog.toml');
      const more = toToml({}, { databases: cluster.entries.slice(2) });
      writeFileSync(path, `${readFileSync(path, 'utf8')}\n${more}`);
      await proxy.adminQuery('RELOAD');
      // The catalog is known by the new rules.
      const other = await shopClient(proxy);
      await other.query(MANY);
      const ending = clients.get('that ends') as RawClient;
      assert.deepEqual((await ending.query('COMMIT')).tags, ['COMMIT']);
      clients.delete('that ends');
      for (const [what, client] of clients) {
        client.send(Q(MANY));
        const { error } = await client.readUntilReady().catch(() => ({ error: { C: 'closed' } }));
        // Of this one nothing was under way: the reload itself has ended it.
        if (error?.['C'] === 'closed' && what === 'that has asked nothing') continue;
        assert.equal(error?.['C'], '0A000', what);
        // In one write: nobody looks at the client in between.
        client.send(Q('ROLLBACK'), ...KEYS.map((key) => Q(`SELECT id FROM item WHERE id = ${key}`)));
        assert.equal((await client.expectClosed()).error?.['C'], '57P01', what);
      }
      await other.query(MANY);
      await other.end();
      const workers = await proxy.adminQuery<{ restarts: string }>('SHOW WORKERS');
      assert.equal(Number(workers[0]?.restarts), 0);
    } finally {
      await proxy.stop();
    }
  });
});
