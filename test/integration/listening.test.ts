/** Several listen addresses, and what accept does when there are no descriptors left. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import koffi from 'koffi';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, firstValue, run, sleep, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
const directories: string[] = [];
before(async () => {
  server = await startPostgres();
});
after(async () => {
  await server.stop();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'pgdog-listening-'));
  directories.push(path);
  return path;
}

/** The kernel's timer of each established connection that the proxy has accepted: 00 none, 02 keepalive. */
function acceptedTimers(port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) =>
      line
        .trim()
        .split(' ')
        .filter((word) => word !== ''),
    )
    .filter((words) => words[1]?.endsWith(local) && words[3] === '01')
    .map((words) => words[5].slice(0, 2));
}

forEachDriver('listening', (driver) => {
  it('several addresses: all of them serve, SHOW and the log list them, keepalive is on', async () => {
    const proxy = await startWireProxy(server, driver, {
      workers: 2,
      general: { host: '127.0.0.1, ::1,127.0.0.2' },
    });
    try {
      const clients: RawClient[] = [];
      for (const host of ['127.0.0.1', '::1', '127.0.0.2']) {
        const client = await clientOf(proxy, { host });
        assert.equal(await firstValue(client, 'SELECT 1'), '1', host);
        assert.ok(
          proxy.output.includes(`listening on ${host.includes(':') ? `[${host}]` : host}:${proxy.port}`),
        );
        clients.push(client);
      }
      const seen = (await proxy.adminQuery<{ addr: string; user: string }>('SHOW CLIENTS addr, user'))
        .filter(({ user }) => user === 'postgres')
        .map(({ addr }) => addr)
        .sort();
      assert.deepEqual(seen, ['127.0.0.1', '127.0.0.1', '::1']);
      await eventually('a keepalive timer on each accepted connection', async () => {
        const timers = acceptedTimers(proxy.port);
        return timers.length >= 2 && timers.every((timer) => timer === '02');
      });
      await Promise.all(clients.map((client) => client.end()));
    } finally {
      await proxy.stop();
    }
  });

  it('one address of several that is in use is named; nothing is listened on then', async () => {
    const first = await startWireProxy(server, driver, { general: { host: '127.0.0.3' } });
    const directory = newDirectory();
    const second = await startProxy({
      databases: [databaseOf(server)],
      general: { host: '127.0.0.2,127.0.0.3', port: first.port, unix_socket_dir: directory },
      isUnready: true,
    });
    assert.equal(await second.exited, 1);
    assert.ok(
      second.output.includes(`cannot listen on 127.0.0.3:${first.port}: the address is already in use`),
    );
    assert.deepEqual(readdirSync(directory), []);
    await first.stop();
  });

  it('out of descriptors: one line a second and no spinning; who waited is served when others leave', async () => {
    const directory = newDirectory();
    const proxy = await startWireProxy(server, driver, {
      general: { auth_type: 'trust', unix_socket_dir: directory },
    });
    const first = await clientOf(proxy);
    await run(first, 'SELECT 1');
    // The lowest free number is what counts; the few high ones are beyond it anyway.
    const used = readdirSync(`/proc/${proxy.pid}/fd`).length;
    limitDescriptors(proxy.pid, used + 20);
    const sinceMs = performance.now();
    const clients: RawClient[] = [];
    const waiting: Promise<unknown>[] = [];
    for (let index = 0; index < 60; index++) {
      const client = await RawClient.open({
        port: proxy.port,
        host: index % 2 === 0 ? directory : '127.0.0.1',
      });
      clients.push(client);
      waiting.push(client.login());
    }
    await proxy.waitForOutput('accept_failed');
    const before = cpuTicks(proxy.pid);
    await sleep(1500);
    const lines = proxy.output.split('\n').filter((line) => line.includes('accept_failed')).length;
    const seconds = (performance.now() - sinceMs) / 1000;
    assert.ok(lines <= 2 + seconds, `${lines} lines in ${seconds} s`);
    assert.match(proxy.output, /cannot accept clients: out of descriptors or memory; raise the limit/);
    // A loop that spins takes 150 ticks meanwhile.
    assert.ok(cpuTicks(proxy.pid) - before < 75, `${cpuTicks(proxy.pid) - before} ticks`);
    assert.equal(await firstValue(first, 'SELECT 5'), '5', 'running clients go on');
    const isIn = await Promise.all(
      waiting.map((login) => Promise.race([login.then(() => true), sleep(0).then(() => false)])),
    );
    assert.ok(isIn.includes(false) && isIn.includes(true), `${isIn.filter(Boolean).length} of 60 are in`);
    for (const [index, client] of clients.entries()) if (isIn[index]) client.destroy();
    limitDescriptors(proxy.pid, used + 200);
    for (const [index, login] of waiting.entries()) if (!isIn[index]) await login;
    for (const client of clients) client.destroy();
    await first.end();
    await proxy.stop();
  });
});

const prlimit = koffi.load(null).func('prlimit64', 'int', ['int', 'int', 'void *', 'void *']);
const RLIMIT_NOFILE = 7;

/** The soft limit of another process, which only its opens are bound by. */
function limitDescriptors(pid: number, limit: number): void {
  const limits = new BigUint64Array(2);
  assert.equal(prlimit(pid, RLIMIT_NOFILE, null, limits), 0);
  limits[0] = BigInt(limit);
  assert.equal(prlimit(pid, RLIMIT_NOFILE, limits, null), 0);
}

/** User and system time of all threads, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(words[11]) + Number(words[12]);
}
