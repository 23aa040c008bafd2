/** Pools too small for all workers: their clients are gathered, many such pools spread, and no client notices a move. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { ownerOfProcessId } from '@pgdog-cluster/core';
import { decisionsOn, forEachDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FrameCollector, Q, sslRequest, startupPacket } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { proxyV1 } from '../support/proxy-header.js';
import { RawClient } from '../support/raw-client.js';
import { secret } from '../support/secrets.js';
import { clientOf, eventually, firstValue, sleep, sqlstateOf, startWireProxy } from '../support/wire.js';

const WORKERS = 4;
const ALICE = secret('alices long password');

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'alice', password: ALICE }] });
});
after(() => server.stop());

/** The upper bits of the process id name the worker. */
const workerOf = ({ pid }: RawClient): number => ownerOfProcessId(pid).worker;
const workersOf = (clients: readonly RawClient[]): number[] => [...new Set(clients.map(workerOf))].sort();
const endAll = (clients: readonly RawClient[]): Promise<unknown> =>
  Promise.all(clients.map((client) => client.end()));
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const STARTUP = startupPacket({ user: 'postgres', database: 'postgres' });

async function withProxy(
  driver: TestDriver,
  options: { poolSize?: number; general?: Record<string, string | number | boolean> },
  body: (proxy: TestProxy) => Promise<void>,
): Promise<void> {
  const proxy = await startWireProxy(server, driver, {
    workers: WORKERS,
    database: { pool_size: options.poolSize ?? 4 },
    general: { auth_type: 'trust', ...options.general },
  });
  try {
    await body(proxy);
  } finally {
    assert.equal(await proxy.stop(), 0);
  }
}

/** As many clients at once, each proven to be served. */
async function open(proxy: { port: number }, count: number, database = 'postgres'): Promise<RawClient[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, number) => {
      const client = await clientOf(proxy, { database });
      assert.equal(await firstValue(client, `SELECT ${number}`), String(number));
      return client;
    }),
  );
}

/** Logs in as libpq does with sslmode=prefer where there is no TLS; the process id it is told. */
async function pidBehindSslRequest({ port }: { port: number }): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.write(sslRequest());
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'N');
  socket.write(STARTUP);
  const collector = new FrameCollector();
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    const key = collector.push(chunk).find(({ type }) => type === 'K');
    if (key === undefined) continue;
    socket.destroy();
    return key.body.readUInt32BE(0);
  }
}

forEachDriver('small pools', (driver) => {
  const decides = decisionsOn(driver);
  /** Without settings, for tests that look at answers only. */
  let plain: TestProxy;
  before(async () => {
    plain = await startWireProxy(server, driver, {
      workers: WORKERS,
      database: { pool_size: 4 },
      general: { auth_type: 'trust' },
    });
  });
  after(async () => assert.equal(await plain.stop(), 0));

  it('a pool of 4 has one home, of 5 two, of 13 all', async () => {
    for (const [poolSize, homes] of [
      [4, 1],
      [5, 2],
      [13, WORKERS],
    ]) {
      await withProxy(driver, { poolSize }, async (proxy) => {
        const clients = await open(proxy, 48);
        const workers = workersOf(clients);
        assert.equal(workers.length, homes, `pool of ${poolSize}: workers ${workers}`);
        const counts = workers.map(
          (worker) => clients.filter((client) => workerOf(client) === worker).length,
        );
        assert.ok(Math.min(...counts) >= 48 / workers.length / 4, `clients of the workers: ${counts}`);
        await endAll(clients);
      });
    }
  });

  decides('many small pools spread evenly over the workers, each of them together', async () => {
    const names = Array.from({ length: 2 * WORKERS }, (_, number) => `small${number}`);
    const proxy = await startProxy({
      workers: WORKERS,
      ioDriver: driver,
      databases: names.map((name) => ({
        ...databaseOf(server, { pool_size: 2 }),
        name,
        database_name: 'postgres',
      })),
      users: [{ name: 'postgres', password: 'postgres', databases: names }],
      general: { auth_type: 'trust', min_pool_size: 0 },
    });
    try {
      const homes: number[] = [];
      for (const name of names) {
        const clients = await open(proxy, 6, name);
        const workers = workersOf(clients);
        assert.equal(workers.length, 1, `clients of ${name} are in workers ${workers}`);
        homes.push(workers[0] ?? -1);
        await endAll(clients);
      }
      for (let worker = 0; worker < WORKERS; worker++) {
        assert.equal(homes.filter((home) => home === worker).length, 2, `homes ${homes}`);
      }
      const again = await open(proxy, 3, names[0]);
      assert.deepEqual(workersOf(again), [homes[0]], 'a home is for good');
      await endAll(again);
    } finally {
      await proxy.stop();
    }
  });

  decides('its minimum is kept where its clients are', async () => {
    await withProxy(driver, { poolSize: 3, general: { min_pool_size: 2 } }, async (proxy) => {
      const clients = await open(proxy, 8);
      const servers = await proxy.adminQuery('SHOW SERVERS');
      assert.ok(servers.length >= 2);
      for (const row of servers) assert.equal(Number(row['worker']), workerOf(clients[0] as RawClient));
      await endAll(clients);
    });
  });

  decides('users found by auth_query have homes before anybody knows them', async () => {
    const proxy = await startProxy({
      workers: WORKERS,
      ioDriver: driver,
      databases: [databaseOf(server, { pool_size: 2 })],
      users: [],
      general: { min_pool_size: 0, auth_user: 'postgres', auth_password: 'postgres' },
    });
    try {
      const options = { user: 'alice', password: ALICE };
      const clients = await Promise.all(Array.from({ length: 16 }, () => clientOf(proxy, options)));
      for (const client of clients) assert.equal(await firstValue(client, 'SELECT current_user'), 'alice');
      assert.equal(workersOf(clients).length, 1);
      await endAll(clients);
      const stranger = await RawClient.open({ port: proxy.port, user: 'nobody', password: ALICE });
      assert.equal(sqlstateOf(await stranger.login()), '28P01');
      stranger.destroy();
    } finally {
      await proxy.stop();
    }
  });

  it('the start-up packet cut at every offset, with a query behind it in the same write', async () => {
    const bytes = Buffer.concat([STARTUP, Q("SELECT 'behind'")]);
    for (let cut = 1; cut <= bytes.length; cut++) {
      const client = await RawClient.open({ port: plain.port });
      client.send(bytes.subarray(0, cut));
      if (cut < bytes.length) {
        await sleep(1);
        client.send(bytes.subarray(cut));
      }
      const { rows } = await client.readUntilReady(2);
      assert.deepEqual(rows, [['behind']], `cut at ${cut}`);
      await client.end();
    }
  });

  it('bytes that keep coming while the client moves arrive, in order, more than a mailbox message holds too', async () => {
    for (let number = 0; number < 12; number++) {
      const client = await RawClient.open({ port: plain.port, timeoutMs: 20_000 });
      const queries = Array.from({ length: 40 }, (_, index) =>
        Q(`SELECT ${index}, length('${'x'.repeat(5000)}')`),
      );
      client.send(STARTUP, ...queries);
      const { rows } = await client.readUntilReady(41);
      assert.deepEqual(
        rows,
        queries.map((_, index) => [String(index), '5000']),
      );
      await client.end();
    }
  });

  it('SSLRequest that is declined, then the start-up packet', async () => {
    const pids = await Promise.all(Array.from({ length: 12 }, () => pidBehindSslRequest(plain)));
    assert.equal(new Set(pids.map((pid) => pid >>> 20)).size, 1);
  });

  it('the address of a PROXY header and the user of a Unix socket go along', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-small-'));
    const general = {
      proxy_protocol: 'optional',
      proxy_protocol_networks: '127.0.0.0/8',
      unix_socket_dir: directory,
    };
    try {
      await withProxy(driver, { general }, async (proxy) => {
        const preamble = proxyV1('TCP4 192.0.2.7 203.0.113.9 35646 5432');
        const byTcp = await Promise.all(Array.from({ length: 12 }, () => clientOf(proxy, { preamble })));
        const byUnix = await Promise.all(
          Array.from({ length: 12 }, () => clientOf(proxy, { host: directory })),
        );
        assert.equal(workersOf([...byTcp, ...byUnix]).length, 1);
        const shown = await proxy.adminQuery('SHOW CLIENTS');
        const rows = shown.filter((row) => row['database'] === 'postgres');
        const tcp = rows.filter((row) => row['addr'] === '192.0.2.7' && String(row['port']) === '35646');
        const unix = rows.filter(
          (row) => row['addr'] === 'unix' && String(row['port']) === String(proxy.port),
        );
        assert.deepEqual([tcp.length, unix.length], [12, 12]);
        const peers = new Set(unix.map((row) => row['peer_user']));
        assert.equal(peers.size, 1);
        assert.ok(!peers.has(''), 'the peer is known');
        assert.ok(tcp.every((row) => row['peer_user'] === null));
        await endAll([...byTcp, ...byUnix]);
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('a home that has crashed is stood in for, and is home again when it is back', async () => {
    await withProxy(driver, {}, async (proxy) => {
      const before = await open(proxy, 8);
      const [home = -1] = workersOf(before);
      const idle = descriptors(proxy.pid);
      for (let round = 0; round < 3; round++) {
        const crash = proxy.adminQuery(`CRASH WORKER ${home}`).catch(() => undefined);
        // Some of these are on their way to it, or in its mailbox: cut, or served; never left hanging.
        const outcomes = await Promise.all(
          Array.from({ length: 40 }, async () => {
            const client = await RawClient.open({ port: proxy.port });
            const said = await client.login().catch((error: Error) => error);
            client.destroy();
            return said instanceof Error ? said.message : '';
          }),
        );
        for (const outcome of outcomes) assert.match(outcome, /^$|closed/);
        await crash;
        await eventually('at home again', async () => {
          const client = await clientOf(proxy).catch(() => null);
          if (client === null) return false;
          assert.equal(await firstValue(client, 'SELECT 1'), '1');
          await client.end();
          return workerOf(client) === home;
        });
      }
      for (const client of before) client.destroy();
      await eventually(
        'no client is left',
        async () => (await proxy.adminQuery('SHOW CLIENTS')).length === 1,
      );
      await eventually('no descriptor is left', async () => descriptors(proxy.pid) <= idle);
    });
  });

  it('clients that go at any moment of the move leave nothing behind', async () => {
    await withProxy(driver, {}, async (proxy) => {
      await endAll(await open(proxy, 24));
      await eventually('all gone', async () => (await proxy.adminQuery('SHOW CLIENTS')).length === 1);
      const before = descriptors(proxy.pid);
      for (let round = 0; round < 60; round++) {
        const clients = await Promise.all(
          Array.from({ length: 8 }, () => RawClient.open({ port: proxy.port })),
        );
        await Promise.all(
          clients.map(async (client, number) => {
            if (number % 4 === 3) client.socket.end(STARTUP);
            else client.send(STARTUP, number % 2 === 0 ? Q('SELECT 1') : Buffer.alloc(0));
            if (number % 3 > 0) await sleep((round % 5) / 2);
            client.destroy(number % 3 === 1);
          }),
        );
      }
      await eventually(
        'no client is left',
        async () => (await proxy.adminQuery('SHOW CLIENTS')).length === 1,
      );
      await eventually('no descriptor is left', async () => descriptors(proxy.pid) <= before + 1);
      const after = await open(proxy, 4);
      await endAll(after);
    });
  });

  it('SIGTERM while clients move: each is served to the end or told, none hangs', async () => {
    const proxy = await startWireProxy(server, driver, {
      workers: WORKERS,
      database: { pool_size: 2 },
      general: { auth_type: 'trust' },
    });
    const clients = await Promise.all(Array.from({ length: 60 }, () => RawClient.open({ port: proxy.port })));
    const ends = clients.map(async (client) => {
      client.send(STARTUP);
      return client.expectClosed(8000);
    });
    proxy.kill('SIGTERM');
    await Promise.all(ends);
    for (const client of clients) client.destroy();
    assert.equal(await proxy.exited, 0);
  });

  decides(
    'limits hold: clients in total, logins that say nothing, the admin database from anywhere',
    async () => {
      const general = { max_client_conn: 6, client_login_timeout: 5000 };
      await withProxy(driver, { general }, async (proxy) => {
        const clients = await open(proxy, 6);
        const one = await RawClient.open({ port: proxy.port });
        assert.equal(sqlstateOf(await one.login()), '53300');
        one.destroy();
        const half = await RawClient.open({ port: proxy.port });
        half.send(STARTUP.subarray(0, 9));
        assert.equal(sqlstateOf(await half.expectClosed()), '57P05');
        half.destroy();
        assert.equal((await proxy.adminQuery('SHOW WORKERS')).length, WORKERS);
        await endAll(clients);
        await eventually('places are free', async () => {
          const next = await clientOf(proxy).catch(() => null);
          await next?.end();
          return next !== null;
        });
      });
    },
  );
});
