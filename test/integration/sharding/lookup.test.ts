/** Keys whose shard only a query knows: looked up once, remembered, and never guessed. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { decisionsOn, forEachDriver } from '../../support/drivers.js';
import { Q } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { clientOf, eventually, firstValue, sqlstateOf } from '../../support/wire.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE home (tenant text PRIMARY KEY, shard int NOT NULL);
  CREATE TABLE owner (thing uuid PRIMARY KEY, customer bigint NOT NULL);
  CREATE TABLE doc (tenant text, n int, PRIMARY KEY (tenant, n));
  CREATE TABLE note (tenant text, about int, PRIMARY KEY (tenant, about));
  CREATE TABLE thing (id uuid PRIMARY KEY, label text);
  CREATE TABLE customer (id bigint PRIMARY KEY);
  CREATE TABLE broken (k bigint);
  CREATE TABLE slow (k text);
  CREATE TABLE hash_int8 (k int8) PARTITION BY HASH (k);
  INSERT INTO home VALUES ('a', 0), ('b', 1), ('c', 2), ('d', 1), ('much', 9), ('it''s', 2), ('ü', 1);`;

const BY_HOME = { column: 'tenant', data_type: 'text', lookup_result: 'shard' };
const HOME = 'SELECT shard FROM public.home WHERE tenant = $1';
const TABLES = [
  { name: 'doc', ...BY_HOME, lookup_query: HOME },
  { name: 'note', ...BY_HOME, lookup_query: HOME },
  {
    name: 'thing',
    column: 'id',
    data_type: 'uuid',
    lookup_query: 'SELECT customer FROM public.owner WHERE thing = $1',
  },
  { name: 'customer', column: 'id', data_type: 'bigint' },
  {
    name: 'broken',
    column: 'k',
    data_type: 'bigint',
    lookup_query: 'SELECT 1 / ($1::bigint - 7)',
    lookup_result: 'shard',
  },
  {
    name: 'slow',
    column: 'k',
    data_type: 'text',
    lookup_query: 'SELECT 1 FROM pg_sleep(60) WHERE $1::text IS NOT NULL',
  },
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('keys that are looked up', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      general: { sharding_lookup_timeout: 60_000 },
    });
    client = await shopClient(proxy);
    await cluster.everywhere('TRUNCATE doc, note, thing, customer, broken, owner');
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  const where = async (table: string): Promise<string[]> => {
    const rows = await Promise.all(
      cluster.shards.map((_, shard) => cluster.shard(shard, `SELECT t::text AS row FROM ${table} t`)),
    );
    return rows.flatMap((each, shard) => each.map(({ row }) => `${shard} ${row}`)).sort();
  };
  const refused = (sql: string, code: string, text: RegExp, values?: unknown[]): Promise<void> =>
    assert.rejects(client.query(sql, values), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });

  it('rows go where the query says, and are found there', async () => {
    await client.query("INSERT INTO doc VALUES ('a', 1)");
    await client.query('INSERT INTO doc VALUES ($1, $2)', ['b', 2]);
    await client.query("INSERT INTO doc VALUES ('c', 3), ('d', 4), ('it''s', 5), ('ü', 6)");
    assert.deepEqual(await where('doc'), [
      '0 (a,1)',
      '1 (b,2)',
      '1 (d,4)',
      '1 (ü,6)',
      '2 (c,3)',
      "2 (it's,5)",
    ]);
    for (const [tenant, n] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ["it's", 5],
    ]) {
      const { rows } = await client.query('SELECT n FROM doc WHERE tenant = $1', [tenant]);
      assert.deepEqual(rows, [{ n }]);
    }
    const { rows } = await client.query("SELECT n FROM doc WHERE tenant IN ('b', 'd', 'ü') ORDER BY n");
    assert.deepEqual(
      rows.map(({ n }) => n),
      [2, 4, 6],
    );
    await client.query("INSERT INTO note SELECT tenant, n FROM doc WHERE tenant = 'b'");
    const joined = await client.query(
      'SELECT d.n FROM doc d JOIN note x ON x.tenant = d.tenant AND x.about = d.n',
    );
    assert.deepEqual(joined.rows, [{ n: 2 }]);
  });

  it('a value in place of the key leads to the shard of its hash', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `00000000-0000-0000-0000-0000000000${n + 10}`);
    for (const [n, id] of ids.entries()) await client.query('INSERT INTO owner VALUES ($1, $2)', [id, n]);
    for (const id of ids) await client.query('INSERT INTO thing VALUES ($1, $2)', [id, 'x']);
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const [{ count }] = await cluster.shard(
        shard,
        `SELECT count(*)::int FROM thing JOIN owner ON owner.thing = thing.id
          WHERE NOT satisfies_hash_partition('hash_int8'::regclass, ${cluster.shardCount}, ${shard}, customer)`,
      );
      assert.equal(count, 0);
    }
    assert.equal((await client.query('SELECT count(*) FROM thing')).rows[0].count, '12');
    const { rows } = await client.query('SELECT label FROM thing WHERE id = ANY($1::uuid[])', [
      ids.slice(0, 5),
    ]);
    assert.equal(rows.length, 5);
  });

  it('a key without a shard: nothing is found, nothing is inserted, until it has one', async () => {
    const { rows } = await client.query("SELECT n FROM doc WHERE tenant = 'new'");
    assert.deepEqual(rows, []);
    await refused(
      "INSERT INTO doc VALUES ('new', 1)",
      '0A000',
      /lookup_query gives no shard for the value of doc\.tenant/,
    );
    await client.query("INSERT INTO home VALUES ('new', 2)");
    await eventually('it is known', () =>
      client.query("INSERT INTO doc VALUES ('new', 1)").then(
        () => true,
        () => false,
      ),
    );
    assert.ok((await where('doc')).includes('2 (new,1)'));
    await client.query("DELETE FROM home WHERE tenant = 'new'");
  });

  it('what the query says wrong is said to the client, and nothing is stored', async () => {
    const before = await where('doc');
    await refused(
      "INSERT INTO doc VALUES ('much', 1)",
      '0A000',
      /lookup_query fails: gives "9", and there are shards 0 to 2/,
    );
    await refused('INSERT INTO broken VALUES ($1)', '0A000', /lookup_query fails: division by zero/, [7]);
    await client.query('INSERT INTO broken VALUES ($1)', [8]);
    assert.deepEqual(await where('broken'), ['1 (8)']);
    assert.deepEqual(await where('doc'), before);
    assert.match(proxy.output, /lookup_query fails/);
  });

  it('in a transaction that spreads', async () => {
    await proxy.adminQuery('RELOAD');
    await client.query('BEGIN');
    await client.query("INSERT INTO doc VALUES ('a', 100)");
    await client.query("INSERT INTO doc VALUES ('c', 100)");
    await client.query('COMMIT');
    const { rows } = await client.query('SELECT tenant FROM doc WHERE n = 100');
    assert.deepEqual(rows.map(({ tenant }) => tenant).sort(), ['a', 'c']);
  });

  it('by pgdog.sharding_key, where all tables are sharded alike', async () => {
    const alike = await startShardedProxy(cluster, driver, { tables: TABLES.slice(0, 2) });
    const own = await shopClient(alike);
    await own.query("/* pgdog_sharding_key: 'c' */ INSERT INTO note VALUES ('c', 7)");
    assert.ok((await where('note')).includes('2 (c,7)'));
    await assert.rejects(own.query("/* pgdog_sharding_key: 'nowhere' */ SELECT 1"), /leads to no shard/);
    await own.end();
    await alike.stop();
  });

  it('what was said is forgotten at RELOAD', async () => {
    await client.query("SELECT 1 FROM doc WHERE tenant = 'd'");
    await cluster.everywhere("UPDATE home SET shard = 0 WHERE tenant = 'd'");
    await client.query("INSERT INTO doc VALUES ('d', 200)");
    assert.ok((await where('doc')).includes('1 (d,200)'), 'remembered');
    await proxy.adminQuery('RELOAD');
    await eventually('asked again', async () => {
      await client.query("INSERT INTO doc VALUES ('d', 201) ON CONFLICT DO NOTHING");
      return (await where('doc')).includes('0 (d,201)');
    });
    await cluster.everywhere("UPDATE home SET shard = 1 WHERE tenant = 'd'; DELETE FROM doc WHERE n > 200");
  });

  it('many clients ask for many keys at once', async () => {
    await cluster.everywhere(
      "INSERT INTO home SELECT 'k' || n, n % 3 FROM generate_series(1, 300) n ON CONFLICT DO NOTHING",
    );
    const clients = await Promise.all(Array.from({ length: 8 }, () => shopClient(proxy)));
    await Promise.all(
      clients.map(async (each, at) => {
        for (let n = 1; n <= 300; n += 3 + at) {
          const { rows } = await each.query('SELECT count(*)::int AS n FROM doc WHERE tenant = $1', [
            `k${n}`,
          ]);
          assert.deepEqual(rows, [{ n: 0 }]);
        }
      }),
    );
    const list = Array.from({ length: 300 }, (_, n) => `('k${n + 1}', 1)`);
    await client.query(`INSERT INTO doc VALUES ${list.join()}`);
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const [{ n }] = await cluster.shard(
        shard,
        `SELECT count(*)::int AS n FROM doc JOIN home USING (tenant) WHERE tenant LIKE 'k%' AND shard <> ${shard}`,
      );
      assert.equal(n, 0);
    }
    await Promise.all(clients.map((each) => each.end()));
  });

  decisionsOn(driver)(
    'a client that is cancelled, or goes, while its key is looked up waits no more; the rest wait for the time-out',
    async () => {
      const hasty = await startShardedProxy(cluster, driver, {
        tables: TABLES,
        general: { sharding_lookup_timeout: 8000 },
      });
      const [cancelled, gone, patient] = await Promise.all([
        clientOf(hasty, { database: SHOP }),
        clientOf(hasty, { database: SHOP }),
        shopClient(hasty),
      ]);
      const ask = "SELECT * FROM slow WHERE k = 'x'";
      cancelled.send(Q(ask));
      gone.send(Q(ask));
      const late = assert.rejects(patient.query(ask), (error: Error & { code?: string }) => {
        assert.equal(error.code, '0A000');
        assert.match(error.message, /lookup_query has given no answer in 8000 ms/);
        return true;
      });
      await eventually('they wait', async () => {
        const states = (await hasty.adminQuery('SHOW CLIENTS')).map(({ state }) => state);
        return states.filter((state) => state === 'waiting').length === 3;
      });
      gone.destroy(true);
      await cancelled.cancel();
      assert.equal(sqlstateOf(await cancelled.readUntilReady()), '57014');
      assert.equal(await firstValue(cancelled, 'SELECT 7'), '7');
      await late;
      assert.deepEqual((await patient.query('SELECT 8 AS n')).rows, [{ n: 8 }]);
      await Promise.all([cancelled.end(), patient.end()]);
      await hasty.stop();
    },
  );
});
