import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SqlPlan, VacateMessage } from '@pgdog-cluster/core';
import { vacate, vacateForPlan, type WorkerContext } from '@pgdog-cluster/worker';

/** A worker of two with one pool, whose database has a client or has none, and which has one server connection in use. */
function makeRig() {
  const looks: { atMs: number; run: () => void }[] = [];
  const posted: VacateMessage[] = [];
  const server = { state: 'active', dedicatedTo: null, isDoomed: false };
  const rig = { clients: 0, looks, posted, server, all: new Set([server]) };
  const context = {
    worker: 0,
    nowMs: 1000,
    pools: new Map(),
    vacating: new Map<string, number>(),
    deadlines: { add: (atMs: number, run: () => void) => looks.push({ atMs, run }) },
    post: (_worker: number, message: VacateMessage) => posted.push(message),
    memory: {
      capacity: { clientsOf: () => rig.clients },
      handles: { dimensions: { workers: 2 } },
    },
  };
  const snapshot = { host: 'db', port: 5432, serverDatabase: 'shop', database: 'shop' };
  const pool = { context, index: 0, snapshot, all: rig.all };
  context.pools.set(0, pool);
  const runLooks = (): void => {
    const due = looks.splice(0);
    for (const { atMs, run } of due) {
      context.nowMs = atMs;
      run();
    }
  };
  return { ...rig, rig, context: context as unknown as WorkerContext, pool: pool as never, runLooks };
}

const planOf = (...databases: string[]): SqlPlan =>
  ({ statements: databases.map((database) => ({ effect: { type: 'vacate', database } })) }) as never;
const MESSAGE: VacateMessage = { type: 'vacate', host: 'db', port: 5432, serverDatabase: 'shop' };

test('however often a client asks, a database is looked at once at a time, and no longer than Postgres waits', () => {
  const { rig, context, pool, looks, posted, server, runLooks } = makeRig();
  rig.clients = 1;
  for (let time = 0; time < 1000; time++) vacateForPlan(pool, planOf('shop'));
  assert.equal(looks.length, 1);
  assert.equal(posted.length, 1);
  for (let time = 0; time < 1000; time++) vacate(context, MESSAGE);
  assert.equal(looks.length, 1);
  let count = 0;
  for (; looks.length > 0; count++) runLooks();
  assert.equal(count, 50);
  assert.equal(server.isDoomed, false, 'a client is connected');
  assert.equal(context.vacating.size, 0);
});

test('when the clients have gone what they left ends, and the looks with it', () => {
  const { rig, context, pool, looks, server, all, runLooks } = makeRig();
  rig.clients = 1;
  vacateForPlan(pool, planOf('shop'));
  rig.clients = 0;
  runLooks();
  assert.equal(server.isDoomed, true);
  all.clear();
  runLooks();
  assert.equal(looks.length, 0);
  assert.equal(context.vacating.size, 0);
});

test('among other statements it is in a transaction, and nobody is asked', () => {
  const { pool, looks, posted } = makeRig();
  vacateForPlan(pool, planOf('shop', 'shop'));
  assert.deepEqual([looks.length, posted.length], [0, 0]);
});
