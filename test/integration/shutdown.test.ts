/** Stopping in phases, as clients, the next process and the file system see it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { answer, startFakePostgres } from '../support/fake-postgres.js';
import { backend, Q } from '../support/frames.js';
import { soon } from '../support/patience.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  run,
  sleep,
  sqlstateOf,
  startWireProxy,
  untilWaiting,
} from '../support/wire.js';

let server: TestPostgres;
let directory: string;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE kept (x int)' });
  directory = mkdtempSync(join(tmpdir(), 'pgdog-shutdown-'));
});
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const start = (driver: 'io_uring' | 'epoll', general = {}): Promise<TestProxy> =>
  startWireProxy(server, driver, { workers: 2, general: { unix_socket_dir: directory, ...general } });

/** SQLSTATE and severity of the last words before the close. */
async function lastWords(client: RawClient): Promise<string> {
  const { error } = await client.expectClosed();
  return `${error?.S} ${error?.C}`;
}

forEachDriver('shutdown', (driver) => {
  it('SIGTERM: nobody new from that instant, by TCP or Unix; the socket file is gone; a second process binds at once', async () => {
    const proxy = await start(driver);
    const path = join(directory, `.s.PGSQL.${proxy.port}`);
    const [byTcp, byUnix, idle] = await Promise.all([
      clientOf(proxy),
      clientOf(proxy, { host: directory }),
      clientOf(proxy),
    ]);
    await run(byTcp, 'BEGIN', 'INSERT INTO kept VALUES (1)');
    await run(byUnix, 'BEGIN', 'INSERT INTO kept VALUES (2)');
    proxy.kill('SIGTERM');
    assert.equal(await lastWords(idle), 'FATAL 57P01');
    await assert.rejects(RawClient.open({ port: proxy.port }), /ECONNREFUSED/);
    await assert.rejects(RawClient.open({ port: proxy.port, host: directory }), /ENOENT/);
    assert.ok(!existsSync(path) && !existsSync(`${path}.lock`));
    // Same port, same socket, while the first still has clients.
    const next = await startProxy({
      databases: [databaseOf(server)],
      ioDriver: driver,
      workers: 1,
      general: { host: '127.0.0.1', port: proxy.port, unix_socket_dir: directory },
    });
    const successor = await RawClient.connect({ port: proxy.port, host: directory, password: 'postgres' });
    assert.equal(await firstValue(successor, 'SELECT 1'), '1');
    for (const client of [byTcp, byUnix]) {
      await run(client, 'COMMIT');
      assert.equal(await lastWords(client), 'FATAL 57P01', 'between transactions');
    }
    assert.equal(await proxy.exited, 0);
    assert.ok(existsSync(path), 'the end of the first takes nothing of the second');
    await successor.end();
    const again = await RawClient.connect({ port: proxy.port, host: directory, password: 'postgres' });
    await again.end();
    await next.stop();
    const [row] = await server.query<{ sum: string }>('SELECT sum(x) FROM kept');
    assert.equal(row?.sum, '3', 'both transactions were committed');
    await server.query('TRUNCATE kept');
  });

  it('shutdown_timeout over: 57P01 to the transactions that are left, which are rolled back', async () => {
    const proxy = await start(driver, { shutdown_timeout: 300 });
    const [waiting, running, pipelined] = await Promise.all([
      clientOf(proxy),
      clientOf(proxy, { host: directory }),
      clientOf(proxy),
    ]);
    await run(waiting, 'BEGIN', 'INSERT INTO kept VALUES (3)');
    running.send(Q('SELECT pg_sleep(5)'));
    pipelined.send(Q('BEGIN'), Q('INSERT INTO kept VALUES (4)'));
    await sleep(100);
    const since = performance.now();
    proxy.kill('SIGTERM');
    const told = await Promise.all([waiting, running, pipelined].map((client) => lastWords(client)));
    assert.deepEqual(told, ['FATAL 57P01', 'FATAL 57P01', 'FATAL 57P01']);
    assert.ok(performance.now() - since > 280, 'not before the time is over');
    assert.equal(await proxy.exited, 0);
    assert.match(proxy.output, /clients still in transactions are cut/);
    const [row] = await server.query<{ count: string }>('SELECT count(*) FROM kept');
    assert.equal(row?.count, '0');
    await eventually('no backend is left', async () => (await backends(server)).length === 0);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`a second ${signal} ends at once, with 57P01 to whoever is left`, async () => {
      const proxy = await start(driver, { shutdown_timeout: 60_000 });
      const path = join(directory, `.s.PGSQL.${proxy.port}`);
      const client = await clientOf(proxy);
      await run(client, 'BEGIN');
      proxy.kill(signal);
      await proxy.waitForOutput('shutdown_drain');
      await client.expectSilence(100);
      proxy.kill(signal);
      assert.equal(await lastWords(client), 'FATAL 57P01');
      assert.equal(await soon('the end', proxy.exited), 0);
      assert.ok(!existsSync(path));
    });
  }

  it('clients in the middle of the login and in the queue are told too', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1 },
    });
    const [holder, queued] = await Promise.all([clientOf(proxy), clientOf(proxy)]);
    await run(holder, 'BEGIN');
    queued.send(Q('SELECT 1'));
    const silent = await RawClient.open({ port: proxy.port });
    silent.send(Buffer.from([0, 0]));
    await untilWaiting(proxy, 1);
    proxy.kill('SIGTERM');
    assert.equal(await lastWords(silent), 'FATAL 57P01');
    await queued.expectSilence(50);
    await run(holder, 'COMMIT');
    assert.equal(await lastWords(holder), 'FATAL 57P01');
    // Its turn has come before the end.
    const answer = await queued.readUntilReady();
    assert.equal(sqlstateOf(answer), '');
    assert.equal(await lastWords(queued), 'FATAL 57P01');
    assert.equal(await proxy.exited, 0);
  });

  it('a client that stands still holds nothing up', async () => {
    const proxy = await start(driver, { shutdown_timeout: 300 });
    const client = await clientOf(proxy);
    client.send(Q("SELECT repeat('x', 50000000)"));
    client.socket.once('data', () => client.socket.pause());
    await eventually('the first bytes', async () => client.socket.isPaused());
    proxy.kill('SIGTERM');
    assert.equal(await soon('the end', proxy.exited), 0);
    client.destroy();
  });

  it('in the middle of a row no words are put into it', async () => {
    const row = backend.dataRow(['x'.repeat(50_000)]);
    const fake = await startFakePostgres({
      onFrame(connection, frame) {
        if (!frame.body.includes('the row')) return answer(connection, frame);
        connection.send(backend.rowDescription(['x']));
        connection.sendHalf(row);
      },
    });
    const proxy = await startWireProxy(fake, driver, { general: { shutdown_timeout: 300 } });
    const client = await clientOf(proxy);
    client.received = [];
    client.send(Q('SELECT the row'));
    const text = (): string => Buffer.concat(client.received).toString('latin1');
    await eventually('half of the row', async () => text().length > row.length / 2);
    proxy.kill('SIGTERM');
    await client.expectClosed();
    assert.ok(text().endsWith('x'.repeat(20_000)), text().slice(-200));
    assert.equal(await proxy.exited, 0);
    await fake.stop();
  });
});
