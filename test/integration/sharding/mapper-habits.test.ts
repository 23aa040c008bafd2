// This file is over 400 lines because all habits are asked of one pair of a proxy with its shards and one server.
/** What object mappers and their migrations write, to several shards: answered as one Postgres answers it. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, P, S } from '../../support/frames.js';
import { MapperPair } from '../../support/mapper-pair.js';
import { RawClient } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster } from '../../support/shard-cluster.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE customer (id bigint PRIMARY KEY, name text, n int NOT NULL DEFAULT 0);
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE purchase (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer_id bigint NOT NULL, mood mood, price numeric(12, 2), at timestamptz DEFAULT now());
  CREATE TABLE account (owner text, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int DEFAULT 3);
  CREATE TABLE tag (id serial PRIMARY KEY, name text UNIQUE, made timestamptz DEFAULT now());`;
const TABLES = [
  { name: 'customer', column: 'id', data_type: 'bigint', unique_per_shard: true },
  { name: 'account', column: 'id', data_type: 'uuid' },
  { name: 'purchase', column: 'customer_id', data_type: 'bigint', unique_per_shard: true },
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('habits of object mappers', (driver) => {
  let pair: MapperPair;
  let ours: pg.Client;
  before(async () => {
    pair = await MapperPair.start(cluster, driver, {
      tables: TABLES,
    });
    ({ ours } = pair);
    await cluster.everywhere('TRUNCATE customer, purchase, account, tag RESTART IDENTITY');
    await pair.same(
      `INSERT INTO customer VALUES ${Array.from({ length: 20 }, (_, n) => `(${n + 1}, 'c${n}', ${n})`).join()}`,
    );
  });
  after(() => pair.stop());

  it('SET TRANSACTION behind BEGIN holds for every shard that the transaction comes to', async () => {
    const isolation = (client: pg.Client, id: number): Promise<string> =>
      client
        .query(`SELECT current_setting('transaction_isolation') AS level FROM customer WHERE id = ${id}`)
        .then(({ rows }) => rows[0].level);
    for (const set of [
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;',
      'SET LOCAL TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    ]) {
      for (const values of [undefined, []]) {
        await pair.same('START TRANSACTION;');
        await pair.same(set, values);
        await pair.same('SET TRANSACTION READ WRITE');
        for (let id = 1; id <= 6; id++)
          assert.equal(await isolation(ours, id), 'repeatable read', `${set} ${id}`);
        for (let id = 1; id <= 6; id++) await pair.same(`UPDATE customer SET n = n + 1 WHERE id = ${id}`);
        await pair.same('SELECT count(*), sum(n) FROM customer');
        await pair.same('COMMIT');
        await pair.same('SELECT * FROM customer ORDER BY id');
      }
    }
  });

  it('… and READ ONLY and SERIALIZABLE are what they are', async () => {
    await pair.same('BEGIN');
    await pair.same('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY');
    await pair.same('SELECT name FROM customer WHERE id = 3');
    await pair.same('SHOW transaction_isolation');
    await pair.same('UPDATE customer SET n = 0 WHERE id = 3');
    await pair.same('ROLLBACK');
    await ours.query('BEGIN');
    await ours.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
    await assert.rejects(ours.query('SELECT count(*) FROM customer'), /serializable/);
    await ours.query('ROLLBACK');
    await pair.same('BEGIN');
    await pair.same('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await pair.same('ROLLBACK');
    await pair.same('SHOW transaction_isolation');
    await pair.same('BEGIN');
    await pair.same('SELECT 1/0');
    await pair.same('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await pair.same('COMMIT');
  });

  /** As SQLAlchemy's insertmanyvalues: the server makes keys, and the rows are told in their order. */
  const ordered = (rows: string, rest: string): string =>
    'INSERT INTO purchase (customer_id, mood, price) SELECT p0::BIGINT, p1::mood, p2::NUMERIC(12, 2) ' +
    `FROM (VALUES ${rows}) AS imp_sen(p0, p1, p2, sen_counter) ORDER BY sen_counter ${rest}`;

  it('rows that are given with their order are divided, and told in their order', async () => {
    const told = 'RETURNING customer_id, mood::text, price';
    const rows = Array.from(
      { length: 12 },
      (_, n) => `($${3 * n + 1}::BIGINT, $${3 * n + 2}, $${3 * n + 3}, ${n})`,
    );
    const values = rows.flatMap((_, n) => [String(n + 1), n % 2 === 0 ? 'good' : null, `${n}.505`]);
    for (let repeat = 0; repeat < 2; repeat++) await pair.same(ordered(rows.join(', '), told), values);
    const literals = Array.from(
      { length: 9 },
      (_, n) => `('${n + 20}', ${n === 3 ? 'NULL' : "'bad'"}, ${n}.125, ${n})`,
    );
    await pair.same(ordered(literals.join(', '), told));
    const { rows: times } = await ours.query(ordered(literals.join(', '), 'RETURNING at::text'));
    assert.equal(new Set(times.map(({ at }) => at)).size, 1, 'one now()');
    await pair.theirs.query(ordered(literals.join(', '), ''));
    await pair.same(ordered(literals.join(', '), ''));
    await pair.same('SELECT customer_id, mood::text, price FROM purchase ORDER BY customer_id, price');
    await pair.same(ordered("('1', 'nowhere', 1, 0), ('2', 'good', 1, 1)", told));
    const named = { name: 'ordered', text: ordered(rows.join(', '), told), values };
    for (let repeat = 0; repeat < 3; repeat++) {
      const [{ rows: mine }, { rows: its }] = await Promise.all([
        ours.query(named),
        pair.theirs.query(named),
      ]);
      assert.deepEqual(mine, its);
    }
  });

  it('… and those of a whole copy get one number for all', async () => {
    const tags = (names: string[]) =>
      `INSERT INTO tag (name) SELECT p0::VARCHAR FROM (VALUES ${names.map((name, n) => `('${name}', ${n})`).join(', ')}) ` +
      'AS imp_sen(p0, sen_counter) ORDER BY sen_counter RETURNING tag.id, tag.id AS id__1';
    assert.equal((await pair.same(tags(['red', 'blue', 'green']))).length, 3);
    await pair.same(tags(['grey', 'red']));
    await pair.same('SELECT id, name FROM tag ORDER BY id');
    const copies = await cluster.all('SELECT id, name, made::text FROM tag ORDER BY id');
    assert.equal(new Set(copies.map((row) => JSON.stringify(row))).size, 3);
  });

  it('… unless parameters of one column are such that one server would make them of one type', async () => {
    const frames = (types: number[]) => [
      P('', ordered('($1, NULL, $2, 0), ($3, NULL, $4, 1)', ''), types),
      B('', '', { values: ['1', '1.5', '2', '2.5'] }),
      E(''),
      S(),
    ];
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: pair.proxy.port,
      database: SHOP,
    });
    try {
      for (const [types, code] of [
        [[20, 1700, 20, 1700], undefined],
        [[20, 1700, 23, 20], '22P02'],
        [[20, 1700, 20, 701], '0A000'],
        [[20, 0, 20, 1700], undefined],
        [[25, 0, 20, 0], '0A000'],
      ] as const) {
        raw.send(...frames([...types]));
        const { error } = await raw.readUntilReady();
        assert.equal(error?.['C'], code, `${types}: ${JSON.stringify(error)}`);
      }
    } finally {
      raw.destroy();
    }
  });

  it('… also where ids are made for missing keys', async () => {
    const made = await MapperPair.start(cluster, driver, {
      tables: TABLES,
      sections: { rewrite: { primary_key: 'rewrite' } },
    });
    try {
      const rows = Array.from({ length: 6 }, (_, n) => `($${n + 1}, ${n})`).join(', ');
      const text = `INSERT INTO customer (name) SELECT p0::TEXT FROM (VALUES ${rows}) AS s(p0, n) ORDER BY n RETURNING id, name`;
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const query of [
        { text, values: names },
        { name: 'kept', text, values: names },
        { name: 'kept', text, values: names },
      ]) {
        const { rows: told } = await made.ours.query(query);
        assert.deepEqual(
          told.map(({ name }) => name),
          names,
        );
        const ids = told.map(({ id }) => id);
        assert.equal(new Set(ids).size, 6);
        for (const { id, name } of told) {
          const found = await made.ours.query('SELECT name FROM customer WHERE id = $1', [id]);
          assert.deepEqual(found.rows, [{ name }], 'where its key says');
        }
        await made.ours.query('DELETE FROM customer WHERE id = ANY ($1::bigint[])', [ids]);
      }
    } finally {
      await made.stop();
    }
  });

  it('DO of definitions, as Sequelize and Drizzle write migrations, runs on every shard', async () => {
    const type = `DO 'BEGIN CREATE TYPE "role" AS ENUM(''x'', ''y''); EXCEPTION WHEN duplicate_object THEN null; END';`;
    const key = `DO $$ BEGIN
      ALTER TABLE "purchase" ADD CONSTRAINT "purchase_fk" FOREIGN KEY ("customer_id") REFERENCES "customer" ("id") NOT VALID;
      EXCEPTION WHEN duplicate_object THEN null; END $$;`;
    const column = `DO $$ BEGIN IF NOT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'customer' AND column_name = 'role')
      THEN ALTER TABLE customer ADD COLUMN role role; END IF; END $$`;
    for (let repeat = 0; repeat < 2; repeat++) {
      for (const sql of [`DROP TYPE IF EXISTS nowhere; ${type}`, type, key, column]) await pair.same(sql);
    }
    await pair.same('BEGIN');
    await pair.same(type);
    await pair.same(column);
    await pair.same('COMMIT');
    for (const id of [1, 2, 3, 4]) await pair.same(`UPDATE customer SET role = 'x' WHERE id = ${id}`);
    await pair.same('SELECT id, role::text FROM customer WHERE role IS NOT NULL ORDER BY id');
    const seen = await cluster.all(
      "SELECT count(*)::int AS n FROM pg_constraint WHERE conname = 'purchase_fk'",
    );
    assert.deepEqual(seen, [{ n: 1 }, { n: 1 }, { n: 1 }]);
    await assert.rejects(ours.query('DO $$ BEGIN UPDATE customer SET n = 0; END $$'), {
      code: '0A000',
      hint: /definitions/,
    });
    await pair.same(
      'ALTER TABLE purchase DROP CONSTRAINT purchase_fk; ALTER TABLE customer DROP COLUMN role; DROP TYPE role',
    );
  });

  it('a sharding key that is left to gen_random_uuid() is made here, and leads to its shard', async () => {
    await pair.same("INSERT INTO account (owner) VALUES ('a') RETURNING owner, n");
    await pair.same(
      "INSERT INTO account (owner, id) VALUES ('b', DEFAULT), ('c', DEFAULT), ('d', DEFAULT) RETURNING owner",
    );
    await pair.same("INSERT INTO account VALUES ('e'), ('f') RETURNING owner, n");
    await pair.same('INSERT INTO account DEFAULT VALUES');
    await pair.same('INSERT INTO account (owner, n) VALUES ($1, $2), ($3, $4) RETURNING owner', [
      'g',
      1,
      'h',
      2,
    ]);
    const mine = "('00000000-0000-4000-8000-000000000001', 'mine'), (DEFAULT, 'made')";
    await pair.same(
      `INSERT INTO account (id, owner) VALUES ${mine} ON CONFLICT (id) DO NOTHING RETURNING owner`,
    );
    const named = { name: 'account', text: 'INSERT INTO account (owner) VALUES ($1) RETURNING id' };
    const ids = new Set<string>();
    for (let n = 0; n < 12; n++) {
      await pair.theirs.query({ ...named, values: [`n${n}`] });
      const { rows } = await ours.query({ ...named, values: [`n${n}`] });
      ids.add(rows[0].id);
      const found = await ours.query('SELECT owner FROM account WHERE id = $1', [rows[0].id]);
      assert.deepEqual(found.rows, [{ owner: `n${n}` }], 'where its key says');
    }
    assert.equal(ids.size, 12);
    await pair.same('SELECT owner, n FROM account ORDER BY owner COLLATE "C", n');
    const counts = await cluster.all('SELECT count(*)::int AS n FROM account');
    assert.ok(counts.filter(({ n }) => Number(n) > 0).length > 1, JSON.stringify(counts));
    const at = await cluster.all(
      "SELECT bool_and(substr(id::text, 15, 1) = '4') AS is FROM account HAVING count(*) > 0",
    );
    assert.ok(
      at.every(({ is }) => is === true),
      'of version 4',
    );
    await assert.rejects(ours.query("INSERT INTO account (owner) SELECT 'x'"), { code: '0A000' });
  });

  it("Prisma's count and aggregate: of a subquery with an OFFSET that is a parameter, and 0", async () => {
    const count =
      'SELECT COUNT(*) AS "_count$_all" FROM (SELECT "id" FROM "customer" WHERE "n" > $1 OFFSET $2) AS "sub"';
    const sums =
      'SELECT SUM("n") AS s, AVG("n") AS a, MIN("name" COLLATE "C") AS m, COUNT(*) AS c FROM (SELECT "n", "name" FROM "customer" WHERE 1=1 OFFSET $1) AS "sub"';
    await pair.same(count, [3, 0]);
    await pair.same(count, ['3', '0']);
    await pair.same(count, [3, null]);
    await pair.same(sums, [0]);
    await pair.same(
      'SELECT "id" FROM (SELECT "id", "n" FROM "customer" OFFSET $1) AS s WHERE "n" > 2 ORDER BY "id" LIMIT $2 OFFSET $3',
      [0, 4, 2],
    );
    await pair.same(
      'SELECT count(*) FROM (SELECT * FROM (SELECT id FROM customer OFFSET $1) a OFFSET $2) b',
      [0, 0],
    );
    const named = { name: 'counted', text: count };
    for (const values of [
      [3, 0],
      [1, 0],
      [3, 2],
      [2, 0],
    ]) {
      const both = await Promise.all(
        [ours, pair.theirs].map((client) => client.query({ ...named, values }).catch((error) => error)),
      );
      if (values[1] === 0) assert.deepEqual(both[0].rows, both[1].rows);
      else assert.equal(both[0].code, '0A000', 'rows that are left out are those of no shard');
    }
    await assert.rejects(ours.query(sums, [1]), { code: '0A000' });
    await assert.rejects(
      ours.query('SELECT count(*) FROM (SELECT id FROM customer LIMIT $1 OFFSET $2) s', [3, 0]),
      { code: '0A000' },
    );
    const direct = 'SELECT id FROM (SELECT id, n FROM customer WHERE id = $1 OFFSET $2) s';
    await pair.same(direct, [3, 0]);
    await pair.same(direct, [3, 1]);
    const own =
      'SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY n) AS r FROM customer OFFSET $1) s WHERE id = 5';
    await assert.rejects(ours.query(own, [0]), { code: '0A000' }, 'its window is of rows of all shards');
    await pair.same('BEGIN');
    await pair.same(count, [5, 0]);
    await pair.same('UPDATE customer SET n = n + 1 WHERE id IN (1, 2, 3, 4)');
    await pair.same(count, [5, 0]);
    await pair.same('COMMIT');
  });
  it('BEGIN that has been prepared by name is BEGIN, as JDBC sends it ahead of a batch, or alone', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: pair.proxy.port,
      database: SHOP,
    });
    const set = 'UPDATE customer SET n = n + 1000 WHERE id = 1';
    const read = async (): Promise<number> => {
      const { rows } = await ours.query('SELECT n FROM customer WHERE id = 1');
      return rows[0].n;
    };
    const ask = async (...frames: Buffer[]): Promise<void> => {
      raw.send(...frames, S());
      const { error } = await raw.readUntilReady();
      assert.equal(error, null, JSON.stringify(error));
    };
    try {
      const before = await read();
      for (const name of ['S_1', 'S_2']) {
        const update = (id: number, name = '') => [
          P(name, `UPDATE customer SET n = n + 1 WHERE id = ${id}`),
          B('', name),
          E(''),
        ];
        const many = [1, 2, 3, 4, 5].flatMap((id) => update(id));
        await ask(P(name, 'BEGIN'), B('', name), E(''), ...many);
        await ask(P('', 'ROLLBACK'), B('', ''), E(''));
        assert.equal(await read(), before, 'a transaction was begun');
        // What is prepared last, without a name, is no BEGIN.
        for (let repeat = 0; repeat < 2; repeat++) {
          await ask(P('', set), D('S', ''));
          await ask(B('', name), E(''));
          await ask(P('', 'SELECT n FROM customer WHERE id = 2'), B('', ''), E(''));
          await ask(P('', 'ROLLBACK'), B('', ''), E(''));
          assert.equal(await read(), before, 'nothing but BEGIN was run');
          await ask(P('', set), D('S', ''));
          await ask(B('', name), E(''), ...many);
          await ask(P('', 'ROLLBACK'), B('', ''), E(''));
          assert.equal(await read(), before);
        }
      }
      raw.send(P('S_1', 'BEGIN'), B('', 'S_1'), E(''), S());
      const { error } = await raw.readUntilReady();
      assert.equal(error?.['C'], '42P05');
    } finally {
      raw.destroy();
    }
  });
  it('a transaction whose BEGIN came with its first statement, as from JDBC, goes on on other shards', async () => {
    const raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: pair.proxy.port,
      database: SHOP,
    });
    const one = (sql: string): Buffer[] => [P('', sql), B('', ''), E('')];
    const set = (id: number): Buffer[] => one(`UPDATE customer SET n = n + 1 WHERE id = ${id}`);
    const ids = [1, 2, 3, 4, 5, 6];
    const ask = async (...frames: Buffer[]): Promise<void> => {
      raw.send(...frames, S());
      const { error } = await raw.readUntilReady();
      assert.equal(error, null, JSON.stringify(error));
    };
    const sum = async (): Promise<number> => {
      const { rows } = await ours.query('SELECT sum(n)::int AS n FROM customer');
      return rows[0].n;
    };
    try {
      const before = await sum();
      for (const first of [
        'SELECT 1',
        'SELECT n FROM customer WHERE id = 1',
        'UPDATE customer SET n = n WHERE id = 2',
      ]) {
        await ask(P('', 'BEGIN ISOLATION LEVEL REPEATABLE READ'), B('', ''), E(''), ...one(first));
        await ask(...ids.flatMap(set));
        await ask(...one('SELECT count(*) FROM customer'));
        await ask(...one('ROLLBACK'));
        assert.equal(await sum(), before, first);
        await ask(P(`S_${first}`, 'BEGIN'), B('', `S_${first}`), E(''), ...one(first));
        for (const id of ids) await ask(...set(id));
        await ask(...one('ROLLBACK'));
        await ask(B('', `S_${first}`), E(''), ...one(first));
        for (const id of ids) await ask(...set(id));
        await ask(...one('ALTER TABLE customer ALTER n SET DEFAULT 0'));
        await ask(...one('ROLLBACK'));
        assert.equal(await sum(), before, first);
      }
      await ask(...one('BEGIN'), ...set(1));
      await ask(...ids.flatMap(set));
      await ask(...one('COMMIT'));
      assert.equal(await sum(), before + 7);
      await pair.theirs.query('UPDATE customer SET n = n + 1 WHERE id <= 6');
      await pair.theirs.query('UPDATE customer SET n = n + 1 WHERE id = 1');
      await pair.same('SELECT id, n FROM customer ORDER BY id');
    } finally {
      raw.destroy();
    }
  });
});
