/** Limits hold exactly over all workers, a crashed worker costs only its own clients, and stopping is orderly. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, it } from 'node:test';
import { forEachDriver, forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import { soon } from '../support/patience.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  backends,
  clientOf,
  clientsOfAllWorkers,
  eventually,
  firstValue,
  run,
  sleep,
  spread,
  sqlstateOf,
  startWireProxy,
  untilBusy,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

/** Opens in portions: a storm of logins is another test's subject. */
async function open(proxy: TestProxy, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const portion = Array.from({ length: Math.min(25, count - clients.length) }, () =>
      clientOf(proxy, { timeoutMs: 20_000 }),
    );
    clients.push(...(await Promise.all(portion)));
  }
  return clients;
}

const endAll = (clients: RawClient[]): Promise<unknown> => Promise.all(clients.map((client) => client.end()));
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
/** The command's own connection may be served by the worker that it ends. */
const crash = (proxy: TestProxy, worker: number): Promise<unknown> =>
  proxy.adminQuery(`CRASH WORKER ${worker}`).catch(() => undefined);

forEachDriver('limits', (driver) => {
  it('4 server connections over 4 workers are never more, never idle while 200 clients wait, and nobody starves', async () => {
    const { database, general } = spread(4, 4);
    const proxy = await startWireProxy(server, driver, {
      workers: 4,
      database,
      general: { auth_type: 'trust', checkout_timeout: 20_000, ...general },
    });
    const clients = await open(proxy, 200);
    try {
      let isOver = false;
      let highest = 0;
      const sampler = (async () => {
        while (!isOver) {
          highest = Math.max(highest, (await backends(server)).length);
          await sleep(15);
        }
      })();
      const until = performance.now() + 2500;
      let served = 0;
      let overtakenMax = 0;
      await Promise.all(
        clients.map(async (client) => {
          let done = 0;
          while (done === 0 || performance.now() < until) {
            const before = served;
            await run(client, 'SELECT pg_sleep(0.001)');
            overtakenMax = Math.max(overtakenMax, served - before);
            served++;
            done++;
          }
        }),
      );
      isOver = true;
      await sampler;
      assert.equal(highest, 4, `at most ${highest} server connections were seen`);
      // First come, first served: about as many as there are clients are served in the meantime.
      assert.ok(overtakenMax < 8 * clients.length, `${overtakenMax} were served before the oldest waiter`);
      await endAll(clients);
      await eventually('all idle again', async () => {
        const pools = await proxy.adminQuery('SHOW POOLS');
        return pools.every(
          (row) => row['sv_active'] === '0' && row['cl_waiting'] === '0' && Number(row['sv_total']) <= 4,
        );
      });
    } finally {
      for (const client of clients) client.destroy();
      await proxy.stop();
    }
  });

  it('one idle connection serves clients of every worker: it is lent', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 4, ...spread(4, 1) });
    const clients = await clientsOfAllWorkers(proxy, 4, 12);
    try {
      for (let round = 0; round < 10; round++) {
        for (const client of clients)
          assert.equal(await firstValue(client, `SELECT ${round}`), String(round));
      }
      assert.equal((await backends(server)).length, 1);
    } finally {
      await endAll(clients);
      await proxy.stop();
    }
  });

  it('max_client_conn refuses the one too many with 53300, and takes the next after one has gone', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 3, general: { max_client_conn: 5 } });
    const clients = await open(proxy, 5);
    try {
      const tooMany = await RawClient.open({ port: proxy.port, password: 'postgres' });
      const { error } = await tooMany.login();
      assert.equal(error?.['C'], '53300');
      assert.match(error?.['M'] ?? '', /max_client_conn = 5/);
      tooMany.destroy();
      await clients.pop()?.end();
      await eventually('a place is free', async () => {
        const next = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const isIn = (await next.login()).error === null;
        if (isIn) clients.push(next);
        else next.destroy();
        return isIn;
      });
    } finally {
      await endAll(clients);
      await proxy.stop();
    }
  });
});

forEachDriver('a worker crashes under load', (driver) => {
  it('its clients are cut, all others go on, everything is given back, and it serves again', async () => {
    const proxy = await startWireProxy(server, driver, {
      workers: 3,
      database: spread(3, 6).database,
      general: { auth_type: 'trust', checkout_timeout: 60_000, ...spread(3, 6).general },
    });
    const clients = await open(proxy, 30);
    try {
      const shown = await proxy.adminQuery('SHOW CLIENTS');
      const workerOf = new Map(shown.map((row) => [Number(row['port']), Number(row['worker'])]));
      const ports = new Map(clients.map((client) => [client, client.socket.localPort ?? 0]));
      const idleDescriptors = descriptors(proxy.pid);
      let isOver = false;
      const failed = new Map<number, string>();
      const load = clients.map(async (client) => {
        const port = ports.get(client) ?? 0;
        for (let round = 0; !isOver; round++) {
          const answer = await firstValue(client, `SELECT '${port}-${round}'`).catch((error: Error) => {
            failed.set(port, error.message);
            return null;
          });
          if (answer === null) return;
          assert.equal(answer, `${port}-${round}`);
          await sleep(2);
        }
      });
      await sleep(300);
      await crash(proxy, 1);
      // Of these clients only: the command's own connection was shown too, on whichever worker it was.
      const ownCount = [...ports.values()].filter((port) => workerOf.get(port) === 1).length;
      await eventually('its clients are cut', async () => failed.size >= ownCount);
      await sleep(300);
      isOver = true;
      await Promise.all(load);
      for (const [port, why] of failed)
        assert.equal(workerOf.get(port), 1, `a client of another worker failed: ${why}`);
      assert.ok(failed.size > 0 && failed.size <= ownCount, `${failed.size} of ${ownCount} clients were cut`);
      const alive = clients.filter((client) => !failed.has(ports.get(client) ?? 0));
      const again = await open(proxy, failed.size);
      // Capacity is whole: six transactions at once.
      const six = [...alive, ...again].slice(0, 6);
      await Promise.all(six.map((client) => run(client, 'BEGIN')));
      await Promise.all(six.map((client) => run(client, 'COMMIT')));
      let workers: Record<string, string>[] = [];
      await eventually('it serves again', async () => {
        workers = await proxy.adminQuery('SHOW WORKERS');
        return workers.every((row) => row['state'] === 'serving');
      });
      assert.deepEqual(
        workers.map((row) => [row['state'], row['restarts']]),
        [
          ['serving', '0'],
          ['serving', '1'],
          ['serving', '0'],
        ],
      );
      // Processes of the connections that were cut end when they notice.
      await eventually('at most six', async () => (await backends(server)).length <= 6);
      const grown = () => descriptors(proxy.pid) - idleDescriptors;
      await eventually('at most eight descriptors more than before', async () => grown() <= 8);
      await endAll([...alive, ...again]);
    } finally {
      for (const client of clients) client.destroy();
      await proxy.stop();
    }
  });

  it('in a transaction: nothing of it stays', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 1, general: { auth_type: 'trust' } });
    try {
      const client = await clientOf(proxy);
      await run(client, 'BEGIN', "INSERT INTO sink VALUES ('never')", 'SELECT pg_advisory_xact_lock(7)');
      await crash(proxy, 0);
      await client.expectClosed();
      await eventually('serving again', async () => {
        const next = await clientOf(proxy).catch(() => null);
        if (next === null) return false;
        const count = await firstValue(
          next,
          'SELECT count(*) FROM sink WHERE pg_try_advisory_xact_lock(7)',
        ).catch(() => null);
        next.destroy();
        return count === '0';
      });
      await eventually('the lock is free', async () => {
        const [row] = await server.query<{ count: string }>(
          "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        );
        return row?.count === '0';
      });
    } finally {
      await proxy.stop();
    }
  });
});

/** Of all its threads so far. */
function cpuSeconds(pid: number): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = rest.split(' ').slice(11, 13).map(Number);
  return (user + system) / 100;
}

// On both drivers: shutdown.test.ts.
forOneDriver('starting and stopping', (driver) => {
  it('is ready after little work', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2 });
    const seconds = cpuSeconds(proxy.pid);
    await proxy.stop();
    // One, of which half runs on another core; not by the clock, for a test machine runs others beside it.
    assert.ok(seconds > 0 && seconds < 5, `${seconds} s`);
    assert.equal(await proxy.exited, 0);
  });

  it('SIGTERM: idle clients are told, a running transaction finishes, nobody new gets in', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2 });
    const [idle, busy, running] = await Promise.all([clientOf(proxy), clientOf(proxy), clientOf(proxy)]);
    await run(busy, 'BEGIN', "INSERT INTO sink VALUES ('kept')");
    running.send(Q('SELECT pg_sleep(0.5)'));
    await untilBusy(server);
    proxy.kill('SIGTERM');
    const told = await idle.expectClosed();
    assert.equal(told.error?.['C'], '57P01');
    assert.equal(told.error?.['S'], 'FATAL');
    await assert.rejects(clientOf(proxy));
    assert.equal(sqlstateOf(await running.readUntilReady()), '');
    assert.equal((await running.expectClosed()).error?.['C'], '57P01');
    await run(busy, "INSERT INTO sink VALUES ('kept too')", 'COMMIT');
    assert.equal((await busy.expectClosed()).error?.['C'], '57P01');
    assert.equal(await proxy.exited, 0);
    const [row] = await server.query<{ count: string }>("SELECT count(*) FROM sink WHERE x LIKE 'kept%'");
    assert.equal(row?.count, '2');
    await server.query('TRUNCATE sink');
  });

  it('a second signal cuts', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2 });
    const busy = await clientOf(proxy);
    await run(busy, 'BEGIN');
    proxy.kill('SIGTERM');
    await sleep(200);
    assert.equal(busy.isClosed, false);
    proxy.kill('SIGTERM');
    await busy.expectClosed();
    await soon('the program ends', proxy.exited);
  });

  it('shutdown_timeout ends what does not end by itself', async () => {
    const proxy = await startWireProxy(server, driver, { workers: 2, general: { shutdown_timeout: 400 } });
    const busy = await clientOf(proxy);
    await run(busy, 'BEGIN');
    proxy.kill('SIGTERM');
    await busy.expectClosed();
    await soon('the program ends', proxy.exited);
    await eventually('no backend is left', async () => (await backends(server)).length === 0);
  });
});
