/** Settings ahead of statements of other shards, and what stands behind the end of a transaction that has failed: as on one server. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { ACCOUNT_TABLES, ACCOUNTS, AccountShards } from '../../support/account-shards.js';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair } from '../../support/raw-pair.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';

let shards: AccountShards;
before(async () => {
  shards = await AccountShards.start();
});
after(() => shards.stop());

forEachDriver('beside one server', (driver) => {
  let proxy: TestProxy;
  let pair: RawPair;
  before(async () => {
    proxy = await startShardedProxy(shards.cluster, driver, { tables: ACCOUNT_TABLES });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    const client = await shopClient(proxy);
    await shards.refill(client);
    await client.end();
    for (let id = 1; id <= ACCOUNTS; id++)
      await shards.cluster.reference('INSERT INTO account VALUES ($1, 100)', [id]);
    pair = await RawPair.open(proxy, shards.cluster, true);
  });
  afterEach(() => pair.close());

  const one = (text: string, ...values: number[]): Buffer =>
    Buffer.concat([P('', text), B('', '', { values: values.map(String) }), E('')]);
  const UPDATE = 'UPDATE account SET balance = balance + 1 WHERE id = $1';
  const update = (id: number): string => UPDATE.replace('$1', String(id));
  // What has been set for a transaction is '' behind it on that server connection.
  const SHOWN = "SELECT current_setting('lock_timeout'), coalesce(current_setting('app.tenant', true), '')";
  const SETTINGS = ["SET LOCAL lock_timeout = '7s'", "SET LOCAL app.tenant = 'x'"] as const;

  async function assertAlike(): Promise<void> {
    const ROWS = 'SELECT id::int, balance::int FROM account ORDER BY id';
    const rows = (await shards.cluster.all(ROWS)).sort((a, b) => Number(a['id']) - Number(b['id']));
    assert.deepEqual(rows, await shards.cluster.reference(ROWS));
    await shards.assertNothingPrepared();
  }

  /** Each step is sent at once and answered up to ReadyForQuery. */
  async function same(...steps: Buffer[]): Promise<void> {
    for (const [index, step] of steps.entries()) await pair.same(`step ${index}`, step);
  }

  it('settings and savepoints ahead of statements of each shard, in both protocols', async () => {
    for (const id of shards.ids) {
      const [first, second] = SETTINGS;
      await same(Q('BEGIN'), Q(first), Q('SAVEPOINT s'), Q(second), Q(update(id)), Q(SHOWN));
      await same(Q('ROLLBACK TO s'), Q(SHOWN), Q(update(id)), Q('RELEASE s'), Q('COMMIT'), Q(SHOWN));
      await same(Q('BEGIN'), Q('SAVEPOINT a'), Q(first), Q('SAVEPOINT b'), Q(second), Q('RELEASE b'));
      await same(Q('ROLLBACK TO a'), Q(second), Q(update(id)), Q(SHOWN), Q('ROLLBACK TO b'), Q('ROLLBACK'));
      await same(Q('BEGIN'), Q(`${first}; SAVEPOINT s`), Q(`${second}; ROLLBACK TO s; RELEASE s`));
      await same(Q(`${update(id)}; ${SHOWN}`), Q('ROLLBACK'), Q(SHOWN));
      // As JDBC begins, and as asyncpg prepares.
      await same(Buffer.concat([one('BEGIN'), one(first), S()]), Buffer.concat([one(second), S()]));
      await same(Buffer.concat([one(UPDATE, id), S()]), Buffer.concat([one(SHOWN), one('COMMIT'), S()]));
      await same(Q('BEGIN'), Buffer.concat([one(first), S()]));
      await same(
        Buffer.concat([P('u', UPDATE), D('S', 'u'), H(), B('', 'u', { values: [String(id)] }), E(''), S()]),
      );
      await same(Buffer.concat([one(SHOWN), S()]), Q('COMMIT'), Q('DEALLOCATE u'));
      // As asyncpg and pgx bind.
      for (const valueFormats of [[0], [1]]) {
        for (const isLocal of valueFormats[0] === 0 ? ['t', 'on'] : [Buffer.from([1])]) {
          const values = ['app.tenant', 'ä', isLocal];
          const call = [
            P('', 'SELECT set_config($1, $2, $3)'),
            B('', '', { values, valueFormats }),
            E(''),
            S(),
          ];
          await same(Q('BEGIN'), Buffer.concat(call), Q(update(id)), Q(SHOWN), Q('ROLLBACK'), Q(SHOWN));
        }
      }
      await same(Q('BEGIN'), Q("SELECT set_config('app.tenant', 'x', true)"), Q('SAVEPOINT s'));
      await same(Q("SELECT set_config('app.tenant', '', true)"), Q(update(id)), Q(SHOWN), Q('ROLLBACK TO s'));
      await same(Q(SHOWN), Q('COMMIT'));
    }
    await assertAlike();
  });

  it('settings ahead of statements of several shards, in both protocols', async () => {
    const { ids } = shards;
    const all = 'UPDATE account SET balance = balance + 1';
    for (const end of ['COMMIT', 'ROLLBACK']) {
      for (const setting of SETTINGS) {
        await same(Q('BEGIN'), Q(setting), Q(all), Q(end), Q(SHOWN));
        await same(Q('BEGIN'), Buffer.concat([one(setting), S()]), Buffer.concat([one(all), S()]), Q(end));
        await same(Q('BEGIN'), Q(setting), Q(ids.map(update).join('; ')), Q(end), Q(SHOWN));
        await same(Q('BEGIN'), Q(setting));
        await same(Buffer.concat([...ids.map((id) => one(UPDATE, id)), one(SHOWN), S()]), Q(end), Q(SHOWN));
        await same(
          Q('BEGIN'),
          Buffer.concat([one(setting), ...ids.map((id) => one(UPDATE, id)), S()]),
          Q(end),
        );
      }
    }
    await assertAlike();
  });

  it('an error behind settings, wherever it is, and back to a savepoint', async () => {
    for (const id of shards.ids) {
      const wrong = `UPDATE account SET balance = -1 WHERE id = ${id}`;
      await same(Q('BEGIN'), Q(SETTINGS[0]), Q('SAVEPOINT s'), Q(wrong), Q('SELECT 1'), Q('ROLLBACK TO s'));
      await same(Q(update(id)), Q(SHOWN), Q('COMMIT'));
      await same(Q('BEGIN'), Q(SETTINGS[0]), Q('SAVEPOINT s'), Q("SET LOCAL lock_timeout = 'x'"));
      await same(Q('SELECT 1'), Q('ROLLBACK TO t'), Q('ROLLBACK TO s'), Q(update(id)), Q(SHOWN), Q('COMMIT'));
      await same(Q('BEGIN'), Q(SETTINGS[0]), Q(wrong), Q('COMMIT'), Q(SHOWN));
    }
    await assertAlike();
  });

  it('what stands behind ROLLBACK TO, or the end of it, in the same request is done on its own shard or not at all', async () => {
    const [home = 0] = shards.ids;
    for (const id of shards.ids) {
      for (const end of ['ROLLBACK TO s', 'ROLLBACK', 'COMMIT', 'ROLLBACK AND CHAIN']) {
        for (const request of [Q(`${end}; ${update(id)}`), Buffer.concat([one(end), one(UPDATE, id), S()])]) {
          await same(Q('BEGIN'), Q(update(home)), Q('SAVEPOINT s'), Q('SELECT 1/0'));
          pair.ours.send(request);
          const { error, tags } = await pair.ours.readUntilReady();
          if (id === home) {
            assert.equal(error, null);
            await pair.theirs.query(`${end}; ${update(id)}`);
            await same(Q('COMMIT'));
          } else {
            assert.equal(error?.['C'], '0A000', tags.join());
            assert.match(error?.['H'] ?? '', /by itself/);
            for (const client of [pair.ours, pair.theirs]) await client.query('ROLLBACK');
          }
        }
      }
    }
    await assertAlike();
  });

  it('what was written behind ROLLBACK TO is committed with the rest', async () => {
    const [home = 0, other = 0] = shards.ids;
    await same(
      Q('BEGIN'),
      Q('SELECT 1'),
      Q(`SELECT balance FROM account WHERE id = ${home}`),
      Q('SAVEPOINT s'),
    );
    await same(Q('SELECT 1/0'), Q(`ROLLBACK TO s; ${update(home)}`), Q(update(other)));
    await same(Q('COMMIT'));
    await assertAlike();
    const [decided] = await shards.cluster.all(
      'SELECT count(*)::int AS n FROM pgdog.transactions WHERE id > 0',
    );
    assert.ok(decided !== undefined);
    const rows = await shards.cluster.all('SELECT 1 FROM pgdog.transactions WHERE id > 0');
    assert.equal(rows.length, 1, 'it has been committed in two phases');
  });
});
