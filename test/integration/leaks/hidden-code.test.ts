/** Code that no statement names: triggers, views, defaults, policies, checks, operators, casts, overloads. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../../support/proxy.js';
import { clientOf, eventually, firstValue, run, withClients } from '../../support/wire.js';

const LEAK = `
  CREATE FUNCTION leak() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '77MB', false) $$;
  CREATE TABLE plain (x text);
  INSERT INTO plain VALUES ('a');`;

/** What defines it, and a statement that runs it. */
const HIDDEN: Record<string, [define: string, use: string]> = {
  'a trigger': [
    `CREATE FUNCTION by_trigger() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM leak(); RETURN NEW; END $$;
     CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION by_trigger()`,
    "INSERT INTO plain VALUES ('b')",
  ],
  'an event trigger': [
    `CREATE FUNCTION by_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; END $$;
     CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION by_event()`,
    'CREATE TABLE IF NOT EXISTS made (x int)',
  ],
  'a view of a function': ['CREATE VIEW v AS SELECT leak() AS x', 'SELECT * FROM v'],
  'a view of set_config': [
    "CREATE VIEW v AS SELECT set_config('work_mem', '77MB', false) AS x",
    'SELECT * FROM v',
  ],
  'a rule': ['CREATE RULE r AS ON UPDATE TO plain DO ALSO SELECT leak()', "UPDATE plain SET x = 'c'"],
  'a default': ['CREATE TABLE d (x text DEFAULT leak())', 'INSERT INTO d DEFAULT VALUES'],
  'a check': ["CREATE TABLE k (x text CHECK (leak() <> ''))", "INSERT INTO k VALUES ('a')"],
  'a domain': ["CREATE DOMAIN short AS text CHECK (leak() <> '')", "SELECT 'a'::short"],
  'an operator': [
    `CREATE FUNCTION by_operator(a text, b text) RETURNS text LANGUAGE sql AS $$ SELECT leak() || a || b $$;
     CREATE OPERATOR ### (FUNCTION = by_operator, LEFTARG = text, RIGHTARG = text)`,
    "SELECT 'a'::text ### 'b'::text",
  ],
  'a cast': [
    `CREATE TYPE pair AS (a int, b int);
     CREATE FUNCTION by_cast(p pair) RETURNS text LANGUAGE sql AS $$ SELECT leak() $$;
     CREATE CAST (pair AS text) WITH FUNCTION by_cast(pair)`,
    'SELECT (ROW(1, 2)::pair)::text',
  ],
  'a function named like a harmless one': [
    'CREATE FUNCTION lower(x int) RETURNS text LANGUAGE sql AS $$ SELECT leak() $$',
    'SELECT lower(1)',
  ],
};

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
  for (const index of Object.keys(HIDDEN).keys()) {
    await server.query(`CREATE DATABASE hidden${index}`);
  }
});
after(() => server.stop());

forOneDriver('hidden code', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
      databases: [...Object.keys(HIDDEN).keys()].map((index) => ({
        ...databaseOf(server),
        name: `hidden${index}`,
        pool_size: 1,
      })),
      general: { auth_type: 'trust', min_pool_size: 0, log_connections: false, log_disconnections: false },
    });
  });
  after(() => proxy.stop());

  for (const [index, [name, [define, use]]] of Object.entries(HIDDEN).entries()) {
    const lane = { database: `hidden${index}` };
    it(`${name}: what it sets is not met, whether it was there first or is made through the proxy`, async () => {
      const a = await clientOf(proxy, lane);
      await run(a, 'BEGIN', `DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${LEAK}`, 'COMMIT');
      // Made and used in one transaction; then by others, who know nothing of it.
      await run(a, 'BEGIN', define, use, 'COMMIT');
      for (let round = 0; round < 3; round++) {
        const b = await clientOf(proxy, lane);
        assert.equal(await firstValue(b, 'SHOW work_mem'), '4MB', `round ${round}`);
        await run(b, use);
        assert.equal(await firstValue(b, 'SHOW work_mem'), '77MB', 'it did not set anything');
        await b.end();
      }
      await a.query('DROP EVENT TRIGGER IF EXISTS e');
      await a.end();
    });
  }

  it('a trigger made over another connection is known after a while', async () => {
    const lane = { database: 'hidden0' };
    const direct = await clientOf(server, lane);
    await run(direct, `DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${LEAK}`);
    await run(direct, HIDDEN['a trigger']?.[0] ?? '');
    await direct.end();
    // A worker believes what it knows for some time: DDL through it makes it look again at once.
    const ddl = await clientOf(proxy, lane);
    await run(ddl, 'CREATE VIEW harmless AS SELECT 1', 'SELECT 1');
    await ddl.end();
    await eventually('nothing left', async () => {
      const a = await clientOf(proxy, lane);
      await run(a, "INSERT INTO plain VALUES ('x')");
      await a.end();
      return withClients(proxy, 0, async () => {
        const b = await clientOf(proxy, lane);
        const value = await firstValue(b, 'SHOW work_mem');
        await b.end();
        return value === '4MB';
      });
    });
  });
});
