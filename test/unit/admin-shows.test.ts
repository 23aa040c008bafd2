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
import { processIdOf } from '@pgdog-cluster/worker';
import { HostProbe, humanDuration, SHOWS, sessionNumber } from 'pgdog-cluster';
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

const STATISTICS =
  'xact_count xact_2pc_count query_count server_assignment_count received sent xact_time idle_xact_time query_time ' +
  'wait_time server_parse_count bind_count close_count errors cleaned rollbacks connect_time connect_count reads ' +
  'writes auth_attempts rows_inserted rows_updated rows_deleted';
const stats = (prefix: string) =>
  STATISTICS.split(' ')
    .map((name) => `${prefix}_${name}:n`)
    .join(' ');

/** Columns as documented for PgDog, ours after |. b bool, q bigint, n numeric, else text. */
const EXPECTED: Record<string, string> = {
  pools:
    'id:q database user addr port:n shard:n role cl_waiting:n sv_idle:n sv_active:n sv_idle_xact:n sv_total:n maxwait:n ' +
    'maxwait_us:n pool_mode paused:b banned:b healthy:b errors:n re_synced:n out_of_sync:n force_closed:n online:b ' +
    'schema_admin:b | sv_limit:n workers_waiting:n checkout_timeouts:n spread',
  clients:
    'id:q user database addr port:n state replication connect_time last_request queries:n transactions:n ' +
    'transactions_2pc:n wait_time:n query_time:n transaction_time:n bytes_received:n bytes_sent:n errors:n ' +
    'application_name locked:b prepared_statements:n | worker:n peer_user pin_reason tls',
  servers:
    'pool_id:q database user addr port:n state connect_time request_time remote_pid:q client_id:q transactions:n ' +
    'queries:n rollbacks:n prepared_statements:n healthchecks:n errors:n bytes_received:n bytes_sent:n last_sent ' +
    'last_received age:q application_name | worker:n tls',
  stats: `database user addr port:n shard:n role ${stats('total')} ${stats('avg')}`,
  queries:
    '| database query route calls:n errors:n rows:n total_time:n avg_time:n p99_time:n max_time:n workers:n',
  query_cache: 'query hits:n direct:n multi:n | route workers:n',
  lists: 'databases:n users:n pools:n used_clients:n free_servers:n used_servers:n',
  listeners: 'database user shard:n channel listeners:n received:n dropped:n',
  mirrors:
    'database user total_count:n mirrored_count:n dropped_count:n error_count:n queue_length:n | destination skipped_count:n failed_count:n',
  maintenance: '| database maintenance:b cl_held:n',
  config_status:
    '| last_attempt trigger result error changes epoch:n pending_restart took_ms:n last_success reloads_ok:n reloads_failed:n',
  workers:
    'worker:q state io_driver clients:n servers:n waiting:n busy_us:n busy_percent:n turns:n loop_delay_max_us:n ' +
    'heartbeat_age_ms:q epoch:n restarts:n',
  shared_memory: 'region row cell unit writer readers bytes:n | row_bytes:n row_count:n offset:n value',
  config: 'name value | default_value',
  'pgdog.shards': 'name shard:n host port:n role state connections:n idle:n active:n waiting:n last:b',
  sharded_tables:
    '| database schema name kind placement shard:n column data_type function unique_per_shard difference',
  transactions: 'database user transaction_name transaction_state | id:q shard:n decider:n age:q reason',
  omni_drift: '| database schema name state shard:n rows:q checksum reason',
  bans: 'id:q database user addr port:n shard:n role ban_reason ban_time_left:q',
  replication:
    'id:q database user addr port:n shard:n role replica_lag:q pg_lsn lsn_age:q pg_is_in_recovery:b | replica_lag_bytes:n timeline:n',
  replicas:
    'id:q addr port:n addresses databases configured role health ban_reason orders replica_lag:q replica_lag_bytes:n pg_lsn ' +
    'timeline:n latency_us:n check_age:q in_flight:n connect_failures:n resets:n shutdowns:n',
  addresses: 'kind address host port:n',
  tls: 'usage file state expires_in:q not_before not_after subject issuer serial',
  version: 'version',
  help: 'command description',
};
const OIDS: Record<string, number> = { b: 16, q: 20, n: 1700, t: 25 };

test('every SHOW has the expected columns and types, and each row as many values', async () => {
  const world = await makeWorld();
  world.clients.push(clientReport());
  world.servers.push(serverReport());
  world.queries.push(queryReport());
  world.mirrors.push(mirrorReport());
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
  for (const [name, text] of Object.entries(EXPECTED)) {
    const expected = text.split(' ').filter((word) => word !== '|');
    const { columns, typeOids, rows, tags, errors } = await ask(world, `show ${name};`);
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
    assert.ok(rows.length > 0, name);
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

test('the number of a session is the process id its client was told', () => {
  for (const [worker, slot] of [
    [0, 0],
    [0, 1],
    [3, 77],
    [511, 1048575],
  ]) {
    assert.equal(sessionNumber(worker, slot), processIdOf(worker, slot));
  }
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
