// This file is over 400 lines because one table has a row for each kind of statement.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  loadSqlParser,
  readSql,
  readSqlBytes,
  type SqlEffect,
  type SqlPlan,
  sqlFlagNames,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();

/** [text, flags as sqlFlagNames gives them, effect of the last statement] */
type Row = [string, string, SqlEffect | null];

const set = (name: string, replay: string, isLocal = false): SqlEffect => ({
  type: 'set',
  name,
  isLocal,
  replay,
});

const opaqueSet: SqlEffect = {
  type: 'setConfig',
  calls: [{ name: { opaque: true }, value: { opaque: true }, isLocal: { opaque: true } }],
};

const temp = (name: string): SqlEffect => ({ type: 'createTemp', name, onCommitDrop: false });

const PREPARE_P = { type: 'prepare', encoding: 'utf8', name: 'p' } as const;

const ROWS: Row[] = [
  // SET and RESET
  ['set a.b = 1;', 'setsParameter', set('a.b', 'set a.b = 1')],
  [" /* x */ SET Work_Mem TO '4MB' -- y", 'setsParameter', set('work_mem', "SET Work_Mem TO '4MB'")],
  ['set "TimeZone" to default', 'setsParameter', { type: 'reset', name: 'timezone' }],
  ["set time zone 'UTC'", 'setsParameter', set('timezone', "set time zone 'UTC'")],
  ['set local time zone local', 'setsParameter', set('timezone', 'set local time zone local', true)],
  ["set names 'latin1'", 'setsParameter', set('client_encoding', "set names 'latin1'")],
  ["set schema 'x'", 'setsParameter', set('search_path', "set schema 'x'")],
  ['set xml option content', 'setsParameter', set('xmloption', 'set xml option content')],
  ['set sort_mem = 64', 'setsParameter', set('work_mem', 'set sort_mem = 64')],
  ['set role alice', 'setsParameter', set('role', 'set role alice')],
  ['reset role', 'setsParameter', { type: 'reset', name: 'role' }],
  ['set session authorization default', 'setsParameter', { type: 'reset', name: 'session_authorization' }],
  ['reset session authorization', 'setsParameter', { type: 'reset', name: 'session_authorization' }],
  ['reset time zone', 'setsParameter', { type: 'reset', name: 'timezone' }],
  ['reset all', 'setsParameter', { type: 'resetAll' }],
  ['set local x.y to default', 'setsParameter', set('x.y', 'set local x.y to default', true)],
  ['set transaction read only', '', null],
  ['set transaction_isolation to serializable', '', null],
  ['set constraints all deferred', '', null],
  ['set x from current', 'unknownEffect,setsParameter', null],
  [
    'set search_path to pg_temp, public',
    'createsTemp,setsParameter',
    set('search_path', 'set search_path to pg_temp, public'),
  ],
  [
    'set search_path to public, pg_temp',
    'setsParameter',
    set('search_path', 'set search_path to public, pg_temp'),
  ],
  [
    'set session characteristics as transaction isolation level repeatable read, read only, not deferrable',
    'setsParameter',
    {
      type: 'setMany',
      items: [
        {
          name: 'default_transaction_isolation',
          replay: "SET default_transaction_isolation TO 'repeatable read'",
        },
        { name: 'default_transaction_read_only', replay: "SET default_transaction_read_only TO '1'" },
        { name: 'default_transaction_deferrable', replay: "SET default_transaction_deferrable TO '0'" },
      ],
    },
  ],
  ['set pgdog.pin to on', 'setsParameter', { type: 'pin', isOn: true }],
  ["set PGDOG.Pin = 'FALSE'", 'setsParameter', { type: 'pin', isOn: false }],
  ['reset pgdog.pin', 'setsParameter', { type: 'pin', isOn: false }],
  ['set pgdog.pin to banana', 'setsParameter', set('pgdog.pin', 'set pgdog.pin to banana')],
  ['set pgdog.shard to 1', 'setsParameter', set('pgdog.shard', 'set pgdog.shard to 1')],
  ['alter system set work_mem = 1', 'writes', null],
  ['alter role x set work_mem = 1', 'writes', null],
  // transactions
  ['begin isolation level serializable', 'beginsTransaction,transactionControl', { type: 'begin' }],
  ['start transaction', 'beginsTransaction,transactionControl', { type: 'begin', isStart: true }],
  ['end', 'transactionControl', { type: 'commit', isChain: false }],
  ['commit and chain', 'transactionControl', { type: 'commit', isChain: true }],
  ['abort', 'transactionControl', { type: 'rollback', isChain: false }],
  ['rollback and chain', 'transactionControl', { type: 'rollback', isChain: true }],
  ['savepoint A', 'transactionControl', { type: 'savepoint', name: 'a' }],
  ['release "A"', 'transactionControl', { type: 'release', name: 'A' }],
  ['rollback to a', 'transactionControl', { type: 'rollbackTo', name: 'a' }],
  ["prepare transaction 'x'", 'transactionControl', { type: 'prepareTransaction' }],
  ["commit prepared 'x'", 'transactionControl', null],
  // prepared statements
  [
    'prepare P (int, "my type"[]) as select f($1) ;',
    'prepareLevel',
    { ...PREPARE_P, argumentTypes: '(int, "my type"[])', body: 'select f($1)' },
  ],
  ['prepare p as values (1)', 'prepareLevel', { ...PREPARE_P, argumentTypes: '', body: 'values (1)' }],
  ['execute p', 'prepareLevel', { type: 'execute', name: 'p' }],
  ['execute p(f(1))', 'unknownEffect,prepareLevel', { type: 'execute', name: 'p' }],
  ['explain execute p', 'prepareLevel', { type: 'execute', name: 'p' }],
  ['create table t as execute p', 'writes,prepareLevel,definesRelation', { type: 'execute', name: 'p' }],
  ['deallocate all', 'prepareLevel', { type: 'deallocate', name: null }],
  ['deallocate prepare p', 'prepareLevel', { type: 'deallocate', name: 'p' }],
  ['discard all', 'prepareLevel', { type: 'discard', what: 'all' }],
  ['discard temporary', '', { type: 'discard', what: 'temp' }],
  ['discard sequences', '', { type: 'discard', what: 'sequences' }],
  ['discard plans', 'prepareLevel', { type: 'discard', what: 'plans' }],
  // notifications, cursors
  ['listen Ab', 'listens', { type: 'listen', channel: 'ab' }],
  ['unlisten ab', '', { type: 'unlisten', channel: 'ab' }],
  ['unlisten *', '', { type: 'unlisten', channel: null }],
  ["notify a, 'x'", '', null],
  ['declare c cursor with hold for select 1', 'holdsCursor', { type: 'declareHold', name: 'c' }],
  ['declare c cursor without hold for select f()', 'unknownEffect', null],
  ['close c', '', { type: 'closeCursor', name: 'c' }],
  ['close all', '', { type: 'closeCursor', name: null }],
  ['fetch all from c', '', null],
  // temporary objects
  [
    'create temp table T (a int)',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  [
    'create local temporary table if not exists t (a int) on commit drop',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: true },
  ],
  [
    'create table pg_temp.t (a int)',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  [
    'create temp view v as select f(1)',
    'writes,createsTemp',
    { type: 'createTemp', name: 'v', onCommitDrop: false },
  ],
  ['create temp sequence s', 'writes,createsTemp', { type: 'createTemp', name: 's', onCommitDrop: false }],
  [
    'create temp table t as select 1',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  [
    'select 1 into temp t union select 2',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  ['select 1 into t', 'writes', null],
  [
    "create function pg_temp.f() returns int language sql as 'select 1'",
    'writes,createsTemp',
    { type: 'createTemp', name: 'f()', onCommitDrop: false },
  ],
  [
    "create type pg_temp.e as enum ('a')",
    'writes,createsTemp',
    { type: 'createTemp', name: 'type e', onCommitDrop: false },
  ],
  [
    'create temp table t as execute p',
    'writes,prepareLevel,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  [
    "select set_config('a', 'b', false) into temp t",
    'unknownEffect,writes,createsTemp,setsParameter',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  ['create schema s create temp table t (a int)', 'writes,createsTemp,definesCode,definesRelation', null],
  ['explain create temp table t as select 1', '', null],
  [
    'explain (analyze true) create temp table t as select 1',
    'writes,createsTemp',
    { type: 'createTemp', name: 't', onCommitDrop: false },
  ],
  ['drop table a, public.b, pg_temp.c', 'writes', { type: 'drop', names: ['a', 'c'] }],
  ['drop view if exists v cascade', 'writes', { type: 'drop', names: ['v'] }],
  ['drop table public.a', 'writes', null],
  ['drop function t(int)', 'writes', null],
  ['alter table t rename to u', 'unknownEffect,definesRelation', null],
  // functions
  ['select lower(a), count(*) filter (where b) over (w) from t window w as (order by c)', '', null],
  ["select pg_catalog.now() at time zone 'UTC'", '', null],
  ['select f(1)', 'unknownEffect', null],
  ['select public.now()', 'unknownEffect', null],
  ['select "lower"(a)', '', null],
  ['select setseed(0.5)', 'setsParameter', opaqueSet],
  ['set seed = 0.5', 'setsParameter', opaqueSet],
  ["update pg_settings set setting = 'x'", 'writes,setsParameter', opaqueSet],
  ['update only pg_catalog."pg_settings" set setting = $1', 'writes,setsParameter', opaqueSet],
  ['update "PG_SETTINGS" set setting = $1 where f()', 'unknownEffect,writes', null],
  ["with u as (update pg_settings set setting = 'x') select 1", 'writes,setsParameter', opaqueSet],
  ["select pg_create_physical_replication_slot('x', true, true)", 'unknownEffect,bindsConnection', null],
  ["select dblink_connect('x')", 'unknownEffect,bindsConnection', null],
  ["select query_to_xml('select f()', true, true, '')", 'unknownEffect', null],
  ['insert into t select f(x) from u', 'unknownEffect,writes', null],
  ['create table t (a int default f())', 'unknownEffect,writes,definesCode,definesRelation', null],
  ['alter table t add check (f(a))', 'unknownEffect,writes,definesCode,definesRelation', null],
  ['create trigger x before insert on t for each row execute function f()', 'writes,definesCode', null],
  ['create policy p on t using (f())', 'unknownEffect,writes,definesCode', null],
  ['create view v as select f()', 'writes,definesCode', null],
  ['create schema s create view v as select f()', 'unknownEffect,writes,definesCode,definesRelation', null],
  ['alter operator family f using btree add function 1 g(int, int)', 'writes,definesCode', null],
  ["select nextval('s')", 'writes,advancesSequence', null],
  ["select currval('s'), lastval()", 'usesSequenceState', null],
  ['select pg_advisory_lock(1)', 'advisoryLock', { type: 'advisoryLock', isTry: false }],
  ['select pg_try_advisory_lock_shared(1, 2)', 'advisoryLock', { type: 'advisoryLock', isTry: true }],
  [
    'select pg_advisory_unlock(1), pg_advisory_lock(2)',
    'advisoryLock',
    { type: 'advisoryLock', isTry: false },
  ],
  ['select pg_advisory_unlock_shared(1)', '', { type: 'advisoryUnlock' }],
  ['select pg_advisory_unlock_all()', '', { type: 'advisoryUnlockAll' }],
  ['select pg_advisory_xact_lock(1)', '', null],
  ["select pg_notify('a', 'b'), lo_create(1)", 'writes', null],
  ["do 'x'", 'unknownEffect', null],
  ['call p()', 'unknownEffect', null],
  ["load 'x'", 'unknownEffect,bindsConnection', null],
  ['create extension x', 'unknownEffect,definesCode', null],
  ["create conversion pg_temp.x for 'LATIN1' to 'UTF8' from f", 'writes,createsTemp', temp('type x')],
  ['create operator family pg_temp.x using btree', 'writes,createsTemp', temp('type x')],
  ['create statistics pg_temp.x on a, b from t', 'writes,createsTemp', temp('type x')],
  ['copy t from stdin', 'writes,returnsCopy', null],
  ['copy (select f()) to stdout', 'unknownEffect,returnsCopy', null],
  ["copy t to '/tmp/x'", '', null],
  ['show pgdog.Shards', '', { type: 'showPgdog', name: 'shards' }],
  ['show work_mem', '', null],
  // unread
  ['selec 1', 'unknownEffect,syntaxError', null],
  ["select 'abc", 'syntaxError', null],
  ["select 'a\\' || 'b'", 'dependsOnSettings', null],
  ["set x = 'a\\b'", 'setsParameter,dependsOnSettings', set('x', "set x = 'a\\b'")],
  ["select E'a\\'; set x = 1; --'", '', null],
  // The second part of an E'…' string has escapes as well, so SET is still inside.
  ["select E'a'\n  '\\'; set x = 1; --'", '', null],
  ["select 'a'\n  '\\'; set x = 1; --'", 'setsParameter,dependsOnSettings', set('x', 'set x = 1')],
  // ON belongs to the JOIN here, and conflict(…) is a call.
  ['insert into t select 1 from a join b on conflict (c)', 'unknownEffect,writes', null],
  ['insert into t values (1) on conflict (c) do nothing', '', null],
  ['', '', null],
  [' -- nothing', '', null],
  [';;', '', null],
];

/** Without the values of SET, which have a test of their own (sql-settings). */
function effectsOf(plan: SqlPlan): (SqlEffect | null)[] {
  return plan.statements.map(({ effect }) => {
    if (effect?.type === 'setMany') return { ...effect, items: effect.items.map(withoutValue) };
    return effect?.type === 'set' ? withoutValue(effect) : effect;
  });
}

function withoutValue<T extends { value?: string }>({ value: _, ...rest }: T): Omit<T, 'value'> {
  return rest;
}

function lastEffect(plan: SqlPlan): SqlEffect | null {
  return effectsOf(plan).at(-1) ?? null;
}

test('each kind of statement has its flags and its effect', () => {
  for (const [text, flags, effect] of ROWS) {
    const plan = readSql(text, parser);
    assert.equal(sqlFlagNames(plan.flags).join(','), flags, text);
    assert.deepEqual(lastEffect(plan), effect, text);
  }
});

const opaque = { opaque: true } as const;
const SET_CONFIG_ROWS: [string, SqlEffect & { type: 'setConfig' }][] = [
  [
    "select set_config('a', $1, true), pg_catalog.set_config($2::text, null, $3::bool), 1, now()",
    {
      type: 'setConfig',
      calls: [
        { name: { constant: 'a' }, value: { parameter: 1 }, isLocal: { constant: 'true' } },
        { name: { parameter: 2 }, value: { constant: null }, isLocal: { parameter: 3 } },
      ],
    },
  ],
  [
    "select set_config('a', '', 'f'::bool)",
    {
      type: 'setConfig',
      calls: [{ name: { constant: 'a' }, value: { constant: '' }, isLocal: { constant: 'f' } }],
      isAll: true,
    },
  ],
  // A name type cuts the text at 63 bytes: what arrives is not what stands there.
  [
    "select set_config('a', 'b'::name, false)",
    {
      type: 'setConfig',
      calls: [{ name: { constant: 'a' }, value: opaque, isLocal: { constant: 'false' } }],
      isAll: true,
    },
  ],
  [
    "with x as (select set_config('a', '1', true) as y) select pg_advisory_lock(5), generate_series(1, 0) from x",
    {
      type: 'setConfig',
      calls: [{ name: { constant: 'a' }, value: { constant: '1' }, isLocal: { constant: 'true' } }],
    },
  ],
];
const UNCERTAIN_SET_CONFIGS = [
  "select set_config('a', 'b', false) from t",
  "select set_config('a', 'b', false) where x",
  "select set_config('a', 'b', false) limit 0",
  "select set_config('a', 'b', false), generate_series(1, 0)",
  "select set_config('a', 'b', false), unnest('{}'::int[])",
  "select case when x then set_config('a', 'b', false) end",
  "select 1 union select set_config('a', 'b', false)",
  "insert into t values (set_config('a', 'b', false))",
  "select set_config('a', b || 'c', false)",
  "select * from set_config('a', 'b', false)",
  "select (select set_config('a', 'b', false))",
  "select set_config(set_config('a', 'b', false), 'b', false)",
  "with x as (select set_config('a', 'b', true) from t) select 1 from x",
  "with x as (select set_config('a', 'b', true)) select 1",
  "with x as (select set_config('a', 'b', true)) select 1 from x where false",
  "with x as (select set_config('a', 'b', true)) select 1 from x limit 0",
  "with x as (select set_config('a', 'b', true)) select 1 from x, t",
  "with x as (select set_config('a', 'b', true)) select 1 from s.x",
  "with x as (select set_config('a', 'b', true)) select set_config('b', 'c', true) from x",
  "with x as (select set_config('a', 'b', true)), y as (select 1) select 1 from x",
];

test('set_config arguments are told only where the call surely runs once', () => {
  for (const [text, effect] of SET_CONFIG_ROWS) {
    assert.deepEqual(lastEffect(readSql(text, parser)), effect, text);
  }
  for (const text of UNCERTAIN_SET_CONFIGS) {
    const effect = lastEffect(readSql(text, parser));
    assert.equal(effect?.type, 'setConfig', text);
    for (const call of effect?.type === 'setConfig' ? effect.calls : []) {
      assert.deepEqual(call, { name: opaque, value: opaque, isLocal: opaque }, text);
    }
  }
  const temp = readSql("select set_config('search_path', ' \"pg_temp\", x', false)", parser);
  assert.deepEqual(sqlFlagNames(temp.flags), ['createsTemp', 'setsParameter']);
});

test('name spans are byte offsets of the name with its quotes', () => {
  const text =
    'select \'äöü→\'; prepare "ä""b" as select 1; execute "ä""b"; explain (analyze) execute Foo (1);' +
    ' create table "as" (execute) with (fillfactor = 70) as execute U; deallocate prepare P; deallocate prepare';
  const bytes = Buffer.from(text);
  const found = readSql(text, parser).statements.flatMap((statement) =>
    statement.nameSpans.map(({ start, end, name }) => [bytes.toString('utf8', start, end), name]),
  );
  assert.deepEqual(found, [
    ['"ä""b"', 'ä"b'],
    ['"ä""b"', 'ä"b'],
    ['Foo', 'foo'],
    ['U', 'u'],
    ['P', 'p'],
    ['prepare', 'prepare'],
  ]);
});

test('offsets and text survive an encoding that is not UTF-8', () => {
  const bytes = Buffer.from("xx select 'größe', f(1); execute \"ä\"; set a.ö to 'é'", 'latin1');
  const plan = readSqlBytes(bytes, 3, bytes.length, parser);
  assert.equal(plan.encoding, 'latin1');
  const [span] = plan.statements[1].nameSpans;
  assert.equal(bytes.toString('latin1', 3 + span.start, 3 + span.end), '"ä"');
  assert.deepEqual(effectsOf(plan)[2], set('a.ö', "set a.ö to 'é'"));
});

test('a text whose high bytes may swallow an ASCII one is not read', () => {
  // Shift JIS: 0x95 0x5C is one character, so the string ends at the first quote and SET runs.
  const bytes = Buffer.from("select E'\x95\\'; set x to 1; --'", 'latin1');
  const plan = readSqlBytes(bytes, 0, bytes.length, parser);
  assert.deepEqual(sqlFlagNames(plan.flags), ['unknownEffect']);
});

test('statements of one text keep their order and their own text', () => {
  const plan = readSql('begin; set a.b = 1 /* c */ ; commit', parser);
  assert.deepEqual(effectsOf(plan), [
    { type: 'begin' },
    set('a.b', 'set a.b = 1'),
    { type: 'commit', isChain: false },
  ]);
});

test('functions of unknown effect are told by name, where nothing else is unknown', () => {
  const rows: [sql: string, calls: string[] | undefined][] = [
    ['select f(1), s.g(2), lower(x) from t', ['f', 'g']],
    ['insert into t select f(x) from u', ['f']],
    ['call s.p(f(1))', ['f', 'p']],
    ['declare c cursor for select f()', ['f']],
    ['copy (select f()) to stdout', ['f']],
    ['explain analyze select f()', ['f']],
    ["do 'x'", undefined],
    ["load 'x'", undefined],
    ["select f(), dblink_connect('x')", undefined],
    ["create temp table t as select f(), set_config('a.b', 'c', false)", undefined],
    ['select 1', undefined],
  ];
  for (const [sql, calls] of rows) {
    const statement = readSql(sql, parser).statements[0];
    assert.deepEqual(statement?.calls === undefined ? undefined : [...statement.calls].sort(), calls, sql);
  }
});
