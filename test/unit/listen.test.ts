import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  createSharedMemory,
  type HostAddress,
  readAddress,
  readPort,
  type TcpSnapshot,
} from '@pgdog-cluster/core';
import { libc, openServerSocket } from '@pgdog-cluster/worker';
import koffi from 'koffi';
import {
  buildSockaddr,
  HEARTBEAT_AGE_MAX_MS,
  HeartbeatWatch,
  Listener,
  openListeners,
  ReportCollector,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';

const TCP: TcpSnapshot = {
  keepalive: true,
  keepaliveTimeS: 11,
  keepaliveIntervalS: 3,
  keepaliveRetries: 2,
  userTimeoutMs: 1234,
  deferAcceptS: 45,
};

const getsockopt = koffi.load(null).func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']);

function optionOf(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  assert.equal(getsockopt(fd, level, name, value, new Int32Array([4])), 0);
  return value[0];
}

/** TCP_CONGESTION, which a system may have set to anything. */
function congestionOf(fd: number): string {
  const name = new Uint8Array(16);
  assert.equal(getsockopt(fd, 6, 13, name, new Int32Array([name.byteLength])), 0);
  return String.fromCharCode(...name.subarray(0, name.indexOf(0)));
}

test('addresses survive the way into a sockaddr and back, in their shortest form', () => {
  for (const [text, printed] of [
    ['127.0.0.1', '127.0.0.1'],
    ['255.0.10.1', '255.0.10.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['fe80::1:0:2:3', 'fe80::1:0:2:3'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['1::', '1::'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ]) {
    const { bytes } = buildSockaddr(text, 65_432);
    assert.equal(readAddress(bytes), printed);
    assert.equal(readPort(bytes), 65_432);
  }
  for (const text of ['localhost', '1.2.3', 'fe80::1%eth0', '']) {
    assert.throws(() => buildSockaddr(text, 1), RangeError, text);
  }
  assert.equal(readAddress(new Uint8Array(28)), '');
});

test('IPv4 and IPv6 listen side by side on one port; close is idempotent and frees it', async () => {
  const [first] = await openListeners([{ host: '0.0.0.0', port: 0 }], 16, TCP);
  const { port } = first;
  const [six] = await openListeners([{ host: '::1', port }], 16, TCP);
  assert.equal(six.address, `[::1]:${port}`);
  await assert.rejects(openListeners([{ host: '0.0.0.0', port }], 16, TCP), /already in use/);
  for (const listener of [first, six, first]) listener.close();
  const both = await openListeners(
    [
      { host: '::', port },
      { host: '0.0.0.0', port },
    ],
    16,
    TCP,
  );
  assert.deepEqual(
    both.map(({ address }) => address),
    [`[::]:${port}`, `0.0.0.0:${port}`],
  );
  for (const listener of both) listener.close();
});

test('listen_backlog is what the kernel was told', async () => {
  const [listener] = await openListeners([{ host: '127.0.0.1', port: 0 }], 77, TCP);
  // Of a listening socket TCP_INFO has the limit of its backlog in tcpi_sacked.
  const info = new Int32Array(32);
  assert.equal(getsockopt(listener.fd, 6, 11, info, new Int32Array([info.byteLength])), 0);
  assert.equal(info[7], 77);
  listener.close();
});

test('accepted sockets inherit the options; a listener that is shut down takes nobody', async () => {
  const [listener] = await openListeners([{ host: '127.0.0.1', port: 0 }], 16, TCP);
  assert.ok(listener instanceof Listener);
  assert.equal(optionOf(listener.fd, 6, 9) > 0, true, 'TCP_DEFER_ACCEPT');
  listener.setTcpOptions({ ...TCP, deferAcceptS: 0 });
  assert.equal(optionOf(listener.fd, 6, 9), 0);
  const socket = connect(listener.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const fd = libc.accept4(listener.fd, null, null, 0);
  assert.ok(fd >= 0);
  // SO_KEEPALIVE, then TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT.
  assert.equal(optionOf(fd, 1, 9), 1);
  const options = [1, 4, 5, 6, 18].map((name) => optionOf(fd, 6, name));
  assert.deepEqual(options, [1, 11, 3, 2, 1234]);
  assert.equal(congestionOf(fd), 'reno');
  listener.shutDown();
  const refused = connect(listener.port, '127.0.0.1');
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => refused.once('error', resolve));
  assert.equal(error.code, 'ECONNREFUSED');
  assert.equal(libc.accept4(listener.fd, null, null, 0), -1);
  listener.close();
  listener.shutDown();
  libc.close(fd);
  socket.destroy();
});

test('only what stays on this machine is taken out of the congestion control of the system', async () => {
  const [everywhere] = await openListeners([{ host: '0.0.0.0', port: 0 }], 16, TCP);
  const [v6] = await openListeners([{ host: '::1', port: 0 }], 16, TCP).catch(() => []);
  const near = openServerSocket(hostAddress('127.0.0.2'), TCP);
  const far = openServerSocket(hostAddress('192.0.2.1'), TCP);
  const other = libc.socket(2, 1, 0);
  assert.equal(congestionOf(near), 'reno');
  if (v6 !== undefined) assert.equal(congestionOf(v6.fd), 'reno');
  assert.equal(congestionOf(far), congestionOf(other));
  assert.equal(congestionOf(everywhere.fd), congestionOf(other));
  for (const fd of [near, far, other]) libc.close(fd);
  everywhere.close();
  v6?.close();
});

function hostAddress(text: string): HostAddress {
  return { family: 2, text, sockaddr: buildSockaddr(text, 5432).bytes };
}

test('a worker that does not turn is reported once, and once when it turns again', () => {
  const memory = createSharedMemory({ workers: 2, poolsMax: 1, fdMax: 64 });
  const logger = new FakeLogger();
  const watch = new HeartbeatWatch(memory, () => [0, 1], logger);
  let nowMs = 1_000_000;
  const beat = (worker: number): void => memory.workers.setHeartbeatMs(worker, nowMs);
  const pass = (forMs: number): void => {
    for (let ms = 0; ms < forMs; ms += 1000) {
      nowMs += 1000;
      beat(0);
      watch.check(nowMs);
    }
  };
  watch.check(nowMs);
  beat(1);
  pass(HEARTBEAT_AGE_MAX_MS);
  assert.ok(!watch.isStalled(1));
  pass(3000);
  assert.deepEqual([watch.isStalled(0), watch.isStalled(1)], [false, true]);
  assert.equal(logger.of('worker_stalled').length, 1);
  beat(1);
  pass(1000);
  assert.ok(!watch.isStalled(1));
  assert.equal(logger.of('worker_recovered').length, 1);
  // The machine slept: nobody is to blame.
  nowMs += 3_600_000;
  watch.check(nowMs);
  assert.equal(logger.of('worker_stalled').length, 1);
});

test('reports: answers of the wrong request, of strangers and too late are dropped', async () => {
  const reports = new ReportCollector(50);
  const asked: number[] = [];
  const pending = reports.request('clients', [0, 2], (_worker, { requestId }) => asked.push(requestId));
  const rows = [{ slot: 4 }] as never;
  reports.onReport({ type: 'report', worker: 0, requestId: asked[0] + 1, rows });
  reports.onReport({ type: 'report', worker: 1, requestId: asked[0], rows });
  reports.onReport({ type: 'report', worker: 0, requestId: asked[0], rows });
  reports.onReport({ type: 'report', worker: 0, requestId: asked[0], rows });
  reports.onWorkerGone(2);
  assert.deepEqual(await pending, [{ slot: 4 }]);
  assert.deepEqual(await reports.request('servers', [0], () => {}), [], 'time-out');
});
