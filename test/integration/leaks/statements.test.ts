/** Prepared statements are shared between clients: but for that nobody must be able to tell. And whom notifications reach. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { B, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import {
  clientOf,
  eventually,
  firstValue,
  pidOf,
  run,
  sleep,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    initSql: `
      CREATE SCHEMA one; CREATE TABLE one.here AS SELECT 'one' AS x;
      CREATE SCHEMA two; CREATE TABLE two.here AS SELECT 'two' AS x;`,
  });
});
after(() => server.stop());

type Use = (client: RawClient, sql: string) => Promise<string | null>;

/** Prepares on the first call, and only runs on later ones. */
const LEVELS: Record<string, Use> = {
  'by the protocol': async (client, sql) => {
    client.send(P('s', sql), S());
    await client.readUntilReady();
    client.send(B('', 's'), D('P', ''), E(''), S());
    const result = await client.readUntilReady();
    return result.rows[0]?.[0] ?? result.error?.['M'] ?? null;
  },
  'by PREPARE': async (client, sql) => {
    await client.query(`PREPARE s AS ${sql}`);
    return firstValue(client, 'EXECUTE s');
  },
};

/** Settings under which Postgres reads the same text differently, and what it then gives. */
const READINGS: Record<string, [sql: string, setting: string, values: [set: string, value: string][]]> = {
  DateStyle: [
    "SELECT '01/02/2024'::date - '2024-01-01'::date",
    'DateStyle',
    [
      ['ISO, DMY', '31'],
      ['ISO, MDY', '1'],
    ],
  ],
  TimeZone: [
    "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::int",
    'TimeZone',
    [
      ['Asia/Tokyo', '1704034800'],
      ['UTC', '1704067200'],
    ],
  ],
  IntervalStyle: [
    "SELECT extract(epoch FROM '-1 2:00'::interval)::int",
    'IntervalStyle',
    [
      ['sql_standard', '-93600'],
      ['postgres', '-79200'],
    ],
  ],
  array_nulls: [
    "SELECT ('{NULL}'::text[])[1] IS NULL",
    'array_nulls',
    [
      ['on', 't'],
      ['off', 'f'],
    ],
  ],
  transform_null_equals: [
    'SELECT (NULL = NULL) IS NULL',
    'transform_null_equals',
    [
      ['off', 't'],
      ['on', 'f'],
    ],
  ],
  standard_conforming_strings: [
    "SELECT length('a\\\\b')",
    'standard_conforming_strings',
    [
      ['on', '4'],
      ['off', '3'],
    ],
  ],
  client_encoding: [
    "SELECT ascii('é')",
    'client_encoding',
    [
      ['UTF8', '233'],
      ['LATIN1', '195'],
    ],
  ],
  search_path: [
    'SELECT x FROM here',
    'search_path',
    [
      ['one', 'one'],
      ['two', 'two'],
    ],
  ],
};

forOneDriver('shared statements', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 1 } });
  });
  after(() => proxy.stop());

  for (const [level, use] of Object.entries(LEVELS)) {
    for (const [name, [sql, setting, values]] of Object.entries(READINGS)) {
      it(`the same text under another ${name} is another statement, ${level}`, () =>
        withClients(proxy, 2, async (a, b) => {
          const clients = [a, b];
          for (const [index, [set]] of values.entries()) {
            await run(clients[index] ?? a, `SET ${setting} = '${set}'`, 'SELECT 1');
          }
          for (let round = 0; round < 2; round++) {
            for (const [index, [set, value]] of values.entries()) {
              assert.equal(await use(clients[index] ?? a, sql), value, `${set}, round ${round}`);
            }
          }
        }));
    }
  }

  it('a statement is read under the settings of its batch', () =>
    withClients(proxy, 2, async (a, b) => {
      const sql = "SELECT '03/04/2024'::date - '2024-01-01'::date";
      a.send(
        ...[P('', "SET DateStyle = 'ISO, DMY'"), B('', ''), E('')],
        ...[P('s', sql), B('', 's'), E(''), S()],
      );
      assert.deepEqual((await a.readUntilReady()).rows, [['93']]);
      const both = async (client: RawClient): Promise<string | null> =>
        LEVELS['by the protocol']!(client, sql);
      assert.equal(await both(b), '63');
      assert.equal(await both(a), '93');
      assert.equal(await both(b), '63');
    }));

  it('PREPARE behind a SET in one text', () =>
    withClients(proxy, 2, async (a, b) => {
      const sql = "SELECT '05/06/2024'::date - '2024-01-01'::date";
      await run(a, `SET DateStyle = 'ISO, DMY'; PREPARE s AS ${sql}`);
      await run(b, `PREPARE s AS ${sql}`);
      for (let round = 0; round < 2; round++) {
        assert.equal(await firstValue(a, 'EXECUTE s'), '156');
        assert.equal(await firstValue(b, 'EXECUTE s'), '126');
      }
    }));

  it('a statement that somebody has replaced on the server is not run', () =>
    withClients(proxy, 2, async (a, b) => {
      const ask = async (): Promise<string> => {
        b.send(B('', 's'), E(''), S());
        const { rows, error } = await b.readUntilReady();
        return rows[0]?.[0] ?? error?.['M'] ?? '';
      };
      b.send(P('s', "SELECT 'genuine'"), S());
      await b.readUntilReady();
      for (const also of [(name: string) => `EXECUTE 'PREPARE ${name} AS SELECT ''forged'''`, () => 'NULL']) {
        assert.equal(await ask(), 'genuine');
        const find = "SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT ''genuine'''";
        const name = (await firstValue(a, find)) ?? '';
        await run(a, `DO $$ BEGIN EXECUTE 'DEALLOCATE ${name}'; ${also(name)}; END $$`);
        // In a transaction nothing is healed.
        await run(b, 'BEGIN');
        assert.equal(await ask(), 'genuine');
        await run(b, 'COMMIT');
      }
    }));

  it("another's unnamed statement is not to be bound", () =>
    withClients(proxy, 2, async (a, b) => {
      a.send(P('', "SELECT 'private'"), S());
      await a.readUntilReady();
      for (const messages of [
        [B('', ''), E(''), S()],
        [D('S', ''), S()],
      ]) {
        b.send(...messages);
        assert.equal(sqlstateOf(await b.readUntilReady()), '26000');
      }
    }));

  it('names of one client mean nothing to another', () =>
    withClients(proxy, 2, async (a, b) => {
      a.send(P('named', 'SELECT 1'), S());
      await a.readUntilReady();
      await run(a, 'PREPARE prepared AS SELECT 1');
      for (const name of ['named', 'prepared']) {
        assert.equal(sqlstateOf(await b.query(`EXECUTE ${name}`)), '26000');
        b.send(B('', name), E(''), S());
        assert.equal(sqlstateOf(await b.readUntilReady()), '26000');
        assert.equal(sqlstateOf(await b.query(`DEALLOCATE ${name}`)), '26000');
        assert.equal(sqlstateOf(await a.query(`EXECUTE ${name}`)), '');
      }
    }));
});

forOneDriver('notifications', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 2 } });
  });
  after(() => proxy.stop());

  const heard = (frames: { type: string }[]): number => frames.filter(({ type }) => type === 'A').length;

  it('go to who listens and to nobody else', () =>
    withClients(proxy, 3, async (listener, other, sender) => {
      await run(listener, 'LISTEN news');
      await run(other, 'SELECT 1');
      await run(sender, "NOTIFY news, 'hello'");
      assert.match((await listener.readUntil('A')).at(-1)?.body.toString() ?? '', /news\0hello/);
      assert.equal(heard((await other.query('SELECT 1')).frames), 0);
      await other.expectSilence(50);
    }));

  it('do not reach the client that got the connection of one that listened', async () => {
    for (const listen of ['LISTEN news', "DO $$ BEGIN EXECUTE 'LISTEN news'; END $$"]) {
      const a = await clientOf(proxy);
      await run(a, listen);
      const pid = Number(await pidOf(a));
      // The backend finds the notification and the next client's request at the same time.
      process.kill(pid, 'SIGSTOP');
      a.destroy(true);
      await sleep(10);
      await server.query("NOTIFY news, 'for A'");
      const b = await clientOf(proxy);
      b.send(Q('BEGIN'), Q('SELECT 1'), Q('COMMIT'));
      process.kill(pid, 'SIGCONT');
      assert.equal(heard((await b.readUntilReady(3)).frames), 0, listen);
      await b.expectSilence(30);
      await b.end();
    }
  });

  it('of a transaction that was rolled back do not come, those of the next one do', () =>
    withClients(proxy, 2, async (listener, sender) => {
      await run(listener, 'LISTEN news');
      await run(sender, 'BEGIN', "NOTIFY news, 'lost'", 'ROLLBACK', "NOTIFY news, 'kept'");
      await eventually('the notification', async () => {
        const { frames } = await listener.query('SELECT 1');
        return frames.some(({ type, body }) => type === 'A' && body.includes('kept'));
      });
    }));
});
