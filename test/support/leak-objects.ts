/** Ways to leave other things than settings: objects, locks, channels, cursors, statements, and the connection itself. */
import { B, E, f, P, Q, S } from './frames.js';
import { assertOk, bound, type LeakKind, sql } from './leak-kind.js';
import { firstValue, sqlstateOf } from './wire.js';

const temp = (statement: string, look = 'SELECT count(*) FROM mine', value = '0'): LeakKind => ({
  make: sql(statement),
  keeps: [[look, value]],
});

const TEMPORARY: Record<string, LeakKind> = {
  'a temporary table': temp('CREATE TEMP TABLE mine (x int)'),
  'a temporary table by its schema': temp('CREATE TABLE pg_temp.mine (x int)'),
  'a temporary table kept empty at COMMIT': temp('CREATE TEMP TABLE mine (x int) ON COMMIT DELETE ROWS'),
  'a temporary table with data': temp('CREATE TEMP TABLE mine AS SELECT 1 AS x', 'SELECT x FROM mine', '1'),
  'SELECT INTO TEMP': temp('SELECT 1 AS x INTO TEMP mine', 'SELECT x FROM mine', '1'),
  'SELECT INTO by the schema': temp('SELECT 1 AS x INTO pg_temp.mine', 'SELECT x FROM mine', '1'),
  'a temporary table of an EXECUTE': {
    make: sql('PREPARE p AS SELECT 1 AS x', 'CREATE TEMP TABLE mine AS EXECUTE p'),
    keeps: [['SELECT x FROM mine', '1']],
  },
  'a temporary table made by DO': temp('DO $$ BEGIN CREATE TEMP TABLE mine (x int); END $$'),
  'a temporary table made by a function': temp('SELECT leak_temp()'),
  'a table where search_path puts it': {
    make: sql('SET search_path = pg_temp, public', 'DISCARD TEMP', 'CREATE TABLE mine (x int)'),
    keeps: [['SELECT count(*) FROM mine', '0']],
  },
  'a table where a bound search_path puts it': {
    make: async (client) => {
      await bound('SELECT set_config($1, $2, false)', ['search_path', 'pg_temp'])(client);
      await sql('CREATE TABLE mine (x int)')(client);
    },
    keeps: [['SELECT count(*) FROM mine', '0']],
  },
  'a temporary view': temp('CREATE TEMP VIEW mine AS SELECT 1 WHERE false'),
  'a temporary sequence': {
    make: sql('CREATE TEMP SEQUENCE mine', "SELECT nextval('mine')"),
    keeps: [["SELECT nextval('mine')", '2']],
  },
  'a temporary type': temp("CREATE TYPE pg_temp.mine AS ENUM ('a')", "SELECT 'a'::pg_temp.mine", 'a'),
  'a temporary function': temp(
    "CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE sql AS 'SELECT ''a'''",
    'SELECT pg_temp.mine()',
    'a',
  ),
  'a temporary operator': temp(
    'CREATE OPERATOR pg_temp.### (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)',
    'SELECT 1 OPERATOR(pg_temp.###) 2',
    '3',
  ),
  'a temporary collation': temp(
    'CREATE COLLATION pg_temp.mine FROM "C"',
    "SELECT 'a' COLLATE pg_temp.mine",
    'a',
  ),
  'a temporary conversion': temp(
    "CREATE CONVERSION pg_temp.mine FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    'SELECT count(*) FROM pg_conversion WHERE connamespace = pg_my_temp_schema()',
    '1',
  ),
  'temporary statistics': {
    make: sql('CREATE STATISTICS pg_temp.mine ON x, y FROM two_columns'),
    keeps: [['SELECT count(*) FROM pg_statistic_ext WHERE stxnamespace = pg_my_temp_schema()', '1']],
  },
  'a temporary operator family': temp(
    'CREATE OPERATOR FAMILY pg_temp.mine USING btree',
    'SELECT count(*) FROM pg_opfamily WHERE opfnamespace = pg_my_temp_schema()',
    '1',
  ),
};

const lock = (statement: string, count = '1'): LeakKind => ({
  make: sql(statement),
  keeps: [["SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", count]],
});

const LOCKS: Record<string, LeakKind> = {
  'advisory locks of all forms': lock(
    `SELECT pg_advisory_lock(42), pg_try_advisory_lock(43), pg_advisory_lock_shared(44),
     pg_try_advisory_lock_shared(45), pg_advisory_lock(1, 2), pg_try_advisory_lock(1, 3),
     pg_advisory_lock_shared(1, 4), pg_try_advisory_lock_shared(1, 5)`,
    '8',
  ),
  'an advisory lock in a CTE': lock('WITH l AS (SELECT pg_advisory_lock(42)) SELECT * FROM l'),
  'an advisory lock in a condition': lock('SELECT 1 WHERE pg_try_advisory_lock(42)'),
  'an advisory lock by a bound value': { ...lock(''), make: bound('SELECT pg_advisory_lock($1)', ['42']) },
  'an advisory lock taken many times': lock('SELECT pg_advisory_lock(42) FROM generate_series(1, 5)'),
  'advisory locks, stopped at the second row': {
    ...lock('', '2'),
    make: bound('SELECT pg_advisory_lock(g) FROM generate_series(1, 5) AS g', [], 2),
  },
  'an advisory lock of a function': lock('SELECT leak_lock()'),
  'an advisory lock of DO': lock('DO $$ BEGIN PERFORM pg_advisory_lock(4711); END $$'),
  'an advisory lock of a prepared statement': {
    ...lock(''),
    make: sql('PREPARE l AS SELECT pg_advisory_lock(42)', 'EXECUTE l'),
  },
  'an advisory lock of a named statement by EXECUTE': {
    ...lock(''),
    make: async (client) => {
      await assertOk(client, P('l', 'SELECT pg_advisory_lock(42)'), S());
      await sql('EXECUTE l')(client);
    },
  },
  'an advisory lock of a statement that failed': {
    ...lock(''),
    make: async (client) => {
      const { error } = await client.query('SELECT pg_advisory_lock(42), 1 / (length(current_user) - 8)');
      if (error?.['C'] !== '22012') throw new Error(`did not fail: ${error?.['M']}`);
    },
    isOutsideTransactions: true,
  },
  'an advisory lock of a transaction rolled back': {
    ...lock(''),
    make: sql('BEGIN', 'SELECT pg_advisory_lock(42)', 'ROLLBACK'),
  },
};

const LISTENING: LeakKind['keeps'] = [['SELECT count(*) FROM pg_listening_channels()', '1']];

const OTHERS: Record<string, LeakKind> = {
  LISTEN: { make: sql('LISTEN channel'), keeps: LISTENING },
  'LISTEN in a transaction': { make: sql('BEGIN; LISTEN channel; COMMIT'), keeps: LISTENING },
  'LISTEN by DO': { make: sql("DO $$ BEGIN EXECUTE 'LISTEN other'; END $$"), keeps: LISTENING },
  'LISTEN by a function': { make: sql("SELECT leak_text('LISTEN other')"), keeps: LISTENING },
  'a cursor WITH HOLD': {
    make: sql('DECLARE held CURSOR WITH HOLD FOR SELECT 7'),
    keeps: [['FETCH held', '7']],
  },
  'a cursor WITH HOLD by DO': {
    make: sql("DO $$ BEGIN EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT 7'; END $$"),
    keeps: [['FETCH held', '7']],
  },
  'a cursor of a transaction': { make: sql('BEGIN', 'DECLARE c CURSOR FOR SELECT 7', 'COMMIT'), keeps: [] },
  'a portal left open': {
    make: (client) =>
      assertOk(client, Q('BEGIN')).then(() =>
        assertOk(client, P('', 'SELECT generate_series(1, 9)'), B('mine', ''), E('mine', 2), S()),
      ),
    keeps: [],
  },
  PREPARE: { make: sql("PREPARE mine AS SELECT 'm'"), keeps: [['EXECUTE mine', 'm']] },
  'a named statement': {
    make: (client) => assertOk(client, P('mine', "SELECT 'm'"), S()),
    keeps: [['EXECUTE mine', 'm']],
  },
  'an unnamed statement': { make: (client) => assertOk(client, P('', "SELECT 'm'"), S()), keeps: [] },
  'PREPARE by DO': {
    make: sql("DO $$ BEGIN EXECUTE 'PREPARE mine AS SELECT ''m'''; END $$"),
    keeps: [["SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", '1']],
  },
  'PREPARE by a function': {
    make: sql("SELECT leak_text('PREPARE mine AS SELECT ''m''')"),
    keeps: [["SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", '1']],
  },
  'PREPARE in a text too long to be read': {
    make: sql(`PREPARE mine AS SELECT 'm' /* ${'x'.repeat(70_000)} */`),
    keeps: [["SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", '1']],
  },
  // What other clients do in between forgets it: Postgres's own error, never another's value.
  'the last value of a sequence': { make: sql("SELECT nextval('counter')"), keeps: [] },
  'the last value of a sequence behind a column': {
    make: sql('INSERT INTO numbered DEFAULT VALUES'),
    keeps: [],
  },
  'the last value of a sequence by setval': { make: sql("SELECT setval('counter', 7)"), keeps: [] },
  'a seed of random()': {
    make: sql('SELECT setseed(0.5)', 'SELECT random()'),
    keeps: [['SELECT random()', '0.825301858027981']],
  },
  'a seed by SET': { make: sql('SET seed = 0.5'), keeps: [['SELECT random()', '0.9851677175347999']] },
  'a loaded library': {
    make: sql("LOAD 'auto_explain'"),
    keeps: [["SELECT count(*) FROM pg_settings WHERE name = 'auto_explain.log_format'", '1']],
  },
  'a temporary replication slot': {
    make: async (client) => {
      const name = `slot_${await firstValue(client, 'SELECT pg_backend_pid()')}`;
      await firstValue(client, `SELECT pg_create_physical_replication_slot('${name}', true, true)`);
    },
    keeps: [['SELECT count(*) > 0 FROM pg_replication_slots WHERE active_pid = pg_backend_pid()', 't']],
  },
  'a large object left open': {
    make: sql('BEGIN', "SELECT lo_open(lo_create(0), x'60000'::int)", 'COMMIT'),
    keeps: [],
  },
  'an exported snapshot': {
    make: sql('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT pg_export_snapshot()', 'COMMIT'),
    keeps: [],
  },
  'a temporary table that COMMIT drops': {
    make: sql('BEGIN', 'CREATE TEMP TABLE mine (x int) ON COMMIT DROP', 'COMMIT'),
    keeps: [],
  },
  'a prepared transaction': {
    make: async (client) => {
      const gid = `leak ${await firstValue(client, 'SELECT gen_random_uuid()')}`;
      await sql('BEGIN', "SET work_mem = '77MB'", `PREPARE TRANSACTION '${gid}'`)(client);
      await sql(`ROLLBACK PREPARED '${gid}'`)(client);
    },
    keeps: [['SHOW work_mem', '77MB']],
    isOutsideTransactions: true,
  },
  'COPY that failed': {
    make: async (client) => {
      client.send(Q('COPY sink FROM STDIN'), f('no more'));
      const result = await client.readUntilReady();
      if (sqlstateOf(result) !== '57014') throw new Error(`COPY did not fail: ${result.error?.['M']}`);
    },
    keeps: [],
    isOutsideTransactions: true,
  },
  'COPY of several statements that failed': {
    make: async (client) => {
      client.send(Q("SET work_mem = '77MB'; COPY sink FROM STDIN; SET work_mem = '78MB'"), f('no more'));
      await client.readUntilReady();
    },
    keeps: [['SHOW work_mem', '4MB']],
    isOutsideTransactions: true,
  },
};

export const OBJECT_KINDS: Record<string, LeakKind> = { ...TEMPORARY, ...LOCKS, ...OTHERS };
