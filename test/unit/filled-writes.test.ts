/** Writes to whole copies: what one server is asked for, where it goes, and what is left to be refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CatalogColumn,
  type CatalogRelation,
  loadSqlParser,
  partsText,
  readFill,
  withEdits,
} from '@pgdog-cluster/core';
import { column as columnOf } from '../support/raw-catalogs.js';

const parser = await loadSqlParser();

const column = (name: string, more: Partial<CatalogColumn> = {}): CatalogColumn =>
  columnOf(name, 'text', more);

const NOTE: CatalogRelation = {
  schema: 'public',
  name: 'note',
  kind: 'table',
  placement: 'omni',
  columns: [
    column('id', { defaultText: "nextval('public.note_id_seq'::regclass)" }),
    column('text'),
    column('made', { defaultText: "(now() + '1 day'::interval)" }),
    column('kind', { defaultText: "'x'::text" }),
    column('Odd "n', { generated: 'd' }),
    column('fixed', { generated: 'a' }),
    column('sum', { generated: 's', defaultText: '(id + 1)' }),
  ],
  keyColumn: -1,
  rule: -1,
  viewText: null,
  parents: [],
  uniques: [],
  foreignKeys: [],
  hasTriggers: false,
  hasRules: false,
  hasRowSecurity: false,
};
const OTHER: CatalogRelation = {
  ...NOTE,
  name: 'other',
  columns: [column('a'), column('b', { defaultText: 'random()' })],
};
const FOREIGN: CatalogRelation = {
  ...NOTE,
  name: 'größe',
  columns: [column('a'), column('ö', { defaultText: 'random()' })],
};

/** With <…> for what is asked; null: nothing is filled in. */
function filled(sql: string, isTimeOnly = false): string | null {
  const statements = parser.parse(sql);
  assert.ok(Array.isArray(statements), sql);
  const bytes = Buffer.from(sql);
  const found = readFill(bytes, statements, {
    parser,
    isTimeOnly,
    find: (_schema, name) => {
      const relation = [NOTE, OTHER, FOREIGN].find((each) => each.name === name);
      return relation === undefined ? { kind: 'unknown' } : { kind: 'relation', relation };
    },
  });
  if (found === null) return null;
  const edits = found.fill.edits.map(({ start, end, parts }) => ({
    start,
    end,
    text: partsText(parts, ({ sql: asked, type }) => `<${asked} ${type}>`),
  }));
  return Buffer.from(withEdits(bytes, 0, bytes.length, edits)).toString();
}

const ID = "<nextval('public.note_id_seq'::regclass) int8>";
const MADE = "(<now() timestamptz> + '1 day'::interval)";
const ODD = `<pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('"public"."note"', 'Odd "n')) int8>`;

for (const [sql, wanted] of [
  [
    'UPDATE other SET a = now() WHERE b < CURRENT_DATE',
    'UPDATE other SET a = <now() timestamptz> WHERE b < <CURRENT_DATE date>',
  ],
  [
    'DELETE FROM other WHERE a > LOCALTIMESTAMP ( 3 ) + $1',
    'DELETE FROM other WHERE a > <LOCALTIMESTAMP ( 3 ) timestamp> + $1',
  ],
  ['INSERT INTO other (a) VALUES (1)', 'INSERT INTO other (a, "b") VALUES (1, <random() float8>)'],
  [
    'INSERT INTO other VALUES (1), (/* ) */ 2 )',
    'INSERT INTO other ("a", "b") VALUES (1, <random() float8>), (/* ) */ 2 , <random() float8>)',
  ],
  [
    'INSERT INTO other AS o (b, a) VALUES (default, 1), (0.5, 2)',
    'INSERT INTO other AS o (b, a) VALUES (<random() float8>, 1), (0.5, 2)',
  ],
  [
    'INSERT INTO other DEFAULT VALUES RETURNING a',
    'INSERT INTO other ("b") VALUES (<random() float8>) RETURNING a',
  ],
  [
    "INSERT INTO other VALUES (gen_random_uuid(), random() * 5), (nextval('a)b'), 1)",
    "INSERT INTO other VALUES (<gen_random_uuid() uuid>, <random() float8> * 5), (<nextval('a)b') int8>, 1)",
  ],
  [
    `INSERT INTO note ("Odd ""n", fixed, text) VALUES (5, 1, 'é')`,
    `INSERT INTO note ("Odd ""n", fixed, text, "id", "made") VALUES (5, 1, 'é', ${ID}, ${MADE})`,
  ],
  [
    "INSERT INTO note (id, fixed, text) VALUES (5, 1, 'x')",
    `INSERT INTO note (id, fixed, text, "made", "Odd ""n") VALUES (5, 1, 'x', ${MADE}, ${ODD})`,
  ],
  [
    'INSERT INTO note (id, fixed, text) OVERRIDING SYSTEM VALUE SELECT 5, 1, now()',
    'INSERT INTO note (id, fixed, text) OVERRIDING SYSTEM VALUE SELECT 5, 1, <now() timestamptz>',
  ],
  [
    'WITH x AS (SELECT now() AS n) INSERT INTO other SELECT n, 1 FROM x',
    'WITH x AS (SELECT <now() timestamptz> AS n) INSERT INTO other SELECT n, 1 FROM x',
  ],
  [
    'INSERT INTO other VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = now()',
    'INSERT INTO other VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = <now() timestamptz>',
  ],
] as const) {
  test(`filled in: ${sql}`, () => assert.equal(filled(sql), wanted));
}

for (const sql of [
  "INSERT INTO note (text) VALUES ('two sequences')",
  "INSERT INTO other VALUES (nextval('s'), nextval('s'))",
  'UPDATE other SET a = random()',
  'UPDATE other SET a = clock_timestamp()',
  'INSERT INTO other SELECT random(), 1',
  'INSERT INTO other VALUES ((SELECT random()), 1)',
  "INSERT INTO other VALUES (CASE WHEN true THEN nextval('s') END, 1)",
  'INSERT INTO other VALUES (generate_series(1, 3), random())',
  'INSERT INTO other VALUES (mine(random()), 1)',
  'INSERT INTO other VALUES (1, 2) RETURNING now()',
  'INSERT INTO other VALUES (1, mine.now())',
  'INSERT INTO größe (a) VALUES (1)',
  'UPDATE other SET a = now(); UPDATE other SET a = 1',
  'EXPLAIN UPDATE other SET a = now()',
  "INSERT INTO other VALUES ('now()', 1)",
]) {
  test(`left: ${sql}`, () => assert.equal(filled(sql), null));
}

test('what is asked for in one query has a limit', () => {
  const rows = (count: number): string => Array.from({ length: count }, () => '(random(), 1)').join(', ');
  assert.notEqual(filled(`INSERT INTO other VALUES ${rows(1000)}`), null);
  assert.equal(filled(`INSERT INTO other VALUES ${rows(1001)}`), null);
});

for (const [sql, wanted] of [
  [
    'INSERT INTO other (a) VALUES (now()), (random())',
    'INSERT INTO other (a) VALUES (<now() timestamptz>), (random())',
  ],
  [
    'INSERT INTO note (id, fixed, text, "Odd ""n") VALUES (1, 2, 3, 4)',
    `INSERT INTO note (id, fixed, text, "Odd ""n", "made") VALUES (1, 2, 3, 4, ${MADE})`,
  ],
  ['SELECT now() AS x, a FROM other', 'SELECT <now() timestamptz> AS x, a FROM other'],
  [
    'SELECT now() < a, coalesce(now(), a) FROM other',
    'SELECT <now() timestamptz> < a, coalesce(<now() timestamptz>, a) FROM other',
  ],
  ['SELECT a FROM other WHERE b > CURRENT_DATE', 'SELECT a FROM other WHERE b > <CURRENT_DATE date>'],
  ['SELECT now() FROM other', null],
  ['SELECT now()::date FROM other', null],
  ['SELECT a FROM other UNION ALL SELECT CASE WHEN true THEN a ELSE now() END FROM other', null],
  ['SELECT (SELECT now()) FROM other', null],
  ['SELECT random() AS x FROM other', null],
  ['INSERT INTO other (a) SELECT * FROM unnest(ARRAY[1])', null],
] as const) {
  test(`times alone: ${sql}`, () => assert.equal(filled(sql, true), wanted));
}
