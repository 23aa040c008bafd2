// What shards are asked instead of a statement whose groups, or whose order, they cannot give as it stands.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  loadSqlParser,
  type MergePlan,
  type ReadTerms,
  type Spread,
  type SqlParser,
} from '@pgdog-cluster/core';
import { readText, termsOf } from './shard-fixture.js';

let parser: SqlParser;
let terms: ReadTerms;
before(async () => {
  parser = await loadSqlParser();
  terms = termsOf(parser);
});

const spreadOf = (sql: string): Spread => readText(sql, { ...terms, text: Buffer.from(sql) }).spread;

function planOf(sql: string): MergePlan {
  const spread = spreadOf(sql);
  assert.equal(spread.kind, 'merge', spread.kind === 'refused' ? spread.reason : spread.kind);
  return (spread as { plan: MergePlan }).plan;
}

/** On one line, without the names of columns. */
const asked = (sql: string): string =>
  (planOf(sql).rewrite?.text ?? 'as it is').replaceAll('\n', ' ').replace(/ AS "pgdog\.\d+"/g, '');

describe('what shards are asked', () => {
  const CASES: [sql: string, text: string][] = [
    ['SELECT avg(n) FROM orders', 'SELECT pg_catalog.sum((n)), pg_catalog.count((n)) FROM orders'],
    [
      'SELECT n, avg(total) AS a FROM orders WHERE n > 3 GROUP BY n ORDER BY a DESC LIMIT 3 OFFSET 2;',
      'SELECT n, pg_catalog.sum((total)), pg_catalog.count((total)) FROM orders WHERE n > 3 GROUP BY n',
    ],
    [
      'SELECT avg(DISTINCT user_id) FROM orders',
      'SELECT pg_catalog.sum(DISTINCT (user_id)), pg_catalog.count(DISTINCT (user_id)) FROM orders',
    ],
    ['SELECT count(DISTINCT n) FROM orders', 'SELECT n FROM orders GROUP BY n'],
    [
      'SELECT count(DISTINCT n) FILTER (WHERE id > 1), count(DISTINCT user_id) FROM orders',
      'SELECT CASE WHEN (id > 1) THEN (n) END, user_id FROM orders GROUP BY CASE WHEN (id > 1) THEN (n) END, user_id',
    ],
    [
      'SELECT stddev(n), avg(abs(n)) FROM orders WHERE at > now()',
      'SELECT pg_catalog.sum((n)), pg_catalog.count((n)), pg_catalog.sum((n)::numeric * (n)::numeric), ' +
        'pg_catalog.sum((abs(n))), pg_catalog.count((abs(n))) FROM orders WHERE at > now()',
    ],
    [
      'SELECT variance(n) FILTER (WHERE id > 1) FROM orders',
      'SELECT pg_catalog.sum((n)) FILTER (WHERE id > 1), pg_catalog.count((n)) FILTER (WHERE id > 1), ' +
        'pg_catalog.sum((n)::numeric * (n)::numeric) FILTER (WHERE id > 1) FROM orders',
    ],
    [
      "SELECT n FROM orders GROUP BY 1 HAVING max(at) > '2024-01-01' AND count(*) > $1",
      "SELECT n, pg_catalog.max((at)), ('2024-01-01')::pg_catalog.timestamptz, pg_catalog.count(*), " +
        '($1)::pg_catalog.int8 FROM orders GROUP BY n',
    ],
    [
      'SELECT count(*) FROM orders GROUP BY n HAVING n > 1',
      'SELECT pg_catalog.count(*), n FROM orders GROUP BY n HAVING n > 1',
    ],
    [
      'SELECT avg(n) FROM orders LIMIT $1 OFFSET $2',
      'SELECT pg_catalog.sum((n)), pg_catalog.count((n)) FROM orders ' +
        'OFFSET $1::pg_catalog.int8 * 0 + $2::pg_catalog.int8 * 0',
    ],
    ['SELECT id FROM orders ORDER BY n', 'SELECT id, n FROM orders ORDER BY n'],
    [
      'SELECT id FROM orders WHERE n IS DISTINCT FROM 3 ORDER BY n + 1 DESC NULLS LAST, id LIMIT 5 OFFSET 2 -- end',
      'SELECT id, n + 1 FROM orders WHERE n IS DISTINCT FROM 3 ORDER BY n + 1 DESC NULLS LAST, id ' +
        'LIMIT 5::pg_catalog.int8 + 2::pg_catalog.int8',
    ],
    [
      'SELECT DISTINCT user_id, f FROM orders ORDER BY 2, 1',
      'SELECT DISTINCT user_id, f, f FROM orders ORDER BY 2, 1',
    ],
    [
      'SELECT -f AS f, user_id FROM orders ORDER BY orders.f',
      'SELECT -f AS f, user_id, orders.f FROM orders ORDER BY orders.f',
    ],
    ['SELECT count(*) FROM orders', 'as it is'],
    [
      'SELECT 100 / (n - 5), upper(note) FROM orders GROUP BY n, note HAVING count(*) > 3 ORDER BY n + 1',
      'SELECT "n", upper(note), pg_catalog.count(*), n, note FROM orders GROUP BY n, note',
    ],
    [
      'SELECT 100 / (n - 5), upper(note), (n % 2) + 0 FROM orders GROUP BY n, note HAVING n <> 5',
      'SELECT 100 / (n - 5), upper(note), (n % 2) + 0, n, note FROM orders GROUP BY n, note HAVING n <> 5',
    ],
    [
      "SELECT n % 2, date_trunc('month', at), CASE WHEN note IS NULL THEN 'x' ELSE note || $1 END, 1 / 0 FROM orders GROUP BY n % 2, at, note HAVING count(*) > '3'",
      "SELECT n % 2, date_trunc('month', at), CASE WHEN note IS NULL THEN 'x' ELSE note || $1 END, 1 / 0, pg_catalog.count(*), at, note FROM orders GROUP BY n % 2, at, note",
    ],
    [
      'SELECT x, avg(n) FROM orders, generate_series(1, 3) x GROUP BY x',
      'SELECT x, pg_catalog.sum((n)), pg_catalog.count((n)) FROM orders, generate_series(1, 3) x GROUP BY x',
    ],
    [
      'SELECT n % 2 AS o, avg(n) FROM orders o GROUP BY o',
      'SELECT n % 2, pg_catalog.sum((n)), pg_catalog.count((n)) FROM orders o GROUP BY n % 2',
    ],
    ['SELECT user_id, avg(total) FROM orders GROUP BY user_id HAVING count(*) > 1', 'as it is'],
  ];
  for (const [sql, text] of CASES) it(sql, () => assert.equal(asked(sql), text));

  it('lists are as long as statements may be, what they are compared with is read once', () => {
    const items = Array.from({ length: 1000 }, (_, i) => i).join(', ');
    const terms = Array.from({ length: 100 }, (_, i) => ` + ${i}`).join('');
    const of = (value: string): Spread =>
      spreadOf(`SELECT n FROM orders GROUP BY n HAVING ${value} IN (${items})`);
    assert.equal(of('count(*)').kind, 'merge');
    assert.equal(of('(count(*) + n)').kind, 'merge');
    // It would be computed for each item of each group.
    assert.equal(of(`(count(*)${terms})`).kind, 'refused');
  });

  it('columns have names that hide none of the tables', () => {
    assert.equal(
      planOf('SELECT id FROM orders ORDER BY n').rewrite?.text,
      'SELECT\nid, n AS "pgdog.0"\nFROM orders\nORDER BY n',
    );
  });

  it('the client’s columns are asked for in its formats, what is computed with in binary', () => {
    const { rewrite } = planOf('SELECT n, avg(total), max(at) FROM orders GROUP BY n');
    assert.deepEqual(rewrite?.formats, [0, -1, -1, 2]);
    assert.equal(rewrite?.shownCount, 3);
  });
});

describe('what is refused of groups', () => {
  const CASES: [sql: string, reason: string][] = [
    ['SELECT string_agg(note, $1) FROM orders', 'string_agg() over several shards'],
    ['SELECT avg(n) FROM orders HAVING count(*) > (SELECT 1)', 'an expression over groups of several shards'],
    [
      'SELECT n, avg(id) FROM orders GROUP BY n HAVING upper(max(note)) > $1',
      'upper() of groups of several shards',
    ],
    ['SELECT avg(n), id FROM orders', '"id" is not in GROUP BY'],
    [
      'SELECT total, avg(n) FROM orders GROUP BY total',
      'GROUP BY of something whose equality Postgres alone knows',
    ],
    [
      'SELECT count(*) > $1, n = $1 FROM orders GROUP BY n',
      '$1, which is compared with groups and used elsewhere as well',
    ],
    ["SELECT avg(n) FROM orders HAVING max(at) < 'now'", "'now' would differ from shard to shard"],
    ['SELECT avg(n), now() FROM orders', 'now() would differ from shard to shard'],
    ['SELECT count(DISTINCT n), 1 FROM orders', 'DISTINCT values beside constants, without GROUP BY'],
    ['SELECT n FROM orders GROUP BY n, id HAVING random() > 0.5', 'random() beside HAVING'],
    ['SELECT stddev((random() * 10)::int) FROM orders', 'stddev() beside random()'],
    ['SELECT avg(5) FILTER (WHERE random() < 0.5) FROM orders', 'avg() beside random()'],
    ['SELECT avg(DISTINCT n) FILTER (WHERE random() < 0.5) FROM orders', 'avg() beside random()'],
    ['SELECT avg(n + extract(epoch FROM clock_timestamp())) FROM orders', 'avg() beside clock_timestamp()'],
    ["SELECT stddev('5') FROM orders", 'stddev() of a constant without a type'],
    ['SELECT variance($1) FROM orders', 'variance() of a constant without a type'],
    [
      'SELECT n FROM orders GROUP BY n HAVING count(*) > 3 ORDER BY sqrt(n)',
      'sqrt() of groups of several shards',
    ],
    [
      "SELECT n, date_trunc('moth', at) FROM orders GROUP BY n, at HAVING count(*) > 3",
      'date_trunc() of groups of several shards',
    ],
    ["SELECT count(*) > ' 1' FROM orders", 'a text that is not plainly int8'],
    ['SELECT count(*) = NULL FROM orders', '= NULL over groups'],
    ['SELECT sum(DISTINCT total) FROM orders', 'sum(DISTINCT) over several shards'],
    ["SELECT avg(n) FROM orders WHERE note = 'a\\b'", 'a statement that cannot be rewritten'],
    ['(SELECT avg(n) FROM orders)', 'a statement that cannot be rewritten'],
    ['SELECT avg(n) FROM orders GROUP BY ROLLUP (n)', 'GROUPING SETS'],
    ['SELECT avg(n ORDER BY id) FROM orders', 'avg() over several shards'],
    [
      `SELECT ${'('.repeat(60)}bool_and(true)${' BETWEEN false AND true)'.repeat(60)} FROM orders`,
      'expressions over groups',
    ],
    ['SELECT id FROM orders ORDER BY note', 'ORDER BY something whose order Postgres alone knows'],
    [
      'SELECT x / 10 AS x, count(*) FROM orders, generate_series(1, 20) x GROUP BY x',
      'GROUP BY "x", which may be a column of something in FROM',
    ],
    [
      'SELECT n AS x, count(*) FROM orders, generate_series(1, 20) x GROUP BY x, n',
      'GROUP BY "x", which may be a column of something in FROM',
    ],
    ["SELECT count(*) IN ('1', 2.5) FROM orders", 'a list of values of several types'],
  ];
  for (const [sql, reason] of CASES) {
    it(sql, () => {
      const spread = spreadOf(sql);
      assert.equal(spread.kind, 'refused');
      assert.ok((spread as { reason: string }).reason.startsWith(reason), JSON.stringify(spread));
    });
  }

  it('within another statement nothing is rewritten', () => {
    const sql = 'COPY (SELECT avg(n) FROM orders) TO STDOUT';
    assert.equal(spreadOf(sql).kind, 'refused');
  });
});
