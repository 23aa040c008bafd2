/** What was read of a request and never run, for it was refused or cancelled before, tells nothing of what comes behind it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const ROWS = 12;
let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({
    schema: `${PGDOG_SCHEMA} CREATE TABLE item (id bigint PRIMARY KEY, n int)`,
  });
});
after(() => cluster.stop());

forEachDriver('a request that was not run', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let holder: pg.Client;
  /** Of a row of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: { default_pool_size: 1, checkout_timeout: 20_000 },
    });
    await cluster.all('TRUNCATE item');
    const filler = await shopClient(proxy);
    for (let id = 1; id <= ROWS; id++) await filler.query('INSERT INTO item VALUES ($1, 0)', [id]);
    await filler.end();
    ids = [];
    for (const [shard] of cluster.shards.entries())
      ids.push(Number((await cluster.shard(shard, 'SELECT min(id)::int AS id FROM item'))[0].id));
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    [client, holder] = [await shopClient(proxy), await shopClient(proxy)];
  });
  afterEach(() => Promise.all([client.end(), holder.end()]));

  /** All shards' server connections are somebody else's meanwhile. */
  async function cancelledWhileWaiting(request: () => Promise<unknown>): Promise<void> {
    await holder.query('BEGIN');
    for (const id of ids) await holder.query('UPDATE item SET n = n WHERE id = $1', [id]);
    const refused = assert.rejects(request(), { code: '57014' });
    await eventually('it waits', async () => {
      const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
      return pools.some(({ cl_waiting }) => Number(cl_waiting) > 0);
    });
    await cancelClient(proxy, client);
    await refused;
    await holder.query('COMMIT');
  }

  /** A transaction goes from shard to shard, and all rows are read. */
  async function isAsEver(): Promise<void> {
    await client.query('BEGIN');
    for (const id of ids) {
      const { rowCount } = await client.query('UPDATE item SET n = n + 1 WHERE id = $1', [id]);
      assert.equal(rowCount, 1);
    }
    await client.query('COMMIT');
    const { rows } = await client.query('SELECT id FROM item');
    assert.equal(rows.length, ROWS);
  }

  for (const text of [
    'BEGIN; SET LOCAL pgdog.shard = 1',
    'SET LOCAL pgdog.shard = 1',
    "SELECT set_config('app.mine', 'x', false)",
    "BEGIN; SELECT set_config('app.mine', 'x', true)",
    'BEGIN; CREATE TABLE other (id int)',
  ]) {
    it(`is forgotten when it is cancelled: ${text}`, async () => {
      await cancelledWhileWaiting(() => client.query(text));
      // Over all shards BEGIN is answered by none of them: the transaction has begun, and failed.
      if (text.includes('CREATE')) await client.query('ROLLBACK');
      await isAsEver();
    });
  }

  it('is forgotten when it is cancelled, by the protocol', async () => {
    await cancelledWhileWaiting(() =>
      client.query({ text: "SELECT set_config('app.mine', $1, false)", values: ['x'] }),
    );
    await isAsEver();
  });

  for (const text of [
    "SET LOCAL search_path = public; SELECT string_agg(n::text, ',') FROM item",
    "SELECT set_config('app.mine', 'x', false); SELECT string_agg(n::text, ',') FROM item",
  ]) {
    it(`is forgotten when it is refused: ${text}`, async () => {
      await assert.rejects(client.query(text));
      await isAsEver();
    });
  }
});
