import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogColumn, ShardingSnapshot, ShardRule } from '@pgdog-cluster/core';
import { compareCatalogs, differenceText, type RawCatalog, type RawRelation } from 'pgdog-cluster';

const column = (name: string, type = 'int8', rest: Partial<CatalogColumn> = {}): CatalogColumn => ({
  name,
  type: type.includes('.') ? type : `pg_catalog.${type}`,
  typmod: -1,
  isDomain: false,
  isNotNull: false,
  isByteOrdered: true,
  isDeterministic: true,
  defaultText: null,
  generated: '',
  ...rest,
});

const table = (name: string, columns: CatalogColumn[], rest: Partial<RawRelation> = {}): RawRelation => ({
  schema: 'public',
  name,
  kind: 'table',
  columns,
  viewText: null,
  parents: [],
  uniques: [],
  foreignKeys: [],
  hasTriggers: false,
  hasRules: false,
  hasRowSecurity: false,
  ...rest,
});

const catalog = (relations: RawRelation[], rest: Partial<RawCatalog> = {}): RawCatalog => ({
  relations,
  schemas: ['public'],
  searchPaths: {},
  encoding: 'UTF8',
  preparedMax: 0,
  ...rest,
});

const rule = (name: string | null, key: string, rest: Partial<ShardRule> = {}): ShardRule => ({
  schema: null,
  table: name,
  column: key,
  keyType: 'int8',
  function: 'hash',
  mapping: [],
  lookupQuery: null,
  lookupResult: 'value',
  ...rest,
});

const sharding = (tables: ShardRule[], rest: Partial<ShardingSnapshot> = {}): ShardingSnapshot => ({
  shardCount: 2,
  tables,
  schemas: [],
  omnisharded: [],
  crossShard: 'full',
  isOmniSticky: false,
  commit: 'refused',
  ...rest,
});

const compare = (shards: RawCatalog[], rules: ShardingSnapshot = sharding([])) =>
  compareCatalogs('shop', shards, rules);

/** Of relations that are the same on both shards: placements and differences. */
function placed(relations: RawRelation[], rules: ShardingSnapshot, rest: Partial<RawCatalog> = {}) {
  const result = compare([catalog(relations, rest), catalog(relations, rest)], rules);
  return [
    ...result.relations.map(({ schema, name, placement, keyColumn, rule: number, shard }) =>
      [
        schema === 'public' ? name : `${schema}.${name}`,
        placement,
        keyColumn === -1 ? '' : `key ${keyColumn} rule ${number}`,
        shard ?? '',
      ]
        .join(' ')
        .trim(),
    ),
    ...result.differences.map(differenceText),
  ];
}

test('what is equal on all shards is there, with everything that is known of it', () => {
  const orders = table('orders', [column('id'), column('note', 'text')], {
    uniques: [['id']],
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
  [{ ...ORDERS, uniques: [['id']] }, 'primary key or unique constraints are others on shard 1'],
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

const KEYED = [column('id'), column('customer_id')];

test('by name, by column, in one schema or all', () => {
  const rules = sharding([
    rule('orders', 'customer_id'),
    rule('logs', 'id', { schema: 'audit' }),
    rule(null, 'tenant'),
    rule(null, 'region', { schema: 'geo' }),
  ]);
  assert.deepEqual(
    placed(
      [
        table('orders', KEYED),
        table('logs', KEYED),
        table('logs', KEYED, { schema: 'audit' }),
        table('bills', [column('tenant'), column('id')]),
        table('places', [column('region')]),
        table('places', [column('region')], { schema: 'geo' }),
        table('plans', [column('id')]),
        table('ids', [], { kind: 'sequence' }),
        table('recent', [column('tenant')], { kind: 'view', viewText: 'SELECT' }),
        table('sums', [column('tenant')], { kind: 'materializedView', viewText: 'SELECT' }),
      ],
      rules,
    ),
    [
      'orders sharded key 1 rule 0',
      'logs omni',
      'audit.logs sharded key 0 rule 1',
      'bills sharded key 0 rule 2',
      'places omni',
      'geo.places sharded key 0 rule 3',
      'plans omni',
      'ids omni',
      'recent view',
      'sums view',
    ],
  );
});

test('a name comes before a column, and [[omnisharded_tables]] before a column too', () => {
  const rules = sharding([rule(null, 'tenant'), rule('orders', 'id')], {
    omnisharded: [
      [null, 'plans'],
      ['other', 'rates'],
    ],
  });
  const columns = [column('id'), column('tenant')];
  assert.deepEqual(
    placed([table('orders', columns), table('plans', columns), table('rates', columns)], rules),
    ['orders sharded key 0 rule 1', 'plans omni', 'rates sharded key 1 rule 0'],
  );
});

test('partitions and children are where their parent is', () => {
  const rules = sharding([rule('orders', 'customer_id'), rule(null, 'id')]);
  const relations = [
    table('orders', KEYED, { kind: 'partitioned' }),
    table('orders_1', [...KEYED].reverse(), { parents: [['public', 'orders']], kind: 'partitioned' }),
    table('orders_1_1', KEYED, { parents: [['public', 'orders_1']] }),
  ];
  assert.deepEqual(placed(relations, rules), [
    'orders sharded key 1 rule 0',
    'orders_1 sharded key 0 rule 0',
    'orders_1_1 sharded key 1 rule 0',
  ]);
});

test('a rule that does not fit makes the table unusable', () => {
  const text = { keyType: 'text' as const };
  const cases: [RawRelation, ShardRule, string][] = [
    [table('t', [column('id')]), rule('t', 'key'), 'its sharding key "key" is no column of it'],
    [
      table('t', [column('key', 'uuid')]),
      rule('t', 'key'),
      'its sharding key "key" is uuid, its rule says int8',
    ],
    [
      table('t', [column('key', 'bpchar', { typmod: 8 })]),
      rule('t', 'key', text),
      'its sharding key "key" is bpchar(4), its rule says text',
    ],
    [
      table('t', [column('key', 'public.citext')]),
      rule('t', 'key', text),
      'its sharding key "key" is public.citext, its rule says text',
    ],
    [
      table('t', [column('key', 'text', { isDeterministic: false })]),
      rule('t', 'key', text),
      'its sharding key "key" has a collation that takes different texts for equal',
    ],
    [
      table('t', [], { kind: 'view' }),
      rule('t', 'key'),
      'has a rule of [[sharded_tables]], which are for tables',
    ],
  ];
  for (const [relation, one, words] of cases) {
    assert.deepEqual(placed([relation], sharding([one])), [`public.t: ${words}`]);
  }
  for (const type of ['int2', 'int4', 'int8']) {
    assert.deepEqual(placed([table('t', [column('key', type)])], sharding([rule('t', 'key')])), [
      't sharded key 0 rule 0',
    ]);
  }
  const latin = { encoding: 'LATIN1' };
  assert.deepEqual(placed([table('t', [column('key', 'text')])], sharding([rule('t', 'key', text)]), latin), [
    'public.t: its sharding key "key" is text, and shard 0 has encoding LATIN1: only UTF8 is supported',
  ]);
});

test('foreign tables are not guessed at', () => {
  const foreign = (name: string) => table(name, KEYED, { kind: 'foreignTable' });
  const rules = sharding([rule('orders', 'id')], { omnisharded: [[null, 'rates']] });
  assert.deepEqual(placed([foreign('orders'), foreign('rates'), foreign('things')], rules), [
    'orders sharded key 0 rule 0',
    'rates omni',
    'public.things: is a foreign table: give it a rule, or name it in [[omnisharded_tables]] if all shards see the same',
  ]);
});

test('tables in two places at once are not used', () => {
  const parent = table('all_orders', [column('id')]);
  const child = table('orders', KEYED, { parents: [['public', 'all_orders']] });
  assert.deepEqual(placed([parent, child], sharding([rule('orders', 'customer_id')])), [
    'orders sharded key 1 rule 0',
    'public.all_orders: its child public.orders is sharded, and it is not',
  ]);
  const both = table('t', [column('a'), column('b')]);
  assert.deepEqual(placed([both], sharding([rule(null, 'a'), rule(null, 'b')])), [
    'public.t: has the columns "a" and "b" of several rules: give the table one of its own',
  ]);
  const other = sharding([rule('all_orders', 'id'), rule('orders', 'customer_id')]);
  assert.deepEqual(placed([parent, child], other)[1], 'public.orders: has a rule other than its parent');
  // The same rule said twice is one.
  const same = sharding([rule('all_orders', 'id'), rule('orders', 'id')]);
  assert.deepEqual(placed([parent, child], same), [
    'all_orders sharded key 0 rule 0',
    'orders sharded key 0 rule 0',
  ]);
});

test('a child of a table that differs cannot be placed', () => {
  const child = table('orders_1', KEYED, { parents: [['public', 'orders']] });
  const shards = [catalog([table('orders', KEYED), child]), catalog([child])];
  assert.deepEqual(compare(shards).differences.map(differenceText), [
    'public.orders: missing on shard 1',
    'public.orders_1: its parent public.orders differs',
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
  assert.deepEqual(differences, []);
  assert.deepEqual(schemas, ['common', 'pgdog', 'public', 'eu']);
  assert.deepEqual(
    relations.map((one) => [one.schema, one.name, one.placement, one.shard, one.columns[0]?.name]),
    [
      ['common', 'rates', 'sharded', undefined, 'id'],
      ['pgdog', 'transactions', 'omni', undefined, 'x'],
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
