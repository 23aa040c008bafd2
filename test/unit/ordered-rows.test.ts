/** Rows that an INSERT gives with their order: what they are as rows of VALUES, and what is left as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CatalogRelation,
  loadSqlParser,
  readMade,
  type ShardScope,
  withEdits,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();
const relation = (placement: string) =>
  ({
    schema: 'public',
    name: 't',
    kind: 'table',
    placement,
    columns: [],
    uniques: [],
  }) as unknown as CatalogRelation;
const scopeOf = (placement: string): Pick<ShardScope, 'find' | 'madeKeys'> => ({
  find: (_schema, name) =>
    name === 't' ? { kind: 'relation', relation: relation(placement) } : { kind: 'unknown' },
});

/** The text that comes of it; null: itself. */
function plain(sql: string, placement = 'sharded'): string | null {
  const text = Buffer.from(sql);
  const statements = parser.parse(sql);
  assert.ok(statements !== null && statements !== 'unread', sql);
  const made = readMade(text, statements, parser, false, scopeOf(placement));
  if (made === null) return null;
  assert.equal(made.refusal, null, sql);
  const edits = made.edits.map(({ start, end, before }) => ({ start, end, text: before }));
  return Buffer.from(withEdits(text, 0, text.length, edits)).toString();
}

test('they are rows of VALUES, each value cast to its type', () => {
  const of = (rows: string, rest = '') =>
    `INSERT INTO t (a, b) SELECT p0::BIGINT, p1::NUMERIC(12, 2) FROM (VALUES ${rows}) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter${rest}`;
  assert.equal(
    plain(of('($1::BIGINT, $2, 0), ($3::BIGINT, $4, 1)', ' RETURNING t.id, t.id AS id__1')),
    'INSERT INTO t (a, b) VALUES ($1::BIGINT, CAST($2 AS NUMERIC(12, 2))), ($3::BIGINT, CAST($4 AS NUMERIC(12, 2))) RETURNING t.id, t.id AS id__1',
  );
  assert.equal(
    plain(of("('1', NULL, 0), ('2', 2.5, 7)", ' ON CONFLICT (a) DO NOTHING;')),
    "INSERT INTO t (a, b) VALUES (CAST('1' AS BIGINT), CAST(NULL AS NUMERIC(12, 2))), (CAST('2' AS BIGINT), CAST(2.5 AS NUMERIC(12, 2))) ON CONFLICT (a) DO NOTHING;",
  );
  assert.ok(plain(of('(1, 2, 0)'), 'omni') !== null);
  assert.equal(
    plain(
      "INSERT INTO t (a) SELECT x :: text[] FROM (VALUES ( ARRAY['a,b', ')'] ::text[] , 0), (ARRAY['c']::text[],1)) r (x, n) ORDER BY n",
    ),
    "INSERT INTO t (a) VALUES ( ARRAY['a,b', ')'] ::text[]), (ARRAY['c']::text[])",
  );
});

test('what might be something else is left as it is', () => {
  const of = (parts: { cols?: string; list?: string; rows?: string; names?: string; order?: string }) => {
    const { cols = 'a', list = 'x::int', rows = '($1, 0), ($2, 1)', names = 'x, n', order = 'n' } = parts;
    return `INSERT INTO t (${cols}) SELECT ${list} FROM (VALUES ${rows}) AS r (${names}) ORDER BY ${order}`;
  };
  assert.ok(plain(of({})) !== null);
  for (const parts of [
    { rows: "('1', 0), (2, 1)" },
    { rows: '($1::int8, 0), ($2::float8, 1)' },
    { rows: '($1, 0), (2, 1)' },
    { rows: '(random(), 0), (random(), 1)' },
    { rows: '(ARRAY[$1], 0), (ARRAY[$2], 1)', list: 'x::int[]' },
    { rows: '($1, 1), ($2, 0)' },
    { rows: '($1, 0), ($2, 0)' },
    { rows: '($1, -1), ($2, 0)' },
    { rows: '($1, $3), ($2, $4)' },
    { rows: '($1), ($2)', names: 'x', order: 'x' },
    { order: 'n DESC' },
    { order: 'x' },
    { order: 'n, x' },
    { order: 'n NULLS FIRST' },
    { order: 'n LIMIT 1' },
    { list: 'x' },
    { list: 'x::int + 1' },
    { list: 'x::int::text' },
    { list: 'r.x::int' },
    { list: 'n::int' },
    { list: 'DISTINCT x::int' },
    { cols: 'a, b', list: 'x::int, y::int', rows: '($1, $2, 0)', names: 'y, x, n' },
    { cols: 'a, b' },
  ]) {
    assert.equal(plain(of(parts)), null, of(parts));
  }
  assert.equal(plain(of({}).replace('(a)', '')), null, 'without names');
  assert.equal(plain(of({}), 'oneShard'), null);
  assert.equal(plain(of({}).replace('INTO t', 'INTO unknown')), null);
  assert.equal(plain(`WITH w AS (SELECT 1) ${of({}).replace('FROM (', 'FROM w, (')}`), null);
  assert.equal(plain(of({}).replace('FROM (', 'FROM LATERAL (')), null);
});
