/** Replication connections: backpressure, lost servers, several databases and workers, shutdown. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import { backend, d, frame, int16, Q } from '../support/frames.js';
import { databaseOf } from '../support/proxy.js';
import {
  logical,
  nothingLeft,
  openStreams,
  physical,
  serverRows,
  startReplicationServer,
  startStream,
  trackedClientOf,
} from '../support/replication.js';
import { eventually, run, sleep, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startReplicationServer();
});
after(() => server.stop());

forEachDriver('replication, several databases', (driver) => {
  it('a physical client of two servers must name one; the admin database has none', async () => {
    const proxy = await startWireProxy(server, driver, {
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
      databases: [databaseOf(server), databaseOf({ host: 'localhost', port: 1 }, { name: 'other' })],
    });
    try {
      await assert.rejects(physical(proxy, { database: 'replication' }), /3D000/);
      const client = await physical(proxy, { database: 'postgres' });
      assert.equal((await client.query('IDENTIFY_SYSTEM')).rows.length, 1);
      await client.end();
      await assert.rejects(physical(proxy, { database: 'other' }), /08001: cannot connect/);
      await assert.rejects(
        physical(proxy, { database: 'admin', user: 'admin', password: 'admin' }),
        /0A000: the admin database/,
      );
    } finally {
      await proxy.stop();
    }
  });

  it('other workers give up their idle connections, and every place comes back', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2, database: { pool_size: 2 } });
    try {
      for (let round = 0; round < 4; round++) {
        const clients = await Promise.all(Array.from({ length: 4 }, () => trackedClientOf(proxy)));
        await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.02)')));
        const streams = await Promise.all([logical(proxy), physical(proxy)]);
        for (const stream of streams) assert.equal((await stream.query('IDENTIFY_SYSTEM')).rows.length, 1);
        await Promise.all(streams.map((stream) => stream.end()));
        await Promise.all(clients.map((client) => client.query('SELECT 1')));
        await Promise.all(clients.map((client) => client.end()));
      }
      await nothingLeft(server, proxy);
    } finally {
      await proxy.stop();
    }
  });
});

/** A frame that streams: bytes of XLogData. */
const MEGABYTE = Buffer.alloc(1024 * 1024, 0x77);
const COPY_BOTH = frame('W', Buffer.from([0]), int16(0));

forEachDriver('replication against a scripted server', (driver) => {
  it('much data both ways at once arrives whole, whoever is slow', async () => {
    const total = 24;
    let fromClient = 0;
    const fake = await startFakePostgres({
      onFrame: async (connection, { type, body }) => {
        if (type === 'Q') {
          connection.send(COPY_BOTH);
          for (let count = 0; count < total; count++) connection.send(d(MEGABYTE));
        }
        if (type === 'd') fromClient += body.length;
        if (type === 'd' && fromClient % (4 * MEGABYTE.length) === 0) await sleep(5);
      },
    });
    const proxy = await startWireProxy(fake, driver);
    try {
      const client = await physical(proxy);
      client.send(Q('START_REPLICATION 0/0'));
      for (let count = 0; count < total; count++) client.send(d(MEGABYTE));
      assert.equal((await client.readFrame()).type, 'W');
      for (let count = 0; count < total; count++) {
        const { type, body } = await client.readFrame();
        assert.ok(type === 'd' && body.equals(MEGABYTE), `frame ${count}`);
      }
      await eventually('all of it has come', async () => fromClient === total * MEGABYTE.length);
      await client.end();
      await eventually('its place is free', async () => (await serverRows(proxy)).length === 0);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('a client that does not read stops its server, not the memory; the others go on', async () => {
    let sent = 0;
    const fake = await startFakePostgres({
      onFrame: (connection, { type }) => {
        if (type !== 'Q') return;
        if (connection.startup['replication'] !== 'true') {
          connection.send(backend.complete('SELECT 0'), backend.ready());
          return;
        }
        connection.send(COPY_BOTH);
        const more = (): void => {
          while (sent < 200 && connection.socket.write(d(MEGABYTE))) sent++;
          if (sent < 200) {
            connection.socket.once('drain', () => {
              sent++;
              more();
            });
          }
        };
        more();
      },
    });
    const proxy = await startWireProxy(fake, driver);
    try {
      const client = await physical(proxy);
      client.socket.pause();
      client.send(Q('START_REPLICATION 0/0'));
      let before = -1;
      while (before !== sent) {
        before = sent;
        await sleep(300);
      }
      const other = await trackedClientOf(proxy);
      assert.deepEqual((await other.query('SELECT 1')).tags, ['SELECT 0']);
      assert.ok(before < 60 && sent === before, `${sent} MB were taken from the server`);
      client.destroy();
      await other.end();
      await eventually('its place is free', async () => (await serverRows(proxy)).length < 2);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('the end of the server in the middle of a frame ends the client, without words in the frame', async () => {
    const fake = await startFakePostgres({
      onFrame: (connection, { type }) => {
        if (type !== 'Q') return;
        connection.send(COPY_BOTH, d('whole'), d(MEGABYTE).subarray(0, 1000));
        connection.close();
      },
    });
    const proxy = await startWireProxy(fake, driver);
    try {
      const client = await physical(proxy);
      client.send(Q('START_REPLICATION 0/0'));
      const { frames } = await client.expectClosed();
      assert.deepEqual(
        frames.map(({ type }) => type),
        ['W', 'd'],
      );
      assert.equal(client.received.reduce((sum, chunk) => sum + chunk.length, 0) > 1000, true);
      await eventually('its place is free', async () => (await serverRows(proxy)).length === 0);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('shutdown waits for a transaction, and ends streams last', async () => {
    const proxy = await startWireProxy(server, driver, { general: { shutdown_timeout: 90_000 } });
    const stream = await logical(proxy);
    await startStream(stream, 'last');
    const worker = await trackedClientOf(proxy);
    await run(worker, 'BEGIN');
    const since = performance.now();
    const stopped = proxy.stop();
    await sleep(300);
    await run(worker, "INSERT INTO item VALUES ('in shutdown')");
    await run(worker, 'COMMIT');
    const { error } = await stream.expectClosed();
    assert.equal(error?.['C'], '57P01');
    assert.equal(await stopped, 0);
    const tookMs = performance.now() - since;
    assert.ok(tookMs > 250, `${tookMs} ms`);
    await eventually('no walsender', async () => (await openStreams(server)) === 0);
  });
});
