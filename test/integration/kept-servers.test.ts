// A server connection that a client keeps is lost: what it had there is lost with it, and the client is told, at whatever moment that is.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { clientOf, run, sleep, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
let relay: TcpRelay;

before(async () => {
  server = await startPostgres();
  relay = await TcpRelay.open(server.port);
});

after(async () => {
  relay?.close();
  await server?.stop();
});

/** Both wait in their sockets for a worker that goes on, the request first. */
async function askAndReset(proxy: TestProxy, client: RawClient, sql: string): Promise<void> {
  proxy.kill('SIGSTOP');
  // All its threads have stopped.
  await sleep(100);
  client.send(Q(sql));
  await sleep(50);
  relay.reset();
  await sleep(50);
  proxy.kill('SIGCONT');
}

forEachDriver('the next request and the end of the server connection come in one turn', (driver) => {
  for (const [what, mode, first, second] of [
    ['settings in session mode', 'session', "SET application_name TO 'kept'", 'SHOW application_name'],
    ['a temporary table', 'transaction', 'CREATE TEMP TABLE kept (x int)', 'CREATE TEMP TABLE kept (x int)'],
    ['an advisory lock', 'transaction', 'SELECT pg_advisory_lock(1)', 'SELECT pg_try_advisory_lock(1)'],
    ['LISTEN', 'transaction', 'LISTEN kept', 'SELECT 1'],
  ] as const) {
    it(`${what}: the request is not asked where that is not`, async () => {
      const proxy = await startWireProxy(relay, driver, {
        database: { pooler_mode: mode },
        general: { pub_sub_channel_size: 0 },
      });
      try {
        const client = await clientOf(proxy);
        await run(client, first, 'SELECT 2');
        await askAndReset(proxy, client, second);
        const { error, rows } = await client.expectClosed();
        assert.deepEqual([rows, error?.['C'], error?.['S']], [[], '08006', 'FATAL']);
      } finally {
        proxy.kill('SIGCONT');
        await proxy.stop();
      }
    });
  }

  it('what a client asks first on a server connection is asked of another one', async () => {
    const proxy = await startWireProxy(relay, driver, { database: { pooler_mode: 'session' } });
    try {
      const before = await clientOf(proxy);
      await run(before, 'SELECT 1');
      await before.end();
      const client = await clientOf(proxy);
      await askAndReset(proxy, client, 'SELECT 1');
      assert.equal((await client.readUntilReady()).error, null);
      await client.end();
    } finally {
      proxy.kill('SIGCONT');
      await proxy.stop();
    }
  });
});
