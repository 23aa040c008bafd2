/** The life of a server connection: its age, its checks, what a vanished client leaves, its end. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver, forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import {
  answer,
  type FakeConnection,
  type FakePostgres,
  startFakePostgres,
} from '../support/fake-postgres.js';
import { Q } from '../support/frames.js';
import { PATIENCE_MS, soon } from '../support/patience.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  pidOf,
  run,
  setEverywhere,
  sleep,
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

forOneDriver('age of server connections', (driver) => {
  it('idle_timeout closes what is above the minimum, and nothing below', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 4, min_pool_size: 1, idle_timeout: 300 },
    });
    try {
      await withClients(proxy, 4, async (...clients) => {
        await Promise.all(clients.map((client) => run(client, 'BEGIN')));
        assert.equal((await backends(server)).length, 4);
        await Promise.all(clients.map((client) => run(client, 'COMMIT')));
        await eventually('one is left', async () => (await backends(server)).length === 1);
        await sleep(500);
        assert.equal((await backends(server)).length, 1);
      });
    } finally {
      await proxy.stop();
    }
  });

  it('the minimum of many pools on one host is opened a few at a time', async () => {
    const pools = 40;
    const held: FakeConnection[] = [];
    const fake = await startFakePostgres({ onStartup: (connection) => void held.push(connection) });
    const proxy = await startProxy({
      ioDriver: driver,
      workers: 1,
      databases: Array.from({ length: pools }, (_, at) =>
        databaseOf(fake, { name: `db_${at}`, min_pool_size: 1 }),
      ),
      general: { connect_timeout: 60_000, idle_healthcheck_interval: 0 },
    });
    const ofPools = () => held.filter(({ startup }) => startup.database?.startsWith('db_') === true);
    try {
      await eventually('sixteen connect', async () => ofPools().length >= 16);
      await sleep(300);
      assert.equal(ofPools().length, 16);
      fake.script({ onStartup: undefined });
      for (const connection of held) connection.reset();
      await eventually('all pools have theirs', async () => {
        const rows = await proxy.adminQuery<{ database: string; sv_idle: string }>('SHOW POOLS');
        return rows.filter((row) => row.database.startsWith('db_') && row.sv_idle === '1').length === pools;
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('server_lifetime with jitter: replaced between transactions, never within one, not all at once', async () => {
    const proxy = await startWireProxy(server, driver, {
      database: { pool_size: 6, server_lifetime: 2500, server_lifetime_jitter: 2000 },
    });
    try {
      await withClients(proxy, 6, async (...clients) => {
        // Before the first of them is made.
        const since = performance.now();
        await Promise.all(clients.map((client) => run(client, 'BEGIN')));
        const [held] = clients as [RawClient];
        const heldPid = await pidOf(held);
        const pids = new Set((await backends(server)).map(({ pid }) => pid));
        assert.equal(pids.size, 6);
        await Promise.all(clients.slice(1).map((client) => run(client, 'COMMIT')));
        const endsMs: number[] = [];
        let left = 5;
        while (left > 0 && performance.now() - since < PATIENCE_MS) {
          const now = (await backends(server)).filter(({ pid }) => pids.has(pid) && String(pid) !== heldPid);
          if (now.length < left) endsMs.push(performance.now() - since);
          left = now.length;
          await sleep(25);
        }
        assert.equal(left, 0);
        assert.ok(endsMs.length > 1, `all five ended together, after ${endsMs.join(' ')} ms`);
        assert.ok((endsMs[0] ?? 0) > 400);
        await sleep(Math.max(0, 4600 - (performance.now() - since)));
        assert.equal(await pidOf(held), heldPid, 'not in a transaction');
        await run(held, 'COMMIT');
        assert.notEqual(await pidOf(held), heldPid);
      });
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('checks of idle server connections', (driver) => {
  /** Answers everything until it is told to go silent: its connections stay open. */
  async function silencingFake() {
    const silent = new Set<FakeConnection>();
    const fake = await startFakePostgres({
      onFrame: (connection, frame) => {
        if (!silent.has(connection)) answer(connection, frame);
      },
    });
    return { fake, silent };
  }
  /** A client may be served by the second: on the first the catalog is read, which a loaded machine takes its time for. */
  function thatGot(fake: FakePostgres, sql: string): FakeConnection {
    const found = fake.connections.find(({ frames }) =>
      frames.some(({ body }) => body.toString() === `${sql}\0`),
    );
    assert.ok(found, sql);
    return found;
  }
  const checks = (connection: FakeConnection): number =>
    connection.frames.filter((frame) => frame.type === 'Q' && frame.body.toString() === '\0').length;

  it('before hand-out, after healthcheck_interval: a dead one is found and the client served by another', async () => {
    const { fake, silent } = await silencingFake();
    const proxy = await startWireProxy(fake, driver, {
      general: {
        healthcheck_interval: 400,
        idle_healthcheck_interval: 0,
        healthcheck_timeout: 30_000,
        checkout_timeout: 30_000,
      },
    });
    try {
      await withClients(proxy, 1, async (client) => {
        await run(client, 'BEGIN');
        await sleep(600);
        await run(client, 'SELECT 2');
        const used = thatGot(fake, 'SELECT 2');
        assert.equal(checks(used), 0, 'not while it is in use');
        await run(client, 'COMMIT');
        await sleep(600);
        await run(client, 'SELECT 3');
        assert.ok(thatGot(fake, 'SELECT 3') === used);
        assert.equal(checks(used), 1);
        await Promise.all([sleep(600), setEverywhere(proxy, 'healthcheck_timeout = 200')]);
        silent.add(used);
        // The check is given up before the client's own time is over.
        await run(client, 'SELECT 4');
        assert.ok(thatGot(fake, 'SELECT 4') !== used);
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('clients that come together are served by all that is idle, not by what the first of them has checked', async () => {
    const { fake } = await silencingFake();
    const proxy = await startWireProxy(fake, driver, {
      general: { healthcheck_interval: 300, idle_healthcheck_interval: 0, checkout_timeout: 30_000 },
    });
    try {
      await withClients(proxy, 2, async (...clients) => {
        for (let round = 0; round < 3; round++) {
          // Each keeps what it gets: otherwise the second would wait for the first one's end.
          await Promise.all(clients.map((client) => run(client, 'BEGIN')));
          await Promise.all(clients.map((client) => run(client, 'COMMIT')));
          await sleep(500);
        }
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('in the background, every idle_healthcheck_interval: no client waits for it', async () => {
    const { fake, silent } = await silencingFake();
    const proxy = await startWireProxy(fake, driver, {
      general: { idle_healthcheck_interval: 200, healthcheck_timeout: 30_000 },
    });
    try {
      await withClients(proxy, 1, async (client) => {
        await run(client, 'SELECT 2');
        const used = thatGot(fake, 'SELECT 2');
        await eventually('checked twice', async () => checks(used) >= 2);
        const [shown] = await proxy.adminQuery<{ healthchecks: string }>('SHOW SERVERS');
        assert.ok(Number(shown?.healthchecks) >= 1);
        await setEverywhere(proxy, 'healthcheck_timeout = 200');
        silent.add(used);
        await proxy.waitForOutput('no answer to a check in 200 ms');
        await run(client, 'SELECT 3');
        assert.ok(thatGot(fake, 'SELECT 3') !== used);
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});

forEachDriver('connection_recovery', (driver) => {
  const itOnce = decisionsOn(driver);
  type Moment = 'in a query' | 'in a transaction' | 'between';

  /** Lets a client vanish; then, whether the next one finds the same connection, which must be clean. */
  async function isKept(proxy: TestProxy, moment: Moment): Promise<boolean> {
    const client = await clientOf(proxy);
    const pid = await pidOf(client);
    if (moment !== 'between') await run(client, 'BEGIN', "INSERT INTO sink VALUES ('lost')");
    if (moment === 'in a query') {
      client.send(Q('SELECT pg_sleep(220)'));
      await eventually('it runs', () => isRunning('pg_sleep(220)'));
    }
    client.destroy(true);
    return withClients(proxy, 1, async (next) => {
      assert.equal(await firstValue(next, 'SELECT count(*) FROM sink'), '0');
      assert.equal((await next.query('SELECT 1')).status, 'I');
      await eventually('cancelled', async () => !(await isRunning('pg_sleep(220)')));
      return (await pidOf(next)) === pid;
    });
  }

  const kept = {
    recover: { 'in a query': true, 'in a transaction': true, between: true },
    rollback_only: { 'in a query': false, 'in a transaction': true, between: true },
    drop: { 'in a query': false, 'in a transaction': false, between: true },
  };
  for (const [mode, moments] of Object.entries(kept)) {
    // How a client vanishes is the driver's matter, what follows from it is not.
    const each = mode === 'recover' ? it : itOnce;
    void each(`${mode}: ${JSON.stringify(moments)}`, async () => {
      const proxy = await startWireProxy(server, driver, {
        database: { pool_size: 1 },
        general: { connection_recovery: mode, checkout_timeout: 10_000 },
      });
      try {
        for (const [moment, wanted] of Object.entries(moments)) {
          assert.equal(await isKept(proxy, moment as Moment), wanted, moment);
        }
      } finally {
        await proxy.stop();
      }
    });
  }

  itOnce(
    'rollback_timeout: a server that does not answer the ROLLBACK is closed, the next client served by another',
    async () => {
      const fake = await startFakePostgres({
        onFrame: (connection, frame) => {
          if (!frame.body.toString().startsWith('ROLLBACK')) answer(connection, frame);
        },
      });
      const proxy = await startWireProxy(fake, driver, {
        database: { pool_size: 1 },
        general: { rollback_timeout: 300 },
      });
      try {
        const client = await clientOf(proxy);
        await run(client, 'BEGIN');
        client.destroy(true);
        await withClients(proxy, 1, (next) => run(next, 'SELECT 1'));
        assert.equal(fake.connections.length, 2);
      } finally {
        await proxy.stop();
        await fake.stop();
      }
    },
  );

  itOnce(
    'cancel_wait_timeout: a cancel that the server does not take is given up, its client is served on',
    async () => {
      const fake = await startFakePostgres({
        onFrame: (connection, frame) => {
          if (!frame.body.toString().startsWith('SELECT slow')) answer(connection, frame);
        },
      });
      const proxy = await startWireProxy(fake, driver, {
        general: { cancel_wait_timeout: 300, shutdown_timeout: 300 },
      });
      try {
        const client = await clientOf(proxy);
        await run(client, 'SELECT 1');
        client.send(Q('SELECT slow'));
        await eventually('it is there', async () =>
          fake.connections.some(({ frames }) => frames.at(-1)?.body.toString().startsWith('SELECT slow')),
        );
        fake.script({ isMute: true });
        const since = performance.now();
        await client.cancel();
        const tookMs = performance.now() - since;
        // By default it would be 10 s.
        assert.ok(tookMs > 250 && tookMs < 9000, `${tookMs} ms`);
        client.destroy();
      } finally {
        await proxy.stop();
        await fake.stop();
      }
    },
  );
});

forOneDriver('the end of server connections', (driver) => {
  it('a server that is slow to end one still counts it: the limit holds on its side too', async () => {
    const fake = await startFakePostgres({
      onFrame: (connection, frame) => {
        // A Postgres that drops thousands of temporary tables on its way out.
        if (frame.type === 'X') setTimeout(() => connection.close(), 1700);
        else answer(connection, frame);
      },
    });
    const proxy = await startWireProxy(fake, driver, {
      database: { pool_size: 1, server_lifetime: 1000 },
      general: { checkout_timeout: 30_000 },
    });
    try {
      await withClients(proxy, 1, async (client) => {
        await run(client, 'SELECT 1');
        await eventually('told to end', async () => fake.connections[0]?.letters.endsWith('X') ?? false);
        await run(client, 'SELECT 2');
        assert.equal(fake.connections[0]?.socket.writable, false, 'the first one has ended');
        assert.equal(fake.connections.length, 2);
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  it('shutdown in phases: what runs past shutdown_timeout is cancelled, its client told, nothing left on the server', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2, general: { shutdown_timeout: 400 } });
    const [running, idle] = [await clientOf(proxy), await clientOf(proxy)];
    await run(idle, 'BEGIN', "INSERT INTO sink VALUES ('lost')");
    running.send(Q('SELECT pg_sleep(230)'));
    await eventually('it runs', () => isRunning('pg_sleep(230)'));
    proxy.kill('SIGTERM');
    for (const client of [running, idle]) {
      const told = await client.expectClosed();
      assert.equal(told.error?.['C'], '57P01');
      assert.equal(told.error?.['S'], 'FATAL');
    }
    assert.equal(await soon('the end', proxy.exited), 0);
    await eventually('no backend is left', async () => (await backends(server)).length === 0);
    const [row] = await server.query<{ count: string }>('SELECT count(*) FROM sink');
    assert.equal(row?.count, '0');
  });
});
