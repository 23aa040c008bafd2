/** What the proxy fills in. The reference has a function of that name, which counts: values differ, all else must not. */
import { anyOrder, type OracleCase, type Step, script, writes } from './oracle-case.js';

const withValues = (sql: string, ...values: (string | null)[]): Step => ({ sql, values });

const READS = [
  'SELECT pgdog.unique_id() > 0 AS ok',
  'SELECT pgdog.unique_id() IS NULL',
  "SELECT pg_typeof(pgdog.unique_id()), 'pgdog.unique_id()'",
  'SELECT length(pgdog.unique_id()::text) > 0 AS unique_id',
  'SELECT pgdog.unique_id() - pgdog.unique_id() < 0 AS grows',
  'SELECT CASE WHEN pgdog.unique_id() > 5 THEN NULL ELSE 1 END',
  'SELECT coalesce(NULL, pgdog.unique_id()) * 0',
  'SELECT -pgdog.unique_id() < 0',
  'SELECT pgdog.unique_id() WHERE false',
  'SELECT pgdog.unique_id()::text WHERE false',
  'SELECT (pgdog.unique_id()) WHERE false',
  'SELECT pgdog.unique_id()::int8::numeric(30, 2) WHERE false',
  'SELECT pgdog.unique_id() COLLATE "C" WHERE false',
  'SELECT (SELECT pgdog.unique_id()) WHERE false',
  'SELECT ARRAY[pgdog.unique_id()] WHERE false',
  'SELECT pgdog.unique_id() WHERE false UNION ALL SELECT 1',
  'WITH n AS (SELECT pgdog.unique_id()) SELECT unique_id > 0 FROM n',
  'VALUES (pgdog.unique_id() * 0), (pgdog.unique_id() * 0)',
  'SELECT pgdog.unique_id() FROM customer',
  'SELECT id FROM customer WHERE id = pgdog.unique_id()',
  'SELECT pgdog.unique_id() * 0 AS zero, generate_series(1, 2)',
  'SELECT pgdog.unique_id(1)',
  'SELECT unique_id()',
];

const WRITES = [
  "INSERT INTO customer (id, name) VALUES (501 + pgdog.unique_id() * 0, 'x')",
  "INSERT INTO customer (id, name, level) VALUES (501, 'x', (pgdog.unique_id() > 0)::int)",
  "INSERT INTO customer (id, name, visits) VALUES (501, 'a', pgdog.unique_id() * 0), (502, 'b', pgdog.unique_id() * 0), (503, 'c', 2) RETURNING id, visits",
  'INSERT INTO orders (customer_id, id) VALUES (5, pgdog.unique_id() * 0 + 77) RETURNING *',
  "INSERT INTO tally (id, what) VALUES (pgdog.unique_id() * 0 + 900, 'new') RETURNING id, what",
  "INSERT INTO country SELECT 'zz', (pgdog.unique_id() > 0)::text, 5",
  "UPDATE country SET size = pgdog.unique_id() * 0 WHERE code = 'at' RETURNING *",
  'UPDATE customer SET visits = pgdog.unique_id() * 0 WHERE id = 5',
  'UPDATE customer SET visits = pgdog.unique_id() * 0 WHERE id > 5',
  'UPDATE customer SET visits = pgdog.unique_id() * 0',
  'DELETE FROM customer WHERE id = pgdog.unique_id()',
  "INSERT INTO country VALUES ('at', 'x') ON CONFLICT (code) DO UPDATE SET size = pgdog.unique_id() * 0",
  "INSERT INTO country VALUES ('at', (pgdog.unique_id() > 0)::text) ON CONFLICT (code) DO UPDATE SET title = excluded.title",
  withValues(
    'INSERT INTO customer (id, name, visits) VALUES ($1, $2, pgdog.unique_id() * 0) RETURNING id',
    '504',
    'p',
  ),
  withValues(
    'INSERT INTO customer (id, name, visits) VALUES ($1, $2, pgdog.unique_id() * 0), ($3, $2, $4) RETURNING visits',
    '505',
    'p',
    '506',
    '4',
  ),
  withValues('UPDATE customer SET visits = pgdog.unique_id() * 0, nick = $2 WHERE id = $1', '7', 'n'),
  withValues('SELECT $1::int, pgdog.unique_id() > $2::int', '7', '3'),
  withValues('INSERT INTO country VALUES ($1, (pgdog.unique_id() > 0)::text, $2)', 'yy', '7'),
  withValues('INSERT INTO country VALUES ($1, (pgdog.unique_id() > 0)::text)', 'at'),
];

const SCRIPTS = [
  [
    'BEGIN',
    "INSERT INTO customer (id, name, visits) VALUES (507, 'x', pgdog.unique_id() * 0)",
    'SELECT name FROM customer WHERE id = 507',
    'COMMIT',
  ],
  ['BEGIN', 'SELECT pgdog.unique_id() FROM customer', 'SELECT 1', 'ROLLBACK'],
  ['PREPARE p AS SELECT pgdog.unique_id() > 0', 'EXECUTE p'],
  ['SELECT 1; SELECT pgdog.unique_id() > 0 AS x'],
];

export function madeCases(): OracleCase[] {
  return [
    ...anyOrder('ids that are made', ...READS),
    ...writes('ids that are made', ...WRITES),
    ...SCRIPTS.map((texts) => script('ids that are made', ...texts)),
  ];
}
