/** Statements over several shards when something goes wrong: a cancel, a shard that dies, a client that goes or does not read. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { Q } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE item (id bigint PRIMARY KEY, note text);
  CREATE TABLE setting (name text PRIMARY KEY, value text);
  ${PGDOG_SCHEMA}`;
const ITEMS = 60;
/** What a client is told of a shard that has gone, or how its own connection ends. */
const LOSS =
  /^(08006|57P01|ECONNRESET|EPIPE|Connection terminated|Client has encountered a connection error)/;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

const outcomeOf = (client: pg.Client, sql: string, values: unknown[] = []): Promise<string> =>
  client.query(sql, values).then(
    ({ command }) => command,
    (error: Error & { code?: string }) => error.code ?? error.message,
  );

forEachDriver('faults over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    await cluster.everywhere('TRUNCATE item, setting');
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
    });
    client = await shopClient(proxy);
    for (let id = 1; id <= ITEMS; id++) await client.query('INSERT INTO item VALUES ($1, $2)', [id, 'x']);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  const running = async (text: string): Promise<number> => {
    const rows = await cluster.server.query(
      `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${text}%' AND pid <> pg_backend_pid()`,
    );
    return rows.length;
  };
  const countOf = async (): Promise<string> =>
    (await client.query('SELECT count(*) AS n FROM item')).rows[0].n;

  it('a cancel ends the statement on every shard', async () => {
    const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
    const answer = raw.query("SELECT pg_sleep(30), id, 'cancelled one' FROM item");
    await eventually('it runs', async () => (await running('cancelled one')) === cluster.shardCount);
    await raw.cancel();
    const { error } = await answer;
    assert.equal(error?.['C'], '57014');
    await eventually('it runs nowhere', async () => (await running('cancelled one')) === 0);
    assert.deepEqual((await raw.query('SELECT count(*) FROM item')).rows, [[String(ITEMS)]]);
    await raw.end();
  });

  it('who is cut off in the middle of a long row is told nothing, which would be taken for its rest', async () => {
    const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
    raw.socket.pause();
    raw.send(Q("SELECT repeat('y', 50000000) FROM item"));
    type Client = { id: string; state: string; bytes_sent: string };
    let found: Client | undefined;
    await eventually('it has a part of one', async () => {
      const clients = await proxy.adminQuery<Client>('SHOW CLIENTS');
      found = clients.find(({ bytes_sent }) => Number(bytes_sent) > 100_000);
      return found !== undefined;
    });
    await proxy.adminQuery(`KILL_CLIENT ${found?.id}`);
    raw.socket.resume();
    await raw.expectClosed();
    const all = Buffer.concat(raw.received);
    assert.ok(all.length > 100_000 && all.length < 50_000_000, `${all.length} bytes`);
    assert.equal(all.lastIndexOf('y'), all.length - 1);
  });

  it('a client that goes ends it, too', async () => {
    const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
    void raw.query("SELECT pg_sleep(30), id, 'abandoned one' FROM item").catch(() => undefined);
    await eventually('it runs', async () => (await running('abandoned one')) === cluster.shardCount);
    raw.destroy();
    await eventually('it runs nowhere', async () => (await running('abandoned one')) === 0);
    assert.equal(await countOf(), String(ITEMS));
  });

  it('a shard whose process dies: an error, and the session goes on', async () => {
    const answer = client.query("SELECT pg_sleep(30), id, 'killed one' FROM item");
    const failed = assert.rejects(answer, (error: Error & { code?: string }) => {
      assert.match(error.code ?? '', /^(08006|57P01)$/, error.message);
      return true;
    });
    await eventually('it runs', async () => (await running('killed one')) === cluster.shardCount);
    await cluster.server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%killed one%' AND datname = 'shard_1' AND pid <> pg_backend_pid()",
    );
    await failed;
    assert.equal(await countOf(), String(ITEMS));
  });

  it('a shard whose process dies in a transaction: it is rolled back on the others', async () => {
    const other = await shopClient(proxy);
    other.on('error', () => undefined);
    await other.query('BEGIN');
    await other.query("UPDATE item SET note = 'y'");
    await cluster.server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard_2' AND state = 'idle in transaction'",
    );
    // As with one server, the connection of the client ends; or the loss is told to a COMMIT that is under way.
    assert.match(await outcomeOf(other, 'COMMIT'), LOSS);
    await other.end().catch(() => undefined);
    const rest = await cluster.all("SELECT id FROM item WHERE note = 'y'");
    assert.deepEqual(rest, []);
    // A COMMIT that was under way takes back what has been prepared, whoever has been told meanwhile.
    await eventually('nothing is prepared', async () => {
      return (await cluster.server.query('SELECT gid FROM pg_prepared_xacts')).length === 0;
    });
  });

  it('a shard whose process dies between two statements of a transaction: nothing of it is begun anew', async () => {
    const [own] = await cluster.shard(2, 'SELECT min(id)::int AS id FROM item');
    const [far] = await cluster.shard(0, 'SELECT min(id)::int AS id FROM item');
    const losses = (): number => proxy.output.split('server ended a connection').length;
    const before = losses();
    const other = await shopClient(proxy);
    other.on('error', () => undefined);
    const update = 'UPDATE item SET note = $2 WHERE id = $1';
    await other.query('BEGIN');
    await other.query(update, [own?.id, 'z']);
    await other.query(update, [far?.id, 'z']);
    await cluster.server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard_2' AND state = 'idle in transaction'",
    );
    await eventually('the proxy has heard of it', async () => losses() > before);
    assert.match(await outcomeOf(other, update, [own?.id, 'zz']), LOSS);
    const ended = await outcomeOf(other, 'COMMIT');
    if (ended !== 'ROLLBACK') assert.match(ended, LOSS);
    await other.end().catch(() => undefined);
    assert.deepEqual(await cluster.all("SELECT id FROM item WHERE note LIKE 'z%'"), []);
  });

  it('a client that does not read holds up nobody else, and gets all in the end', async () => {
    const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
    raw.send(Q("SELECT id, repeat('z', 400000) FROM item ORDER BY id"));
    for (let round = 0; round < 20; round++) assert.equal(await countOf(), String(ITEMS));
    const { rows } = await raw.readUntilReady(1, 30_000);
    assert.deepEqual(
      rows.map(([id]) => Number(id)),
      Array.from({ length: ITEMS }, (_, index) => index + 1),
    );
    await raw.end();
  });

  it('rows that are too long to be merged are refused', async () => {
    await assert.rejects(
      client.query("SELECT id, repeat('z', 17000000) FROM item WHERE id < 4 ORDER BY id"),
      {
        code: '0A000',
      },
    );
    assert.equal(await countOf(), String(ITEMS));
  });

  it('nothing is left on any server', async () => {
    await eventually('no transaction is open', async () => {
      const rows = await cluster.server.query(
        "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND state LIKE 'idle in transaction%'",
      );
      return rows.length === 0;
    });
  });
});
