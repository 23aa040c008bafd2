import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  type ConfigSnapshot,
  createSharedMemory,
  type PoolSnapshot,
  type SharedMemory,
  type UserSnapshot,
  WORKER_SERVING,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import type { HammerReport, HammerTask } from '../support/shm-hammer.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const HAMMER = new URL('../support/shm-hammer.js', import.meta.url);

function hammer(tasks: HammerTask[]): Promise<HammerReport[]> {
  return Promise.all(
    tasks.map(
      (workerData) =>
        new Promise<HammerReport>((resolve, reject) => {
          new Worker(HAMMER, { workerData }).once('message', resolve).once('error', reject);
        }),
    ),
  );
}

function snapshot(epoch: number, poolCount: number): ConfigSnapshot {
  // Only what is looked at: every pool says which epoch it belongs to.
  const nothing = { serverPasswords: [], serverMd5Hashes: [], serverVerifiers: [], serverParameters: {} };
  const pools = Array.from({ length: poolCount }, (_, index) => ({ index, port: epoch, ...nothing }));
  // Those of the epoch before, but for one: what is packed of them is copied.
  steady[epoch % steady.length] = { name: `u${epoch}` } as UserSnapshot;
  return {
    epoch,
    pools: pools as unknown as PoolSnapshot[],
    hosts: [] as unknown,
    clusters: [] as unknown,
    databases: [] as unknown,
    users: [...steady],
  } as ConfigSnapshot;
}

const steady = Array.from({ length: 200 }, (_, place) => ({ name: `u${place - 200}` }) as UserSnapshot);

test(`capacity is exact under four threads (SEED=${seed})`, async () => {
  const workers = 4;
  const memory = createSharedMemory({ workers, poolsMax: 8, fdMax: 64 });
  const { capacity } = memory;
  // Pools 0-5 in two databases and three users; every kind of limit binds.
  for (let pool = 0; pool < 6; pool++) {
    capacity.setPoolGroups(pool, pool % 2, pool % 3);
    capacity.setPoolLimit(pool, 5);
  }
  capacity.setDatabaseLimit(0, 9);
  capacity.setUserLimit(1, 6);
  capacity.setTotalLimit(17);
  let isDone = false;
  const samples = sampleLimits(memory, () => isDone);
  const tasks = Array.from({ length: workers }, (_, worker) => ({
    kind: 'capacity' as const,
    handles: memory.handles,
    worker,
    count: 150_000,
    seed,
    pools: 6,
  }));
  const reports = await hammer(tasks);
  isDone = true;
  assert.ok((await samples) > 20, 'looked at while they ran');
  for (const { done, refused } of reports) assert.ok(done > 1000 && refused > 1000, `${done} ${refused}`);
  for (let pool = 0; pool < 6; pool++) assert.equal(capacity.claimed(pool), 0);
  const rest = [capacity.totalClaimed(), capacity.databaseClaimed(0), capacity.databaseClaimed(1)];
  assert.deepEqual([...rest, ...[0, 1, 2].map((group) => capacity.userClaimed(group))], [0, 0, 0, 0, 0, 0]);
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

async function sampleLimits({ capacity }: SharedMemory, isDone: () => boolean): Promise<number> {
  let count = 0;
  while (!isDone()) {
    for (let burst = 0; burst < 2000; burst++) {
      for (let pool = 0; pool < 6; pool++) {
        const claimed = capacity.claimed(pool);
        assert.ok(claimed >= 0 && claimed <= 5, `pool ${pool}: ${claimed}`);
      }
      assert.ok(capacity.databaseClaimed(0) <= 9);
      assert.ok(capacity.userClaimed(1) <= 6);
      assert.ok(capacity.totalClaimed() <= 17);
    }
    count += 1;
    await pause();
  }
  return count;
}

test('a mailbox loses nothing of four producers and keeps the order of each', async () => {
  const memory = createSharedMemory({ workers: 5, poolsMax: 1, fdMax: 64 });
  const count = 6000;
  const producers = [0, 1, 2, 3];
  const next = [0, 0, 0, 0];
  const tasks = producers.map((worker) => ({
    kind: 'post' as const,
    handles: memory.handles,
    worker,
    count,
    seed,
    target: 4,
  }));
  let isDone = false;
  const hammering = hammer(tasks).finally(() => {
    isDone = true;
  });
  const check = (message: WorkerMessage): void => {
    assert.ok(message.type === 'adminReply');
    assert.equal(message.generation, next[message.slot], `producer ${message.slot}`);
    assert.equal(message.bytes.length, (message.generation * 37) % 1500);
    assert.ok(message.bytes.every((byte) => byte === (message.generation & 0xff)));
    next[message.slot] += 1;
  };
  while (!isDone) {
    memory.mailboxes.drain(4, check);
    await new Promise((resolve) => setImmediate(resolve));
  }
  memory.mailboxes.drain(4, check);
  const reports = await hammering;
  assert.deepEqual(next, [count, count, count, count]);
  assert.ok(
    reports.some(({ refused }) => refused > 0),
    'the ring was full at times',
  );
});

test('routing: readers see whole snapshots in order while epochs flip', async () => {
  const memory = createSharedMemory({ workers: 3, poolsMax: 1, fdMax: 64 });
  const lastEpoch = 400;
  assert.throws(() => memory.routing.read(), /no configuration/);
  memory.routing.publish(snapshot(1, 3));
  const tasks = [0, 1, 2].map((worker) => ({
    kind: 'routing' as const,
    handles: memory.handles,
    worker,
    count: lastEpoch,
    seed,
  }));
  const hammering = hammer(tasks);
  while (tasks.some(({ worker }) => memory.workers.state(worker) !== WORKER_SERVING)) await pause();
  for (let epoch = 2; epoch <= lastEpoch; epoch++) {
    memory.routing.publish(snapshot(epoch, 1 + ((epoch * 7) % 300)));
    if (epoch % 4 === 0) await pause();
  }
  for (const { done, refused } of await hammering) {
    assert.equal(refused, 0);
    assert.ok(done > 10, `${done} snapshots read`);
  }
  assert.equal(memory.routing.epoch(), lastEpoch);
});

test('routing: a snapshot that does not fit is refused and the old one stays', () => {
  const memory = createSharedMemory({ workers: 1, poolsMax: 1, fdMax: 64, routingAreaBytes: 4096 });
  memory.routing.publish(snapshot(1, 5));
  assert.throws(() => memory.routing.publish(snapshot(2, 1000)), /the area holds 4096/);
  assert.throws(() => memory.routing.publish(snapshot(0, 1)), RangeError);
  assert.deepEqual([memory.routing.epoch(), memory.routing.read().pools.length], [1, 5]);
});
