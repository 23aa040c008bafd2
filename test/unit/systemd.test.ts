// What systemd is told and when, what it passes, and the units.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  isWell,
  listenerOfDescriptor,
  openListeners,
  openUnixListener,
  ServiceNotifier,
  type ShutdownPhase,
  takePassedSockets,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { NotifyReceiver } from '../support/notify-receiver.js';
import { findProgram } from '../support/programs.js';
import { SYSTEM_TCP } from '../support/system-tcp.js';
import { eventually } from '../support/wire.js';

function fakeProgram() {
  const state = { phase: 'none' as ShutdownPhase, serving: [0, 1], stalled: new Set<number>() };
  return {
    state,
    get shutdownPhase() {
      return state.phase;
    },
    fleet: {
      servingWorkers: () => state.serving,
      isStalled: (worker: number) => state.stalled.has(worker),
    },
  };
}

function notifierFor(address: string | undefined, extra: NodeJS.ProcessEnv = {}) {
  const env: NodeJS.ProcessEnv = { NOTIFY_SOCKET: address, ...extra };
  const logger = new FakeLogger();
  const program = fakeProgram();
  const notifier = new ServiceNotifier({ env, pid: 42, logger, program, status: () => 'all is well' });
  return { env, logger, program, notifier };
}

describe('sd_notify', () => {
  for (const kind of ['path', 'abstract'] as const) {
    it(`READY, RELOADING, STOPPING by ${kind}`, async () => {
      const receiver = new NotifyReceiver(kind);
      const { env, program, notifier } = notifierFor(receiver.address);
      try {
        assert.equal(env.NOTIFY_SOCKET, undefined, 'programs we start must not speak for us');
        notifier.ready();
        assert.deepEqual(receiver.having('READY'), [{ READY: '1', STATUS: 'all is well' }]);
        await assert.rejects(
          notifier.reloading(() => Promise.reject(new Error('no such file'))),
          /no such file/,
        );
        const [reload] = receiver.having('RELOADING');
        assert.ok(Number(reload.MONOTONIC_USEC) > 0);
        assert.equal(receiver.having('READY').length, 2, 'ready again, although the reload failed');
        program.state.phase = 'draining';
        await eventually('STOPPING is told', async () => receiver.having('STOPPING').length === 1);
        assert.equal(receiver.having('WATCHDOG').length, 0, 'nobody asked for it');
      } finally {
        notifier.close();
        receiver.close();
      }
    });
  }

  it('the watchdog is fed while all is well, not while a worker stands still, and again after', async () => {
    const receiver = new NotifyReceiver('path');
    const { program, notifier } = notifierFor(receiver.address, {
      WATCHDOG_USEC: '120000',
      WATCHDOG_PID: '42',
    });
    const fed = () => receiver.having('WATCHDOG').length;
    try {
      notifier.ready();
      await eventually('it is fed', async () => fed() >= 3);
      program.state.stalled.add(1);
      const before = fed();
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.ok(fed() <= before + 1, 'fed while a worker stands still');
      program.state.stalled.clear();
      const after = fed();
      await eventually('it is fed again', async () => fed() >= after + 2);
    } finally {
      notifier.close();
      receiver.close();
    }
  });

  it('a watchdog of another process is none of ours', async () => {
    const receiver = new NotifyReceiver('path');
    const { notifier } = notifierFor(receiver.address, { WATCHDOG_USEC: '60000', WATCHDOG_PID: '43' });
    notifier.ready();
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(receiver.having('WATCHDOG').length, 0);
    notifier.close();
    receiver.close();
  });

  it('an address that cannot be, and one where nobody listens, are one warning', () => {
    const vsock = notifierFor('vsock:2:1234');
    vsock.notifier.ready();
    assert.match(vsock.logger.lines.map(({ message }) => message).join(), /expected a path or @name/);
    const nobody = notifierFor('/nowhere/notify');
    nobody.notifier.ready();
    assert.match(nobody.logger.lines.map(({ message }) => message).join(), /was not told READY/);
    nobody.notifier.close();
    const without = notifierFor(undefined);
    without.notifier.ready();
    without.notifier.close();
    assert.equal(without.logger.lines.length, 0);
  });

  it('well: somebody serves, and whoever serves turns; on the way out, always', () => {
    const program = fakeProgram();
    assert.ok(isWell(program));
    program.state.serving = [0];
    program.state.stalled.add(1);
    assert.ok(isWell(program), 'worker 1 is being restarted');
    program.state.stalled.add(0);
    assert.ok(!isWell(program));
    program.state.serving = [];
    assert.ok(!isWell(program));
    program.state.phase = 'draining';
    assert.ok(isWell(program));
  });
});

describe('socket activation', () => {
  it('TCP and Unix sockets are known by what they are', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-passed-'));
    const [tcp] = await openListeners([{ host: '127.0.0.1', port: 0 }], 4, SYSTEM_TCP);
    const settings = { directory, ports: [7000], mode: 0o700, group: null };
    const unix = await openUnixListener(settings, 7000, 4);
    const name = directory.slice(1).replaceAll('/', '-');
    const abstract = await openUnixListener({ ...settings, directory: `@${name}` }, 7001, 4);
    try {
      const seen = [tcp, unix, abstract].map(({ fd }) => listenerOfDescriptor(fd, 6432));
      assert.deepEqual(
        seen.map(({ kind, host, port, isShared }) => [kind, host, port, isShared]),
        [
          ['tcp', '127.0.0.1', tcp.port, true],
          ['unix', directory, 7000, true],
          ['unix', `@${name}`, 7001, true],
        ],
      );
    } finally {
      for (const listener of [tcp, unix, abstract]) listener.close();
      rmSync(directory, { recursive: true });
    }
  });

  it('what cannot be accepted from is refused by its number', () => {
    assert.throws(() => listenerOfDescriptor(0, 6432), /descriptor 0 was passed to listen on, but/);
    assert.throws(() => listenerOfDescriptor(9999, 6432), /descriptor 9999 .* it is no socket/);
  });

  it('the variables are for one process, and gone afterwards', () => {
    const env: NodeJS.ProcessEnv = { LISTEN_PID: '41', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a' };
    assert.deepEqual(takePassedSockets(env, 42, 6432), []);
    assert.deepEqual(env, {});
    assert.deepEqual(takePassedSockets({ LISTEN_PID: '42', LISTEN_FDS: '0' }, 42, 6432), []);
    for (const text of ['x', '-1', '2000', '']) {
      assert.throws(
        () => takePassedSockets({ LISTEN_PID: '42', LISTEN_FDS: text }, 42, 6432),
        /LISTEN_FDS: expected a number/,
      );
    }
  });
});

const analyze = findProgram('systemd-analyze');

describe('units', { skip: analyze.skip }, () => {
  const folder = new URL('../../../packaging/systemd/', import.meta.url);

  it('systemd-analyze verify has nothing to say, security not much', () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-units-'));
    try {
      const service = readFileSync(new URL('pgdog-cluster.service', folder), 'utf8')
        // Neither program nor user is installed here.
        .replace('/usr/bin/pgdog-cluster', '/bin/true')
        .replace(/^(User|Group)=.*$/gm, '$1=root');
      writeFileSync(join(directory, 'pgdog-cluster.service'), service);
      writeFileSync(
        join(directory, 'pgdog-cluster.socket'),
        readFileSync(new URL('pgdog-cluster.socket', folder)),
      );
      const run = (...args: string[]): string =>
        execFileSync(analyze.path ?? '', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
      assert.equal(run('verify', './pgdog-cluster.service', './pgdog-cluster.socket'), '');
      // persist_file and cache_file: all but such places is closed to writers.
      assert.match(service, /^ProtectSystem=strict$/m);
      assert.match(service, /^StateDirectory=pgdog-cluster$/m);
      const user = service.replace('User=root', 'User=pgdog').replace('Group=root', 'Group=pgdog');
      writeFileSync(join(directory, 'pgdog-cluster.service'), user);
      const security = run('security', '--offline=yes', './pgdog-cluster.service');
      const exposure = Number(/Overall exposure level .*: ([\d.]+)/.exec(security)?.[1]);
      assert.ok(exposure <= 2.5, `exposure ${exposure}`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
