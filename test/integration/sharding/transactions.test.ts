/** Statements and transactions of several shards: written everywhere or nowhere. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import postgres from 'postgres';
import { ACCOUNT_TABLES, ACCOUNTS, AccountShards } from '../../support/account-shards.js';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { SHOP, type ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

let shards: AccountShards;
let cluster: ShardCluster;
before(async () => {
  shards = await AccountShards.start();
  ({ cluster } = shards);
});
after(() => shards.stop());

forEachDriver('transactions over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  /** One account of each shard. */
  let ids: number[];
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: ACCOUNT_TABLES });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    await shards.refill(client);
    ({ ids } = shards);
  });

  it('a transfer between shards: committed on both', async () => {
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = balance - 10 WHERE id = $1', [ids[0]]);
    await client.query('UPDATE account SET balance = balance + 10 WHERE id = $1', [ids[1]]);
    const inside = await client.query('SELECT balance::int FROM account WHERE id = $1', [ids[1]]);
    assert.equal(inside.rows[0].balance, 110);
    assert.deepEqual(await shards.balances(), [100, 100, 100]);
    const { command } = await client.query('COMMIT');
    assert.equal(command, 'COMMIT');
    assert.deepEqual(await shards.balances(), [90, 110, 100]);
    await shards.assertNothingPrepared();
  });

  it('rolled back on both, by the client and by an error on one of them', async () => {
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = balance - 10 WHERE id = $1', [ids[0]]);
    await client.query('UPDATE account SET balance = balance + 10 WHERE id = $1', [ids[2]]);
    await client.query('ROLLBACK');
    assert.deepEqual(await shards.balances(), [100, 100, 100]);
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = balance + 500 WHERE id = $1', [ids[0]]);
    await assert.rejects(
      client.query('UPDATE account SET balance = balance - 500 WHERE id = $1', [ids[2]]),
      /balance/,
    );
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    const { command } = await client.query('COMMIT');
    assert.equal(command, 'ROLLBACK');
    assert.deepEqual(await shards.balances(), [100, 100, 100]);
    await shards.assertNothingPrepared();
  });

  it('savepoints hold on shards that join after them', async () => {
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[0]]);
    await client.query('SAVEPOINT "a b"');
    await client.query('UPDATE account SET balance = 2 WHERE id = $1', [ids[1]]);
    await client.query('UPDATE account SET balance = 3 WHERE id = $1', [ids[0]]);
    await client.query('ROLLBACK TO SAVEPOINT "a b"');
    await client.query('UPDATE account SET balance = 4 WHERE id = $1', [ids[2]]);
    await client.query('COMMIT');
    assert.deepEqual(await shards.balances(), [1, 100, 4]);
  });

  it('UPDATE without a key: on all shards or none, with the sum of the rows', async () => {
    const { rowCount } = await client.query('UPDATE account SET balance = balance + 1');
    assert.equal(rowCount, ACCOUNTS);
    assert.equal(await shards.total(), ACCOUNTS * 101);
    await cluster.shard(2, `UPDATE account SET balance = 0 WHERE id = ${ids[2]}`);
    await assert.rejects(client.query('UPDATE account SET balance = balance - 1'), { code: '23514' });
    assert.equal(await shards.total(), ACCOUNTS * 101 - 101);
    const gone = await client.query('DELETE FROM account WHERE balance > 0 RETURNING id');
    assert.equal(gone.rows.length, ACCOUNTS - 1);
    assert.equal(gone.rowCount, ACCOUNTS - 1);
    await shards.assertNothingPrepared();
  });

  it('INSERT of several rows: each row goes to its shard, RETURNING keeps their order', async () => {
    await client.query('DELETE FROM account');
    const ids = Array.from({ length: 12 }, (_, index) => 100 + index * 7);
    const simple = await client.query(
      `INSERT INTO account (id, balance) VALUES ${ids.map((id) => `(${id}, ${id} + 1)`).join(', ')} RETURNING id::int, balance::int`,
    );
    assert.deepEqual(
      simple.rows,
      ids.map((id) => ({ id, balance: id + 1 })),
    );
    assert.equal(simple.rowCount, 12);
    const more = ids.map((id) => id + 1000);
    const text = `INSERT INTO account AS a (balance, id) VALUES ${more.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`).join(',')}
      ON CONFLICT (id) DO UPDATE SET balance = a.balance + $25 RETURNING a.id::int, 'it''s ($1)' AS note`;
    for (const [round, name] of [undefined, undefined, 'named', 'named'].entries()) {
      const values = [...more.flatMap((id) => [id * 10, id]), 5];
      const bound = await client.query({ text, values, ...(name === undefined ? {} : { name }) });
      assert.deepEqual(
        bound.rows,
        more.map((id) => ({ id, note: "it's ($1)" })),
      );
      const [row] = await cluster.all(`SELECT balance::int FROM account WHERE id = ${more[3]}`);
      assert.equal(row?.balance, (more[3] as number) * 10 + 5 * round);
    }
    await assert.rejects(
      client.query('INSERT INTO account VALUES (5000, 1), (5001, 1), (5002, -1), (5003, 1)'),
      {
        code: '23514',
      },
    );
    assert.deepEqual(await cluster.all('SELECT id FROM account WHERE id >= 5000'), []);
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const rows = await cluster.shard(shard, 'SELECT id FROM account');
      for (const { id } of rows) {
        const { rows: found } = await client.query('SELECT id FROM account WHERE id = $1', [id]);
        assert.equal(found.length, 1, `${id} is on its shard`);
      }
    }
    await shards.assertNothingPrepared();
  });

  it('tables that every shard has are written on every one', async () => {
    const { rowCount } = await client.query("INSERT INTO country VALUES ('nl', 'Netherlands'), ('pt', $1)", [
      'Portugal',
    ]);
    assert.equal(rowCount, 2);
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      assert.equal((await cluster.shard(shard, 'SELECT code FROM country')).length, 2);
    }
    await assert.rejects(client.query("INSERT INTO country VALUES ('nl', 'again')"), { code: '23505' });
    await cluster.shard(1, "DELETE FROM country WHERE code = 'pt'");
    await assert.rejects(client.query("UPDATE country SET name = 'x' WHERE code = 'pt'"), /differ/);
    assert.deepEqual(
      (await cluster.shard(0, 'SELECT name FROM country ORDER BY code')).map(({ name }) => name),
      ['Netherlands', 'Portugal'],
    );
  });

  it('DDL runs on all shards, and what it makes is known to the next statement', async () => {
    await client.query(`CREATE TABLE note_${driver} (id bigint, text text)`);
    await client.query(`INSERT INTO note_${driver} VALUES (1, 'x')`);
    assert.equal((await cluster.all(`SELECT * FROM note_${driver}`)).length, cluster.shardCount);
    await client.query(`DROP TABLE note_${driver}`);
    await assert.rejects(client.query(`SELECT * FROM note_${driver}`), { code: '42P01' });
  });

  it('after DDL what is prepared and bound in one batch waits until the shards have been read', async () => {
    for (const [round, id] of [...ids, ...ids].entries()) {
      await client.query(`CREATE TABLE wait_${driver}_${round} (id bigint)`);
      const text = `SELECT id::int, ${round} AS round FROM account WHERE id IN ($1, $2)`;
      const name = round < ids.length ? `wait ${driver} ${round}` : undefined;
      const { rows } = await client.query({
        text,
        values: [id, -1],
        ...(name === undefined ? {} : { name }),
      });
      assert.deepEqual(rows, [{ id, round }]);
      await client.query(`DROP TABLE wait_${driver}_${round}`);
    }
  });

  it('a transaction that has failed before a server knew of it answers as a server would', async () => {
    for (const begins of [
      ['BEGIN', 'SELECT * FROM nosuch'],
      ['BEGIN', `UPDATE account SET balance = 1 WHERE id IN (${ids.join(', ')})`, 'SELECT * FROM nosuch'],
    ]) {
      for (const sql of begins) await client.query(sql).catch(() => undefined);
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await assert.rejects(client.query('SELECT FROM WHERE'), { code: '42601' });
      await assert.rejects(client.query('ROLLBACK TO nosuch'), { code: '3B001' });
      const [first, second] = (await client.query('ROLLBACK; SELECT 1 AS one')) as never as pg.QueryResult[];
      assert.deepEqual([first?.command, second?.rows], ['ROLLBACK', [{ one: 1 }]]);
    }
    assert.deepEqual(await shards.balances(), [100, 100, 100]);
  });

  it('a decision is durable whatever the session says, and the session keeps what it has said', async () => {
    await client.query('SET synchronous_commit = off');
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[0]]);
    await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[1]]);
    await client.query('COMMIT');
    for (let i = 0; i < 4; i++) {
      const { rows } = await client.query('SHOW synchronous_commit');
      assert.equal(rows[0].synchronous_commit, 'off');
    }
    await client.query('RESET synchronous_commit');
    assert.deepEqual(await shards.balances(), [1, 1, 100]);
  });

  it('a commit over several shards keeps no server connection', async () => {
    await client.query('UPDATE account SET balance = balance + 1');
    await eventually('all are free', async () => {
      const pools = await proxy.adminQuery<{ sv_active: string }>('SHOW POOLS');
      return pools.every(({ sv_active }) => Number(sv_active) === 0);
    });
  });

  it('postgres.js: begin() over shards, its callback thrown out and its callback done', async () => {
    const sql = postgres(proxy.url(SHOP), { max: 1, onnotice: () => undefined });
    try {
      await assert.rejects(
        sql.begin(async (inside) => {
          await inside`UPDATE account SET balance = 7 WHERE id = ${ids[0] as number}`;
          await inside`UPDATE account SET balance = 7 WHERE id = ${ids[1] as number}`;
          throw new Error('no');
        }),
        /no/,
      );
      assert.deepEqual(await shards.balances(), [100, 100, 100]);
      await sql.begin(async (inside) => {
        await inside`UPDATE account SET balance = 7 WHERE id = ${ids[0] as number}`;
        await inside`UPDATE account SET balance = 8 WHERE id = ${ids[1] as number}`;
      });
      assert.deepEqual(await shards.balances(), [7, 8, 100]);
    } finally {
      await sql.end();
    }
  });

  it('a transaction in which something was SET stays on its shard', async () => {
    const shown = async (id: number): Promise<string> => {
      const { rows } = await client.query(
        "SELECT interval '1 day 2 hours'::text AS span FROM account WHERE id = $1",
        [id],
      );
      return rows[0].span;
    };
    assert.equal(await shown(ids[0]), '1 day 02:00:00');
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = 1 WHERE id = $1', [ids[0]]);
    await client.query("SET IntervalStyle = 'iso_8601'");
    assert.equal(await shown(ids[0]), 'P1DT2H');
    await assert.rejects(shown(ids[1]), { code: '0A000', message: /settings/ });
    await client.query('ROLLBACK');
    for (const id of ids) assert.equal(await shown(id), '1 day 02:00:00');
  });

  it('what cannot run in a transaction runs on one shard after the other, and says how far it came', async () => {
    await client.query('VACUUM account');
    await client.query(`CREATE INDEX CONCURRENTLY by_balance_${driver} ON account (balance)`);
    const indexes = `SELECT indexname FROM pg_indexes WHERE indexname = 'by_balance_${driver}'`;
    assert.equal((await cluster.all(indexes)).length, cluster.shardCount);
    await cluster.shard(1, `CREATE INDEX late_${driver} ON account (balance)`);
    await assert.rejects(
      client.query(`CREATE INDEX CONCURRENTLY late_${driver} ON account (balance)`),
      (error: Error & { detail?: string }) => {
        assert.match(error.message, /already exists/);
        assert.match(error.detail ?? '', /failed on shard 1; it is done on shard 0/);
        return true;
      },
    );
    await client.query(`DROP INDEX by_balance_${driver}`);
    await cluster.everywhere(`DROP INDEX IF EXISTS late_${driver}`);
  });

  it('what follows at once upon an answer is asked in time, again and again', async () => {
    for (let i = 0; i < 40; i++) await client.query('VACUUM country');
    const sql = postgres(proxy.url(SHOP), { max: 1, onnotice: () => undefined });
    try {
      const counts = await Promise.all(
        Array.from({ length: 100 }, async (_, i) =>
          i % 3 === 0
            ? (await sql`UPDATE account SET balance = 100`).count
            : (await sql`SELECT id FROM account`).count,
        ),
      );
      assert.deepEqual([...new Set(counts)], [ACCOUNTS]);
    } finally {
      await sql.end();
    }
  });

  it('an error behind rows of one shard, while the others are still to be asked', async () => {
    for (const failing of ids) {
      await assert.rejects(
        client.query('UPDATE account SET balance = balance WHERE id > 0 RETURNING 1 / (id - $1)', [failing]),
        { code: '22012' },
      );
      await client.query('SELECT 1');
    }
  });

  it('functions of which nothing is known yet have written, where the client names the shards', async () => {
    await cluster.everywhere(`
      CREATE TABLE trace (n int, UNIQUE (n) DEFERRABLE INITIALLY DEFERRED);
      CREATE FUNCTION leave(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO trace VALUES (n) RETURNING n';`);
    const fresh = await startShardedProxy(cluster, driver, { tables: ACCOUNT_TABLES });
    try {
      const own = await shopClient(fresh);
      await own.query('BEGIN');
      // The first statements of a proxy, which has not asked what functions do.
      await own.query('/* pgdog_shard: 0 */ SELECT leave(1)');
      await own.query('/* pgdog_shard: 1 */ SELECT leave(1), leave(1)');
      await assert.rejects(own.query('COMMIT'), { code: '23505' });
      await own.end();
    } finally {
      await fresh.stop();
    }
    assert.deepEqual(await cluster.all('SELECT n FROM trace'), []);
    await shards.assertNothingPrepared();
    await cluster.everywhere('DROP TABLE trace; DROP FUNCTION leave');
  });

  it('a client that vanishes in such a transaction leaves nothing behind', async () => {
    const other = await shopClient(proxy);
    other.on('error', () => undefined);
    await other.query('BEGIN');
    await other.query('UPDATE account SET balance = 0 WHERE id = $1', [ids[0]]);
    await other.query('UPDATE account SET balance = 0 WHERE id = $1', [ids[1]]);
    (other as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    // The rows are locked until both have been rolled back.
    await client.query('UPDATE account SET balance = balance + 5');
    assert.deepEqual(await shards.balances(), [105, 105, 105]);
  });
});
