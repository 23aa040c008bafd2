/**
 * A long session made from a seed: reads, writes, transactions, errors, prepared statements, cursors, settings,
 * batches. What it sends does not depend on what it gets, so it can be run twice and the answers compared. Every
 * answer is determined: rows are ordered, nothing looks at clocks, process ids or hosts.
 */
import { B, C, c, D, d, E, P, Q, S } from './frames.js';

export const SCRIPT_TABLES = `
  CREATE TABLE book (id serial PRIMARY KEY, title text NOT NULL, pages int CHECK (pages > 0));
  CREATE SCHEMA shelf; CREATE TABLE shelf.book (id int, title text);
  CREATE SEQUENCE ticket;
  CREATE VIEW thick AS SELECT * FROM book WHERE pages > 500;
  CREATE FUNCTION page_sum() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT coalesce(sum(pages), 0) FROM public.book';
  CREATE FUNCTION tear(which int) RETURNS int LANGUAGE sql AS
    'UPDATE public.book SET pages = greatest(pages - 1, 1) WHERE id = which RETURNING pages';
  CREATE FUNCTION shout(what text) RETURNS text LANGUAGE plpgsql STABLE AS
    'BEGIN RAISE NOTICE ''%'', what; RETURN upper(what); END';`;

/** Sent first, so that both runs begin with the same rows and numbers. */
const RESET = Q(
  "TRUNCATE book RESTART IDENTITY; TRUNCATE shelf.book; SELECT setval('ticket', 1, false); INSERT INTO book (title, pages) SELECT 'title ' || n, n * 100 FROM generate_series(1, 9) AS n; INSERT INTO shelf.book VALUES (1, 'other')",
);

export interface ScriptStep {
  /** For the message of a failed comparison. */
  what: string;
  readyCount: number;
  parts: Buffer[];
}

/** Numerical Recipes' generator: small, and the same everywhere. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * limit);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

type Make = (dice: Dice) => string;

const READS: readonly Make[] = [
  () => 'SELECT id, title, pages FROM book ORDER BY id',
  (dice) => `SELECT title FROM book WHERE id = ${dice.below(14)}`,
  (dice) => `SELECT count(*), min(pages), max(pages) FROM book WHERE pages > ${dice.below(900)}`,
  () => 'SELECT count(*) FROM thick',
  () => 'SELECT page_sum()',
  (dice) => `SELECT shout('word ${dice.below(9)}')`,
  (dice) =>
    `WITH big AS (SELECT * FROM book WHERE pages >= ${dice.below(900)}) SELECT id FROM big ORDER BY id DESC`,
  (dice) => `SELECT ${dice.below(100)} AS n, NULL::text AS nothing, $$it's$$ AS quoted`,
  () => 'VALUES (1, true), (2, false)',
  () => 'TABLE shelf.book',
  () => 'SELECT a.id, b.title FROM book AS a JOIN shelf.book AS b USING (id) ORDER BY 1',
];

const WRITES: readonly Make[] = [
  (dice) =>
    `INSERT INTO book (title, pages) VALUES ('new ${dice.below(99)}', ${1 + dice.below(900)}) RETURNING id`,
  (dice) => `UPDATE book SET pages = pages + ${dice.below(50)} WHERE id = ${dice.below(14)}`,
  (dice) => `DELETE FROM book WHERE id = ${dice.below(14)} RETURNING title`,
  (dice) => `SELECT id FROM book WHERE pages > ${dice.below(900)} ORDER BY id FOR UPDATE`,
  () => "SELECT nextval('ticket')",
  (dice) => `SELECT tear(${dice.below(10)})`,
  (dice) =>
    `WITH gone AS (DELETE FROM book WHERE id = ${dice.below(14)} RETURNING id) SELECT count(*) FROM gone`,
  (dice) =>
    `INSERT INTO book (id, title, pages) VALUES (${1 + dice.below(9)}, 'again', 5) ON CONFLICT (id) DO UPDATE SET title = excluded.title`,
  () =>
    'MERGE INTO shelf.book AS s USING book AS b ON s.id = b.id WHEN MATCHED THEN UPDATE SET title = b.title',
];

const FAILURES: readonly Make[] = [
  () => 'SELECT 1/0',
  () => 'SELECT nothing FROM book',
  () => 'SELEC 1',
  () => "SELECT 'x'::int",
  () => 'SELECT * FROM nowhere',
  () => "INSERT INTO book (title, pages) VALUES ('thin', -1)",
  () => 'INSERT INTO book (title) VALUES (NULL)',
  () => 'FETCH 1 FROM no_such_cursor',
];

const CONTROL: readonly Make[] = [
  () => 'BEGIN',
  () => 'BEGIN ISOLATION LEVEL REPEATABLE READ',
  () => 'BEGIN READ ONLY',
  () => 'START TRANSACTION READ WRITE',
  () => 'COMMIT',
  () => 'COMMIT',
  () => 'ROLLBACK',
  () => 'END',
  () => 'SAVEPOINT a',
  () => 'ROLLBACK TO a',
  () => 'RELEASE a',
  () => 'COMMIT AND CHAIN',
  () => 'SET TRANSACTION READ ONLY',
];

const SETTINGS: readonly Make[] = [
  (dice) => `SET search_path TO ${dice.of(['public', 'shelf, public', 'public, shelf'])}`,
  () => 'RESET search_path',
  () => 'SHOW search_path',
  (dice) => `SET TimeZone TO '${dice.of(['UTC', 'Asia/Kathmandu', 'Europe/Paris'])}'`,
  () => "SELECT timestamptz '2024-02-29 12:00:00+00'",
  () => 'SET LOCAL extra_float_digits TO 0',
  () => "SELECT 1::float8 / 3, current_setting('extra_float_digits')",
  () => "SET DateStyle TO 'German'",
  () => "SELECT date '2024-02-29'",
  () => 'RESET ALL',
  () => 'SET default_transaction_read_only TO on',
  () => 'SET default_transaction_read_only TO off',
  () => 'SHOW transaction_read_only',
];

const CURSORS: readonly Make[] = [
  () => 'DECLARE cur CURSOR FOR SELECT id FROM book ORDER BY id',
  () => 'DECLARE kept CURSOR WITH HOLD FOR SELECT id FROM book ORDER BY id DESC',
  () => 'FETCH 2 FROM cur',
  () => 'FETCH 2 FROM kept',
  () => 'CLOSE cur',
  () => 'CLOSE kept',
];

const PREPARED: readonly { sql: string; values: (dice: Dice) => string[] }[] = [
  { sql: 'SELECT title FROM book WHERE id = $1', values: (dice) => [String(dice.below(14))] },
  { sql: 'SELECT $1::int + $2::int AS sum', values: (dice) => ['4', dice.of(['5', 'x'])] },
  { sql: 'UPDATE book SET pages = $1 WHERE id = $2', values: (dice) => [String(1 + dice.below(800)), '3'] },
  { sql: 'INSERT INTO book (title, pages) VALUES ($1, 7) RETURNING id', values: () => ['by name'] },
];

const batchOf = (sql: string): Buffer[] => [P('', sql), B('', ''), D('P', ''), E('')];

/** A named statement is parsed (perhaps again, which fails), run (perhaps though it does not exist) or closed. */
function preparedStep(dice: Dice): ScriptStep {
  const number = dice.below(PREPARED.length);
  const { sql, values } = PREPARED[number];
  const name = `s${number}`;
  const bound = values(dice);
  const action = dice.below(5);
  if (action === 0) return { what: `Close ${name}`, readyCount: 1, parts: [C('S', name), S()] };
  if (action === 1) return { what: `Parse ${name}`, readyCount: 1, parts: [P(name, sql), D('S', name), S()] };
  return {
    what: `Execute ${name} (${sql}) with ${bound.join()}`,
    readyCount: 1,
    parts: [B('', name, { values: bound }), D('P', ''), E(''), S()],
  };
}

function anyStatement(dice: Dice): string {
  const part = dice.below(20);
  if (part < 8) return dice.of(READS)(dice);
  if (part < 12) return dice.of(WRITES)(dice);
  if (part < 13) return dice.of(FAILURES)(dice);
  if (part < 16) return dice.of(CONTROL)(dice);
  return part < 18 ? dice.of(SETTINGS)(dice) : dice.of(CURSORS)(dice);
}

const QUIET = [READS, READS, WRITES];

function step(dice: Dice): ScriptStep {
  const kind = dice.below(20);
  if (kind < 9) {
    const sql = anyStatement(dice);
    return { what: sql, readyCount: 1, parts: [Q(sql)] };
  }
  if (kind < 14) {
    const sql = anyStatement(dice);
    return { what: `extended: ${sql}`, readyCount: 1, parts: [...batchOf(sql), S()] };
  }
  if (kind < 16) return preparedStep(dice);
  const list = Array.from({ length: 2 + dice.below(3) }, () => dice.of(dice.of(QUIET))(dice));
  if (kind === 16)
    return { what: `one query: ${list.join('; ')}`, readyCount: 1, parts: [Q(list.join('; '))] };
  if (kind === 17)
    return { what: `one batch: ${list.join('; ')}`, readyCount: 1, parts: [...list.flatMap(batchOf), S()] };
  if (kind === 18) {
    const parts = list.flatMap((sql) => [...batchOf(sql), S()]);
    return { what: `pipeline: ${list.join('; ')}`, readyCount: list.length, parts };
  }
  return {
    what: 'COPY',
    readyCount: 2,
    parts: [
      Q('COPY shelf.book FROM STDIN'),
      d(`${dice.below(9)}\tcopied\n`),
      c(),
      Q('COPY (SELECT id, title FROM shelf.book ORDER BY 1, 2) TO STDOUT'),
    ],
  };
}

/** The last step leaves no transaction open. */
export function statementScript(seed: number, length: number): ScriptStep[] {
  const dice = new Dice(seed);
  return [
    { what: 'reset', readyCount: 1, parts: [RESET] },
    ...Array.from({ length }, () => step(dice)),
    { what: 'end', readyCount: 2, parts: [Q('ROLLBACK'), Q('SELECT * FROM book ORDER BY id')] },
  ];
}
