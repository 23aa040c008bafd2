/** RESET in all its forms leads to what the client asked for at start-up, as on a Postgres of its own. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, D, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { assertSameAsDirect, batch, clientOf, firstValue, run, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE SEQUENCE counter' });
});
after(() => server.stop());

/** Set at start-up, by both ways; the list is one that SET would quote as a whole. */
const PARAMETERS = {
  application_name: "it's\\me",
  DateStyle: 'SQL, DMY',
  options: '-c work_mem=7MB -c search_path=pg_catalog,"Odd",public -c my.own=mine',
};
const NAMES = ['application_name', 'DateStyle', 'work_mem', 'search_path', 'my.own'];
const SHOWN = `SELECT concat_ws('|', ${NAMES.map((name) => `current_setting('${name}')`).join(', ')})`;
const CHANGE =
  "SET application_name = 'b'; SET work_mem = '9MB'; SET search_path = 'a'; SET my.own = 'c'; SET DateStyle = 'German'";

/** Each runs on a connection of its own with everything changed first; what it leaves must be the same as directly. */
const RESETS: Record<string, string[]> = {
  'RESET x': ['RESET work_mem'],
  'SET x TO DEFAULT': ['SET search_path TO DEFAULT', 'SET my.own TO DEFAULT'],
  'RESET ALL': ['RESET ALL'],
  'DISCARD ALL': ['DISCARD ALL'],
  'set_config(NULL)': ["SELECT set_config('work_mem', NULL, false)"],
  'rolled back': ['BEGIN', 'RESET work_mem', 'ROLLBACK'],
  committed: ['BEGIN', 'RESET work_mem', 'SELECT 1', 'COMMIT'],
  savepoints: ['BEGIN', 'SAVEPOINT a', 'RESET ALL', 'ROLLBACK TO a', 'COMMIT'],
  'savepoints, kept': [
    'BEGIN',
    'SAVEPOINT a',
    'RESET ALL',
    'SELECT 1',
    'RELEASE a',
    'SET work_mem = 100',
    'COMMIT',
  ],
  'in a failed transaction': ['BEGIN', 'RESET work_mem', 'SELECT 1/0', 'SELECT 1', 'ROLLBACK'],
  'set again behind it': ['RESET work_mem', "SET work_mem = '11MB'", 'RESET my.own'],
  'RESET x, more in one text': [`RESET work_mem; ${SHOWN}`],
  'RESET ALL, more in one text': [`RESET ALL; ${SHOWN}; SET work_mem = '12MB'; RESET search_path; ${SHOWN}`],
  'SET TO DEFAULT, more in one text': [
    `/* réset */ SET search_path TO DEFAULT -- ok\n; ${SHOWN}; SELECT 'é'`,
  ],
  'in one text, and an error': [`RESET ALL; ${SHOWN}; SELECT 1/0`],
  'in one text, and rolled back': [`BEGIN; RESET ALL; ${SHOWN}; ROLLBACK; ${SHOWN}`],
  'in one text, of what was not set': [`SET enable_sort = off; RESET enable_sort; ${SHOWN}`],
};

for (const mode of ['transaction', 'session']) {
  forOneDriver(`resets, ${mode} mode`, (driver) => {
    let proxy: TestProxy;
    before(async () => {
      proxy = await startWireProxy(server, driver, { database: { pool_size: 1, pooler_mode: mode } });
    });
    after(() => proxy.stop());

    for (const [name, statements] of Object.entries(RESETS)) {
      it(name, () =>
        assertSameAsDirect(
          proxy,
          server,
          async (client) => {
            await run(client, CHANGE);
            const frames = [];
            for (const sql of [...statements, SHOWN]) {
              const answer = await client.query(sql);
              // What set_config(NULL) itself returns is the server's default: the value of before comes behind it.
              if (!sql.startsWith('SELECT set_config')) frames.push(...answer.frames);
            }
            // When a change is reported is not the same: our settings come with the next request.
            return frames.filter(({ type }) => type !== 'S');
          },
          { parameters: PARAMETERS },
        ),
      );
    }

    it('what is reported at the end is what is in force', async () => {
      for (const to of [server, proxy]) {
        const client = await clientOf(to, { parameters: PARAMETERS });
        await run(client, CHANGE, 'RESET ALL', 'SELECT 1');
        const told = client.parameters['application_name'];
        assert.equal(told, PARAMETERS.application_name);
        await client.end();
      }
    });

    it('in the extended protocol, by names, and parsed again under the same name', async () => {
      const script = async (client: RawClient) => {
        await run(client, CHANGE);
        const results = await batch(
          6,
          P('r', 'RESET work_mem'),
          P('', 'RESET my.own'),
          S(),
          B('', ''),
          D('P', ''),
          E(''),
          S(),
          B('p', 'r'),
          E('p'),
          S(),
          P('r', 'RESET application_name'),
          S(),
          Q('DEALLOCATE r'),
          P('r', 'SELECT 1'),
          B('', 'r'),
          E(''),
          S(),
        )(client);
        return [...results, ...(await client.query(SHOWN)).frames].filter(({ type }) => type !== 'S');
      };
      await assertSameAsDirect(proxy, server, script, { parameters: PARAMETERS });
    });

    it('a client without start-up settings', () =>
      assertSameAsDirect(
        proxy,
        server,
        async (client) =>
          (await client.query(`${CHANGE}; RESET ALL; SHOW work_mem; RESET work_mem; SELECT 1`)).frames,
      ));

    it('what a sequence has told is known behind a RESET in the same text', {
      skip: mode !== 'session',
    }, async () => {
      const client = await clientOf(proxy, { parameters: PARAMETERS });
      const first = Number(await firstValue(client, "SELECT nextval('public.counter')"));
      await run(client, "SELECT currval('public.counter'); RESET work_mem");
      assert.equal(await firstValue(client, "SELECT currval('public.counter')"), String(first));
      await client.end();
    });
  });
}
