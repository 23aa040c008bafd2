// What the catalog of a real Postgres adds to the reading of a statement: users' functions, operators, casts, views,
// policies and relations that replicas cannot have.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ACCESS_SQL, loadSqlParser, readSql } from '@pgdog-cluster/core';
import type { DatabaseCode } from '@pgdog-cluster/worker';
import pg from 'pg';
import { askAgain, askDatabase, verdictOf } from '../support/database-code.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';

const SCHEMA = `
CREATE SEQUENCE numbers;
CREATE TABLE items (id int PRIMARY KEY, name text);
CREATE TABLE "Odd.Name" (id int);
CREATE SCHEMA other;
CREATE TABLE other.counted (id int);
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION looks(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM items';
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO items VALUES (1) RETURNING id';
CREATE FUNCTION mixed(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION other.mixed(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION by_default(n bigint DEFAULT nextval('numbers')) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT n';
CREATE FUNCTION by_own_default(n int DEFAULT writes()) RETURNS int LANGUAGE sql STABLE AS 'SELECT n';
CREATE FUNCTION lower(items) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION computed(items) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION computed_stable(items) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE tally(int) (SFUNC = step, STYPE = int);
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION glue(text, items) RETURNS text LANGUAGE sql AS 'SELECT ''''';
CREATE OPERATOR |+| (LEFTARG = text, RIGHTARG = items, FUNCTION = glue);
CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE VIEW plain_view AS SELECT * FROM items;
CREATE VIEW writing_view AS SELECT writes() AS x;
CREATE VIEW view_of_view AS SELECT * FROM writing_view;
CREATE VIEW nextval_view AS SELECT nextval('numbers') AS n;
CREATE VIEW lock_view AS SELECT pg_try_advisory_xact_lock(1) AS n;
CREATE VIEW host_view AS SELECT pid FROM pg_stat_activity;
CREATE VIEW operator_view AS SELECT name |+| items AS n FROM items;
CREATE VIEW aggregate_view AS SELECT tally(id) AS n FROM items;
CREATE VIEW tenant_view AS SELECT * FROM items WHERE name = current_setting('app.tenant');
CREATE VIEW role_view AS SELECT current_setting('role') AS r, current_setting('TimeZone') AS t;
CREATE VIEW recovery_view AS SELECT current_setting('transaction_read_only') AS r;
CREATE VIEW random_view AS SELECT random() AS r, clock_timestamp() AS t;
CREATE MATERIALIZED VIEW kept AS SELECT nextval('numbers') AS n;
CREATE UNLOGGED TABLE fleeting (id int);
CREATE VIEW fleeting_view AS SELECT * FROM fleeting;
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE distant (id int) SERVER far;
CREATE TABLE guarded (id int, owner text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_owner ON guarded USING (owner = current_setting('app.user'));
CREATE TABLE counted (id int);
ALTER TABLE counted ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_writing ON counted USING (writes() > 0);
CREATE TABLE counted_idle (id int);
CREATE POLICY by_writing ON counted_idle USING (writes() > 0);
CREATE VIEW counted_view AS SELECT * FROM counted;
CREATE VIEW locking_view AS SELECT * FROM items FOR UPDATE;
CREATE VIEW deep_view AS SELECT * FROM (SELECT * FROM items FOR SHARE) AS i;
CREATE VIEW over_locking_view AS SELECT * FROM locking_view;
CREATE FUNCTION of_fleeting() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM "fleeting"';
CREATE FUNCTION of_fleeting_view() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM public.Fleeting_View); END';
CREATE FUNCTION of_of_fleeting() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT public.of_fleeting()';
CREATE FUNCTION atomic_fleeting() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(*) FROM fleeting; END;
CREATE FUNCTION atomic_of_fleeting() RETURNS bigint STABLE BEGIN ATOMIC SELECT of_of_fleeting(); END;
CREATE FUNCTION atomic_next() RETURNS bigint STABLE BEGIN ATOMIC SELECT nextval('numbers'); END;
CREATE FUNCTION atomic_items() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(*) FROM items; END;
CREATE FUNCTION next_stable() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT nextval(''numbers'')';
CREATE FUNCTION writes_stable() RETURNS int LANGUAGE sql STABLE AS 'SELECT writes()';
CREATE FUNCTION of_tenant() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_setting(''app.tenant'', true)';
CREATE VIEW of_fleeting_calls AS SELECT of_of_fleeting() AS n;
CREATE FUNCTION of_calls() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT n FROM of_fleeting_calls';
`;

/** Statement, and a part of the verdict. */
const ROWS: readonly [string, string][] = [
  ['SELECT 1', 'read'],
  ['SELECT pure(1)', 'read'],
  ['SELECT looks(1), public.looks(2)', 'read'],
  ['SELECT writes()', 'calls writes()'],
  ['SELECT other.writes()', 'calls writes()'],
  ['SELECT mixed(1)', 'calls mixed()'],
  ['SELECT nobody_knows()', 'not in the catalog'],
  ['SELECT by_default()', 'calls by_default()'],
  ['SELECT by_own_default()', 'calls by_own_default()'],
  ["SELECT upper('X')", 'read'],
  ["SELECT lower('X')", 'calls lower()'],
  ["SELECT pg_catalog.lower('X')", 'read'],
  ['SELECT i.name, i.computed_stable FROM items i', 'read'],
  ['SELECT i.computed FROM items i', '.computed'],
  ['SELECT (i).computed FROM items i', '.computed'],
  ['SELECT tally(id) FROM items', 'calls tally()'],
  ['SELECT total(id) FROM items', 'read'],
  ["SELECT 'x' || name FROM items", 'read'],
  ["SELECT 'x' |+| items FROM items", 'operator |+|'],
  ['SELECT * FROM items', 'read'],
  ['SELECT * FROM plain_view', 'read'],
  ['SELECT * FROM writing_view', 'reads writing_view'],
  ['SELECT * FROM view_of_view', 'reads view_of_view'],
  ['SELECT * FROM public.view_of_view', 'reads view_of_view'],
  ['SELECT * FROM other.view_of_view', 'read'],
  ['TABLE nextval_view', 'reads nextval_view'],
  ['TABLE lock_view', 'reads lock_view'],
  ['TABLE host_view', 'reads host_view'],
  ['TABLE operator_view', 'reads operator_view'],
  ['TABLE aggregate_view', 'reads aggregate_view'],
  ['TABLE tenant_view', 'read'],
  ['TABLE role_view', 'read'],
  ['TABLE recovery_view', 'reads recovery_view'],
  ['TABLE random_view', 'read'],
  ['TABLE kept', 'read'],
  ['TABLE fleeting', 'reads fleeting'],
  ['TABLE fleeting_view', 'reads fleeting_view'],
  ['TABLE parted', 'reads parted'],
  ['TABLE distant', 'reads distant'],
  ['TABLE numbers', 'reads numbers'],
  ['TABLE guarded', 'read'],
  ['TABLE counted', 'reads counted'],
  ['TABLE other.counted', 'read'],
  ['TABLE counted_idle', 'read'],
  ['TABLE counted_view', 'reads counted_view'],
  ['TABLE locking_view', 'reads locking_view'],
  ['TABLE deep_view', 'reads deep_view'],
  ['TABLE over_locking_view', 'reads over_locking_view'],
  ['SELECT of_fleeting()', 'calls of_fleeting()'],
  ['SELECT of_fleeting_view()', 'calls of_fleeting_view()'],
  ['SELECT of_of_fleeting()', 'calls of_of_fleeting()'],
  ['SELECT atomic_fleeting()', 'calls atomic_fleeting()'],
  ['SELECT atomic_of_fleeting()', 'calls atomic_of_fleeting()'],
  ['SELECT atomic_next()', 'calls atomic_next()'],
  ['SELECT atomic_items()', 'read'],
  ['SELECT next_stable()', 'calls next_stable()'],
  ['SELECT writes_stable()', 'calls writes_stable()'],
  ['SELECT of_tenant()', 'read'],
  ['TABLE of_fleeting_calls', 'reads of_fleeting_calls'],
  ['SELECT of_calls()', 'calls of_calls()'],
  ['WITH writing_view AS (SELECT 1) TABLE writing_view', 'read'],
  ['EXPLAIN SELECT writes()', 'calls writes()'],
  ['COPY (SELECT writes()) TO STDOUT', 'calls writes()'],
  ['EXECUTE p(writes())', 'calls writes()'],
  ['EXECUTE p(1)', 'read'],
  ['SHOW work_mem', 'neutral'],
  ['INSERT INTO items VALUES (1)', 'INSERT'],
];

const parser = await loadSqlParser();
let postgres: TestPostgres;
let code: DatabaseCode;

function verdict(text: string): string {
  return verdictOf(code, readSql(text, parser, true));
}

before(async () => {
  postgres = await startPostgres({ initSql: SCHEMA });
  code = await askDatabase(postgres.url());
});

after(() => postgres.stop());

test('the catalog tells which functions, operators and relations are not for replicas', () => {
  const wrong = ROWS.filter(([text, part]) =>
    part === 'read' || part === 'neutral' ? verdict(text) !== part : !verdict(text).includes(part),
  );
  assert.deepEqual(
    wrong.map(([text, part]) => [text, part, verdict(text)]),
    [],
  );
});

test('before it is asked, and after something has changed, everything may write', async () => {
  const fresh = await askDatabase(postgres.url());
  assert.equal(verdictOf(fresh, readSql('SELECT 1', parser, true)), 'read');
  fresh.forget(1000);
  assert.match(verdictOf(fresh, readSql('SELECT 1', parser, true)), /has not been read/);
  assert.ok(fresh.isDue(1000, true));
  // A replica may not have replayed the change yet.
  assert.ok(!fresh.isDue(1000, false) && fresh.isDue(1000 + 60_000, false));
});

test('a replica is not asked while the answer of the primary to what has just changed is awaited', async () => {
  const waiting = await askDatabase(postgres.url());
  waiting.forget(1000);
  waiting.question(1000);
  assert.ok(!waiting.isDue(4000, false) && waiting.isDue(4000, true));
});

test('a type that is dropped while the question runs is named as before', async () => {
  await postgres.query('CREATE DATABASE dropping TEMPLATE template0');
  const asking = new pg.Client({ connectionString: postgres.url('dropping') });
  const dropping = new pg.Client({ connectionString: postgres.url('dropping') });
  await Promise.all([asking.connect(), dropping.connect()]);
  await dropping.query(`CREATE TYPE "Amount" AS (n int);
    CREATE FUNCTION to_amount(text) RETURNS "Amount" LANGUAGE sql AS 'SELECT NULL::"Amount"';
    CREATE CAST (text AS "Amount") WITH FUNCTION to_amount(text)`);
  // The snapshot of the question is from before, as it is when it started a moment earlier.
  await asking.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_cast LIMIT 1');
  await dropping.query('DROP TYPE "Amount" CASCADE');
  const answers: unknown = await asking.query({
    text: `SET LOCAL search_path = pg_catalog${ACCESS_SQL}`,
    rowMode: 'array',
  });
  const rows = (answers as pg.QueryArrayResult[]).flatMap((answer) => answer.rows);
  assert.deepEqual(
    rows.filter(([kind]) => kind === 'hidden'),
    [['hidden', '', 'the cast from text to public."Amount" is VOLATILE']],
  );
  await Promise.all([asking.end(), dropping.end()]);
});

test('an answer to a question from before a change is not believed', async () => {
  const late = await askDatabase(postgres.url());
  const question = late.question(5000);
  late.forget(5001);
  question.onDone();
  assert.match(verdictOf(late, readSql('SELECT 1', parser, true)), /has not been read/);
  assert.ok(late.isDue(5001, true));
});

test('what any statement may set off makes all of them writes, and says so', async () => {
  const cases: readonly [string, RegExp][] = [
    [
      `CREATE FUNCTION to_items(text) RETURNS items LANGUAGE sql AS 'SELECT NULL::items';
       CREATE CAST (text AS items) WITH FUNCTION to_items(text)`,
      /the cast from text to public.items is VOLATILE/,
    ],
    [
      `CREATE DOMAIN checked AS int CHECK (nextval('numbers') > VALUE)`,
      /the check of the domain public.checked is VOLATILE/,
    ],
    [
      `CREATE FUNCTION same(items, items) RETURNS bool LANGUAGE sql AS 'SELECT true';
       CREATE OPERATOR = (LEFTARG = items, RIGHTARG = items, FUNCTION = same)`,
      /the operator = may be VOLATILE/,
    ],
  ];
  for (const [index, [sql, reason]] of cases.entries()) {
    const name = `hidden_${index}`;
    await postgres.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    const client = await askWith(name, `${SCHEMA}${sql}`);
    assert.match(verdictOf(client, readSql('SELECT 1', parser, true)), reason);
  }
});

/** What changes an answer, or might. */
const CHANGES = [
  'ALTER FUNCTION pure(int) VOLATILE',
  "CREATE OR REPLACE FUNCTION looks(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT writes()'",
  "CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  'DROP FUNCTION later()',
  'ALTER TABLE items SET UNLOGGED',
  'ALTER TABLE items RENAME TO things',
  'ALTER TABLE things ALTER COLUMN id SET DEFAULT writes()',
  'CREATE OR REPLACE VIEW plain_view AS SELECT id, name FROM things WHERE writes() > 0',
  'ALTER TABLE counted_idle ENABLE ROW LEVEL SECURITY',
  'ALTER POLICY by_owner ON guarded USING (writes() > 0)',
  'ALTER SCHEMA other RENAME TO another',
  'CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20)',
  'ALTER TABLE parted DETACH PARTITION parted_1',
  'CREATE TRIGGER changed BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION on_change()',
  'CREATE AGGREGATE later(int) (SFUNC = step, STYPE = int)',
  'CREATE OPERATOR |-| (LEFTARG = text, RIGHTARG = things, FUNCTION = glue)',
  "CREATE FUNCTION to_things(text) RETURNS things LANGUAGE sql AS 'SELECT NULL::things'; CREATE CAST (text AS things) WITH FUNCTION to_things(text)",
  'DROP CAST (text AS things)',
  "CREATE DOMAIN checked AS int CHECK (nextval('numbers') > VALUE)",
  'ALTER DOMAIN checked DROP CONSTRAINT checked_check',
  'CREATE ROLE renamed; ALTER ROLE renamed SET default_transaction_isolation = serializable',
  'ALTER ROLE renamed RENAME TO renamed_again',
  'ALTER DATABASE printed SET default_transaction_isolation = serializable',
];

test('asked again, it only looks whether something has changed; what has is read at once', async () => {
  await postgres.query('CREATE DATABASE printed TEMPLATE template0');
  const url = postgres.url('printed');
  const fresh = await askWith('printed', SCHEMA);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // What nobody has to read anything for.
    await client.query('CREATE TEMP TABLE brief (id serial PRIMARY KEY CHECK (id > 0)); ANALYZE');
    await client.query('VACUUM FREEZE');
    const check = await askAgain(fresh, url);
    assert.ok(!check.includes('prosrc'));
    assert.ok(!fresh.isDue(Date.now(), true));
    for (const change of CHANGES) {
      await client.query(change);
      assert.equal(await askAgain(fresh, url), check, change);
      assert.ok(fresh.isDue(Date.now(), true), `not seen: ${change}`);
      assert.match(await askAgain(fresh, url), /prosrc/);
      assert.ok(!fresh.isDue(Date.now(), true));
      assert.equal(await askAgain(fresh, url), check, 'and is known from then on');
      assert.ok(!fresh.isDue(Date.now(), true), `not kept: ${change}`);
    }
    assert.match(verdictOf(fresh, readSql('SELECT 1', parser, true)), /serializable/);
  } finally {
    await client.end();
  }
});

async function askWith(database: string, sql: string): Promise<DatabaseCode> {
  const client = new pg.Client({ connectionString: postgres.url(database) });
  await client.connect();
  await client.query(sql);
  await client.end();
  return askDatabase(postgres.url(database));
}

test('a role that has every default against us gets the same answers', async () => {
  await postgres.query(`
    CREATE ROLE odd LOGIN PASSWORD 'odd';
    ALTER ROLE odd SET search_path = 'other';
    ALTER ROLE odd SET standard_conforming_strings = off;
    ALTER ROLE odd SET bytea_output = 'escape';`);
  const other = await askDatabase(postgres.url().replace('postgres:postgres@', 'odd:odd@'));
  for (const [text] of ROWS) {
    const plan = readSql(text, parser, true);
    assert.equal(verdictOf(other, plan), verdictOf(code, plan), text);
  }
});

test('where transactions are serializable by default nothing is for replicas', async () => {
  await postgres.query("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
  try {
    const serializable = await askDatabase(postgres.url());
    assert.match(verdictOf(serializable, readSql('SELECT 1', parser, true)), /serializable by default/);
  } finally {
    await postgres.query('ALTER DATABASE postgres RESET default_transaction_isolation');
  }
});
