/** LISTEN without a server connection of one's own: what Postgres would tell, once, in order, and nothing else. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, type Frame, P, Q, S } from '../support/frames.js';
import {
  Guests,
  IS_HUB,
  nextNotification,
  notificationsIn,
  startListeningProxy,
} from '../support/listening.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, firstValue, run, sleep, sqlstateOf } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
  await server.query('CREATE DATABASE second');
});
after(() => server.stop());

const CHANNEL_SIZE = 500;

forOneDriver('listen without a server connection', (driver) => {
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

  it('many listen in all workers through one connection, and pools stay free', async () => {
    const clients = await guests.joinAll(8);
    for (const client of clients) assert.deepEqual((await client.query('LISTEN news')).tags, ['LISTEN']);
    await isFree(clients.length);
    const rows = await server.query(
      `SELECT pid FROM pg_stat_activity WHERE ${IS_HUB} AND datname = 'postgres'`,
    );
    assert.equal(rows.length, 1);
    await run(notifier, "NOTIFY news, 'one'", "SELECT pg_notify('news', 'two')", "NOTIFY other, 'three'");
    for (const client of clients)
      assert.deepEqual(
        [await nextNotification(client), await nextNotification(client)],
        ['news=one', 'news=two'],
      );
    // Through the proxy too, and back to the one who notifies.
    await run(clients[0], 'SELECT 1');
    clients[0].send(Q("NOTIFY news, 'from within'"));
    for (const client of clients.slice(1)) assert.equal(await nextNotification(client), 'news=from within');
    const own = [...(await clients[0].readUntil('Z'))];
    if (notificationsIn(own).length === 0)
      assert.equal(await nextNotification(clients[0]), 'news=from within');
    const [row] = await proxy.adminQuery<Record<string, string>>('SHOW LISTENERS');
    assert.deepEqual(
      [row.database, row.user, row.channel, Number(row.received)],
      ['postgres', 'postgres', 'news', 3],
    );
    assert.match(await proxy.metrics(), /pub_sub_listeners\{[^}]*channel="news"\} 8/);
  });

  it('from LISTEN on nothing is missed and nothing comes twice, whatever else goes on', async () => {
    let sent = 0;
    let isOver = false;
    const flood = (async () => {
      const sender = await clientOf(server);
      while (!isOver) {
        await run(sender, `NOTIFY flood, '${sent + 1}'`);
        sent++;
        if (sent % 20 === 0) await sleep(1);
      }
      await sender.end();
    })();
    const listening = Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        await sleep(index * 20);
        const client = await guests.join();
        const before = sent;
        const heard: number[] = [];
        const take = (frames: Frame[]) => {
          heard.push(...notificationsIn(frames).map((text) => Number(text.split('=')[1])));
        };
        client.send(Q('LISTEN flood'));
        take(await client.readUntil('Z'));
        const answered = sent + 1;
        for (let round = 0; round < 40; round++) {
          client.send(Q(round % 10 === 3 ? 'LISTEN flood' : 'BEGIN; SELECT 1; COMMIT'));
          take(await client.readUntil('Z'));
          await sleep(2);
        }
        while (heard.length < 30) take([await client.readFrame()]);
        assert.ok(heard[0] > before, `${heard[0]} was committed before LISTEN (${before})`);
        assert.ok(heard[0] <= answered + 1, `the first heard is ${heard[0]}, answered at ${answered}`);
        for (const [at, number] of heard.entries()) {
          assert.equal(number, heard[0] + at, `client ${index}: ${heard.join(' ')}`);
        }
        client.send(Q('UNLISTEN flood'));
        take(await client.readUntil('Z'));
        await client.expectSilence(50);
      }),
    );
    await listening.finally(() => {
      isOver = true;
    });
    await flood;
  });

  it('LISTEN and UNLISTEN happen with their transaction, savepoints included', async () => {
    const client = await guests.join();
    const hears = async (expected: string[]) => {
      const frames: Frame[] = [];
      await run(notifier, "NOTIFY a, '1'", "NOTIFY b, '1'", "NOTIFY c, '1'", "NOTIFY done, '1'");
      for (;;) {
        const frame = await client.readFrame();
        frames.push(frame);
        if (notificationsIn([frame])[0] === 'done=1') break;
      }
      const channels = notificationsIn(frames).map((text) => text.split('=')[0]);
      assert.deepEqual(channels, [...expected, 'done']);
    };
    await run(client, 'LISTEN done');
    await run(client, 'BEGIN', 'LISTEN a', 'ROLLBACK');
    await hears([]);
    await run(client, 'BEGIN', 'LISTEN a', 'SAVEPOINT s', 'LISTEN b', 'ROLLBACK TO s', 'LISTEN c', 'COMMIT');
    await hears(['a', 'c']);
    await isFree(3);
    await hears(['a', 'c']);
    await run(client, 'BEGIN', 'UNLISTEN a', 'ROLLBACK');
    await hears(['a', 'c']);
    await run(
      client,
      'BEGIN',
      'SAVEPOINT s',
      'UNLISTEN a',
      'ROLLBACK TO s',
      'UNLISTEN c',
      'RELEASE s',
      'COMMIT',
    );
    await hears(['a']);
    // One text, one batch: the implicit transaction decides.
    await client.query('UNLISTEN a; LISTEN b; SELECT 1/0');
    await hears(['a']);
    client.send(P('', 'UNLISTEN a'), B('', ''), E(''), P('', 'SELECT 1/0'), B('', ''), E(''), S());
    assert.equal(sqlstateOf(await client.readUntilReady()), '22012');
    await hears(['a']);
    client.send(P('l', 'LISTEN b'), B('', 'l'), E(''), P('', 'UNLISTEN a'), B('', ''), E(''), S());
    assert.deepEqual((await client.readUntilReady()).tags, ['LISTEN', 'UNLISTEN']);
    await hears(['b']);
    await isFree(2);
    await run(client, 'BEGIN', 'UNLISTEN *', 'LISTEN done', 'LISTEN c', 'COMMIT');
    await hears(['c']);
    await isFree(2);
    assert.equal(sqlstateOf(await client.query("BEGIN; LISTEN a; SELECT 'x'::int; COMMIT")), '22P02');
    await run(client, 'ROLLBACK');
    await hears(['c']);
    await run(client, 'DISCARD ALL');
    await run(notifier, "NOTIFY done, '2'", "NOTIFY c, '2'");
    await client.expectSilence(150);
  });

  it('a function that listens does so too', async () => {
    const client = await guests.join();
    await run(client, "DO $$ BEGIN EXECUTE 'LISTEN hidden'; END $$");
    await run(notifier, "NOTIFY hidden, '1'");
    assert.equal(await nextNotification(client), 'hidden=1');
    await isFree(1);
    await run(notifier, "NOTIFY hidden, '2'");
    assert.equal(await nextNotification(client), 'hidden=2');
  });

  it('within a transaction a client hears nothing, at its end all of it', async () => {
    const client = await guests.join();
    await run(client, 'LISTEN news');
    await isFree(1);
    await run(client, 'BEGIN');
    await run(notifier, "NOTIFY news, '1'", "NOTIFY news, '2'");
    await client.expectSilence(150);
    assert.deepEqual(notificationsIn((await client.query('SELECT 1')).frames), []);
    // What is not here yet comes behind it.
    const heard = notificationsIn((await client.query('COMMIT')).frames);
    while (heard.length < 2) heard.push(await nextNotification(client));
    assert.deepEqual(heard, ['news=1', 'news=2']);
  });

  it('names and payloads arrive as they are', async () => {
    const client = await guests.join();
    const names = [
      'Mixed Case',
      'with "quotes"',
      "it's; DROP TABLE x",
      'grün',
      `${'x'.repeat(60)}äöü`,
      'back\\slash',
    ];
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    for (const name of names) await run(client, `LISTEN ${quoted(name)}`);
    await run(client, 'LISTEN Folded');
    await isFree(names.length + 1);
    const payloads = ["'; DROP TABLE x; --", 'äöü €', '', 'y'.repeat(7999)];
    for (const name of names) {
      const [truncated] = await server.query<{ name: string }>(`SELECT $1::name::text AS name`, [name]);
      for (const payload of payloads) {
        await run(notifier, `NOTIFY ${quoted(name)}, '${payload.replaceAll("'", "''")}'`);
        assert.equal(await nextNotification(client), `${truncated.name}=${payload}`);
      }
    }
    await run(notifier, "NOTIFY FOLDED, '1'", 'NOTIFY "Folded"', "NOTIFY folded, '2'");
    assert.deepEqual(
      [await nextNotification(client), await nextNotification(client)],
      ['folded=1', 'folded=2'],
    );
    // UNLISTEN finds the name as Postgres does.
    for (const name of names) await run(client, `UNLISTEN ${quoted(name)}`);
    await isFree(1);
  });

  it('a client with another encoding keeps its server connection, or is told why it cannot be told', async () => {
    const latin = await guests.join({ parameters: { client_encoding: 'LATIN1' } });
    await run(latin, 'LISTEN news');
    await run(notifier, "NOTIFY news, 'grün'");
    const frame = await latin.readFrame();
    assert.equal(frame.body.toString('latin1', 4).split('\0')[1], 'grün');
    assert.equal((await proxy.adminQuery('SHOW LISTENERS')).length, 0);
    await latin.end();
    const changing = await guests.join();
    await run(changing, 'LISTEN news');
    await isFree(1);
    await run(changing, 'SET client_encoding = LATIN1');
    await run(notifier, "NOTIFY news, 'plain'", "NOTIFY news, 'grün'");
    assert.equal(await nextNotification(changing), 'news=plain');
    assert.equal(sqlstateOf(await changing.expectClosed()), '22P05');
  });

  it('other databases are not heard, and session mode is Postgres itself', async () => {
    const [one, two, session] = await Promise.all(
      ['postgres', 'second', 'session'].map((database) => guests.join({ database })),
    );
    for (const client of [one, two, session]) await run(client, 'LISTEN news');
    await isFree(2);
    await run(notifier, "NOTIFY news, '1'");
    assert.equal(await nextNotification(one), 'news=1');
    assert.equal(await nextNotification(session), 'news=1');
    await two.expectSilence(100);
    const elsewhere = await clientOf(server, { database: 'second' });
    await run(elsewhere, "NOTIFY news, '2'");
    assert.equal(await nextNotification(two), 'news=2');
    await one.expectSilence(50);
    assert.equal(await firstValue(session, 'SELECT pg_listening_channels()'), 'news');
    await elsewhere.end();
  });

  it('a session with a temporary table hears by the shared connection, and not twice', async () => {
    const client = await guests.join();
    await run(client, 'CREATE TEMP TABLE mine (x int)', 'LISTEN news');
    await eventually('moved', async () => (await proxy.adminQuery('SHOW LISTENERS')).length === 1);
    await eventually(
      'unlistened',
      async () => (await firstValue(client, 'SELECT count(*) FROM pg_listening_channels()')) === '0',
    );
    await run(notifier, "NOTIFY news, '1'");
    assert.equal(await nextNotification(client), 'news=1');
    await run(client, 'LISTEN news');
    await run(notifier, "NOTIFY news, '2'");
    assert.equal(await nextNotification(client), 'news=2');
    await client.expectSilence(100);
  });
});

forOneDriver('listen where it cannot be shared', (driver) => {
  it('0 keeps the server connection; so does a database nobody can listen in', async () => {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server, { pool_size: 2 })],
      startTimeoutMs: 60_000,
      general: { min_pool_size: 0 },
    });
    const [client, notifier] = [await clientOf(proxy), await clientOf(server)];
    await run(client, 'LISTEN news');
    await run(notifier, "NOTIFY news, '1'");
    assert.equal(await nextNotification(client), 'news=1');
    const rows = await proxy.adminQuery<Record<string, unknown>>('SHOW CLIENTS');
    assert.ok(rows.some(({ pin_reason }) => pin_reason === 'listen'));
    assert.equal((await proxy.adminQuery('SHOW LISTENERS')).length, 0);
    await Promise.all([client.end(), notifier.end()]);
    await proxy.stop();
  });
});
