import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import {
  familyOf,
  ipSockaddr,
  KernelMemory,
  libc,
  openDriver,
  parseSockaddr,
  unixSockaddr,
  uringRefusal,
} from '@pgdog-cluster/worker';
import { hasUring } from './io-fixture.js';

const memory = new KernelMemory({ bigCount: 64, smallCount: 64 });

test('auto takes io_uring where it works and says why where it does not', () => {
  const { driver, reason } = openDriver('auto', memory);
  assert.equal(driver.name, reason === '' ? 'io_uring' : 'epoll');
  assert.equal(reason, uringRefusal());
  assert.equal(reason === '', hasUring);
  driver.destroy();
  assert.equal(memory.bigFreeCount, 64);
});

test('epoll is taken when asked for', () => {
  const { driver, reason } = openDriver('epoll', memory);
  assert.equal(driver.name, 'epoll');
  assert.equal(reason, '');
  driver.destroy();
});

test('where io_uring cannot be had, auto takes epoll and an explicit wish is refused with the reason', () => {
  // No more descriptors: io_uring_setup fails, in a process of its own.
  const script = `
    import { openDriver, libc } from '@pgdog-cluster/worker';
    libc.setrlimit(libc.RLIMIT_NOFILE, new BigUint64Array([0n, 0n]));
    try { openDriver('io_uring'); console.log('opened'); } catch (error) { console.log(error.message); }
  `;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.match(result.stdout, /^io_driver = "io_uring" cannot be had: .*EMFILE.*; use io_driver = "auto"/);
});

test('addresses survive the way into a sockaddr and back', () => {
  for (const [address, text] of [
    ['127.0.0.1', '127.0.0.1'],
    ['255.1.0.9', '255.1.0.9'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:db8::7:8', '2001:db8:0:0:0:0:7:8'],
    ['::ffff:10.1.2.3', '0:0:0:0:0:ffff:a01:203'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['fe80::', 'fe80:0:0:0:0:0:0:0'],
  ]) {
    assert.deepEqual(parseSockaddr(ipSockaddr(address, 5432)), { address: text, port: 5432 });
  }
  assert.equal(familyOf(ipSockaddr('::1', 1)), libc.AF_INET6);
  const local = unixSockaddr('/tmp/.s.PGSQL.5432');
  assert.equal(familyOf(local), libc.AF_UNIX);
  assert.deepEqual(parseSockaddr(local), { address: '/tmp/.s.PGSQL.5432', port: 0 });
  assert.throws(() => ipSockaddr('localhost', 1), RangeError);
  assert.throws(() => ipSockaddr('1.2.3', 1), RangeError);
  assert.throws(() => unixSockaddr('x'.repeat(108)), RangeError);
});
