/** Many clients whose statements are spread over shards with hardly any server connections: nobody hangs, nothing leaks. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, afterEach, before, it } from 'node:test';
import type pg from 'pg';
import { Chance } from '../../chaos/chance.js';
import { cancelClient } from '../../support/cancel-client.js';
import { forEachDriver, type TestDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually, sleep } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, note text COLLATE "en-x-icu" DEFAULT md5(random()::text));
  ${PGDOG_SCHEMA}`;
const ITEMS = 60;
const CLIENTS = 6;
const STATEMENTS = 12;
const SEED = Number(process.env.PGDOG_SCHEDULE_SEED ?? randomInt(1_000_000_000));

let cluster: ShardCluster;
/** A row of each shard. */
let ids: number[];
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

const start = (driver: TestDriver, general: Record<string, number>, workers = 1): Promise<TestProxy> =>
  startShardedProxy(cluster, driver, {
    tables: [{ name: 'item', column: 'id' }],
    workers,
    general: { default_pool_size: 1, min_pool_size: 0, ...general },
  });

async function fill(proxy: TestProxy): Promise<void> {
  await cluster.everywhere('TRUNCATE item');
  const client = await shopClient(proxy);
  const rows = Array.from({ length: ITEMS }, (_, index) => `(${index + 1})`);
  await client.query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
  await client.end();
  ids = [];
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const [row] = await cluster.shard(shard, 'SELECT min(id)::int AS id FROM item');
    ids.push(row?.id as number);
  }
}

/** Of which no shard's part is held here whole while the others are waited for. */
const LARGE = "SELECT id, repeat('x', 60000) FROM item ORDER BY id";
const OPEN =
  "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND pid <> pg_backend_pid() AND (state = 'active' OR state LIKE 'idle in transaction%') AND backend_type = 'client backend'";

async function waitingCount(proxy: TestProxy): Promise<number> {
  const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
  return pools.reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0);
}

/** Statements of one client, some cancelled; in the end it vanishes in the middle of one, or not. */
async function live(proxy: TestProxy, chance: Chance): Promise<string[]> {
  const outcomes: string[] = [];
  const client = await shopClient(proxy);
  client.on('error', () => undefined);
  for (let i = 0; i < STATEMENTS; i++) {
    const id = chance.between(1, ITEMS);
    const answer = outcomeOf(
      client.query(
        chance.pick([
          LARGE,
          'SELECT count(*) FROM item',
          'SELECT id FROM item ORDER BY note, id',
          `SELECT n FROM item WHERE id = ${id}`,
          `UPDATE item SET n = n + 1 WHERE id = ${id}`,
          'UPDATE item SET n = n + 1',
          `UPDATE item SET n = n - 1 WHERE id IN (${id}, ${chance.between(1, ITEMS)})`,
        ]),
      ),
    );
    if (chance.is(15)) await cancelClient(proxy, client);
    if (i === STATEMENTS - 1 && chance.is(50)) {
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      return [...outcomes, 'gone'];
    }
    outcomes.push(await answer);
  }
  await client.end();
  return outcomes;
}

const outcomeOf = (answer: Promise<pg.QueryResult>): Promise<string> =>
  answer.then(
    ({ command }) => command,
    (error: Error & { code?: string }) => `${error.code} ${error.message}`,
  );

forEachDriver('few server connections for several shards', (driver) => {
  let proxy: TestProxy;
  afterEach(() => proxy?.stop());

  it('a transaction that gets no server connection of a further shard writes nothing there', async () => {
    proxy = await start(driver, { checkout_timeout: 3_000 });
    await fill(proxy);
    const [holder, late] = [await shopClient(proxy), await shopClient(proxy)];
    const update = 'UPDATE item SET n = n + 1 WHERE id = $1';
    await holder.query('BEGIN');
    await holder.query(update, [ids[1]]);
    await late.query('BEGIN');
    await late.query(update, [ids[0]]);
    const answer = outcomeOf(late.query(update, [ids[1]]));
    // It has been refused by then, and must not be asked again behind that.
    await Promise.race([answer, sleep(4_500)]);
    await holder.end();
    await answer;
    await late.query('ROLLBACK');
    await late.end();
    assert.deepEqual(await cluster.all('SELECT id::int, n FROM item WHERE n <> 0'), []);
  });

  it('what waits for one shard keeps no server connection of those behind it', async () => {
    proxy = await start(driver, { checkout_timeout: 60_000 });
    await fill(proxy);
    const [holder, reader, other] = await Promise.all([1, 2, 3].map(() => shopClient(proxy)));
    await holder.query('BEGIN');
    await holder.query('SELECT n FROM item WHERE id = $1', [ids[0]]);
    const rows = reader.query(LARGE);
    await eventually('the reader waits', async () => (await waitingCount(proxy)) === 1);
    // These are answered while it waits.
    for (const id of ids.slice(1)) await other.query('UPDATE item SET n = n + 1 WHERE id = $1', [id]);
    const cancelled = outcomeOf(other.query(LARGE));
    await eventually('another waits, too', async () => (await waitingCount(proxy)) === 2);
    await cancelClient(proxy, other);
    assert.match(await cancelled, /^57014/);
    await holder.query('COMMIT');
    assert.equal((await rows).rows.length, ITEMS);
    await Promise.all([holder, reader, other].map((client) => client.end()));
  });

  for (const [workers, poolSize] of [
    [1, 1],
    [2, 2],
  ]) {
    it(`seed ${SEED}, ${workers} workers, pools of ${poolSize}: everybody is answered, nothing is left`, async () => {
      proxy = await start(driver, { default_pool_size: poolSize, checkout_timeout: 60_000 }, workers);
      await fill(proxy);
      const chance = new Chance(SEED);
      const outcomes = await Promise.all(
        Array.from({ length: CLIENTS }, (_, index) => live(proxy, chance.fork(index))),
      );
      const odd = outcomes.flat().filter((outcome) => !/^(SELECT|UPDATE|INSERT|57014|gone)/.test(outcome));
      assert.deepEqual(odd, []);
      await eventually('nobody waits', async () => (await waitingCount(proxy)) === 0);
      await eventually(
        'nothing is open on the shards',
        async () => (await cluster.server.query(OPEN)).length === 0,
      );
      // A commit goes on without its client.
      await eventually('nothing is prepared', async () => {
        return (await cluster.server.query('SELECT gid FROM pg_prepared_xacts')).length === 0;
      });
      const client = await shopClient(proxy);
      assert.equal((await client.query('SELECT count(*)::int AS n FROM item')).rows[0].n, ITEMS);
      await client.end();
    });
  }
});
