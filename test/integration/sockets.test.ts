/** Unix sockets on both sides. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { userName } from 'pgdog-cluster';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import { enter, tryLogin } from '../support/login.js';
import { findProgram } from '../support/programs.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { clientOf, firstValue, sqlstateOf, startWireProxy, untilBusy } from '../support/wire.js';

const exec = promisify(execFile);
const psql = findProgram('psql');
const isRoot = process.getuid?.() === 0;
const directories: string[] = [];
const ABSTRACT = `@pgdog-sockets-${process.pid}`;

let server: TestPostgres;
let serverDirectory: string;
before(async () => {
  serverDirectory = newDirectory();
  // Postgres runs as another user when we are root.
  chmodSync(serverDirectory, 0o777);
  server = await startPostgres({
    settings: { unix_socket_directories: `${serverDirectory},${ABSTRACT}-server` },
  });
});
after(async () => {
  await server.stop();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'pgdog-sockets-'));
  directories.push(path);
  return path;
}

interface ClientRow {
  addr: string;
  port: string;
  peer_user: string | null;
  user: string;
}

async function clientRows(proxy: TestProxy): Promise<ClientRow[]> {
  const rows = await proxy.adminQuery<ClientRow>('SHOW CLIENTS addr, port, peer_user, user');
  return rows.filter(({ user }) => user === 'postgres');
}

/** What psql prints, or how it fails. */
async function runPsql(
  args: string[],
  runAs: { uid?: number; gid?: number } = {},
): Promise<{ out: string; err: string }> {
  const environment = { ...process.env, PGPASSWORD: 'postgres', PGSSLMODE: 'disable' };
  return exec(psql.path ?? '', ['-XAtw', '-U', 'postgres', ...args], {
    env: environment,
    cwd: '/',
    ...runAs,
  }).then(
    ({ stdout, stderr }) => ({ out: stdout, err: stderr }),
    ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ out: stdout, err: stderr }),
  );
}

forEachDriver('sockets', (driver) => {
  const decides = decisionsOn(driver);
  it('clients by a Unix socket beside TCP: queries, cancel, pg, SHOW CLIENTS; gone at the end', async () => {
    const directory = newDirectory();
    const proxy = await startWireProxy(server, driver, {
      workers: 2,
      general: { unix_socket_dir: directory, unix_socket_mode: '0700', log_connections: true },
    });
    const path = join(directory, `.s.PGSQL.${proxy.port}`);
    assert.ok(proxy.output.includes(`listening on ${path}`));
    assert.equal(statSync(path).mode & 0o777, 0o700);
    const client = await clientOf(proxy, { host: directory });
    const byTcp = await clientOf(proxy);
    try {
      assert.equal(await firstValue(client, 'SELECT 41 + 1'), '42');
      const me = (await userName(process.getuid?.() ?? 0)) ?? 'root';
      const rows = await clientRows(proxy);
      const unix = rows.find(({ addr }) => addr === 'unix');
      assert.deepEqual(unix, { addr: 'unix', port: String(proxy.port), peer_user: me, user: 'postgres' });
      assert.equal(rows.find(({ addr }) => addr === '127.0.0.1')?.peer_user, null);
      const shown = await proxy.adminQuery<{ kind: string; address: string }>('SHOW ADDRESSES');
      assert.deepEqual(
        shown.map(({ kind, address }) => `${kind} ${address}`),
        [`tcp 127.0.0.1:${proxy.port}`, `unix ${path}`],
      );
      await proxy.waitForOutput(`addr=unix port=${proxy.port}`);
      client.send(Q('SELECT pg_sleep(200)'));
      await untilBusy(server);
      await client.cancel();
      assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
      const driverClient = new pg.Client({
        host: directory,
        port: proxy.port,
        user: 'postgres',
        password: 'postgres',
        database: 'postgres',
      });
      await driverClient.connect();
      const { rows: answers } = await driverClient.query('SELECT $1::int * 2 AS x', [21]);
      assert.equal(answers[0].x, 42);
      await driverClient.end();
      // As large as no buffer: backpressure is the same as over TCP.
      assert.equal((await firstValue(client, "SELECT repeat('x', 3000000)"))?.length, 3_000_000);
    } finally {
      await Promise.all([client.end(), byTcp.end()]);
      assert.equal(await proxy.stop(), 0);
    }
    assert.deepEqual(readdirSync(directory), [], 'socket and lock file');
  });

  it('psql by directory and abstract name, as another user; the mode keeps others out', {
    skip: psql.skip,
  }, async () => {
    const directory = newDirectory();
    chmodSync(directory, 0o755);
    const proxy = await startWireProxy(server, driver, { general: { host: '', unix_socket_dir: directory } });
    const abstract = await startWireProxy(server, driver, {
      general: { host: '127.0.0.1', unix_socket_dir: ABSTRACT, unix_socket_mode: '0700' },
    });
    const port = (of: TestProxy): string => String(of.port);
    try {
      assert.match(abstract.output, /unix_socket_mode: has no effect on an abstract socket/);
      assert.ok(!proxy.output.includes('127.0.0.1'), 'only the Unix socket');
      for (const [host, of] of [
        [directory, proxy],
        [ABSTRACT, abstract],
      ] as const) {
        assert.deepEqual(await runPsql(['-h', host, '-p', port(of), '-c', 'SELECT 1', 'postgres']), {
          out: '1\n',
          err: '',
        });
      }
      if (!isRoot) return;
      const nobody = { uid: 65_534, gid: 65_534 };
      await server.query('SELECT pg_advisory_lock(5)');
      const slow = runPsql(
        ['-h', directory, '-p', port(proxy), '-c', 'SELECT pg_advisory_xact_lock(5)', 'postgres'],
        nobody,
      );
      await untilBusy(server);
      const admin = new pg.Client({
        host: directory,
        port: proxy.port,
        user: 'admin',
        password: 'admin',
        database: 'admin',
      });
      await admin.connect();
      const { rows } = await admin.query('SHOW CLIENTS user, peer_user');
      await admin.end();
      assert.deepEqual(
        rows.find(({ user }) => user === 'postgres'),
        { user: 'postgres', peer_user: 'nobody' },
      );
      await server.query('SELECT pg_advisory_unlock(5)');
      assert.equal((await slow).err, '');
      chmodSync(join(directory, `.s.PGSQL.${proxy.port}`), 0o700);
      const refused = await runPsql(
        ['-h', directory, '-p', port(proxy), '-c', 'SELECT 1', 'postgres'],
        nobody,
      );
      assert.match(refused.err, /Permission denied/);
    } finally {
      await Promise.all([proxy.stop(), abstract.stop()]);
    }
  });

  decides(
    'a second proxy on the same socket is refused by name; after SIGKILL the socket is taken over',
    async () => {
      const directory = newDirectory();
      const general = { unix_socket_dir: directory };
      const first = await startWireProxy(server, driver, { general });
      const path = join(directory, `.s.PGSQL.${first.port}`);
      // Same port, other address: it is the socket that is in the way.
      const second = await startProxy({
        databases: [databaseOf(server)],
        general: { ...general, host: '127.0.0.9', port: first.port },
        isUnready: true,
      });
      assert.equal(await second.exited, 1);
      assert.ok(
        second.output.includes(`cannot listen on ${path}: another process has locked it`),
        second.output,
      );
      const client = await clientOf(first, { host: directory });
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      first.kill('SIGKILL');
      await first.exited;
      client.destroy();
      assert.ok(existsSync(path));
      const third = await startProxy({
        databases: [databaseOf(server)],
        ioDriver: driver,
        general: { ...general, host: '127.0.0.9', port: first.port },
      });
      const again = await RawClient.connect({ host: directory, port: first.port, password: 'postgres' });
      assert.equal(await firstValue(again, 'SELECT 1'), '1');
      await again.end();
      await third.stop();
    },
  );

  it('servers by a Unix socket: directory, abstract name, URL; cancel goes the same way; require_peer', async () => {
    const uid = statSync(join(serverDirectory, `.s.PGSQL.${server.port}`)).uid;
    const owner = (await userName(uid)) ?? '';
    const stranger = owner === 'root' ? 'nobody' : 'root';
    const at = (host: string, settings = {}) =>
      databaseOf({ host, port: server.port }, { database_name: 'postgres', ...settings });
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [
        at(serverDirectory, { name: 'by_directory', require_peer: owner }),
        at(`${ABSTRACT}-server`, { name: 'by_name' }),
        at(serverDirectory, { name: 'wrong_peer', require_peer: stranger }),
        at(serverDirectory, { name: 'unknown_peer', require_peer: 'no such user' }),
        at(newDirectory(), { name: 'nobody_there' }),
      ],
      general: { min_pool_size: 0, checkout_timeout: 3000 },
    });
    try {
      for (const database of ['by_directory', 'by_name']) {
        const client = await clientOf(proxy, { database });
        assert.equal(
          await firstValue(
            client,
            'SELECT client_addr IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()',
          ),
          't',
        );
        client.send(Q('SELECT pg_sleep(200)'));
        await untilBusy(server);
        await client.cancel();
        assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
        await client.end();
      }
      await assert.rejects(clientOf(proxy, { database: 'wrong_peer' }), (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`is not to be trusted: require_peer demands .* "${stranger}"`),
        );
        return true;
      });
      await assert.rejects(
        clientOf(proxy, { database: 'unknown_peer' }),
        /require_peer names "no such user"/,
      );
      await assert.rejects(
        clientOf(proxy, { database: 'nobody_there' }),
        /\.s\.PGSQL\.\d+: No such file or directory/,
      );
    } finally {
      await proxy.stop();
    }
    const url = `postgres://postgres:postgres@/postgres?host=${serverDirectory}&port=${server.port}&pool_size=1`;
    const byUrl = await startProxy({ url, ioDriver: driver });
    const client = await clientOf(byUrl);
    assert.equal(await firstValue(client, 'SELECT 7'), '7');
    await client.end();
    await byUrl.stop();
  });

  decides('auth_query and passthrough ask by the same socket, and nobody but require_peer', async () => {
    const uid = statSync(join(serverDirectory, `.s.PGSQL.${server.port}`)).uid;
    const owner = (await userName(uid)) ?? '';
    const stranger = owner === 'root' ? 'nobody' : 'root';
    await server.query("DROP ROLE IF EXISTS bob; CREATE ROLE bob LOGIN PASSWORD 'bobs password'");
    const at = (name: string, host: string, settings = {}) =>
      databaseOf({ host, port: server.port }, { name, database_name: 'postgres', ...settings });
    for (const general of [
      { auth_user: 'postgres', auth_password: 'postgres' },
      { passthrough_auth: 'enabled_plain' },
    ]) {
      const proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        databases: [
          at('by_directory', serverDirectory, { require_peer: owner }),
          at('by_name', `${ABSTRACT}-server`),
          at('wrong_peer', serverDirectory, { require_peer: stranger }),
        ],
        users: [],
        general: { min_pool_size: 0, ...general },
      });
      try {
        for (const database of ['by_directory', 'by_name'])
          assert.equal(await enter(proxy, 'bob', 'bobs password', { database }), '', database);
        const { sqlstate } = await tryLogin(proxy, 'bob', 'bobs password', { database: 'wrong_peer' });
        assert.equal(sqlstate, '08001', 'nobody who may be believed could be asked');
        await proxy.waitForOutput('require_peer demands that it be run by');
      } finally {
        await proxy.stop();
      }
    }
    await server.query('DROP ROLE bob');
    const check = await startProxy({
      databases: [at('postgres', serverDirectory, { require_peer: stranger })],
      args: ['check', '--connect'],
      isUnready: true,
    });
    assert.equal(await check.exited, 1, check.output);
    assert.match(check.output, /FAILED .*require_peer demands/);
  });

  decides(
    'the program’s own looks at servers take the same way: check --connect, the probe at start, SHOW shards',
    async () => {
      const urlOf = (host: string, more = ''): string =>
        `postgres://postgres:postgres@/postgres?host=${host}&port=${server.port}${more}`;
      for (const host of [serverDirectory, `${ABSTRACT}-server`]) {
        const check = await startProxy({ url: urlOf(host), args: ['check', '--connect'], isUnready: true });
        assert.equal(await check.exited, 0, check.output);
        assert.ok(
          check.output.includes(`ok     postgres@${host}/.s.PGSQL.${server.port}/postgres: PostgreSQL 1`),
          check.output,
        );
      }
      const none = await startProxy({
        url: urlOf(newDirectory()),
        args: ['check', '--connect'],
        isUnready: true,
      });
      assert.equal(await none.exited, 1);
      assert.match(none.output, /FAILED .*ENOENT/);
      const proxy = await startProxy({
        ioDriver: driver,
        databases: [
          databaseOf({ host: `${ABSTRACT}-server`, port: server.port }),
          databaseOf({ host: newDirectory(), port: 1 }, { name: 'gone' }),
        ],
        general: { min_pool_size: 0 },
      });
      await proxy.waitForOutput('reason=ENOENT');
      const shards = await proxy.adminQuery<{ name: string; state: string }>('SHOW pgdog.shards');
      assert.deepEqual(Object.fromEntries(shards.map(({ name, state }) => [name, state])), {
        postgres: 'up',
        gone: 'down',
      });
      assert.equal(proxy.output.split('server_unreachable').length, 2, 'the other one can be reached');
      await proxy.stop();
    },
  );
});
