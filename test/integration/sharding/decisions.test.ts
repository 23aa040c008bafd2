/** Who decides over a commit on several shards, and what it has noted. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { ACCOUNT_TABLES, AccountShards } from '../../support/account-shards.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { type ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

let shards: AccountShards;
let cluster: ShardCluster;
before(async () => {
  shards = await AccountShards.start();
  ({ cluster } = shards);
});
after(() => shards.stop());

forEachDriver('decisions of a commit', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  /** One account of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: ACCOUNT_TABLES });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    await shards.refill(client);
    ({ ids } = shards);
  });

  it('without setup a commit over several shards is refused with the remedy, and nothing is written', async () => {
    await cluster.everywhere('ALTER TABLE pgdog.transactions RENAME TO elsewhere');
    try {
      await client.query('BEGIN');
      await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[1]]);
      await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[0]]);
      await assert.rejects(client.query('COMMIT'), /pgdog.transactions/);
      await assert.rejects(
        client.query('UPDATE account SET balance = 1'),
        (error: Error & { hint?: string }) => {
          assert.match(error.message, /pgdog.transactions/);
          assert.match(error.hint ?? '', /setup/);
          return true;
        },
      );
      assert.deepEqual(await shards.balances(), [100, 100, 100]);
    } finally {
      await cluster.everywhere('ALTER TABLE pgdog.elsewhere RENAME TO transactions');
    }
  });

  it('the lowest shard that was written to decides, and has noted it', async () => {
    const set = (shard: number, to: number) =>
      client.query('UPDATE account SET balance = $2 WHERE id = $1', [ids[shard], to]);
    const notes = async (): Promise<number[]> => {
      const found: number[] = [];
      for (let shard = 0; shard < cluster.shardCount; shard++) {
        const [row] = await cluster.shard(shard, 'SELECT count(*)::int AS n FROM pgdog.transactions');
        if ((row?.n as number) > 0) found.push(shard);
      }
      return found;
    };
    const scripts: [string, (number | string)[], number[]][] = [
      ['the lowest that is written to', [2, 1], [1]],
      ['whoever joins first', ['read 0', 2, 1], [1]],
      [
        'one that has nothing any more, since it may not be known',
        [2, 'SAVEPOINT a', 1, 'ROLLBACK TO a'],
        [1],
      ],
      ['one that joined later', [2, 1, 'SAVEPOINT a', 0, 'RELEASE a'], [0]],
    ];
    for (const [name, steps, expected] of scripts) {
      await cluster.everywhere('TRUNCATE pgdog.transactions; UPDATE account SET balance = 100');
      const wanted = [100, 100, 100];
      let kept = [...wanted];
      await client.query('BEGIN');
      for (const step of steps) {
        if (typeof step === 'number') {
          await set(step, 7);
          wanted[step] = 7;
        } else if (step.startsWith('read')) {
          await client.query('SELECT balance FROM account WHERE id = $1', [ids[Number(step.slice(5))]]);
        } else {
          await client.query(step);
          if (step === 'SAVEPOINT a' || step === 'SAVEPOINT b')
            kept = step === 'SAVEPOINT a' ? [...wanted] : kept;
          if (step === 'ROLLBACK TO a') wanted.splice(0, 3, ...kept);
        }
      }
      await client.query('COMMIT');
      assert.deepEqual(await shards.balances(), wanted, name);
      assert.deepEqual(await notes(), expected, name);
    }
    await shards.assertNothingPrepared();
  });

  it('what a transaction began with is nothing to the next statement', async () => {
    const spread = async (begin: string): Promise<void> => {
      await client.query(begin);
      for (const shard of [0, 1])
        await client.query('SELECT balance FROM account WHERE id = $1', [ids[shard]]);
      await client.query('COMMIT');
    };
    await spread('BEGIN READ ONLY');
    // One shard refuses at its COMMIT: nothing of it may be left on the others.
    await cluster.shard(
      2,
      `
      CREATE TABLE twice (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
      CREATE FUNCTION note_twice() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO twice VALUES (1), (1); RETURN NEW; END$$;
      CREATE TRIGGER late AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION note_twice();`,
    );
    try {
      await assert.rejects(client.query('UPDATE account SET balance = balance + 1'), { code: '23505' });
      assert.deepEqual(await shards.balances(), [100, 100, 100]);
      await shards.assertNothingPrepared();
    } finally {
      await cluster.shard(2, 'DROP TABLE twice; DROP FUNCTION note_twice() CASCADE');
    }
  });

  it('NOTIFY in it: its shard decides, for what was notified cannot be prepared', async () => {
    const write = (shard: number) =>
      client.query('UPDATE account SET balance = 7 WHERE id = $1', [ids[shard]]);
    const scripts: (number | string)[][] = [
      ['NOTIFY news', 1],
      [0, 1, "NOTIFY news, 'x'"],
      [1, 0, "SELECT pg_notify('news', 'y')"],
      [1, 2, 'NOTIFY news', 0],
      [2, '/* pgdog_shard: 1 */ NOTIFY news', 0],
    ];
    for (const script of scripts) {
      await cluster.everywhere('UPDATE account SET balance = 100');
      await client.query('BEGIN');
      for (const step of script) await (typeof step === 'number' ? write(step) : client.query(step));
      assert.equal((await client.query('COMMIT')).command, 'COMMIT', script.join());
      const wanted = [0, 1, 2].map((shard) => (script.includes(shard) ? 7 : 100));
      assert.deepEqual(await shards.balances(), wanted, script.join());
      await shards.assertNothingPrepared();
    }
  });

  it('users that are read_only lock tables on several shards, and commit', async () => {
    const fresh = await startShardedProxy(cluster, driver, {
      tables: ACCOUNT_TABLES,
      users: [{ name: 'postgres', password: 'postgres', database: 'shop', read_only: true }],
    });
    const own = await shopClient(fresh);
    try {
      await own.query('BEGIN');
      await own.query('LOCK TABLE account IN ACCESS SHARE MODE');
      await own.query('SELECT count(*) FROM account');
      assert.equal((await own.query('COMMIT')).command, 'COMMIT');
      await assert.rejects(own.query('UPDATE account SET balance = 1'), { code: '25006', message: /UPDATE/ });
    } finally {
      await own.end();
      await fresh.stop();
    }
  });

  it('READ ONLY: functions that may write note nothing', async () => {
    await cluster.everywhere(
      "CREATE FUNCTION maybe(n bigint) RETURNS bigint VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN n; END'",
    );
    const fresh = await startShardedProxy(cluster, driver, { tables: ACCOUNT_TABLES });
    const own = await shopClient(fresh);
    try {
      await own.query('BEGIN READ ONLY');
      for (const shard of [0, 1, 2])
        await own.query(`/* pgdog_shard: ${shard} */ SELECT maybe(balance) FROM account`);
      assert.equal((await own.query('COMMIT')).command, 'COMMIT');
      assert.deepEqual(await cluster.all('SELECT 1 FROM pgdog.transactions'), []);
    } finally {
      await own.end();
      await fresh.stop();
      await cluster.everywhere('DROP FUNCTION maybe(bigint)');
    }
  });
});
