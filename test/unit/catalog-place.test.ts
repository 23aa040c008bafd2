import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardingSnapshot, ShardRule } from '@pgdog-cluster/core';
import { differenceText, type RawCatalog, type RawRelation } from 'pgdog-cluster';
import { catalog, column, compare, rule, sharding, table } from '../support/raw-catalogs.js';

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

const KEYED = [column('id'), column('customer_id')];

test('unique constraints without the key are told, those of partitions too', () => {
  const unique = (name: string, ...keys: string[]) => ({ name, keys, columns: keys });
  const rules = sharding([rule('orders', 'customer_id')]);
  const relations = [
    table('orders', KEYED, { kind: 'partitioned', uniques: [unique('a', 'customer_id', 'id')] }),
    table('orders_1', KEYED, {
      kind: 'partitioned',
      parents: [['public', 'orders']],
      uniques: [unique('b', 'customer_id', 'id'), unique('c', 'id')],
    }),
    table('orders_2', KEYED, { parents: [['public', 'orders_1']], uniques: [unique('d', 'id')] }),
    table('plans', KEYED, { uniques: [unique('e', 'id')] }),
  ];
  const { relations: placedOnes } = compare([catalog(relations), catalog(relations)], rules);
  const loose = placedOnes.map(({ name, looseUniques }) => [name, looseUniques?.map((each) => each.name)]);
  assert.deepEqual(loose, [
    ['orders', ['c']],
    ['orders_1', ['c']],
    ['orders_2', ['d']],
    ['plans', undefined],
  ]);
});

test('an index of another name on another shard is no difference', () => {
  const orders = (name: string) =>
    table('orders', KEYED, { uniques: [{ name, keys: ['id'], columns: ['id'] }] });
  assert.deepEqual(compare([catalog([orders('a')]), catalog([orders('b')])]).differences, []);
});

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
