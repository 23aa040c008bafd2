/** A sharded database in words: what readShards() is asked about. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  type CatalogColumn,
  type CatalogForeignKey,
  type CatalogRelation,
  catalogLookup,
  joinShards,
  type KeySource,
  type ReadTerms,
  readShape,
  readShards,
  type ShardCatalogData,
  type ShardingSnapshot,
  type ShardReading,
  type ShardRule,
  type SqlParser,
  shape,
} from '@pgdog-cluster/core';

/** name type[(typmod)] and flags: ! not null, =default, @ generated, ~ linguistic collation, ? not deterministic, ^ domain */
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
    isByteOrdered: !flags.includes('~'),
    isDeterministic: !flags.includes('?'),
    defaultText: value('='),
    generated: (value('@') ?? '') as CatalogColumn['generated'],
  };
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

export const RELATIONS: readonly CatalogRelation[] = [
  sharded('users', 'id', 0, ['id:int8 !', 'name:text', 'age:int4', 'country:text'], {
    uniques: [['id'], ['name', 'id']],
  }),
  sharded('orders', 'user_id', 1, ORDERS, { uniques: [['id', 'user_id']] }),
  sharded(
    'items',
    'user_id',
    1,
    ['id:int8', 'order_id:int8', 'user_id:int4', 'price:numeric#655366', 'x:int4'],
    { uniques: [['id']] },
  ),
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
  sharded('owners', 'user_id', 1, ['id:int8', 'user_id:int8'], { uniques: [['id', 'user_id']] }),
  sharded('pets', 'user_id', 1, ['id:int8', 'user_id:int8', 'owner:int8'], {
    foreignKeys: [foreign('owners', ['owner', 'user_id'], ['id', 'user_id'], 'n', 'c')],
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
  table('countries', ['code:text', 'name:text ~', 'size:int4', 'at:timestamptz'], { uniques: [['code']] }),
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
  relations: RELATIONS,
  searchPaths: {},
  schemas: ['public'],
  functions: [],
  differences: [{ schema: 'public', name: 'skewed', text: 'shard 1 has a column more' }],
};

const IMMUTABLE: ReadonlySet<string> = new Set(['fine', 'app.fine', '<=>']);

export function termsOf(parser: SqlParser, more: Partial<ReadTerms> = {}): ReadTerms {
  return {
    lookup: catalogLookup(CATALOG, ['public']),
    parser,
    sharding: SHARDING,
    literals: null,
    isImmutable: (name) => IMMUTABLE.has(name),
    ...more,
  };
}

/** Of a text with its values. */
export function readText(sql: string, terms: ReadTerms): ShardReading {
  const statements = terms.parser.parse(sql);
  if (statements === null || statements === 'unread') throw new Error(`not SQL: ${sql}`);
  return joinShards(statements.map(({ kind, node }) => readShards(kind, node, terms)));
}

/** Of the shape of a text: literals are known by their places. */
export function readShaped(sql: string, terms: ReadTerms): ShardReading {
  const bytes = Buffer.from(sql);
  if (readShape(bytes, 0, bytes.length) !== 0) throw new Error(`no shape: ${sql}`);
  const text = Buffer.from(shape.bytes.subarray(0, shape.length)).toString();
  return readText(text, { ...terms, literals: literalPlaces(text) });
}

/** Where literals stand in a shape: 0, 0.0 and ''. A '-' right before a number may be its sign. */
export function literalPlaces(text: string): NonNullable<ReadTerms['literals']> {
  const places = new Map<number, { index: number; isNegative: boolean }>();
  let index = 0;
  let isInWord = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = text.indexOf('"', at + 1);
    else if (char === "'" || (char === '0' && !isInWord)) {
      places.set(at, { index, isNegative: false });
      if (text[at - 1] === '-') places.set(at - 1, { index, isNegative: true });
      index++;
      at += char === "'" ? 1 : text.startsWith('0.0', at) ? 2 : 0;
    }
    isInWord =
      char === '_' ||
      char === '$' ||
      char.toLowerCase() !== char.toUpperCase() ||
      (isInWord && char >= '0' && char <= '9');
  }
  return (location) => places.get(location) ?? null;
}

function sourceText(source: KeySource): string {
  switch (source.kind) {
    case 'value':
      return source.text;
    case 'literal':
      return `${source.isNegative ? '-' : ''}#${source.index}`;
    case 'literalList':
      return `#${source.index}…`;
    case 'literalArray':
      return `{#${source.index}}`;
    case 'parameter':
      return `$${source.number}`;
    case 'parameterArray':
      return `{$${source.number}}`;
    case 'null':
      return 'null';
    case 'shard':
      return `shard ${source.shard}`;
  }
}

/**
 * `refused`; without sharded tables where it runs; `direct` with the pins of each group (`,` one of, `^` and, `&` the next
 * group); else how it is spread, `no`: not at all.
 */
export function verdict({ refusal, groups, home, spread }: ShardReading): string {
  if (refusal !== null) return 'refused';
  if (groups.length === 0) return home;
  if (groups.every(({ pins }) => pins.length > 0)) {
    const all = groups.map(({ pins }) =>
      pins.map(({ sources }) => sources.map(sourceText).join(',')).join('^'),
    );
    return `direct ${[...new Set(all)].join(' & ')}`;
  }
  return spread.kind === 'refused' ? 'no' : spread.kind;
}

/** A test for each line of `verdict | statement`. */
export function checkVerdicts(title: string, lines: string, terms: () => ReadTerms): void {
  for (const line of lines.trim().split('\n')) {
    const bar = line.indexOf('|');
    const [expected, sql] = [line.slice(0, bar).trim(), line.slice(bar + 1).trim()];
    it(`${title}: ${sql}`, () => {
      const reading = readText(sql, terms());
      const why = reading.spread.kind === 'refused' ? reading.spread.reason : '';
      const got = verdict(reading);
      assert.equal(got, expected, `${got}, not ${expected}: ${reading.refusal?.reason ?? why}`);
    });
  }
}
