/** Every time-out: what the client reads, and that the server connection behind it is clean or gone. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { answer, startFakePostgres } from '../support/fake-postgres.js';
import { d, int32, P, Q, startupPacket } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  run,
  sleep,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

const elapsedMs = async (body: () => Promise<unknown>): Promise<number> => {
  const since = performance.now();
  await body();
  return performance.now() - since;
};

forEachDriver('time-outs', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1 },
      // Otherwise the kernel keeps a silent client to itself.
      tcp: { defer_accept: false },
      general: {
        checkout_timeout: 300,
        query_timeout: 1200,
        client_idle_in_transaction_timeout: 250,
        client_idle_timeout: 1500,
        client_login_timeout: 600,
      },
    });
  });
  after(() => proxy.stop());

  it('checkout_timeout: an ERROR that names the limits, and the client stays', () =>
    withClients(proxy, 2, async (a, b) => {
      a.send(Q('SELECT pg_sleep(1)'));
      await sleep(20);
      let result = await b.query('SELECT 1');
      assert.equal(sqlstateOf(result), '58000');
      assert.equal(result.error?.['S'], 'ERROR');
      assert.match(result.error?.['M'] ?? '', /checkout timeout.*"postgres".*300 ms.*pool_size = 1/);
      assert.equal(result.status, 'I');
      await a.readUntilReady();
      result = await b.query('SELECT 1');
      assert.deepEqual(result.rows, [['1']]);
    }));

  it('checkout_timeout in an extended batch skips to Sync', () =>
    withClients(proxy, 2, async (a, b) => {
      a.send(Q('SELECT pg_sleep(1)'));
      await sleep(20);
      b.send(P('', 'SELECT 1'), P('', 'SELECT 2'), Buffer.from([0x53, 0, 0, 0, 4]));
      const result = await b.readUntilReady();
      assert.equal(result.frames.map(({ type }) => type).join(''), 'EZ');
      await a.readUntilReady();
      assert.equal(await firstValue(b, 'SELECT 3'), '3');
    }));

  it('query_timeout: 57014, the statement is cancelled, the pool whole', async () => {
    const a = await clientOf(proxy);
    a.send(Q('SELECT pg_sleep(30)'));
    let told: Record<string, string> | null = null;
    const tookMs = await elapsedMs(async () => {
      told = (await a.expectClosed()).error;
    });
    assert.equal(told?.['C'], '57014');
    assert.ok(tookMs > 1100 && tookMs < 3000, `${tookMs} ms`);
    await withClients(proxy, 1, async (b) => {
      assert.equal(await firstValue(b, 'SELECT 1'), '1');
      await eventually('cancelled on the server', async () =>
        (await backends(server)).every(({ state }) => state !== 'active'),
      );
    });
  });

  it('query_timeout in COPY: the table is untouched', async () => {
    const a = await clientOf(proxy);
    a.send(Q('COPY sink FROM STDIN'), d('half\n'));
    const { error } = await a.expectClosed();
    assert.equal(error?.['C'], '57014');
    await withClients(proxy, 1, async (b) =>
      assert.equal(await firstValue(b, 'SELECT count(*) FROM sink'), '0'),
    );
  });

  it('client_idle_in_transaction_timeout: 25P03, rolled back', async () => {
    const a = await clientOf(proxy);
    await run(a, 'BEGIN', "INSERT INTO sink VALUES ('lost')");
    const { error } = await a.expectClosed();
    assert.equal(error?.['C'], '25P03');
    assert.equal(error?.['S'], 'FATAL');
    await withClients(proxy, 1, async (b) =>
      assert.equal(await firstValue(b, 'SELECT count(*) FROM sink'), '0'),
    );
  });

  it('client_idle_timeout: 57P05, and a client that works is left alone', async () => {
    const [idle, busy] = [await clientOf(proxy), await clientOf(proxy)];
    await run(idle, 'SELECT 1');
    const ended = idle.expectClosed();
    for (let round = 0; round < 25; round++) {
      await run(busy, 'SELECT 1');
      await sleep(100);
    }
    assert.equal((await ended).error?.['C'], '57P05');
    assert.equal(await firstValue(busy, 'SELECT 1'), '1');
    await busy.end();
  });

  const slow: Record<string, Buffer[]> = {
    silence: [],
    'half a startup packet': [startupPacket({ user: 'postgres', database: 'postgres' }).subarray(0, 20)],
    'a startup packet and no password': [startupPacket({ user: 'postgres', database: 'postgres' })],
    'an SSLRequest and nothing more': [Buffer.concat([int32(8), int32(80877103)])],
  };
  for (const [name, parts] of Object.entries(slow)) {
    it(`client_login_timeout ends ${name}`, async () => {
      const client = await RawClient.open({ port: proxy.port });
      if (parts.length > 0) client.send(...parts);
      const tookMs = await elapsedMs(() => client.expectClosed(3000));
      assert.ok(tookMs < 2000, `${tookMs} ms`);
      client.destroy();
      await withClients(proxy, 1, async (b) => assert.equal(await firstValue(b, 'SELECT 1'), '1'));
    });
  }
});

forEachDriver('a server that never answers', (driver) => {
  it('connect_timeout: tried again, clients told within checkout_timeout, service once it speaks', async () => {
    const fake = await startFakePostgres({ isMute: true });
    const proxy = await startWireProxy(fake, driver, {
      general: { connect_timeout: 200, checkout_timeout: 500 },
    });
    try {
      const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
      const { error } = await client.login();
      assert.equal(error?.['C'], '58000');
      assert.match(error?.['M'] ?? '', /timed out after 200 ms/);
      client.destroy();
      fake.script({ isMute: false });
      await eventually('served', async () => {
        const next = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const isServed = (await next.login()).error === null && (await next.query('SELECT 1')).error === null;
        next.destroy();
        return isServed;
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('query_timeout does not end the first login of a pool before its time', async () => {
    const fake = await startFakePostgres({
      onFrame: async (connection, frame) => {
        if (frame.type === 'Q') await sleep(300);
        answer(connection, frame);
      },
    });
    const proxy = await startWireProxy(fake, driver, { general: { query_timeout: 2000 } });
    try {
      const client = await RawClient.open({
        port: proxy.port,
        password: 'postgres',
        parameters: { application_name: 'slow' },
      });
      assert.equal((await client.login()).error, null);
      await client.end();
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});
