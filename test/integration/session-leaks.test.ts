/** What one client did must not be met by another, however the first one disappeared; and what pins, shows and ends. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, F, int32, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  firstValue,
  pidOf,
  run,
  sleep,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [{ name: 'alice' }],
    initSql: `
      CREATE SEQUENCE counter;
      CREATE TABLE sink (x text);
      GRANT ALL ON sink TO alice;
      CREATE FUNCTION leak_setting() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '77MB', false) $$;
      CREATE FUNCTION leak_lock() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(4711); END $$;
      CREATE PROCEDURE leak_by_call() LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; END $$;`,
  });
});
after(() => server.stop());

type Dirt = (client: RawClient) => Promise<unknown>;
const sql =
  (...statements: string[]): Dirt =>
  (client) =>
    run(client, ...statements);

/** One row about everything that can be left on a server connection. */
const TRACES = `SELECT concat_ws(' ', current_setting('work_mem'), nullif(current_setting('my.secret', true), ''),
  session_user, current_user, current_setting('TimeZone'), current_setting('search_path'),
  current_setting('default_transaction_read_only'), current_setting('client_encoding'),
  (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
  (SELECT count(*) FROM pg_listening_channels()),
  (SELECT count(*) FROM pg_cursors WHERE is_holdable),
  (SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE E'\\\\_\\\\_pgdog%'))`;

const DIRT: Record<string, Dirt> = {
  SET: sql("SET work_mem = '77MB'", "SET my.secret = 's3cret'"),
  'SET among others': sql("SELECT 1; SET work_mem = '77MB'; SELECT 2"),
  'set_config with constants': sql("SELECT set_config('my.secret', 's3cret', false)"),
  'set_config with a computed value': sql("SELECT set_config('my.secret', current_user || 'x', false)"),
  'set_config in a subquery': sql("SELECT * FROM (SELECT set_config('my.secret', 's3cret', false)) AS s"),
  'set_config with bound values': async (client) => {
    client.send(
      P('', 'SELECT set_config($1, $2, false)'),
      B('', '', { values: ['my.secret', 's'] }),
      E(''),
      S(),
    );
    assert.equal(sqlstateOf(await client.readUntilReady()), '');
  },
  'SET ROLE': sql('SET ROLE alice'),
  'SET SESSION AUTHORIZATION': sql('SET SESSION AUTHORIZATION alice'),
  'reported settings': sql("SET TimeZone = 'Asia/Tokyo'", "SET client_encoding = 'LATIN1'"),
  search_path: sql('SET search_path = pg_catalog'),
  'read-only by SESSION CHARACTERISTICS': sql('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'),
  'a function that calls set_config': sql('SELECT leak_setting()'),
  'DO that sets': sql(
    "DO $$ BEGIN SET work_mem = '77MB'; PERFORM set_config('my.secret', 'x', false); END $$",
  ),
  'CALL that sets': sql('CALL leak_by_call()'),
  'a prepared statement that sets': sql(
    "PREPARE s AS SELECT set_config('my.secret', 'x', false)",
    'EXECUTE s',
  ),
  'a function call message': async (client) => {
    const oid = Number(await firstValue(client, "SELECT 'leak_setting'::regproc::oid::int"));
    client.send(F(oid, []));
    assert.equal(sqlstateOf(await client.readUntilReady()), '');
  },
  'a temporary table': sql('CREATE TEMP TABLE mine AS SELECT 1 AS x'),
  'SELECT INTO TEMP': sql('SELECT 1 AS x INTO TEMP mine2'),
  'a temporary table made by DO': sql('DO $$ BEGIN CREATE TEMP TABLE mine3 (x int); END $$'),
  'an advisory lock': sql(
    'SELECT pg_advisory_lock(42), pg_try_advisory_lock(43), pg_advisory_lock_shared(1, 2)',
  ),
  'an advisory lock of a function': sql('SELECT leak_lock()'),
  LISTEN: sql('LISTEN channel'),
  'LISTEN by DO': sql("DO $$ BEGIN EXECUTE 'LISTEN other'; END $$"),
  'a cursor WITH HOLD': sql('DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 10)'),
};

/** How the client that made the dirt disappears. */
const ENDS: Record<string, (client: RawClient, dirt: Dirt) => Promise<unknown>> = {
  Terminate: async (client, dirt) => {
    await dirt(client);
    await client.end();
  },
  'a reset connection': async (client, dirt) => {
    await dirt(client);
    client.destroy(true);
  },
  'in a transaction': async (client, dirt) => {
    await run(client, 'BEGIN');
    await dirt(client);
    client.destroy();
  },
  'in a failed transaction': async (client, dirt) => {
    await dirt(client);
    await run(client, 'BEGIN');
    await client.query('SELECT 1/0');
    client.destroy(true);
  },
  'in the middle of a small frame': async (client, dirt) => {
    await dirt(client);
    client.send(Buffer.from('Q'), int32(1000), Buffer.from('SELECT'));
    await sleep(5);
    client.destroy(true);
  },
  'in the middle of a large frame': async (client, dirt) => {
    await dirt(client);
    client.send(Buffer.from('Q'), int32(300_000), Buffer.from('SELECT 1 '.repeat(10_000)));
    await sleep(5);
    client.destroy(true);
  },
  'in an open batch': async (client, dirt) => {
    await dirt(client);
    client.send(P('', 'SELECT 1'), B('', ''));
    await sleep(5);
    client.destroy();
  },
  'in COPY': async (client, dirt) => {
    await dirt(client);
    client.send(Q('COPY public.sink FROM STDIN'));
    // Refused where the dirt made transactions read-only.
    while (!['G', 'Z'].includes((await client.readFrame()).type));
    client.destroy();
  },
  'while its statement runs': async (client, dirt) => {
    await dirt(client);
    client.send(Q('SELECT pg_sleep(0.2)'));
    await sleep(20);
    client.destroy();
  },
  'after a cancel': async (client, dirt) => {
    await dirt(client);
    client.send(Q('SELECT pg_sleep(10)'));
    // A cancel that comes before its statement is for nothing, as on Postgres: asked again until it was in time.
    const answer = client.readUntilReady();
    const retry = setInterval(() => void client.cancel(), 50);
    assert.equal(sqlstateOf(await answer.finally(() => clearInterval(retry))), '57014');
    client.destroy();
  },
  'by a time-out': async (client, dirt) => {
    await run(client, 'BEGIN');
    await dirt(client);
    const { error } = await client.expectClosed();
    assert.equal(error?.['C'], '25P03');
  },
};

forEachDriver('what a client leaves behind', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1 },
      general: { client_idle_in_transaction_timeout: 150, rollback_timeout: 2000 },
    });
  });
  after(() => proxy.stop());

  for (const [kind, dirt] of Object.entries(DIRT)) {
    it(`nothing of ${kind}, however the client ends`, () =>
      withClients(proxy, 1, async (b) => {
        const clean = await firstValue(b, TRACES);
        for (const [manner, vanish] of Object.entries(ENDS)) {
          const a = await clientOf(proxy);
          await vanish(a, dirt);
          assert.equal(await firstValue(b, TRACES), clean, `left behind when A ended: ${manner}`);
          a.destroy();
        }
      }));
  }

  it('a client that stays connected leaves no settings either', () =>
    withClients(proxy, 2, async (a, b) => {
      const clean = await firstValue(b, TRACES);
      for (const kind of [
        'SET',
        'SET ROLE',
        'a function that calls set_config',
        'DO that sets',
        'CALL that sets',
        'a temporary table made by DO',
        'LISTEN by DO',
        'an advisory lock of a function',
        'a function call message',
      ]) {
        await DIRT[kind]?.(a);
        assert.equal(await firstValue(b, TRACES), clean, kind);
      }
      await run(a, 'DISCARD ALL');
    }));

  it('currval and lastval of another client are not seen', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, "SELECT nextval('counter')");
      for (const ask of ["SELECT currval('counter')", 'SELECT lastval()', 'SELECT lastval() + 0 AS x']) {
        const { rows, error } = await b.query(ask);
        assert.equal(error?.['C'], '55000', `${ask} gave ${rows[0]?.[0]}`);
        b.send(P('', ask), B('', ''), E(''), S());
        assert.equal(sqlstateOf(await b.readUntilReady()), '55000');
      }
      await run(b, 'BEGIN', "SELECT nextval('counter')");
      assert.equal(await firstValue(b, "SELECT currval('counter') = lastval()"), 't');
      await run(b, 'COMMIT');
    }));

  it('a notification goes to who listens and to nobody else', async () => {
    const wide = await startWireProxy(server, driver);
    try {
      await withClients(wide, 3, async (listener, other, sender) => {
        await run(listener, 'LISTEN news');
        await run(other, 'SELECT 1');
        await run(sender, "NOTIFY news, 'hello'");
        assert.match((await listener.readUntil('A')).at(-1)?.body.toString() ?? '', /news\0hello/);
        const got = await other.query('SELECT 1');
        assert.equal(
          got.frames.some(({ type }) => type === 'A'),
          false,
        );
        await other.expectSilence(50);
      });
    } finally {
      await wide.stop();
    }
  });
});

/** `a` holds none of the two server connections: the others can have both. */
async function assertFree(a: RawClient, b: RawClient, c: RawClient): Promise<void> {
  await run(b, 'BEGIN');
  await run(c, 'BEGIN');
  assert.equal(sqlstateOf(await a.query('SELECT 1')), '58000');
  await Promise.all([run(b, 'ROLLBACK'), run(c, 'ROLLBACK')]);
}

/** Statement that pins, the reason shown, and each way to end it. */
const PINS: [reason: string, make: string, ends: string[]][] = [
  [
    'temporary object',
    'CREATE TEMP TABLE pinned (x int)',
    ['DROP TABLE pinned', 'DISCARD TEMP', 'DISCARD ALL'],
  ],
  [
    'advisory lock',
    'SELECT pg_advisory_lock(5)',
    ['SELECT pg_advisory_unlock(5)', 'SELECT pg_advisory_unlock_all()', 'DISCARD ALL'],
  ],
  ['listen', 'LISTEN pinned', ['UNLISTEN pinned', 'UNLISTEN *', 'DISCARD ALL']],
  [
    'cursor with hold',
    'DECLARE pinned CURSOR WITH HOLD FOR SELECT 1',
    ['CLOSE pinned', 'CLOSE ALL', 'DISCARD ALL'],
  ],
  ['pgdog.pin', 'SET pgdog.pin TO on', ['SET pgdog.pin TO off']],
];

forEachDriver('pins', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { general: { checkout_timeout: 250 } });
  });
  after(() => proxy.stop());

  for (const [reason, make, ends] of PINS) {
    it(`${reason}: keeps its connection, is shown, and ends`, () =>
      withClients(proxy, 3, async (a, b, c) => {
        const isUndone = !['pgdog.pin', 'advisory lock'].includes(reason);
        if (isUndone) assert.equal(sqlstateOf(await a.query(`${make}; SELECT 1/0`)), '22012');
        await assertFree(a, b, c);
        for (const end of isUndone ? [...ends, 'ROLLBACK'] : ends) {
          const isRollback = end === 'ROLLBACK';
          await run(a, ...(isRollback ? ['BEGIN', make] : [make]));
          const pid = await pidOf(a);
          for (let round = 0; round < 3; round++) {
            assert.notEqual(await pidOf(b), pid, `not kept after ${make}`);
            assert.equal(await pidOf(a), pid);
          }
          if (!isRollback) {
            const shown = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS');
            assert.ok(
              shown.some((row) => Object.values(row).some((value) => String(value).includes(reason))),
              `${reason} is not in SHOW CLIENTS: ${JSON.stringify(shown)}`,
            );
          }
          await run(a, end);
          await assertFree(a, b, c);
        }
      }));
  }
});
