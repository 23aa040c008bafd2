/** Advisory locks of a session, as migrators take them: on one shard for all clients, while others are asked. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { ACCOUNT_TABLES, ACCOUNTS, AccountShards } from '../../support/account-shards.js';
import { forEachDriver } from '../../support/drivers.js';
import { B, c, D, d, E, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair } from '../../support/raw-pair.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const LOCK = 'SELECT pg_advisory_lock(5)';
const TRY = 'SELECT pg_try_advisory_lock(5) AS has';
const UNLOCK = 'SELECT pg_advisory_unlock(5) AS had';
const UPDATE = 'UPDATE account SET balance = balance + 1 WHERE id = $1';
/** Kysely's. */
const LOCK_WITH_TIMEOUT =
  "with set_timeout as (select set_config('lock_timeout', '3600000', true) as config_val) select pg_advisory_lock(5) from set_timeout";

let shards: AccountShards;
before(async () => {
  shards = await AccountShards.start();
});
after(() => shards.stop());

forEachDriver('advisory locks of a session', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let other: pg.Client;
  let pair: RawPair;
  before(async () => {
    proxy = await startShardedProxy(shards.cluster, driver, {
      tables: ACCOUNT_TABLES,
      workers: 1,
      general: { default_pool_size: 2, min_pool_size: 0, checkout_timeout: 5_000 },
    });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    [client, other] = [await shopClient(proxy), await shopClient(proxy)];
    await shards.refill(client);
    for (let id = 1; id <= ACCOUNTS; id++)
      await shards.cluster.reference('INSERT INTO account VALUES ($1, 100)', [id]);
    pair = await RawPair.open(proxy, shards.cluster, true);
  });
  afterEach(async () => {
    pair.close();
    await Promise.all([client.end(), other.end()]);
    await eventually('no lock is left', async () => (await held()).length === 0);
  });

  /** Shards where a lock is held, past the proxy. */
  async function held(): Promise<unknown[]> {
    const rows = await shards.cluster.server.query<{ datname: string }>(
      `SELECT datname FROM pg_locks JOIN pg_database d ON d.oid = database
       WHERE locktype = 'advisory' AND datname LIKE 'shard%'`,
    );
    return rows.map(({ datname }) => datname);
  }

  const one = (text: string, ...values: number[]): Buffer =>
    Buffer.concat([P('', text), B('', '', { values: values.map(String) }), E('')]);
  const update = (id: number): string => UPDATE.replace('$1', String(id));

  async function same(...steps: Buffer[]): Promise<void> {
    for (const [index, step] of steps.entries()) await pair.same(`step ${index}`, step);
  }

  async function assertAlike(): Promise<void> {
    const ROWS = 'SELECT id::int, balance::int FROM account ORDER BY id';
    const rows = (await shards.cluster.all(ROWS)).sort((a, b) => Number(a['id']) - Number(b['id']));
    assert.deepEqual(rows, await shards.cluster.reference(ROWS));
    await shards.assertNothingPrepared();
  }

  it('beside one server: statements of each shard and of all, by themselves and in transactions', async () => {
    const all = 'UPDATE account SET balance = balance + 1';
    const sum = 'SELECT sum(balance) FROM account';
    await same(Q(LOCK), Q(LOCK), Q(all), Q(sum), Q(UNLOCK));
    for (const id of shards.ids) {
      await same(Q(update(id)), Buffer.concat([one(UPDATE, id), S()]), Q(TRY), Q(UNLOCK));
      await same(Q('BEGIN'), Q(update(id)), Q(sum), Q('SAVEPOINT s'), Q('SELECT 1/0'), Q('ROLLBACK TO s'));
      await same(Q(all), Q(TRY), Q(UNLOCK), Q('COMMIT'), Q(sum));
      await same(
        Q('BEGIN ISOLATION LEVEL REPEATABLE READ'),
        Q("SET LOCAL lock_timeout = '7s'"),
        Q(update(id)),
      );
      await same(
        Q('SHOW lock_timeout'),
        Q('SHOW transaction_isolation'),
        Q('ROLLBACK'),
        Q('SHOW lock_timeout'),
      );
      await same(Buffer.concat([one('BEGIN'), S()]), Buffer.concat([one(UPDATE, id), S()]), Q(all));
      await same(Buffer.concat([one('COMMIT'), S()]), Q(`UPDATE account SET balance = -1 WHERE id = ${id}`));
      await same(
        Buffer.concat([P('u', UPDATE), D('S', 'u'), H(), B('', 'u', { values: [String(id)] }), E(''), S()]),
      );
      await same(
        Q('DEALLOCATE u'),
        Q('BEGIN'),
        Q(`UPDATE account SET balance = -1 WHERE id = ${id}`),
        Q('COMMIT'),
      );
      await same(
        Q(shards.ids.map(update).join('; ')),
        Buffer.concat([Q('COPY account FROM STDIN'), d(`${id + 100}\t1\n`), c()]),
      );
      await same(
        Q('UPDATE account SET balance = balance - 1000'),
        Q('BEGIN'),
        Q('UPDATE account SET balance = -1'),
      );
      await same(Q('ROLLBACK'), Q(TRY), Q(UNLOCK));
      await same(Q(`COPY (SELECT * FROM account WHERE id = ${id}) TO STDOUT`));
      await same(Buffer.concat([...shards.ids.map((each) => one(UPDATE, each)), S()]));
    }
    await same(Q("SET work_mem = '5MB'"), Q(all), Q('SHOW work_mem'), Q('RESET ALL'), Q('SHOW work_mem'));
    await same(Q(UNLOCK), Q(UNLOCK), Q(sum));
    await assertAlike();
  });

  it('a lock with a time-out, ahead of definitions and rows in one transaction', async () => {
    const steps = [
      LOCK_WITH_TIMEOUT,
      'SHOW lock_timeout',
      'CREATE TABLE pet (id int)',
      ...shards.ids.map(update),
    ];
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await same(Q('BEGIN'), ...steps.map((step) => Q(step)), Q('SHOW lock_timeout'), Q(UNLOCK), Q(end));
      await same(Q('SHOW lock_timeout'), Q(TRY), Q(UNLOCK));
      await same(
        Q('BEGIN'),
        ...steps.slice(0, 2).map((step) => Buffer.concat([one(step), S()])),
        Q(end),
        Q(UNLOCK),
      );
    }
    await assertAlike();
    await client.query('DROP TABLE pet');
    await shards.cluster.reference('DROP TABLE pet');
  });

  it('nobody else has it, whatever its owner does on other shards, until it is given up', async () => {
    const [first, second, third] = shards.ids;
    const ends = [UNLOCK, 'SELECT pg_advisory_unlock_all()', 'DISCARD ALL'];
    for (const end of ends) {
      for (const text of [
        LOCK,
        update(second!),
        'BEGIN',
        update(third!),
        update(first!),
        'COMMIT',
        'BEGIN',
        'CREATE TABLE x ()',
        'ROLLBACK',
      ]) {
        await client.query(text);
        assert.deepEqual((await other.query(TRY)).rows, [{ has: false }], text);
        assert.deepEqual(await held(), ['shard_0'], text);
      }
      const shown = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS');
      assert.ok(shown.some((row) => Object.values(row).includes('advisory lock')));
      await client.query(end);
      assert.deepEqual((await other.query(TRY)).rows, [{ has: true }], end);
      assert.deepEqual((await other.query(UNLOCK)).rows, [{ had: true }]);
    }
    // Taken within a transaction over several shards, and kept.
    await client.query('BEGIN');
    for (const id of [third!, second!]) await client.query(update(id));
    await client.query(LOCK);
    await client.query('COMMIT');
    assert.deepEqual((await other.query(TRY)).rows, [{ has: false }]);
    await client.query(update(third!));
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
    assert.deepEqual((await other.query(TRY)).rows, [{ has: true }]);
  });

  it('MAINTENANCE holds what it asks of other shards, as what it asks of its own', async () => {
    await client.query(LOCK);
    for (const id of shards.ids) {
      await proxy.adminQuery('MAINTENANCE ON');
      let isDone = false;
      const updated = client.query(update(id)).then(() => {
        isDone = true;
      });
      await eventually('it is held', async () => {
        const rows = await proxy.adminQuery<{ cl_held: string }>('SHOW MAINTENANCE');
        return isDone || rows.some(({ cl_held }) => Number(cl_held) === 1);
      });
      assert.equal(isDone, false);
      await proxy.adminQuery('MAINTENANCE OFF');
      await updated;
    }
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
  });

  it('what cannot be asked of other shards meanwhile says so, and the lock stays', async () => {
    const [, second] = shards.ids;
    await client.query(LOCK);
    const refused = { code: '0A000', message: /which it keeps \(advisory lock\)/ };
    await assert.rejects(client.query(`BEGIN; ${update(second!)}; COMMIT`), refused);
    await client.query('LISTEN news');
    await assert.rejects(client.query(update(second!)), {
      message: /which it keeps \(advisory lock, listen\)/,
    });
    await client.query('UNLISTEN *');
    await client.query(update(second!));
    assert.deepEqual((await client.query(UNLOCK)).rows, [{ had: true }]);
  });
});
