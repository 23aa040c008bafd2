/** Ways to change settings, each with what its client must go on seeing for as long as it lives. */
import { B, E, F, P, Q, S } from './frames.js';
import { assertOk, bound, type LeakKind, sql } from './leak-kind.js';
import { firstValue } from './wire.js';

const WORK_MEM: LeakKind['keeps'] = [['SHOW work_mem', '77MB']];
const USER_ID: LeakKind['keeps'] = [["SELECT current_setting('app.user_id')", '4711']];
const setUser = "set_config('app.user_id', '4711', false)";

export const SETTING_KINDS: Record<string, LeakKind> = {
  SET: { make: sql("SET work_mem = '77MB'", "SET app.user_id = '4711'"), keeps: [...WORK_MEM, ...USER_ID] },
  'SET among others': { make: sql("SELECT 1; SET work_mem = '77MB'; SELECT 2"), keeps: WORK_MEM },
  'SET by the extended protocol': { make: bound("SET work_mem = '77MB'"), keeps: WORK_MEM },
  'SET in the middle of a batch': {
    make: (client) =>
      assertOk(
        client,
        ...[P('', 'SELECT 1'), B('', ''), E(''), P('', "SET work_mem = '77MB'"), B('', ''), E('')],
        ...[P('', 'SELECT 2'), B('', ''), E(''), S()],
      ),
    keeps: WORK_MEM,
  },
  'SET behind a batch that failed': {
    make: async (client) => {
      client.send(P('', 'SELECT 1/0'), B('', ''), E(''), P('', 'SET work_mem = 1'), B('', ''), E(''), S());
      await client.readUntilReady();
      await bound("SET work_mem = '77MB'")(client);
    },
    keeps: WORK_MEM,
    isOutsideTransactions: true,
  },
  'SET of an old name': { make: sql('SET sort_mem = 78848'), keeps: WORK_MEM },
  'set_config with constants': { make: sql(`SELECT ${setUser}`), keeps: USER_ID },
  'set_config of an old name': {
    make: sql("SET work_mem = '5MB'", "SELECT set_config('SORT_MEM', '77MB', false)"),
    keeps: WORK_MEM,
  },
  'set_config with a computed value': {
    make: sql("SELECT set_config('app.user_id', (4710 + 1)::text, false)"),
    keeps: USER_ID,
  },
  'set_config in a subquery': {
    make: sql(`SELECT * FROM (SELECT ${setUser}) AS s`),
    keeps: USER_ID,
  },
  'set_config in a CTE': { make: sql(`WITH s AS (SELECT ${setUser}) SELECT * FROM s`), keeps: USER_ID },
  'set_config with bound values': {
    make: bound('SELECT set_config($1, $2, false)', ['app.user_id', '4711']),
    keeps: USER_ID,
  },
  'set_config with bound values, stopped at its first row': {
    make: bound('SELECT set_config($1, $2, false)', ['app.user_id', '4711'], 1),
    keeps: USER_ID,
  },
  'set_config with bound values, all in binary': {
    make: (client) =>
      assertOk(
        client,
        P('', 'SELECT set_config($1, $2, $3)'),
        B('', '', { values: ['app.user_id', '4711', Buffer.of(0)], valueFormats: [1] }),
        ...[E(''), S()],
      ),
    keeps: USER_ID,
  },
  'set_config by a named statement used again': {
    make: async (client) => {
      await assertOk(client, P('setter', 'SELECT set_config($1, $2, false)'), S());
      for (const value of ['1', '4711'])
        await assertOk(client, B('', 'setter', { values: ['app.user_id', value] }), E(''), S());
    },
    keeps: USER_ID,
  },
  'set_config fetched from a cursor': {
    make: sql(`BEGIN; DECLARE c CURSOR FOR SELECT ${setUser}; FETCH c; COMMIT`),
    keeps: USER_ID,
  },
  'set_config in COPY': {
    make: async (client) => {
      client.send(Q(`COPY (SELECT ${setUser}) TO STDOUT`));
      await client.readUntilReady();
    },
    keeps: USER_ID,
  },
  'set_config under EXPLAIN ANALYZE': { make: sql(`EXPLAIN ANALYZE SELECT ${setUser}`), keeps: USER_ID },
  'an update of pg_settings': {
    make: sql("UPDATE pg_settings SET setting = 78848 WHERE name = 'work_mem'"),
    keeps: WORK_MEM,
  },
  'an update of pg_settings in disguise': {
    make: sql(
      `UPDATE ONLY /* x */ "pg_catalog" . U&"pg\\005fsettings" SET setting = 78848 WHERE name = 'work_mem'`,
      "UPDATE pg_catalog.\"pg_settings\" SET setting = '4711' WHERE name = 'app.user_id'",
      "WITH w AS (SELECT 'work_mem' AS name) UPDATE pg_settings AS s SET setting = 78848 FROM w WHERE s.name = w.name",
    ),
    keeps: WORK_MEM,
  },
  'a function that calls set_config': { make: sql('SELECT leak_setting()'), keeps: WORK_MEM },
  'a function in PL/pgSQL': { make: sql('SELECT leak_user(4711)'), keeps: USER_ID },
  'a function in PL/pgSQL, its value bound': {
    make: bound('SELECT leak_user($1)', ['4711']),
    keeps: USER_ID,
  },
  'a function with a SET clause of its own': { make: sql('SELECT leak_with_clause()'), keeps: USER_ID },
  'a function altered to have a SET clause': { make: sql('SELECT leak_altered()'), keeps: USER_ID },
  'a function that runs a text': {
    make: sql("SELECT leak_text('SET SESSION work_mem = ''77MB''')"),
    keeps: WORK_MEM,
  },
  'an aggregate of a function': { make: sql('SELECT leak_sum(1)'), keeps: WORK_MEM },
  'a function whose argument defaults to a call': { make: sql('SELECT leak_default()'), keeps: WORK_MEM },
  'a function that calls one': { make: sql('SELECT leak_indirectly()'), keeps: WORK_MEM },
  'a function in a transaction that goes on after an error': {
    make: sql('BEGIN', 'SELECT leak_setting()', 'SAVEPOINT s', 'ROLLBACK TO s', 'COMMIT'),
    keeps: WORK_MEM,
  },
  'DO that sets': {
    make: sql(`DO $$ BEGIN SET work_mem = '77MB'; PERFORM ${setUser}; END $$`),
    keeps: [...WORK_MEM, ...USER_ID],
  },
  'DO that resets': {
    make: sql("SET work_mem = '5MB'", 'DO $$ BEGIN RESET work_mem; END $$'),
    keeps: [['SHOW work_mem', '4MB']],
  },
  'CALL that sets': { make: sql('CALL leak_by_call()'), keeps: WORK_MEM },
  'a prepared statement that sets': {
    make: sql(`PREPARE s AS SELECT ${setUser}`, 'EXECUTE s'),
    keeps: USER_ID,
  },
  'PREPARE and EXECUTE in one text': {
    make: sql('PREPARE s AS SELECT leak_setting(); EXECUTE s'),
    keeps: WORK_MEM,
  },
  'EXECUTE as a named statement, run later': {
    make: async (client, meddle) => {
      await sql('PREPARE s AS SELECT leak_setting()')(client);
      await assertOk(client, P('run', 'EXECUTE s'), S());
      await meddle();
      await assertOk(client, B('', 'run'), E(''), S());
    },
    keeps: WORK_MEM,
    isOutsideTransactions: true,
  },
  'a function call message': {
    make: async (client) => {
      const oid = Number(await firstValue(client, "SELECT 'leak_setting'::regproc::oid::int"));
      await assertOk(client, F(oid, []));
    },
    keeps: WORK_MEM,
  },
  'a text too long to be read': {
    make: sql(`SELECT ${setUser} /* ${'x'.repeat(70_000)} */`),
    keeps: USER_ID,
  },
  'a string that only standard_conforming_strings ends': {
    make: (client) =>
      assertOk(
        client,
        ...[P('', 'SET standard_conforming_strings = off'), B('', ''), E('')],
        P('', "SELECT 'a\\' || ', set_config($q$work_mem$q$, $q$77MB$q$, false) --'"),
        ...[B('', ''), E(''), S()],
      ),
    keeps: [],
  },
  'SET ROLE': { make: sql('SET ROLE alice'), keeps: [['SELECT current_user', 'alice']] },
  'SET ROLE by set_config': {
    make: sql("SELECT set_config('role', 'alice', false)"),
    keeps: [['SELECT current_user', 'alice']],
  },
  'SET ROLE by DO': {
    make: sql('DO $$ BEGIN SET ROLE alice; END $$'),
    keeps: [['SELECT current_user', 'alice']],
  },
  'SET SESSION AUTHORIZATION': {
    make: sql('SET SESSION AUTHORIZATION alice'),
    keeps: [['SELECT session_user', 'alice']],
  },
  'SET SESSION AUTHORIZATION by set_config': {
    make: sql("SELECT set_config('session_authorization', 'alice', false)"),
    keeps: [['SELECT session_user', 'alice']],
  },
  'SET SESSION AUTHORIZATION and ROLE by DO': {
    make: sql('DO $$ BEGIN SET ROLE bob; SET SESSION AUTHORIZATION alice; END $$'),
    keeps: [["SELECT session_user || ' ' || current_user", 'alice alice']],
  },
  'settings that the server reports': {
    make: sql(
      "SET TimeZone = 'Asia/Tokyo'",
      "SET client_encoding = 'LATIN1'",
      "SET DateStyle = 'German'",
      "SET IntervalStyle = 'iso_8601'",
    ),
    keeps: [
      ['SHOW TimeZone', 'Asia/Tokyo'],
      ['SHOW client_encoding', 'LATIN1'],
      ['SHOW DateStyle', 'German, DMY'],
      ['SHOW IntervalStyle', 'iso_8601'],
    ],
  },
  'settings of bytes in another encoding': {
    make: async (client) => {
      await sql("SET client_encoding = 'LATIN1'")(client);
      const statement = Q("SET aaa.accented = '?'");
      statement[statement.indexOf('?')] = 0xe9;
      await assertOk(client, statement);
    },
    // One byte that is no UTF-8.
    keeps: [['SHOW aaa.accented', '\ufffd']],
  },
  search_path: { make: sql('SET search_path = pg_catalog'), keeps: [['SHOW search_path', 'pg_catalog']] },
  'plan-cache modes and planner switches': {
    make: sql("SET plan_cache_mode = 'force_generic_plan'", 'SET enable_seqscan = off', 'SET jit = off'),
    keeps: [
      ['SHOW plan_cache_mode', 'force_generic_plan'],
      ['SHOW enable_seqscan', 'off'],
    ],
  },
  session_replication_role: {
    make: sql("SET session_replication_role = 'replica'"),
    keeps: [['SHOW session_replication_role', 'replica']],
  },
  'row security off': { make: sql('SET row_security = off'), keeps: [['SHOW row_security', 'off']] },
  'read-only by SESSION CHARACTERISTICS': {
    make: sql(
      'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE',
    ),
    keeps: [
      ['SHOW transaction_read_only', 'on'],
      ['SHOW transaction_isolation', 'serializable'],
    ],
  },
  default_transaction_read_only: {
    make: sql('SET default_transaction_read_only = on'),
    keeps: [['SHOW transaction_read_only', 'on']],
  },
  'transaction_read_only by set_config': {
    make: sql("SELECT set_config('transaction_read_only', 'on', false)"),
    keeps: [['SHOW transaction_read_only', 'off']],
  },
  time_outs: {
    make: sql("SET statement_timeout = '11s'", "SET lock_timeout = '12s'"),
    keeps: [
      ['SHOW statement_timeout', '11s'],
      ['SHOW lock_timeout', '12s'],
    ],
  },
  'SET LOCAL in a failed transaction': {
    make: async (client) => {
      await sql('BEGIN', "SET LOCAL work_mem = '66MB'", "SET LOCAL app.user_id = '1'")(client);
      await client.query('SELECT 1/0');
      await sql('ROLLBACK')(client);
    },
    keeps: [['SHOW work_mem', '4MB']],
  },
  'savepoints rolled back': {
    make: sql(
      ...['BEGIN', "SET work_mem = '77MB'", 'SAVEPOINT a', 'SET ROLE alice', "SET work_mem = '9MB'"],
      ...['ROLLBACK TO a', 'COMMIT'],
    ),
    keeps: [...WORK_MEM, ['SELECT current_user', 'postgres']],
  },
  'DISCARD ALL, then SET': {
    make: sql("SET work_mem = '5MB'", 'DISCARD ALL', "SET work_mem = '77MB'"),
    keeps: WORK_MEM,
    isOutsideTransactions: true,
  },
};
