/** What PAUSE and WAIT_CLOSE wait for, and what an end that waits for clients lifts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConfigSnapshot,
  createSharedMemory,
  HOLD_MAINTENANCE,
  HOLD_PAUSE,
  ordersOf,
  type ServerReport,
} from '@pgdog-cluster/core';
import { OperatorDesk } from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { serverReport } from './admin-reports.js';

/** Pool 0 is shop's; pool 1 was, before a reload gave it another host. Pool 2 is another database's. */
function makeWorld() {
  const memory = createSharedMemory({ workers: 1, poolsMax: 4, fdMax: 64 });
  for (const index of [0, 1, 2]) {
    memory.capacity.setPoolGroups(index, 0, 0);
    memory.capacity.setPoolLimit(index, 1);
  }
  const state = { servers: [] as ServerReport[], isDraining: false };
  let snapshot = {
    epoch: 1,
    databases: [{ name: 'shop' }, { name: 'other' }],
    pools: [
      { index: 0, database: 'shop' },
      { index: 2, database: 'other' },
    ],
  } as ConfigSnapshot;
  const desk = new OperatorDesk({
    memory,
    logger: new FakeLogger(),
    snapshot: () => snapshot,
    publish: async (change) => {
      const epoch = snapshot.epoch + 1;
      snapshot = { ...snapshot, epoch, orders: change(snapshot, epoch) };
      memory.workers.setEpoch(0, epoch);
      return epoch;
    },
    liveWorkers: () => [0],
    poolIndexes: (database) => (database === null ? [0, 1, 2] : database === 'shop' ? [0, 1] : [2]),
    isDraining: () => state.isDraining,
    reportClients: async () => [],
    reportServers: async () => state.servers,
    killClient: () => {},
    endListening: () => {},
  });
  const holdsOf = (database: string) => ordersOf(snapshot.orders, database).holds;
  return { state, desk, memory, holdsOf, epoch: () => snapshot.epoch };
}

/** Whether it ends only when `release` has been called. */
async function waitsFor(waiting: Promise<void>, release: () => void): Promise<boolean> {
  let isOver = false;
  const ended = waiting.then(() => {
    isOver = true;
  });
  await sleep(80);
  const hasWaited = !isOver;
  release();
  await ended;
  return hasWaited;
}

for (const database of ['shop', null]) {
  test(`PAUSE of ${database ?? 'all'} waits for server connections of pools that a reload took away`, async () => {
    const { desk, memory } = makeWorld();
    const { signal } = new AbortController();
    memory.capacity.tryClaim(0, 1);
    assert.ok(await waitsFor(desk.pause(database, signal), () => void memory.capacity.giveBack(0, 1)));
  });

  test(`WAIT_CLOSE of ${database ?? 'all'} waits for them as well`, async () => {
    const { desk, state } = makeWorld();
    state.servers = [serverReport({ pool: 1, isDoomed: true })];
    const { signal } = new AbortController();
    const release = (): void => {
      state.servers = [];
    };
    assert.ok(await waitsFor(desk.waitClose(database, signal), release));
  });
}

test('PAUSE of one database does not wait for another', async () => {
  const { desk, memory } = makeWorld();
  memory.capacity.tryClaim(0, 2);
  await desk.pause('shop', new AbortController().signal);
});

test('an end that waits for clients lifts every hold and keeps other orders; with none it publishes nothing', async () => {
  const { desk, state, holdsOf, epoch } = makeWorld();
  await desk.liftHolds();
  assert.equal(epoch(), 1);
  await desk.pause('shop', new AbortController().signal);
  await desk.reconnect('other');
  await desk.maintenance(true, null);
  assert.deepEqual([holdsOf('shop'), holdsOf('other')], [HOLD_PAUSE | HOLD_MAINTENANCE, HOLD_MAINTENANCE]);
  state.isDraining = true;
  await assert.rejects(desk.resume('shop'), /shutting down/);
  await desk.liftHolds();
  assert.deepEqual([holdsOf('shop'), holdsOf('other')], [0, 0]);
});
