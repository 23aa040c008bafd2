/** One server connection per shard, and steps of others in between: nobody holds what another needs to go on. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `CREATE TABLE item (
  id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, note text COLLATE "en-x-icu" DEFAULT md5(random()::text))`;
const ITEMS = 30;
const ANSWERED_MS = 5_000;
/** Of which no shard's part is held here whole while the others are waited for. */
const LARGE = "SELECT id, repeat('x', 500000) FROM item ORDER BY id";

let servers: ShardServers;
before(async () => {
  servers = await ShardServers.start(SCHEMA);
});
after(() => servers.stop());

forEachDriver('one server connection per shard', (driver) => {
  let proxy: TestProxy;
  let clients: pg.Client[];
  /** A row of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(servers.gated, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: {
        default_pool_size: 1,
        min_pool_size: 0,
        checkout_timeout: 60_000,
        // Nobody else ends what is prepared.
        two_phase_recovery_interval: 3_600_000,
      },
    });
    clients = await Promise.all([1, 2, 3].map(() => shopClient(proxy)));
    await Promise.all(servers.servers.map((server) => server.query('TRUNCATE item')));
    const rows = Array.from({ length: ITEMS }, (_, index) => `(${index + 1})`);
    await clients[0].query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
    ids = [];
    for (const [shard] of servers.servers.entries()) {
      const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM item');
      ids.push(Number(row?.id));
    }
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await proxy.stop();
  });

  async function waiting(count: number): Promise<void> {
    await eventually(`${count} wait`, async () => {
      const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
      return pools.reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0) === count;
    });
  }

  /** Fails where it would wait for the end of another's time-out. */
  async function soon<Value>(what: string, promise: Promise<Value>): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what}: not in ${ANSWERED_MS} ms`)), ANSWERED_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  const increment = 'UPDATE item SET n = n + 1';

  for (const verb of ['COMMIT', 'ROLLBACK'] as const) {
    it(`${verb} PREPARED that fails is asked again before anybody can wait for its locks`, async () => {
      const [one, other] = clients;
      const last = servers.gates[2];
      await one.query('BEGIN');
      for (const id of ids) await one.query(`${increment} WHERE id = $1`, [id]);
      const late = other.query(`${increment} WHERE id = $1`, [ids[2]]);
      await waiting(1);
      // The decider's failure is what rolls back.
      const undone = verb === 'ROLLBACK' ? servers.gates[0].stopAt(/^COMMIT$/, { instead: '57014' }) : null;
      const failed = last.stopAt(new RegExp(`^${verb} PREPARED`), { instead: '57014' });
      const commit = one.query('COMMIT').then(
        () => 'COMMIT',
        (error: Error & { code?: string }) => error.code,
      );
      await failed;
      await undone;
      assert.equal(await soon('the commit', commit), verb === 'COMMIT' ? 'COMMIT' : '57014');
      await soon('who waits for its lock', late);
      assert.deepEqual(await servers.prepared(), []);
      const rows = await servers.all(`SELECT id::int FROM item WHERE n > 0 ORDER BY id`);
      assert.deepEqual(rows.map(({ id }) => id).sort(), (verb === 'COMMIT' ? ids : [ids[2]]).toSorted());
      await one.query('UPDATE item SET n = 0');
    });
  }

  it('texts of several statements take their shards in one order, whatever that of their statements is', async () => {
    const [one, other] = clients;
    const first = servers.gates[0];
    const text = (...of: number[]): string => of.map((id) => `${increment} WHERE id = ${id}`).join('; ');
    const stopped = first.stopAt(/^UPDATE/, 'before');
    const ahead = one.query(text(ids[0], ids[1]));
    await stopped;
    const behind = other.query(text(ids[1], ids[0]));
    await waiting(1);
    first.release();
    await soon('the first', ahead);
    await soon('the second', behind);
    const rows = await servers.all('SELECT n FROM item WHERE n > 0');
    assert.deepEqual(rows, [{ n: 2 }, { n: 2 }]);
    await one.query('UPDATE item SET n = 0');
  });

  it('what waits for a server connection that is being opened keeps none of the shards behind it', async () => {
    const [reader, , third] = clients;
    await proxy.adminQuery('RECONNECT shop');
    servers.gates[0].holdsLogins = true;
    const rows = reader.query(LARGE);
    // It has been heard, and whoever comes behind it is answered.
    await soon('a direct read', third.query('SELECT n FROM item WHERE id = $1', [ids[1]]));
    await soon('another', third.query('SELECT n FROM item WHERE id = $1', [ids[2]]));
    servers.gates[0].release();
    assert.equal((await soon('the reader', rows)).rows.length, ITEMS);
  });

  it('a read that lost its server connection gives way to those who wait for what it has', async () => {
    const [one, other] = clients;
    const first = servers.gates[0];
    const stopped = first.stopAt(/repeat/, 'before');
    const lost = one.query(LARGE).then(
      ({ rows }) => rows.length,
      (error: Error & { code?: string }) => error.code,
    );
    await stopped;
    await eventually('it has all three', async () => {
      const pools = await proxy.adminQuery<{ sv_active: string }>('SHOW POOLS');
      return pools.reduce((sum, { sv_active }) => sum + Number(sv_active), 0) === 3;
    });
    const rows = other.query(LARGE);
    await waiting(1);
    // It asks shard 0 once more, behind the other, who then waits for what it has of shard 1.
    first.cut();
    assert.equal((await soon('who has waited', rows)).rows.length, ITEMS);
    assert.equal(await soon('who was in the way', lost), '08006');
  });

  it('what follows a cancel that is under way takes no server connection out of turn', async () => {
    const [reader, writer, third] = clients;
    const first = servers.gates[0];
    first.holdsCancels = true;
    const long = reader.query('SELECT id FROM item WHERE pg_sleep(5) IS NOT NULL').then(
      () => 'SELECT',
      (error: Error & { code?: string }) => error.code,
    );
    await eventually('it runs on all shards', async () => {
      const active = await servers.all(
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleep(5)%' AND pid <> pg_backend_pid()",
      );
      return active.length === 3;
    });
    await cancelClient(proxy, reader);
    assert.equal(await long, '57014');
    // Its server connection of shard 0 may be given to nobody before the cancel has ended.
    await writer.query('BEGIN');
    const held = writer.query(`${increment} WHERE id = $1`, [ids[0]]);
    await waiting(1);
    const rows = reader.query(LARGE);
    // It has been heard: whoever comes behind it is answered.
    await soon('a direct read', third.query('SELECT n FROM item WHERE id = $1', [ids[1]]));
    first.release();
    await soon('the writer on shard 0', held);
    await soon('the writer on shard 1', writer.query(`${increment} WHERE id = $1`, [ids[1]]));
    await writer.query('COMMIT');
    assert.equal((await soon('the reader', rows)).rows.length, ITEMS);
    await writer.query('UPDATE item SET n = 0');
  });

  const SORTED = 'SELECT id FROM item ORDER BY note';

  it('a question about the order of texts fails with its statement, in a transaction and outside of one', async () => {
    const [one, other] = clients;
    for (const isInTransaction of [false, true]) {
      if (isInTransaction) await one.query('BEGIN');
      const failed = servers.gates[0].stopAt(/string_agg/, { instead: '54000' });
      await assert.rejects(one.query(SORTED), { code: '54000' });
      await failed;
      if (isInTransaction) {
        await assert.rejects(one.query('SELECT n FROM item WHERE id = $1', [ids[0]]), { code: '25P02' });
        await one.query('ROLLBACK');
      }
      assert.equal((await soon('the next one', other.query(SORTED))).rows.length, ITEMS);
      assert.equal((await soon('and the same again', one.query(SORTED))).rows.length, ITEMS);
    }
  });

  it('a question about the order of texts holds nothing while it is asked, and can be cancelled or lost', async () => {
    const [one, other] = clients;
    const [gate] = servers.gates;
    const outcomeOf = (answer: Promise<pg.QueryResult>): Promise<string> =>
      answer.then(
        ({ rows }) => `${rows.length} rows`,
        (error: Error & { code?: string }) => error.code ?? 'lost',
      );
    let asked = gate.stopAt(/string_agg/, 'before');
    const cancelled = outcomeOf(one.query(SORTED));
    await asked;
    // The others' server connections are free.
    await soon('a write elsewhere', other.query(`${increment} WHERE id = $1`, [ids[1]]));
    await cancelClient(proxy, one);
    gate.release();
    assert.match(await soon('the cancelled one', cancelled), /57014|30 rows/);
    asked = gate.stopAt(/string_agg/, 'before');
    const lost = outcomeOf(one.query(SORTED));
    await asked;
    gate.cut();
    // It is a read, and asked again.
    assert.equal(await soon('the lost one', lost), `${ITEMS} rows`);
    assert.equal((await soon('the next one', one.query(SORTED))).rows.length, ITEMS);
    await other.query('UPDATE item SET n = 0');
  });
});
