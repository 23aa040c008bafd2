/** Transactions that begin with settings of their own: no shard keeps them that has nothing else of them. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = 'CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)';
const ITEMS = 30;
const ANSWERED_MS = 5_000;
const CHECKOUT_MS = 2_000;
const SHARDS = [0, 1, 2];

let servers: ShardServers;
before(async () => {
  servers = await ShardServers.start(SCHEMA);
});
after(() => servers.stop());

forEachDriver('transactions that leave the shard where they were set up', (driver) => {
  let proxy: TestProxy;
  /** By the shard that each asks what any can answer. */
  let clients: pg.Client[];
  /** A row of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(servers.gated, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general: { default_pool_size: 1, min_pool_size: 0, checkout_timeout: CHECKOUT_MS },
    });
    clients = [];
    for (const _ of SHARDS) {
      const client = await shopClient(proxy);
      await client.query('BEGIN');
      await client.query('SET LOCAL lock_timeout = 1000');
      const [home = -1] = await inTransaction();
      await client.query('ROLLBACK');
      clients[home] = client;
    }
    await Promise.all(servers.servers.map((server) => server.query('TRUNCATE item')));
    const rows = Array.from({ length: ITEMS }, (_, index) => `(${index + 1})`);
    await clients[0].query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
    ids = [];
    for (const shard of SHARDS) {
      const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM item');
      ids.push(Number(row?.id));
    }
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await proxy.stop();
  });

  /** Shards on which a transaction of a client's is open. */
  async function inTransaction(): Promise<number[]> {
    const counts = await Promise.all(
      SHARDS.map((shard) =>
        servers.shard(shard, "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"),
      ),
    );
    return SHARDS.filter((shard) => (counts[shard]?.length ?? 0) > 0);
  }

  async function assertIn(...shards: number[]): Promise<void> {
    await eventually(`it is on ${shards}`, async () => `${await inTransaction()}` === `${shards}`);
  }

  async function soon<Value>(what: string, promise: Promise<Value>): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what}: not in ${ANSWERED_MS} ms`)), ANSWERED_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  const increment = (shard: number): string => `UPDATE item SET n = n + 1 WHERE id = ${ids[shard]}`;

  async function assertWritten(...counts: number[]): Promise<void> {
    for (const shard of SHARDS) {
      const [row] = await servers.shard(shard, `SELECT n FROM item WHERE id = ${ids[shard]}`);
      assert.equal(row?.n, counts[shard], `shard ${shard}`);
    }
    await clients[0].query('UPDATE item SET n = 0');
  }

  for (const home of SHARDS) {
    for (const shard of SHARDS) {
      it(`a transaction set up on shard ${home} that writes on shard ${shard} is on that alone`, async () => {
        const client = clients[home]!;
        for (const isBound of [false, true]) {
          const ask = (text: string): Promise<pg.QueryResult> =>
            client.query({ text, ...(isBound ? { values: [] } : {}) });
          await ask('BEGIN ISOLATION LEVEL SERIALIZABLE');
          await ask("SET LOCAL lock_timeout = '7s'");
          await ask('SAVEPOINT s');
          await ask("SET LOCAL app.tenant = 'it''s'");
          await assertIn(home);
          const { rowCount } = await ask(increment(shard));
          assert.equal(rowCount, 1);
          await assertIn(shard);
          const { rows } = await ask(
            "SELECT current_setting('lock_timeout') AS a, current_setting('app.tenant') AS b, current_setting('transaction_isolation') AS c",
          );
          assert.deepEqual(rows, [{ a: '7s', b: "it's", c: 'serializable' }]);
          await ask('ROLLBACK TO s');
          await ask(increment(shard));
          await assertIn(shard);
          await ask('COMMIT');
          await assertIn();
          const [after] = (await ask("SELECT current_setting('lock_timeout') AS a")).rows;
          assert.deepEqual(after, { a: '0' });
        }
        await assertWritten(...SHARDS.map((each) => (each === shard ? 2 : 0)));
      });
    }
  }

  it('what goes to its shard first and to others stays; else all are taken in their order', async () => {
    for (const home of SHARDS) {
      const client = clients[home]!;
      await client.query('BEGIN');
      await client.query("SET LOCAL lock_timeout = '7s'");
      const rollback = home === 0 ? null : servers.gates[home].stopAt(/^ROLLBACK$/, 'before');
      const update = client.query('UPDATE item SET n = n + 1');
      if (rollback !== null) {
        await rollback;
        servers.gates[home].release();
      }
      assert.equal((await soon('the update', update)).rowCount, ITEMS);
      await assertIn(...SHARDS);
      await client.query('ROLLBACK');
    }
    await assertWritten(0, 0, 0);
  });

  it('two that are set up where the other one goes do not wait for each other', async () => {
    for (const [home, other] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      const [one, two] = [clients[home]!, clients[other]!];
      for (const client of [one, two]) {
        await client.query('BEGIN');
        await client.query("SET LOCAL statement_timeout = '9s'");
      }
      await assertIn(...[home, other].sort());
      await soon('both', Promise.all([one.query(increment(other)), two.query(increment(home))]));
      await Promise.all([one.query('COMMIT'), two.query('COMMIT')]);
    }
    await assertWritten(2, 2, 2);
  });

  it('statements of one text or one batch, for several shards, take these in their order', async () => {
    const [one, two] = [clients[2]!, clients[1]!];
    for (const client of [one, two]) {
      await client.query('BEGIN');
      await client.query("SET LOCAL statement_timeout = '9s'");
    }
    const texts = [
      [2, 1, 0],
      [1, 0, 2],
    ].map((shards) => shards.map(increment).join('; '));
    const asked = [one, two].map(async (client, index) => {
      await client.query(texts[index] ?? '');
      await client.query('COMMIT');
    });
    await soon('both', Promise.all(asked));
    await assertWritten(2, 2, 2);
  });

  it('a setting that is refused fails the transaction, wherever it goes; a savepoint takes it back', async () => {
    for (const shard of SHARDS) {
      const client = clients[1]!;
      await client.query('BEGIN');
      await assert.rejects(client.query("SET LOCAL work_mem = 'much'"), { code: '22023' });
      await assert.rejects(client.query(increment(shard)), { code: '25P02' });
      assert.equal((await client.query('COMMIT')).command, 'ROLLBACK');
      await client.query('BEGIN');
      await client.query("SET LOCAL work_mem = '5MB'");
      await client.query('SAVEPOINT "a ""b"');
      await assert.rejects(client.query("SET LOCAL work_mem = 'much'"), { code: '22023' });
      await client.query('ROLLBACK TO SAVEPOINT "a ""b"');
      await client.query(increment(shard));
      await assertIn(shard);
      assert.deepEqual((await client.query('SHOW work_mem')).rows, [{ work_mem: '5MB' }]);
      await client.query('RELEASE "a ""b"');
      await client.query('COMMIT');
    }
    await assertWritten(1, 1, 1);
  });

  it('what waits in vain for the shard where it goes on fails, and goes back to its savepoint', async () => {
    const [client, other] = [clients[0]!, clients[1]!];
    for (const isCancelled of [true, false]) {
      await other.query('BEGIN');
      await other.query(increment(1));
      await client.query('BEGIN');
      await client.query("SET LOCAL lock_timeout = '7s'");
      await client.query('SAVEPOINT s');
      await client.query("SET LOCAL lock_timeout = '8s'");
      const waiting = client.query(increment(1)).then(
        () => 'UPDATE',
        (error: Error & { code?: string }) => error.code,
      );
      if (isCancelled) {
        await eventually('it waits', async () => {
          const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
          return pools.some(({ cl_waiting }) => Number(cl_waiting) === 1);
        });
        await cancelClient(proxy, client);
      }
      assert.equal(await soon('the error', waiting), isCancelled ? '57014' : '58000');
      await assertIn(1);
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await assert.rejects(client.query('ROLLBACK TO t'), { code: '3B001' });
      await other.query('ROLLBACK');
      await client.query('ROLLBACK TO s');
      await client.query(increment(1));
      await assertIn(1);
      assert.deepEqual((await client.query('SHOW lock_timeout')).rows, [{ lock_timeout: '7s' }]);
      assert.equal((await client.query('COMMIT')).command, 'COMMIT');
    }
    await assertWritten(0, 2, 0);
  });

  it('the server that is left may die of it: the transaction is elsewhere', async () => {
    const client = clients[1]!;
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '7s'");
    const stopped = servers.gates[1].stopAt(/^ROLLBACK$/, 'before');
    await soon('the update', client.query(increment(2)));
    await stopped;
    servers.gates[1].cut();
    assert.deepEqual((await client.query('SHOW lock_timeout')).rows, [{ lock_timeout: '7s' }]);
    assert.equal((await client.query('COMMIT')).command, 'COMMIT');
    await client.query(increment(1));
    await assertWritten(0, 1, 1);
  });

  it('set_config() of a transaction goes with it, by name or by parameter', async () => {
    const CLAIMS = '{"sub": "ä\'s"}';
    for (const shard of SHARDS) {
      const client = clients[1]!;
      await client.query('BEGIN');
      await client.query(
        "SELECT set_config('lock_timeout', '7s', true), set_config('app.role', 'it''s', true)",
      );
      await client.query('SELECT set_config($1, $2, $3)', ['app.claims', CLAIMS, true]);
      await assertIn(1);
      await client.query(increment(shard));
      await assertIn(shard);
      await client.query('UPDATE item SET n = n + 1');
      const { rows } = await client.query(
        "SELECT id::int FROM item WHERE current_setting('app.claims') = $1 AND current_setting('app.role') = 'it''s' AND current_setting('lock_timeout') = '7s'",
        [CLAIMS],
      );
      assert.equal(rows.length, ITEMS);
      await client.query('ROLLBACK');
    }
    await assertWritten(0, 0, 0);
  });

  it('what else a transaction has done keeps its shard', async () => {
    const client = clients[0]!;
    for (const text of ['SELECT 1', "SELECT set_config('app.tenant', 'x', true), now()", increment(0)]) {
      await client.query('BEGIN');
      await client.query("SET LOCAL lock_timeout = '7s'");
      await client.query(text);
      await client.query(increment(1));
      await assertIn(0, 1);
      await client.query('ROLLBACK');
    }
    for (const text of [
      "SET lock_timeout = '7s'",
      'SET CONSTRAINTS ALL DEFERRED',
      "SET LOCAL DateStyle = 'German'",
    ]) {
      await client.query('BEGIN');
      await client.query(text);
      await assert.rejects(client.query(increment(1)), { code: '0A000' });
      await client.query('ROLLBACK');
    }
    await assertWritten(0, 0, 0);
  });
});
