import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dateStyleText, laterDateStyle, loadSqlParser, readDateStyle, readSql } from '@pgdog-cluster/core';

const parser = await loadSqlParser();

test('SET tells its first value, and SET SESSION CHARACTERISTICS all of them', () => {
  for (const [text, value] of [
    ['set a.b = 1', '1'],
    ["set local a.b to 'x', 'y'", 'x'],
    ['set a.b = on', 'on'],
    ['set default_transaction_read_only = true', 'true'],
    ['set pgdog.role to replica', 'replica'],
  ]) {
    const effect = readSql(text, parser).statements[0].effect;
    assert.equal(effect?.type === 'set' ? effect.value : null, value, text);
  }
  const many = readSql(
    'set session characteristics as transaction read only, isolation level serializable',
    parser,
  );
  const effect = many.statements[0].effect;
  assert.deepEqual(effect?.type === 'setMany' ? effect.items.map(({ name, value }) => [name, value]) : null, [
    ['default_transaction_read_only', '1'],
    ['default_transaction_isolation', 'serializable'],
  ]);
});

test('what looks like a custom setting in a statement of unknown effect', () => {
  const { statements } = readSql(
    "do $$ begin set App.User = 1; perform set_config('my.x', 'y', false), 1.5, a..b from s.t; end $$",
    parser,
  );
  assert.deepEqual([...(statements[0]?.mentions ?? [])].sort(), ['a..b', 'app.user', 'my.x', 's.t']);
  assert.equal(readSql('select a.b from a', parser).statements[0]?.mentions, undefined);
});

for (const [before, value, whole] of [
  ['', 'iso', 'default, ISO'],
  ['', ' "DMY" ', 'default, DMY'],
  ['SQL', 'europeus', 'SQL, DMY'],
  ['SQL, YMD', 'PostgresQL', 'Postgres, YMD'],
  ['SQL, YMD', 'german', 'German, DMY'],
  ['', 'US, German', 'German, MDY'],
  ['SQL, YMD', 'default, NonEuropean', 'default, MDY'],
  ['SQL, YMD', 'default', 'default'],
] as const) {
  test(`DateStyle '${value}' behind '${before}'`, () => {
    const next = readDateStyle(value);
    const old = readDateStyle(before);
    assert.ok(next !== null);
    assert.equal(dateStyleText(old === null ? next : laterDateStyle(old, next)), whole);
  });
}

test('what Postgres refuses as a DateStyle is none', () => {
  for (const value of ['', 'isoo', 'ISO, , DMY', 'germany', 'ymd2'])
    assert.equal(readDateStyle(value), null, value);
});
