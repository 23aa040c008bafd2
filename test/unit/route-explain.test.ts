// EXPLAIN (PGDOG) is recognised by its tree, whatever its spelling, and nothing else is.
import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { asksRoute, loadSqlParser, PgDogError, readRouteExplain, type SqlParser } from '@pgdog-cluster/core';

let parser: SqlParser;
before(async () => {
  parser = await loadSqlParser();
});

function read(sql: string) {
  const bytes = Buffer.from(`xx${sql}\0`);
  if (!asksRoute(bytes, 2, bytes.length - 1)) return null;
  return readRouteExplain(bytes, 2, bytes.length - 1, parser);
}

it('spellings that are one', () => {
  for (const sql of [
    'EXPLAIN (PGDOG) SELECT 1',
    '  explain ( PgDog ) select 1',
    '/* a /* nested */ comment */ EXPLAIN(pgdog, verbose)SELECT 1;',
    '-- a line\nEXPLAIN (VERBOSE, "pgdog" true) SELECT 1',
    'EXPLAIN (pgdog off, pgdog on) SELECT 1',
    'EXPLAIN (ANALYZE false, PGDOG) SELECT 1',
  ]) {
    assert.equal(read(sql)?.kind, 'SelectStmt', sql);
  }
});

it('texts that are none', () => {
  for (const sql of [
    'SELECT 1',
    'EXPLAIN SELECT 1',
    'EXPLAIN ANALYZE SELECT pgdog FROM t',
    'EXPLAIN (ANALYZE, BUFFERS) SELECT 1',
    'EXPLAIN (pgdog off) SELECT 1',
    "EXPLAIN (FORMAT 'pgdog') SELECT 1",
    'EXPLAIN (pgdog) SELEC 1',
    'EXPLAIN (pgdog',
    "SELECT 'EXPLAIN (PGDOG) SELECT 1'",
    'explains (pgdog) select 1',
    'EXECUTE pgdog',
    '',
    '/* EXPLAIN (PGDOG) */ SELECT 1',
  ]) {
    assert.equal(read(sql), null, sql);
  }
});

it('what it is asked wrongly it says', () => {
  for (const [sql, sqlstate] of [
    ['EXPLAIN (PGDOG) SELECT 1; SELECT 2', '0A000'],
    ['EXPLAIN (PGDOG, ANALYZE) SELECT 1', '42601'],
    ['EXPLAIN (PGDOG, FORMAT XML) SELECT 1', '42601'],
    ['EXPLAIN (PGDOG, PGBOUNCER) SELECT 1', '42601'],
    [`EXPLAIN (PGDOG) SELECT ${'1+'.repeat(5000)}1`, '0A000'],
  ]) {
    assert.throws(
      () => read(sql),
      (error) => error instanceof PgDogError && error.sqlstate === sqlstate,
      sql,
    );
  }
});

it('parameters, directives and the facts of the explained statement', () => {
  const explain = read(
    '/* pgdog_role: primary */ EXPLAIN (PGDOG, FORMAT JSON) UPDATE a.t SET x = $2 WHERE f(id) = $1',
  );
  assert.equal(explain?.kind, 'UpdateStmt');
  assert.equal(explain?.parameterCount, 2);
  assert.equal(explain?.isJson, true);
  assert.equal(explain?.plan.route.access, 'write');
  assert.equal(explain?.plan.route.directive?.role, 'primary');
  assert.deepEqual(explain?.plan.route.functions, ['f']);
  assert.deepEqual(explain?.plan.route.relations, [{ schema: 'a', name: 't' }]);
});

it('a directive at the start of the explained statement counts as it would without EXPLAIN', () => {
  const role = (sql: string) => read(sql)?.plan.route.directive;
  for (const sql of [
    'EXPLAIN (PGDOG) /* pgdog_role: primary */ SELECT 1',
    'explain ( pgdog, format json ) -- pgdog_role: primary\nSELECT 1',
    '/* by hand */ EXPLAIN (PGDOG) /* pgdog_role: primary */ (SELECT 1);',
  ])
    assert.deepEqual([role(sql)?.role, role(sql)?.error], ['primary', null], sql);
  for (const sql of [
    'EXPLAIN /* pgdog_role: primary */ (PGDOG) SELECT 1',
    'EXPLAIN (PGDOG /* pgdog_role: primary */) SELECT 1',
    'EXPLAIN (PGDOG) SELECT /* pgdog_role: primary */ 1',
    'EXPLAIN (PGDOG) (/* pgdog_role: primary */ SELECT 1)',
  ])
    assert.match(String(role(sql)?.error), /start or the end/, sql);
});
