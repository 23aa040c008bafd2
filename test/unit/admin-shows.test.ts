import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BAN_REPLICA_LAG,
  CLAIMED,
  CONNECT_COUNT,
  CONNECT_TIME_US,
  QUERY_COUNT,
  QUERY_TIME_US,
  RECEIVED,
  WORKER_CRASHED,
  XACT_COUNT,
} from '@pgdog-cluster/core';
import { BOUNCER_SHOWS, HostProbe, humanDuration, SHOWS, sessionNumber, slotOfSession } from 'pgdog-cluster';
import { BOUNCER, EXPECTED } from './admin-columns.js';
import {
  ask,
  catalogState,
  certificateReport,
  clientReport,
  leftPart,
  makeWorld,
  mirrorReport,
  NOW_MS,
  queryReport,
  rowsOf,
  SECRET,
  serverReport,
} from './admin-fixture.js';

/** Of addresses and without peers, as the fixture is. */
const EMPTY: ReadonlySet<string> = new Set(['dns_hosts', 'dns_zones', 'peers', 'peer_pools']);
const OIDS: Record<string, number> = { b: 16, q: 20, i: 23, n: 1700, t: 25 };

test('every SHOW has the expected columns and types, and each row as many values', async () => {
  const world = await makeWorld();
  world.clients.push(clientReport());
  world.servers.push(serverReport());
  world.queries.push(queryReport());
  world.mirrors.push(mirrorReport());
  world.prepared.push({ worker: 0, name: '__pgdog_a', statement: 'select $1', references: 2, bytes: 100 });
  const bytes = { used: 1, allocated: 10, prepared: 200, queued: 3000 };
  const client = { worker: 1, slot: 5, user: 'app', database: 'shop', addr: '10.0.0.1', port: 5555 };
  world.clientMemory.push({ ...client, bytes });
  world.serverMemory.push({ worker: 0, pool: 0, remotePid: 4242, bytes });
  world.certificates.push(certificateReport());
  world.catalogs.push(catalogState());
  world.transactions.push(
    { database: 'shop', part: null, reason: 'shard 0: ECONNREFUSED' },
    { database: 'shop', part: leftPart(), reason: '' },
  );
  const copy = { rows: '3', checksum: '-17' };
  const table = { schema: 'public', name: 'country', reason: '' };
  world.drift.push(
    { database: 'shop', row: { ...table, state: 'same', copies: [copy, copy] }, reason: '' },
    { database: 'shop', row: { ...table, state: 'unread', copies: [copy, null] }, reason: 'shard 1: gone' },
    { database: 'other', row: null, reason: 'not read yet' },
  );
  world.memory.hosts.ban(world.snapshot.hosts[0].index, BAN_REPLICA_LAG, 0);
  assert.deepEqual(SHOWS.map(({ name }) => name).sort(), Object.keys(EXPECTED).sort());
  assert.deepEqual(BOUNCER_SHOWS.map(({ name }) => name).sort(), Object.keys(BOUNCER).sort());
  const bouncer = Object.entries(BOUNCER).map((entry) => [...entry, 'pgbouncer'] as const);
  for (const [name, text, database = 'admin'] of [...Object.entries(EXPECTED), ...bouncer]) {
    const expected = text.split(' ').filter((word) => word !== '|');
    const { columns, typeOids, rows, tags, errors } = await ask(world, `show ${name};`, { database });
    assert.deepEqual(errors, [], name);
    assert.deepEqual(tags, ['SHOW'], name);
    assert.deepEqual(
      columns,
      expected.map((word) => word.split(':')[0]),
      name,
    );
    assert.deepEqual(
      typeOids,
      expected.map((word) => OIDS[word.split(':')[1] ?? 't']),
      name,
    );
    assert.equal(rows.length > 0, !EMPTY.has(name), name);
    for (const row of rows) {
      assert.equal(row.length, expected.length, name);
      for (const [index, value] of row.entries())
        checkText(value, typeOids[index], `${name}.${columns[index]}`);
    }
  }
});

function checkText(value: string | null, typeOid: number, where: string): void {
  if (value === null) return;
  if (typeOid === OIDS.b) assert.ok(value === 't' || value === 'f', where);
  if (typeOid === OIDS.n) assert.ok(value !== '' && Number.isFinite(Number(value)), `${where} = ${value}`);
  if (typeOid === OIDS.q) assert.ok(Number.isSafeInteger(Number(value)), `${where} = ${value}`);
}

test('SHOW POOLS sums all workers and tells the oldest wait', async () => {
  const world = await makeWorld();
  const { load, capacity } = world.memory;
  for (const [worker, idle, active, waiting] of [
    [0, 3, 2, 0],
    [1, 1, 0, 4],
  ]) {
    load.setIdle(worker, 0, idle);
    load.setActive(worker, 0, active);
    load.setWaiting(worker, 0, waiting);
    load.markWaiting(worker, 0, waiting > 0);
  }
  load.setOldestWaitSinceMs(1, 0, NOW_MS - 2345);
  for (let claim = 0; claim < 6; claim++) assert.equal(capacity.tryClaim(claim % 2, 0), CLAIMED);
  const idle = serverReport({ state: 'idle in transaction' });
  world.servers.push(idle, serverReport(), serverReport({ pool: 2, state: 'connecting' }));
  load.setWaiting(0, 2, 1);
  const [shop, odd, other] = await rowsOf(world, 'SHOW POOLS');
  assert.equal(shop.sv_idle, '4');
  assert.equal(shop.sv_active, '2');
  assert.equal(shop.sv_idle_xact, '1');
  assert.equal(shop.cl_waiting, '4');
  assert.equal(shop.sv_total, '6');
  assert.equal(shop.sv_limit, '7');
  assert.equal(shop.maxwait, '2');
  assert.equal(shop.maxwait_us, '345000');
  assert.equal(shop.workers_waiting, '1');
  assert.equal(shop.spread, '0:3/2/0 1:1/0/4');
  assert.equal(shop.healthy, 't');
  assert.equal(odd.spread, '');
  assert.equal(odd.healthy, 't');
  // Somebody waits, and the only connection is not there yet.
  assert.equal(other.healthy, 'f');
  assert.equal(other.port, '7777');
});

test('SHOW MIRRORS adds up what the workers say, by mirror and user', async () => {
  const world = await makeWorld();
  world.mirrors.push(mirrorReport(), mirrorReport({ mirrored: 5, total: 10 }), mirrorReport({ user: 'odd' }));
  const [app, odd] = await rowsOf(world, 'SHOW MIRRORS');
  const { database, destination, user, total_count, mirrored_count, skipped_count, queue_length } = app;
  assert.deepEqual([database, destination, user], ['shop', 'other', 'app']);
  assert.deepEqual([total_count, mirrored_count, skipped_count, queue_length], ['19', '9', '2', '2']);
  assert.deepEqual([odd.user, odd.total_count], ['odd', '9']);
});

test('SHOW CLIENTS and SHOW SERVERS name the same session, and take a list of columns', async () => {
  const world = await makeWorld();
  world.clients.push(clientReport(), clientReport({ slot: 6, pinReason: '' }));
  world.servers.push(serverReport(), serverReport({ pool: 2, clientSlot: -1 }), serverReport({ pool: 9 }));
  const [client, other] = await rowsOf(world, 'SHOW CLIENTS');
  const [server, free, orphan] = await rowsOf(world, 'SHOW SERVERS');
  assert.equal(client.id, server.client_id);
  assert.equal(client.id, String(sessionNumber(1, 5)));
  assert.equal(client.connect_time, '2030-01-31 11:59:59.000 UTC');
  assert.equal(client.wait_time, '1.5');
  assert.equal(client.locked, 't');
  assert.equal(client.pin_reason, 'listen');
  assert.equal(other.locked, 'f');
  assert.equal(server.age, '5000');
  assert.equal(server.last_received, null);
  assert.equal(free.client_id, null);
  assert.equal(free.database, 'other');
  // Its pool is no longer configured.
  assert.equal(orphan.database, '');
  assert.equal(orphan.port, null);
  const { columns, rows } = await ask(world, 'SHOW CLIENTS user, "addr" id');
  assert.deepEqual(columns, ['user', 'addr', 'id']);
  assert.deepEqual(rows[0], ['app', '10.0.0.1', client.id]);
  assert.equal((await ask(world, 'SHOW CLIENTS nonsense')).errors[0].C, '08P01');
  assert.equal((await ask(world, 'SHOW POOLS id')).errors[0].C, '08P01');
});

test('the number of a session leads back to it, and no other number does', () => {
  for (const [worker, slot] of [
    [0, 0],
    [0, 1],
    [3, 77],
    [511, 1048575],
  ]) {
    assert.deepEqual(slotOfSession(sessionNumber(worker, slot) ?? 0), { worker, slot });
  }
  assert.equal(sessionNumber(0, -1), null);
  // Process ids of servers are below 2^22.
  for (const number of [-1, 0, 1.5, 2 ** 22 - 1, 2 ** 31]) assert.equal(slotOfSession(number), null);
});

test('SHOW STATS: totals are sums over workers, averages are of the last full period', async () => {
  const world = await makeWorld();
  const { counters } = world.memory;
  const add = (worker: number, cell: number, value: number) => {
    counters.cells[counters.rowBase(worker, 0) + cell] += value;
  };
  add(0, QUERY_COUNT, 10);
  add(1, QUERY_COUNT, 20);
  add(1, QUERY_TIME_US, 60_000);
  add(0, RECEIVED, 4096);
  world.clock.advanceMs(2000);
  const read = async () => (await rowsOf(world, 'SHOW STATS'))[0];
  // No period is over yet: since start.
  let row = await read();
  assert.equal(row.total_query_count, '30');
  assert.equal(row.total_query_time, '60');
  assert.equal(row.avg_query_count, '15');
  assert.equal(row.avg_query_time, '2');
  assert.equal(row.avg_received, '2048');
  assert.equal(row.avg_connect_time, '0');
  world.context.window.endPeriod();
  add(0, QUERY_COUNT, 300);
  add(0, CONNECT_COUNT, 2);
  add(0, CONNECT_TIME_US, 5000);
  add(1, XACT_COUNT, 1);
  world.clock.advanceMs(10_000);
  // The second period is running: still the first.
  assert.equal((await read()).avg_query_count, '15');
  world.context.window.endPeriod();
  world.clock.advanceMs(500);
  row = await read();
  assert.equal(row.total_query_count, '330');
  assert.equal(row.avg_query_count, '30');
  assert.equal(row.avg_query_time, '0');
  assert.equal(row.avg_connect_time, '2.5');
  assert.equal(row.avg_xact_count, '0.1');
});

test('SHOW WORKERS tells state, driver and how busy each was', async () => {
  const world = await makeWorld();
  const { workers, capacity, load } = world.memory;
  workers.setBusyUs(0, 500_000);
  workers.setTurns(0, 77);
  workers.setClients(0, 12);
  workers.setState(1, WORKER_CRASHED);
  workers.countRestart(1);
  load.setWaiting(0, 0, 2);
  load.setWaiting(0, 2, 1);
  assert.equal(capacity.tryClaim(0, 2), CLAIMED);
  world.clock.advanceMs(2000);
  const [first, second] = await rowsOf(world, 'SHOW WORKERS');
  assert.equal(first.state, 'serving');
  assert.equal(first.io_driver, 'io_uring');
  assert.equal(first.clients, '12');
  assert.equal(first.servers, '1');
  assert.equal(first.waiting, '3');
  assert.equal(first.busy_percent, '25');
  assert.equal(first.turns, '77');
  assert.equal(first.heartbeat_age_ms, '40');
  assert.equal(second.state, 'crashed');
  assert.equal(second.io_driver, 'epoll');
  assert.equal(second.restarts, '1');
});

test('a worker that started again does not count as busy for less than nothing', async () => {
  const world = await makeWorld();
  const { workers } = world.memory;
  workers.setBusyUs(0, 9_000_000);
  world.context.window.endPeriod();
  workers.setBusyUs(0, 100_000);
  world.clock.advanceMs(1000);
  world.context.window.endPeriod();
  world.context.window.endPeriod();
  assert.equal(world.context.window.busyPercent(0), 0);
  world.context.window.close();
});

test('SHOW SHARED_MEMORY has live values of the rows in use', async () => {
  const world = await makeWorld();
  const { memory } = world;
  memory.load.setIdle(1, 2, 9);
  memory.fds.setOwner(17, 1);
  memory.capacity.tryClaim(0, 1);
  const rows = await rowsOf(world, 'SHOW SHARED_MEMORY');
  const value = (region: string, cell: string) =>
    rows.find((row) => row.region === region && row.cell === cell)?.value;
  assert.equal(value('load', 'idle'), '0 0 0 0 0 9');
  assert.equal(value('descriptors', 'owner'), '1 owned');
  assert.equal(value('routing table', 'epoch'), '3');
  assert.equal(value('capacity', 'limit'), '0 0 0 7 7 7');
  assert.equal(value('claims', 'per pool'), '0 1 0');
  assert.equal(value('workers', 'state'), '1 1');
  assert.ok(value('routing table', 'areas')?.endsWith(' bytes used'));
});

test('SHOW CONFIG shows durations for people, and no secret', async () => {
  const world = await makeWorld();
  const answer = await ask(world, 'SHOW CONFIG');
  assert.ok(!JSON.stringify(answer.rows).includes(SECRET));
  const values = new Map(answer.rows.map(([name, value]) => [name, value]));
  assert.equal(values.get('idle_timeout'), '1m 30s');
  assert.equal(values.get('default_pool_size'), '7');
  assert.equal(values.get('server_lifetime'), '1d');
  assert.equal(values.get('openmetrics_port'), 'default');
  assert.equal(values.get('tcp_keepalive'), 'true');
  const secrets = [...values.keys()].filter((name) => name?.includes('password'));
  assert.deepEqual(secrets, ['password_grace_period'], 'which is a time');
  assert.equal(humanDuration(0), '0ms');
  assert.equal(humanDuration(1_001), '1s 1ms');
  assert.equal(humanDuration(2 ** 53), 'unlimited');
});

test('SHOW pgdog.shards: a server connection proves a host up, else it is tried', async () => {
  const world = await makeWorld();
  world.memory.capacity.tryClaim(0, 0);
  world.memory.capacity.tryClaim(1, 1);
  world.servers.push(
    serverReport({ pool: 1, state: 'idle' }),
    serverReport({ pool: 2, state: 'connecting' }),
  );
  const read = async () => (await ask(world, 'SHOW pgdog.shards')).rows.map((row) => row.join(' '));
  assert.deepEqual(await read(), [
    'shop 0 127.0.0.1 5432 primary up 2 0 0 0 f',
    'other 0 127.0.0.2 7777 primary down 0 0 0 0 f',
  ]);
  world.reachable.add('127.0.0.2');
  assert.ok((await read())[1].includes('primary up'));
});

test('hosts are tried at most once a second each, and no address means down', async () => {
  const tried: string[] = [];
  const probe = new HostProbe(async (host, port) => {
    tried.push(`${host}:${port}`);
    return host === '10.0.0.2';
  });
  const address = (text: string) => ({ family: 2, text, sockaddr: new Uint8Array(16) });
  const pool = (...texts: string[]) => ({ addresses: texts.map(address), port: 1 });
  assert.equal(await probe.isReachable(pool('10.0.0.1', '10.0.0.2')), true);
  assert.equal(await probe.isReachable(pool('10.0.0.1')), false);
  assert.equal(await probe.isReachable(pool()), false);
  assert.deepEqual(tried, ['10.0.0.1:1', '10.0.0.2:1']);
  // The real one, against a port nobody listens on.
  assert.equal(await new HostProbe().isReachable(pool('127.0.0.1')), false);
});

test('SHOW LISTS counts over all workers', async () => {
  const world = await makeWorld();
  world.memory.capacity.tryClaimClient(0);
  world.memory.capacity.tryClaimClient(1);
  world.memory.load.setIdle(0, 0, 2);
  world.memory.load.setActive(1, 2, 3);
  assert.deepEqual((await ask(world, 'SHOW LISTS')).rows, [['2', '2', '3', '2', '2', '3']]);
});

test('SHOW TLS tells what has expired', async () => {
  const world = await makeWorld();
  const day = 86_400_000;
  world.certificates.push(
    certificateReport({ subject: 'CN=good' }),
    certificateReport({ subject: 'CN=old', notAfterMs: NOW_MS - 1500 }),
    certificateReport({ subject: 'CN=new', notBeforeMs: NOW_MS + 1, notAfterMs: NOW_MS + 9 * day }),
  );
  const rows = await rowsOf(world, 'SHOW TLS');
  assert.deepEqual(
    rows.map(({ subject, state, expires_in }) => [subject, state, expires_in]),
    [
      ['CN=good', 'valid', '86400'],
      ['CN=old', 'expired', '-2'],
      ['CN=new', 'not yet valid', String(9 * 86_400)],
    ],
  );
});
