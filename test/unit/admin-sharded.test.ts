import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, catalogState, makeWorld, rowsOf } from './admin-fixture.js';

test('SHOW SHARDED_TABLES tells where tables are, and why some cannot be used', async () => {
  const world = await makeWorld();
  const relation = {
    schema: 'public',
    name: 'orders',
    kind: 'table' as const,
    placement: 'sharded' as const,
    columns: [],
    keyColumn: 0,
    rule: 0,
    viewText: null,
    parents: [],
    uniques: [],
    foreignKeys: [],
    hasTriggers: false,
    hasRules: false,
    hasRowSecurity: false,
  };
  const data = {
    database: 'shop',
    version: 3,
    canPrepare: true,
    placedBy: '',
    relations: [
      {
        ...relation,
        looseUniques: [
          { name: 'orders_pkey', keys: ['id'], columns: ['id'] },
          { name: 'orders_mail', keys: ['mail'], columns: ['mail'] },
        ],
      },
      { ...relation, name: 'plans', placement: 'omni' as const, rule: -1 },
      { ...relation, schema: 'eu', name: 'people', placement: 'oneShard' as const, rule: -1, shard: 1 },
    ],
    searchPaths: {},
    schemas: ['public', 'eu'],
    functions: [],
    textOrder: 'bytes',
    differences: [{ schema: 'public', name: 'bills', text: 'missing on shard 1' }],
  };
  const shown = async () =>
    (await rowsOf(world, 'SHOW SHARDED_TABLES')).map((row) => Object.values(row).join(' '));
  world.catalogs.push(catalogState({ error: 'shard 1: no connection' }));
  assert.deepEqual(await shown(), ['shop          not read yet: shard 1: no connection']);
  world.catalogs[0] = catalogState({ data });
  assert.deepEqual(await shown(), [
    'shop public bills        missing on shard 1',
    'shop public orders table sharded  customer_id int8 hash orders_pkey, orders_mail ',
    'shop public plans table omni      ',
    'shop eu people table oneShard 1     ',
  ]);
  world.catalogs[0] = catalogState({ data, error: 'shard 0: gone' });
  assert.match((await shown())[0], /^shop +as read before: shard 0: gone$/);
});

test('SHOW OMNI_DRIFT tells what is not well first, shard by shard', async () => {
  const world = await makeWorld();
  const [one, other] = [
    { rows: '3', checksum: '-17' },
    { rows: '4', checksum: '20' },
  ];
  const table = { schema: 'public', reason: '' };
  world.drift.push(
    { database: 'shop', row: { ...table, name: 'same', state: 'same', copies: [one, one] }, reason: '' },
    { database: 'shop', row: { ...table, name: 'odd', state: 'differs', copies: [one, other] }, reason: '' },
  );
  const { rows } = await ask(world, 'show omni_drift');
  assert.deepEqual(rows, [
    ['shop', 'public', 'odd', 'differs', '0', '3', '-17', ''],
    ['shop', 'public', 'odd', 'differs', '1', '4', '20', ''],
    ['shop', 'public', 'same', 'same', null, '3', '-17', ''],
  ]);
});
