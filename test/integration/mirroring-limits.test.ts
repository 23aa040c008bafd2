/** What mirrors leave out, and that the source never waits for them: neither its clients nor its end. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { forOneDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import { B, E, P } from '../support/frames.js';
import {
  ask,
  countsOf,
  figuresOf,
  MirrorCounts,
  settled,
  startMirrorServer,
  startMirrors,
  valuesIn,
  withClient,
} from '../support/mirrors.js';
import { PATIENCE_MS } from '../support/patience.js';
import { databaseOf, type TestProxy } from '../support/proxy.js';
import { clientOf, eventually, run, sleep } from '../support/wire.js';

const QUEUE_LENGTH = 3;

let server: TestPostgres;
before(async () => {
  server = await startMirrorServer();
});
after(() => server.stop());

forOneDriver('what mirrors leave out', (driver) => {
  let proxy: TestProxy;
  const counts = new MirrorCounts(() => proxy);
  before(async () => {
    proxy = await startMirrors(server, driver, [
      { source_db: 'main', destination_db: 'copy' },
      { source_db: 'levels', destination_db: 'dml', level: 'dml' },
      { source_db: 'levels', destination_db: 'ddl', level: 'ddl' },
      { source_db: 'half', destination_db: 'none', exposure: 0 },
      { source_db: 'half', destination_db: 'second', exposure: 0.5 },
      { source_db: 'busy', destination_db: 'slow', queue_length: QUEUE_LENGTH },
    ]);
  });
  after(() => proxy.stop());

  it('units over 1 MiB are dropped whole', () =>
    withClient(server, proxy, 'main', async (client) => {
      const large = 'x'.repeat(600_000);
      await run(client, `INSERT INTO t (x) VALUES (length('${large}${large}'))`);
      await run(client, 'BEGIN', `INSERT INTO t (x) VALUES (length('${large}'))`);
      await run(client, `INSERT INTO t (x) VALUES (length('${large}'))`, 'COMMIT');
      await run(client, `INSERT INTO t (x) VALUES (length('${large}'))`);
      const found = await counts.since('main', 'copy', counts.add('main', 3));
      assert.equal(found.dropped_count, 2);
      assert.deepEqual(await valuesIn(server, 'copy'), ['600000']);
      assert.deepEqual(await valuesIn(server, 'src'), ['1200000', '600000', '600000', '600000']);
    }));

  it('exposure 0 mirrors nothing, 0.5 about half; what is left out takes neither names nor settings along', () =>
    withClient(server, proxy, 'half', async (client) => {
      const sql = "INSERT INTO t (x) VALUES ($1 || current_setting('timezone'))";
      await ask(client, P('named', sql));
      for (let index = 0; index < 100; index++) {
        await run(client, `SET timezone = 'Etc/GMT+${index % 10}'`);
        await ask(client, B('', 'named', { values: [`${index} `] }), E(''));
      }
      assert.deepEqual(await counts.since('half', 'none', 201), { skipped_count: 201 });
      assert.deepEqual(await valuesIn(server, 'none'), []);
      const { mirrored_count = 0, skipped_count = 0, ...rest } = await counts.since('half', 'second', 201);
      assert.deepEqual(rest, {});
      assert.ok(mirrored_count > 50 && skipped_count > 50, `${mirrored_count} ${skipped_count}`);
      const values = await valuesIn(server, 'second');
      assert.ok(values.length > 20 && values.length < 80, `${values.length}`);
      const all = await valuesIn(server, 'src');
      assert.deepEqual(
        values,
        all.filter((value) => values.includes(value)),
      );
    }));

  it('levels: definitions here, data there', () =>
    withClient(server, proxy, 'levels', async (client) => {
      await run(client, 'CREATE TABLE made (x int)', "INSERT INTO t (x) VALUES ('a')");
      await run(client, 'BEGIN', 'ALTER TABLE made ADD y int', "INSERT INTO t (x) VALUES ('b')", 'COMMIT');
      await run(client, 'DROP TABLE made');
      assert.deepEqual(await counts.since('levels', 'dml', 4), { mirrored_count: 1, skipped_count: 3 });
      assert.deepEqual(await counts.since('levels', 'ddl', 4), { mirrored_count: 3, skipped_count: 1 });
      assert.deepEqual([await valuesIn(server, 'dml'), await valuesIn(server, 'ddl')], [['a'], ['b']]);
    }));

  it('a destination that hangs: the source goes on, what does not fit in the queue is dropped', () =>
    withClient(server, proxy, 'busy', async (client) => {
      const lock = await clientOf(server, { database: 'slow' });
      await run(lock, 'BEGIN', 'LOCK TABLE t');
      for (let index = 0; index < 10; index++) await run(client, `INSERT INTO t (x) VALUES (${index})`);
      assert.equal((await valuesIn(server, 'src')).length, 10);
      await eventually('the queue is full', async () => {
        const row = await figuresOf(proxy, 'busy', 'slow');
        return row?.queue_length === String(QUEUE_LENGTH) && row?.dropped_count === String(9 - QUEUE_LENGTH);
      });
      assert.match(await proxy.metrics(), /mirror_dropped_count\{[^}]*database="busy"[^}]*\} 6/);
      await run(lock, 'ROLLBACK');
      await lock.end();
      assert.deepEqual(await counts.since('busy', 'slow', 10), { mirrored_count: 4, dropped_count: 6 });
      assert.deepEqual(await valuesIn(server, 'slow'), ['0', '1', '2', '3']);
    }));
});

forOneDriver('mirroring to nowhere', (driver) => {
  it('nobody is there: the source answers as ever, and errors are counted', async () => {
    const port = await freePort();
    const proxy = await startMirrors(server, driver, [{ source_db: 'main', destination_db: 'dead' }], {
      databases: [
        databaseOf(server, { name: 'main', database_name: 'src' }),
        databaseOf({ host: '127.0.0.1', port }, { name: 'dead' }),
      ],
      general: { connect_attempts: 1, checkout_timeout: 5000 },
    });
    try {
      await withClient(server, proxy, 'main', async (client) => {
        for (let index = 0; index < 30; index++) {
          await run(client, 'BEGIN', `INSERT INTO t (x) VALUES (${index})`, 'COMMIT');
        }
        assert.equal((await valuesIn(server, 'src')).length, 30);
        const found = countsOf(await settled(proxy, 'main', 'dead', 30));
        assert.deepEqual(found, { error_count: 30 });
      });
    } finally {
      assert.equal(await proxy.stop(), 0);
    }
  });

  it('it takes connections and says nothing: the source waits for it in nothing, and neither does shutting down', async () => {
    const mute = await startFakePostgres({ onStartup: () => undefined });
    // Whoever waits for the mirror waits longer than a test has patience.
    const waitMs = 3 * PATIENCE_MS;
    const proxy = await startMirrors(server, driver, [{ source_db: 'main', destination_db: 'mute' }], {
      databases: [
        databaseOf(server, { name: 'main', database_name: 'src' }),
        databaseOf(mute, { name: 'mute' }),
      ],
      general: { connect_timeout: waitMs, checkout_timeout: waitMs, shutdown_timeout: waitMs },
    });
    try {
      await withClient(server, proxy, 'main', async (client) => {
        for (let index = 0; index < 30; index++) {
          await run(client, 'BEGIN', `INSERT INTO t (x) VALUES (${index})`, 'COMMIT');
        }
        assert.equal((await valuesIn(server, 'src')).length, 30);
        await eventually('the mirror is tried', async () => mute.connections.length > 0);
        const row = await figuresOf(proxy, 'main', 'mute');
        assert.deepEqual([row?.total_count, countsOf(row ?? {})], ['30', {}], 'all of it is still to come');
      });
      assert.equal(await proxy.stop(), 0);
    } finally {
      await proxy.stop();
      await mute.stop();
    }
  });

  it('shutting down with a full queue ends in time and commits nothing half', async () => {
    const proxy = await startMirrors(server, driver, [{ source_db: 'main', destination_db: 'slow' }]);
    const lock = await clientOf(server, { database: 'slow' });
    try {
      await withClient(server, proxy, 'main', async (client) => {
        await run(lock, 'BEGIN', 'LOCK TABLE one');
        for (let index = 0; index < 300; index++) {
          await run(client, `INSERT INTO t (x) VALUES (${index}); INSERT INTO one VALUES (${index})`);
        }
        await eventually('the queue is full', async () => {
          const row = await figuresOf(proxy, 'main', 'slow');
          return row?.queue_length === '128';
        });
      });
      assert.equal(await proxy.stop(), 0);
      await run(lock, 'ROLLBACK');
      await sleep(200);
      assert.deepEqual(await valuesIn(server, 'slow'), [], 'the transaction under way was rolled back');
    } finally {
      await lock.end();
      await proxy.stop();
    }
  });
});
