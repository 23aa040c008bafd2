/** SELECT count(*) FROM (…) x over several shards: what these are asked, and what is made of what they answer. */
import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { loadSqlParser, type MergePlan, type ReadTerms, RowShape } from '@pgdog-cluster/core';
import { RowCount } from '@pgdog-cluster/worker';
import { planText, readShaped, readText, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});

it('rows that are counted are merged as if they were asked for', () => {
  const CASES: [sql: string, text: string, plan: string][] = [
    ['SELECT DISTINCT n FROM orders', 'SELECT DISTINCT n FROM orders', 'distinct'],
    [
      'SELECT n, sum(total) FROM orders GROUP BY n ORDER BY n',
      'SELECT n, sum(total) FROM orders GROUP BY n ORDER BY n',
      'group 0; - first',
    ],
    [
      'SELECT n FROM orders GROUP BY n ORDER BY n LIMIT 3',
      'SELECT\nn\nFROM orders\nGROUP BY n\nORDER BY n',
      'group 0; limit 3',
    ],
    [
      'SELECT n, max(f) FROM orders GROUP BY n HAVING count(*) > $1',
      'SELECT\nn AS "pgdog.0", pg_catalog.max((f)) AS "pgdog.1", pg_catalog.count(*) AS "pgdog.2", ($1)::pg_catalog.int8 AS "pgdog.3"\nFROM orders\nGROUP BY n',
      'group 0; - first count first',
    ],
    [
      'SELECT id FROM orders ORDER BY id LIMIT 3 OFFSET $1',
      'SELECT\nid\nFROM orders\nORDER BY id\nLIMIT 3::pg_catalog.int8 + $1::pg_catalog.int8',
      'limit 3; offset $1',
    ],
  ];
  for (const [inner, asked, expected] of CASES) {
    const sql = `SELECT count(*) FROM (${inner}) x`;
    const { spread } = readText(sql, { ...terms, text: Buffer.from(sql) });
    assert.equal(spread.kind, 'merge', sql);
    const { counts, rewrite } = spread.kind === 'merge' ? spread.plan : ({} as MergePlan);
    assert.equal(rewrite?.text, asked);
    assert.equal(counts && planText(counts), expected, sql);
    assert.equal(readShaped(sql, terms).spread.kind, 'byText', sql);
  }
  for (const sql of [
    'SELECT count(*), 1 FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(x.n) FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(*) FILTER (WHERE true) FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(*) OVER () FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(NULL) FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(*)::text FROM (SELECT DISTINCT n FROM orders) x',
    'SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x WHERE n > 1',
    'SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x GROUP BY n',
    'SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x HAVING true',
    'SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x LIMIT 1',
    'SELECT count(*) FROM LATERAL (SELECT DISTINCT n FROM orders) x',
    'SELECT count(*) FROM (SELECT DISTINCT n FROM orders) x, countries',
    'SELECT count(*) FROM (SELECT 1 / n FROM orders LIMIT 3) x',
    'SELECT count(*) FROM (SELECT 1 / 0 FROM orders LIMIT 3) x',
    'SELECT count(*) FROM (SELECT string_agg(note, note) FROM orders GROUP BY n) x',
    `SELECT count(*) FROM (SELECT n FROM orders WHERE note = '\\' LIMIT 3) x`,
  ]) {
    const { spread } = readText(sql, { ...terms, text: Buffer.from(sql) });
    assert.equal(spread.kind, 'refused', sql);
  }
});

it('the number is an int8, or an int4 by its cast, in the format that was asked for', () => {
  const hexOf = (typeOid: number, format: number, count: number): string | null => {
    const rows = new RowCount();
    rows.takeShape(new RowShape([{ name: 'count', typeOid, typmod: -1, format }]));
    const row = rows.row(count);
    return row === null ? null : Buffer.from(row.subarray(11)).toString('hex');
  };
  assert.equal(hexOf(20, 0, 12_345), Buffer.from('12345').toString('hex'));
  assert.equal(hexOf(20, 1, 2 ** 32 + 5), '0000000100000005');
  assert.equal(hexOf(20, 1, 2 ** 32 - 1), '00000000ffffffff');
  assert.equal(hexOf(23, 1, 2 ** 31 - 1), '7fffffff');
  assert.equal(hexOf(23, 0, 0), Buffer.from('0').toString('hex'));
  assert.equal(hexOf(23, 1, 2 ** 31), null, 'out of range');
});

it('count(*) OVER () beside rows adds up; other windows over all rows are refused', () => {
  const totalsOf = (sql: string): string => {
    const { spread } = readText(sql, { ...terms, text: Buffer.from(sql) });
    return spread.kind === 'merge' ? `${spread.plan.totals}` : spread.kind;
  };
  const CASES: [sql: string, totals: string][] = [
    ['SELECT id, count(*) OVER () FROM orders ORDER BY id', '1'],
    ['SELECT count(n) OVER (), id, (count(*) FILTER (WHERE n > 1) OVER ())::int FROM orders', '0,2'],
    ['SELECT *, pg_catalog.count(*) OVER () FROM orders', '8'],
    ['SELECT id, count(*) OVER (PARTITION BY user_id) FROM orders', 'undefined'],
    ['SELECT id, count(*) OVER (), row_number() OVER () FROM orders', 'refused'],
    ['SELECT id, count(*) OVER () AS t FROM orders ORDER BY t', 'refused'],
    ['SELECT id FROM orders ORDER BY count(*) OVER ()', 'refused'],
    ['SELECT id, count(*) OVER (ORDER BY id) FROM orders', 'refused'],
    ['SELECT id, count(*) OVER (PARTITION BY n) FROM orders', 'refused'],
    ['SELECT id, count(*) OVER (ROWS CURRENT ROW) FROM orders', 'refused'],
    ['SELECT id, sum(n) OVER () FROM orders', 'refused'],
    ['SELECT id, app.count(*) OVER () FROM orders', 'refused'],
    ['SELECT id, count(*) OVER ()::text FROM orders', 'refused'],
    ['SELECT DISTINCT n, count(*) OVER () FROM orders', 'refused'],
    ['SELECT n, count(*) OVER () FROM orders GROUP BY n', 'refused'],
    ['SELECT user_id, count(*) OVER () FROM orders GROUP BY user_id', 'refused'],
  ];
  for (const [sql, totals] of CASES) assert.equal(totalsOf(sql), totals, sql);
});
