/** SHUTDOWN that waits: for server connections, or for clients; and what ends the waiting. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import { ADMIN, databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, firstValue, run, sleep } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forOneDriver('SHUTDOWN that waits', (driver) => {
  const start = (shutdownTimeoutMs = 300): Promise<TestProxy> =>
    startProxy({
      workers: 2,
      ioDriver: driver,
      databases: ['postgres', 'session'].map((name) =>
        databaseOf(server, {
          name,
          database_name: 'postgres',
          pool_size: 1,
          pooler_mode: name === 'session' ? 'session' : 'transaction',
        }),
      ),
      general: { min_pool_size: 0, shutdown_timeout: shutdownTimeoutMs },
    });
  const heldCount = async (proxy: TestProxy) => {
    const rows = await proxy.adminQuery('SHOW CLIENTS state');
    return rows.filter(({ state }) => state === 'held').length;
  };
  const operatorOf = (proxy: TestProxy) =>
    clientOf(proxy, { user: ADMIN.user, password: ADMIN.password, database: ADMIN.name });

  it('WAIT_FOR_SERVERS ends the idle and the queued, and waits past shutdown_timeout for the others', async () => {
    const proxy = await start();
    const [busy, idle, queued] = [await clientOf(proxy), await clientOf(proxy), await clientOf(proxy)];
    const session = await clientOf(proxy, { database: 'session' });
    await run(busy, 'BEGIN', 'SELECT 1');
    await run(session, 'SELECT 1');
    queued.send(Q('SELECT 1'));
    await sleep(50);
    assert.deepEqual(await proxy.adminQuery('SHUTDOWN WAIT_FOR_SERVERS'), []);
    for (const client of [idle, queued]) assert.equal((await client.expectClosed()).error?.['C'], '57P01');
    await assert.rejects(RawClient.open({ port: proxy.port }), /ECONNREFUSED/);
    await sleep(500);
    await run(busy, 'COMMIT');
    assert.equal((await busy.expectClosed()).error?.['C'], '57P01');
    assert.equal(await firstValue(session, 'SELECT 2'), '2');
    await session.end();
    assert.equal(await proxy.exited, 0);
  });

  it('WAIT_FOR_CLIENTS lets all stay until they leave; the operator goes last and may still look', async () => {
    const proxy = await start();
    const client = await clientOf(proxy);
    const operator = await operatorOf(proxy);
    assert.deepEqual((await operator.query('SHUTDOWN WAIT_FOR_CLIENTS')).tags, ['SHUTDOWN']);
    await proxy.waitForOutput('waiting until clients have left');
    await assert.rejects(RawClient.open({ port: proxy.port }), /ECONNREFUSED/);
    await sleep(500);
    assert.equal(await firstValue(client, 'SELECT 3'), '3');
    assert.equal((await operator.query('PAUSE')).error?.['M'], 'pooler is shutting down');
    await client.end();
    assert.equal((await operator.expectClosed()).error?.['C'], '57P01');
    assert.equal(await proxy.exited, 0);
  });

  it('whom SUSPEND holds is let go by a SHUTDOWN at once, and goes on with WAIT_FOR_CLIENTS', async () => {
    for (const order of ['SHUTDOWN', 'SHUTDOWN WAIT_FOR_CLIENTS']) {
      const proxy = await start(0);
      const [idle, inside] = [await clientOf(proxy), await clientOf(proxy)];
      await run(inside, 'BEGIN', 'SELECT 1');
      await proxy.adminQuery('SUSPEND');
      for (const client of [idle, inside]) client.send(Q('SELECT 2'));
      await eventually('both are held', async () => (await heldCount(proxy)) === 2);
      await proxy.adminQuery(order);
      if (order === 'SHUTDOWN') {
        for (const client of [idle, inside])
          assert.equal((await client.expectClosed()).error?.['C'], '57P01');
      } else {
        assert.deepEqual((await inside.readUntilReady()).rows, [['2']]);
        await run(inside, 'COMMIT');
        assert.deepEqual((await idle.readUntilReady()).rows, [['2']]);
        await Promise.all([idle.end(), inside.end()]);
      }
      assert.equal(await proxy.exited, 0);
    }
  });

  it('a plain SHUTDOWN, or SIGTERM, ends the waiting; PAUSE that waits is told', async () => {
    const proxy = await start();
    const [idle, busy] = [await clientOf(proxy), await clientOf(proxy)];
    await run(busy, 'BEGIN', 'SELECT 1');
    const [first, second] = [await operatorOf(proxy), await operatorOf(proxy)];
    first.send(Q('PAUSE'));
    await first.expectSilence();
    await second.query('SHUTDOWN WAIT_FOR_CLIENTS');
    assert.equal((await first.readUntilReady()).error?.['M'], 'pooler is shutting down');
    await idle.expectSilence(200);
    second.send(Q('SHUTDOWN'));
    for (const client of [idle, busy]) assert.equal((await client.expectClosed()).error?.['C'], '57P01');
    assert.equal(await proxy.exited, 0);
  });
});
