// A new process takes over from the running one: nobody is refused, and what goes wrong leaves the old one as it was.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { eventually, sleep } from '../support/wire.js';

const LOOPS = 6;

let server: TestPostgres;
const directory = mkdtempSync(join(tmpdir(), 'pgdog-restart-'));
before(async () => {
  server = await startPostgres();
});
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

function start(port: number, options: Partial<StartProxyOptions> = {}): Promise<TestProxy> {
  const { general = {}, ...rest } = options;
  return startProxy({
    databases: [databaseOf(server)],
    workers: 2,
    port,
    general: { unix_socket_dir: directory, ...general },
    ...rest,
  });
}

const takeOver = (port: number, options: Partial<StartProxyOptions> = {}) =>
  start(port, { ...options, args: ['--take-over'] });

const clientAt = (host: string, port: number): pg.Client => {
  const login = { user: 'postgres', password: 'postgres', database: 'postgres' };
  const client = new pg.Client({ host, port, ...login });
  client.on('error', () => {});
  return client;
};

async function one(host: string, port: number): Promise<void> {
  const client = clientAt(host, port);
  await client.connect();
  try {
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  } finally {
    await client.end();
  }
}

/** Clients that connect, ask and leave without a pause, by TCP and the Unix socket; what failed. */
function connectConstantly(port: number) {
  const state = { isOn: true, done: 0, failures: [] as string[] };
  const loop = async (host: string): Promise<void> => {
    while (state.isOn) {
      try {
        await one(host, port);
        state.done++;
      } catch (error) {
        state.failures.push(`${host}: ${error}`);
      }
    }
  };
  const hosts = Array.from({ length: LOOPS }, (_, index) => (index % 2 === 0 ? '127.0.0.1' : directory));
  const loops = hosts.map(loop);
  const stop = async (): Promise<void> => {
    state.isOn = false;
    await Promise.all(loops);
  };
  return { state, stop };
}

describe('online restart', () => {
  it('twice under constant connecting: no connect and no query fails, transactions end where they began', async () => {
    const port = await freePort();
    const metrics = { openmetrics_host: '127.0.0.1', openmetrics_port: await freePort() };
    const first = await start(port, { general: metrics });
    const inTransaction = clientAt('127.0.0.1', port);
    await inTransaction.connect();
    await inTransaction.query('BEGIN');
    const backend = (await inTransaction.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
    const load = connectConstantly(port);
    await eventually('the load runs', async () => load.state.done > 20);
    const second = await takeOver(port, { general: metrics });
    const before = load.state.done;
    await eventually('the second serves', async () => load.state.done > before + 20);
    await second.waitForOutput(`took over from process ${first.pid}, which drains`);
    await first.waitForOutput(`process ${second.pid} has taken over: waiting until clients`);
    // The transaction goes on in the old process, which waits for its client.
    assert.equal((await inTransaction.query('SELECT pg_backend_pid() AS pid')).rows[0].pid, backend);
    await inTransaction.query('COMMIT');
    await inTransaction.end();
    assert.equal(await first.exited, 0);
    assert.ok(existsSync(join(directory, `.s.PGSQL.${port}`)), 'the socket file outlives its first process');
    const page = await fetch(`http://127.0.0.1:${metrics.openmetrics_port}/metrics`);
    assert.equal(page.status, 200, 'the port of the figures went along');
    const third = await takeOver(port, { general: metrics });
    assert.equal(await second.exited, 0);
    await load.stop();
    assert.deepEqual(load.state.failures, []);
    assert.equal(await third.stop(), 0);
    assert.ok(!existsSync(join(directory, `.s.PGSQL.${port}`)), 'the last one clears up');
    assert.ok(!existsSync(join(directory, `.s.PGSQL.${port}.lock`)));
  });

  it('clients that one worker hands to another before they log in are lost by none', async () => {
    const port = await freePort();
    // Three of the eight workers serve a pool of ten: five of eight clients move.
    const spread = { workers: 8, databases: [databaseOf(server, { pool_size: 10 })] };
    const first = await start(port, spread);
    const load = connectConstantly(port);
    await eventually('the load runs', async () => load.state.done > 50);
    const second = await takeOver(port, spread);
    assert.equal(await first.exited, 0);
    await load.stop();
    assert.deepEqual(load.state.failures, []);
    assert.equal(await second.stop(), 0);
  });

  it('whoever stays longer than shutdown_timeout is told to go, as by a shutdown', async () => {
    const port = await freePort();
    const first = await start(port, { general: { shutdown_timeout: 500 } });
    const idle = clientAt('127.0.0.1', port);
    await idle.connect();
    await idle.query('SELECT 1');
    const second = await takeOver(port);
    assert.equal(await first.exited, 0);
    await assert.rejects(idle.query('SELECT 1'));
    await one('127.0.0.1', port);
    assert.equal(await second.stop(), 0);
  });

  it('a metrics port and a pid file that cannot be had cost neither each other nor the health port', async () => {
    const port = await freePort();
    const first = await start(port);
    const health = await freePort();
    const taken = createServer().listen(await freePort(), '127.0.0.1');
    await once(taken, 'listening');
    const { port: metrics } = taken.address() as AddressInfo;
    const second = await takeOver(port, {
      general: {
        openmetrics_host: '127.0.0.1',
        openmetrics_port: metrics,
        healthcheck_port: health,
        pid_file: '/nowhere/proxy.pid',
      },
    });
    assert.equal(await first.exited, 0);
    await second.waitForOutput('start_incomplete cannot write pid_file /nowhere/proxy.pid');
    const isRefused = () =>
      /start_incomplete cannot listen on \S+ for metrics: the port is in use/.test(second.output);
    await eventually('the log says so', async () => isRefused());
    await eventually('the health port answers', async () => {
      const page = await fetch(`http://127.0.0.1:${health}/`).catch(() => null);
      return (await page?.text()) === 'up';
    });
    await one('127.0.0.1', port);
    assert.equal(await second.stop(), 0);
    taken.close();
  });

  it('nobody to take over from: an ordinary start, with a warning', async () => {
    const port = await freePort();
    const proxy = await takeOver(port);
    assert.match(proxy.output, /take_over_nobody no process of this user serves port/);
    await one('127.0.0.1', port);
    assert.equal(await proxy.stop(), 0);
  });
});

describe('a start that fails leaves the old process as it was', () => {
  let port: number;
  let old: TestProxy;
  before(async () => {
    port = await freePort();
    old = await start(port);
  });
  after(async () => {
    assert.equal(await old?.stop(), 0);
    assert.ok(!existsSync(join(directory, `.s.PGSQL.${port}`)));
  });

  const stillServes = async (): Promise<void> => {
    await one('127.0.0.1', port);
    await one(directory, port);
    assert.ok(existsSync(join(directory, `.s.PGSQL.${port}`)));
    assert.ok(existsSync(join(directory, `.s.PGSQL.${port}.lock`)));
  };

  it('an address that is taken by somebody else', async () => {
    const failed = await takeOver(port, {
      general: { host: `127.0.0.1,192.0.2.1` },
      isUnready: true,
    });
    assert.equal(await failed.exited, 1);
    assert.match(failed.output, /cannot listen on 192\.0\.2\.1/);
    await old.waitForOutput('online restart given up: the new process is gone; this process goes on');
    await stillServes();
  });

  it('killed when it had the sockets', async () => {
    const killed = await takeOver(port, { isUnready: true });
    await old.waitForOutput(`process ${killed.pid} is about to take over`);
    killed.kill('SIGKILL');
    await killed.exited;
    await stillServes();
    await eventually('the lock is free for the next', async () => /gone; this process/.test(old.output));
  });

  it('a configuration that is wrong: nothing is asked', async () => {
    const wrong = await takeOver(port, { general: { pooler_mode: 'nonsense' }, isUnready: true });
    assert.equal(await wrong.exited, 2);
    await stillServes();
  });

  it('a second one while the first is at it', async () => {
    const hanging = await takeOver(port, {
      isUnready: true,
    });
    await old.waitForOutput(`process ${hanging.pid} is about to take over`);
    hanging.kill('SIGSTOP');
    const late = await takeOver(port, { isUnready: true });
    assert.equal(await late.exited, 1);
    assert.match(late.output, /cannot take over: process \d+ is taking over already/);
    await stillServes();
    hanging.kill('SIGKILL');
    await hanging.exited;
    const givenUp = () => old.output.split('the new process is gone').length;
    await eventually('all three are given up', async () => givenUp() === 4);
  });
});

it('the old process is told to end while the new one starts: the new one is alone', async () => {
  const port = await freePort();
  const old = await start(port);
  const next = await takeOver(port, { isUnready: true });
  await old.waitForOutput(`process ${next.pid} is about to take over`);
  next.kill('SIGSTOP');
  assert.equal(await old.stop(), 0);
  const waiting = one('127.0.0.1', port);
  await sleep(100);
  next.kill('SIGCONT');
  await waiting;
  await next.waitForOutput('ready on');
  assert.match(next.output, /was gone before it could be taken over/);
  await one(directory, port);
  assert.equal(await next.stop(), 0);
});
