// Whose values groups are compared and sorted by: what has an order, or an equality, that Postgres alone knows is refused.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { loadSqlParser, type MergePlan, type ReadTerms } from '@pgdog-cluster/core';
import { readText, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});

function planOf(sql: string): MergePlan {
  const { spread } = readText(sql, { ...terms, text: Buffer.from(sql) });
  if (spread.kind !== 'merge') assert.fail(spread.kind === 'refused' ? spread.reason : spread.kind);
  return spread.plan;
}

/** What must not be text of what shards are asked for. */
function textless(sql: string): string[] {
  const { plain, rewrite } = planOf(sql);
  const texts = [...(rewrite?.text ?? '').matchAll(/(.*?) AS "pgdog\.\d+"(?:, |\n)/g)].map(([, text]) =>
    text.replaceAll('"', ''),
  );
  return (plain ?? []).filter(({ mayBeText }) => !mayBeText).map(({ column }) => texts[column]);
}

describe('what must not be text, as its order is not known', () => {
  const CASES: [rest: string, columns: string[]][] = [
    ["GROUP BY note HAVING note > 'm' AND count(*) > 0", ['note']],
    ["GROUP BY note HAVING coalesce(note, '') > 'm' AND count(*) > 0", ['note']],
    ["GROUP BY note HAVING coalesce(NULL, nullif(note, max(status))) > 'm'", ['note']],
    ["GROUP BY note HAVING greatest(note, 'm') = 'm' AND count(*) > 0", ['note']],
    ["GROUP BY note HAVING CASE WHEN count(*) > 1 THEN note ELSE 'x' END > 'm'", ['note']],
    ["GROUP BY note, status HAVING CASE status WHEN 'a' THEN note END > 'm' AND count(*) > 1", ['note']],
    [
      "GROUP BY note, status HAVING CASE WHEN note IS NULL THEN status ELSE 'x' END > 'm' AND count(*) > 1",
      [],
    ],
    [
      'GROUP BY lower(note), upper(note) HAVING lower(note) < upper(note) AND count(*) > 1',
      ['lower(note)', 'upper(note)'],
    ],
    ['GROUP BY note ORDER BY CASE WHEN count(*) > 1 THEN note END', ['note']],
    ['GROUP BY note ORDER BY coalesce(note, max(note))', ['note', 'pg_catalog.max((note))']],
    ['GROUP BY lower(note) ORDER BY coalesce(lower(note), max(status))', ['lower(note)']],
    ['GROUP BY status ORDER BY CASE WHEN count(*) > 1 THEN status END', []],
    ['GROUP BY note ORDER BY count(*) > 1, CASE WHEN note IS NULL THEN 1 ELSE count(*) END', []],
  ];
  for (const [rest, columns] of CASES) {
    const sql = `SELECT count(*), avg(n) FROM orders ${rest}`;
    it(rest, () => assert.deepEqual(textless(sql).sort(), columns.sort()));
  }
});

describe('what must not be text, as DISTINCT goes by bytes', () => {
  const CASES: [sql: string, columns: string[]][] = [
    ['SELECT DISTINCT note COLLATE ci, avg(n) FROM orders GROUP BY note', ['note COLLATE ci']],
    ['SELECT DISTINCT note COLLATE "C", avg(n) FROM orders GROUP BY note', []],
    ['SELECT DISTINCT upper(note), avg(n) FROM orders GROUP BY note', []],
    ['SELECT DISTINCT f.x, avg(n) FROM orders, unnest(ARRAY[1]) AS f (x) GROUP BY f.x', ['f.x']],
    [
      'SELECT DISTINCT coalesce(max(note COLLATE ci) IS NULL, true), count(*) FROM orders GROUP BY n',
      ['pg_catalog.max((note COLLATE ci))'],
    ],
    ['SELECT note COLLATE ci, avg(n) FROM orders GROUP BY note', []],
  ];
  for (const [sql, columns] of CASES) it(sql, () => assert.deepEqual(textless(sql), columns));
});
