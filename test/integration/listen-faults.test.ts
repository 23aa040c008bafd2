/** What becomes of clients that listen when they are slow, a connection is lost, or a worker crashes. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import { ownerOfProcessId } from '@pgdog-cluster/core';
import { crashWorkers } from '../support/crash-worker.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import { Guests, IS_HUB, nextNotification, startListeningProxy } from '../support/listening.js';
import { unhurried } from '../support/patience.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, firstValue, run, sqlstateOf } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
  await server.query('CREATE DATABASE second');
});
after(() => server.stop());

const CHANNEL_SIZE = 50;

forEachDriver('listening and faults', (driver) => {
  let proxy: TestProxy;
  let notifier: RawClient;

  const guests = new Guests(() => proxy);
  const isFree = (listeners: number) => guests.areFree(listeners);

  before(async () => {
    proxy = await startListeningProxy(server, driver, CHANNEL_SIZE);
    notifier = await clientOf(server);
  });
  after(async () => {
    await notifier.end();
    await proxy.stop();
  });

  afterEach(() => guests.goAway());

  it('a client that is too slow is told so and ended; the others go on', async () => {
    const [slow, quick] = [await guests.join(), await guests.join()];
    for (const client of [slow, quick]) await run(client, 'LISTEN news');
    await isFree(2);
    await run(slow, 'BEGIN');
    for (let number = 0; number < CHANNEL_SIZE; number++) await run(notifier, `NOTIFY news, '${number}'`);
    await slow.expectSilence(100);
    await run(notifier, "NOTIFY news, 'one more'");
    const ended = await slow.expectClosed();
    assert.equal(sqlstateOf(ended), '53400');
    assert.equal(ended.error?.['S'], 'FATAL');
    for (let number = 0; number < CHANNEL_SIZE; number++)
      assert.equal(await nextNotification(quick), `news=${number}`);
    assert.equal(await nextNotification(quick), 'news=one more');
    const [row] = await proxy.adminQuery<Record<string, string>>('SHOW LISTENERS');
    assert.deepEqual([Number(row.listeners), Number(row.dropped)], [1, 1]);
  });

  it('when the listening connection is lost, those who relied on it are told, at the end of their transaction', async () => {
    const [idle, busy, pinned] = [await guests.join(), await guests.join(), await guests.join()];
    await run(idle, 'LISTEN news');
    await run(busy, 'LISTEN news');
    await isFree(2);
    await run(busy, 'BEGIN');
    await run(pinned, 'SELECT 1');
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${IS_HUB} AND datname = 'postgres'`,
    );
    const told = await idle.expectClosed();
    assert.deepEqual([sqlstateOf(told), told.error?.['S']], ['08006', 'FATAL']);
    assert.equal(await firstValue(busy, 'SELECT 2'), '2');
    busy.send(Q('COMMIT'));
    const last = await busy.expectClosed();
    assert.deepEqual(last.tags, ['COMMIT']);
    assert.equal(sqlstateOf(last), '08006');
    // Who did not listen has noticed nothing, and may begin to.
    await run(pinned, 'LISTEN news');
    await isFree(1);
    await run(notifier, "NOTIFY news, 'again'");
    assert.equal(await nextNotification(pinned), 'news=again');
  });

  it('a worker that crashes takes its own listeners with it and no others', async () => {
    const clients = await guests.joinAll(2);
    for (const client of clients) await run(client, 'LISTEN news');
    await isFree(clients.length);
    await crashWorkers(proxy, 0);
    const survivors: RawClient[] = [];
    for (const client of clients) {
      if (ownerOfProcessId(client.pid).worker === 0) await client.expectClosed();
      else survivors.push(client);
    }
    await isFree(survivors.length);
    await run(notifier, "NOTIFY news, 'still'");
    for (const client of survivors) assert.equal(await nextNotification(client), 'news=still');
  });

  it('a server that ends idle sessions does not end the listening connection', async () => {
    await server.query("ALTER ROLE postgres IN DATABASE second SET idle_session_timeout = '500ms'");
    const there = { database: 'second' };
    // Server connections of clients are ended by it, as by any server, and one may be while it is asked.
    await unhurried(/idle-session timeout/, async () => {
      await guests.goAway();
      const client = await guests.join(there);
      await run(client, 'LISTEN rare');
      await isFree(1);
      await client.expectSilence(1_500);
      const other = await guests.join(there);
      await run(other, "NOTIFY rare, 'at last'");
      assert.equal(await nextNotification(client), 'rare=at last');
    });
    await server.query('ALTER ROLE postgres IN DATABASE second RESET idle_session_timeout');
  });

  it('another database on the same server: those who listened to the former are told', async () => {
    const client = await guests.join({ database: 'second' });
    await run(client, 'LISTEN news');
    await isFree(1);
    const file = join(proxy.directory, 'pgdog.toml');
    const config = readFileSync(file, 'utf8');
    writeFileSync(file, config.replace('name = "second"', '$&\ndatabase_name = "postgres"'));
    await proxy.adminQuery('RELOAD');
    assert.equal(sqlstateOf(await client.expectClosed()), '08006');
    const next = await guests.join({ database: 'second' });
    await run(next, 'LISTEN news');
    await isFree(1);
    await run(notifier, "NOTIFY news, 'from the other'");
    assert.equal(await nextNotification(next), 'news=from the other');
  });
});
