/** A client's cancel hits what it was meant for, whatever a shard is about to do or has just done: nothing else, and not nothing. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { Q } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { SHOP, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually, sleep } from '../../support/wire.js';

const SCHEMA = 'CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)';
const ITEMS = 30;
const LONG = 'SELECT pg_sleep(60) FROM item';
/** What a server is sent at once has arrived by then. */
const ARRIVED_MS = 500;

let servers: ShardServers;
before(async () => {
  servers = await ShardServers.start(SCHEMA);
});
after(() => servers.stop());

forEachDriver('cancels of statements over several shards', (driver) => {
  let proxy: TestProxy;
  let client: RawClient;
  /** A row of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(servers.gated, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: { default_pool_size: 2, min_pool_size: 0, cancel_wait_timeout: 60_000 },
    });
    await Promise.all(servers.servers.map((server) => server.query('TRUNCATE item')));
    client = await connect();
    const rows = Array.from({ length: ITEMS }, (_, index) => `(${index + 1})`);
    await client.query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
    await client.end();
    ids = [];
    for (const [shard] of servers.servers.entries()) {
      const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM item');
      ids.push(Number(row?.id));
    }
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    client = await connect();
  });
  afterEach(async () => {
    for (const gate of servers.gates) gate.release();
    client.destroy();
    await eventually('nothing runs on the shards', async () => (await running()) === 0);
  });

  const connect = (): Promise<RawClient> =>
    RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });

  async function running(): Promise<number> {
    const rows = await servers.all(
      "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
    );
    return rows.length;
  }

  /** Runs, and is cancelled; the end of the cancel is seen on shard 0 only when its gate is released. */
  async function cancelled(sql: string, shards: number): Promise<void> {
    servers.gates[0].holdsCancels = true;
    const answer = client.query(sql);
    await eventually('it runs', async () => (await running()) === shards);
    // Of one server connection the end of the cancel is waited for, too.
    const ended = client.cancel().catch(() => undefined);
    assert.equal((await answer).error?.['C'], '57014');
    if (shards > 1) await ended;
  }

  it('BEGIN on its way to a shard is not hit, and what stands behind it is', async () => {
    await client.query('BEGIN');
    await client.query(`UPDATE item SET n = 1 WHERE id = ${ids[0]}`);
    const stopped = servers.gates[1].stopAt(/^BEGIN/, 'before');
    const answer = client.query(`${LONG} WHERE id = ${ids[1]}`);
    await stopped;
    await client.cancel();
    await sleep(ARRIVED_MS);
    servers.gates[1].release();
    const { error, status } = await answer;
    assert.deepEqual([error?.['C'], status], ['57014', 'E']);
    assert.equal((await client.query('ROLLBACK')).error, null);
  });

  it('so are settings on their way to a shard', async () => {
    await client.query("SET application_name = 'cancelled'");
    const stopped = servers.gates[1].stopAt(/application_name/, 'before');
    const answer = client.query(LONG);
    await stopped;
    await eventually('it runs on the others', async () => (await running()) === 2);
    await client.cancel();
    await sleep(ARRIVED_MS);
    servers.gates[1].release();
    assert.equal((await answer).error?.['C'], '57014');
    assert.equal((await client.query('SELECT count(*) FROM item')).rows[0]?.[0], String(ITEMS));
  });

  it('what waits for an earlier cancel to end is cancelled too', async () => {
    await cancelled(LONG, 3);
    client.send(Q(LONG));
    // It has been read: this comes behind it.
    await proxy.adminQuery('SHOW POOLS');
    await client.cancel();
    const { error, status } = await client.readUntilReady();
    assert.deepEqual([error?.['C'], status], ['57014', 'I']);
  });

  it('so is what waits on one server connection', async () => {
    await cancelled(`${LONG} WHERE id = ${ids[0]}`, 1);
    client.send(Q(`${LONG} WHERE id = ${ids[0]}`));
    await proxy.adminQuery('SHOW POOLS');
    await client.cancel();
    const { error, status } = await client.readUntilReady();
    assert.deepEqual([error?.['C'], status], ['57014', 'I']);
    servers.gates[0].release();
    assert.equal((await client.query('SELECT count(*) FROM item')).rows[0]?.[0], String(ITEMS));
  });

  it('behind a cancel on one shard comes a statement over several', async () => {
    await cancelled(`${LONG} WHERE id = ${ids[0]}`, 1);
    client.send(Q('SELECT count(*) FROM item'));
    await proxy.adminQuery('SHOW POOLS');
    servers.gates[0].release();
    const { error, rows } = await client.readUntilReady();
    assert.equal(error, null, error?.['M']);
    assert.equal(rows[0]?.[0], String(ITEMS));
  });
});
