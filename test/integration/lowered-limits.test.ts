/** Limits on server connections that a reload lowers while every connection is in use: what comes free ends, over all workers. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import type { TestProxy } from '../support/proxy.js';
import type { TomlTable } from '../support/toml-text.js';
import {
  backends,
  clientsOfAllWorkers,
  eventually,
  firstValue,
  sleep,
  startWireProxy,
} from '../support/wire.js';

const WORKERS = 2;
const CLIENTS = 40;
const HIGH = 20;
const LOW = 4;

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const countOf = async (): Promise<number> => (await backends(server)).length;

/** Clients that ask one statement after the other; gives the errors when it is told to end. */
async function startLoad(proxy: TestProxy): Promise<() => Promise<string[]>> {
  const clients = await clientsOfAllWorkers(proxy, WORKERS, CLIENTS);
  const errors: string[] = [];
  let isRunning = true;
  const loops = clients.map(async (client) => {
    while (isRunning) await firstValue(client, 'SELECT pg_sleep(0.005)').catch((e) => errors.push(String(e)));
    await client.end();
  });
  return async () => {
    isRunning = false;
    await Promise.all(loops).catch(() => undefined);
    return errors;
  };
}

const LIMITS: Record<string, { general?: TomlTable; database?: TomlTable }> = {
  pool_size: { database: { pool_size: HIGH } },
  max_db_connections: { database: { pool_size: 2 * HIGH, max_db_connections: HIGH } },
  max_user_connections: { database: { pool_size: 2 * HIGH }, general: { max_user_connections: HIGH } },
  max_server_conn: { database: { pool_size: 2 * HIGH }, general: { max_server_conn: HIGH } },
};

forOneDriver('lowered limits', (driver) => {
  for (const [key, setting] of Object.entries(LIMITS)) {
    it(`${key}: kept a moment after the reload, and nobody notices`, async () => {
      await eventually('nobody is left', async () => (await countOf()) === 0);
      const { general, database } = setting;
      const proxy = await startWireProxy(server, driver, {
        workers: WORKERS,
        general: { config_watch: false, ...general },
        database: { ...database },
      });
      const file = join(proxy.directory, 'pgdog.toml');
      const first = readFileSync(file, 'utf8');
      const say = async (limit: number): Promise<void> => {
        writeFileSync(file, first.replace(`${key} = ${HIGH}`, `${key} = ${limit}`));
        await proxy.adminQuery('RELOAD');
      };
      const end = await startLoad(proxy);
      try {
        // Several times: connections that change worker in that very moment are to be met.
        for (let round = 0; round < 4; round++) {
          await eventually('the limit is reached', async () => (await countOf()) === HIGH);
          await say(LOW);
          await eventually('what is too much has ended', async () => (await countOf()) <= LOW);
          await sleep(50);
          assert.ok((await countOf()) <= LOW);
          await say(HIGH);
        }
        assert.deepEqual(await end(), []);
        // Idle ones too, of which none comes free.
        await say(LOW);
        await eventually('idle ones end', async () => (await countOf()) <= LOW);
      } finally {
        await end();
        await proxy.stop();
      }
    });
  }
});
