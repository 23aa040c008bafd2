/** Servers that die in every phase: who held them is told, everybody else goes on, and a server that is back is used. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, d, E, P, Q, S } from '../support/frames.js';
import { onceWithin } from '../support/patience.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient, type RawResult } from '../support/raw-client.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  pidOf,
  run,
  startWireProxy,
  WIRE_USER,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

/** Waits until the victim's server process does what the test needs. */
async function busyWith(fragment: string): Promise<number> {
  let pid = 0;
  await eventually(`somebody runs ${fragment}`, async () => {
    const [row] = await server.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()`,
      [`%${fragment}%`],
    );
    pid = row?.pid ?? 0;
    return row !== undefined;
  });
  return pid;
}

/** What the client is doing when its server dies: gives the process id of the server's process. */
const PHASES: Record<string, (client: RawClient) => Promise<number>> = {
  'in a query': async (client) => {
    client.send(Q('SELECT pg_sleep(200)'));
    return busyWith('pg_sleep(200)');
  },
  'in an extended query': async (client) => {
    client.send(P('', 'SELECT pg_sleep(210)'), B('', ''), E(''), S());
    return busyWith('pg_sleep(210)');
  },
  'in a transaction, idle': async (client) => {
    await run(client, 'BEGIN');
    return Number(await pidOf(client));
  },
  'in a transaction, failed': async (client) => {
    await run(client, 'BEGIN');
    const pid = Number(await pidOf(client));
    await client.query('SELECT 1/0');
    return pid;
  },
  'in COPY in': async (client) => {
    client.send(Q('COPY sink FROM STDIN'));
    await client.readUntil('G');
    client.send(d('some\n'));
    return busyWith('COPY sink FROM');
  },
  'in COPY out': async (client) => {
    client.send(Q("COPY (SELECT pg_sleep(0.01), repeat('x', 50) FROM generate_series(1, 100000)) TO STDOUT"));
    await client.readUntil('H');
    return busyWith('COPY (SELECT');
  },
  'pinned and idle': async (client) => {
    await run(client, 'LISTEN something');
    return Number(await pidOf(client));
  },
  'in the middle of a batch': async (client) => {
    await run(client, 'SELECT 1');
    // A text of its own: other connections have run SELECT 1 as well.
    client.send(P('', 'SELECT 1 AS batched'), B('', ''), E(''), Buffer.from([0x48, 0, 0, 0, 4]));
    await client.readUntil('C');
    return busyWith('SELECT 1 AS batched');
  },
};

forEachDriver('a server process is terminated', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { workers: 2, database: { pool_size: 8 } });
  });
  after(() => proxy.stop());

  for (const [phase, reach] of Object.entries(PHASES)) {
    it(`${phase}: its client is told, the others go on`, () =>
      withClients(proxy, 2, async (other, another) => {
        const victim = await clientOf(proxy);
        const pid = await reach(victim);
        await server.query('SELECT pg_terminate_backend($1)', [pid]);
        const end = await victim.expectClosed();
        assert.ok(['57P01', '08006'].includes(end.error?.['C'] ?? ''), JSON.stringify(end.error));
        assert.equal(end.error?.['S'], 'FATAL');
        assert.equal(end.frames.filter(({ type }) => type === 'E').length, 1, 'told once');
        for (const client of [other, another])
          assert.equal(await firstValue(client, "SELECT 'fine'"), 'fine');
      }));
  }

  const terminateAll = (): Promise<unknown> =>
    server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
  /**
   * Signalled is not ended, and ended is not known to the proxy: on a busy machine that takes a while. Again and again, for one
   * may be logging in.
   */
  const untilGone = (): Promise<void> =>
    eventually('all are gone', async () => {
      await terminateAll();
      return (await backends(server)).length === 0 && (await proxy.adminQuery('SHOW SERVERS')).length === 0;
    });

  it('idle: nobody notices', () =>
    withClients(proxy, 4, async (...clients) => {
      for (let round = 0; round < 5; round++) {
        await Promise.all(clients.map((client) => firstValue(client, 'SELECT pg_sleep(0.01)')));
        await untilGone();
        for (const client of clients)
          assert.equal(await firstValue(client, "SELECT 'still here'"), 'still here');
      }
    }));

  it('idle, and asked at the same moment: served, or told plainly', async () => {
    for (let round = 0; round < 20; round++) {
      const client = await clientOf(proxy);
      await run(client, 'SELECT 1');
      const terminated = terminateAll();
      // Every other time with a name: a batch that is tried again must not meet its own statement (42P05).
      const isNamed = round % 2 === 1;
      if (isNamed) client.send(P('named', "SELECT 'served'"), B('', 'named'), E(''), S());
      else client.send(Q("SELECT 'served'"));
      const frames = await client.readUntil('Z').catch(() => client.expectClosed().then((end) => end.frames));
      await terminated;
      client.destroy();
      // What was made to serve it lives on: it must not be taken for one of those that were signalled.
      await untilGone();
      const letters = frames.map(({ type }) => type).join('');
      assert.ok([isNamed ? '12DCZ' : 'TDCZ', 'E', ''].includes(letters), letters);
    }
  });

  it('a killed process (no last words) gives 08006, and all recover by themselves', async () => {
    const victim = await clientOf(proxy);
    const pid = await PHASES['in a query']?.(victim);
    process.kill(pid ?? 0, 'SIGKILL');
    const end = await victim.expectClosed();
    assert.equal(end.error?.['C'], '08006');
    assert.match(end.error?.['M'] ?? '', /connection/);
    // The whole server restarts: who asks while it goes down is told so (57P02), and is gone.
    await eventually('served again', async () => {
      const next = await clientOf(proxy).catch(() => null);
      const rows = await next?.query('SELECT 1').then(
        (result) => result.rows,
        () => [],
      );
      next?.destroy();
      return rows?.length === 1;
    });
  });
});

forEachDriver('a server goes away and comes back', (driver) => {
  it('stop, errors that say why, start, service; clients stay connected', async () => {
    const own = await startPostgres();
    const proxy = await startWireProxy(own, driver, { general: { checkout_timeout: 3000 } });
    try {
      await withClients(proxy, 2, async (a, b) => {
        await run(a, 'SELECT 1');
        await run(b, 'SELECT 1');
        const victim = await clientOf(proxy);
        await run(victim, 'BEGIN');
        await own.kill('SIGKILL');
        assert.ok(['57P01', '57P02', '08006'].includes((await victim.expectClosed()).error?.['C'] ?? ''));
        // Postgres's processes end one by one; the idle connections must be gone before they are asked for.
        await eventually('known', async () => (await proxy.adminQuery('SHOW SERVERS')).length === 0);
        await eventually('refused', async () => (await a.query('SELECT 1')).error !== null);
        // When it has failed for longer than a client would wait, whoever comes is told at once.
        let refused: RawResult | undefined;
        await onceWithin(2000, 'told at once', async () => {
          refused = await a.query('SELECT 1');
        });
        assert.equal(refused?.error?.['C'], '08001');
        assert.match(refused?.error?.['M'] ?? '', /cannot connect.*Connection refused/);
        await own.restart();
        await eventually('back', async () => (await b.query('SELECT 1')).error === null);
        assert.equal(await firstValue(a, 'SELECT 2'), '2');
      });
    } finally {
      await proxy.stop();
      await own.stop();
    }
  });

  it('unreachable at start: the proxy runs, says so, and serves once the server is there', async () => {
    const own = await startPostgres();
    await own.kill('SIGKILL');
    const proxy = await startWireProxy(own, driver, { general: { checkout_timeout: 500 } });
    try {
      await eventually('it says why', async () => {
        const early = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const { error } = await early.login();
        early.destroy();
        assert.notEqual(error, null);
        return error?.['M']?.includes('Connection refused') === true;
      });
      await own.restart();
      await eventually('served', async () => {
        const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const isIn =
          (await client.login()).error === null && (await client.query('SELECT 1')).rows.length === 1;
        client.destroy();
        return isIn;
      });
    } finally {
      await proxy.stop();
      await own.stop();
    }
  });

  it('a wrong server password is told to the client without the password', async () => {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server, { password: 'not the right one' })],
      users: [WIRE_USER],
      general: { min_pool_size: 0 },
    });
    try {
      for (let round = 0; round < 3; round++) {
        const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const { error } = await client.login();
        assert.equal(error?.['S'], 'FATAL');
        assert.equal(error?.['C'], '58000');
        assert.match(error?.['M'] ?? '', /refused the login of "postgres": password authentication failed/);
        assert.equal(JSON.stringify(error).includes('not the right one'), false);
        client.destroy();
      }
      assert.equal(proxy.output.includes('not the right one'), false);
    } finally {
      await proxy.stop();
    }
  });
});
