import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BIG_BYTES, KernelMemory, SMALL_BYTES } from '@pgdog-cluster/worker';
import { randomFrom } from './io-fixture.js';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

function residentBytes(): number {
  return Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) * 4096;
}

test('buffers do not overlap, and stay inside the mapping', () => {
  const memory = new KernelMemory({ bigCount: 16, smallCount: 16 });
  const ranges: [number, number][] = [];
  for (let buffer = memory.allocateBig(); buffer >= 0; buffer = memory.allocateBig()) {
    ranges.push([memory.start(buffer), memory.start(buffer) + memory.capacity(buffer)]);
  }
  for (let buffer = memory.allocateSmall(); buffer >= 0; buffer = memory.allocateSmall()) {
    assert.equal(memory.capacity(buffer), SMALL_BYTES);
    ranges.push([memory.start(buffer), memory.start(buffer) + memory.capacity(buffer)]);
  }
  assert.equal(ranges.length, 32);
  ranges.sort((a, b) => a[0] - b[0]);
  ranges.forEach(([start, end], i) => {
    assert.ok(start >= (i === 0 ? 0 : ranges[i - 1][1]) && end <= memory.bytes.length);
  });
  memory.destroy();
});

test('a buffer is free when its last reference goes, and the one freed last is taken first', () => {
  const memory = new KernelMemory({ bigCount: 8, smallCount: 8 });
  const first = memory.allocateBig();
  memory.retain(first);
  memory.release(first);
  assert.equal(memory.bigFreeCount, 7);
  memory.release(first);
  assert.equal(memory.bigFreeCount, 8);
  assert.equal(memory.allocateBig(), first);
  memory.release(first);
  assert.throws(() => memory.release(first), /more often than retained/);
  assert.equal(memory.bigFreeCount, 8);
  memory.destroy();
});

test('receiving leaves a reserve to sending', () => {
  const memory = new KernelMemory({ bigCount: 128, smallCount: 8 });
  let count = 0;
  while (memory.allocateBigAboveReserve() >= 0) count++;
  assert.equal(count, 126);
  assert.ok(memory.isScarce);
  assert.ok(memory.allocateBig() >= 0 && memory.allocateBig() >= 0);
  assert.equal(memory.allocateBig(), -1);
  memory.destroy();
});

test('bad sizes are refused', () => {
  assert.throws(() => new KernelMemory({ bigCount: 70_000 }), RangeError);
  assert.throws(() => new KernelMemory({ smallCount: 9 }), RangeError);
});

test(`random allocation keeps counts and contents (seed ${seed})`, () => {
  const memory = new KernelMemory({ bigCount: 64, smallCount: 64 });
  const next = randomFrom(seed);
  const owned = new Map<number, number>();
  for (let step = 0; step < 20_000; step++) {
    const action = next(3);
    if (action === 0) {
      const buffer = next(2) === 0 ? memory.allocateBig() : memory.allocateSmall();
      if (buffer < 0) continue;
      assert.ok(!owned.has(buffer));
      owned.set(buffer, step & 0xff);
      memory.bytes[memory.start(buffer)] = step & 0xff;
      memory.bytes[memory.start(buffer) + memory.capacity(buffer) - 1] = step & 0xff;
    } else if (owned.size > 0) {
      const [buffer, mark] = [...owned][next(owned.size)];
      assert.equal(memory.bytes[memory.start(buffer)], mark);
      assert.equal(memory.bytes[memory.start(buffer) + memory.capacity(buffer) - 1], mark);
      if (action === 1) memory.release(buffer);
      if (action === 1) owned.delete(buffer);
    }
    if (step % 500 === 0) memory.trim();
  }
  assert.equal(128 - memory.bigFreeCount - memory.smallFreeCount, owned.size);
  memory.destroy();
});

test('trim gives a burst back to the system, but not what is in use', () => {
  const memory = new KernelMemory();
  const before = residentBytes();
  const buffers: number[] = [];
  for (let i = 0; i < 2000; i++) buffers.push(memory.allocateBig());
  for (let i = 0; i < 8000; i++) buffers.push(memory.allocateSmall());
  for (const buffer of buffers)
    memory.bytes.fill(1, memory.start(buffer), memory.start(buffer) + memory.capacity(buffer));
  const kept = buffers.splice(100, 1)[0];
  const grown = residentBytes() - before;
  assert.ok(grown >= 2000 * BIG_BYTES, `${grown}`);
  for (const buffer of buffers) memory.release(buffer);
  let trimmed = memory.trim();
  assert.equal(trimmed, 0, 'what was in use since the last call stays');
  for (let i = 0; i < 40; i++) trimmed += memory.trim();
  assert.ok(trimmed > 1990 * BIG_BYTES, `${trimmed}`);
  assert.ok(residentBytes() - before < grown / 4);
  assert.equal(memory.bytes[memory.start(kept)], 1);
  assert.equal(memory.trim(), 0);
  memory.destroy();
});
