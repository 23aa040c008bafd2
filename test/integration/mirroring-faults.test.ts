/** Mirrors of what goes wrong half-way at the source: nothing of it may hang there, nor what comes behind it. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { c, d, H, P, Q, S } from '../support/frames.js';
import {
  MirrorCounts,
  onServer,
  startMirrorServer,
  startMirrors,
  valuesIn,
  withClient,
} from '../support/mirrors.js';
import type { TestProxy } from '../support/proxy.js';
import { run, sqlstateOf } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startMirrorServer();
  await onServer(server, 'copy', 'CREATE TABLE only_there (x text)');
  await onServer(server, 'src', 'CREATE TABLE only_here (x text)');
});
after(() => server.stop());

forEachDriver('mirrors of what goes wrong half-way', (driver) => {
  let proxy: TestProxy;
  const counts = new MirrorCounts(() => proxy);
  before(async () => {
    proxy = await startMirrors(server, driver, [{ source_db: 'main', destination_db: 'copy' }]);
  });
  after(() => proxy.stop());

  it('a COPY that failed before it began does not wait for data in the destination', () =>
    withClient(server, proxy, 'main', async (client) => {
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('a')", 'SAVEPOINT s');
      assert.equal(sqlstateOf(await client.query('COPY only_there FROM STDIN')), '42P01');
      await run(client, 'ROLLBACK TO s', 'COMMIT', "INSERT INTO t (x) VALUES ('b')");
      const found = await counts.since('main', 'copy', counts.add('main', 2));
      assert.deepEqual(found, { error_count: 1, mirrored_count: 1 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['b']);
    }));

  it('copy data that is still on its way when the COPY fails', () =>
    withClient(server, proxy, 'main', async (client) => {
      await run(client, 'BEGIN', 'SAVEPOINT s');
      const data = d(`${'x'.repeat(600_000)}\n`);
      client.send(Q('COPY missing FROM STDIN'), data.subarray(0, 200_000));
      assert.equal(sqlstateOf(await client.readUntilReady()), '42P01');
      client.send(data.subarray(200_000));
      await run(client, 'ROLLBACK TO s', "INSERT INTO t (x) VALUES ('a')", 'COMMIT');
      await run(client, "INSERT INTO t (x) VALUES ('b')");
      const found = await counts.since('main', 'copy', counts.add('main', 2));
      assert.deepEqual(found, { dropped_count: 1, mirrored_count: 1 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['b']);
    }));

  it('a Sync in a COPY by Query: nobody answers it', () =>
    withClient(server, proxy, 'main', async (client) => {
      client.send(Q('COPY t (x) FROM STDIN'), S(), S(), d('a\n'), S(), c());
      assert.deepEqual((await client.readUntilReady()).tags, ['COPY 1']);
      await run(client, "INSERT INTO t (x) VALUES ('b')");
      const found = await counts.since('main', 'copy', counts.add('main', 2));
      assert.deepEqual(found, { mirrored_count: 2 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['a', 'b']);
    }));

  it('an error that is none at the source, in a batch that a Query ends there', () =>
    withClient(server, proxy, 'main', async (client) => {
      client.send(P('', 'SELECT x FROM only_here'), Q("INSERT INTO t (x) VALUES ('a')"));
      assert.equal((await client.readUntilReady()).error, null);
      client.send(S());
      await client.readUntilReady();
      await run(client, "INSERT INTO t (x) VALUES ('b')");
      const found = await counts.since('main', 'copy', counts.add('main', 2));
      assert.deepEqual(found, { error_count: 1, mirrored_count: 1 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['b']);
    }));

  it('a Query behind messages without their Sync', () =>
    withClient(server, proxy, 'main', async (client) => {
      client.send(P('', 'SELECT 1'), Q("INSERT INTO t (x) VALUES ('a')"));
      await client.readUntilReady();
      client.send(P('', 'SELECT 1'), H(), Q("INSERT INTO t (x) VALUES ('b')"));
      await client.readUntilReady();
      client.send(S());
      await client.readUntilReady();
      await run(client, "INSERT INTO t (x) VALUES ('c')");
      const found = await counts.since('main', 'copy', counts.add('main', 3));
      assert.deepEqual(found, { mirrored_count: 3 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['a', 'b', 'c']);
    }));
});
