/** now() and its like: one value in a statement, and in all statements of a transaction, wherever their rows are. */
import { type OracleCase, p, type Step, script, writes } from './oracle-case.js';

const TOKENS = [0, 1, 2, 3, 4, 5].map((n) => `c4ca4238-a0b9-2382-0dcc-509a6f75849${n}`);
const [A, B, C, D, E, F] = TOKENS.map((token) => `'${token}'`);
const ALL = `(${TOKENS.map((token) => `'${token}'`).join(', ')})`;
const DISTINCT = `SELECT count(DISTINCT started), count(*) FROM visit WHERE token IN ${ALL}`;

/** Every shard of the transaction is touched, then asked for the time. */
const ONE_EACH = [A, B, C, D].map((token) => `INSERT INTO visit (token, started) VALUES (${token}, now())`);

const ROWS = '(11, 1), (12, 2), (13, 3), (14, 4), (15, 5)';
const STAMPED = [11, 12, 13, 14].map((k) => `INSERT INTO stamped (k, n) VALUES (${k}, ${k})`);
const STAMPS = 'SELECT count(DISTINCT at), count(DISTINCT day), count(*) FROM stamped WHERE k > 10';

const execute = (name: string, sql: string, values: Step['values'], more: Partial<Step> = {}): Step =>
  p(sql, values, { statement: { name, phase: 'execute' }, ...more });
const BY_NAME = 'INSERT INTO visit (token, started) VALUES ($1, now())';
const SINCE = 'SELECT count(*) FROM visit WHERE token = $1 AND started = now()';

const SCRIPTS: readonly (string | Step)[][] = [
  [
    `INSERT INTO visit (token, started) VALUES (${A}, now()), (${B}, now()), (${C}, CURRENT_TIMESTAMP), (${D}, transaction_timestamp())`,
    DISTINCT,
  ],
  [
    `INSERT INTO visit (token, started, who) VALUES (${A}, now(), random()::text), (${B}, now(), random()::text), (${C}, now(), 'x') RETURNING token, hits`,
    DISTINCT,
  ],
  [
    `INSERT INTO visit (token, started) VALUES (${A}, now()), (${B}, now()) ON CONFLICT (token) DO UPDATE SET started = now()`,
    `INSERT INTO visit (token, started) VALUES (${A}, '2024-01-01'), (${B}, NULL) ON CONFLICT (token) DO UPDATE SET started = now()`,
    DISTINCT,
  ],
  ['UPDATE visit SET started = now()', 'SELECT count(DISTINCT started) FROM visit'],
  [
    'UPDATE visit SET started = now() WHERE hits > 3 RETURNING hits',
    'SELECT count(DISTINCT started) FROM visit WHERE hits > 3',
  ],
  ['UPDATE visit SET started = now() RETURNING now()'],
  ['UPDATE visit SET started = clock_timestamp()'],
  ['UPDATE visit SET started = now() WHERE started < now()', 'SELECT count(DISTINCT started) FROM visit'],
  ['SELECT token, now() > started AS is_over FROM visit', 'SELECT token, now() > started FROM visit'],
  [
    'SELECT now() FROM visit WHERE false',
    'SELECT CASE WHEN hits > 0 THEN NULL ELSE now() END FROM visit WHERE false',
  ],
  [
    'SELECT CURRENT_DATE FROM visit WHERE hits IS NULL',
    'SELECT (SELECT now()) FROM visit WHERE hits IS NULL',
  ],
  ['SELECT CURRENT_DATE - DATE $$2024-01-01$$ AS days, token FROM visit ORDER BY token LIMIT 3'],
  ['SELECT count(*) FROM visit WHERE started < now()', 'DELETE FROM visit WHERE started < now()'],
  ['BEGIN', ...ONE_EACH, DISTINCT, 'COMMIT', DISTINCT],
  ['BEGIN', 'SELECT count(*) FROM visit', ...ONE_EACH, DISTINCT, 'ROLLBACK'],
  [
    'BEGIN',
    'SAVEPOINT s',
    ...ONE_EACH,
    'ROLLBACK TO s',
    ...ONE_EACH,
    `SELECT count(*) FROM visit WHERE token IN ${ALL} AND started = now()`,
    'COMMIT',
  ],
  [
    'BEGIN',
    ...ONE_EACH,
    ...[A, B, C, D].map(
      (token) => `SELECT started = now() AS is_now, started = now() FROM visit WHERE token = ${token}`,
    ),
    ...[A, B, C, D].map((token) => `UPDATE visit SET started = CURRENT_DATE WHERE token = ${token}`),
    ...[A, B, C, D].map((token) => `DELETE FROM visit WHERE token = ${token} AND started = CURRENT_DATE`),
    'COMMIT',
  ],
  [
    'BEGIN',
    ...ONE_EACH,
    `INSERT INTO visit (token, started) VALUES (${E}, now()), (${F}, now()), ('c4ca4238-a0b9-2382-0dcc-509a6f758480', now())`,
    'SELECT started = now() AS is_now, count(*) FROM visit GROUP BY started = now() ORDER BY 1',
    'SELECT count(*) FROM visit WHERE started = now()',
    'UPDATE visit SET started = now() WHERE hits IS NULL',
    `SELECT count(*) FROM visit WHERE token IN ${ALL} AND started = now()`,
    'COMMIT',
  ],
  ['BEGIN', ...ONE_EACH.map((sql) => `${sql} RETURNING started = now() AS is_now`), 'ROLLBACK'],
  [
    'BEGIN',
    ...ONE_EACH,
    `SELECT now() = started FROM visit WHERE token = ${D}`,
    'SELECT now() = now()',
    'ROLLBACK',
  ],
  ...[A, B, C, D].map((token) => [
    'BEGIN',
    ...ONE_EACH,
    `UPDATE visit SET started = 'now' WHERE token = ${token}`,
    DISTINCT,
    'COMMIT',
  ]),
  ['BEGIN', ...ONE_EACH, `SELECT count(*) FROM visit WHERE started = 'now'`, DISTINCT, 'COMMIT'],
  [
    'BEGIN',
    ...ONE_EACH,
    'INSERT INTO tally (what) VALUES ($$t$$)',
    'SELECT count(*) FROM tally WHERE made = now()',
    'COMMIT',
  ],
  [
    'BEGIN',
    ...ONE_EACH,
    'DECLARE c CURSOR FOR SELECT hits FROM visit WHERE started = now()',
    'FETCH ALL c',
    'COMMIT',
  ],
  ['BEGIN', ...ONE_EACH, `EXPLAIN (COSTS OFF) SELECT 1 FROM product WHERE now() IS NULL`, 'COMMIT'],
  ["SET DateStyle = 'German'", 'BEGIN', ...ONE_EACH, DISTINCT, 'COMMIT'],
  ["SET TimeZone = 'Asia/Kathmandu'", 'BEGIN', ...ONE_EACH, DISTINCT, 'COMMIT'],
  [ONE_EACH.join('; '), DISTINCT],
  [`INSERT INTO stamped (k, n) VALUES ${ROWS}`, STAMPS],
  [
    `INSERT INTO stamped (k, n, at) VALUES (11, 1, DEFAULT), (12, 2, now()), (13, 3, DEFAULT), (14, 4, now())`,
    STAMPS,
  ],
  [
    `INSERT INTO stamped (k, n) VALUES ${ROWS} RETURNING k, n`,
    `INSERT INTO stamped (k, n) VALUES ${ROWS} RETURNING at = now()`,
    STAMPS,
  ],
  [p(`INSERT INTO stamped (k, n) VALUES ($1, $2), ($3, $2), ($4, $5)`, ['11', '1', '12', '13', '3']), STAMPS],
  [
    p('INSERT INTO stamped (k, n) SELECT * FROM unnest($1::bigint[], $2::int[])', ['{11,12,13}', '{1,2,3}']),
    STAMPS,
  ],
  [
    'INSERT INTO stamped (k, n) SELECT k + 0, n FROM stamped',
    'INSERT INTO stamped (k, n) SELECT k, n FROM stamped',
    STAMPS,
  ],
  [
    'BEGIN',
    ...STAMPED,
    STAMPS,
    'SELECT count(*) FROM stamped WHERE at = now() AND day = CURRENT_DATE',
    'COMMIT',
    STAMPS,
  ],
  [
    'BEGIN',
    ...[11, 12, 13, 14].map((k) =>
      p('INSERT INTO stamped (n, k) VALUES ($2, $1) RETURNING k, n', [`${k}`, '7']),
    ),
    STAMPS,
    'COMMIT',
  ],
  ['BEGIN', ...STAMPED, 'UPDATE stamped SET at = DEFAULT WHERE k = 11', STAMPS, 'COMMIT'],
  ['BEGIN', ...STAMPED, 'UPDATE stamped SET at = DEFAULT WHERE k = 14', STAMPS, 'COMMIT'],
  [{ sql: 'COPY stamped (k, n) FROM STDIN', copy: '11\t1\n12\t2\n13\t3\n' }, STAMPS],
  [`BEGIN; ${ONE_EACH.join('; ')}; COMMIT`, DISTINCT],
  [
    'BEGIN',
    ...TOKENS.map((token) => p(BY_NAME, [token])),
    ...TOKENS.map((token) => p(SINCE, [token])),
    DISTINCT,
    'COMMIT',
  ],
  [
    p(BY_NAME, [], { statement: { name: 'made', phase: 'prepare' } }),
    p(SINCE, [], { statement: { name: 'asked', phase: 'prepare' } }),
    'BEGIN',
    ...TOKENS.map((token) => execute('made', BY_NAME, [token])),
    ...TOKENS.map((token) => execute('asked', SINCE, [token], { results: [1] })),
    DISTINCT,
    'COMMIT',
    execute('asked', SINCE, [TOKENS[0] ?? '']),
  ],
  [
    p(BY_NAME, [TOKENS[0] ?? ''], { followed: TOKENS.slice(1).map((token) => p(BY_NAME, [token])) }),
    DISTINCT,
  ],
  ['BEGIN', ...ONE_EACH, ...TOKENS.map((token) => p(SINCE, [token], { rowsMax: 1 })), 'COMMIT'],
  [
    'BEGIN',
    ...ONE_EACH,
    ...TOKENS.slice(0, 4).map((token) => p('UPDATE visit SET started = $2 WHERE token = $1', [token, 'now'])),
    DISTINCT,
    'COMMIT',
  ],
  [p('UPDATE visit SET started = $1', ['now']), 'SELECT count(DISTINCT started) FROM visit'],
  [p('UPDATE tally SET made = $1', ['now']), 'SELECT count(DISTINCT made) FROM tally'],
  [p('INSERT INTO tally (what, made) VALUES ($1, $2)', ['t', 'now'])],
];

export function timeCases(): OracleCase[] {
  return [
    // What is compared afterwards are other rows than those that tell of now.
    ...SCRIPTS.map((steps) =>
      script(
        'the time of a transaction',
        ...steps,
        'ROLLBACK',
        'UPDATE visit SET started = NULL, who = NULL',
        'UPDATE tally SET made = NULL',
      ),
    ),
    ...writes(
      'the time of a transaction',
      p('INSERT INTO event (day, seq) VALUES ($1, $2)', ['now', '77']),
      'UPDATE event SET what = CURRENT_DATE::text',
      'DELETE FROM moment WHERE k < now()',
    ),
  ];
}
