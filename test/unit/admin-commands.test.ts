import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdminQueryMessage } from '@pgdog-cluster/core';
import { COMMANDS, COMMANDS_MAX, createAdminHandler, helpLines, SHOWS, splitCommands } from 'pgdog-cluster';
import { ask, decode, makeWorld, message, ODD_USER } from './admin-fixture.js';

const CLIENT = { isAdmin: false, database: 'shop', user: 'app' } satisfies Partial<AdminQueryMessage>;

test('only the admin may do anything but SHOW pgdog.shards', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  for (const { word, privilege } of COMMANDS) {
    assert.equal(privilege, 'admin', word);
    for (const text of [word, `${word} POOLS`, `${word} WORKER 0`, `SHOW ${word}`]) {
      const { errors, rows } = await ask(world, text, CLIENT);
      assert.deepEqual([errors[0]?.C, rows.length], ['42501', 0], text);
    }
  }
  for (const { name, privilege } of SHOWS) {
    const own = name.startsWith('pgdog.') ? name : `pgdog.${name}`;
    const { errors, rows } = await ask(world, `SHOW ${own}`, CLIENT);
    if (privilege === 'client') assert.ok(rows.length > 0 && errors.length === 0, name);
    else assert.deepEqual([errors[0]?.C, rows.length], ['42704', 0], name);
  }
  assert.deepEqual(
    SHOWS.filter(({ privilege }) => privilege === 'client').map(({ name }) => name),
    ['pgdog.shards'],
  );
  assert.deepEqual([world.drained, world.crashed], [[], []]);
});

test('a quoted name of an ordinary client is one name, whatever is in it', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  for (const name of ['shards; SHUTDOWN', 'x; CRASH WORKER 0', 'shards --', '"shards"', 'shards\0', '']) {
    const { errors, rows } = await ask(world, `SHOW pgdog.${name}`, CLIENT);
    assert.deepEqual([errors[0]?.C, errors[0]?.S, rows.length], ['42704', 'ERROR', 0], name);
  }
  assert.deepEqual([world.drained, world.crashed], [[], []]);
});

test('an ordinary client sees the hosts of databases it may enter', async () => {
  const world = await makeWorld();
  const names = async (user: string) =>
    (await ask(world, 'SHOW pgdog.shards', { ...CLIENT, user })).rows.map(([name]) => name);
  assert.deepEqual(await names('app'), ['shop', 'other']);
  assert.deepEqual(await names(ODD_USER), ['shop']);
  assert.deepEqual(await names('stranger'), []);
  assert.equal((await ask(world, 'SHOW pgdog.shards')).rows.length, 2);
});

test('case, blanks, comments and semicolons do not matter', async () => {
  const world = await makeWorld();
  for (const text of [
    'show version',
    'SHOW VERSION;',
    '  ShOw\n\tversion ;; ',
    '/* a /* b */ */ show -- x\n version',
  ]) {
    const { rows, tags } = await ask(world, text);
    assert.deepEqual([rows, tags], [[['pgdog-cluster 0.1.0']], ['SHOW']], text);
  }
});

test('several commands are answered one after another, up to the first error', async () => {
  const world = await makeWorld();
  const { frames, tags, errors } = await ask(world, 'SHOW VERSION; SHOW LISTS; NONSENSE; SHOW VERSION');
  assert.deepEqual(tags, ['SHOW', 'SHOW']);
  assert.equal(errors.length, 1);
  assert.equal(frames.map(({ type }) => type).join(''), 'TDCTDCE');
});

test('an empty query gets one EmptyQueryResponse', async () => {
  const world = await makeWorld();
  for (const text of ['', ' ', ';', ';'.repeat(65_000), '-- nothing', '/* nothing */;']) {
    assert.deepEqual(
      (await ask(world, text)).frames.map(({ type }) => type),
      ['I'],
    );
  }
});

test('unknown commands are syntax errors with a hint, and leave the session alive', async () => {
  const world = await makeWorld();
  const wrong = [
    'NONSENSE',
    'SHOW',
    'SHOW POOLS POOLS',
    'SHOW 1',
    "SHOW 'x'",
    'SET',
    'SET x',
    'SET x =',
    'RESET',
    '1',
    '=',
    '(',
    'SELECT',
  ];
  const sql = ['INSERT INTO x VALUES (1)', '"show" pools', 'CRASH WORKER 0', 'SHUTDOWN NOW', 'SHOW a b'];
  for (const text of [...wrong, ...sql]) {
    const { errors, frames } = await ask(world, text);
    assert.equal(frames.length, 1, text);
    const [{ C, S, V, M, H }] = errors;
    assert.deepEqual([C, S, V, H], ['08P01', 'ERROR', 'ERROR', 'SHOW HELP lists the commands.'], text);
    if (!text.startsWith('SHOW')) assert.equal(M, 'syntax error in admin command', text);
  }
  assert.deepEqual(world.drained, []);
});

test('what other poolers have and this one does not is said so', async () => {
  const world = await makeWorld();
  const orders = ['PROBE x', 'FORCE_RELOAD', 'RESET PREPARED'];
  for (const text of [...orders, 'SHOW REPLICATION_SLOTS', 'SHOW TABLE_COPIES']) {
    assert.equal((await ask(world, text)).errors[0]?.C, '0A000', text);
  }
});

test('SHOW QUERIES and SHOW QUERY_CACHE take a part of the text and a limit, RESET QUERY_CACHE nothing', async () => {
  const world = await makeWorld();
  for (const text of [
    "SHOW QUERIES 'Id = '",
    'show query_cache Items LIMIT 3',
    'SHOW QUERIES limit 2',
    'SHOW QUERIES',
  ])
    assert.deepEqual((await ask(world, text)).tags, ['SHOW'], text);
  assert.deepEqual(world.queryFilters, ['id = ', 'items', '', '']);
  assert.equal((await ask(world, 'SHOW QUERIES LIMIT 1.5')).errors[0]?.C, '08P01');
  assert.deepEqual((await ask(world, 'RESET QUERY_CACHE')).tags, ['RESET']);
  assert.equal(world.cacheResets, 1);
  assert.equal((await ask(world, 'RESET QUERY_CACHE shop')).errors[0]?.C, '08P01');
  assert.deepEqual((await ask(world, 'RESET ALL')).tags, ['RESET']);
  assert.equal(world.cacheResets, 1);
});

test('RELOAD reads certificates again, and takes nothing behind it', async () => {
  const world = await makeWorld();
  assert.deepEqual((await ask(world, 'reload')).tags, ['RELOAD']);
  assert.equal(world.reloads, 1);
  assert.equal((await ask(world, 'RELOAD shop')).errors[0]?.C, '08P01');
  assert.equal(world.reloads, 1);
});

test('orders about databases say which, in letters of any case where that is clear', async () => {
  const world = await makeWorld();
  const good = await ask(
    world,
    'maintenance on; MAINTENANCE OFF SHOP; Maintenance On "shop"; PAUSE; pause shop; RESUME Other; SUSPEND; ' +
      'RECONNECT; RECONNECT shop; WAIT_CLOSE; DISABLE shop; enable shop; KILL; KILL shop; KILL_CLIENT 5242885',
  );
  assert.deepEqual(good.errors, []);
  assert.equal(good.tags.at(3), 'PAUSE');
  assert.equal(good.tags.length, 15);
  assert.deepEqual(world.ordered, [
    ['maintenance', true, null],
    ['maintenance', false, 'shop'],
    ['maintenance', true, 'shop'],
    ['pause', null],
    ['pause', 'shop'],
    ['resume', 'other'],
    ['suspend'],
    ['reconnect', null],
    ['reconnect', 'shop'],
    ['waitClose', null],
    ['setDisabled', 'shop', true],
    ['setDisabled', 'shop', false],
    ['kill', null],
    ['kill', 'shop'],
    ['killClient', 1, 5],
  ]);
});

test('SET of a setting of ours is an order; of another name it is for drivers', async () => {
  const world = await makeWorld();
  const good = await ask(
    world,
    "SET checkout_timeout TO 5; set LOG_CONNECTIONS = off; SET query_timeout = '5s'; SET x = 1",
  );
  assert.deepEqual([good.tags, good.errors], [['SET', 'SET', 'SET', 'SET'], []]);
  assert.equal(good.frames.filter(({ type }) => type === 'N').length, 3);
  assert.deepEqual(world.ordered, [
    ['set', 'checkout_timeout', '5'],
    ['set', 'log_connections', 'off'],
    ['set', 'query_timeout', '5s'],
  ]);
  const { errors } = await ask(world, 'SET checkout_timeout = 5', { isViewer: true });
  assert.equal(errors[0]?.M, 'admin access needed');
});

test('an order that is about nothing is refused, in the words PgBouncer has for it', async () => {
  const world = await makeWorld();
  const refusals: [string, string, string][] = [
    ['PAUSE nowhere', '08P01', 'no such database: nowhere'],
    ['PAUSE "SHOP"', '08P01', 'no such database: SHOP'],
    ['KILL my-shop.x', '08P01', 'no such database: my-shop.x'],
    ['PAUSE pgbouncer', '08P01', 'cannot pause in admin db: pgbouncer'],
    ['RECONNECT pgbouncer', '08P01', 'cannot reconnect in admin db: pgbouncer'],
    ['DISABLE pgbouncer', '08P01', 'cannot disable in admin db: pgbouncer'],
    ['ENABLE pgbouncer', '08P01', 'cannot enable in admin db: pgbouncer'],
    ['KILL pgbouncer', '08P01', 'cannot kill in admin db: pgbouncer'],
    ['WAIT_CLOSE pgbouncer', '08P01', 'cannot wait in admin db: pgbouncer'],
    ['DISABLE', '08P01', 'a database is required'],
    ['ENABLE', '08P01', 'a database is required'],
    ['KILL_CLIENT', '08P01', 'invalid client pointer supplied'],
    ['KILL_CLIENT 5', '08P01', 'invalid client pointer supplied'],
    ['KILL_CLIENT 99999999999', '08P01', 'invalid client pointer supplied'],
    ['KILL_CLIENT 0x1f', '08P01', 'invalid client pointer supplied'],
    ['PAUSE app shop', '0A000', 'one user of a database cannot be ordered about'],
  ];
  for (const [text, state, words] of refusals) {
    const { errors } = await ask(world, text);
    assert.deepEqual([errors[0]?.C, errors[0]?.M], [state, words], text);
  }
  const wrong = ['MAINTENANCE', 'MAINTENANCE maybe', "MAINTENANCE 'on'", "PAUSE 'shop'", 'SUSPEND shop'];
  for (const text of wrong) assert.equal((await ask(world, text)).errors[0]?.C, '08P01', text);
  assert.deepEqual(world.ordered, []);
});

test('SETUP SCHEMA tells what it has done, or what stood in the way', async () => {
  const world = await makeWorld();
  const all = await ask(world, 'SETUP SCHEMA');
  assert.deepEqual(
    [all.columns, all.rows, all.tags],
    [['result'], [['ok all'], ['warning: none']], ['SETUP']],
  );
  assert.deepEqual((await ask(world, 'setup schema "Shop"')).rows[0], ['ok Shop']);
  const failed = await ask(world, 'SETUP SCHEMA nope');
  assert.match(failed.errors[0]?.M ?? '', /shard 1: no connection/);
  for (const text of ['SETUP', 'SETUP shop', 'SETUP SCHEMA a b', "SETUP SCHEMA 'a'"]) {
    assert.equal((await ask(world, text)).errors[0]?.C, '08P01', text);
  }
});

test('SHUTDOWN drains, once, and is answered', async () => {
  const world = await makeWorld();
  const { tags } = await ask(world, 'shutdown;', { user: 'boss' });
  assert.deepEqual([tags, world.drained], [['SHUTDOWN'], ['SHUTDOWN by boss: transactions']]);
  await ask(world, 'SHUTDOWN WAIT_FOR_SERVERS; SHUTDOWN wait_for_clients');
  assert.deepEqual(world.drained.slice(1), ['SHUTDOWN by admin: servers', 'SHUTDOWN by admin: clients']);
  assert.equal((await ask(world, 'SHUTDOWN wait_for_godot')).errors[0]?.C, '08P01');
});

test('CRASH WORKER exists with test hooks only', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  assert.deepEqual((await ask(world, 'CRASH WORKER 1')).tags, ['CRASH']);
  assert.deepEqual(world.crashed, [1]);
  for (const text of ['CRASH', 'CRASH WORKER', 'CRASH WORKER x', 'CRASH WORKER 1 2']) {
    assert.equal((await ask(world, text)).errors[0].C, '08P01', text);
  }
  assert.deepEqual(world.crashed, [1]);
});

test('drivers get what they ask for unasked', async () => {
  const world = await makeWorld();
  const sets = [
    "SET client_encoding = 'UTF8'",
    'SET DateStyle TO ISO, MDY',
    'set extra_float_digits=3',
    "SET SESSION application_name = 'x;y'",
  ];
  const more = [
    "SET NAMES 'utf8'",
    "SET TIME ZONE 'UTC'",
    'SET standard_conforming_strings TO on',
    'SET LOCAL statement_timeout = 0',
    'SET a.b = 1',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  ];
  for (const text of [...sets, ...more]) assert.deepEqual((await ask(world, text)).tags, ['SET'], text);
  const tags: [string, string][] = [
    ['BEGIN', 'BEGIN'],
    ['START TRANSACTION', 'START TRANSACTION'],
    ['COMMIT', 'COMMIT'],
    ['ROLLBACK', 'ROLLBACK'],
    ['DISCARD ALL', 'DISCARD ALL'],
    ['RESET ALL', 'RESET'],
  ];
  for (const [text, tag] of tags) assert.deepEqual((await ask(world, text)).tags, [tag], text);
  const shown: [string, string, string][] = [
    ['SHOW standard_conforming_strings', 'standard_conforming_strings', 'on'],
    ['SHOW TRANSACTION ISOLATION LEVEL', 'transaction_isolation', 'read committed'],
    ['SHOW whatever', 'whatever', ''],
    ['SHOW some.thing', 'some.thing', ''],
    ['SELECT 1', '?column?', '1'],
    ["SELECT 'a''b'", '?column?', "a'b"],
    ['SELECT version()', 'version', 'pgdog-cluster 0.1.0'],
    ['SELECT pg_catalog.current_database()', 'current_database', 'admin'],
    ['select current_user', 'current_user', 'admin'],
    ['SELECT pg_is_in_recovery()', 'pg_is_in_recovery', 'f'],
  ];
  for (const [text, name, value] of shown) {
    const { columns, rows } = await ask(world, text);
    assert.deepEqual([columns, rows], [[name], [[value]]], text);
  }
  assert.deepEqual((await ask(world, 'SELECT 1')).typeOids, [23]);
  assert.deepEqual((await ask(world, 'SELECT 9999999999')).typeOids, [20]);
  assert.deepEqual((await ask(world, 'SELECT 1.5')).typeOids, [1700]);
});

test('hostile texts cost one error each and carry nothing out', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  const long = 64 * 1024;
  const malformed = [
    "SHUTDOWN; SHOW 'pools",
    'SHUTDOWN; "',
    'SHUTDOWN; /* never',
    'SHUTDOWN; $a$ never $b$',
    'SHUTDOWN; SHOW\0POOLS',
    '\0',
    "E'\\",
  ];
  const large = [
    'x'.repeat(long),
    `SHOW '${'a'.repeat(long)}'`,
    `SHOW CLIENTS ${'a'.repeat(long)}`,
    `SHOW ${'(a'.repeat(long / 2)}`,
    `SELECT ${'('.repeat(long)}`,
  ];
  const odd = [
    '\uFFFD\uFFFD',
    'SHOW __proto__ x',
    'constructor',
    '__proto__',
    'SHOW CLIENTS __proto__',
    'toString',
    'SELECT __proto__',
  ];
  const many = 'CRASH WORKER 0;'.repeat(COMMANDS_MAX + 1);
  for (const text of [...malformed, ...large, ...odd, many]) {
    const { errors, frames } = await ask(world, text);
    assert.equal(frames.length, 1, text.slice(0, 40));
    assert.ok(['08P01', '0A000'].includes(errors[0]?.C ?? ''), text.slice(0, 40));
    assert.ok(errors[0].M.length < 200);
  }
  assert.deepEqual([world.drained, world.crashed], [[], []]);
  assert.deepEqual(world.failures, []);
  // A name of any length is a name; its row goes back whole.
  assert.equal((await ask(world, `SHOW ${'a.'.repeat(1000)}a`)).rows.length, 1);
  assert.equal(splitCommands('SHOW VERSION;'.repeat(COMMANDS_MAX)).length, COMMANDS_MAX);
});

test('a failure of ours is an ERROR without its text, after what was answered', async () => {
  const world = await makeWorld();
  const context = { ...world.context, reportClients: () => Promise.reject(new Error('inner secret')) };
  const { frames, errors } = decode(await createAdminHandler(context)(message('SHOW VERSION; SHOW CLIENTS')));
  assert.equal(frames.map(({ type }) => type).join(''), 'TDCE');
  assert.deepEqual([errors[0].C, errors[0].S], ['XX000', 'ERROR']);
  assert.ok(!errors[0].M.includes('inner'));
  assert.deepEqual(world.failures, ['an admin command: Error: inner secret']);
});

test('SHOW HELP names every SHOW and order that works', async () => {
  const world = await makeWorld();
  const { rows } = await ask(world, 'SHOW HELP');
  assert.equal(rows.length, helpLines().length);
  for (const [usage] of rows) {
    if (usage?.startsWith('SHOW')) assert.deepEqual((await ask(world, usage)).tags, ['SHOW'], usage);
  }
  assert.ok(rows.some(([usage]) => usage?.startsWith('SHUTDOWN')));
  assert.ok(!rows.some(([usage]) => usage?.startsWith('CRASH')));
});

test('BAN and UNBAN order the host of a pool, or all hosts; HEALTHCHECK asks them', async () => {
  const world = await makeWorld();
  const { hosts, pools } = world.snapshot;
  const [, , other] = pools;
  const banned = async () => (await ask(world, 'SHOW BANS')).rows.map((row) => [row[0], row[7], row[8]]);
  assert.deepEqual((await ask(world, `ban ${other.index}`)).tags, ['BAN']);
  assert.deepEqual(await banned(), [[String(other.index), 'admin', null]]);
  assert.deepEqual((await ask(world, `UNBAN ${other.index};`)).tags, ['UNBAN']);
  assert.deepEqual(await banned(), []);
  await ask(world, 'BAN');
  assert.equal((await banned()).length, pools.length);
  await ask(world, 'UNBAN');
  for (const text of ['BAN 99', 'UNBAN 99', 'HEALTHCHECK 99']) {
    const [error] = (await ask(world, text)).errors;
    assert.deepEqual([error?.C, error?.M], ['58000', 'there is no pool 99'], text);
  }
  for (const text of ['BAN 1 2', 'BAN x', "UNBAN '1'", 'HEALTHCHECK 1,2'])
    assert.equal((await ask(world, text)).errors[0]?.C, '08P01', text);
  world.reachable.add(`host ${other.hostIndex}`);
  assert.deepEqual((await ask(world, `HEALTHCHECK ${other.index}`)).tags, ['HEALTHCHECK']);
  assert.equal((await ask(world, 'HEALTHCHECK')).errors[0]?.M, 'no answer in time');
  assert.ok(hosts.length > 1);
});
