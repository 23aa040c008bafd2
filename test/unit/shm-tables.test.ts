import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertMemoryMap,
  CLAIMED,
  CONNECT_LATENCY,
  COUNTER_NAMES,
  COUNTER_ROW_CELLS,
  createSharedMemory,
  DATABASE_FULL,
  describeRegions,
  FORCE_CLOSED,
  LATENCY_BUCKETS,
  LINE_BYTES,
  latencyBucket,
  openSharedMemory,
  POOL_FULL,
  QUERY_COUNT,
  QUERY_LATENCY,
  Seqlock,
  TOTAL_FULL,
  UNLIMITED,
  USER_FULL,
  WORKER_SERVING,
  waitedMs,
} from '@pgdog-cluster/core';

function small(workers = 3) {
  return createSharedMemory({ workers, poolsMax: 8, fdMax: 256, routingAreaBytes: 4096 });
}

test('rows are whole cache lines, regions are what the map says, wrong sizes are refused', () => {
  const { handles } = small();
  assertMemoryMap(handles.dimensions);
  for (const { region, rowBytes, bytes, rowCount } of describeRegions(handles.dimensions)) {
    assert.equal(rowBytes % LINE_BYTES, 0, region);
    assert.equal(bytes, rowBytes * rowCount, region);
    assert.ok(bytes > 0, region);
  }
  assert.throws(() => createSharedMemory({ workers: 0 }), RangeError);
  assert.throws(() => createSharedMemory({ workers: 513 }), RangeError);
  assert.throws(() => createSharedMemory({ workers: 1, poolsMax: 0 }), RangeError);
  assert.throws(() => createSharedMemory({ workers: 1, routingAreaBytes: 100 }), RangeError);
});

test('handles survive structured cloning and show the same memory', () => {
  const memory = small();
  const other = openSharedMemory(structuredClone(memory.handles));
  memory.fds.setOwner(7, 1);
  other.workers.setState(2, WORKER_SERVING);
  assert.equal(other.fds.owner(7), 1);
  assert.equal(memory.workers.state(2), WORKER_SERVING);
});

test('each limit refuses with its own result and leaves no trace of the refused claim', () => {
  const { capacity } = small();
  capacity.setPoolGroups(0, 0, 0);
  capacity.setPoolGroups(1, 0, 1);
  capacity.setPoolGroups(2, 1, 1);
  for (const pool of [0, 1, 2]) capacity.setPoolLimit(pool, 5);
  assert.equal(capacity.tryClaim(0, 3), POOL_FULL, 'a pool without a limit opens nothing');
  capacity.setPoolLimit(0, 1);
  assert.equal(capacity.tryClaim(0, 0), CLAIMED);
  assert.equal(capacity.tryClaim(1, 0), POOL_FULL);
  capacity.setDatabaseLimit(0, 1);
  assert.equal(capacity.tryClaim(1, 1), DATABASE_FULL);
  capacity.setDatabaseLimit(0, 0);
  assert.equal(capacity.tryClaim(1, 1), CLAIMED);
  capacity.setUserLimit(1, 1);
  assert.equal(capacity.tryClaim(1, 2), USER_FULL);
  capacity.setUserLimit(1, 0);
  capacity.setTotalLimit(2);
  assert.equal(capacity.tryClaim(1, 2), TOTAL_FULL);
  assert.deepEqual(
    [capacity.claimed(0), capacity.claimed(1), capacity.claimed(2), capacity.totalClaimed()],
    [1, 1, 0, 2],
  );
  assert.deepEqual([capacity.databaseClaimed(0), capacity.databaseClaimed(1)], [2, 0]);
  assert.deepEqual([capacity.userClaimed(0), capacity.userClaimed(1)], [1, 1]);
});

test('clients are counted for database and user, and a refusal leaves no trace', () => {
  const { capacity } = small();
  capacity.setPoolGroups(0, 0, 0);
  capacity.setPoolGroups(1, 0, 1);
  capacity.setPoolGroups(2, 1, 0);
  capacity.setDatabaseClientLimit(0, 3);
  capacity.setUserClientLimit(0, 2);
  assert.equal(capacity.tryClaimPoolClient(0, 0), CLAIMED);
  assert.equal(capacity.tryClaimPoolClient(1, 2), CLAIMED);
  assert.equal(capacity.tryClaimPoolClient(2, 0), USER_FULL, 'over both databases');
  assert.equal(capacity.tryClaimPoolClient(0, 1), CLAIMED);
  assert.equal(capacity.tryClaimPoolClient(1, 1), CLAIMED);
  assert.equal(capacity.tryClaimPoolClient(2, 1), DATABASE_FULL);
  assert.deepEqual(
    [0, 1, 2].map((pool) => capacity.poolClients(pool)),
    [1, 2, 1],
  );
  capacity.giveBackPoolClient(1, 2);
  assert.equal(capacity.tryClaimPoolClient(0, 0), DATABASE_FULL, 'the user has room now');
  capacity.giveBackAll(1);
  assert.equal(capacity.tryClaimPoolClient(0, 0), CLAIMED);
  assert.throws(() => capacity.giveBackPoolClient(1, 1), /had not claimed/);
  assert.throws(() => capacity.setPoolGroups(0, 1, 1), /groups cannot change/);
});

test('admin clients have places of their own', () => {
  const { capacity } = small();
  capacity.setClientLimit(1);
  capacity.setAdminLimit(2);
  assert.equal(capacity.tryClaimClient(0), true);
  assert.equal(capacity.tryClaimClient(0), false);
  assert.deepEqual(
    [0, 1, 2].map((worker) => capacity.tryClaimAdmin(worker)),
    [true, true, false],
  );
  capacity.giveBackAll(1);
  assert.equal(capacity.adminsClaimed(), 1);
  capacity.giveBackAdmin(0);
  assert.throws(() => capacity.giveBackAdmin(0), /had not claimed/);
  assert.equal(capacity.clientsClaimed(), 1);
});

test('the reserve is for claims that ask for it, and stays under the limits of the groups', () => {
  const { capacity } = small();
  capacity.setPoolLimit(0, 1, 2);
  assert.equal(capacity.tryClaim(0, 0), CLAIMED);
  assert.equal(capacity.tryClaim(0, 0), POOL_FULL);
  assert.equal(capacity.tryClaim(1, 0, true), CLAIMED);
  capacity.setDatabaseLimit(0, 2);
  assert.equal(capacity.tryClaim(1, 0, true), DATABASE_FULL);
  capacity.setDatabaseLimit(0, 0);
  assert.equal(capacity.tryClaim(1, 0, true), CLAIMED);
  assert.equal(capacity.tryClaim(1, 0, true), POOL_FULL);
  assert.equal(capacity.claimed(0), 3);
});

test('what the limits over several pools still allow', () => {
  const { capacity } = small();
  capacity.setPoolGroups(0, 0, 0);
  capacity.setPoolGroups(1, 0, 1);
  for (const pool of [0, 1]) capacity.setPoolLimit(pool, 9);
  assert.equal(capacity.freeInGroups(0), UNLIMITED);
  capacity.setDatabaseLimit(0, 3);
  capacity.setUserLimit(1, 2);
  assert.deepEqual([capacity.freeInGroups(0), capacity.freeInGroups(1)], [3, 2]);
  capacity.tryClaim(0, 0);
  capacity.tryClaim(0, 0);
  assert.deepEqual([capacity.freeInGroups(0), capacity.freeInGroups(1)], [1, 1]);
  capacity.setTotalLimit(1);
  assert.equal(capacity.freeInGroups(0), -1, 'a limit that has been lowered is passed by one');
});

test('places in a queue are counted up to the limit, and given back with their worker', () => {
  const { capacity } = small();
  assert.deepEqual(
    [0, 1, 1, 2].map((worker) => capacity.tryClaimQueued(worker, 3, 3)),
    [true, true, true, false],
  );
  capacity.giveBackAll(1);
  assert.equal(capacity.queued(3), 1);
  capacity.giveBackQueued(0, 3);
  assert.throws(() => capacity.giveBackQueued(0, 3), /had not claimed/);
});

test('one worker at a time tries a failing server, and another takes over when it is gone', () => {
  const { load } = small();
  assert.equal(load.tryBecomeProber(1, 4), true);
  assert.equal(load.tryBecomeProber(1, 4), true);
  assert.equal(load.tryBecomeProber(0, 4), false);
  assert.equal(load.tryBecomeProber(0, 5), true, 'of another pool');
  load.resignAsProber(0, 4);
  assert.equal(load.hasProber(4), true, 'only the prober resigns');
  load.clearWorker(1);
  assert.equal(load.hasProber(4), false);
  assert.equal(load.tryBecomeProber(0, 4), true);
});

test('a claim moves with its connection and is given back by whoever has it, once', () => {
  const { capacity } = small();
  capacity.setPoolLimit(4, 2);
  capacity.tryClaim(0, 4);
  capacity.moveClaim(4, 0, 2);
  assert.equal(capacity.claimed(4), 1);
  assert.throws(() => capacity.giveBack(0, 4), /had not claimed/);
  assert.equal(capacity.claimed(4), 1);
  capacity.giveBack(2, 4);
  assert.equal(capacity.claimed(4), 0);
});

test('giveBackAll returns the claims and clients of one worker only', () => {
  const { capacity } = small();
  capacity.setClientLimit(3);
  for (const pool of [1, 2]) capacity.setPoolLimit(pool, 4);
  for (const [worker, pool] of [
    [0, 1],
    [0, 1],
    [0, 2],
    [1, 1],
  ]) {
    assert.equal(capacity.tryClaim(worker, pool), CLAIMED);
  }
  assert.deepEqual(
    [0, 0, 1, 2].map((worker) => capacity.tryClaimClient(worker)),
    [true, true, true, false],
  );
  capacity.giveBackAll(0);
  assert.deepEqual([capacity.claimed(1), capacity.claimed(2), capacity.totalClaimed()], [1, 0, 1]);
  assert.equal(capacity.clientsClaimed(), 1);
  assert.throws(() => capacity.giveBackClient(0), /had not claimed/);
  capacity.giveBackAll(0);
  assert.equal(capacity.totalClaimed(), 1);
});

test('limits may be lowered below what is claimed; groups of a pool in use may not change', () => {
  const { capacity } = small();
  capacity.setPoolLimit(0, 3);
  for (let n = 0; n < 3; n++) capacity.tryClaim(0, 0);
  capacity.setPoolLimit(0, 2);
  capacity.giveBack(0, 0);
  assert.equal(capacity.tryClaim(1, 0), POOL_FULL);
  capacity.giveBack(0, 0);
  assert.equal(capacity.tryClaim(1, 0), CLAIMED);
  assert.throws(() => capacity.setPoolGroups(0, 1, 1), /groups cannot change/);
  assert.throws(() => capacity.setPoolLimit(0, -1), RangeError);
  assert.throws(() => capacity.setPoolLimit(8, 1), RangeError);
  assert.throws(() => capacity.tryClaim(3, 0), RangeError);
});

test('load: most idle, oldest waiter across the wrap of 32 bits, marks counted once', () => {
  const { load } = small();
  assert.equal(load.mostIdleWorker(0, 1), -1);
  load.setIdle(0, 0, 2);
  load.setIdle(1, 0, 9);
  assert.equal(load.mostIdleWorker(0, 1), 0);
  assert.equal(load.mostIdleWorker(0, 0), 1);
  const wrapMs = 2 ** 32 * 410;
  load.setWaiting(0, 5, 1);
  load.setOldestWaitSinceMs(0, 5, wrapMs + 20);
  load.setWaiting(2, 5, 1);
  load.setOldestWaitSinceMs(2, 5, wrapMs - 20);
  assert.equal(load.oldestWaiter(5, 1), 2);
  assert.equal(waitedMs(load.oldestSinceMs, wrapMs + 30), 50);
  assert.equal(load.oldestWaiter(5, 2), 0);
  load.markWaiting(0, 5, true);
  load.markWaiting(0, 5, true);
  load.markWaiting(2, 5, true);
  assert.equal(load.workersWaiting(5), 2);
  load.clearWorker(0);
  assert.equal(load.workersWaiting(5), 1);
  assert.equal(load.oldestWaiter(5, 2), -1);
  assert.equal(load.idle(0, 0), 0);
});

test('counters: names match indices, rows do not overlap, sums are over workers', () => {
  assert.equal(COUNTER_NAMES[QUERY_COUNT], 'queryCount');
  assert.equal(COUNTER_NAMES.length, FORCE_CLOSED + 1);
  assert.ok(COUNTER_NAMES.length <= QUERY_LATENCY);
  assert.equal(CONNECT_LATENCY + LATENCY_BUCKETS, COUNTER_ROW_CELLS);
  const { counters } = small();
  for (let worker = 0; worker < 3; worker++) {
    for (let pool = 0; pool < 8; pool++) {
      const row = counters.rowBase(worker, pool);
      for (let cell = 0; cell < COUNTER_ROW_CELLS; cell++) counters.cells[row + cell] += pool + 1;
    }
  }
  assert.deepEqual(counters.sum(6), new Array(COUNTER_ROW_CELLS).fill(21));
});

test('latency buckets: edges, zero, and durations beyond 32 bits', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 1023, 1024].map(latencyBucket), [0, 1, 2, 2, 3, 10, 11]);
  for (const us of [2 ** 23, 2 ** 31, 2 ** 32 + 1, 2 ** 40])
    assert.equal(latencyBucket(us), LATENCY_BUCKETS - 1);
});

test('descriptors: owners, clearing, bounds', () => {
  const { fds } = small();
  for (const fd of [3, 200, 9]) fds.setOwner(fd, 2);
  fds.setOwner(4, 0);
  fds.clear(9);
  assert.deepEqual(fds.owned(2), [3, 200]);
  assert.equal(fds.owner(9), -1);
  for (const fd of [-1, 256, Number.NaN]) assert.throws(() => fds.setOwner(fd, 0), RangeError);
});

test('worker rows: heartbeat age wraps, a crash clears what no longer holds', () => {
  const { workers } = small();
  const nowMs = 2 ** 32 * 410 + 5;
  workers.setHeartbeatMs(1, nowMs - 10);
  assert.equal(workers.heartbeatAgeMs(1, nowMs), 10);
  workers.setClients(1, 4);
  workers.setTurns(1, 2 ** 40);
  workers.setKernelMemory(1, 2 ** 46, 128);
  workers.setQueryCache(1, 2 ** 40, 7, 3);
  workers.setQueryCacheSize(1, 5, 6000);
  assert.deepEqual([workers.queryCacheSize(1), workers.queryCacheBytes(1)], [5, 6000]);
  workers.countRestart(1);
  workers.clearWorker(1);
  // Counters go on, and what a worker knew is gone with it.
  assert.deepEqual(
    [workers.queryCacheHits(1), workers.queryCacheMisses(1), workers.queryCacheEvictions(1)],
    [2 ** 40, 7, 3],
  );
  assert.deepEqual([workers.queryCacheSize(1), workers.queryCacheBytes(1)], [0, 0]);
  assert.deepEqual([workers.clients(1), workers.turns(1), workers.restarts(1)], [0, 2 ** 40, 1]);
  assert.equal(workers.kernelMemoryAddress(1), 2 ** 46);
  assert.deepEqual([workers.turns(0), workers.restarts(2)], [0, 0]);
});

test('seqlock: a reader notices every write, a second writer is refused', () => {
  const lock = new Seqlock(new Int32Array(new SharedArrayBuffer(64)), 3);
  const before = lock.beginRead();
  assert.ok(lock.isUnchanged(before));
  lock.beginWrite();
  assert.ok(!lock.isUnchanged(before));
  assert.ok(!lock.isUnchanged(lock.beginRead()), 'a write is under way');
  assert.throws(() => lock.beginWrite(), /second writer/);
  // The refused one has moved the cell: from here only a fresh lock is sound.
  const other = new Seqlock(new Int32Array(new SharedArrayBuffer(64)), 0);
  other.beginWrite();
  other.endWrite();
  assert.ok(other.isUnchanged(other.beginRead()));
  assert.throws(() => other.endWrite(), /not being written/);
});
