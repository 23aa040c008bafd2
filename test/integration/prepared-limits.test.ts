/** Limits of prepared statements, and what a client leaves of them that vanishes. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, C, D, E, P, Q, S } from '../support/frames.js';
import type { RawClient, RawResult } from '../support/raw-client.js';
import { sleep, sqlstateOf, startWireProxy, withClients } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** One batch with Sync at its end. */
async function ask(client: RawClient, ...parts: Buffer[]): Promise<RawResult> {
  client.send(...parts, S());
  return client.readUntilReady();
}

const prepare = (client: RawClient, name: string, sql: string): Promise<RawResult> =>
  ask(client, P(name, sql), D('S', name));
const execute = (client: RawClient, name: string, ...values: string[]): Promise<RawResult> =>
  ask(client, B('', name, { values }), E(''));

forOneDriver('limits of prepared statements', (driver) => {
  it('a client that prepares without end meets its limit, and can go on', async () => {
    const proxy = await startWireProxy(server, driver, { general: { client_prepared_statements_limit: 5 } });
    try {
      await withClients(proxy, 2, async (a, b) => {
        for (let index = 0; index < 5; index++)
          assert.equal(sqlstateOf(await prepare(a, `n${index}`, `SELECT ${index}`)), '');
        assert.equal(sqlstateOf(await prepare(a, 'one more', 'SELECT 6')), '54000');
        assert.equal(sqlstateOf(await a.query('PREPARE one_more AS SELECT 6')), '54000');
        assert.deepEqual((await execute(a, 'n4')).rows, [['4']]);
        await ask(a, C('S', 'n0'));
        assert.equal(sqlstateOf(await prepare(a, 'one more', 'SELECT 6')), '');
        assert.equal(sqlstateOf(await prepare(b, 'n', 'SELECT 1')), '');
      });
    } finally {
      await proxy.stop();
    }
  });

  it('a client that vanishes during PREPARE or DEALLOCATE leaves no name behind, and none missing', async () => {
    const proxy = await startWireProxy(server, driver, { database: { pool_size: 1 } });
    try {
      for (const gone of ['PREPARE q AS SELECT 7', 'DEALLOCATE ALL']) {
        await withClients(proxy, 2, async (a, b) => {
          await prepare(b, 'kept', 'SELECT 8');
          a.send(Q(`SELECT pg_sleep(0.1); ${gone}`));
          await sleep(40);
          a.destroy();
          assert.equal(sqlstateOf(await b.query('BEGIN; PREPARE q AS SELECT 7')), '');
          assert.deepEqual((await execute(b, 'kept')).rows, [['8']]);
          assert.deepEqual((await b.query('EXECUTE q; COMMIT')).rows, [['7']]);
        });
      }
    } finally {
      await proxy.stop();
    }
  });

  it('names beyond a kilobyte in a Bind beyond 64 KB', async () => {
    const proxy = await startWireProxy(server, driver);
    try {
      await withClients(proxy, 1, async (a) => {
        const name = 'n'.repeat(3000);
        await prepare(a, name, 'SELECT length($1::text)');
        const bind = B('', name, { values: ['x'.repeat(100_000)] });
        a.send(bind.subarray(0, 1500));
        await sleep(30);
        assert.deepEqual((await ask(a, bind.subarray(1500), E(''))).rows, [['100000']]);
      });
    } finally {
      await proxy.stop();
    }
  });
});
