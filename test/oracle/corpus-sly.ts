/** What hides from a reading of the text: triggers, types that round, keys made by the server, other uses of the protocol. */
import { type OracleCase, type Step, script, sorted, sortedBy, writes } from './oracle-case.js';

const p = (sql: string, values: Step['values'] = [], more: Partial<Step> = {}): Step => ({
  sql,
  values,
  ...more,
});

/** Of `once`, nothing that is told apart by a column other than the key: that holds within a shard only, as the documentation says. */
const WRITES = [
  'INSERT INTO money (k, v) VALUES (1.005, 1)',
  'INSERT INTO money (k, v) VALUES (1.00, 1)',
  "INSERT INTO money (k, v) VALUES ('1.005', 1), (2, 2), (3.10, 3)",
  'SELECT v FROM money WHERE k = 1.0',
  'SELECT v FROM money WHERE k = 1',
  "SELECT v FROM money WHERE k = '2.50000'",
  'SELECT v FROM money WHERE k = 2.504',
  'SELECT v FROM money WHERE k IN (1e0, 2.5)',
  'UPDATE money SET v = 9 WHERE k = 2.5',
  "INSERT INTO short VALUES ('abc   ', 1)",
  "INSERT INTO short VALUES ('abcd', 1)",
  "INSERT INTO short VALUES ('xyz', 1)",
  "SELECT v FROM short WHERE k = 'abc   '",
  "SELECT v FROM short WHERE k = 'abc'",
  "SELECT v FROM short WHERE k = 'abc'::char(5)",
  "SELECT v FROM short WHERE k::text = 'abc'",
  "INSERT INTO moment VALUES ('2024-01-01 00:00:00', 1)",
  "INSERT INTO moment VALUES ('2024-01-01 00:00:00+00', 1)",
  "INSERT INTO moment VALUES ('2024-01-01 01:00:00.1234567+01', 1)",
  "SELECT v FROM moment WHERE k = '2024-01-02 00:00:00'",
  "SELECT v FROM moment WHERE k = '2024-01-02 00:00:00+00'",
  "SELECT v FROM moment WHERE k = '2024-01-02 02:00:00+02'",
  "SELECT v FROM moment WHERE k = timestamp '2024-01-02 00:00:00'",
  "SELECT v FROM moment WHERE k = date '2024-01-02'",
  "INSERT INTO whole VALUES ('2024-01-01 00:00:00.6', 1)",
  "SELECT v FROM whole WHERE k = '2024-01-02 00:00:00.4'",
  "SELECT v FROM whole WHERE k = '2024-01-02'",
  "INSERT INTO bits VALUES ('\\x41', 1), ('B', 2), (E'\\\\103', 3)",
  "SELECT v FROM bits WHERE k = '\\x61'",
  "SELECT v FROM bits WHERE k = 'a'",
  "SELECT v FROM bits WHERE k = '\\141'",
  "SELECT v FROM bits WHERE k = '\\X61'",
  "SELECT v FROM bits WHERE k = '\\x6 1'",
  "SELECT v FROM bits WHERE k = decode('61', 'hex')",
  'INSERT INTO moved (k, v) VALUES (1, 1)',
  'INSERT INTO moved (k, v) VALUES (1, 1), (2, 2), (3, 3)',
  'UPDATE moved SET v = 5 WHERE k = 2',
  'INSERT INTO given DEFAULT VALUES',
  'INSERT INTO given (v) VALUES (3)',
  'INSERT INTO given (k, v) VALUES (DEFAULT, 3), (5, 4)',
  'INSERT INTO made (n) VALUES (5)',
  'INSERT INTO made (n) VALUES (5), (6), (7)',
  'UPDATE made SET n = 9 WHERE k = 4',
  'UPDATE made SET n = n + 1',
  'SELECT n FROM made WHERE k = 4',
  "INSERT INTO once (k, mail) VALUES (21, 'new'), (22, 'new'), (23, 'new'), (24, 'new')",
  "UPDATE once SET mail = 'same'",
  "INSERT INTO once (k, mail) VALUES (21, 'mail 1') ON CONFLICT (mail) DO NOTHING",
  "INSERT INTO once (k, mail) VALUES (21, 'mail 1') ON CONFLICT DO NOTHING",
  'DELETE FROM owner WHERE id = 1',
  'DELETE FROM owner',
  'UPDATE owner SET id = 90 WHERE id = 2',
  'INSERT INTO owned VALUES (9, 77)',
  'INSERT INTO child_row VALUES (1, 2, 3)',
  'SELECT count(*) FROM parent_row',
  'SELECT count(*) FROM ONLY parent_row',
  'SELECT v FROM parent_row WHERE k = 2',
  'DELETE FROM parent_row WHERE k = 2',
];

const BATCHES: readonly Step[] = [
  p('SELECT id FROM customer ORDER BY id', [], { rowsMax: 2 }),
  p('SELECT id FROM customer', [], { rowsMax: 1000 }),
  p('SELECT count(*) FROM customer', [], { rowsMax: 1 }),
  p('SELECT id FROM orders WHERE customer_id = 7 ORDER BY id', [], { rowsMax: 1 }),
  p('SELECT id FROM product ORDER BY id', [], { rowsMax: 5 }),
  p('SELECT DISTINCT level FROM customer ORDER BY level', [], { rowsMax: 2 }),
  p('SELECT id FROM customer ORDER BY id LIMIT 4 OFFSET 3', [], { rowsMax: 3 }),
  p('SELECT level, count(*) FROM customer GROUP BY level ORDER BY level', [], { rowsMax: 2 }),
];

const PARAMETER_WRITES: readonly Step[] = [
  p('INSERT INTO loose (k, v) VALUES ($1, 5), (7, $1)', ['3']),
  p('INSERT INTO loose (k, v) VALUES ($1, 5), ($2, 6), (3, $1)', ['3', '4']),
  p('INSERT INTO loose (k, v) VALUES ($1, 5), (8, 6), ($3, 7)', ['3', '4', '5']),
  p('INSERT INTO money (k, v) VALUES ($1, 1)', ['1.005']),
  p('SELECT v FROM money WHERE k = $1', ['1.00']),
  p('SELECT v FROM money WHERE k = $1', ['1'], { types: [23] }),
  p('SELECT v FROM moment WHERE k = $1', ['2024-01-02 00:00:00']),
  p('SELECT v FROM moment WHERE k = $1', ['2024-01-02 00:00:00+00']),
  p('SELECT v FROM bits WHERE k = $1', ['\\x61']),
  p('SELECT v FROM bits WHERE k = $1', [Buffer.from('a')], { formats: [1] }),
  p('INSERT INTO short VALUES ($1, 1)', ['abc  ']),
  p('SELECT v FROM short WHERE k = $1', ['abc']),
  p('DELETE FROM loose WHERE v = $1 RETURNING k', ['1'], { rowsMax: 1 }),
];

const ONE = p('SELECT name FROM customer WHERE id = $1', ['7']);
const OTHER = p('SELECT name FROM customer WHERE id = $1', ['8']);
const ALL = p('SELECT count(*) FROM loose');
const WRITE = p('DELETE FROM loose WHERE k = $1', ['1']);
const OTHER_WRITE = p('DELETE FROM loose WHERE k = $1', ['2']);
const FAILURE = p('SELECT 1 / $1::int', ['0']);

/** Several statements before one Sync are one transaction. */
const PIPELINES: readonly Step[] = [
  { ...ONE, followed: [ONE] },
  { ...ONE, followed: [OTHER] },
  { ...ONE, followed: [OTHER, p('SELECT name FROM customer WHERE id = $1', ['9'])] },
  { ...ONE, followed: [ALL] },
  { ...ALL, followed: [ONE] },
  { ...ALL, followed: [ALL] },
  { ...WRITE, followed: [WRITE] },
  { ...WRITE, followed: [OTHER_WRITE] },
  { ...WRITE, followed: [ALL] },
  { ...WRITE, followed: [FAILURE] },
  { ...WRITE, followed: [FAILURE, OTHER_WRITE] },
  { ...WRITE, followed: [OTHER_WRITE, FAILURE] },
  { ...p('DELETE FROM loose'), followed: [FAILURE] },
  { ...p('DELETE FROM loose'), followed: [ALL] },
  { ...p('DELETE FROM country'), followed: [FAILURE] },
  { ...p('DELETE FROM country'), followed: [p('DELETE FROM tally')] },
  { ...p('BEGIN'), followed: [WRITE, p('COMMIT')] },
  { ...p('BEGIN'), followed: [WRITE, OTHER_WRITE, p('COMMIT')] },
  { ...p('BEGIN'), followed: [WRITE, p('ROLLBACK')] },
  { ...p('BEGIN'), followed: [p('DELETE FROM loose'), p('COMMIT')] },
  {
    ...p('BEGIN'),
    followed: [
      p('SET LOCAL TimeZone TO $$Asia/Tokyo$$'),
      p('SELECT seen FROM customer WHERE id = 8'),
      p('COMMIT'),
    ],
  },
  { ...p('SET search_path TO other'), followed: [p('SELECT count(*) FROM tenant_b')] },
  { ...p('SELECT 1'), followed: [ONE] },
  { ...p('SELECT * FROM product WHERE id = $1', ['3']), followed: [OTHER] },
  { ...p('SELECT * FROM product WHERE id = $1', ['3']), followed: [p('UPDATE country SET size = 1')] },
];

const SCRIPTS: readonly (readonly string[])[] = [
  [
    'BEGIN',
    "SELECT set_config('TimeZone', 'Asia/Tokyo', true)",
    'SELECT seen FROM customer WHERE id = 7',
    'COMMIT',
  ],
  [
    'BEGIN',
    'SET CONSTRAINTS ALL IMMEDIATE',
    'DELETE FROM loose WHERE k = 1',
    'DELETE FROM loose WHERE k = 2',
    'COMMIT',
  ],
  ['BEGIN', 'SET transaction_read_only TO on', 'DELETE FROM loose WHERE k = 1', 'ROLLBACK'],
  [
    'BEGIN',
    'DELETE FROM loose WHERE k = 1',
    'SET transaction_read_only TO on',
    'DELETE FROM loose WHERE k = 2',
    'ROLLBACK',
  ],
  [
    'BEGIN',
    'DELETE FROM loose WHERE k = 1',
    'DELETE FROM loose WHERE k = 2',
    'SET TRANSACTION READ ONLY',
    'DELETE FROM loose WHERE k = 4',
    'ROLLBACK',
  ],
  ['BEGIN; SET LOCAL TimeZone TO $$Asia/Tokyo$$', 'SELECT seen FROM customer WHERE id = 8', 'COMMIT'],
  [
    'BEGIN',
    'SAVEPOINT s',
    'SET LOCAL TimeZone TO $$Asia/Tokyo$$',
    'ROLLBACK TO s',
    'SELECT seen FROM customer WHERE id = 8',
    'SELECT seen FROM customer WHERE id = 7',
    'COMMIT',
  ],
  [
    'SET LOCAL TimeZone TO $$Asia/Tokyo$$',
    'BEGIN',
    'DELETE FROM loose WHERE k = 1',
    'DELETE FROM loose WHERE k = 2',
    'SELECT seen FROM customer',
    'COMMIT',
  ],
  [
    'BEGIN',
    'SET TimeZone TO $$Asia/Tokyo$$',
    'SELECT seen FROM customer WHERE id = 8',
    'SELECT seen FROM customer WHERE id = 7',
    'ROLLBACK',
    'SELECT seen FROM customer WHERE id = 7',
  ],
  [
    'SET TimeZone TO $$Asia/Tokyo$$',
    "SELECT v FROM moment WHERE k = '2024-01-02 00:00:00'",
    "SELECT v FROM moment WHERE k = '2024-01-02 09:00:00'",
    "INSERT INTO moment VALUES ('2024-03-03 00:00:00', 1)",
  ],
  ['SET bytea_output TO escape', "SELECT k FROM bits WHERE k = 'a'", 'SELECT k, v FROM bits ORDER BY v'],
  [
    'SET standard_conforming_strings TO off',
    "SELECT v FROM bits WHERE k = '\\141'",
    "SELECT v FROM bits WHERE k = '\\\\x61'",
  ],
  ['SET session_replication_role TO replica', 'INSERT INTO moved (k, v) VALUES (1, 1)'],
  ['BEGIN', 'LOCK TABLE loose', 'LOCK TABLE customer, orders IN SHARE MODE', 'COMMIT'],
  ['BEGIN', 'DELETE FROM loose WHERE k = 1', 'LOCK TABLE loose', 'DELETE FROM loose WHERE k = 2', 'COMMIT'],
  [
    'CREATE FUNCTION id_of(t text) RETURNS bigint LANGUAGE sql STABLE AS $$SELECT id FROM public.customer WHERE name = t LIMIT 1$$',
    "SELECT name FROM customer WHERE id = id_of('name 2')",
    'DROP FUNCTION id_of(text)',
  ],
  [
    'CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq)',
    'SELECT name FROM customer WHERE id === 7',
    'DROP OPERATOR === (bigint, bigint)',
  ],
  [
    'ALTER TABLE loose ADD COLUMN made timestamptz DEFAULT now()',
    'SELECT count(*) FROM loose',
    'ALTER TABLE loose DROP COLUMN made',
  ],
  [
    'ALTER TABLE loose ALTER COLUMN k TYPE int',
    'SELECT v FROM loose WHERE k = 3',
    'INSERT INTO loose VALUES (3, 1)',
    'SELECT pg_typeof(k) FROM loose WHERE k = 3',
    'ALTER TABLE loose ALTER COLUMN k TYPE bigint',
  ],
  [
    'ALTER TABLE loose RENAME COLUMN v TO w',
    'SELECT w FROM loose WHERE k = 3',
    'SELECT sum(w) FROM loose',
    'ALTER TABLE loose RENAME COLUMN w TO v',
  ],
  [
    'ALTER TABLE account RENAME TO konto',
    "SELECT balance FROM konto WHERE login = 'bob'",
    'SELECT count(*) FROM konto',
    'ALTER TABLE konto RENAME TO account',
  ],
];

export function slyCases(): OracleCase[] {
  return [
    ...writes('triggers, rounding types, made keys', ...WRITES),
    ...sorted('parts of an answer at a time', ...BATCHES.filter(({ sql }) => sql.includes('ORDER'))),
    ...sortedBy('parts of an answer at a time', [], ...BATCHES.filter(({ sql }) => !sql.includes('ORDER'))),
    ...writes('parameters of such keys', ...PARAMETER_WRITES),
    ...PIPELINES.map((step) => script('batches of several statements', step)),
    ...SCRIPTS.map((steps) => script('transactions, definitions, settings once more', ...steps)),
  ];
}
