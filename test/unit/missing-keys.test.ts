/** [rewrite] primary_key: which rows get a key, where it comes in their text, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CatalogColumn,
  type CatalogRelation,
  loadSqlParser,
  type MadeReading,
  readMade,
  type ShardScope,
  withEdits,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();

function column(name: string, type: string, more: Partial<CatalogColumn> = {}): CatalogColumn {
  return {
    name,
    type: `pg_catalog.${type}`,
    typmod: -1,
    isDomain: false,
    isNotNull: false,
    isByteOrdered: true,
    isDeterministic: true,
    defaultText: null,
    generated: '',
    ...more,
  };
}

function table(
  name: string,
  columns: CatalogColumn[],
  key: string[],
  more: Partial<CatalogRelation> = {},
): CatalogRelation {
  return {
    schema: 'public',
    name,
    kind: 'table',
    placement: 'sharded',
    columns,
    keyColumn: -1,
    rule: -1,
    viewText: null,
    parents: [],
    uniques: [{ name: 'pk', keys: key, columns: key, isPrimary: true }],
    foreignKeys: [],
    hasTriggers: false,
    hasRules: false,
    hasRowSecurity: false,
    ...more,
  };
}

const TABLES = [
  table('t', [column('id', 'int8'), column('a', 'text'), column('b', 'int4')], ['id']),
  table('middle', [column('a', 'text'), column('Id', 'int8'), column('b', 'int4')], ['Id']),
  table('serial', [column('id', 'int8', { defaultText: "nextval('s')" }), column('a', 'text')], ['id']),
  table('omni', [column('id', 'int8'), column('a', 'text')], ['id'], { placement: 'omni' }),
  table('byDefault', [column('id', 'int8', { generated: 'd' }), column('a', 'text')], ['id']),
  table('always', [column('id', 'int8', { generated: 'a' }), column('a', 'text')], ['id']),
  table('small', [column('id', 'int4'), column('a', 'text')], ['id']),
  table('domain', [column('id', 'int8', { isDomain: true }), column('a', 'text')], ['id']),
  table('pair', [column('id', 'int8'), column('a', 'text')], ['id', 'a']),
  table('keyless', [column('id', 'int8'), column('a', 'text')], [], { uniques: [] }),
  table('view', [column('id', 'int8'), column('a', 'text')], ['id'], { kind: 'view' }),
  table('größe', [column('größe', 'text'), column('id', 'int8')], ['id']),
];

const find: ShardScope['find'] = (_schema, name) => {
  const relation = TABLES.find((each) => each.name === name);
  return relation === undefined ? { kind: 'unknown' } : { kind: 'relation', relation };
};

function made(sql: string, madeKeys: ShardScope['madeKeys'] = 'all'): MadeReading | null {
  const statements = parser.parse(sql);
  assert.ok(statements !== null && statements !== 'unread', sql);
  return readMade(Buffer.from(sql), statements, parser, false, { find, madeKeys });
}

function filled(sql: string, reading: MadeReading): string {
  let next = 1;
  const edits = reading.edits.map(({ start, end, before, value, after }) => {
    return { start, end, text: `${before}${value === null ? '' : `#${next++}`}${after}` };
  });
  const bytes = Buffer.from(sql);
  return Buffer.from(withEdits(bytes, 0, bytes.length, edits))
    .toString()
    .replaceAll('::int8::int8', '');
}

for (const [sql, wanted] of [
  ["INSERT INTO t (a) VALUES ('x')", `INSERT INTO t (a, "id") VALUES ('x', #1)`],
  [
    'insert into public . t (a , b ) values ( $1, $2 ) ;',
    `insert into public . t (a , b , "id") values ( $1, $2 , #1) ;`,
  ],
  [
    "INSERT INTO t (a) VALUES ('x'), ('(y)'), ($1)",
    `INSERT INTO t (a, "id") VALUES ('x', #1), ('(y)', #2), ($1, #3)`,
  ],
  ["INSERT INTO t VALUES (DEFAULT, 'x', 5)", "INSERT INTO t VALUES (#1, 'x', 5)"],
  [
    "INSERT INTO t VALUES (7, 'x'), (default, 'é'), (DEFAULT, DEFAULT)",
    "INSERT INTO t VALUES (7, 'x'), (#1, 'é'), (#2, DEFAULT)",
  ],
  ["INSERT INTO middle VALUES ('x')", `INSERT INTO middle ("a", "Id") VALUES ('x', #1)`],
  [
    "INSERT INTO middle AS m VALUES ('x'), ('y') RETURNING *",
    `INSERT INTO middle AS m ("a", "Id") VALUES ('x', #1), ('y', #2) RETURNING *`,
  ],
  ['INSERT INTO t DEFAULT VALUES', 'INSERT INTO t ("id") VALUES (#1)'],
  [
    "INSERT INTO serial (a) VALUES ('x') ON CONFLICT DO NOTHING",
    `INSERT INTO serial (a, "id") VALUES ('x', #1) ON CONFLICT DO NOTHING`,
  ],
  ['INSERT INTO "byDefault" (a) VALUES (\'x\')', `INSERT INTO "byDefault" (a, "id") VALUES ('x', #1)`],
  ["/* ( */ INSERT INTO t(a)VALUES('x') -- )", `/* ( */ INSERT INTO t(a, "id")VALUES('x', #1) -- )`],
  [
    "WITH c AS (SELECT 1) INSERT INTO t (a) VALUES ((SELECT 'x' FROM c))",
    `WITH c AS (SELECT 1) INSERT INTO t (a, "id") VALUES ((SELECT 'x' FROM c), #1)`,
  ],
  ['INSERT INTO t (a) VALUES (pgdog.unique_id()::text)', `INSERT INTO t (a, "id") VALUES (#1::text, #2)`],
  ["INSERT INTO größe (größe) VALUES ('x')", `INSERT INTO größe (größe, "id") VALUES ('x', #1)`],
] as const) {
  test(`gets keys: ${sql}`, () => {
    const reading = made(sql);
    assert.ok(reading !== null);
    assert.equal(reading.refusal, null, reading.refusal?.reason);
    assert.equal(filled(sql, reading), wanted);
  });
}

for (const sql of [
  "INSERT INTO t (id, a) VALUES (5, 'x')",
  "INSERT INTO t (a, id) VALUES ('x', NULL)",
  'INSERT INTO t VALUES ($1, $2)',
  "INSERT INTO always (a) VALUES ('x')",
  "INSERT INTO small (a) VALUES ('x')",
  "INSERT INTO domain (a) VALUES ('x')",
  "INSERT INTO pair (a) VALUES ('x')",
  "INSERT INTO keyless (a) VALUES ('x')",
  "INSERT INTO view (a) VALUES ('x')",
  "INSERT INTO unknown (a) VALUES ('x')",
  'INSERT INTO t SELECT id, a, b FROM t',
  'INSERT INTO middle SELECT * FROM middle',
  'INSERT INTO middle SELECT m.* FROM middle m UNION SELECT * FROM middle',
  'INSERT INTO t TABLE t',
  'UPDATE t SET a = DEFAULT',
  'SELECT 1; SELECT 2',
  '',
]) {
  test(`is left as it is: ${sql}`, () => assert.equal(made(sql), null));
}

for (const [sql, reason] of [
  ['INSERT INTO t (a) SELECT a FROM t', /INSERT into "t" without its key "id" by a query/],
  ['INSERT INTO middle SELECT a FROM middle', /by a query/],
  ['INSERT INTO middle SELECT a FROM middle UNION SELECT a FROM middle', /by a query/],
  ['INSERT INTO t (a) VALUES (many(3))', /by a function that may make several rows/],
  ["WITH w AS (INSERT INTO t (a) VALUES ('x') RETURNING id) SELECT * FROM w", /more than an INSERT/],
  ["SELECT 1; INSERT INTO t (a) VALUES ('x')", /more than an INSERT/],
  ["EXPLAIN INSERT INTO t (a) VALUES ('x')", /more than an INSERT/],
  ["PREPARE p AS INSERT INTO t (a) VALUES ('x')", /more than an INSERT/],
  ["INSERT INTO größe VALUES ('x')", /names are not ASCII/],
  ['INSERT INTO t (a, b) VALUES ($1, 5::int8::int8)', /cast to int8 twice/],
] as const) {
  test(`is refused: ${sql}`, () => assert.match(made(sql)?.refusal?.reason ?? '', reason));
}

test('none are made where nobody asks for it', () => {
  const sql = "INSERT INTO t (a) VALUES ('x')";
  const statements = parser.parse(sql);
  assert.ok(statements !== null && statements !== 'unread');
  assert.equal(readMade(Buffer.from(sql), statements, parser, false, { find }), null);
});

test('rewrite_omni: of whole tables alone; error: of none', () => {
  assert.equal(made("INSERT INTO t (a) VALUES ('x')", 'omni'), null);
  assert.equal(made("INSERT INTO omni (a) VALUES ('x')", 'omni')?.refusal, null);
  for (const sql of [
    "INSERT INTO t (a) VALUES ('x')",
    'INSERT INTO omni DEFAULT VALUES',
    'INSERT INTO t (a) SELECT a FROM t',
    "SELECT 1; INSERT INTO t (a) VALUES ('x')",
  ]) {
    assert.match(made(sql, 'error')?.refusal?.reason ?? '', /does not give its primary key "id"/, sql);
  }
  assert.equal(made("INSERT INTO t (id, a) VALUES (5, 'x')", 'error'), null);
});
