/** Database pgbouncer: what PgBouncer's users and their monitoring ask it, with what they get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HOLD_PAUSE,
  HOLD_SUSPEND,
  NO_ORDERS,
  QUERY_COUNT,
  QUERY_TIME_US,
  XACT_COUNT,
} from '@pgdog-cluster/core';
import { isShutOut, type WorkerContext } from '@pgdog-cluster/worker';
import { COMMANDS } from 'pgdog-cluster';
import {
  type AdminWorld,
  ask,
  clientReport,
  makeWorld,
  NOW_MS,
  SECRET,
  serverReport,
} from './admin-fixture.js';

async function rows(world: AdminWorld, text: string): Promise<Record<string, string | null>[]> {
  const answer = await ask(world, text, { database: 'pgbouncer' });
  assert.deepEqual(answer.errors, [], text);
  return answer.rows.map((row) =>
    Object.fromEntries(row.map((value, at) => [answer.columns[at] ?? '', value])),
  );
}

/** What pgbouncer_exporter, Datadog's check and Zabbix's template ask. */
const MONITORING = [
  'SHOW VERSION',
  'SHOW STATS',
  'SHOW POOLS',
  'SHOW LISTS',
  'SHOW DATABASES',
  'SHOW CONFIG',
  'SHOW CLIENTS',
  'SHOW SERVERS',
  'SHOW STATS_TOTALS;',
  'show state',
];

test('what monitoring asks is answered, and no secret is among it', async () => {
  const world = await makeWorld();
  world.clients.push(clientReport());
  world.servers.push(serverReport());
  for (const text of MONITORING) {
    const answer = await rows(world, text);
    assert.ok(answer.length > 0, text);
    assert.ok(!JSON.stringify(answer).includes(SECRET), text);
  }
});

test('SHOW POOLS counts clients and servers by what they do, per database and user', async () => {
  const world = await makeWorld();
  const states = ['active', 'idle', 'idle in transaction', 'waiting', 'held', 'login'];
  world.clients.push(...states.map((state, slot) => clientReport({ state, slot })));
  const servers = [
    'active',
    'idle in transaction',
    'idle',
    'lending',
    'testing',
    'cleaning',
    'connecting',
    'active_cancel',
  ];
  world.servers.push(
    ...servers.map((state, at) => serverReport({ state, clientSlot: -1, remotePid: at + 1 })),
  );
  const pools = await rows(world, 'SHOW POOLS');
  assert.equal(pools.length, 3);
  const shop = pools.find((row) => row.database === 'shop' && row.user === 'app');
  const counts = [
    shop?.cl_active,
    shop?.cl_waiting,
    shop?.sv_active,
    shop?.sv_idle,
    shop?.sv_tested,
    shop?.sv_login,
  ];
  assert.deepEqual(counts, ['3', '3', '2', '2', '2', '1']);
  assert.deepEqual([shop?.sv_being_canceled, shop?.pool_mode], ['1', 'transaction']);
});

test('SHOW CLIENTS and SERVERS name each other, and times are as PgBouncer writes them', async () => {
  const world = await makeWorld();
  world.clients.push(clientReport({ state: 'waiting', waitingSinceMs: NOW_MS - 2500 }));
  world.servers.push(serverReport({ isDoomed: true }));
  const [client] = await rows(world, 'SHOW CLIENTS');
  const [server] = await rows(world, 'SHOW SERVERS');
  assert.deepEqual([client?.link, server?.link], [server?.ptr, client?.ptr]);
  assert.deepEqual(
    [client?.type, client?.state, client?.wait, client?.wait_us],
    ['C', 'waiting', '2', '500000'],
  );
  assert.deepEqual([server?.type, server?.remote_pid, server?.close_needed], ['S', '4242', '1']);
  assert.equal(client?.connect_time, '2030-01-31 11:59:59 UTC');
  const sockets = await rows(world, 'SHOW SOCKETS');
  assert.deepEqual(
    sockets.map((row) => row.type),
    ['C', 'S'],
  );
  const fds = await rows(world, 'SHOW FDS');
  assert.deepEqual(
    fds.map((row) => [row.fd, row.link, row.password]),
    [
      ['30', '31', null],
      ['31', '30', null],
    ],
  );
});

test('SHOW STATS sums the pools of a database; TOTALS sums all', async () => {
  const world = await makeWorld();
  const { counters } = world.memory;
  for (const { index } of world.snapshot.pools) {
    const row = counters.rowBase(0, index);
    counters.cells[row + XACT_COUNT] = 10;
    counters.cells[row + QUERY_COUNT] = 20;
    counters.cells[row + QUERY_TIME_US] = 3000;
  }
  world.clock.advanceMs(2000);
  const [shop] = await rows(world, 'SHOW STATS');
  assert.deepEqual(
    [
      shop?.database,
      shop?.total_xact_count,
      shop?.total_query_time,
      shop?.avg_query_time,
      shop?.avg_xact_count,
    ],
    ['shop', '20', '6000', '150', '10'],
  );
  const totals = await rows(world, 'SHOW TOTALS');
  assert.equal(totals.find(({ name }) => name === 'total_query_count')?.value, '60');
});

test('DATABASES and STATE say what was ordered', async () => {
  const world = await makeWorld();
  const own = { ...NO_ORDERS, isDisabled: true, database: 'shop' };
  world.snapshot.orders = { all: { ...NO_ORDERS, holds: HOLD_PAUSE }, databases: [own] };
  const databases = await rows(world, 'SHOW DATABASES');
  assert.deepEqual(
    databases.map(({ name, paused, disabled }) => [name, paused, disabled]),
    [
      ['shop', '1', '1'],
      ['other', '1', '0'],
    ],
  );
  assert.deepEqual(
    (await rows(world, 'SHOW STATE')).map(({ value }) => value),
    ['no', 'yes', 'no'],
  );
  world.snapshot.orders = { all: { ...NO_ORDERS, holds: HOLD_SUSPEND }, databases: [] };
  assert.equal((await rows(world, 'SHOW STATE'))[2]?.value, 'yes');
});

test('SHOW DATABASES: what one user has otherwise is not said of the database', async () => {
  const world = await makeWorld();
  const [first] = world.snapshot.pools;
  const other = { ...first, user: 'other', poolSize: first.poolSize + 7, poolerMode: 'session' as const };
  const seen = async () => (await rows(world, 'SHOW DATABASES')).find(({ name }) => name === first.database);
  world.snapshot.pools = [first];
  assert.equal((await seen())?.pool_mode, first.poolerMode);
  world.snapshot.pools = [first, other];
  const { pool_mode, pool_size } = (await seen()) ?? {};
  assert.deepEqual([pool_mode, pool_size], [null, String(other.poolSize)]);
});

test('the other admin databases keep their own columns', async () => {
  const world = await makeWorld();
  for (const database of ['admin', 'pgdog']) {
    assert.equal((await ask(world, 'SHOW LISTS', { database })).columns[0], 'databases');
  }
});

test('stats_users may look and nothing else', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  const viewer = { user: 'app', isViewer: true };
  for (const text of [
    ...MONITORING,
    'SELECT 1',
    "SET application_name TO 'x'",
    'DISCARD ALL',
    'RESET ALL',
    'BEGIN',
  ]) {
    assert.deepEqual((await ask(world, text, viewer)).errors, [], text);
  }
  const orders = COMMANDS.filter(
    ({ isHidden, word }) => isHidden !== true && !['show', 'set', 'reset'].includes(word),
  );
  assert.ok(orders.length > 10);
  for (const text of [
    ...orders.map(({ word }) => `${word} shop`),
    'RESET QUERY_CACHE',
    'SHOW FDS',
    'SHOW f ds',
    'SHOW "f" "ds"',
    'CRASH WORKER 0',
  ]) {
    const { errors, tags } = await ask(world, text, viewer);
    assert.deepEqual([errors[0]?.C, errors[0]?.M, tags], ['42501', 'admin access needed', []], text);
  }
  assert.deepEqual([world.ordered, world.drained, world.crashed, world.reloads], [[], [], [], 0]);
});

test('whom a reload has shut out gets nothing any more, by a query or the extended protocol', async () => {
  const world = await makeWorld({ hasTestHooks: true });
  for (const text of ['SHOW POOLS', 'SELECT 1', 'RELOAD', 'PAUSE shop']) {
    for (const step of [undefined, 'describe', 'execute'] as const) {
      const { errors, tags } = await ask(world, text, { user: 'app', isShutOut: true, step });
      assert.deepEqual([errors[0]?.C, tags], ['42501', []], text);
      assert.match(errors[0]?.M ?? '', /may not use the admin database any more/);
    }
  }
  assert.deepEqual([world.ordered, world.reloads], [[], 0]);
});

test('shut out is who is in no list any more, or not among the users; the operator never is', () => {
  const users = ['app', 'eye'];
  const admin = { user: 'admin', adminUsers: ['app', 'gone'], statsUsers: ['eye'] };
  const context = {
    config: { admin },
    directory: { anyUser: (name: string) => (users.includes(name) ? {} : null) },
  } as unknown as WorkerContext;
  assert.deepEqual(
    ['admin', 'app', 'eye', 'gone', 'other'].filter((name) => isShutOut(context, name)),
    ['gone', 'other'],
  );
});
