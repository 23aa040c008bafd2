/** Where pgdog.unique_id() may stand, and what comes in its place; edits that the grammar reads otherwise are not used. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isReadAs,
  loadSqlParser,
  type MadeReading,
  readSql,
  readSqlBytes,
  withEdits,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();

function made(sql: string): MadeReading | undefined {
  return readSql(sql, parser, true).made;
}

/** The text with `'1'`, `'2'`… for the values. */
function filled(sql: string): string {
  const reading = made(sql);
  assert.ok(reading !== undefined, sql);
  assert.equal(reading.refusal, null, `${sql}: ${reading.refusal?.reason}`);
  let next = 1;
  const edits = reading.edits.map(({ start, end, before, value, after }) => {
    return { start, end, text: `${before}${value === null ? '' : `'${next++}'`}${after}` };
  });
  const bytes = Buffer.from(sql);
  return Buffer.from(withEdits(bytes, 0, bytes.length, edits)).toString();
}

test('a client cannot mark values of its own beside ours', () => {
  for (const sql of [
    'INSERT INTO t VALUES (pgdog.unique_id(), 5::int8::int8)',
    'INSERT INTO t VALUES (pgdog.unique_id(), (SELECT CAST(CAST($1 AS int8) AS int8)))',
    'SELECT pgdog.unique_id(); INSERT INTO t VALUES ((5::int8)::int8)',
  ]) {
    assert.match(made(sql)?.refusal?.reason ?? '', /cast to int8 twice/, sql);
  }
  assert.equal(made('INSERT INTO t VALUES (pgdog.unique_id(), 5::int8)')?.refusal, null);
});

const NAMED = (n: number): string => `(SELECT '${n}'::int8::int8 AS unique_id)`;

for (const [sql, wanted] of [
  ['SELECT pgdog.unique_id()', `SELECT ${NAMED(1)}`],
  ['select PGDOG . Unique_Id /* x */ ( ) ::text', `select ${NAMED(1)} ::text`],
  ['SELECT pgdog.unique_id() AS x, 1', "SELECT '1'::int8::int8 AS x, 1"],
  ['SELECT "pgdog"."unique_id"() + 1 AS x', "SELECT '1'::int8::int8 + 1 AS x"],
  ['SELECT 1 WHERE true UNION SELECT pgdog.unique_id()', `SELECT 1 WHERE true UNION SELECT ${NAMED(1)}`],
  ['VALUES (pgdog.unique_id()), (pgdog.unique_id())', "VALUES ('1'::int8::int8), ('2'::int8::int8)"],
  [
    "INSERT INTO t VALUES (pgdog.unique_id(), 'é pgdog.unique_id()')",
    "INSERT INTO t VALUES ('1'::int8::int8, 'é pgdog.unique_id()')",
  ],
  [
    "INSERT INTO t (é, b) VALUES ('é', pgdog.unique_id())",
    "INSERT INTO t (é, b) VALUES ('é', '1'::int8::int8)",
  ],
  ['INSERT INTO t SELECT pgdog.unique_id(), now()', "INSERT INTO t SELECT '1'::int8::int8, now()"],
  ['INSERT INTO t VALUES ((SELECT pgdog.unique_id()))', `INSERT INTO t VALUES ((SELECT ${NAMED(1)}))`],
  [
    'WITH n AS (SELECT pgdog.unique_id() AS id) INSERT INTO t SELECT id, x FROM n, u',
    "WITH n AS (SELECT '1'::int8::int8 AS id) INSERT INTO t SELECT id, x FROM n, u",
  ],
  [
    'INSERT INTO t VALUES (md5(pgdog.unique_id()::text))',
    "INSERT INTO t VALUES (md5('1'::int8::int8::text))",
  ],
  ['SELECT 1; SELECT pgdog.unique_id() AS a', "SELECT 1; SELECT '1'::int8::int8 AS a"],
] as const) {
  test(`filled in: ${sql}`, () => assert.equal(filled(sql), wanted));
}

for (const sql of [
  'SELECT pgdog.unique_id() FROM t',
  'SELECT pgdog.unique_id(), generate_series(1, 3)',
  'SELECT pgdog.unique_id(), mine.rows_of(1)',
  'SELECT * FROM pgdog.unique_id()',
  'SELECT * FROM (SELECT pgdog.unique_id()) s',
  'SELECT 1 LIMIT pgdog.unique_id()',
  'INSERT INTO t SELECT pgdog.unique_id() FROM u',
  'INSERT INTO t VALUES (pgdog.unique_id(), generate_series(1, 3))',
  'INSERT INTO t VALUES (1) RETURNING pgdog.unique_id()',
  'INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = pgdog.unique_id()',
  'UPDATE t SET a = pgdog.unique_id() WHERE id = 1',
  'WITH u AS (UPDATE t SET a = pgdog.unique_id() WHERE id = 1) SELECT 1',
  'DELETE FROM t WHERE a = pgdog.unique_id()',
  'WITH RECURSIVE n AS (SELECT pgdog.unique_id() AS id UNION ALL SELECT id FROM n) SELECT * FROM n',
  'CREATE TABLE t (a int8 DEFAULT pgdog.unique_id())',
  'CREATE VIEW v AS SELECT pgdog.unique_id()',
  'PREPARE p AS INSERT INTO t VALUES (pgdog.unique_id())',
  'SELECT pgdog.unique_id(1)',
  'SELECT pgdog.unique_id() OVER ()',
  'COPY (SELECT pgdog.unique_id()) TO STDOUT',
  'EXPLAIN SELECT pgdog.unique_id()',
  'DECLARE c CURSOR FOR SELECT pgdog.unique_id()',
]) {
  test(`refused: ${sql}`, () => {
    const reading = made(sql);
    assert.ok(reading?.refusal, sql);
    assert.match(reading.refusal.reason, /pgdog\.unique_id\(\)/);
  });
}

test('nothing is made of what only looks like it', () => {
  for (const sql of [
    "SELECT 'pgdog.unique_id()'",
    'SELECT unique_id()',
    'SELECT other.unique_id()',
    'SELECT pgdog.unique_id',
    'SELECT "PGDOG".unique_id()',
    'SELECT 1 /* pgdog.unique_id() */',
  ]) {
    assert.equal(made(sql), undefined, sql);
  }
});

test('a text that is not UTF-8 is refused', () => {
  const bytes = Buffer.from("INSERT INTO t VALUES (pgdog.unique_id(), '\xe9x')", 'latin1');
  assert.match(readSqlBytes(bytes, 0, bytes.length, parser, true).made?.refusal?.reason ?? '', /not UTF-8/);
});

test('an edit is held against the tree that it was meant to become', () => {
  const text = 'SELECT a FROM t WHERE b = 1';
  const parsed = parser.parse(text);
  assert.ok(Array.isArray(parsed));
  assert.ok(isReadAs('SELECT a  FROM   t WHERE b = 1', parsed, new Map(), parser));
  for (const other of [
    'SELECT a FROM t WHERE b = 2',
    'SELECT a FROM t',
    'SELECT a AS a FROM t WHERE b = 1',
    'x',
  ]) {
    assert.ok(!isReadAs(other, parsed, new Map(), parser), other);
  }
});
