/** Server connections held by sessions that wait for one more: sums under limits over several pools, and who acts on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLAIMED,
  createSharedMemory,
  DATABASE_FULL,
  GROUP_LIMITS,
  type GroupLimit,
  openSharedMemory,
  type SharedMemory,
  TOTAL_FULL,
  USER_FULL,
} from '@pgdog-cluster/core';

const WORKERS = 2;

/** Pools 0 to 2: database 0; 0, 1, 3: user 0. */
function rig(limits: Partial<Record<GroupLimit, number>> = {}): SharedMemory {
  const memory = createSharedMemory({ workers: WORKERS, poolsMax: 8, fdMax: 256, routingAreaBytes: 4096 });
  const { capacity } = memory;
  for (const [pool, database, user] of [
    [0, 0, 0],
    [1, 0, 0],
    [2, 0, 1],
    [3, 1, 0],
  ]) {
    capacity.setPoolGroups(pool, database, user);
    capacity.setPoolLimit(pool, 100);
  }
  capacity.setDatabaseLimit(0, limits[DATABASE_FULL] ?? 0);
  capacity.setUserLimit(0, limits[USER_FULL] ?? 0);
  capacity.setTotalLimit(limits[TOTAL_FULL] ?? 0);
  return memory;
}

const claim = ({ capacity }: SharedMemory, worker: number, pool: number): void =>
  assert.equal(capacity.tryClaim(worker, pool), CLAIMED);

test('what is held counts under the limits of the pool that is waited in, over all workers', () => {
  const { held } = rig();
  held.add(0, 0, 2, 1);
  held.add(1, 2, 3, 0);
  held.add(1, 3, 4, 4);
  const sums = GROUP_LIMITS.map((limit) => [held.heldUnder(limit, 0), held.givableUnder(limit, 0)]);
  assert.deepEqual(sums, [
    [5, 1],
    [6, 5],
    [9, 5],
  ]);
  assert.equal(held.heldUnder(DATABASE_FULL, 3), 4);
  assert.equal(held.heldByWorker(1, USER_FULL, 0), 4);
  assert.equal(held.heldInPool(2), 3);
  assert.throws(() => held.add(0, 0, -3, 0), /holds -1/);
  assert.throws(() => held.add(0, 0, 0, -2), /2, -1/);
});

for (const limit of GROUP_LIMITS) {
  test(`nothing comes free once all places are held by who waits for one more: limit ${limit}`, () => {
    const memory = rig({ [limit]: 3 });
    const { held, capacity } = memory;
    for (const worker of [0, 1, 1]) claim(memory, worker, 0);
    held.add(0, 1, 1, 0);
    held.add(1, 1, 1, 1);
    assert.equal(held.isStuck(limit, 0), false, 'one is held by somebody who waits for nothing');
    assert.equal(held.tryLeave(0, 1, limit, { held: 1, givable: 0, isLast: false }), false);
    held.add(1, 1, 1, 0);
    for (const pool of [0, 1]) assert.equal(held.isStuck(limit, pool), true);
    const others = GROUP_LIMITS.filter((other) => other !== limit);
    for (const other of others) assert.equal(held.isStuck(other, 0), false);
    assert.equal(
      held.tryLeave(0, 1, limit, { held: 1, givable: 0, isLast: true }),
      false,
      'one can give back',
    );
    const before = GROUP_LIMITS.map((each) => held.changes(each, 0));
    assert.equal(held.tryLeave(1, 1, limit, { held: 1, givable: 1, isLast: false }), true);
    assert.deepEqual(
      GROUP_LIMITS.map((each) => held.changes(each, 0)),
      before.map((count) => count + 1),
    );
    assert.equal(held.isStuck(limit, 0), false);
    assert.equal(held.tryLeave(1, 1, limit, { held: 1, givable: 0, isLast: false }), false, 'one was enough');
    // Lowered, it is too little again.
    const set = { 2: 'setDatabaseLimit', 3: 'setUserLimit' } as const;
    if (limit === TOTAL_FULL) capacity.setTotalLimit(2);
    else capacity[set[limit]](0, 2);
    assert.equal(held.tryLeave(0, 1, limit, { held: 1, givable: 0, isLast: true }), true);
  });
}

test('who has looked before a change does nothing', () => {
  const memory = rig({ [TOTAL_FULL]: 1 });
  const { held } = memory;
  claim(memory, 0, 0);
  held.add(0, 1, 1, 0);
  const other = openSharedMemory(memory.handles).held;
  // Between its look and its act another one comes and goes: the sum is what it was, and may not be of what it was.
  const isStuck = held.isStuck.bind(held);
  held.isStuck = (limit, pool) => {
    const answer = isStuck(limit, pool);
    other.add(1, 0, 1, 0);
    other.add(1, 0, -1, 0);
    return answer;
  };
  assert.equal(held.tryLeave(0, 1, TOTAL_FULL, { held: 1, givable: 0, isLast: true }), false);
  assert.equal(held.held(0, 1), 1, 'it counts as before');
  held.isStuck = isStuck;
  assert.equal(held.tryLeave(0, 1, TOTAL_FULL, { held: 1, givable: 0, isLast: true }), true);
});

test('nothing stays of a worker that has died', () => {
  const { held } = rig();
  held.add(0, 0, 2, 1);
  held.add(0, 3, 1, 1);
  held.add(1, 0, 4, 0);
  const before = held.changes(USER_FULL, 0);
  held.clearWorker(0);
  assert.equal(held.heldUnder(TOTAL_FULL, 0), 4);
  assert.equal(held.givableUnder(TOTAL_FULL, 0), 0);
  assert.equal(held.changes(USER_FULL, 0), before + 2);
});
