/** What psql's backslash commands, JDBC and tools for any Postgres say to the admin database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, makeWorld } from './admin-fixture.js';

test('queries are told that there is no SQL, by no code for which a pool throws its connection away', async () => {
  const world = await makeWorld();
  const plain = ['SELECT pg_sleep', 'SELECT a', 'SELECT 1, a', 'SELECT 1,', 'SELECT 1 AS', 'SELECT 1 2 AS x'];
  for (const text of [...plain, 'WITH x AS (SELECT 1) SELECT 1']) {
    const { errors, frames } = await ask(world, text);
    assert.equal(frames.length, 1, text);
    const [{ C, M }] = errors;
    assert.deepEqual([C, M?.includes('runs no SQL')], ['0A000', true], text);
  }
  const catalogs = [
    'SELECT relname FROM pg_class',
    'SELECT d.datname as "Name" FROM pg_catalog.pg_database d ORDER BY 1',
    'SELECT 1 FROM information_schema.tables',
    'WITH a AS (SELECT 1) SELECT 1 FROM pg_class',
  ];
  for (const text of catalogs) {
    const [{ C, M, H }] = (await ask(world, text)).errors;
    assert.deepEqual(
      [C, M],
      ['0A000', 'the admin database has no tables or catalogs, and runs no SQL'],
      text,
    );
    assert.match(H ?? '', /SHOW DATABASES/);
  }
});

test('lists of what is known are answered, under the names that are wanted', async () => {
  const world = await makeWorld();
  const cases: [string, string[], (string | null)[]][] = [
    ['SELECT 1 AS ok', ['ok'], ['1']],
    [`SELECT 1 AS "O k", 'x', version() as v`, ['O k', '?column?', 'v'], ['1', 'x', 'pgdog-cluster 0.1.0']],
    ['SELECT current_schema(),session_user', ['current_schema', 'session_user'], [null, 'admin']],
    ['SELECT pg_catalog.current_schema()', ['current_schema'], [null]],
  ];
  for (const [text, names, values] of cases) {
    const { columns, rows, errors } = await ask(world, text);
    assert.deepEqual([errors, columns, rows], [[], names, [values]], text);
  }
  assert.deepEqual((await ask(world, 'SELECT 1, 2.5, true()')).rows, []);
  assert.deepEqual((await ask(world, 'SELECT 1, 2.5')).typeOids, [23, 1700]);
});

test('a driver that guards each command by a savepoint gets its answers', async () => {
  const world = await makeWorld();
  const tags: [string, string][] = [
    ['SAVEPOINT PGJDBC_AUTOSAVE', 'SAVEPOINT'],
    ['ROLLBACK TO SAVEPOINT PGJDBC_AUTOSAVE', 'ROLLBACK'],
    ['RELEASE SAVEPOINT PGJDBC_AUTOSAVE', 'RELEASE'],
  ];
  for (const caller of [{}, { user: 'app', isViewer: true }]) {
    for (const [text, tag] of tags) assert.deepEqual((await ask(world, text, caller)).tags, [tag], text);
  }
});
