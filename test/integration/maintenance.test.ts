/** MAINTENANCE ON holds clients before their next transaction, in every mode and worker; OFF lets them go on. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { crashWorkers } from '../support/crash-worker.js';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  clientsOfAllWorkers,
  eventually,
  firstValue,
  run,
  setEverywhere,
  sqlstateOf,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE marks (x int)' });
});
after(() => server.stop());

const WORKERS = 2;
/** As long as nobody waits in vain. */
const CHECKOUT_TIMEOUT_MS = 60_000;
const SHORT_MS = 300;

forOneDriver('maintenance', (driver) => {
  let proxy: TestProxy;
  const order = (text: string) => proxy.adminQuery(`MAINTENANCE ${text}`);
  const heldOf = async (database: string) => {
    const rows = await proxy.adminQuery<Record<string, string | boolean>>('SHOW MAINTENANCE');
    const row = rows.find((one) => one.database === database);
    return { isOn: row?.maintenance, held: Number(row?.cl_held) };
  };
  const isHeld = (database: string, count: number) =>
    eventually(
      `${count} clients of ${database} are held`,
      async () => (await heldOf(database)).held === count,
    );

  before(async () => {
    const databases = ['postgres', 'other', 'session', 'small'].map((name) =>
      databaseOf(server, {
        name,
        database_name: 'postgres',
        // Clients of a pool smaller than four per worker are gathered in one.
        pool_size: name === 'small' ? 2 : 4 * WORKERS,
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
      metrics: true,
      env: { PGDOG_TEST_HOOKS: '1' },
    });
  });
  after(() => proxy.stop());
  afterEach(() => order('OFF'));

  it('new transactions wait in all workers, past the checkout time-out, and run when it ends', async () => {
    const clients = await clientsOfAllWorkers(proxy, WORKERS, 6);
    for (const client of clients) await run(client, 'SELECT 1');
    await run(clients[0], 'TRUNCATE marks');
    await order('ON');
    await setEverywhere(proxy, `checkout_timeout = ${SHORT_MS}`);
    for (const client of clients) client.send(Q('INSERT INTO marks VALUES (1) RETURNING x'));
    await isHeld('postgres', clients.length);
    await Promise.all(clients.map((client) => client.expectSilence(2 * SHORT_MS)));
    await setEverywhere(proxy, `checkout_timeout = ${CHECKOUT_TIMEOUT_MS}`);
    const states = await proxy.adminQuery('SHOW CLIENTS database, state');
    assert.ok(states.some(({ database, state }) => database === 'postgres' && state === 'held'));
    assert.match(await proxy.metrics(), /maintenance\{database="postgres"\} 1/);
    const direct = await clientOf(server);
    assert.equal(await firstValue(direct, 'SELECT count(*) FROM marks'), '0');
    await direct.end();
    await order('OFF');
    for (const client of clients) assert.deepEqual((await client.readUntilReady()).rows, [['1']]);
    assert.deepEqual(await heldOf('postgres'), { isOn: false, held: 0 });
    await Promise.all(clients.map((client) => client.end()));
  });

  it('a transaction that runs goes on to its end; what is pipelined behind it waits', async () => {
    const client = await clientOf(proxy);
    await run(client, 'BEGIN');
    await order('ON postgres');
    assert.equal(await firstValue(client, 'SELECT 2'), '2');
    client.send(Q('SELECT 3'), Q('COMMIT'), Q('SELECT 4'));
    const running = await client.readUntilReady(2);
    assert.deepEqual(running.rows, [['3']]);
    assert.equal(running.status, 'I');
    await isHeld('postgres', 1);
    await client.expectSilence();
    await order('OFF postgres');
    assert.deepEqual((await client.readUntilReady()).rows, [['4']]);
    await client.end();
  });

  it('a session keeps its server connection, and its next transaction waits all the same', async () => {
    const session = await clientOf(proxy, { database: 'session' });
    const pinned = await clientOf(proxy);
    await run(session, 'CREATE TEMP TABLE mine AS SELECT 7 AS x');
    await run(pinned, 'CREATE TEMP TABLE mine AS SELECT 8 AS x');
    await order('ON');
    session.send(P('', 'SELECT x FROM mine'), B('', ''), E(''), S());
    pinned.send(Q('SELECT x FROM mine'));
    await isHeld('session', 1);
    await isHeld('postgres', 1);
    await Promise.all([session.expectSilence(), pinned.expectSilence()]);
    await order('OFF');
    assert.deepEqual((await session.readUntilReady()).rows, [['7']]);
    assert.deepEqual((await pinned.readUntilReady()).rows, [['8']]);
    await Promise.all([session.end(), pinned.end()]);
  });

  it('other databases go on, clients come and go, and a held one can be cancelled', async () => {
    await order('ON postgres');
    const other = await clientOf(proxy, { database: 'other' });
    assert.equal(await firstValue(other, 'SELECT 5'), '5');
    const held = await clientOf(proxy);
    held.send(Q('SELECT 6'));
    await isHeld('postgres', 1);
    await held.cancel();
    assert.equal(sqlstateOf(await held.readUntilReady()), '57014');
    held.send(Q('SELECT 6'));
    await isHeld('postgres', 1);
    const leaver = await clientOf(proxy);
    leaver.send(Q('SELECT 6'));
    await isHeld('postgres', 2);
    leaver.destroy();
    await isHeld('postgres', 1);
    await order('OFF postgres');
    assert.deepEqual((await held.readUntilReady()).rows, [['6']]);
    await Promise.all([held.end(), other.end()]);
  });

  it('who waited in the queue of its pool when it began is held at once, before a connection comes', async () => {
    const busy: RawClient[] = [];
    for (let index = 0; index < 2; index++) {
      const client = await clientOf(proxy, { database: 'small' });
      await run(client, 'BEGIN');
      busy.push(client);
    }
    const waiter = await clientOf(proxy, { database: 'small' });
    waiter.send(Q('SELECT 9'));
    await order('ON');
    await isHeld('small', 1);
    for (const client of busy) await run(client, 'COMMIT');
    await isHeld('small', 1);
    await eventually('none is in use', async () => {
      const pools = await proxy.adminQuery('SHOW POOLS');
      return Number(pools.find(({ database }) => database === 'small')?.sv_active) === 0;
    });
    await order('OFF');
    assert.deepEqual((await waiter.readUntilReady()).rows, [['9']]);
    await Promise.all([...busy, waiter].map((client) => client.end()));
  });

  it('a worker that starts again obeys; a name that is not configured is refused', async () => {
    await assert.rejects(order('ON nowhere'), /no such database: nowhere/);
    await order('ON');
    await crashWorkers(proxy, ...Array.from({ length: WORKERS }, (_, worker) => worker));
    const clients = await clientsOfAllWorkers(proxy, WORKERS, 2);
    for (const client of clients) client.send(Q('SELECT 10'));
    await isHeld('postgres', clients.length);
    await order('OFF');
    for (const client of clients) assert.deepEqual((await client.readUntilReady()).rows, [['10']]);
    await Promise.all(clients.map((client) => client.end()));
  });
});
