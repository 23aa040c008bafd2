import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogColumn } from '@pgdog-cluster/core';
import { differenceText, type RawRelation } from 'pgdog-cluster';
import { catalog, column, compare, rule, sharding, table } from '../support/raw-catalogs.js';

test('what is equal on all shards is there, with everything that is known of it', () => {
  const orders = table('orders', [column('id'), column('note', 'text')], {
    uniques: [{ name: 'orders_pkey', keys: ['id'], columns: ['id'] }],
    foreignKeys: [
      { columns: ['id'], schema: 'public', table: 'x', targetColumns: ['id'], onDelete: 'c', onUpdate: 'a' },
    ],
    hasTriggers: true,
  });
  const result = compare([catalog([orders]), catalog([orders])]);
  assert.deepEqual(result.differences, []);
  assert.deepEqual(result.relations, [{ ...orders, placement: 'omni', keyColumn: -1, rule: -1 }]);
  assert.deepEqual([result.database, result.schemas], ['shop', ['public']]);
});

test("a user's function is immutable when each shard has the same of the name", () => {
  const twice = (digest: string, isImmutable = true) => ({
    schema: 'public',
    name: 'twice',
    digest,
    isImmutable,
  });
  const isImmutable = (...shards: ReturnType<typeof twice>[][]): readonly unknown[] =>
    compare(shards.map((functions) => catalog([], { functions }))).functions;
  assert.deepEqual(isImmutable([twice('a')], [twice('a')]), [['public', 'twice', true]]);
  for (const shards of [
    [[twice('a')], [twice('b')]],
    [[twice('a')], []],
    [[], [twice('a')]],
    [[twice('a', false)], [twice('a', false)]],
  ]) {
    assert.deepEqual(isImmutable(...shards), [['public', 'twice', false]]);
  }
});

const ORDERS = table('orders', [
  column('id', 'int8', { isNotNull: true }),
  column('name', 'varchar', { typmod: 24 }),
  column('price', 'numeric', { typmod: (10 << 16) + 2 + 4 }),
]);
const changed = (index: number, rest: Partial<CatalogColumn>): RawRelation => ({
  ...ORDERS,
  columns: ORDERS.columns.map((one, at) => (at === index ? { ...one, ...rest } : one)),
});

/** What shard 1 has in the place of ORDERS, and what is said of it. */
const DIFFERENT: [RawRelation | null, string][] = [
  [null, 'missing on shard 1'],
  [{ ...ORDERS, kind: 'partitioned' }, 'a table on shard 0 and a partitioned table on shard 1'],
  [{ ...ORDERS, columns: ORDERS.columns.slice(0, 2) }, 'column "price" is missing on shard 1'],
  [{ ...ORDERS, columns: [...ORDERS.columns, column('late')] }, 'column "late" is missing on shard 0'],
  [{ ...ORDERS, columns: [...ORDERS.columns].reverse() }, 'the columns are in another order on shard 1'],
  [changed(0, { type: 'pg_catalog.int4' }), 'column "id" is int8 on shard 0 and int4 on shard 1'],
  [changed(0, { isDomain: true }), 'column "id" is int8 on shard 0 and int8 (by a domain) on shard 1'],
  [changed(1, { typmod: 34 }), 'column "name" is varchar(20) on shard 0 and varchar(30) on shard 1'],
  [changed(2, { typmod: -1 }), 'column "price" is numeric(10,2) on shard 0 and numeric on shard 1'],
  [
    changed(2, { typmod: (3 << 16) + 2046 + 4 }),
    'column "price" is numeric(10,2) on shard 0 and numeric(3,-2) on shard 1',
  ],
  [changed(0, { isNotNull: false }), 'column "id" is NOT NULL on shard 0 only'],
  [changed(1, { isNotNull: true }), 'column "name" is NOT NULL on shard 1 only'],
  [changed(0, { defaultText: '7' }), 'column "id" has the default NULL on shard 0 and 7 on shard 1'],
  [changed(0, { generated: 'a' }), 'column "id" is generated otherwise on shard 1'],
  [changed(1, { isByteOrdered: false }), 'column "name" has another collation on shard 1'],
  [changed(1, { isDeterministic: false }), 'column "name" has another collation on shard 1'],
  [
    { ...ORDERS, uniques: [{ name: 'orders_pkey', keys: ['id'], columns: ['id'] }] },
    'primary key or unique constraints are others on shard 1',
  ],
  [{ ...ORDERS, parents: [['public', 'all_orders']] }, 'the tables it inherits from are others on shard 1'],
  [
    {
      ...ORDERS,
      foreignKeys: [
        { columns: ['id'], schema: 's', table: 't', targetColumns: ['id'], onDelete: 'a', onUpdate: 'a' },
      ],
    },
    'foreign keys are others on shard 1',
  ],
  [{ ...ORDERS, hasTriggers: true }, 'has triggers on shard 1 only'],
  [{ ...ORDERS, hasRules: true }, 'has rules on shard 1 only'],
  [{ ...ORDERS, hasRowSecurity: true }, 'has row security on shard 1 only'],
];

for (const [other, text] of DIFFERENT) {
  test(`a difference: ${text}`, () => {
    const { relations, differences } = compare([catalog([ORDERS]), catalog(other === null ? [] : [other])]);
    assert.deepEqual(differences, [{ schema: 'public', name: 'orders', text }]);
    assert.deepEqual(relations, [], 'it cannot be used');
  });
}

const SWEDISH = { isByteOrdered: false, collation: 'public.sv', sorting: 'i|sv|153.14' };

test('a collation counts where all shards sort by it alike', () => {
  const named = (rest: object): RawRelation => table('t', [column('name', 'text', rest)]);
  for (const [other, collation] of [
    [SWEDISH, 'public.sv'],
    [{ ...SWEDISH, sorting: 'i|sv|153.80' }, undefined],
    [{ ...SWEDISH, collation: 'public.other' }, undefined],
    [{ isByteOrdered: false }, undefined],
  ] as const) {
    const { relations, differences } = compare([catalog([named(SWEDISH)]), catalog([named(other)])]);
    assert.deepEqual(differences, []);
    const [{ columns }] = relations;
    assert.equal(columns[0].collation, collation);
    assert.ok(!('sorting' in columns[0]));
  }
});

test('the order of the databases is one where they have the same', () => {
  const of = (...sortings: (string | null)[]) =>
    compare(sortings.map((sorting) => catalog([], { sorting }))).textOrder;
  assert.equal(of('bytes', 'bytes'), 'bytes');
  assert.equal(of('c|en_US.UTF-8|2.36', 'c|en_US.UTF-8|2.36'), 'pg_catalog."default"');
  assert.equal(of('c|en_US.UTF-8|2.36', 'c|en_US.UTF-8|2.31'), null);
  assert.equal(of('bytes', 'c|en_US.UTF-8|2.31'), null);
  assert.equal(of(null, null), null);
});

test('several shards without it are named; the queries of views count', () => {
  const three = [catalog([]), catalog([ORDERS]), catalog([])];
  assert.deepEqual(compare(three).differences.map(differenceText), [
    'public.orders: missing on shards 0 and 2',
  ]);
  const view = (viewText: string) => catalog([table('v', [], { kind: 'view', viewText })]);
  assert.deepEqual(
    compare([view('SELECT 1'), view('SELECT 1'), view('SELECT 2')]).differences.map(differenceText),
    ["public.v: the view's query is another on shard 2"],
  );
});

test('a schema that one shard lacks, and search paths that differ', () => {
  const shards = [
    catalog([], { schemas: ['public', 'extra'], searchPaths: { '': 'a', app: 'b', same: 'c' } }),
    catalog([], { searchPaths: { '': 'a', app: 'x', same: 'c', only: 'd' } }),
  ];
  const { schemas, searchPaths, differences } = compare(shards);
  assert.deepEqual(schemas, ['public']);
  assert.deepEqual(searchPaths, { '': 'a', app: '', same: 'c', only: '' }, 'nothing is found by a guess');
  assert.deepEqual(differences.map(differenceText), [
    'extra: the schema is missing on shard 1',
    'search_path: the default of role "app" is b on shard 0, x on shard 1',
    'search_path: the default of role "only" is not set on shard 0, d on shard 1',
  ]);
});

test('schemas of one shard: only what is there counts, and our own schema is on all', () => {
  const rules = sharding([rule(null, 'id')], {
    schemas: [
      { name: 'eu', shard: 1, isOnAll: false },
      { name: 'common', shard: 0, isOnAll: true },
      { name: null, shard: 0, isOnAll: false },
    ],
  });
  const eu = { schema: 'eu' };
  const common = { schema: 'common' };
  const own = table('transactions', [column('x')], { schema: 'pgdog' });
  const shards = [
    catalog(
      [
        table('rates', [column('id')], common),
        own,
        table('things', [column('id')]),
        table('people', [column('other')], eu),
      ],
      {
        schemas: ['common', 'pgdog', 'public', 'eu'],
      },
    ),
    catalog(
      [
        table('rates', [column('id')], common),
        own,
        table('people', [column('id')], eu),
        table('faces', [], { ...eu, kind: 'view' }),
      ],
      {
        schemas: ['common', 'pgdog', 'eu'],
      },
    ),
  ];
  const { relations, differences, schemas } = compare(shards, rules);
  assert.deepEqual(
    differences.map(differenceText),
    ['pgdog.transactions: each shard has rows of its own: name the shard by SET pgdog.shard'],
    'ours',
  );
  assert.deepEqual(schemas, ['common', 'pgdog', 'public', 'eu']);
  assert.deepEqual(
    relations.map((one) => [one.schema, one.name, one.placement, one.shard, one.columns[0]?.name]),
    [
      ['common', 'rates', 'sharded', undefined, 'id'],
      ['public', 'things', 'oneShard', 0, 'id'],
      ['eu', 'people', 'oneShard', 1, 'id'],
      ['eu', 'faces', 'view', 1, undefined],
    ],
  );
});

test('what is left in a schema on a shard that does not have it is told, unless its own shard has it too', () => {
  const rules = sharding([], { schemas: [{ name: 'eu', shard: 1, isOnAll: false }] });
  const eu = (name: string) => table(name, [column('id')], { schema: 'eu' });
  const { relations, differences } = compare(
    [catalog([eu('old'), eu('people')]), catalog([eu('people')])],
    rules,
  );
  assert.deepEqual(
    relations.map(({ name, shard }) => [name, shard]),
    [['people', 1]],
  );
  assert.deepEqual(differences.map(differenceText), [
    "eu.old: it is on shard 0, and its schema is shard 1's alone",
  ]);
});

test('rules for tables that there are not are told, those of tables that differ are not', () => {
  const rules = sharding([
    rule('orders', 'id'),
    rule('ordesr', 'id'),
    rule('x', 'id', { schema: 's' }),
    rule(null, 'zip'),
  ]);
  const { unmatchedRules } = compare([catalog([ORDERS]), catalog([])], rules);
  assert.deepEqual(unmatchedRules, ['ordesr', 's.x']);
});
