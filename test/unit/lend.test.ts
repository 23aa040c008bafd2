/** A server connection that was to go to another worker and comes back: what has become of its pool meanwhile counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lendTo, Pool, ServerConnection, type WorkerContext } from '@pgdog-cluster/worker';

const NOW_MS = 1_000_000;
const FD = 77;

/** A pool with one idle connection, in a worker whose mail nobody takes. */
function makeWorld() {
  const context = {
    config: { epoch: 1, general: { maxPacketBytes: 0 } },
    driver: { memory: {}, attach: () => 1, detach: () => {} },
    outputs: { markDirty: () => {} },
    memory: { capacity: { claimed: () => 1, freeInGroups: () => 0 } },
    post: () => false,
    isDraining: false,
    nowMs: NOW_MS,
  } as unknown as WorkerContext;
  const [kept, closed]: [ServerConnection[], ServerConnection[]] = [[], []];
  const pool = {
    context,
    version: 0,
    reported: { intern: (reported: unknown) => reported },
    all: new Set(),
    idle: [],
    waiters: { length: 0 },
    isPaused: false,
    owedUntilMs: 0,
    index: 0,
    snapshot: { poolSize: 1, reservePoolSize: 0 },
    ending: new Set(),
    limitsEpoch: 0,
    publishLoad: () => {},
    keepFree: (server: ServerConnection) => kept.push(server),
    close: (server: ServerConnection) => closed.push(server),
  } as unknown as Pool;
  const server = new ServerConnection(context, pool, FD);
  server.state = 'idle';
  server.idleSinceMs = NOW_MS - 50;
  server.provenMs = NOW_MS - 20;
  server.expiresMs = NOW_MS + 100;
  pool.idle.push(server);
  pool.all.add(server);
  return { context, pool, server, kept, closed };
}

/** Lent, and `meanwhile` before the kernel has let go of the descriptor. */
function comesBack(meanwhile: (world: ReturnType<typeof makeWorld>) => void) {
  const world = makeWorld();
  lendTo(world.pool, 1);
  meanwhile(world);
  world.server.handleDetached();
  return world;
}

test('not taken, it stays, and is as old and as well proven as it was', () => {
  const { kept, closed, server } = comesBack(() => {});
  assert.deepEqual([kept.length, closed.length], [1, 0]);
  const [back] = kept;
  assert.notEqual(back, server);
  assert.deepEqual([back.connection.fd, back.idleSinceMs, back.provenMs], [FD, NOW_MS - 50, NOW_MS - 20]);
});

for (const [what, meanwhile] of [
  ['PAUSE', ({ pool }) => (pool.isPaused = true)],
  ['the end of the worker', ({ context }) => (context.isDraining = true)],
  ['the end of its time', ({ context }) => (context.nowMs = NOW_MS + 100)],
  ['a smaller pool', ({ pool }) => (pool.snapshot.poolSize = 0)],
  ['a lower limit', ({ context }) => (context.memory.capacity.freeInGroups = () => -1)],
  ['RECONNECT', ({ server }) => (server.isDoomed = true)],
] as [string, (world: ReturnType<typeof makeWorld>) => unknown][]) {
  test(`not taken, it is closed after ${what} came meanwhile`, () => {
    const { kept, closed } = comesBack(meanwhile);
    assert.deepEqual([kept.length, closed.length], [0, 1]);
  });
}

for (const [waitedMs, counts] of [
  [10, [1, 0]],
  [200, [0, 1]],
] as const) {
  test(`with more statements than a message holds its place goes to who has waited for ${waitedMs} ms, or nothing`, () => {
    const { context, pool, server, kept, closed } = makeWorld();
    const load = { workersWaiting: () => 1, oldestWaiter: () => 1, oldestSinceMs: NOW_MS - waitedMs };
    Object.assign(context.memory, { load });
    Object.assign(pool.waiters, { peek: () => undefined });
    for (let index = 0; index < 10_000; index++) server.prepared.add(`a statement of a name, ${index}`);
    lendTo(pool, 1);
    assert.deepEqual([kept.length, closed.length], counts);
    assert.equal(server.placeFor, closed.length === 0 ? -1 : 1);
  });
}

test('to be closed while the kernel lets go of it, it is not given away and ends once', () => {
  const close = ({ pool, server }: ReturnType<typeof makeWorld>) => Pool.prototype.close.call(pool, server);
  const { kept, closed, pool, server } = comesBack(close);
  assert.deepEqual([kept.length, closed.length, pool.ending.size], [0, 1, 0]);
  assert.notEqual(closed[0], server);
});
