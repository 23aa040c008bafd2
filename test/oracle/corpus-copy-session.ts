/** COPY FROM STDIN into tables that every shard has, and in transactions. */
import { binaryCopy, int8 } from './binary-copy.js';
import { type OracleCase, type Step, script } from './oracle-case.js';

export type Copy = readonly [sql: string, data: string | Buffer];

export const COPIES_TO_ALL: readonly Copy[] = [
  ['COPY country FROM STDIN', 'q1\tone\t1\nq2\ttwo\t2\n'],
  ['COPY country FROM STDIN', 'q1\tone\t1\nq1\ttwo\t2\n'],
  ['COPY country FROM STDIN CSV HEADER', 'code,title,size\nq1,"o\nne",1\n'],
  ['COPY country (code, size) FROM STDIN BINARY', binaryCopy([[Buffer.from('q1'), int8(1n)]])],
  ['COPY country FROM STDIN', 'q1\tone\tbad\n'],
  ['COPY country FROM STDIN', 'q1\tone\t1\r\nq2\ttwo\t2\n'],
  ['COPY country FROM STDIN WHERE size > 1', 'q1\tone\t1\nq2\ttwo\t2\n'],
  ['COPY country FROM STDIN (ON_ERROR ignore)', 'q1\tone\tbad\n'],
  ['COPY tally (id, what, n, made) FROM STDIN', '900\tx\t1\t2024-01-01 00:00:00+00\n901\ty\t2\t\\N\n'],
  ['COPY tally (id, what, n, made) FROM STDIN', '900\tx\t1\tnow\n'],
  ['COPY tally (id, what, n, made) FROM STDIN CSV', '900,x,1,"tomorrow"\n'],
  ['COPY tally (id, what, n, made) FROM STDIN CSV HEADER', 'id,what,n,now\n900,now,1,2024-01-01\n'],
  ['COPY tally (id, what, n, made) FROM STDIN', '900\tx\n'],
  ['COPY tally (id, what, n) FROM STDIN', '900\tx\t1\n'],
  ['COPY tally (what) FROM STDIN', 'x\n'],
  ["COPY tally FROM STDIN (DEFAULT 'D')", '900\tx\t1\tD\n'],
  ['COPY product (id, name) FROM STDIN', '900\tx\n901\ty\n'],
  ['COPY product (id, name) FROM STDIN', '900\tx\n901\t\\N\n'],
];

const ROWS = '1\t901\tx\n2\t902\ty\n3\t903\tz\n4\t904\tw\n';

export function copyTransactions(): OracleCase[] {
  const copy: Step = { sql: 'COPY loose FROM STDIN', copy: ROWS };
  const bad: Step = { sql: 'COPY loose FROM STDIN', copy: `${ROWS}5\tbad\tx\n` };
  const unplaced: Step = { sql: 'COPY loose FROM STDIN', copy: `${ROWS}bad\t1\tx\n` };
  const count = 'SELECT count(*) FROM loose WHERE v > 900';
  return [
    script('COPY FROM', 'BEGIN', copy, count, 'COMMIT', count),
    script('COPY FROM', 'BEGIN', copy, 'ROLLBACK', count),
    script('COPY FROM', 'BEGIN', 'INSERT INTO loose VALUES (1, 905)', copy, count, 'COMMIT', count),
    script(
      'COPY FROM',
      'BEGIN',
      'INSERT INTO loose VALUES (1, 905)',
      'SAVEPOINT a',
      copy,
      'ROLLBACK TO a',
      copy,
      'COMMIT',
      count,
    ),
    script('COPY FROM', 'BEGIN', copy, 'SAVEPOINT a', bad, 'ROLLBACK TO a', count, 'COMMIT', count),
    script('COPY FROM', 'BEGIN', copy, 'SAVEPOINT a', unplaced, 'ROLLBACK TO a', count, 'COMMIT', count),
    script('COPY FROM', 'BEGIN', bad, 'SELECT 1', 'COMMIT', count),
    script('COPY FROM', 'BEGIN', copy, copy, 'DELETE FROM loose WHERE v > 900', copy, 'COMMIT', count),
    script(
      'COPY FROM',
      'BEGIN',
      'TRUNCATE loose',
      { sql: 'COPY loose FROM STDIN (FREEZE)', copy: ROWS },
      'COMMIT',
      count,
    ),
    script('COPY FROM', 'BEGIN READ ONLY', copy, 'COMMIT'),
    script('COPY FROM', 'BEGIN ISOLATION LEVEL SERIALIZABLE', copy, 'COMMIT'),
    script(
      'COPY FROM',
      'BEGIN',
      { sql: 'COPY country FROM STDIN', copy: 'q1\tone\t1\n' },
      copy,
      'COMMIT',
      count,
      'SELECT count(*) FROM country',
    ),
    script('COPY FROM', copy, copy, count),
    script('COPY FROM', "SET client_encoding TO 'LATIN1'", {
      sql: 'COPY account (login) FROM STDIN',
      copy: 'a\nb\n',
    }),
    script('COPY FROM', "SET client_encoding TO 'LATIN1'", {
      sql: 'COPY account (login) FROM STDIN',
      copy: Buffer.from('a\n\xe4\n', 'latin1'),
    }),
    script('COPY FROM', "SET client_encoding TO 'SJIS'", {
      sql: 'COPY account (login) FROM STDIN',
      copy: 'a\nb\n',
    }),
    script('COPY FROM', { ...copy, values: [] }, count),
    script('COPY FROM', { ...bad, values: [] }, count),
    script('COPY FROM', { ...unplaced, values: [] }, count),
    script(
      'COPY FROM',
      'BEGIN',
      { ...copy, values: [] },
      { ...copy, values: [], copyPiece: 5 },
      'COMMIT',
      count,
    ),
    script('COPY FROM', 'BEGIN', { ...bad, values: [] }, 'ROLLBACK', { ...copy, values: [] }, count),
    script('COPY FROM', { sql: 'COPY loose FROM STDIN; SELECT 1', copy: ROWS }, count),
  ];
}
