/** Which workers serve a small pool: in turn, for good, and by load among several. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createSharedMemory,
  HOME_SLOTS,
  hashOfNames,
  type PoolSnapshot,
  type SharedMemory,
  WORKER_CRASHED,
  WORKER_SERVING,
  type WorkerState,
} from '@pgdog-cluster/core';
import { ANYWHERE, Homes, homeCount, type WorkerContext } from '@pgdog-cluster/worker';

const WORKERS = 4;

function memoryOf(workers = WORKERS): SharedMemory {
  const memory = createSharedMemory({ workers, poolsMax: 4, fdMax: 64, routingAreaBytes: 4096 });
  for (let worker = 0; worker < workers; worker++) memory.workers.setState(worker, WORKER_SERVING);
  return memory;
}

interface Names {
  pools?: Record<string, Partial<PoolSnapshot>>;
  lookups?: Record<string, number>;
  passthrough?: string;
  ownClients?: number;
}

/** Of worker `worker`, which knows these pools by the name of their database. */
function homesOf(memory: SharedMemory, worker: number, names: Names): Homes {
  const { pools = {}, lookups = {}, passthrough = 'off', ownClients = 0 } = names;
  const pool = (database: string) =>
    pools[database] === undefined ? null : { database, user: 'u', index: 0, ...pools[database] };
  const database = (name: string) =>
    lookups[name] === undefined
      ? null
      : { name, hasAuthQuery: passthrough === 'off', strangerPoolSize: lookups[name] };
  return new Homes({
    memory,
    worker,
    directory: { pool, termsOf: database },
    config: { general: { passthrough } },
    sessions: { count: ownClients },
    arrivals: { waitingCount: 0 },
  } as unknown as WorkerContext);
}

test('as many homes as have four server connections each, at least one, at most all', () => {
  const counts = [0, 1, 4, 5, 8, 9, 12, 13, 100, Infinity].map((size) => homeCount(size, 4));
  assert.deepEqual(counts, [1, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
  assert.equal(homeCount(100, 1), 1);
});

test('homes are given out in turn, the same to whoever asks, and never change', () => {
  const memory = memoryOf();
  const first = Array.from({ length: 12 }, (_, slot) => memory.homes.first(slot, 1));
  assert.deepEqual(first, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
  assert.deepEqual(
    Array.from({ length: 12 }, (_, slot) => memory.homes.first(slot, 3)),
    first,
  );
  // Of several homes the next pool's begin behind the last.
  const wide = Array.from({ length: 4 }, (_, slot) => memory.homes.first(100 + slot, 3));
  assert.deepEqual(wide, [0, 3, 2, 1]);
  assert.equal(memory.homes.first(HOME_SLOTS + 1, 1), 1, 'the slot of another hash');
  assert.equal(memory.homes.inUse(), 16);
});

test('names: a user and a database are not mistaken for each other, and slots are used evenly', () => {
  assert.notEqual(hashOfNames('ab', 'c'), hashOfNames('a', 'bc'));
  assert.notEqual(hashOfNames('a', 'b'), hashOfNames('b', 'a'));
  const slots = new Set(Array.from({ length: 200 }, (_, n) => hashOfNames(`db${n}`, 'u') & (HOME_SLOTS - 1)));
  assert.ok(slots.size > 160, `${slots.size} slots for 200 names`);
});

test('pools of several users of some databases, in use or not, are spread evenly by use', () => {
  const memory = memoryOf();
  const pools = Object.fromEntries(
    Array.from({ length: 40 }, (_, n) => [`db${n}`, { poolSize: 3, index: n }]),
  );
  const homes = homesOf(memory, 0, { pools });
  // Each fourth pool is used: by number alone they would all have the same home.
  const used = Array.from({ length: 10 }, (_, n) => homes.homeOf(`db${4 * n}`, 'u'));
  for (let worker = 0; worker < WORKERS; worker++) {
    assert.ok(used.filter((home) => home === worker).length >= 2, `homes ${used}`);
  }
});

test('large pools, one worker and unknown names: anywhere', () => {
  const memory = memoryOf();
  const names = { pools: { large: { poolSize: 13 } }, lookups: { looked: 2 } };
  const homes = homesOf(memory, 0, names);
  assert.equal(homes.homeOf('large', 'u'), ANYWHERE);
  assert.equal(homes.isHome('large', 'u'), false);
  assert.equal(homes.homeOf('nothing', 'u'), ANYWHERE);
  assert.notEqual(homes.homeOf('looked', 'stranger'), ANYWHERE);
  assert.equal(
    homesOf(memory, 0, { lookups: { looked: 2 }, passthrough: 'plain' }).homeOf('looked', 'x') >= 0,
    true,
  );
  assert.equal(homesOf(memoryOf(1), 0, { pools: { small: { poolSize: 1 } } }).homeOf('small', 'u'), ANYWHERE);
  assert.equal(memory.homes.inUse(), 2, 'names nobody can have take no slot');
});

test('of several homes the one with fewest clients, this one unless it has clearly more', () => {
  const memory = memoryOf();
  const pools = { two: { poolSize: 8 } };
  const load = (...clients: number[]): void => {
    for (const [worker, count] of clients.entries()) memory.workers.setClients(worker, count);
  };
  load(0, 30, 0, 0);
  // Homes are 0 and 1.
  assert.equal(homesOf(memory, 3, { pools }).homeOf('two', 'u'), 0);
  load(31, 30, 0, 0);
  assert.equal(homesOf(memory, 3, { pools }).homeOf('two', 'u'), 1);
  assert.equal(homesOf(memory, 0, { pools, ownClients: 35 }).homeOf('two', 'u'), 0);
  assert.equal(homesOf(memory, 0, { pools, ownClients: 60 }).homeOf('two', 'u'), 1);
  assert.deepEqual(
    [0, 1, 2, 3].map((worker) => homesOf(memory, worker, { pools }).isHome('two', 'u')),
    [true, true, false, false],
  );
});

test('those handed over and not counted yet count', () => {
  const memory = memoryOf();
  const homes = homesOf(memory, 3, { pools: { two: { poolSize: 8 } } });
  const chosen: number[] = [];
  for (let client = 0; client < 6; client++) {
    const home = homes.homeOf('two', 'u');
    const message = {
      type: 'movedClient',
      fd: 10 + client,
      addr: '',
      port: 1,
      peerUser: null,
      sinceMs: 1,
    } as const;
    assert.ok(memory.mailboxes.post(3, home, { ...message, bytes: new Uint8Array(8) }));
    homes.noteMoved(home);
    chosen.push(home);
  }
  assert.deepEqual(chosen, [0, 1, 0, 1, 0, 1]);
});

test('homes that do not serve are stood in for by the next that does, and used again when they are back', () => {
  const memory = memoryOf();
  const homes = homesOf(memory, 3, { pools: { one: { poolSize: 4 } } });
  const set = (worker: number, state: WorkerState): void => memory.workers.setState(worker, state);
  assert.equal(homes.homeOf('one', 'u'), 0);
  set(0, WORKER_CRASHED);
  assert.equal(homes.homeOf('one', 'u'), 1);
  set(1, WORKER_CRASHED);
  set(2, WORKER_CRASHED);
  assert.equal(homes.homeOf('one', 'u'), 3, 'this one');
  assert.equal(homes.isHome('one', 'u'), false);
  set(0, WORKER_SERVING);
  assert.equal(homes.homeOf('one', 'u'), 0);
});

test('one worker keeps a minimum: a home of a small pool', () => {
  const memory = memoryOf();
  const small = {
    database: 'small',
    user: 'u',
    poolSize: 3,
    databaseServersMax: 0,
    userServersMax: 0,
    index: 3,
  };
  const large = { ...small, database: 'large', poolSize: 40 };
  const keepers = (pool: object): number[] =>
    [0, 1, 2, 3].filter((worker) =>
      homesOf(memory, worker, { pools: { small, large } }).isKeeper(pool as PoolSnapshot),
    );
  assert.deepEqual(keepers(large), [3]);
  assert.deepEqual(keepers(small), [0]);
});
