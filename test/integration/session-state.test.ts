/**
 * Settings in transaction mode: they follow their client, and behave as on a connection of its own.
 * It has over 400 lines because most of it is one table of scripts, which says nothing new when cut in two.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { SCRIPTS, type Step, show } from '../support/setting-scripts.js';
import {
  type ClientOptions,
  clientOf,
  describeFrames,
  firstValue,
  onAnotherServer,
  run,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'alice' }, { name: 'bob' }] });
});
after(() => server.stop());

async function step(client: RawClient, one: Step): Promise<string[]> {
  const parts = typeof one === 'string' ? [Q(one)] : one;
  client.send(...parts);
  // One ReadyForQuery for each Query and each Sync.
  const count = parts.filter((part) => part[0] === 0x51 || part[0] === 0x53).length;
  return describeFrames((await client.readUntilReady(count)).frames);
}

/** What another client does meanwhile on the same server connections. */
const MEDDLING = [
  "SET work_mem = '99MB'",
  "SET application_name = 'meddler'",
  "SET TimeZone = 'Asia/Kolkata'",
  "SET my.own = 'meddled'",
  "SET DateStyle = 'Postgres, YMD'",
  'SELECT 1',
];

async function answers(to: { port: number }, script: Step[], options: ClientOptions, meddler?: RawClient) {
  const client = await clientOf(to, options);
  try {
    const all: string[][] = [];
    for (const one of script) {
      all.push([JSON.stringify(typeof one === 'string' ? one : one.join(' ')), ...(await step(client, one))]);
      if (meddler !== undefined) for (const sql of MEDDLING) await run(meddler, sql);
    }
    return all;
  } finally {
    await client.end();
  }
}

forOneDriver('session settings', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver);
  });
  after(() => proxy.stop());

  for (const [name, script] of Object.entries(SCRIPTS)) {
    it(`as on a connection of one's own: ${name}`, () =>
      withClients(proxy, 1, async (meddler) => {
        const wanted = await answers(server, script, {});
        assert.deepEqual(await answers(proxy, script, {}, meddler), wanted);
      }));
  }

  const startups: Record<string, Record<string, string>> = {
    'a parameter': { work_mem: '6MB', application_name: 'me' },
    options: { options: '-c work_mem=6MB --statement-timeout=1min -c my.own=a\\ b' },
    'switches of a server process': { options: '-eS 6MB  -ftid -tpl' },
    'two halves of DateStyle': { options: '-c datestyle=sql -c datestyle=dmy' },
    'options and a parameter': { options: '-c work_mem=5MB', work_mem: '6MB' },
    'reported ones': { TimeZone: 'Asia/Tokyo', DateStyle: 'German', client_encoding: 'LATIN1' },
  };
  for (const [name, parameters] of Object.entries(startups)) {
    it(`start-up with ${name}: in force, told, and where RESET leads`, () =>
      withClients(proxy, 1, async (meddler) => {
        const names = [
          'work_mem',
          'application_name',
          'search_path',
          'statement_timeout',
          'TimeZone',
          'DateStyle',
        ];
        const script = [
          ...show(...names),
          "SET work_mem = '1MB'",
          'SHOW work_mem',
          'RESET work_mem',
          'SHOW work_mem',
          "SET TimeZone = 'UTC'",
          'RESET ALL',
          ...show(...names),
          'DISCARD ALL',
          ...show(...names),
        ];
        // RESET leads to the server's default for a moment, and is told so; the values are right when used.
        const values = (all: string[][]) =>
          all.map((told) => told.filter((frame) => !frame.startsWith('S ')));
        const wanted = values(await answers(server, script, { parameters }));
        assert.deepEqual(values(await answers(proxy, script, { parameters }, meddler)), wanted);
        const [here, there] = [await clientOf(proxy, { parameters }), await clientOf(server, { parameters })];
        assert.deepEqual(here.parameters, there.parameters);
        await Promise.all([here.end(), there.end()]);
      }));
  }

  const refused: Record<string, Record<string, string>> = {
    'a bad value': { work_mem: 'much' },
    'an unknown name': { nonsense: '1' },
    'a bad value in options': { options: '-c work_mem=much' },
    'a name that cannot be set': { server_version: '1' },
    'an unknown option': { options: '-Z nonsense' },
    'an option without its argument': { options: '-e -S' },
    'an option of the server alone': { options: '-B 100' },
    'words behind the options': { options: '-e -- -c work_mem=5MB' },
    'a setting without a value': { options: '--work-mem' },
  };
  for (const [name, parameters] of Object.entries(refused)) {
    it(`start-up with ${name} is refused as by Postgres`, async () => {
      const told = [];
      for (const to of [server, proxy]) {
        const client = await RawClient.open({ port: to.port, password: 'postgres', parameters });
        const { error } = await client.login();
        told.push({ severity: error?.['S'], sqlstate: error?.['C'], message: error?.['M'] });
        await client.expectClosed();
        client.destroy();
      }
      assert.equal(told[0]?.severity, 'FATAL');
      assert.deepEqual(told[1], told[0]);
    });
  }

  it('settings follow to another server connection, and back', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, "SET work_mem = '13MB'", "SELECT set_config('my.own', 'mine', false)", 'SET ROLE alice');
      const sql = "SELECT current_setting('work_mem'), current_setting('my.own'), current_user";
      const wanted = [['13MB', 'mine', 'alice']];
      await onAnotherServer(a, b, async () => assert.deepEqual((await a.query(sql)).rows, wanted));
      assert.deepEqual((await a.query(sql)).rows, wanted);
    }));

  it('a role that was dropped meanwhile refuses the next request instead of running it with other rights', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'CREATE ROLE passing', 'SET ROLE passing');
      await run(b, 'SELECT 1', 'DROP ROLE passing');
      const result = await a.query('SELECT current_user');
      assert.notEqual(sqlstateOf(result), '', `ran as ${result.rows[0]?.[0]}`);
      assert.match(result.error?.['M'] ?? '', /role "passing" does not exist/);
      assert.notEqual(sqlstateOf(await a.query('SELECT current_user')), '');
      assert.equal(await firstValue(b, 'SELECT current_user'), 'postgres');
    }));

  const WAYS_OUT: [sql: string, role: string][] = [
    ['RESET ROLE', 'postgres'],
    ['SET ROLE NONE', 'postgres'],
    ['SET ROLE staying', 'staying'],
    ['SET SESSION AUTHORIZATION DEFAULT', 'postgres'],
    ['DISCARD ALL', 'postgres'],
  ];
  for (const [sql, role] of WAYS_OUT) {
    it(`a role that was dropped meanwhile is left by ${sql}`, () =>
      withClients(proxy, 2, async (a, b) => {
        for (const isExtended of [false, true]) {
          await server.query('DROP ROLE IF EXISTS leaving; CREATE ROLE leaving');
          await server.query('DROP ROLE IF EXISTS staying; CREATE ROLE staying');
          await run(a, "SET work_mem = '3MB'", 'SET ROLE leaving');
          await server.query('DROP ROLE leaving');
          await run(b, 'SELECT 1', 'RESET ROLE');
          assert.equal(sqlstateOf(await a.query('SELECT current_user')), '58000');
          if (isExtended) {
            a.send(P('', sql), B('', ''), E(''), S());
            assert.equal(sqlstateOf(await a.readUntilReady()), '');
          } else await run(a, sql);
          assert.equal(await firstValue(a, 'SELECT current_user'), role);
          const memory = sql === 'DISCARD ALL' ? '4MB' : '3MB';
          assert.equal(await firstValue(a, 'SHOW work_mem'), memory);
          await run(a, 'RESET ALL', 'RESET ROLE');
        }
      }));
  }

  it('two clients of different roles share one server connection', async () => {
    const narrow = await startWireProxy(server, driver, { database: { pool_size: 1 } });
    try {
      await withClients(narrow, 2, async (a, b) => {
        await run(a, 'SET ROLE alice');
        await run(b, 'SET ROLE bob');
        const ask = async (client: RawClient): Promise<string[]> => {
          const users: string[] = [];
          for (let round = 0; round < 20; round++)
            users.push((await firstValue(client, 'SELECT current_user')) ?? '');
          return [...new Set(users)];
        };
        assert.deepEqual(await Promise.all([ask(a), ask(b)]), [['alice'], ['bob']]);
      });
    } finally {
      await narrow.stop();
    }
  });

  it('a bad value fails at the SET, and changes nothing', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, "SET work_mem = '3MB'");
      assert.equal(sqlstateOf(await a.query("SET work_mem = 'plenty'")), '22023');
      await onAnotherServer(a, b, async () => assert.equal(await firstValue(a, 'SHOW work_mem'), '3MB'));
    }));

  it('ParameterStatus tells the truth to each client', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, "SET TimeZone = 'Asia/Tokyo'");
      for (let round = 0; round < 3; round++) {
        for (const [client, zone] of [
          [a, 'Asia/Tokyo'],
          [b, 'GMT'],
        ] as const) {
          const { frames } = await client.query('SHOW TimeZone');
          const news = frames.filter(({ type }) => type === 'S').map(({ body }) => body.toString());
          assert.deepEqual(news, [], `told again in round ${round}`);
          if (client === a) assert.equal(await firstValue(client, 'SHOW TimeZone'), zone);
        }
      }
      await run(b, 'SELECT 1');
    }));
});
