/** What one client may take: time-outs per database and user, sizes, and the time to log in. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { P, Q, S, startupPacket } from '../support/frames.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
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
  server = await startPostgres({ users: [{ name: 'alice' }], initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

const isRunning = async (fragment: string): Promise<boolean> => {
  const rows = await server.query(
    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
    [`%${fragment}%`],
  );
  return rows.length > 0;
};

forOneDriver('transaction_timeout', (driver) => {
  it('25P04 whether it runs or idles; rolled back, cancelled, and the pool is whole', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1, transaction_timeout: 300 },
    });
    try {
      const idle = await clientOf(proxy);
      // In one message: a machine may be slow between two, and before the answer.
      idle.send(Q("BEGIN; INSERT INTO sink VALUES ('lost')"));
      const told = await idle.expectClosed();
      assert.equal(told.error?.['C'], '25P04');
      assert.equal(told.error?.['S'], 'FATAL');
      assert.match(told.error?.['M'] ?? '', /300 ms/);
      const busy = await clientOf(proxy);
      // Each statement is short: only the transaction is too long.
      busy.send(Q("BEGIN; INSERT INTO sink VALUES ('lost')"));
      await busy.readUntilReady().catch(() => undefined);
      await eventually('it is closed', async () => {
        await busy.query('SELECT pg_sleep(0.02)').catch(() => undefined);
        return busy.isClosed;
      });
      const long = await clientOf(proxy);
      long.send(Q('SELECT pg_sleep(210)'));
      assert.equal((await long.expectClosed()).error?.['C'], '25P04');
      // Again where a machine that stands still makes one of them too long: what is one to the proxy never gets through.
      let found: string | null = null;
      await eventually('several transactions are not one', async () => {
        const next = await clientOf(proxy);
        try {
          // On the only server connection: nothing of those before is seen.
          found = await firstValue(next, 'SELECT count(*) FROM sink');
          await run(next, 'BEGIN; COMMIT', 'SELECT 1');
          await sleep(400);
          // Long enough to be looked at.
          return (await firstValue(next, 'SELECT 1 FROM pg_sleep(0.15)')) === '1';
        } catch {
          return false;
        } finally {
          next.destroy();
        }
      });
      assert.equal(found, '0');
      await eventually('cancelled', async () => !(await isRunning('pg_sleep(210)')));
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('time-outs of one database or user', (driver) => {
  it('user over database over general', async () => {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [
        databaseOf(server, { password: 'postgres', user: 'postgres', query_timeout: 300, pool_size: 2 }),
        databaseOf(server, { name: 'free', database_name: 'postgres', pool_size: 1, checkout_timeout: 200 }),
      ],
      users: [
        { name: 'postgres', password: 'postgres', client_idle_in_transaction_timeout: 250 },
        { name: 'alice', password: 'alice', query_timeout: 0, client_idle_timeout: 2000 },
      ],
      general: { min_pool_size: 0, auth_type: 'trust', checkout_timeout: 90_000 },
    });
    try {
      const postgres = await clientOf(proxy);
      postgres.send(Q('SELECT pg_sleep(200)'));
      const told = await postgres.expectClosed();
      assert.equal(told.error?.['C'], '57014');
      assert.match(told.error?.['M'] ?? '', /query timeout \(300 ms\)/);
      const alice = await clientOf(proxy, { user: 'alice' });
      assert.equal(sqlstateOf(await alice.query('SELECT pg_sleep(0.6)')), '', 'her own: none');
      assert.equal((await alice.expectClosed()).error?.['C'], '57P05');
      // The making of the first server connection may take longer than a client has.
      await eventually('the pool is warm', async () => {
        const first = await RawClient.open({ port: proxy.port, password: 'postgres', database: 'free' });
        const { error } = await first.login();
        first.destroy();
        return error === null;
      });
      const holder = await clientOf(proxy, { database: 'free' });
      const waiter = await clientOf(proxy, { database: 'free' });
      // Not idle for as long as the other one waits; in one message, for between two it would be.
      holder.send(Q('BEGIN; SELECT pg_sleep(300)'));
      await eventually('it runs', () => isRunning('pg_sleep(300)'));
      assert.match((await waiter.query('SELECT 1')).error?.['M'] ?? '', /in 200 ms \(pool_size = 1\)/);
      await holder.cancel();
      assert.equal(sqlstateOf(await holder.readUntilReady()), '57014');
      assert.equal((await holder.expectClosed()).error?.['C'], '25P03');
      await eventually('its place is free', async () => (await waiter.query('SELECT 1')).error === null);
      waiter.destroy();
    } finally {
      await proxy.stop();
    }
  });

  it('query_wait_notify: a NOTICE once per wait', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 1 },
      general: { query_wait_notify: 150 },
    });
    try {
      await withClients(proxy, 2, async (holder, waiter) => {
        await run(holder, 'BEGIN');
        waiter.send(Q('SELECT 1'));
        assert.equal((await waiter.readFrame()).type, 'N');
        await waiter.expectSilence(350);
        await run(holder, 'COMMIT');
        const letters = (await waiter.readUntilReady()).frames.map(({ type }) => type).join('');
        assert.equal(letters, 'TDCZ');
        const result = await waiter.query('SELECT 1');
        assert.equal(result.frames.map(({ type }) => type).join(''), 'TDCZ');
      });
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('sizes', (driver) => {
  it('max_packet_size, query_size_limit, statements per client: SQLSTATE, limit and value', async () => {
    const proxy = await startWireProxy(server, driver, {
      general: {
        max_packet_size: 70_000,
        query_size_limit: 1000,
        query_size_limit_action: 'block',
        client_prepared_statements_limit: 2,
      },
    });
    try {
      await withClients(proxy, 1, async (client) => {
        const long = `SELECT '${'x'.repeat(1000)}'`;
        const refused = await client.query(long);
        assert.equal(sqlstateOf(refused), '54000');
        assert.match(refused.error?.['M'] ?? '', /1009 bytes exceeds query_size_limit \(1000 bytes\)/);
        client.send(P('', long), S());
        const parsed = await client.readUntilReady();
        assert.equal(sqlstateOf(parsed), '54000');
        client.send(P('a', 'SELECT 1'), P('b', 'SELECT 2'), P('c', 'SELECT 3'), S());
        const third = await client.readUntilReady();
        assert.equal(third.frames.map(({ type }) => type).join(''), '11EZ');
        assert.equal(sqlstateOf(third), '54000');
        assert.match(third.error?.['M'] ?? '', /client_prepared_statements_limit = 2/);
        assert.equal(await firstValue(client, 'SELECT 1'), '1', 'it stays connected');
      });
      const client = await clientOf(proxy);
      client.send(Q('x'.repeat(80_000)));
      const told = await client.expectClosed();
      assert.equal(told.error?.['C'], '54000');
      assert.match(told.error?.['M'] ?? '', /80005 bytes exceeds max_packet_size \(70000 bytes\)/);
      const other = await clientOf(proxy);
      other.send(Q("SELECT repeat('x', 80000)"));
      const answered = await other.expectClosed();
      assert.equal(answered.error?.['C'], '58000');
      assert.match(answered.error?.['M'] ?? '', /message of 80\d+ bytes exceeds max_packet_size/);
      await withClients(proxy, 1, (next) => run(next, 'SELECT 1'));
      other.destroy();
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('clients that only connect', (driver) => {
  const sayNothing = async (): Promise<void> => {
    const proxy = await startWireProxy(server, driver, { general: { logins_in_progress_max: 3 } });
    try {
      const silent: RawClient[] = [];
      while (silent.length < 4) {
        const one = await RawClient.open({ port: proxy.port });
        // Of those that send nothing the kernel does not even tell: the beginning of a packet.
        one.send(Buffer.from([0, 0, 0]));
        silent.push(one);
        await sleep(20);
      }
      // Not only when their login times out, after a minute.
      const client = await clientOf(proxy);
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      // First come, first served: all that came earlier were given their turn, and had nothing to say.
      const told = await (silent[0] as RawClient).expectClosed();
      assert.equal(told.error?.['C'], '57P05');
      await withClients(proxy, 1, (next) => run(next, 'SELECT 1'));
      for (const one of [...silent, client]) one.destroy();
    } finally {
      await proxy.stop();
    }
  };

  const sayLittle = async (): Promise<void> => {
    const proxy = await startWireProxy(server, driver, { general: { logins_in_progress_max: 3 } });
    const packet = startupPacket({
      user: 'postgres',
      database: 'postgres',
      application_name: 'x'.repeat(200),
    });
    const slow: RawClient[] = [];
    let at = 0;
    const feeding = setInterval(() => {
      const byte = packet.subarray(at, ++at);
      for (const one of slow) one.send(byte);
    }, 500);
    try {
      while (slow.length < 3) slow.push(await RawClient.open({ port: proxy.port }));
      await sleep(1_000);
      const startMs = performance.now();
      const client = await clientOf(proxy, { timeoutMs: 40_000 });
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      assert.ok(performance.now() - startMs < 30_000);
      client.destroy();
    } finally {
      clearInterval(feeding);
      for (const one of slow) one.destroy();
      await proxy.stop();
    }
  };

  // At once, for they wait for five and fifteen seconds.
  it('do not keep others from logging in, nor do those that send a byte now and then', async () => {
    await Promise.all([sayNothing(), sayLittle()]);
  });
});
