/** A sharded database in words: its tables and their rules. */
import type {
  CatalogColumn,
  CatalogForeignKey,
  CatalogRelation,
  CatalogUnique,
  ShardCatalogData,
  ShardingSnapshot,
  ShardRule,
} from '@pgdog-cluster/core';

/** name type[(typmod)] and flags: ! not null, =default, @ generated, ~ linguistic collation, ~sql the same on all shards, ? not deterministic, ^ domain */
function column(text: string): CatalogColumn {
  const [head, ...flags] = text.split(' ');
  const [name, type] = head.split(':');
  const [base, typmod] = type.split('#');
  const value = (flag: string): string | null =>
    flags.find((each) => each.startsWith(flag))?.slice(flag.length) ?? null;
  return {
    name,
    type: base.includes('.') ? base : `pg_catalog.${base}`,
    typmod: typmod === undefined ? -1 : Number(typmod),
    isDomain: flags.includes('^'),
    isNotNull: flags.includes('!'),
    isByteOrdered: !flags.some((flag) => flag.startsWith('~')),
    isDeterministic: !flags.includes('?'),
    ...(value('~') ? { collation: value('~') ?? '' } : {}),
    defaultText: value('='),
    generated: (value('@') ?? '') as CatalogColumn['generated'],
  };
}

function unique(...columns: string[]): CatalogUnique {
  return { name: `by_${columns.join('_')}`, keys: columns, columns };
}

function table(
  name: string,
  columns: readonly string[],
  more: Partial<CatalogRelation> = {},
): CatalogRelation {
  return {
    schema: 'public',
    name,
    kind: 'table',
    placement: 'omni',
    columns: columns.map(column),
    keyColumn: -1,
    rule: -1,
    viewText: null,
    parents: [],
    uniques: [],
    foreignKeys: [],
    hasTriggers: false,
    hasRules: false,
    hasRowSecurity: false,
    ...more,
  };
}

function sharded(
  name: string,
  key: string,
  rule: number,
  columns: readonly string[],
  more: Partial<CatalogRelation> = {},
): CatalogRelation {
  const keyColumn = columns.findIndex((each) => each.startsWith(`${key}:`));
  return table(name, columns, { placement: 'sharded', keyColumn, rule, ...more });
}

function foreign(
  target: string,
  columns: readonly string[],
  targetColumns: readonly string[],
  onDelete: string,
  onUpdate: string,
): CatalogForeignKey {
  return { columns, schema: 'public', table: target, targetColumns, onDelete, onUpdate };
}

function view(
  name: string,
  columns: readonly string[],
  viewText: string,
  more: Partial<CatalogRelation> = {},
): CatalogRelation {
  return table(name, columns, { kind: 'view', placement: 'view', viewText, ...more });
}

function rule(
  name: string | null,
  columnName: string,
  keyType: ShardRule['keyType'],
  more: Partial<ShardRule> = {},
): ShardRule {
  return {
    schema: null,
    table: name,
    column: columnName,
    keyType,
    function: 'hash',
    mapping: [],
    lookupQuery: null,
    lookupResult: 'value',
    ...more,
  };
}

export const SHARDING: ShardingSnapshot = {
  shardCount: 3,
  tables: [
    rule('users', 'id', 'int8'),
    rule(null, 'user_id', 'int8'),
    rule('names', 'name', 'text'),
    rule('docs', 'owner', 'uuid'),
    rule('days', 'day', 'date'),
    rule('moments', 'at', 'timestamptz'),
    rule('sums', 'amount', 'numeric'),
    rule('blobs', 'body', 'bytea'),
    rule('regions', 'region', 'int8', {
      function: 'mapped',
      mapping: [{ kind: 'list', values: ['1'], shard: 0 }],
    }),
    rule('oddly', 'kind', 'int8'),
    rule('lefts', 'kind', 'int8', { areUniquesPerShard: true }),
  ],
  schemas: [
    { name: 'eu', shard: 1, isOnAll: false },
    { name: 'us', shard: 2, isOnAll: false },
    { name: 'pgdog', shard: 0, isOnAll: true },
  ],
  omnisharded: [],
  crossShard: 'full',
  isOmniSticky: false,
  commit: 'two_phase',
};

const ORDERS = [
  'id:int8 !',
  'user_id:int8',
  'total:numeric',
  'note:text ~',
  'status:text',
  'n:int4',
  'at:timestamptz',
  'f:float8',
];

const RELATIONS: readonly CatalogRelation[] = [
  sharded('users', 'id', 0, ['id:int8 !', 'name:text', 'age:int4', 'country:text'], {
    uniques: [unique('id'), unique('name', 'id')],
  }),
  sharded('orders', 'user_id', 1, ORDERS, { uniques: [unique('id', 'user_id')] }),
  sharded(
    'items',
    'user_id',
    1,
    ['id:int8', 'order_id:int8', 'user_id:int4', 'price:numeric#655366', 'x:int4'],
    { uniques: [unique('id')], looseUniques: [unique('id')] },
  ),
  sharded(
    'labels',
    'user_id',
    1,
    [
      'id:uuid =gen_random_uuid()',
      'user_id:int8',
      'mail:text',
      'x:int4',
      'low:text @s',
      "kind:text ='x'::text",
    ],
    {
      uniques: [unique('id'), unique('mail'), unique('user_id', 'x')],
      looseUniques: [unique('id'), unique('mail')],
    },
  ),
  sharded('lows', 'user_id', 1, ['user_id:int8', 'low:text @s', 'x:int4'], {
    looseUniques: [unique('low')],
  }),
  sharded('halves', 'user_id', 1, ['user_id:int8', 'mail:text', 'x:int4', 'y:int4'], {
    looseUniques: [{ name: 'half', keys: ['mail'], columns: ['mail', 'x'], hasEqualNulls: true }],
  }),
  sharded('lefts', 'kind', 10, ['kind:int8', 'mail:text'], { looseUniques: [unique('mail')] }),
  sharded('followers', 'user_id', 1, ['user_id:int8', 'code:int8'], {
    looseUniques: [unique('code')],
    foreignKeys: [foreign('leaders', ['user_id', 'code'], ['user_id', 'code'], 'c', 'c')],
  }),
  sharded('leaders', 'user_id', 1, ['user_id:int8', 'code:int8', 'x:int4'], {
    uniques: [unique('user_id', 'code')],
  }),
  sharded('words', 'user_id', 1, [
    'user_id:int8',
    'own:text ~pg_catalog."default"',
    'other:varchar ~"sv"',
    'third:text ~"de"',
    'plain:text',
    'x:int4',
    'fix:bpchar#7 ~"sv"',
    'dom:text ^ ~"sv"',
    'doc:jsonb',
    'tags:_text ~"sv"',
  ]),
  sharded('names', 'name', 2, ['name:text', 'x:int4', 'short:varchar#9']),
  sharded('tags', 'name', 2, ['name:varchar#14', 'x:int4']),
  sharded('codes', 'name', 2, ['name:varchar', 'x:int4']),
  sharded('docs', 'owner', 3, ['owner:uuid', 'x:int4']),
  sharded('days', 'day', 4, ['day:date', 'x:int4']),
  sharded('moments', 'at', 5, ['at:timestamptz', 'x:int4']),
  sharded('sums', 'amount', 6, ['amount:numeric', 'x:int4']),
  sharded('blobs', 'body', 7, ['body:bytea', 'x:int4']),
  sharded('regions', 'region', 8, ['region:int8', 'x:int4']),
  sharded('logs', 'user_id', 1, [
    "id:int8 =nextval('logs_id_seq'::regclass)",
    'user_id:int8',
    'at:timestamptz =now()',
    'text:text',
  ]),
  sharded('counted', 'user_id', 1, ['id:int8 @d', 'user_id:int8', 'double:int8 @s']),
  sharded('guarded', 'user_id', 1, ['id:int8', 'user_id:int8'], { hasRowSecurity: true }),
  sharded('triggered', 'user_id', 1, ['id:int8', 'user_id:int8'], { hasTriggers: true }),
  sharded('ruled', 'user_id', 1, ['id:int8', 'user_id:int8'], { hasRules: true }),
  sharded('domained', 'user_id', 1, ['id:int8', 'user_id:int8 ^']),
  sharded('loose', 'name', 2, ['name:text ?']),
  sharded('precise', 'amount', 6, ['amount:numeric#655366']),
  sharded('wrong_type', 'kind', 9, ['kind:text']),
  sharded('parted', 'user_id', 1, ['id:int8', 'user_id:int8'], { kind: 'partitioned' }),
  table('parted_1', ['user_id:int8', 'id:int8'], { parents: [['public', 'parted']] }),
  sharded('identified', 'user_id', 1, ['user_id:int8 @d', 'x:int4']),
  sharded('kept', 'user_id', 1, ['user_id:int8'], {
    kind: 'materializedView',
    viewText: 'SELECT user_id FROM public.orders',
  }),
  table('ratios', ['user_id:numeric', 'a:int8']),
  sharded('computed', 'user_id', 1, ['base:int8', 'user_id:int8 @s']),
  sharded('owners', 'user_id', 1, ['id:int8', 'user_id:int8'], { uniques: [unique('id', 'user_id')] }),
  sharded('pets', 'user_id', 1, ['id:int8', 'user_id:int8', 'owner:int8'], {
    foreignKeys: [foreign('owners', ['owner', 'user_id'], ['id', 'user_id'], 'n', 'c')],
  }),
  sharded('riders', 'user_id', 1, ['id:int8', 'user_id:int8', 'rider:int8'], {
    foreignKeys: [foreign('owners', ['rider'], ['id'], 'a', 'a')],
  }),
  sharded('rents', 'user_id', 1, ['id:int8', 'user_id:int8'], {
    foreignKeys: [foreign('payers', ['user_id'], ['user_id'], 'c', 'a')],
  }),
  sharded('payers', 'user_id', 1, ['user_id:int8', 'x:int4']),
  table('kinds', ['code:int8', 'x:int4']),
  sharded('kinded', 'user_id', 1, ['user_id:int8', 'kind:int8'], {
    foreignKeys: [foreign('kinds', ['user_id'], ['code'], 'c', 'c')],
  }),
  table('copies', ['user_id:int8'], { foreignKeys: [foreign('payers', ['user_id'], ['user_id'], 'a', 'n')] }),
  table('domains', ['a:int8', 'b:text ^']),
  table('countries', ['code:text', 'name:text ~', 'size:int4', 'at:timestamptz'], {
    uniques: [unique('code')],
  }),
  table('rates', [
    "id:int8 =nextval('rates_id_seq'::regclass)",
    'code:text',
    'rate:numeric',
    'at:timestamptz =now()',
  ]),
  table('plain', ['a:int8', "b:text ='x'::text", 'user_id:int8']),
  table('numbers', ['last_value:int8'], { kind: 'sequence' }),
  table('distant', ['a:int8'], { kind: 'foreignTable' }),
  table('mixed_parent', ['id:int8']),
  sharded('mixed_child', 'user_id', 1, ['id:int8', 'user_id:int8'], {
    parents: [['public', 'mixed_parent']],
  }),
  table('bills', ["id:int8 =nextval('eu.bills_id_seq'::regclass)", 'at:timestamptz =now()'], {
    schema: 'eu',
    placement: 'oneShard',
    shard: 1,
  }),
  table('ports', ['id:int8'], { schema: 'us', placement: 'oneShard', shard: 2 }),
  view('bill_view', ['id:int8'], 'SELECT id FROM eu.bills', { schema: 'eu', shard: 1 }),
  view('order_view', ORDERS.slice(0, 3), 'SELECT o.id, o.user_id, o.total FROM public.orders o'),
  view(
    'joined_view',
    ['uid:int8', 'total:numeric'],
    'SELECT u.id AS uid, o.total FROM public.users u JOIN public.orders o ON o.user_id = u.id',
  ),
  view(
    'top_view',
    ['user_id:int8', 'total:numeric'],
    'SELECT user_id, total FROM public.orders ORDER BY total DESC LIMIT 10',
  ),
  view(
    'sum_view',
    ['user_id:int8', 'total:numeric'],
    'SELECT user_id, sum(total) AS total FROM public.orders GROUP BY user_id',
  ),
  view(
    'one_view',
    ['user_id:int8', 'total:numeric'],
    'SELECT user_id, total FROM public.orders WHERE user_id = 7',
  ),
  view('nested_view', ['user_id:int8'], 'SELECT user_id FROM public.order_view'),
  view('bare_view', ['user_id:int8'], 'SELECT user_id FROM orders'),
  view('omni_view', ['code:text'], 'SELECT code FROM public.countries'),
  view('broken_view', ['a:int8'], 'SELECT FROM WHERE'),
  view('circle_view', ['a:int8'], 'SELECT a FROM public.circle_view'),
  view('totals', ['n:int8'], 'SELECT count(*) AS n FROM public.orders', { kind: 'materializedView' }),
  view('omni_totals', ['n:int8'], 'SELECT count(*) AS n FROM public.countries', { kind: 'materializedView' }),
];

export const CATALOG: ShardCatalogData = {
  database: 'app',
  version: 1,
  canPrepare: true,
  placedBy: '',
  relations: RELATIONS,
  searchPaths: {},
  schemas: ['public'],
  functions: [],
  textOrder: 'bytes',
  differences: [{ schema: 'public', name: 'skewed', text: 'shard 1 has a column more' }],
};
