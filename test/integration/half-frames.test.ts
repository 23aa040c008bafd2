/** A frame of which only the beginning has come holds its server connection: nobody else's bytes may become its body. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { md5Answer } from '../support/client-auth.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { d, frame, p, Q, startupPacket, text } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { firstValue, sleep, startWireProxy, withClients } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE numbers (n int)' });
});
after(() => server.stop());

/** A frame of CopyData whose end is kept back; it holds what would be a statement of its own. */
const WHOLE = d(Buffer.concat([Q("SELECT 'smuggled'"), Buffer.alloc(200, 0x20)]));
const KEPT_BACK = 100;

/** Leaves `client` with its exchange answered and a frame half sent. */
const HALF_SENT: Record<string, (client: RawClient) => Promise<void>> = {
  'copy data that nobody asked for, behind a Query': async (client) => {
    client.send(Q('SELECT 1'), WHOLE.subarray(0, -KEPT_BACK));
    assert.deepEqual((await client.readUntilReady()).rows, [['1']]);
  },
  'a CopyFail behind a Query': async (client) => {
    client.send(Q('SELECT 1'), frame('f', Buffer.alloc(200, 0x78), Buffer.from([0])).subarray(0, -KEPT_BACK));
    await client.readUntilReady();
  },
  'a COPY that fails in the middle of its data': async (client) => {
    client.send(Q('COPY numbers FROM STDIN'));
    await client.readUntil('G');
    client.send(d('not a number\n'), WHOLE.subarray(0, -KEPT_BACK));
    assert.equal((await client.readUntilReady()).error?.C, '22P02');
  },
};

forEachDriver('half a frame', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 1 } });
  });
  after(() => proxy.stop());

  for (const [name, sendHalf] of Object.entries(HALF_SENT)) {
    it(`${name}: the next client waits for its end, and is served well`, async () => {
      await withClients(proxy, 2, async (first, second) => {
        await sendHalf(first);
        second.send(Q("SELECT 'mine'"));
        await second.expectSilence(150);
        first.send(WHOLE.subarray(-KEPT_BACK));
        assert.deepEqual((await second.readUntilReady()).rows, [['mine']]);
        assert.equal(await firstValue(first, 'SELECT 2'), '2');
      });
    });

    it(`${name}: the client vanishes, and the next one gets a connection that is whole`, async () => {
      await withClients(proxy, 2, async (first, second) => {
        await sendHalf(first);
        await sleep(50);
        first.destroy();
        assert.equal(await firstValue(second, "SELECT 'mine'"), 'mine');
      });
    });
  }

  it('a client that never ends its frame is told so by client_idle_in_transaction_timeout', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1 },
      general: { client_idle_in_transaction_timeout: 200 },
    });
    try {
      await withClients(proxy, 2, async (first, second) => {
        first.send(Q('SELECT 1'), WHOLE.subarray(0, -KEPT_BACK));
        await first.readUntilReady();
        assert.equal((await first.expectClosed()).error?.C, '25P03');
        assert.equal(await firstValue(second, "SELECT 'mine'"), 'mine');
      });
    } finally {
      await proxy.stop();
    }
  });

  it('a password that comes in two pieces logs in', async () => {
    const proxy = await startWireProxy(server, driver, { general: { auth_type: 'md5' } });
    try {
      // What the server reports is known after the first: the second login ends at once.
      for (let round = 0; round < 2; round++) {
        const client = await RawClient.open({ port: proxy.port });
        client.send(startupPacket({ user: 'postgres', database: 'postgres' }));
        const { body } = await client.readFrame();
        const password = p(text(md5Answer('postgres', 'postgres', body.subarray(4))));
        client.send(password.subarray(0, 20));
        await sleep(30);
        client.send(password.subarray(20));
        assert.equal((await client.readUntilReady()).error, null);
        assert.equal(await firstValue(client, 'SELECT 1'), '1');
        await client.end();
      }
    } finally {
      await proxy.stop();
    }
  });
});
