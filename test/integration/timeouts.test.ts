/** Every time-out: what the client reads, and that the server connection behind it is clean or gone. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { answer, startFakePostgres } from '../support/fake-postgres.js';
import { d, int32, P, Q, startupPacket } from '../support/frames.js';
import { databaseOf, type TestProxy } from '../support/proxy.js';
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
  untilBusy,
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

forOneDriver('time-outs', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      databases: [
        databaseOf(server, { pool_size: 1 }),
        databaseOf(server, {
          name: 'hurried',
          database_name: 'postgres',
          pool_size: 1,
          checkout_timeout: 1000,
          query_timeout: 60_000,
        }),
      ],
      users: [{ name: 'postgres', password: 'postgres' }],
      // Otherwise the kernel keeps a silent client to itself.
      tcp: { defer_accept: false },
      general: {
        checkout_timeout: 30_000,
        query_timeout: 2500,
        client_idle_in_transaction_timeout: 250,
        client_idle_timeout: 3000,
        client_login_timeout: 2500,
      },
    });
  });
  after(() => proxy.stop());

  /** With the one server connection taken by `a` until it is cancelled. */
  async function whileItIsTaken(body: (a: RawClient, b: RawClient) => Promise<void>): Promise<void> {
    // Where nobody has a connection yet its making may take longer than these clients have.
    await eventually('the pool is warm', async () => {
      const client = await RawClient.open({ port: proxy.port, password: 'postgres', database: 'hurried' });
      const { error } = await client.login();
      client.destroy();
      return error === null;
    });
    const a = await clientOf(proxy, { database: 'hurried' });
    const b = await clientOf(proxy, { database: 'hurried' });
    a.send(Q('SELECT pg_sleep(100)'));
    await untilBusy(server);
    await body(a, b);
    await a.end();
    await b.end();
  }

  it('checkout_timeout: an ERROR that names the limits, and the client stays', () =>
    whileItIsTaken(async (a, b) => {
      let result = await b.query('SELECT 1');
      assert.equal(sqlstateOf(result), '58000');
      assert.equal(result.error?.['S'], 'ERROR');
      assert.match(result.error?.['M'] ?? '', /checkout timeout.*"hurried".*1000 ms.*pool_size = 1/);
      assert.equal(result.status, 'I');
      await a.cancel();
      await a.readUntilReady();
      await eventually('it is served', async () => {
        result = await b.query('SELECT 1');
        return result.error === null;
      });
      assert.deepEqual(result.rows, [['1']]);
    }));

  it('checkout_timeout in an extended batch skips to Sync', () =>
    whileItIsTaken(async (a, b) => {
      b.send(P('', 'SELECT 1'), P('', 'SELECT 2'), Buffer.from([0x53, 0, 0, 0, 4]));
      const result = await b.readUntilReady();
      assert.equal(result.frames.map(({ type }) => type).join(''), 'EZ');
      await a.cancel();
      await a.readUntilReady();
      await eventually('it is served', async () => (await b.query('SELECT 3')).error === null);
    }));

  it('query_timeout: 57014, the statement is cancelled, the pool whole', async () => {
    const a = await clientOf(proxy);
    a.send(Q('SELECT pg_sleep(300)'));
    let told: Record<string, string> | null = null;
    const tookMs = await elapsedMs(async () => {
      told = (await a.expectClosed()).error;
    });
    assert.equal(told?.['C'], '57014');
    assert.ok(tookMs > 2400, `${tookMs} ms`);
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
    // In one message: between two it would be idle, and behind it when its answer is read late.
    a.send(Q("BEGIN; INSERT INTO sink VALUES ('lost')"));
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
    // One statement behind the other: how long the test is kept from asking does not matter.
    for (let round = 0; round < 20; round++) await run(busy, 'SELECT pg_sleep(0.2)');
    assert.equal((await ended).error?.['C'], '57P05');
    assert.equal(await firstValue(busy, 'SELECT 1'), '1');
    await busy.end();
  });

  it('client_idle_timeout counts from the end of an answer, however long that took', async () => {
    // Again where a machine that stands still makes it more: counted from the question on it is too much each time.
    await eventually('it is still there', async () => {
      const a = await clientOf(proxy);
      try {
        await run(a, 'SELECT pg_sleep(2)');
        await sleep(1700);
        return (await firstValue(a, 'SELECT 1')) === '1';
      } catch {
        return false;
      } finally {
        a.destroy();
      }
    });
  });

  const slow: Record<string, Buffer[]> = {
    silence: [],
    'half a startup packet': [startupPacket({ user: 'postgres', database: 'postgres' }).subarray(0, 20)],
    'a startup packet and no password': [startupPacket({ user: 'postgres', database: 'postgres' })],
    'an SSLRequest and nothing more': [Buffer.concat([int32(8), int32(80877103)])],
  };
  it(`client_login_timeout ends ${Object.keys(slow).join(', ')}`, async () => {
    await Promise.all(
      Object.values(slow).map(async (parts) => {
        const client = await RawClient.open({ port: proxy.port });
        if (parts.length > 0) client.send(...parts);
        await client.expectClosed();
        client.destroy();
      }),
    );
    await withClients(proxy, 1, async (b) => assert.equal(await firstValue(b, 'SELECT 1'), '1'));
  });
});

forOneDriver('a server that never answers', (driver) => {
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
    const proxy = await startWireProxy(fake, driver, { general: { query_timeout: 10_000 } });
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
