/** A server that refuses or fails: clients are told at once where waiting is of no use, and one attempt at a time looks for its return. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { type FakePostgres, startFakePostgres } from '../support/fake-postgres.js';
import { backend } from '../support/frames.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  eventually,
  firstValue,
  run,
  sleep,
  startWireProxy,
  untilNoServers,
} from '../support/wire.js';

/** Longer than a login takes, even where other things run beside. */
const RETRY_MS = 2000;

const refuse = (sqlstate: string, message: string) => ({
  onStartup: (connection: FakePostgres['connections'][number]) => {
    connection.send(backend.error(sqlstate, message, 'FATAL'));
    connection.close();
  },
});

/** Logs in, or gives the error, and how long that took. */
async function attempt(port: number): Promise<{ error: Record<string, string> | null; ms: number }> {
  const since = performance.now();
  const client = await RawClient.open({ port, password: 'postgres' });
  const { error } = await client.login();
  client.destroy();
  return { error, ms: performance.now() - since };
}

forOneDriver('a server that refuses logins', (driver) => {
  it('the cached error at once, one attempt at a time over all workers, and service soon after it relents', async () => {
    const fake = await startFakePostgres(refuse('28P01', 'password authentication failed'));
    const proxy = await startWireProxy(fake, driver, {
      workers: 3,
      database: { pool_size: 12 },
      general: { server_login_retry: RETRY_MS, checkout_timeout: 20_000 },
    });
    try {
      // Each worker learns the reason by an attempt of its own.
      await Promise.all(Array.from({ length: 12 }, () => attempt(proxy.port)));
      // Who waited is told by the first that fails, while others are on their way.
      let before = -1;
      while (before !== fake.connections.length) {
        before = fake.connections.length;
        await sleep(RETRY_MS / 4);
      }
      const since = performance.now();
      const waits: number[] = [];
      while (waits.length < 40 || fake.connections.length < before + 2) {
        const { error, ms } = await attempt(proxy.port);
        assert.equal(error?.['C'], '58000');
        assert.match(error?.['M'] ?? '', /refused the login of "postgres": password authentication failed/);
        waits.push(ms);
        await sleep(10);
      }
      const attempts = fake.connections.length - before;
      // One at a time, each of the workers may have had its own under way when the first one failed.
      const tookMs = performance.now() - since;
      assert.ok(attempts <= tookMs / RETRY_MS + 4, `${attempts} attempts in ${tookMs} ms`);
      // Who waits for the next attempt waits for half of the pause in the middle.
      const middle = waits.sort((a, b) => a - b)[waits.length >> 1];
      assert.ok(middle < RETRY_MS / 4, `${middle} ms`);
      fake.script({ onStartup: undefined as never });
      await eventually('served', async () => (await attempt(proxy.port)).error === null);
      // In every worker.
      for (let round = 0; round < 6; round++) {
        const client = await clientOf(proxy);
        await run(client, 'SELECT 1');
        client.destroy();
      }
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('connections that work are used on, and clients wait for them', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, { general: { checkout_timeout: 30_000 } });
    try {
      const [a, b] = [await clientOf(proxy), await clientOf(proxy)];
      await run(a, 'BEGIN');
      fake.script(refuse('28P01', 'password authentication failed'));
      const waiting = b.query('SELECT 1');
      await sleep(300);
      await run(a, 'COMMIT');
      assert.equal((await waiting).error, null);
      assert.match((await firstValue(b, 'SELECT 2')) ?? '', /SELECT 2/);
      a.destroy();
      b.destroy();
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  const passing = {
    '57P03': 'the database system is starting up',
    '57P01': 'terminating connection due to administrator command',
    '57P02': 'terminating connection because of crash of another server process',
    '53300': 'sorry, too many clients already',
    '53200': 'out of memory',
    '08006': 'connection to its own storage lost',
  };
  for (const [code, message] of Object.entries(passing))
    it(`${code} at the login is waited for: ${message}`, async () => {
      const fake = await startFakePostgres(refuse(code, message));
      const proxy = await startWireProxy(fake, driver, { general: { checkout_timeout: 30_000 } });
      try {
        let isTold = false;
        const answered = attempt(proxy.port).finally(() => {
          isTold = true;
        });
        await eventually('it is refused', async () => fake.connections.length > 0);
        await sleep(100);
        assert.equal(isTold, false);
        fake.script({ onStartup: undefined as never });
        const { error } = await answered;
        assert.equal(error, null);
      } finally {
        await proxy.stop();
        await fake.stop();
      }
    });
});

forOneDriver('a login that is refused after another configuration came', (driver) => {
  it('is nothing to the clients that wait: they are served as it says now', async () => {
    const held: FakePostgres['connections'] = [];
    const fake = await startFakePostgres({ onStartup: (connection) => void held.push(connection) });
    const proxy = await startWireProxy(fake, driver, {
      database: { database_name: 'wrong' },
      general: { checkout_timeout: 30_000, connect_timeout: 30_000 },
    });
    try {
      const answered = attempt(proxy.port);
      await eventually('a login is under way', async () => held.length > 0);
      const path = join(proxy.directory, 'pgdog.toml');
      writeFileSync(path, readFileSync(path, 'utf8').replace('"wrong"', '"right"'));
      await proxy.adminQuery('RELOAD');
      await sleep(200);
      fake.script({ onStartup: undefined as never });
      for (const connection of held) {
        connection.send(backend.error('3D000', 'database "wrong" does not exist', 'FATAL'));
        connection.close();
      }
      const { error } = await answered;
      assert.equal(error, null);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});

forOneDriver('a server that has failed, and places that others keep', (driver) => {
  it('it is tried again: one that is idle makes room', async () => {
    const [failing, other] = [await startFakePostgres(refuse('57P03', 'not yet')), await startFakePostgres()];
    const proxy = await startProxy({
      workers: 2,
      ioDriver: driver,
      users: [{ name: 'postgres', password: 'postgres', max_user_connections: 1 }],
      databases: [databaseOf(failing, { name: 'failing' }), databaseOf(other, { name: 'other' })],
      general: { min_pool_size: 0, checkout_timeout: 1000, connect_attempts: 1, server_login_retry: 100 },
    });
    const ask = async () => {
      const client = await RawClient.open({ port: proxy.port, password: 'postgres', database: 'failing' });
      const { error } = await client.login();
      client.destroy();
      return error;
    };
    try {
      await eventually('its clients are told at once', async () => {
        const since = performance.now();
        return (await ask()) !== null && performance.now() - since < 500;
      });
      const client = await clientOf(proxy, { database: 'other' });
      await eventually('served beside it', async () => (await client.query('SELECT 1')).error === null);
      failing.script({ onStartup: undefined as never });
      // Asked all the time, as by clients that connect again and again.
      await eventually('served', async () => (await ask()) === null);
      client.destroy();
    } finally {
      await proxy.stop();
      await failing.stop();
      await other.stop();
    }
  });
});

forOneDriver('connect_attempts and connect_attempt_delay', (driver) => {
  it('clients are told after so many attempts, with the pause between, or served by the last', async () => {
    const fake = await startFakePostgres(refuse('28000', 'not now'));
    const proxy = await startWireProxy(fake, driver, {
      general: { connect_attempts: 3, connect_attempt_delay: 250, checkout_timeout: 30_000 },
    });
    try {
      const told = await attempt(proxy.port);
      assert.match(told.error?.['M'] ?? '', /not now/);
      assert.equal(fake.connections.length, 3);
      assert.ok(told.ms > 450, `${told.ms} ms`);
      fake.script({ onStartup: undefined as never });
      await eventually('served again', async () => (await attempt(proxy.port)).error === null);
      // A single failed attempt in between is nobody's business.
      for (const connection of fake.connections) connection.reset();
      await untilNoServers(proxy);
      const count = fake.connections.length;
      fake.script({
        onStartup: (connection) => {
          fake.script({ onStartup: undefined as never });
          connection.reset();
        },
      });
      const client = await clientOf(proxy);
      assert.match((await firstValue(client, 'SELECT 3')) ?? '', /SELECT 3/);
      assert.equal(fake.connections.length, count + 2);
      client.destroy();
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});
