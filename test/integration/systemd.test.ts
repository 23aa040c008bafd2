// The program under something that behaves as systemd: sockets that it opens, and what it is told.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { openListeners, openUnixListener } from 'pgdog-cluster';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { NotifyReceiver } from '../support/notify-receiver.js';
import { findProgram } from '../support/programs.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { SYSTEM_TCP } from '../support/system-tcp.js';
import { eventually } from '../support/wire.js';

const activate = findProgram('systemd-socket-activate');
/** The pid is known only to the process itself. */
const AS_SYSTEMD = ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'];

let server: TestPostgres;
const directory = mkdtempSync(join(tmpdir(), 'pgdog-systemd-'));
before(async () => {
  server = await startPostgres();
});
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function one(host: string, port: number): Promise<unknown> {
  const client = new pg.Client({ host, port, user: 'postgres', password: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query('SELECT 1 AS one')).rows[0].one;
  } finally {
    await client.end();
  }
}

it('sockets that were passed are used, and outlive the program: nobody is refused between two', async () => {
  const [tcp] = await openListeners([{ host: '127.0.0.1', port: 0 }], 16, SYSTEM_TCP);
  const [other] = await openListeners([{ host: '127.0.0.1', port: 0 }], 16, SYSTEM_TCP);
  const unix = await openUnixListener({ directory, ports: [7000], mode: 0o700, group: null }, 7000, 16);
  const start = () =>
    startProxy({
      databases: [databaseOf(server)],
      workers: 2,
      wrapper: AS_SYSTEMD,
      descriptors: [tcp.fd, other.fd, unix.fd],
      env: { LISTEN_FDS: '3', LISTEN_FDNAMES: 'main:other:local' },
    });
  try {
    const first = await start();
    assert.equal(await one('127.0.0.1', tcp.port), 1);
    assert.equal(await one('127.0.0.1', other.port), 1);
    assert.equal(await one(directory, 7000), 1);
    assert.match(first.output, /socket_passed .* name=local/);
    assert.equal(await first.stop(), 0);
    // Nobody serves now: the client waits in the queue of the socket.
    const waiting = [one('127.0.0.1', tcp.port), one(directory, 7000)];
    const second = await start();
    assert.deepEqual(await Promise.all(waiting), [1, 1]);
    assert.equal(await second.stop(), 0);
  } finally {
    for (const listener of [tcp, other, unix]) listener.close();
  }
});

it('a descriptor that is no listening socket: one line, exit code 1', async () => {
  const proxy = await startProxy({
    databases: [databaseOf(server)],
    wrapper: AS_SYSTEMD,
    env: { LISTEN_FDS: '1' },
    isUnready: true,
  });
  assert.equal(await proxy.exited, 1);
  assert.match(proxy.output, /error: descriptor 3 was passed to listen on, but it is no/);
});

it('READY when it serves, RELOADING at SIGHUP, WATCHDOG meanwhile, STOPPING at SIGTERM', async () => {
  const receiver = new NotifyReceiver('abstract');
  try {
    const proxy = await startProxy({
      databases: [databaseOf(server)],
      workers: 1,
      env: { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: '1000000' },
    });
    await eventually('ready', async () => receiver.having('READY').length === 1);
    assert.match(receiver.having('READY')[0].STATUS, /^serving: 0 clients, 1 worker, (io_uring|epoll)$/);
    await eventually('fed', async () => receiver.having('WATCHDOG').length > 1);
    proxy.kill('SIGHUP');
    await eventually('reloaded', async () => receiver.having('READY').length === 2);
    assert.equal(receiver.having('RELOADING').length, 1);
    assert.equal(await proxy.stop(), 0);
    assert.equal(receiver.having('STOPPING').length, 1);
  } finally {
    receiver.close();
  }
});

it('systemd-socket-activate starts it at the first client', { skip: activate.skip }, async () => {
  const port = await freePort();
  const proxy = await startProxy({
    databases: [databaseOf(server)],
    workers: 1,
    wrapper: [
      activate.path ?? '',
      '-l',
      `127.0.0.1:${port}`,
      '-l',
      join(directory, '.s.PGSQL.7001'),
      '--fdname=main:local',
      '-E',
      'PGDOG_TEST_HOOKS',
    ],
    isUnready: true,
  });
  await proxy.waitForOutput('Listening on');
  await new Promise<void>((resolve, reject) => {
    const knock = connect({ host: '127.0.0.1', port });
    knock.once('connect', () => resolve()).once('error', reject);
    knock.unref();
  });
  await proxy.waitForOutput('ready on');
  assert.equal(await one('127.0.0.1', port), 1);
  assert.equal(await one(directory, 7001), 1);
  assert.equal(await proxy.stop(), 0);
});
