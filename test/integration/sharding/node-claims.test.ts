/** Several proxies in front of the same shards: each makes ids by a number of its own, which it finds by itself. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import type pg from 'pg';
import { decisionsOn, forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE customer (id bigint PRIMARY KEY, name text);`;
const TABLES = [{ name: 'customer', column: 'id', data_type: 'bigint' }];
const SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgdog-cluster ids'";

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('numbers of proxies', (driver) => {
  const proxies: TestProxy[] = [];
  const clients: pg.Client[] = [];

  const start = async (general: Record<string, number | string> = {}, workers = 2): Promise<pg.Client> => {
    const proxy = await startShardedProxy(cluster, driver, { tables: TABLES, general, workers });
    proxies.push(proxy);
    const client = await shopClient(proxy);
    clients.push(client);
    return client;
  };
  const stopAll = async (): Promise<void> => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  };
  afterEach(stopAll);

  const idOf = async (
    client: pg.Client,
    sql = 'SELECT pgdog.unique_id()',
    values?: unknown[],
  ): Promise<bigint> => {
    const { rows } = await client.query(sql, values);
    return BigInt(Object.values(rows[0] as Record<string, string>)[0]);
  };
  const nodeOf = (id: bigint): number => Number((id >> 12n) & 1023n);

  it('each has another, and nobody makes one twice', async () => {
    const three = await Promise.all([start(), start(), start()]);
    const ids = await Promise.all(
      three.map(async (client) => {
        const made: bigint[] = [];
        for (let i = 0; i < 60; i++) {
          made.push(await idOf(client));
          made.push(await idOf(client, 'SELECT pgdog.unique_id() AS x, $1::int', [i]));
          made.push(await idOf(client, 'SHOW pgdog.unique_id'));
        }
        return made;
      }),
    );
    assert.equal(new Set(ids.flat()).size, 3 * 180);
    const nodes = ids.map((made) => new Set(made.map(nodeOf)));
    assert.ok(nodes.every(({ size }) => size === 1));
    assert.equal(new Set(nodes.map(([node]) => node)).size, 3);
    assert.ok(nodes.every(([node]) => node > 0));
  });

  decisionsOn(driver)(
    'nothing is claimed before somebody asks for an id, and the first request of any kind waits for it',
    async () => {
      const count = async (): Promise<number> => (await cluster.shard(0, SESSIONS)).length;
      const firsts = ['query', 'bind', 'show', 'transaction', 'insert'];
      const own = await Promise.all(firsts.map(() => start({}, 1)));
      for (const client of own) await client.query('SELECT FROM customer');
      let claimed = 0;
      for (const [index, first] of firsts.entries()) {
        const client = own[index];
        assert.equal(await count(), claimed);
        if (first === 'query') await idOf(client);
        else if (first === 'bind') await idOf(client, 'SELECT pgdog.unique_id() AS x, $1::int', [1]);
        else if (first === 'show') await idOf(client, 'SHOW pgdog.unique_id');
        else if (first === 'insert') {
          const text =
            'INSERT INTO customer VALUES (pgdog.unique_id(), $1), (pgdog.unique_id(), $1) RETURNING id';
          assert.equal((await client.query({ name: 'i', text, values: ['x'] })).rowCount, 2);
        } else {
          await client.query('BEGIN');
          await client.query('SELECT FROM customer WHERE id = 5');
          await client.query('INSERT INTO customer VALUES (pgdog.unique_id(), $1)', ['x']);
          await client.query("INSERT INTO customer VALUES (pgdog.unique_id(), 'y')");
          await client.query('COMMIT');
        }
        claimed++;
        assert.equal(await count(), claimed);
      }
      await stopAll();
      await eventually('all are given back', async () => (await count()) === 0);
    },
  );

  it('statements of more ids than a fresh claim has at once, as the first ones', async () => {
    const count = 200;
    const text = `INSERT INTO customer (id) VALUES ${Array(count).fill('(pgdog.unique_id())').join()}`;
    await cluster.everywhere('TRUNCATE customer');
    const first = await start({ unique_id_function: 'compact' });
    const own = await Promise.all(Array.from({ length: 5 }, () => shopClient(proxies[0])));
    clients.push(...own);
    await Promise.all(
      [first, ...own].map((client, at) => client.query(at % 2 === 0 ? text : { name: 'many', text })),
    );
    const { rows } = await first.query<{ id: string }>('SELECT id FROM customer');
    assert.equal(new Set(rows.map(({ id }) => id)).size, 6 * count);
    assert.ok(rows.every(({ id }) => Number.isSafeInteger(Number(id))));
  });

  it('a claim that is lost with its connection is made again, and no client sees it', async () => {
    const client = await start();
    const ids: bigint[] = [await idOf(client)];
    const pidOf = async (): Promise<unknown> => (await cluster.shard(0, SESSIONS))[0]?.pid;
    for (let round = 0; round < 3; round++) {
      const before = await pidOf();
      await cluster.shard(0, SESSIONS.replace('SELECT pid', 'SELECT pg_terminate_backend(pid)'));
      const untilMs = Date.now() + 20_000;
      const isClaimed = async (): Promise<boolean> =>
        ![undefined, before].includes((await pidOf()) as undefined);
      while (!(await isClaimed()) && Date.now() < untilMs) ids.push(await idOf(client));
      assert.ok(await isClaimed());
      for (let i = 0; i < 20; i++) ids.push(await idOf(client));
    }
    assert.equal(new Set(ids).size, ids.length);
  });

  decisionsOn(driver)(
    'two that are given one number: the second makes none until the first has gone',
    async () => {
      const first = await start({ node_id: 7 });
      assert.equal(nodeOf(await idOf(first)), 7);
      const second = await start({ node_id: 7 });
      await assert.rejects(idOf(second), (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, '55000');
        assert.match(error.message, /another proxy makes ids of node_id 7 in "shop"/);
        assert.match(error.hint ?? '', /node_id of its own, or none/);
        return true;
      });
      await assert.rejects(idOf(second, 'SELECT pgdog.unique_id() AS x, $1::int', [1]), { code: '55000' });
      await assert.rejects(idOf(second, 'SHOW pgdog.unique_id'), { code: '55000' });
      assert.equal((await second.query('SELECT 1 AS one')).rows[0].one, 1);
      await first.end();
      clients.shift();
      await proxies.shift()?.stop();
      let node: number | null = null;
      await eventually('the second has it', async () => {
        node = await idOf(second).then(nodeOf, () => null);
        return node !== null;
      });
      assert.equal(node, 7);
    },
  );
});
