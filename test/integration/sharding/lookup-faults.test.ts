/** Keys that are looked up, where something is against it: every statement ends, with the answer or an error. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, E, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { SHOP, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { clientOf, eventually, firstValue, sqlstateOf } from '../../support/wire.js';

const SCHEMA = `
  CREATE SCHEMA pgdog;
  CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE home (tenant text PRIMARY KEY, shard int NOT NULL);
  CREATE TABLE doc (tenant text, n int, PRIMARY KEY (tenant, n));
  CREATE TABLE slow (k text);
  CREATE TABLE lazy (k text);
  CREATE TABLE blank (k text);
  INSERT INTO home VALUES ('a', 0), ('b', 1), ('c', 2);`;

const lookedUp = (name: string, column: string, query: string): Record<string, string> => ({
  name,
  column,
  data_type: 'text',
  lookup_result: 'shard',
  lookup_query: query,
});
const TABLES = [
  lookedUp('doc', 'tenant', 'SELECT shard FROM public.home WHERE tenant = $1'),
  lookedUp('slow', 'k', 'SELECT 1 FROM pg_sleep(60) WHERE $1::text IS NOT NULL'),
  lookedUp(
    'lazy',
    'k',
    'SELECT shard FROM public.home WHERE tenant = CASE WHEN (SELECT count(*) FROM pg_sleep(0.01)) >= 0 THEN $1 END',
  ),
  lookedUp('blank', 'k', 'SELECT $1::text'),
];
const TIMEOUT_MS = 3_000;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('faults of keys that are looked up', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    // Not one answer is remembered longer than a statement needs it.
    const general = { sharding_lookup_cache_size: 0, sharding_lookup_timeout: TIMEOUT_MS };
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES, general });
    client = await shopClient(proxy);
    await cluster.everywhere('TRUNCATE doc');
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });
  const list = (count: number): string => Array.from({ length: count }, (_, n) => `'no ${n}'`).join();

  it('a key that is not UTF-8: as the servers say, or nothing is inserted', async () => {
    const raw = await clientOf(proxy, { database: SHOP });
    const bad = (sql: string): Buffer =>
      Buffer.concat([P('', sql), B('', '', { values: [Buffer.from([0x61, 0xff])] }), E(''), S()]);
    raw.send(bad('SELECT n FROM doc WHERE tenant = $1'));
    assert.equal(sqlstateOf(await raw.readUntilReady()), '22021');
    raw.send(bad('INSERT INTO doc VALUES ($1, 1)'));
    assert.equal(sqlstateOf(await raw.readUntilReady()), '0A000');
    assert.equal(await firstValue(raw, 'SELECT 7'), '7');
    await raw.end();
  });

  it('a key that only looks like UTF-8 is not looked up as another one', async () => {
    // U+FFFD itself is a text like any other.
    await assert.rejects(client.query("INSERT INTO doc VALUES ('\uFFFD', 1)"), /gives no shard/);
  });

  it('a transaction whose statement is cancelled while its key is looked up has failed', async () => {
    const raw = await clientOf(proxy, { database: SHOP });
    const simple = (sql: string): Buffer[] => [Q(sql)];
    const extended = (sql: string): Buffer[] => [P('', sql), B('', ''), E(''), S()];
    let count = 0;
    for (const begun of ["INSERT INTO doc VALUES ('a', 9)", "INSERT INTO doc VALUES ('a', 9), ('b', 9)"])
      for (const request of [simple, extended]) {
        await raw.query('BEGIN');
        assert.equal((await raw.query(begun)).error, null);
        // Another one each time: that its question fails below is remembered.
        raw.send(...request(`SELECT k FROM slow WHERE k = 'x${++count}'`));
        await eventually('it waits', async () => {
          const rows = await cluster.server.query(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
          );
          return rows.length > 0;
        });
        await raw.cancel();
        const answer = await raw.readUntilReady();
        assert.deepEqual([sqlstateOf(answer), answer.status], ['57014', 'E'], begun);
        assert.deepEqual((await raw.query('COMMIT')).tags, ['ROLLBACK']);
        await cluster.server.query(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        );
      }
    assert.deepEqual(await cluster.all('SELECT n FROM doc WHERE n = 9'), []);
    await raw.end();
  });

  it('a statement that is cancelled while its key is looked up is answered behind what its batch has asked before', async () => {
    const raw = await clientOf(proxy, { database: SHOP });
    raw.send(P('', 'SELECT 1'), B('', ''), E(''), H());
    await raw.readUntil('C');
    // Behind it in the same batch: the server has its Parse, and not its Bind.
    raw.send(P('', 'SELECT k FROM slow WHERE k = $1'), B('', '', { values: ['y'] }), E(''), S());
    await eventually('it waits', async () => {
      const rows = await cluster.server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
      return rows.length > 0;
    });
    await raw.cancel();
    const { frames, error } = await raw.readUntilReady();
    assert.equal(error?.['C'], '57014');
    assert.deepEqual(frames.map(({ type }) => type).join(''), '1EZ');
    await raw.expectSilence();
    await cluster.server.query(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    assert.deepEqual((await raw.query('SELECT 1')).rows, [['1']]);
    await raw.end();
  });

  it('several keys where nothing is remembered', async () => {
    await client.query("INSERT INTO doc VALUES ('a', 1), ('b', 2), ('c', 3)");
    const { rows } = await client.query("SELECT n FROM doc WHERE tenant IN ('a', 'b', 'c') ORDER BY n");
    assert.deepEqual(
      rows.map(({ n }) => n),
      [1, 2, 3],
    );
    for (const [tenant, n] of [
      ['a', 1],
      ['c', 3],
    ]) {
      assert.deepEqual((await client.query('SELECT n FROM doc WHERE tenant = $1', [tenant])).rows, [{ n }]);
    }
  });

  it('a list of more keys than are asked for at once fails at the first that is not answered in time', async () => {
    const before = performance.now();
    await assert.rejects(
      client.query(`SELECT * FROM slow WHERE k IN (${list(1_200)})`),
      /lookup_query has given no answer in 3000 ms/,
    );
    const tookMs = performance.now() - before;
    assert.ok(tookMs < 3 * TIMEOUT_MS, `${tookMs}`);
  });

  it('many keys without a shard, more slowly than that is believed', async () => {
    const { rows } = await client.query(`SELECT * FROM lazy WHERE k IN (${list(1_200)})`);
    assert.deepEqual(rows, []);
  });

  it('a text that is no number is no shard', async () => {
    for (const text of ['', ' ', '0x1', '1e0', '-0', ' 1']) {
      await assert.rejects(
        client.query('INSERT INTO blank VALUES ($1)', [text]),
        /lookup_query fails: gives ".*", and there are shards 0 to 2/,
        JSON.stringify(text),
      );
    }
    await client.query("INSERT INTO blank VALUES ('1')");
    assert.deepEqual(await cluster.shard(1, 'SELECT k FROM blank'), [{ k: '1' }]);
    await cluster.everywhere('TRUNCATE blank');
  });

  it('what waits for a lookup once more keeps no server connection, and none when it is cancelled', async () => {
    const small = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      workers: 1,
      general: {
        sharding_lookup_cache_size: 0,
        default_pool_size: 1,
        min_pool_size: 0,
        checkout_timeout: 5_000,
      },
    });
    const countOf = async (column: 'cl_waiting' | 'sv_active'): Promise<number> => {
      const pools = await small.adminQuery<Record<string, string>>('SHOW POOLS');
      return pools.reduce((sum, pool) => sum + Number(pool[column]), 0);
    };
    const read = "SELECT n FROM doc WHERE tenant = 'b'";
    try {
      const [holder, waiter, other] = await Promise.all(
        [1, 2, 3].map(() => clientOf(small, { database: SHOP })),
      );
      await holder.query('BEGIN');
      await holder.query(read);
      waiter.send(Q(read));
      await eventually('it waits for the server connection', async () => (await countOf('cl_waiting')) === 1);
      // When it comes, the key is not remembered any more, and nobody answers.
      await cluster.shard(0, 'BEGIN');
      await cluster.shard(0, 'LOCK TABLE home');
      await small.adminQuery('RELOAD');
      await holder.query('COMMIT');
      await eventually('nobody has a server connection', async () => {
        return (await countOf('cl_waiting')) + (await countOf('sv_active')) === 0;
      });
      await waiter.cancel();
      assert.equal(sqlstateOf(await waiter.readUntilReady()), '57014');
      await cluster.shard(0, 'COMMIT');
      // That question may have failed, and be remembered as such for a second.
      await eventually('the other is served', async () => sqlstateOf(await other.query(read)) === '');
      assert.equal(sqlstateOf(await waiter.query("SELECT n FROM doc WHERE tenant = 'a'")), '');
    } finally {
      await small.stop();
    }
  });
});
