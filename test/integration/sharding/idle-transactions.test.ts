/** Transactions over several shards and client_idle_in_transaction_timeout: idle is who does nothing on any of its shards. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { ACCOUNT_TABLES, AccountShards } from '../../support/account-shards.js';
import { forOneDriver } from '../../support/drivers.js';
import { unhurried } from '../../support/patience.js';
import type { TestProxy } from '../../support/proxy.js';
import { type ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually, sleep } from '../../support/wire.js';

/** Where the machine stood still, it has been idle. */
const ENDED = /25P03|idle in transaction|terminated|not queryable/;

let shards: AccountShards;
let cluster: ShardCluster;
before(async () => {
  shards = await AccountShards.start();
  ({ cluster } = shards);
});
after(() => shards.stop());

forOneDriver('transactions over several shards that stand idle', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: ACCOUNT_TABLES,
      workers: 1,
      general: {
        client_idle_in_transaction_timeout: 1_500,
        default_pool_size: 1,
        min_pool_size: 0,
        checkout_timeout: 60_000,
      },
    });
  });
  after(() => proxy.stop());

  const connect = async (): Promise<pg.Client> => {
    const client = await shopClient(proxy);
    client.on('error', () => undefined);
    return client;
  };
  const refill = async (client: pg.Client): Promise<number[]> => {
    await shards.refill(client);
    return shards.ids;
  };

  it('are ended, on all their shards', () =>
    unhurried(ENDED, async () => {
      const [client, other] = [await connect(), await connect()];
      const ids = await refill(client);
      const ended = new Promise<Error>((resolve) => other.on('error', resolve));
      await other.query('BEGIN');
      await other.query('UPDATE account SET balance = 0 WHERE id = $1', [ids[0]]);
      await other.query('UPDATE account SET balance = 0 WHERE id = $1', [ids[1]]);
      for (let i = 0; i < 5; i++) {
        await sleep(400);
        await other.query('SELECT balance FROM account WHERE id = $1', [ids[1]]);
      }
      assert.match((await ended).message, /idle in transaction/);
      await client.query('UPDATE account SET balance = balance + 5');
      assert.deepEqual(await shards.balances(), [105, 105, 105]);
      await client.end();
    }));

  it('are none while a statement runs, or waits, on another of their shards', () =>
    unhurried(ENDED, async () => {
      const [one, other] = [await connect(), await connect()];
      const long = (id: number): string => `SELECT pg_sleep(2) FROM account WHERE id = ${id}`;
      try {
        const ids = await refill(one);
        await one.query('BEGIN');
        await one.query('UPDATE account SET balance = balance + 1');
        await one.query(long(ids[1]));
        // Nor have they been for that long when it has been answered.
        await sleep(400);
        await one.query('COMMIT');
        await one.query('BEGIN');
        await one.query(long(ids[1]));
        await sleep(400);
        await one.query('COMMIT');
        await other.query('BEGIN');
        const held = other.query(long(ids[2]));
        await eventually('it runs', async () => {
          const running = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
          return (await cluster.server.query(running)).length === 1;
        });
        const waiting = one.query('UPDATE account SET balance = balance + 1');
        await eventually('it waits', async () => {
          const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
          return pools.reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0) === 1;
        });
        await held;
        await other.query('COMMIT');
        await waiting;
        assert.deepEqual(await shards.balances(), [102, 102, 102]);
      } finally {
        await Promise.all([one, other].map((client) => client.end().catch(() => undefined)));
      }
    }));
});
