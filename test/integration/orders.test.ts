/** PAUSE and its kin: what the operator is told and when, what clients notice, and who may come in between. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { ownerOfProcessId } from '@pgdog-cluster/core';
import pg from 'pg';
import { crashWorkers } from '../support/crash-worker.js';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../support/frames.js';
import { ADMIN, databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  clientsOfAllWorkers,
  eventually,
  firstValue,
  pidOf,
  run,
  setEverywhere,
  sleep,
  sqlstateOf,
  untilWaiting,
} from '../support/wire.js';

const WORKERS = 2;
// As long as nobody waits in vain: for a busy machine to start as many servers.
const CHECKOUT_TIMEOUT_MS = 60_000;
const SHORT_MS = 300;

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forOneDriver('orders', (driver) => {
  let proxy: TestProxy;
  const order = (text: string) => proxy.adminQuery<Record<string, unknown>>(text);
  const operator = () =>
    clientOf(proxy, { user: ADMIN.user, password: ADMIN.password, database: ADMIN.name });
  /** Server connections of clients, as Postgres sees them. */
  const serversLeft = async (): Promise<number> => {
    const rows = await server.query<{ count: string }>(
      "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
    return Number(rows[0]?.count);
  };
  const isHeld = (count: number, database = 'postgres') =>
    eventually(`${count} clients are held`, async () => {
      const rows = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS database, state');
      return rows.filter((row) => row.database === database && row.state === 'held').length === count;
    });
  /** A client in a transaction keeps one server connection from being closed. */
  const busyClient = async (database = 'postgres'): Promise<RawClient> => {
    const client = await clientOf(proxy, { database });
    await run(client, 'BEGIN', 'SELECT 1');
    return client;
  };
  const endAll = (...clients: RawClient[]) => Promise.all(clients.map((client) => client.end()));

  before(async () => {
    const databases = ['postgres', 'warm', 'session'].map((name) =>
      databaseOf(server, {
        name,
        database_name: 'postgres',
        pool_size: 4 * WORKERS,
        min_pool_size: name === 'warm' ? 2 : 0,
        pooler_mode: name === 'session' ? 'session' : 'transaction',
      }),
    );
    proxy = await startProxy({
      workers: WORKERS,
      ioDriver: driver,
      databases,
      general: {
        min_pool_size: 0,
        checkout_timeout: CHECKOUT_TIMEOUT_MS,
        log_connections: false,
        log_disconnections: false,
      },
      startTimeoutMs: 60_000,
    });
  });
  after(() => proxy.stop());
  afterEach(async () => {
    for (const text of ['RESUME', 'RESUME postgres', 'RESUME session', 'MAINTENANCE OFF', 'ENABLE postgres'])
      await order(text).catch(() => undefined);
  });

  it('PAUSE answers when no server connection is left, and clients wait past every time-out', async () => {
    const clients = await clientsOfAllWorkers(proxy, WORKERS, 4);
    for (const client of clients) await run(client, 'SELECT 1');
    await eventually('the warm pool is open', async () => (await serversLeft()) > 2);
    const busy = await busyClient();
    const boss = await operator();
    boss.send(Q('PAUSE'));
    await boss.expectSilence(200);
    assert.equal(await firstValue(busy, 'SELECT 2'), '2');
    await run(busy, 'COMMIT');
    assert.deepEqual((await boss.readUntilReady()).tags, ['PAUSE']);
    assert.equal(await serversLeft(), 0);
    await setEverywhere(proxy, `checkout_timeout = ${SHORT_MS}`);
    for (const client of clients) client.send(Q('SELECT 3'));
    // A login with settings nobody had yet needs a server: it waits as well.
    const late = clientOf(proxy, { parameters: { work_mem: '1234kB' } });
    let hasLoggedIn = false;
    void late.then(() => {
      hasLoggedIn = true;
    });
    await isHeld(clients.length + 1);
    await Promise.all(clients.map((client) => client.expectSilence(2 * SHORT_MS)));
    await setEverywhere(proxy, `checkout_timeout = ${CHECKOUT_TIMEOUT_MS}`);
    assert.equal(hasLoggedIn, false);
    assert.equal(await serversLeft(), 0, 'min_pool_size was not restored');
    assert.equal(sqlstateOf(await boss.query('PAUSE')), '08P01');
    assert.ok((await order('SHOW POOLS')).every((row) => row['paused'] === true));
    await order('RESUME');
    for (const client of clients) assert.deepEqual((await client.readUntilReady()).rows, [['3']]);
    const latecomer = await late;
    assert.equal(await firstValue(latecomer, 'SHOW work_mem'), '1234kB');
    await eventually('min_pool_size is restored', async () => (await serversLeft()) > 2);
    await endAll(boss, busy, latecomer, ...clients);
  });

  it('who waited in the queue of a pool is held in place of failing', async () => {
    const busy = await Promise.all(Array.from({ length: 4 * WORKERS }, () => busyClient()));
    const waiter = await clientOf(proxy);
    const boss = await operator();
    // Time enough for PAUSE to come before it fails.
    const queuedMs = 2500;
    await setEverywhere(proxy, `checkout_timeout = ${queuedMs}`);
    waiter.send(Q('SELECT 4'));
    await untilWaiting(proxy, 1);
    boss.send(Q('PAUSE postgres'));
    await isHeld(1);
    await waiter.expectSilence(queuedMs + 200);
    await setEverywhere(proxy, `checkout_timeout = ${CHECKOUT_TIMEOUT_MS}`);
    for (const client of busy) await run(client, 'COMMIT');
    assert.deepEqual((await boss.readUntilReady()).tags, ['PAUSE']);
    await order('RESUME postgres');
    assert.deepEqual((await waiter.readUntilReady()).rows, [['4']]);
    await endAll(boss, waiter, ...busy);
  });

  it('RESUME by another, a cancel, and the operator leaving each end the wait in their way', async () => {
    const busy = await busyClient();
    const [first, second, third] = [await operator(), await operator(), await operator()];
    first.send(Q('PAUSE postgres'));
    await first.expectSilence();
    await order('RESUME postgres');
    assert.equal(sqlstateOf(await first.readUntilReady()), '57014');
    second.send(Q('PAUSE postgres'));
    await second.expectSilence();
    await second.cancel();
    assert.match((await second.readUntilReady()).error?.['M'] ?? '', /canceling statement/);
    assert.match(sqlstateOf(await first.query('RESUME postgres')), /08P01/, 'the cancel has taken it back');
    third.send(Q('PAUSE postgres'));
    await third.expectSilence();
    third.destroy();
    await run(busy, 'COMMIT');
    busy.send(Q('SELECT 5'));
    await isHeld(1);
    assert.deepEqual((await first.query('RESUME postgres')).tags, ['RESUME']);
    assert.deepEqual((await busy.readUntilReady()).rows, [['5']]);
    await endAll(first, second, busy);
  });

  it('a worker that crashes while PAUSE waits lets go, and holds its clients when it is back', async () => {
    const clients = await clientsOfAllWorkers(proxy, WORKERS, 2);
    const boss = await operator();
    const busy = clients.find(({ pid }) => pid >>> 20 !== boss.pid >>> 20);
    assert.ok(busy !== undefined);
    await run(busy, 'BEGIN', 'SELECT 1');
    boss.send(Q('PAUSE'));
    await boss.expectSilence();
    await crashWorkers(proxy, ownerOfProcessId(busy.pid).worker);
    assert.deepEqual((await boss.readUntilReady()).tags, ['PAUSE']);
    await order('RELOAD');
    // The worker knows no server yet: their logins wait already.
    const logins = Array.from({ length: 8 }, () => clientOf(proxy));
    await eventually('logins are held', async () => {
      const rows = await order('SHOW CLIENTS state');
      return rows.some(({ state }) => state === 'held');
    });
    assert.equal(await serversLeft(), 0);
    await order('RESUME');
    const fresh = await Promise.all(logins);
    for (const client of fresh) assert.equal(await firstValue(client, 'SELECT 6'), '6');
    await endAll(boss, ...fresh);
  });

  it('a session that keeps its server connection goes on, and PAUSE waits until it leaves', async () => {
    const session = await clientOf(proxy, { database: 'session' });
    await run(session, 'CREATE TEMP TABLE mine AS SELECT 7 AS x');
    const boss = await operator();
    boss.send(Q('PAUSE session'));
    await boss.expectSilence();
    assert.equal(await firstValue(session, 'SELECT x FROM mine'), '7');
    const login = clientOf(proxy, { database: 'session', parameters: { work_mem: '1MB' } });
    await isHeld(1, 'session');
    await session.end();
    assert.deepEqual((await boss.readUntilReady()).tags, ['PAUSE']);
    await order('RESUME session');
    const other = await login;
    assert.equal(await firstValue(other, 'SELECT 8'), '8');
    await endAll(boss, other);
  });

  it('KILL cuts clients and servers of one database, pauses it, and spares the others', async () => {
    const spared = await busyClient('warm');
    const victims = await clientsOfAllWorkers(proxy, WORKERS, 3);
    await run(victims[0] as RawClient, 'BEGIN', 'SELECT 1');
    victims[1]?.send(Q('SELECT pg_sleep(30)'));
    await sleep(50);
    await order('KILL postgres');
    for (const victim of victims) {
      const { error } = await victim.expectClosed();
      assert.deepEqual([error?.['C'], error?.['M']], ['57P01', 'admin forced disconnect']);
    }
    assert.equal(await firstValue(spared, 'SELECT 9'), '9');
    await eventually('what ran is cancelled', async () => {
      const rows = await server.query(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'",
      );
      return rows.length === 0;
    });
    const login = clientOf(proxy, { parameters: { work_mem: '2MB' } });
    await isHeld(1);
    await order('RESUME postgres');
    const next = await login;
    assert.equal(await firstValue(next, 'SELECT 10'), '10');
    await endAll(spared, next);
  });

  it('DISABLE refuses new clients and keeps the others; ENABLE ends it', async () => {
    const client = await clientOf(proxy);
    await order('DISABLE postgres');
    await assert.rejects(clientOf(proxy), /database "postgres" is disabled/);
    assert.equal(await firstValue(client, 'SELECT 11'), '11');
    await crashWorkers(proxy, 0, 1);
    await assert.rejects(clientOf(proxy), /55000/);
    await order('ENABLE postgres');
    await (await clientOf(proxy)).end();
    client.destroy();
  });

  it('RECONNECT opens others for all; WAIT_CLOSE answers when the last one in use has gone', async () => {
    const busy = await busyClient();
    const idle = await clientOf(proxy);
    const [kept, before] = [await pidOf(busy), await pidOf(idle)];
    const boss = await operator();
    assert.deepEqual((await boss.query('RECONNECT postgres')).tags, ['RECONNECT']);
    assert.notEqual(await pidOf(idle), before);
    boss.send(Q('WAIT_CLOSE postgres'));
    await boss.expectSilence(200);
    assert.equal(await pidOf(busy), kept);
    await run(busy, 'COMMIT');
    assert.deepEqual((await boss.readUntilReady()).tags, ['WAIT_CLOSE']);
    assert.notEqual(await pidOf(busy), kept);
    await endAll(boss, busy, idle);
  });

  it('SUSPEND holds in the middle of transactions, and the answers under way are given', async () => {
    const busy = await busyClient();
    const slow = await clientOf(proxy);
    slow.send(Q('SELECT pg_sleep(0.3), 12'));
    await sleep(50);
    await order('SUSPEND');
    busy.send(Q('SELECT 13'));
    assert.deepEqual((await slow.readUntilReady()).rows[0]?.[1], '12');
    await isHeld(1);
    await busy.expectSilence();
    await order('RESUME');
    const answer = await busy.readUntilReady();
    assert.deepEqual([answer.rows, answer.status], [[['13']], 'T']);
    await endAll(busy, slow);
    await order('PAUSE postgres');
    await assert.rejects(order('SUSPEND'), /cannot suspend with paused databases/);
  });

  it('a transaction that SUSPEND holds has failed when what it asks is cancelled', async () => {
    await server.query('CREATE TABLE IF NOT EXISTS kept (word text); TRUNCATE kept');
    for (const request of [[Q('SELECT 13')], [P('', 'SELECT 13'), B('', ''), E(''), S()]]) {
      const client = await clientOf(proxy);
      await run(client, 'BEGIN', "INSERT INTO kept VALUES ('half')");
      await order('SUSPEND');
      client.send(...request);
      await isHeld(1);
      await client.cancel();
      const answer = await client.readUntilReady();
      assert.deepEqual([sqlstateOf(answer), answer.status], ['57014', 'E']);
      await order('RESUME');
      assert.deepEqual((await client.query('COMMIT')).tags, ['ROLLBACK']);
      await client.end();
    }
    assert.deepEqual(await server.query('SELECT word FROM kept'), []);
  });

  it('KILL_CLIENT ends one client by the number it was told, and says when there is none', async () => {
    const [client, other] = [await busyClient(), await clientOf(proxy)];
    await order(`KILL_CLIENT ${client.pid}`);
    assert.equal((await client.expectClosed()).error?.['C'], '57P01');
    assert.equal(await firstValue(other, 'SELECT 14'), '14');
    await assert.rejects(order(`KILL_CLIENT ${client.pid}`), /client not found/);
    await other.end();
  });

  it('SIGUSR1 pauses and SIGUSR2 resumes, and what cannot be done is logged', async () => {
    const client = await clientOf(proxy);
    process.kill(proxy.pid, 'SIGUSR1');
    const isPaused = async () => (await order('SHOW POOLS')).every((row) => row['paused'] === true);
    await eventually('it is paused', isPaused);
    client.send(Q('SELECT 15'));
    await isHeld(1);
    process.kill(proxy.pid, 'SIGUSR1');
    await proxy.waitForOutput('SIGUSR1: already suspended/paused');
    process.kill(proxy.pid, 'SIGUSR2');
    assert.deepEqual((await client.readUntilReady()).rows, [['15']]);
    process.kill(proxy.pid, 'SIGUSR2');
    await proxy.waitForOutput('SIGUSR2: pooler is not paused/suspended');
    await client.end();
  });

  it('SET changes a setting for those who are connected, until RELOAD, and refuses what it cannot', async () => {
    const client = await clientOf(proxy);
    const pid = await pidOf(client);
    const timeoutNow = async () =>
      (await order('SHOW CONFIG')).find(({ name }) => name === 'query_timeout')?.['value'];
    const before = await timeoutNow();
    await setEverywhere(proxy, "query_timeout = '77s'");
    assert.equal(await timeoutNow(), '1m 17s');
    assert.equal(await pidOf(client), pid, 'its server connection has stayed');
    await order("SET query_timeout = '300ms'");
    assert.equal(await timeoutNow(), '300ms');
    client.send(Q('SELECT pg_sleep(5)'));
    assert.equal((await client.expectClosed()).error?.['C'], '57014');
    await order('RELOAD');
    assert.equal(await timeoutNow(), before);
    await assert.rejects(order('SET io_driver = epoll'), /io_driver cannot be changed by SET/);
    await assert.rejects(order('SET query_timeout = soon'), /query_timeout: expected/);
    await assert.rejects(order('SET default_pool_size = 0'), /default_pool_size: expected/);
    assert.equal(await timeoutNow(), before);
  });

  it('orders of two operators at once are all in force', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => new pg.Client(proxy.adminUrl)));
    await Promise.all(clients.map((client) => client.connect()));
    await Promise.all(
      ['PAUSE postgres', 'MAINTENANCE ON warm', 'DISABLE session'].map((text, at) =>
        clients[at]?.query(text),
      ),
    );
    const maintained = await order('SHOW MAINTENANCE');
    assert.deepEqual(
      maintained.map((row) => row['maintenance']),
      [false, true, false],
    );
    await assert.rejects(clientOf(proxy, { database: 'session' }), /is disabled/);
    await order('ENABLE session');
    await order('RESUME postgres');
    await Promise.all(clients.map((client) => client.end()));
  });
});
