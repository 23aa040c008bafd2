/** Numbers of types and tables in frames of a shard, as the first shard has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogLookup, INCOMPARABLE, loadSqlParser, orderOfLabels, ShardOids } from '@pgdog-cluster/core';
import { frame, int16, int32, P, text } from '../support/frames.js';
import { catalog, column, compare, table } from '../support/raw-catalogs.js';
import { readText, termsOf } from './shard-fixture.js';
import { CATALOG } from './shard-fixture-catalog.js';

/** On shard 1 the number of the second type is the first one's on shard 0; the third is on shard 1 alone, the fourth not there. */
const OIDS = {
  types: [
    [16400, 16500],
    [16600, 16400],
    [0, 16700],
    [16800, 0],
  ],
  relations: [
    [17000, 17001],
    [0, 17002],
  ],
};
const ONE = ShardOids.of(OIDS, 1);
assert(ONE !== null);

const described = (columns: [name: string, table: number, type: number][]): Buffer =>
  frame(
    'T',
    int16(columns.length),
    ...columns.map(([name, table, type]) =>
      Buffer.concat([text(name), int32(table), int16(1), int32(type), int16(4), int32(-1), int16(0)]),
    ),
  );

test('the first shard, and shards alike, have nothing to change', () => {
  assert.equal(ShardOids.of(OIDS, 0), null);
  assert.equal(ShardOids.of(undefined, 1), null);
});

test('a RowDescription tells of types and tables by the numbers of the first shard', () => {
  const bytes = described([
    ['a', 17001, 16500],
    ['16500', 0, 16400],
    ['c', 17002, 16700],
    ['', 16500, 17001],
    ['e', 25, 25],
  ]);
  const before = Buffer.from(bytes);
  ONE.describeRow(bytes, 0, bytes.length);
  assert.deepEqual(
    bytes,
    described([
      ['a', 17000, 16400],
      ['16500', 0, 16600],
      // Not there on the first shard: of no known type, of no table.
      ['c', 0, 705],
      // A table's number is no type's.
      ['', 16500, 17001],
      ['e', 25, 25],
    ]),
  );
  // Among other frames, and cut: nothing but what is its own is changed.
  for (let end = 0; end < before.length; end++) {
    const around = Buffer.concat([before, before, before]);
    ONE.describeRow(around, before.length, before.length + end);
    assert.deepEqual(around.subarray(0, before.length), before);
    assert.deepEqual(around.subarray(before.length + end), Buffer.concat([before.subarray(end), before]));
  }
});

test('a ParameterDescription too', () => {
  const parameters = (...types: number[]): Buffer => frame('t', int16(types.length), ...types.map(int32));
  const bytes = parameters(16400, 23, 16500, 16700);
  ONE.describeParameters(bytes, 0, bytes.length);
  assert.deepEqual(bytes, parameters(16600, 23, 16400, 705));
  const none = parameters();
  ONE.describeParameters(none, 0, none.length);
  assert.deepEqual(none, parameters());
});

test('a Parse goes to the shard with its own numbers, and comes from who knows them with those of all', () => {
  const parse = P('name', 'SELECT $1, $2, $3', [16400, 20, 16600]);
  const sent = P('name', 'SELECT $1, $2, $3', [16500, 20, 16400]);
  assert.deepEqual(Buffer.from(ONE.toShard(parse)), sent);
  assert.deepEqual(Buffer.from(ONE.fromShard(sent)), parse);
  // The client's own bytes are left as they are.
  assert.deepEqual(parse, P('name', 'SELECT $1, $2, $3', [16400, 20, 16600]));
  // No object has this number: the server says that there is no such type.
  assert.deepEqual(Buffer.from(ONE.toShard(P('', 'SELECT $1', [16800]))), P('', 'SELECT $1', [-1]));
  for (const same of [P('a', 'SELECT 1'), P('', 'SELECT $1', [23, 0]), frame('P'), frame('P', text('a'))])
    assert.equal(ONE.toShard(same), same);
});

test('what differs between catalogs is told, and nothing else', () => {
  const shard = (oid: number, own: number) =>
    catalog([], {
      types: [
        { schema: 'public', name: 'mood', oid },
        { schema: 'other', name: 'mood', oid: own },
      ],
      numbered: [{ schema: 'public', name: 't', oid: 5 }],
    });
  assert.equal(compare([shard(1, 2), shard(1, 2)]).oids, undefined);
  assert.deepEqual(compare([shard(1, 2), shard(3, 2)]).oids, { types: [[1, 3]], relations: [] });
  assert.deepEqual(compare([shard(1, 2), catalog([])]).oids, {
    types: [
      [1, 0],
      [2, 0],
    ],
    relations: [[5, 0]],
  });
});

test('who asks a catalog by numbers, or for them, asks the first shard where shards differ', async () => {
  const parser = await loadSqlParser();
  const lookup = catalogLookup({ ...CATALOG, oids: OIDS }, ['public']);
  const homeOf = (sql: string, terms = termsOf(parser, { lookup })): string => readText(sql, terms).home;
  for (const sql of [
    "SELECT oid FROM pg_type WHERE typname = 'mood'",
    'SELECT relname FROM pg_catalog.pg_class WHERE oid = $1',
    "SELECT 'mood'::regtype::oid",
    'SELECT to_regclass($1)',
    'SELECT format_type(16400, NULL)',
    "SELECT has_table_privilege(17000, 'select')",
    'SELECT n FROM (SELECT count(*) AS n FROM pg_enum) e',
    "SELECT 1; SELECT 'mood'::regtype",
  ]) {
    assert.equal(homeOf(sql), 'catalog', sql);
    assert.equal(homeOf(sql, termsOf(parser)), 'any', sql);
  }
  for (const sql of [
    'SELECT 1',
    'SELECT * FROM information_schema.columns',
    'SELECT tablename FROM pg_tables',
    'SELECT pg_typeof(1)',
    'SELECT code FROM countries',
  ])
    assert.equal(homeOf(sql), 'any', sql);
  // What must meet in one place does so as before.
  assert.equal(homeOf('SELECT pg_advisory_lock(oid::int) FROM pg_class'), 'first');
});

test('enums are known where all shards have the same labels in the same order', () => {
  const shard = (...labels: string[]) =>
    catalog([table('t', [column('id'), column('level', 'public.level')])], {
      types: [
        { schema: 'public', name: 'level', oid: 16500 + labels.length, labels },
        { schema: 'public', name: 't', oid: 16600 },
      ],
    });
  const told = (...shards: ReturnType<typeof shard>[]): unknown[] => {
    const { enums, relations } = compare(shards);
    return [enums, relations[0].columns.map(({ isEnum }) => isEnum)];
  };
  const enums = [{ name: 'public.level', oid: 16502, labels: ['b', 'a'] }];
  assert.deepEqual(told(shard('b', 'a'), shard('b', 'a')), [enums, [undefined, true]]);
  for (const other of [shard('a', 'b'), shard('b', 'a', 'c'), shard('b'), catalog(shard('b').relations)])
    assert.deepEqual(told(shard('b', 'a'), other), [undefined, [undefined, undefined]]);
});

test('labels have the order of their type, in whatever bytes; others have none', () => {
  const labels = ['z', 'ä', 'a'];
  const order = orderOfLabels(labels);
  const compared = (one: string, other: string): number => {
    const [a, b] = [Buffer.from(one), Buffer.from(other)];
    return order(a, 0, a.length, b, 0, b.length);
  };
  for (const [i, one] of labels.entries())
    for (const [j, other] of labels.entries()) assert.equal(compared(one, other), Math.sign(i - j));
  for (const other of ['', 'A', 'aa', '\u00e4a']) {
    assert.equal(compared('a', other), INCOMPARABLE);
    assert.equal(compared(other, 'a'), INCOMPARABLE);
  }
  assert.equal(orderOfLabels(labels), order);
});
