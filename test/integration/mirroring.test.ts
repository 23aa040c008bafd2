/** [[mirroring]]: what clients of one database do is done again in others, and they notice nothing of it. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { B, C, c, D, d, E, P, Q, S } from '../support/frames.js';
import {
  ask,
  MirrorCounts,
  onServer,
  settled,
  startMirrorServer,
  startMirrors,
  valuesIn,
  withClient,
} from '../support/mirrors.js';
import type { TestProxy } from '../support/proxy.js';
import { clientOf, run, sleep, sqlstateOf } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startMirrorServer();
});
after(() => server.stop());

forOneDriver('mirroring', (driver) => {
  let proxy: TestProxy;
  const counts = new MirrorCounts(() => proxy);
  before(async () => {
    const mirrors = [
      { source_db: 'main', destination_db: 'copy' },
      { source_db: 'main', destination_db: 'second' },
      { source_db: 'routed', destination_db: 'routed_copy' },
      { source_db: 'own', destination_db: 'none' },
    ];
    proxy = await startMirrors(server, driver, mirrors, { general: { pub_sub_channel_size: 100 } });
  });
  after(() => proxy.stop());

  /** The same in the source and in both of its mirrors; what the first of them has counted. */
  const same = async (units: number, wanted: string[]) => {
    const total = counts.add('main', units);
    const found = await counts.since('main', 'copy', total);
    await settled(proxy, 'main', 'second', total);
    for (const name of ['src', 'copy', 'second'])
      assert.deepEqual(await valuesIn(server, name), wanted, name);
    return found;
  };

  it('statements, transactions and batches, in order, in every destination', () =>
    withClient(server, proxy, 'main', async (client) => {
      await run(client, "INSERT INTO t (x) VALUES ('a')", "INSERT INTO t (x) SELECT 'b'");
      await run(
        client,
        'BEGIN',
        "INSERT INTO t (x) VALUES ('c')",
        "UPDATE t SET x = 'd' WHERE x = 'a'",
        'COMMIT',
      );
      await ask(client, P('', 'INSERT INTO t (x) VALUES ($1)'), B('', '', { values: ['e'] }), E(''));
      client.send(Q("INSERT INTO t (x) VALUES ('f')"), Q("INSERT INTO t (x) VALUES ('g')"));
      client.send(
        P('', "INSERT INTO t (x) VALUES ('h')"),
        B('', ''),
        E(''),
        S(),
        Q('SELECT count(*) FROM t'),
      );
      assert.deepEqual((await client.readUntilReady(4)).rows, [['7']]);
      const found = await same(8, ['d', 'b', 'c', 'e', 'f', 'g', 'h']);
      assert.deepEqual(found, { mirrored_count: 8 });
    }));

  it('prepared statements of earlier units, named, unnamed and by SQL', () =>
    withClient(server, proxy, 'main', async (client) => {
      const insert = 'INSERT INTO t (x) VALUES ($1)';
      await ask(client, P('named', insert), D('S', 'named'));
      await ask(client, B('', 'named', { values: ['a'] }), E(''));
      await ask(client, P('', insert), D('S', ''));
      await ask(client, B('', '', { values: ['b'] }), E(''));
      await run(client, 'PREPARE by_sql (text) AS INSERT INTO t (x) VALUES ($1)', "EXECUTE by_sql('c')");
      await run(client, 'BEGIN', "EXECUTE by_sql('d')", 'DEALLOCATE by_sql', 'COMMIT');
      await ask(client, C('S', 'named'));
      await ask(client, P('named', "INSERT INTO t (x) VALUES ('new ' || $1)"));
      await ask(client, B('', 'named', { values: ['e'] }), E(''));
      const found = await same(10, ['a', 'b', 'c', 'd', 'new e']);
      assert.deepEqual(found, { mirrored_count: 10 });
    }));

  it('settings of the client are in force there, and change with it', () =>
    withClient(server, proxy, 'main', async (client) => {
      const zone = "INSERT INTO t (x) SELECT current_setting('timezone')";
      await run(client, "SET timezone = 'Asia/Tokyo'", zone);
      await run(client, 'BEGIN', "SET LOCAL timezone = 'Europe/Rome'", zone, 'COMMIT', zone);
      await run(client, "SET timezone = 'Europe/Oslo'", zone);
      const wanted = ['Asia/Tokyo', 'Europe/Rome', 'Asia/Tokyo', 'Europe/Oslo'];
      assert.deepEqual(await same(6, wanted), { mirrored_count: 6 });
      client.send(Q('BEGIN'), Q("SET LOCAL timezone = 'Europe/Rome'"), Q('COMMIT'), Q(zone));
      await client.readUntilReady(4);
      assert.deepEqual(await same(2, [...wanted, 'Europe/Oslo']), { mirrored_count: 2 });
    }));

  it('COPY in, by Query and in a batch, with a Sync inside and a large one', () =>
    withClient(server, proxy, 'main', async (client) => {
      client.send(Q('COPY t (x) FROM STDIN'), d('a\n'), d('b\n'), c());
      assert.equal((await client.readUntilReady()).error, null);
      client.send(P('', 'COPY t (x) FROM STDIN'), B('', ''), E(''), S());
      await sleep(50);
      client.send(d('c\n'), c(), S());
      assert.equal((await client.readUntilReady()).error, null);
      const long = 'x'.repeat(300_000);
      client.send(Q('COPY t (x) FROM STDIN'), d(`${long}\n`), c());
      assert.equal((await client.readUntilReady()).error, null);
      await run(client, 'UPDATE t SET x = length(x)');
      const found = await same(4, ['1', '1', '1', '300000']);
      assert.deepEqual(found, { mirrored_count: 4 });
    }));

  it('nothing of what failed or was rolled back; all of what went on behind a savepoint', () =>
    withClient(server, proxy, 'main', async (client) => {
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('a')", 'ROLLBACK');
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('b')");
      assert.equal(sqlstateOf(await client.query('SELECT 1/0')), '22012');
      await run(client, 'COMMIT');
      assert.equal(sqlstateOf(await client.query("INSERT INTO t (x) VALUES ('c'); SELECT 1/0")), '22012');
      client.send(P('', "INSERT INTO t (x) VALUES ('d')"), B('', ''), E(''), P('', 'no'), S());
      assert.equal(sqlstateOf(await client.readUntilReady()), '42601');
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('e')", 'SAVEPOINT s');
      assert.equal(sqlstateOf(await client.query('SELECT 1/0')), '22012');
      await run(client, 'ROLLBACK TO s', "INSERT INTO t (x) VALUES ('f')", 'COMMIT');
      // The sequences of the source have gone on; order is all that counts.
      const found = await same(5, ['e', 'f']);
      assert.deepEqual(found, { mirrored_count: 1, failed_count: 4 });
    }));

  it('temporary tables stay with their client, there too; LISTEN is left out, NOTIFY is not', () =>
    withClient(server, proxy, 'main', async (client) => {
      const listener = await clientOf(server, { database: 'copy' });
      await run(listener, 'LISTEN news');
      await run(client, 'CREATE TEMP TABLE mine (x text)', "INSERT INTO mine VALUES ('a')", 'LISTEN news');
      await run(
        client,
        'INSERT INTO t (x) SELECT x FROM mine',
        'UNLISTEN news',
        "NOTIFY news, 'read all about it'",
      );
      assert.deepEqual(await same(6, ['a']), { mirrored_count: 5, skipped_count: 1 });
      const { frames } = await listener.query('SELECT 1');
      assert.ok(frames.some(({ type, body }) => type === 'A' && body.includes('read all about it')));
      await listener.end();
    }));

  it('MAINTENANCE of a destination holds what is mirrored to it, and that alone', () =>
    withClient(server, proxy, 'main', async (client) => {
      await proxy.adminQuery('MAINTENANCE ON copy');
      await run(client, "INSERT INTO t (x) VALUES ('a')", "INSERT INTO t (x) VALUES ('b')");
      await settled(proxy, 'main', 'second', counts.add('main', 0) + 2);
      assert.deepEqual(await valuesIn(server, 'copy'), []);
      await proxy.adminQuery('MAINTENANCE OFF');
      assert.deepEqual(await same(2, ['a', 'b']), { mirrored_count: 2 });
    }));

  it('clients in session mode are not mirrored, and the log says so', async () => {
    await withClient(server, proxy, 'own', (client) => run(client, "INSERT INTO t (x) VALUES ('a')"));
    assert.deepEqual([await valuesIn(server, 'src'), await valuesIn(server, 'none')], [['a'], []]);
    await proxy.waitForOutput('clients of "own" in session mode are not mirrored');
  });

  it('what its client left waiting is done after the client has gone', async () => {
    await withClient(server, proxy, 'main', async (client) => {
      client.send(...Array.from({ length: 50 }, (_, index) => Q(`INSERT INTO t (x) VALUES (${index})`)));
      await client.readUntilReady(50);
    });
    const found = await counts.since('main', 'copy', counts.add('main', 50));
    assert.deepEqual(found, { mirrored_count: found.mirrored_count });
    assert.deepEqual(
      await valuesIn(server, 'copy'),
      Array.from({ length: 50 }, (_, index) => String(index)),
    );
  });

  it('a unit the destination refuses is counted, leaves no half, and others follow', () =>
    withClient(server, proxy, 'main', async (client) => {
      await onServer(server, 'copy', 'INSERT INTO one VALUES (7)');
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('a')", 'INSERT INTO one VALUES (7)');
      await run(client, "INSERT INTO t (x) VALUES ('b')", 'COMMIT', "INSERT INTO t (x) VALUES ('c')");
      const total = counts.add('main', 2);
      const found = await counts.since('main', 'copy', total);
      assert.equal(found.error_count, 1);
      assert.deepEqual(await valuesIn(server, 'copy'), ['c']);
      await settled(proxy, 'main', 'second', total);
      assert.deepEqual(await valuesIn(server, 'second'), ['a', 'b', 'c']);
      await onServer(server, 'src', 'CREATE TABLE missing (x text)');
      client.send(Q('COPY missing FROM STDIN'), d('1\n'), d('2\n'), c());
      assert.equal((await client.readUntilReady()).error, null);
      client.send(P('', 'COPY missing FROM STDIN'), B('', ''), E(''), S());
      await sleep(50);
      client.send(d('3\n'), c(), S());
      assert.equal((await client.readUntilReady()).error, null);
      await run(client, "INSERT INTO t (x) VALUES ('d')", 'DROP TABLE missing');
      const more = await counts.since('main', 'copy', counts.add('main', 4));
      assert.deepEqual(more, { error_count: 3, mirrored_count: 1 });
      assert.deepEqual(await valuesIn(server, 'copy'), ['c', 'd']);
      await proxy.waitForOutput('met an error there: 23505');
      assert.ok(!proxy.output.includes('duplicate key'), 'what servers say may hold values');
    }));

  it('a routed database, whose BEGIN is held, into another', () =>
    withClient(server, proxy, 'routed', async (client) => {
      await run(client, 'BEGIN', "INSERT INTO t (x) VALUES ('a')", 'COMMIT', 'SELECT 1', 'BEGIN', 'COMMIT');
      await run(client, 'BEGIN', 'ROLLBACK', 'BEGIN', "INSERT INTO t (x) VALUES ('b')", 'ROLLBACK');
      for (const sql of ['BEGIN', "INSERT INTO t (x) VALUES ('c')", 'COMMIT']) {
        await ask(client, P('', sql), B('', ''), D('P', ''), E(''));
      }
      assert.deepEqual(await counts.since('routed', 'routed_copy', 6), {
        mirrored_count: 4,
        failed_count: 2,
      });
      assert.deepEqual(await valuesIn(server, 'copy'), ['a', 'c']);
    }));
});
