/** Ids: their bits, the clock they follow, and what makes one of a number twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedMemory, ID_EPOCH_MS, IdTable, type UniqueIdTerms, uniqueId } from '@pgdog-cluster/core';

const STANDARD: UniqueIdTerms = { form: 'standard', node: 3, min: 0 };
const COMPACT: UniqueIdTerms = { form: 'compact', node: 3, min: 0 };
const START_MS = ID_EPOCH_MS + 1_000_000;

function table(): IdTable {
  const ids = new IdTable(new SharedArrayBuffer(64));
  ids.start(START_MS - 1, 4_999);
  return ids;
}

test('bits: ms, node, number', () => {
  assert.equal(uniqueId(BigInt(ID_EPOCH_MS) + 1n, 2n, STANDARD), (1n << 22n) | (3n << 12n) | 2n);
  assert.equal(uniqueId(BigInt(ID_EPOCH_MS) + 1n, 2n, COMPACT), (1n << 12n) | (3n << 6n) | 2n);
  assert.equal(uniqueId(BigInt(ID_EPOCH_MS), 0n, { ...STANDARD, min: 7 }), (3n << 12n) + 7n);
});

test('what does not fit is none', () => {
  const last = BigInt(ID_EPOCH_MS) + (1n << 41n) - 1n;
  assert.equal(uniqueId(BigInt(ID_EPOCH_MS) - 1n, 0n, STANDARD), null);
  assert.equal(uniqueId(last + 1n, 0n, STANDARD), null);
  assert.equal(uniqueId(last, 4095n, { ...STANDARD, node: 1023 }), 0x7fff_ffff_ffff_ffffn);
  assert.equal(uniqueId(last, 4095n, { ...STANDARD, node: 1023, min: 1 }), null);
  assert.equal(uniqueId(last, 63n, { ...COMPACT, node: 63 }), BigInt(Number.MAX_SAFE_INTEGER));
  assert.equal(uniqueId(last, 63n, { ...COMPACT, node: 63, min: 1 }), null);
});

test('they grow, whatever the clock does', () => {
  const ids = table();
  let last = 0n;
  for (const nowMs of [5_000, 5_000, 7_000, 7_000.9, 6_000, 100, 7_001, 9_000]) {
    const id = ids.next(nowMs, STANDARD);
    // Back by more than ids may run ahead of the clock: none is made rather than one twice.
    if (nowMs === 100) assert.equal(id, null);
    else {
      assert.ok(id !== null && id > last, `${id} after ${last}`);
      last = id;
    }
  }
});

test('more than a ms has are of the ms to come, a second ahead at most', () => {
  const ids = table();
  const seen = new Set<bigint>();
  for (let i = 0; i < 64 * 1001; i++) {
    const id = ids.next(60_000, COMPACT);
    assert.ok(id !== null);
    seen.add(id);
  }
  assert.equal(seen.size, 64 * 1001);
  assert.equal(ids.next(60_000, COMPACT), null);
  assert.ok(ids.next(60_001, COMPACT) !== null);
});

test('standard: 4,096 of a ms, then the next ms', () => {
  const ids = table();
  const made = Array.from({ length: 4097 }, () => ids.next(60_000, STANDARD) ?? 0n);
  const msOf = (id: bigint): bigint => id >> 22n;
  assert.equal(msOf(made[4095]), msOf(made[0]));
  assert.equal(msOf(made[4096]), msOf(made[0]) + 1n);
  assert.equal(new Set(made).size, 4097);
});

test('one that begins is ahead of all that the one before may have made', () => {
  const before = table();
  let last = 0n;
  for (let id = before.next(6_000, COMPACT); id !== null; id = before.next(6_000, COMPACT)) last = id;
  const after = new IdTable(new SharedArrayBuffer(64));
  after.start(START_MS + 1_000, 6_000);
  const first = after.next(6_001, COMPACT);
  assert.ok(first !== null && first > last, `${first} after ${last}`);
});

test('another form of ids goes on in the same cell', () => {
  const ids = table();
  for (let i = 0; i < 100; i++) ids.next(10_000, STANDARD);
  const first = ids.next(10_000, COMPACT);
  const second = ids.next(10_000, COMPACT);
  assert.ok(first !== null && second !== null && second > first);
});

test('shared memory has a place for them, with a clock', () => {
  const { ids } = createSharedMemory({ workers: 1, poolsMax: 1, hostsMax: 1, fdMax: 16 });
  const nowMs = performance.now();
  assert.ok(ids.next(nowMs + 1e9, STANDARD) !== null);
});
