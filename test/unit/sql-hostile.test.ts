import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isPlainSql,
  loadSqlParser,
  readSql,
  readSqlBytes,
  SeededRandom,
  SQL_PARSE_TOKENS_MAX,
  SYNTAX_ERROR,
  sqlFlagNames,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();

function assertStillWorks(): void {
  assert.equal(readSql('set a.b = 1', parser).statements[0]?.effect?.type, 'set');
}

/** Shapes that nest the tree, each with its nesting part repeated. */
const DEEP: readonly ((count: number) => string)[] = [
  (n) => `select f(${'('.repeat(n)}1${')'.repeat(n)})`,
  (n) => `select ${'f('.repeat(n)}1${')'.repeat(n)}`,
  (n) => `select f(${'(select '.repeat(n)}1${')'.repeat(n)})`,
  (n) => `select f(1)${'+1'.repeat(n)}`,
  (n) => `select f(1)${'::int'.repeat(n)}`,
  (n) => `select f(${'not '.repeat(n)}true)`,
  (n) => `select f(${'- '.repeat(n)}1)`,
  (n) => `select f(${'case when a then '.repeat(n)}1${' end'.repeat(n)})`,
  (n) => `select f(1)${' union select 1'.repeat(n)}`,
  (n) => `select f(1) from a${' join b on true'.repeat(n)}`,
  (n) => `select f(a${'[1]'.repeat(n)})`,
  (n) => `select f(1)${' and true'.repeat(n)}`,
];

test('nesting of any depth and shape neither throws nor breaks the parser', () => {
  for (const shape of DEEP) {
    for (const count of [150, 1_000, 10_000]) {
      const plan = readSql(shape(count), parser);
      assert.ok(sqlFlagNames(plan.flags).includes('unknownEffect'), shape(2));
    }
    assertStillWorks();
  }
});

test('what the limits let through, the parser has the stack for', () => {
  for (const shape of DEEP.slice(3)) {
    const parts = Math.floor((SQL_PARSE_TOKENS_MAX - 12) / 4);
    const text = shape(parts);
    if (text.includes('case') || text.includes('[')) continue;
    const plan = readSql(text, parser);
    assert.equal(plan.flags & SYNTAX_ERROR, 0, text.slice(0, 60));
    assert.equal(plan.statements.length, 1, text.slice(0, 60));
  }
});

test('a parser that runs out of stack again and again works again once the thread has yielded', async () => {
  const text = `select f(1)${'+1'.repeat(15_000)}`;
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 5; i++) assert.equal(parser.parse(text), 'unread');
    // Beyond the overflows it may take, a module is not touched.
    assert.equal(parser.parse('select 1'), 'unread');
    for (let waited = 0; parser.parse('select 1') === 'unread' && waited < 500; waited++) await sleep(5);
    assertStillWorks();
  }
});

test('unterminated and odd texts are refused quietly', () => {
  const texts = [
    "set x = 'a",
    'set "x',
    'set x = 1 /* /* */',
    'select $a$ set x = 1',
    "select E'a\\'",
    "select U&'",
  ];
  for (const text of texts)
    assert.deepEqual(sqlFlagNames(readSql(text, parser).flags), ['syntaxError'], text);
  const nul = Buffer.from('select 1\0; set x = 1');
  assert.ok((readSqlBytes(nul, 0, nul.length, parser).flags & SYNTAX_ERROR) !== 0);
  assert.ok(!isPlainSql(nul, 0, nul.length));
});

test('long texts are lexed only', () => {
  const values = `insert into t values ${"(1, 'some text', now()),".repeat(10_000)}(2)`;
  assert.equal(readSql(values, parser).flags, 0);
  const hidden = `${values}; set x = 1`;
  assert.deepEqual(sqlFlagNames(readSql(hidden, parser).flags), ['unknownEffect']);
});

test('bytes at random throw nothing, and reading stays within the range', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const random = new SeededRandom(seed);
  const alphabet = Buffer.from('select into ()\'"$;-/*\\&eEuU.,1\n\0é set x=1', 'latin1');
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.alloc(4 + random.below(60), '(');
    for (let i = 2; i < bytes.length - 2; i++) bytes[i] = alphabet[random.below(alphabet.length)];
    const start = 2;
    const end = bytes.length - 2;
    const copy = Buffer.from(bytes.subarray(start, end));
    const inside = isPlainSql(bytes, start, end);
    assert.equal(inside, isPlainSql(copy, 0, copy.length), `seed ${seed}`);
    assert.deepEqual(
      readSqlBytes(bytes, start, end, parser),
      readSqlBytes(copy, 0, copy.length, parser),
      `seed ${seed}`,
    );
  }
});
