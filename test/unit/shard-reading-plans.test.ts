// What is done with the rows of several shards, and what a reading knows of the shape of a text.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  catalogLookup,
  loadSqlParser,
  type ReadTerms,
  readShards,
  type SqlParser,
} from '@pgdog-cluster/core';
import { planText, readShaped, readText, termsOf, verdict } from './shard-fixture.js';
import { CATALOG } from './shard-fixture-catalog.js';

let parser: SqlParser;
let terms: ReadTerms;
before(async () => {
  parser = await loadSqlParser();
  terms = termsOf(parser);
});

function checkPlans(title: string, lines: string, read: (sql: string) => ReturnType<typeof readText>): void {
  for (const line of lines.trim().split('\n')) {
    const bar = line.indexOf('|');
    const [expected, sql] = [line.slice(0, bar).trim(), line.slice(bar + 1).trim()];
    it(`${title}: ${sql}`, () => {
      const { spread, refusal } = read(sql);
      assert.equal(refusal, null);
      const got = spread.kind === 'merge' ? planText(spread.plan) : spread.kind;
      assert.equal(
        got,
        expected,
        `${got}, not ${expected}: ${spread.kind === 'refused' ? spread.reason : ''}`,
      );
    });
  }
}

describe('merge plans', () => {
  checkPlans(
    'plan',
    `
 | SELECT * FROM orders
sort 0 asc last | SELECT id, n FROM orders ORDER BY id
sort 0 desc first | SELECT id, n FROM orders ORDER BY id DESC
sort 0 desc last; sort 1 asc first | SELECT id, n FROM orders ORDER BY id DESC NULLS LAST, n NULLS FIRST
sort 1 asc last | SELECT id, n FROM orders ORDER BY 2
sort 1 asc last | SELECT id, n AS x FROM orders ORDER BY x
sort 0 asc last | SELECT n AS id, id AS n FROM orders ORDER BY id
sort 1 asc last | SELECT n AS x, id FROM orders ORDER BY orders.id
sort 5 asc last | SELECT * FROM orders ORDER BY n
sort 4 asc last | SELECT * FROM orders ORDER BY status
sort 8 asc last | SELECT o.*, u.age FROM orders o JOIN users u ON u.id = o.user_id ORDER BY u.age
sort 0 asc last; limit 10; offset 5 | SELECT id FROM orders ORDER BY id LIMIT 10 OFFSET 5
limit $1; offset $2 | SELECT id FROM orders LIMIT $1 OFFSET $2
limit $1; offset $2 | SELECT id FROM orders LIMIT $1::int OFFSET $2::pg_catalog.int8
refused | SELECT id FROM orders LIMIT $1::smallint
refused | SELECT id FROM orders LIMIT $1::text::int
 | SELECT id FROM orders LIMIT ALL
distinct | SELECT DISTINCT n, id FROM orders
 | SELECT DISTINCT n, user_id FROM orders
sort 0 asc last; distinct; limit 3 | SELECT DISTINCT n FROM orders ORDER BY n LIMIT 3
group; count | SELECT count(*) FROM orders
group; count sum min max bool_and bool_or | SELECT count(n), sum(n), min(at), max(status), every(n > 1), bool_or(true) FROM orders
group; count | SELECT count(*) FILTER (WHERE n > 3) FROM orders
group 0; - count sum | SELECT n, count(*), sum(total) FROM orders GROUP BY n
group 1; count - | SELECT count(*), n AS x FROM orders GROUP BY x
group 0; - count | SELECT n, count(*) FROM orders GROUP BY 1
group 0,1; - - count | SELECT n, n, count(*) FROM orders GROUP BY n
sort 1 desc first; group 0; - count | SELECT n, count(*) FROM orders GROUP BY n ORDER BY count(*) DESC
sort 1 asc last; group 0; - max | SELECT n, max(at) AS m FROM orders GROUP BY n ORDER BY m
sort 0 asc last; group 0; - count; limit 3 | SELECT n, count(*) FROM orders GROUP BY n ORDER BY n LIMIT 3
sort 1 desc first; group 0; - count; limit 3 | SELECT n, count(*) FROM orders GROUP BY n ORDER BY count(*) DESC LIMIT 3
group 0; - count; limit 3 | SELECT n, count(*) FROM orders GROUP BY n LIMIT 3
group; count; limit 0 | SELECT count(*) FROM orders LIMIT 0
 | SELECT user_id, avg(total), string_agg(note, ',') FROM orders GROUP BY user_id HAVING count(*) > 1
sort 1 desc first; limit 3 | SELECT user_id, count(*) AS c FROM orders GROUP BY user_id ORDER BY c DESC LIMIT 3
 | SELECT u.id, u.name, max(o.total) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.name
 | SELECT *, rank() OVER (PARTITION BY user_id ORDER BY total) FROM orders
 | SELECT * FROM orders, jsonb_array_elements($1)
group; count | SELECT count(*) FROM (SELECT user_id FROM orders GROUP BY user_id) x
group; count | SELECT count(*) FROM (SELECT DISTINCT user_id, n FROM orders) x
refused | SELECT id FROM orders ORDER BY n
refused | SELECT note FROM orders ORDER BY note
refused | SELECT status FROM orders ORDER BY status COLLATE "de_DE"
refused | SELECT f FROM orders ORDER BY f
refused | SELECT id FROM orders ORDER BY id + 1
sort 0 asc last | SELECT id + 1 FROM orders ORDER BY id + 1
sort 0 asc last | SELECT id FROM orders ORDER BY id USING <
sort 0 desc first | SELECT id FROM orders ORDER BY id USING >
refused | SELECT id FROM orders ORDER BY id USING ~>~
sort 0 asc last | SELECT n::text, n AS x FROM orders ORDER BY n
refused | SELECT coalesce(n, 1), id FROM orders ORDER BY n
refused | SELECT DISTINCT total FROM orders
distinct | SELECT DISTINCT note || 'x' FROM orders
refused | SELECT DISTINCT f FROM orders
refused | SELECT DISTINCT ON (n) * FROM orders
 | SELECT DISTINCT ON (user_id) * FROM orders
sort 5 asc last; sort 0 asc last; first of 1 | SELECT DISTINCT ON (n) * FROM orders ORDER BY n, id
sort 1 asc last; sort 0 desc first; first of 2; limit 3 | SELECT DISTINCT ON (id, n) id, n FROM orders ORDER BY n, id DESC LIMIT 3
refused | SELECT DISTINCT ON (n) * FROM orders ORDER BY id, n
refused | SELECT DISTINCT ON (n) n, count(*) FROM orders GROUP BY n ORDER BY n
refused | SELECT avg(n) FROM orders
group; sum | SELECT sum(f) FROM orders
group; sum | SELECT sum(n + 1) FROM orders
group; max | SELECT max(note) FROM orders
group; max | SELECT max(f) FROM orders
refused | SELECT count(DISTINCT n) FROM orders
refused | SELECT string_agg(note, ',') FROM orders
refused | SELECT count(*) + 1 FROM orders
refused | SELECT count(*), 1 FROM orders
refused | SELECT count(*) FROM orders HAVING count(*) > 1
refused | SELECT n FROM orders GROUP BY n HAVING max(user_id) > 1
refused | SELECT count(*) FROM orders GROUP BY n
refused | SELECT n, count(*) FROM orders GROUP BY n, id
refused | SELECT total, count(*) FROM orders GROUP BY total
refused | SELECT n + 1, count(*) FROM orders GROUP BY n + 1
refused | SELECT n, count(*) FROM orders GROUP BY ROLLUP (n)
refused | SELECT DISTINCT count(*) FROM orders GROUP BY n
refused | SELECT o.user_id, count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY o.user_id HAVING count(*) > 1
refused | SELECT DISTINCT o.user_id, o.total FROM users u LEFT JOIN orders o ON o.user_id = u.id
refused | SELECT *, rank() OVER (ORDER BY n) FROM orders
refused | SELECT *, rank() OVER (PARTITION BY n) FROM orders
refused | SELECT *, rank() OVER (PARTITION BY o.user_id) FROM users u LEFT JOIN orders o ON o.user_id = u.id
refused | SELECT rank() OVER (PARTITION BY n), count(*) FROM orders GROUP BY n
refused | SELECT id FROM orders LIMIT 1 + 1
refused | SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS WITH TIES
refused | SELECT * FROM orders LIMIT 1 FOR UPDATE
refused | SELECT * FROM (SELECT id FROM orders FOR UPDATE) o
 | SELECT * FROM orders FOR UPDATE
refused | SELECT now(), id FROM orders
refused | SELECT ctid, id FROM orders
refused | SELECT o.tableoid FROM orders o
refused | SELECT current_database(), id FROM orders
refused | SELECT current_catalog, id FROM orders
refused | SELECT count(*) FROM orders, pg_class
 | SELECT random(), id FROM orders
 | SELECT * FROM orders UNION ALL SELECT * FROM orders
distinct | SELECT id FROM orders UNION SELECT id FROM users
 | SELECT user_id FROM orders UNION SELECT id FROM users
 | SELECT user_id, n FROM orders INTERSECT SELECT id, age FROM users
 | SELECT user_id FROM orders EXCEPT ALL SELECT id FROM users
refused | SELECT user_id FROM orders EXCEPT SELECT age FROM users
refused | SELECT id FROM orders INTERSECT SELECT id FROM users
refused | SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM users
refused | (SELECT id FROM orders UNION SELECT id FROM users) UNION ALL SELECT id FROM users
refused | SELECT id FROM orders UNION SELECT id FROM users ORDER BY id + 1
sort 0 asc last; limit 3; offset 1 | SELECT user_id FROM orders UNION SELECT id FROM users ORDER BY 1 LIMIT 3 OFFSET 1
group; bool_or | SELECT EXISTS (SELECT 1 FROM orders WHERE n = 3)
group; bool_and bool_or first | SELECT NOT EXISTS (SELECT 1 FROM orders), EXISTS (SELECT 1 FROM users LIMIT 1), 'x'
group; count max | SELECT (SELECT count(*) FROM orders), (SELECT max(at) FROM orders)
refused | SELECT EXISTS (SELECT 1 FROM orders HAVING count(*) > 3)
refused | SELECT EXISTS (SELECT 1 FROM orders o JOIN users u ON u.age = o.n)
refused | SELECT EXISTS (SELECT 1 FROM orders), random()
refused | SELECT fine(n) FROM orders
refused | SELECT * FROM (SELECT avg(n) FROM orders) x
refused | SELECT count(*) FROM (SELECT n FROM orders GROUP BY n) x
refused | SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x
refused | SELECT * FROM orders o JOIN (SELECT code FROM countries LIMIT 3) c ON c.code = o.note
refused | SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM orders p WHERE p.n = o.n)
refused | SELECT * FROM orders, jsonb_array_elements($1) ORDER BY id`,
    (sql) => readText(sql, terms),
  );
});

it('aggregates that users have made under the names of Postgres’s own are none of those', () => {
  const functions = ['count', 'sum', 'max', 'bool_or', 'bit_or', 'avg'].map(
    (name) => ['app', name, false] as const,
  );
  const own = { ...terms, lookup: catalogLookup({ ...CATALOG, functions }, ['public']) };
  const CASES: [sql: string, isMerged: boolean][] = [
    ['SELECT count(*), sum(n), avg(total), max(at), max(note), bit_or(n) FROM orders', true],
    ['SELECT count(n) FROM orders', false],
    ['SELECT max(n + 1) FROM orders', false],
    ['SELECT sum(at) FROM orders', false],
    ['SELECT bool_or(n) FROM orders', false],
    ['SELECT bit_or(note) FROM orders', false],
    ['SELECT avg(at) FROM orders', false],
    ['SELECT n FROM orders GROUP BY n HAVING count(id) > 1', false],
    ['SELECT pg_catalog.count(n), pg_catalog.max(n + 1), min(n + 1) FROM orders', true],
  ];
  for (const [sql, isMerged] of CASES) {
    const { spread } = readText(sql, { ...own, text: Buffer.from(sql) });
    assert.equal(spread.kind === 'merge', isMerged, sql);
    if (spread.kind === 'refused') assert.match(spread.reason, /of which users have made one/);
  }
});

describe('shapes', () => {
  const shaped = (sql: string): string => verdict(readShaped(sql, terms));
  const CASES: [sql: string, expected: string][] = [
    ['SELECT * FROM orders WHERE user_id = 42', 'direct #0'],
    ['SELECT * FROM orders WHERE n = 5 AND user_id = -42', 'direct -#1'],
    ["SELECT * FROM orders WHERE user_id = '42'", 'direct #0'],
    ['SELECT * FROM orders WHERE user_id = 12345678901', 'direct #0'],
    ['SELECT * FROM orders WHERE user_id IN (1, 2, 3)', 'direct #0…'],
    ['SELECT * FROM orders WHERE user_id IN (-1, 2, 3)', 'direct #0…'],
    ['SELECT * FROM orders WHERE user_id IN (1, 2, $1)', 'direct #0…,$1'],
    ['SELECT * FROM orders WHERE user_id IN ($1, 1, 2)', 'direct $1,#0,#1'],
    ['SELECT * FROM orders WHERE user_id = ANY (ARRAY[1, 2])', 'direct #0…'],
    ["SELECT * FROM orders WHERE user_id = ANY ('{1,2}')", 'direct {#0}'],
    ['SELECT * FROM orders WHERE (user_id, n) IN ((1, 2), (3, 4))', 'direct #0,#2'],
    ['SELECT * FROM orders WHERE user_id = $1 AND n = 5', 'direct $1'],
    ['SELECT * FROM orders WHERE user_id = NULL', 'direct null'],
    ['SELECT * FROM orders WHERE user_id = 1 OR user_id = 2', 'direct #0,#1'],
    ["SELECT * FROM names WHERE name = 'abc'", 'direct #0'],
    ['SELECT * FROM names WHERE name = 5', 'merge'],
    ["SELECT * FROM names WHERE name = x'5'::text", 'merge'],
    ["SELECT * FROM tags WHERE name = 'abc'", 'direct #0'],
    ["INSERT INTO tags (name) VALUES ('abc')", 'refused'],
    ['INSERT INTO orders (id, user_id) VALUES (5, 6)', 'direct #1'],
    ['INSERT INTO orders (id, user_id) VALUES (5, 6), ($1, 7)', 'direct #1,#2'],
    ["INSERT INTO names (name) VALUES ('abc')", 'direct #0'],
    // A constant in a view has no place in the statement.
    ['SELECT * FROM one_view WHERE total = 1', 'direct 7'],
    ['SELECT 5, * FROM one_view', 'direct 7'],
    // What stands in the place of a position is not known.
    ['SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY 1) x WHERE user_id = 1', 'no'],
  ];
  for (const [sql, expected] of CASES) it(sql, () => assert.equal(shaped(sql), expected));

  checkPlans(
    'plan of a shape',
    `
sort 0 asc last; limit #0; offset #1 | SELECT id FROM orders ORDER BY id LIMIT 10 OFFSET 5
byText | SELECT id FROM orders ORDER BY 1
byText | SELECT n, count(*) FROM orders GROUP BY 1
byText | SELECT id FROM orders ORDER BY n
byText | SELECT avg(n) FROM orders
limit #0 | SELECT id FROM orders LIMIT '5'
limit #0; offset #1 | SELECT id FROM orders LIMIT '5'::int4 OFFSET 3::bigint
refused | SELECT id FROM orders LIMIT '5'::numeric
byText | SELECT sum(n) FILTER (WHERE id = 1) AS a FROM orders GROUP BY id ORDER BY sum(n) FILTER (WHERE id = 2)`,
    (sql) => readShaped(sql, terms),
  );

  it('asks for the text where it depends on literals', () => {
    const asks = (sql: string): boolean => readShaped(sql, terms).needsText === true;
    for (const sql of [
      'SELECT n, count(*) FROM orders GROUP BY 1',
      'SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY 1) x WHERE user_id = 1',
      'SELECT n, count(*) FROM orders WHERE user_id IN (1, 2) GROUP BY 1',
      "INSERT INTO countries (code, at) VALUES ('x', 'now')",
      "INSERT INTO countries (code, at) VALUES ('x', 'now'::timestamptz)",
      "UPDATE orders SET at = 'now'",
      "DELETE FROM countries WHERE at < 'now'",
      "INSERT INTO orders (user_id, at) VALUES (1, '2024-01-01'), (2, $1)",
    ]) {
      assert.equal(asks(sql), true, sql);
    }
    for (const sql of [
      'SELECT n, count(*) FROM orders WHERE user_id = 1 GROUP BY 1',
      // How several shards are asked, if they are, is read from the text then.
      'SELECT id FROM orders ORDER BY 1',
      'SELECT n, avg(total) FROM orders WHERE user_id IN (1, 2) GROUP BY n HAVING count(*) > 3',
      "UPDATE orders SET at = 'now' WHERE user_id = 1",
      "INSERT INTO countries (code) VALUES ('x')",
      "SELECT * FROM orders WHERE at < '2024-01-01'::timestamptz",
      "SELECT * FROM countries WHERE at = '2024-01-01'::timestamptz",
    ]) {
      assert.equal(asks(sql), false, sql);
    }
    // Its key may lead to no shard, and then it would be for all of them.
    assert.equal(readShaped("UPDATE orders SET at = 'now' WHERE user_id = 1", terms).spread.kind, 'refused');
  });

  it('never looks at a literal of a shape', () => {
    const statement = parser.parse('SELECT * FROM orders WHERE user_id = 0')?.at(0);
    assert.ok(statement !== undefined && typeof statement !== 'string');
    const literals = (): { index: number; isNegative: boolean } => ({ index: 9, isNegative: false });
    const reading = readShards(statement.kind, statement.node, { ...terms, literals });
    assert.deepEqual(reading.groups[0].pins, [
      { sources: [{ kind: 'literal', index: 9, isNegative: false, form: 'integer' }] },
    ]);
  });
});

describe('what a reading says', () => {
  it('names the group by table and key, with the widest of its types', () => {
    const { groups } = readText(
      'SELECT * FROM items JOIN orders USING (user_id) WHERE items.user_id = 1',
      terms,
    );
    assert.deepEqual(groups, [
      {
        rule: 1,
        keyType: 'pg_catalog.int8',
        column: 'items.user_id',
        pins: [{ sources: [{ kind: 'value', text: '1', form: 'integer' }] }],
      },
    ]);
  });

  it('says which table lacks a key', () => {
    const { spread } = readText('SELECT * FROM users u, orders o WHERE u.id = 1', terms);
    assert.ok(spread.kind === 'refused');
    assert.equal(spread.reason, 'users.id and orders.user_id are not joined by their sharding keys');
    assert.equal(spread.remedy, 'compare the two keys, or give orders.user_id a value');
  });

  it('names the column that INSERT lacks', () => {
    const { refusal } = readText('INSERT INTO orders (id) VALUES (1)', terms);
    assert.equal(refusal?.reason, 'INSERT into "orders" does not give its sharding key "user_id"');
  });

  it('says what the catalog does not know', () => {
    const reading = readText('SELECT * FROM nowhere, app.elsewhere', terms);
    assert.deepEqual(reading.unknown, ['nowhere', 'app.elsewhere']);
  });

  it('takes sequences that the operator vouches for', () => {
    const sql = "INSERT INTO logs (user_id, text) VALUES (1, 'a')";
    assert.equal(verdict(readText(sql, terms)), 'refused');
    assert.equal(verdict(readText(sql, { ...terms, hasShardSequences: true })), 'direct 1');
  });

  it('splits an INSERT of several rows, if it may and the time is not asked', () => {
    const spread = (sql: string, more: Partial<ReadTerms> = {}): string =>
      readText(sql, { ...terms, ...more }).spread.kind;
    assert.equal(spread('INSERT INTO orders (user_id) VALUES (1), (2)'), 'split');
    assert.equal(spread('INSERT INTO orders (user_id, at) VALUES (1, now()), (2, now())'), 'refused');
    assert.equal(spread('WITH c AS (SELECT 1) INSERT INTO orders (user_id) VALUES (1), (2)'), 'refused');
    const sharding = { ...terms.sharding, areInsertsSplit: false };
    assert.equal(spread('INSERT INTO orders (user_id) VALUES (1), (2)', { sharding }), 'refused');
  });

  it('refuses tables of a schema that has become one of one shard', () => {
    const sharding = { ...terms.sharding, schemas: [{ name: 'public', shard: 1, isOnAll: false }] };
    for (const sql of ['SELECT * FROM countries', 'DELETE FROM plain']) {
      assert.equal(verdict(readText(sql, { ...terms, sharding })), 'refused');
    }
  });

  it('takes definitions without a schema where all schemas are on all shards', () => {
    const sharding = { ...terms.sharding, schemas: [] };
    for (const sql of [
      'CREATE TABLE x ()',
      'ANALYZE',
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ]) {
      assert.equal(verdict(readText(sql, { ...terms, sharding })), 'every');
    }
  });
});
