/** UPDATE of the sharding key: rows go to the shard of their new key, in one transaction, or nothing happens. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, H, P, Q, S } from '../../support/frames.js';
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
  ${PGDOG_SCHEMA}
  CREATE TABLE parcel (
    owner bigint NOT NULL, id int NOT NULL, note text, weight numeric(5,1) CHECK (weight > 0), PRIMARY KEY (owner, id));
  CREATE TABLE bulk (k bigint, v bytea);
  CREATE TABLE guarded (k bigint, v int);
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  CREATE ROLE clerk LOGIN PASSWORD 'clerk';
  GRANT SELECT, UPDATE, DELETE ON parcel TO clerk;
  GRANT USAGE ON SCHEMA pgdog TO clerk;
  GRANT SELECT, INSERT ON pgdog.transactions TO clerk;`;
const TABLES = [
  { name: 'parcel', column: 'owner', data_type: 'bigint' },
  { name: 'bulk', column: 'k', data_type: 'bigint' },
  { name: 'guarded', column: 'k', data_type: 'bigint' },
];
const FILL = `INSERT INTO parcel SELECT n, n, 'note ' || n, n FROM generate_series(1, 12) n`;
const MOVES = { rewrite: { shard_key: 'rewrite' } };

let cluster: ShardCluster;
before(async () => {
  // Roles are of all databases of the one server.
  const [own, role] = [SCHEMA.replace(/CREATE ROLE[^;]*;/, ''), "CREATE ROLE clerk LOGIN PASSWORD 'clerk'"];
  cluster = await ShardCluster.start({
    schema: `DO $$BEGIN ${role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$; ${own}`,
  });
});
after(() => cluster.stop());

forEachDriver('rows that move', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      sections: MOVES,
      users: [
        { name: 'postgres', password: 'postgres', database: SHOP },
        { name: 'clerk', password: 'clerk', database: SHOP },
      ],
    });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    await cluster.everywhere('TRUNCATE parcel, bulk');
    for (const row of await cluster.reference(`${FILL} RETURNING *`)) {
      const { owner, id, note, weight } = row;
      await client.query('INSERT INTO parcel VALUES ($1, $2, $3, $4)', [owner, id, note, weight]);
    }
  });

  /** All rows of all shards are those of the reference, each where its key leads. */
  const isAsReference = async (): Promise<void> => {
    const text = 'SELECT p::text AS r FROM parcel p';
    const sorted = (rows: Record<string, unknown>[]): string[] => rows.map(({ r }) => String(r)).sort();
    assert.deepEqual(sorted(await cluster.all(text)), sorted(await cluster.reference(text)));
    const owners = await cluster.all('SELECT DISTINCT owner::text AS r FROM parcel');
    for (const { r } of owners) {
      const found = await client.query('SELECT count(*)::int AS n FROM parcel WHERE owner = $1', [r]);
      const all = await cluster.all(`SELECT 1 FROM parcel WHERE owner = ${r}`);
      assert.equal(found.rows[0].n, all.length, `rows of owner ${r} are elsewhere`);
    }
  };
  const same = async (sql: string, values: unknown[] = []): Promise<void> => {
    const own = await client.query(sql, values);
    const text = sql.includes('RETURNING') ? sql : `${sql} RETURNING 1`;
    const rows = await cluster.reference(text, values);
    assert.equal(own.rowCount, rows.length, sql);
    const texts = (list: unknown[]): string[] => list.map((row) => JSON.stringify(row)).sort();
    if (sql.includes('RETURNING')) assert.deepEqual(texts(own.rows), texts(rows), sql);
    await isAsReference();
  };
  const fails = async (sql: string, code: string, text: RegExp, values: unknown[] = []): Promise<void> => {
    await assert.rejects(client.query(sql, values), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });
  };
  const shardsOf = async (id: number): Promise<number[]> => {
    const found = await Promise.all(
      cluster.shards.map((_, shard) => cluster.shard(shard, `SELECT 1 FROM parcel WHERE id = ${id}`)),
    );
    return found.flatMap((rows, shard) => rows.map(() => shard));
  };

  it('one row goes around, and comes back', async () => {
    const seen = new Set<number>();
    for (let owner = 20; owner < 32; owner++) {
      await same(`UPDATE parcel SET owner = ${owner} WHERE id = 3 RETURNING *`);
      await same('UPDATE parcel SET owner = $1, note = note || $2 WHERE id = $3', [owner + 50, '!', 3]);
      const [shard = -1] = await shardsOf(3);
      seen.add(shard);
    }
    assert.deepEqual([...seen].sort(), [0, 1, 2]);
  });

  it('all rows at once, those that stay among them', async () => {
    await same('UPDATE parcel SET owner = 7, weight = weight + 1, note = upper(note) RETURNING *');
    await same('UPDATE parcel SET owner = 8 WHERE owner = 7 AND id < 5 RETURNING id, owner');
    await same('UPDATE parcel SET owner = $1 WHERE id > $2', [9, 3]);
  });

  it('each row where its own key leads', async () => {
    await same('UPDATE parcel SET owner = owner + 100 RETURNING *');
    await same(
      'UPDATE parcel SET owner = owner * 7, note = owner::text WHERE id <> 5 RETURNING owner, id, note',
    );
    await same('UPDATE parcel SET owner = id + $1 WHERE id > $2', [2000, 6]);
    await same('UPDATE parcel SET owner = owner + 1 WHERE id = 3 RETURNING owner');
    await same('UPDATE parcel SET owner = 3000 + id % 2 WHERE owner > 5');
    await same('UPDATE parcel SET owner = owner WHERE false RETURNING id');
    await fails('UPDATE parcel SET owner = owner + 1', '0A000', /depends on their order/);
    await fails('UPDATE parcel SET owner = 5000 + id, weight = -1', '23514', /check constraint/);
    await fails('UPDATE parcel SET owner = 5000, id = owner / 0', '22012', /division by zero/);
    await fails("UPDATE parcel SET owner = note || 'x'", '42804', /type bigint/);
    await client.query('BEGIN');
    await client.query('UPDATE parcel SET owner = owner + 10000');
    await client.query('UPDATE parcel SET owner = owner + 10000');
    await client.query('COMMIT');
    await cluster.reference('UPDATE parcel SET owner = owner + 20000');
    await isAsReference();
  });

  it('errors are those of one server, and nothing is done', async () => {
    await fails('UPDATE parcel SET owner = 7, id = 1', '23505', /parcel_pkey/);
    await fails('UPDATE parcel SET owner = 7, weight = weight - 5', '23514', /check constraint/);
    await fails('UPDATE parcel SET owner = 7, weight = 100 + 1 / (id - 5)', '22012', /division by zero/);
    await fails('UPDATE parcel SET owner = 7, weight = 123456', '22003', /overflow/);
    await fails('UPDATE parcel SET owner = 7, id = NULL', '23502', /not-null/);
    await fails('UPDATE parcel SET owner = 7, note = nowhere', '42703', /nowhere/);
    await fails('UPDATE parcel SET owner = NULL', '23502', /not-null/);
    await isAsReference();
  });

  it('what cannot be moved says why', async () => {
    await fails('UPDATE parcel SET owner = owner + 1', '0A000', /depends on their order/);
    await fails('UPDATE parcel SET owner = DEFAULT', '0A000', /is set/);
    await fails('UPDATE guarded SET k = 5', '0A000', /row security/);
    await fails('UPDATE parcel SET owner = 7 RETURNING (SELECT 1)', '0A000', /subquery in RETURNING/);
    await client.query('PREPARE p AS UPDATE parcel SET owner = 7');
    await fails('EXECUTE p', '0A000', /EXECUTE/);
    await client.query('DEALLOCATE p');
    await isAsReference();
  });

  it('within a transaction it is one of its steps', async () => {
    const [before] = await shardsOf(5);
    await client.query('BEGIN');
    await client.query("UPDATE parcel SET note = 'first' WHERE owner = 5");
    const moved = await client.query('UPDATE parcel SET owner = 700 WHERE owner = 5 RETURNING note');
    assert.deepEqual(moved.rows, [{ note: 'first' }]);
    await client.query('SAVEPOINT a');
    await client.query('UPDATE parcel SET owner = 701');
    assert.equal(
      (await client.query('SELECT count(*)::int AS n FROM parcel WHERE owner = 701')).rows[0].n,
      12,
    );
    await client.query('ROLLBACK TO a');
    assert.deepEqual(await shardsOf(5), [before]);
    await client.query('COMMIT');
    const { rows } = await client.query('SELECT owner, note FROM parcel WHERE id = 5');
    assert.deepEqual(rows, [{ owner: '700', note: 'first' }]);
    await client.query('BEGIN');
    await client.query('UPDATE parcel SET owner = 702');
    await client.query('ROLLBACK');
    assert.equal(
      (await client.query('SELECT count(*)::int AS n FROM parcel WHERE owner = 702')).rows[0].n,
      0,
    );
  });

  it('frame by frame: what is described, closed, flushed', async () => {
    const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
    const types = async (...frames: Buffer[]): Promise<string> => {
      raw.send(...frames);
      return (await raw.readUntil('Z')).map(({ type }) => type).join('');
    };
    const text = 'UPDATE parcel SET owner = $1 WHERE id < $2 RETURNING id, note';
    assert.equal(await types(P('m', text), D('S', 'm'), S()), '1tTZ');
    const bound = B('', 'm', { values: ['31', '4'], resultFormats: [1, 0] });
    assert.equal(await types(bound, E(''), S()), '2DDDCZ');
    assert.equal(
      await types(B('', 'm', { values: ['32', '4'] }), D('P', ''), E(''), C('P', ''), S()),
      '2TDDDC3Z',
    );
    assert.equal(
      await types(P('', 'UPDATE parcel SET owner = 33 WHERE id < 4'), B('', ''), E('', 1), S()),
      '12CZ',
    );
    assert.equal(await types(P('', 'UPDATE parcel SET owner = 34 WHERE id < 4'), B('', ''), S()), 'EZ');
    assert.equal(await types(bound, E('', 1), S()), 'EZ');
    assert.equal(await types(bound, E(''), E(''), S()), 'EZ');
    const each = 'UPDATE parcel SET owner = owner + $1 WHERE id < 4 RETURNING id';
    assert.equal(
      await types(P('e', each), B('', 'e', { values: ['500'] }), D('P', ''), E(''), S()),
      '12TDDDCZ',
    );
    assert.equal(await types(B('', 'e', { values: ['500'] }), E(''), C('P', ''), S()), '2DDDC3Z');
    assert.equal(await types(Q('BEGIN')), 'CZ');
    raw.send(bound, E(''), H());
    assert.equal((await raw.readUntil('C')).map(({ type }) => type).join(''), '2DDDC');
    assert.equal(await types(S()), 'Z');
    assert.equal(await types(bound, S()), 'EZ');
    assert.equal(await types(Q('ROLLBACK')), 'CZ');
    assert.equal(await types(B('', 'm', { values: ['35', '4'] }), E(''), S()), '2DDDCZ');
    await raw.end();
  });

  it('an id that is made up as the new key', async () => {
    const { rows } = await client.query(
      'UPDATE parcel SET owner = pgdog.unique_id() WHERE owner = 4 AND id = 4 RETURNING owner, id',
    );
    assert.equal(rows.length, 1);
    const found = await client.query('SELECT id FROM parcel WHERE owner = $1', [rows[0].owner]);
    assert.deepEqual(found.rows, [{ id: 4 }]);
    assert.equal((await shardsOf(4)).length, 1);
  });

  it('many rows and long ones, up to a limit', async () => {
    for (let k = 1; k <= 4; k++)
      await client.query(`INSERT INTO bulk VALUES (${k}, decode(repeat('07', 300000), 'hex'))`);
    for (let k = 1; k <= 8; k++)
      await client.query(`INSERT INTO bulk SELECT ${k}, '\\x01' FROM generate_series(1, 800)`);
    const moved = await client.query('UPDATE bulk SET k = 5 RETURNING length(v) AS n');
    assert.equal(moved.rowCount, 6404);
    assert.equal(moved.rows.filter(({ n }) => n === 300_000).length, 4);
    const { rows } = await client.query(
      'SELECT count(*)::int AS n, sum(length(v))::int AS s FROM bulk WHERE k = 5',
    );
    assert.deepEqual(rows, [{ n: 6404, s: 1_206_400 }]);
    await client.query(
      `INSERT INTO bulk SELECT 6, decode(repeat('00', 9000000), 'hex') FROM generate_series(1, 8)`,
    );
    await client.query(
      `INSERT INTO bulk SELECT 7, decode(repeat('00', 9000000), 'hex') FROM generate_series(1, 8)`,
    );
    await fails('UPDATE bulk SET k = 5', '54000', /more than 100000 rows, or 64 MB/);
    const after = await client.query('SELECT count(*)::int AS n FROM bulk WHERE k = 5');
    assert.deepEqual(after.rows, [{ n: 6404 }]);
  });

  it('rights are those of DELETE and INSERT, too', async () => {
    const clerk = await RawClient.connect({
      port: proxy.port,
      user: 'clerk',
      password: 'clerk',
      database: SHOP,
    });
    const { error } = await clerk.query('UPDATE parcel SET owner = 60');
    assert.equal(error?.['C'], '42501');
    await clerk.end();
    await isAsReference();
  });

  it('EXPLAIN (PGDOG) tells', async () => {
    const told = async (sql: string): Promise<string> => {
      const { rows } = await client.query(`EXPLAIN (PGDOG) ${sql}`);
      return rows.map((row) => Object.values(row).join(' ')).join('\n');
    };
    assert.match(
      await told('UPDATE parcel SET owner = 5'),
      /shards 0, 1, 2: rows leave their shards .* \(shard \d\)/,
    );
    assert.match(
      await told('UPDATE parcel SET owner = 5 WHERE owner = 5'),
      /direct: shard \d, where its rows stay/,
    );
    assert.match(await told('UPDATE guarded SET k = 5'), /refused: row security of "guarded"/);
    assert.match(
      await told('UPDATE parcel SET owner = $1 WHERE owner = 5'),
      /by its parameters: direct where both/,
    );
  });

  it('a row that another transaction has locked is waited for, and read anew', async () => {
    const [shard = 0] = await shardsOf(6);
    const other = await shopClient(proxy);
    await other.query('BEGIN');
    await other.query("UPDATE parcel SET note = 'late' WHERE owner = 6");
    const update = client.query('UPDATE parcel SET owner = 61 WHERE id = 6 RETURNING note');
    await eventually('it waits', async () => {
      const waiting = await cluster.shard(
        shard,
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'",
      );
      return waiting.length === 1;
    });
    await other.query('COMMIT');
    await other.end();
    assert.deepEqual((await update).rows, [{ note: 'late' }]);
  });

  it('the shard where rows go dies before they have come: they are where they were', async () => {
    const [target = 0] = await shardsOf(1);
    // Whoever holds this row's place keeps the INSERT waiting.
    const other = await shopClient(proxy);
    await other.query('BEGIN');
    await other.query("INSERT INTO parcel VALUES (1, 2, 'in the way', 1)");
    const second = await shopClient(proxy);
    second.on('error', () => undefined);
    const outcome = second.query('UPDATE parcel SET owner = 1').then(
      () => 'done',
      (error: Error & { code?: string }) => error.code ?? error.message,
    );
    const waiting = "query LIKE 'INSERT INTO \"public\"%' AND wait_event = 'transactionid'";
    await eventually('an INSERT waits', async () => {
      return (await cluster.shard(target, `SELECT 1 FROM pg_stat_activity WHERE ${waiting}`)).length === 1;
    });
    await cluster.shard(target, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${waiting}`);
    assert.match(await outcome, /^(08006|57P01)$/);
    await other.query('ROLLBACK');
    await other.end();
    await second.end().catch(() => undefined);
    assert.deepEqual(await cluster.server.query('SELECT gid FROM pg_prepared_xacts'), []);
    await isAsReference();
  });
});

forEachDriver('rows that do not move without leave', (driver) => {
  it('an UPDATE that leaves them where they are is done, any other is refused', async () => {
    await cluster.everywhere('TRUNCATE parcel');
    const proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    const client = await shopClient(proxy);
    await client.query("INSERT INTO parcel VALUES (1, 1, 'x', 1)");
    const refusals: number[] = [];
    for (let owner = 1; owner < 12; owner++) {
      const update = client.query('UPDATE parcel SET owner = $1 WHERE owner = $2', [owner, 1]);
      const isDone = await update.then(
        () => true,
        ({ code, hint }: Error & { code?: string; hint?: string }) => {
          assert.equal(code, '0A000');
          assert.match(hint ?? '', /shard_key = "rewrite"/);
          return false;
        },
      );
      if (isDone) await client.query('UPDATE parcel SET owner = $1 WHERE owner = $2', [1, owner]);
      else refusals.push(owner);
    }
    assert.ok(refusals.length > 0 && refusals.length < 11, `refused: ${refusals}`);
    assert.equal((await client.query('SELECT 1 FROM parcel WHERE owner = 1')).rowCount, 1);
    await client.end();
    await proxy.stop();
  });
});
