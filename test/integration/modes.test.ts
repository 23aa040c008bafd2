/** Session mode keeps everything until the client goes; statement mode refuses what needs more than one statement. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, c, d, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import {
  assertSameAsDirect,
  batch,
  clientOf,
  firstValue,
  pidOf,
  run,
  setEverywhere,
  sleep,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [{ name: 'alice' }],
    initSql: 'CREATE TABLE sink (x text); CREATE SEQUENCE counter',
  });
});
after(() => server.stop());

/** What session mode must bear although nothing of it is looked at. */
const SESSION_THINGS = [
  'CREATE TEMP TABLE mine AS SELECT 1 AS x',
  "SET work_mem = '77MB'",
  "SELECT set_config('my.own', current_user || '!', false)",
  'SELECT pg_advisory_lock(99)',
  'LISTEN news',
  'DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 3)',
  'PREPARE mine AS SELECT 5',
  "SELECT nextval('counter')",
  'SET ROLE alice',
];
const TRACES = `SELECT concat_ws(' ', current_setting('work_mem'), nullif(current_setting('my.own', true), ''), current_user,
  (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
  (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
  (SELECT count(*) FROM pg_prepared_statements))`;

forOneDriver('session mode', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1, pooler_mode: 'session' },
      general: { checkout_timeout: 30_000 },
    });
  });
  after(() => proxy.stop());

  it('a client keeps its connection and all it made on it', () =>
    withClients(proxy, 1, async (a) => {
      const pid = await pidOf(a);
      await run(a, ...SESSION_THINGS);
      await sleep(50);
      assert.equal(await pidOf(a), pid);
      assert.equal(await firstValue(a, TRACES), '77MB postgres! alice 1 1 1 1 1');
      assert.equal(await firstValue(a, 'EXECUTE mine'), '5');
      assert.equal((await a.query('FETCH ALL FROM held')).rows.length, 3);
      await run(a, 'RESET ROLE');
      assert.match((await firstValue(a, "SELECT currval('counter')")) ?? '', /^\d+$/);
    }));

  const ends = { Terminate: false, 'a reset': true };
  for (const [name, isReset] of Object.entries(ends)) {
    it(`after ${name} the next client finds a clean connection`, async () => {
      const fresh = await clientOf(server);
      const clean = await firstValue(fresh, TRACES);
      await fresh.end();
      for (let round = 0; round < 3; round++) {
        const a = await clientOf(proxy);
        await run(a, ...SESSION_THINGS);
        a.send(P('named', 'SELECT 1'), S());
        await a.readUntilReady();
        if (round === 1)
          await run(a, 'BEGIN', "INSERT INTO sink SELECT 'never' WHERE false").catch(() => undefined);
        if (isReset) a.destroy(true);
        else await a.end();
        await withClients(proxy, 1, async (b) => {
          assert.equal(await firstValue(b, TRACES), clean);
          b.send(P('named', 'SELECT 2'), B('', 'named'), E(''), S());
          assert.deepEqual((await b.readUntilReady()).rows, [['2']]);
          assert.equal(sqlstateOf(await b.query('SELECT lastval()')), '55000');
        });
      }
    });
  }

  it('the second client waits as long as the first is there', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'SELECT 1');
      await setEverywhere(proxy, 'checkout_timeout = 300');
      assert.equal(sqlstateOf(await b.query('SELECT 1')), '58000');
      await setEverywhere(proxy, 'checkout_timeout = 30000');
      await a.end();
      assert.equal(await firstValue(b, 'SELECT 1'), '1');
    }));

  it('start-up settings are in force, and their reset leads there', async () => {
    const a = await clientOf(proxy, {
      parameters: { work_mem: '6MB', options: '-c search_path=pg_catalog' },
    });
    assert.equal(
      await firstValue(a, "SELECT current_setting('work_mem') || current_setting('search_path')"),
      '6MBpg_catalog',
    );
    await a.end();
    await withClients(proxy, 1, async (b) => assert.notEqual(await firstValue(b, 'SHOW work_mem'), '6MB'));
  });

  it('the protocol is as on a direct connection', () =>
    assertSameAsDirect(
      proxy,
      server,
      batch(
        7,
        Q('BEGIN'),
        P('s', 'SELECT $1::int'),
        B('p', 's', { values: ['3'] }),
        E('p'),
        S(),
        P('s', 'SELECT 1'),
        S(),
        Q('ROLLBACK'),
        B('', 'nope'),
        S(),
        Q('COPY sink FROM STDIN WHERE false'),
        d('x\n'),
        c(),
        Q('EXECUTE s(1); DEALLOCATE s; SELECT 1'),
      ),
    ));
});

forOneDriver('statement mode', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 1, pooler_mode: 'statement' } });
  });
  after(() => proxy.stop());

  it('single statements, batches and COPY work', () =>
    withClients(proxy, 3, async (...clients) => {
      for (const client of clients) {
        assert.equal(await firstValue(client, 'SELECT 1'), '1');
        assert.equal((await client.query('SELECT 1; SELECT 2')).rows.length, 2);
        client.send(P('s', 'SELECT $1::int'), B('', 's', { values: ['4'] }), E(''), S());
        assert.deepEqual((await client.readUntilReady()).rows, [['4']]);
        client.send(Q('COPY sink FROM STDIN WHERE false'), d('x\n'), c());
        assert.deepEqual((await client.readUntilReady()).tags, ['COPY 0']);
        client.send(B('', 's', { values: ['5'] }), E(''), S());
        assert.deepEqual((await client.readUntilReady()).rows, [['5']]);
      }
    }));

  const refused = [
    'BEGIN',
    'begin isolation level serializable',
    'START TRANSACTION',
    '/* x */ BEGIN',
    'SELECT 1; BEGIN; SELECT 2',
  ];
  for (const sql of refused) {
    it(`${sql} is refused with a clear error, and the client stays`, () =>
      withClients(proxy, 2, async (a, b) => {
        const result = await a.query(sql);
        assert.equal(sqlstateOf(result), '58000');
        assert.match(result.error?.['M'] ?? '', /statement pooler mode/);
        assert.equal(result.status, 'I');
        assert.equal(await firstValue(a, 'SELECT 1'), '1');
        a.send(P('', sql), B('', ''), E(''), S());
        const extended = await a.readUntilReady();
        assert.notEqual(sqlstateOf(extended), '');
        assert.equal(extended.status, 'I');
        assert.equal(await firstValue(b, 'SELECT 2'), '2');
      }));
  }

  it('a transaction opened where no reading sees it ends the client', () =>
    withClients(proxy, 1, async (b) => {
      await run(b, 'SELECT 1');
      const a = await clientOf(proxy);
      // A procedure cannot leave one open; a prepared BEGIN can.
      a.send(P('x', 'BEGIN'), B('', 'x'), E(''), S());
      await a.expectClosed(500).catch(() => undefined);
      a.destroy();
      assert.equal(await firstValue(b, 'SELECT now() = statement_timestamp()'), 't');
    }));
});
