/** Failed logins counted over all workers: what is refused, for whom, for how long, and in how much memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createSharedMemory,
  FAILURE_LINES,
  FAILURES_PER_ADDRESS_FACTOR,
  FailureTable,
  openSharedMemory,
} from '@pgdog-cluster/core';

const LIMIT = { failuresMax: 5, windowMs: 10_000 };
const NOW = 1_900_000_000_000;

const table = () => createSharedMemory({ workers: 1, poolsMax: 1, fdMax: 64 }).failures;

function fail(failures: FailureTable, address: string, user: string, times: number, nowMs = NOW): void {
  for (let time = 0; time < times; time += 1) failures.noteFailure(address, user, LIMIT, nowMs);
}

describe('failed logins', () => {
  it('are allowed up to the limit, and again as time makes room', () => {
    const failures = table();
    fail(failures, '10.0.0.1', 'ann', 4);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW), false);
    fail(failures, '10.0.0.1', 'ann', 1);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW), true);
    // Refused attempts do not prolong it; a fifth of the window makes room for one.
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW + 1_999), true);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW + 2_000), false);
    fail(failures, '10.0.0.1', 'ann', 1, NOW + 2_000);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW + 2_001), true);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW + 30_000), false);
    assert.equal(failures.inUse(NOW + 30_000), 0);
  });

  it('are never remembered for longer than the window, however many there were', () => {
    const failures = table();
    fail(failures, '10.0.0.1', 'ann', 10_000);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW + LIMIT.windowMs + 1), false);
  });

  it('of one user do not stop others behind the same address, until they are ten times as many', () => {
    const failures = table();
    fail(failures, '10.0.0.1', 'ann', 20);
    assert.equal(failures.isBlocked('10.0.0.1', 'bob', LIMIT, NOW), false);
    assert.equal(failures.isBlocked('10.0.0.2', 'ann', LIMIT, NOW), false);
    for (let user = 0; user < 5 * FAILURES_PER_ADDRESS_FACTOR - 20; user += 1) {
      assert.equal(failures.isBlocked('10.0.0.1', 'bob', LIMIT, NOW), false, `${user}`);
      fail(failures, '10.0.0.1', `guess${user}`, 1);
    }
    assert.equal(failures.isBlocked('10.0.0.1', 'bob', LIMIT, NOW), true);
    assert.equal(failures.isBlocked('10.0.0.2', 'bob', LIMIT, NOW), false);
  });

  it('count for a /64 of IPv6, and for IPv4 by single addresses', () => {
    const failures = table();
    for (let host = 1; host <= 5; host += 1) fail(failures, `2001:db8:0:1::${host}`, 'ann', 1);
    assert.equal(failures.isBlocked('2001:db8:0:1:ffff::1', 'ann', LIMIT, NOW), true);
    assert.equal(failures.isBlocked('2001:db8:0:2::1', 'ann', LIMIT, NOW), false);
  });

  it('of Unix sockets are not counted, nor any without a limit', () => {
    const failures = table();
    fail(failures, '', 'ann', 100);
    assert.equal(failures.isBlocked('', 'ann', LIMIT, NOW), false);
    const off = { failuresMax: 0, windowMs: 10_000 };
    for (let time = 0; time < 100; time += 1) failures.noteFailure('10.0.0.1', 'ann', off, NOW);
    assert.equal(failures.isBlocked('10.0.0.1', 'ann', off, NOW), false);
    assert.equal(failures.inUse(NOW), 0);
  });

  it('noted by one worker are seen by the others', () => {
    const memory = createSharedMemory({ workers: 2, poolsMax: 1, fdMax: 64 });
    const other = openSharedMemory(memory.handles);
    fail(memory.failures, '10.0.0.1', 'ann', 5);
    assert.equal(other.failures.isBlocked('10.0.0.1', 'ann', LIMIT, NOW), true);
  });

  it('of a flood of addresses stay in their memory, and push out the oldest first', () => {
    const failures = table();
    for (let number = 0; number < 300_000; number += 1) {
      const address = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
      failures.noteFailure(address, 'x', LIMIT, NOW);
    }
    assert.ok(failures.inUse(NOW) <= FAILURE_LINES * 8);
    assert.ok(failures.inUse(NOW) > FAILURE_LINES * 7);
    // A name as long as a start-up packet allows is counted like any other.
    fail(failures, '192.0.2.1', 'n'.repeat(10_000), 5);
    assert.equal(failures.isBlocked('192.0.2.1', 'n'.repeat(10_000), LIMIT, NOW), true);
    assert.equal(failures.isBlocked('192.0.2.1', 'n'.repeat(9_999), LIMIT, NOW), false);
  });

  it('fall into places that nobody outside can predict', () => {
    const buffers = [1, 2].map((seed) => {
      const buffer = new SharedArrayBuffer((1 + FAILURE_LINES) * 64);
      const failures = new FailureTable(buffer);
      failures.setSeed(seed);
      fail(failures, '10.0.0.1', 'ann', 1);
      const cells = new Int32Array(buffer);
      return cells.findIndex((cell, index) => index > 15 && cell !== 0);
    });
    assert.notEqual(buffers[0], buffers[1]);
  });
});
