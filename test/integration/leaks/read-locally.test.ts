/** A statement that is parsed under settings of one transaction has other constants, and is nobody else's. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { PREPARE_WAYS } from '../../support/prepare-ways.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import { run, startWireProxy, withClients } from '../../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    initSql:
      "CREATE FUNCTION dmy() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET LOCAL DateStyle TO 'DMY'; END $$;" +
      "CREATE FUNCTION dmy_by_call() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('DateStyle', 'DMY', true); END $$",
  });
});
after(() => server.stop());

const SETS = [
  "SET LOCAL DateStyle = 'DMY'",
  "SELECT set_config('DateStyle', 'DMY', true)",
  "DO $$ BEGIN SET LOCAL DateStyle TO 'DMY'; END $$",
  'SELECT dmy()',
  'SELECT dmy_by_call()',
];
const [MINE, USUAL] = ['2024-02-01', '2024-01-02'];

async function ask(client: RawClient, parts: Buffer[]): Promise<string | null | undefined> {
  client.send(...parts);
  const { error, rows } = await client.readUntilReady();
  assert.equal(error, null);
  return rows[0]?.[0];
}

forOneDriver('statements read locally', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 1 } });
  });
  after(() => proxy.stop());

  for (const [name, way] of Object.entries(PREPARE_WAYS)) {
    for (const set of SETS) {
      it(`${name} behind ${set}`, () =>
        withClients(proxy, 2, async (a, b) => {
          const text = `SELECT '01/02/2024'::date AS "${name} ${set.length}"`;
          await run(a, 'BEGIN', set);
          await ask(a, way.prepare(text));
          assert.equal(await ask(a, way.run), MINE);
          await run(a, 'COMMIT');
          await ask(b, way.prepare(text));
          assert.equal(await ask(b, way.run), USUAL);
        }));

      it(`${name}, and repeated on a server connection behind ${set}`, () =>
        withClients(proxy, 2, async (a, b) => {
          const text = `SELECT $$01/02/2024$$::date AS "${name} ${set.length}"`;
          for (const client of [a, b]) await ask(client, way.prepare(text));
          // Nothing is left of it there.
          await run(a, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", 'BEGIN', set);
          await ask(a, way.run);
          await run(a, 'COMMIT');
          assert.equal(await ask(b, way.run), USUAL);
        }));
    }
  }
});
