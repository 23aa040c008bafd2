/** One change of the configuration after another: what a refused one leaves, and which server connections may stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedMemory, type SnapshotDelta, unpackDelta } from '@pgdog-cluster/core';
import { buildSnapshot, CapacityLimits, Publication } from 'pgdog-cluster';
import { load } from '../support/load-configuration.js';

const USERS = '[[users]]\nname = "app"\nall_databases = true\npassword = "hunter2"\n';

/** `name host`, or `name host database_name`. */
function config(...databases: string[]) {
  const entries = databases.map((text) => {
    const [name, host, own = 'own'] = text.split(' ');
    return `[[databases]]\nname = "${name}"\nhost = "${host}"\ndatabase_name = "${own}"\n`;
  });
  return load({ config: entries.join(''), users: USERS });
}

function open({ poolsMax = 8, hostsMax = 8 }) {
  const memory = createSharedMemory({ workers: 1, poolsMax, hostsMax, fdMax: 64 });
  let last: SnapshotDelta | null = null;
  const publication = new Publication({
    memory,
    loaded: config('a 127.0.0.1'),
    limits: new CapacityLimits(memory.capacity, 100),
    makeSnapshot: buildSnapshot,
    auth: () => ({ takeUp: async () => {}, settled: () => {}, pools: [], databases: [], hosts: [] }),
    onTakenUp: () => {},
    // As the only worker would, if it had no connection left.
    tell: (epoch, delta) => {
      memory.workers.setSettledEpoch(0, epoch);
      if (delta !== undefined) last = unpackDelta(delta);
    },
  });
  const told = (): SnapshotDelta => {
    assert.ok(last !== null);
    return last;
  };
  return { memory, publication, told };
}

test('a configuration that is refused for want of room leaves the room to the next', async () => {
  const { publication } = open({ poolsMax: 2 });
  await publication.publish(config('a 127.0.0.1'));
  for (const name of ['b', 'c', 'd']) {
    const tooMany = config('a 127.0.0.1', `${name} 127.0.0.1`, `${name}2 127.0.0.1`);
    await assert.rejects(publication.publish(tooMany), /3 pools are configured, and there is room for 2/);
  }
  await publication.publish(config('a 127.0.0.1', 'e 127.0.0.1'));
  assert.deepEqual(publication.snapshot.pools.map(({ index }) => index).sort(), [0, 1]);
});

test('so it is with hosts: those beyond the room are no use to anybody', async () => {
  const { publication } = open({ hostsMax: 2 });
  await publication.publish(config('a 127.0.0.1'));
  const tooMany = ['127.0.0.2', '127.0.0.3', '127.0.0.4'].map((host, index) => `h${index} ${host}`);
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(publication.publish(config('a 127.0.0.1', ...tooMany)), /hosts are configured/);
  await publication.publish(config('a 127.0.0.1', 'b 127.0.0.5'));
  assert.deepEqual(publication.snapshot.hosts.map(({ index }) => index).sort(), [0, 1]);
});

test('a pool that comes back is not taken for the one it was', async () => {
  const { memory, publication } = open({});
  const pool = () => publication.snapshot.pools.find(({ database }) => database === 'x');
  await publication.publish(config('a 127.0.0.1', 'x 127.0.0.1'));
  const before = pool();
  await publication.publish(config('a 127.0.0.1', 'x 127.0.0.1'));
  assert.equal(pool()?.serverVersion, before?.serverVersion, 'nothing has changed');
  await publication.publish(config('a 127.0.0.1'));
  memory.workers.setSettledEpoch(0, 1);
  await publication.publish(config('a 127.0.0.1', 'x 127.0.0.1 other'));
  assert.equal(pool()?.index, before?.index, 'its number is still held: some worker has not left it');
  assert.notEqual(pool()?.serverVersion, before?.serverVersion);
});

test('what is dropped is what workers are told; what logins added meanwhile is in the next difference', async () => {
  const { memory, publication, told } = open({});
  await publication.publish(config('a 127.0.0.1', 'b 127.0.0.1'));
  const { snapshot } = publication;
  const [first, second] = snapshot.pools;
  // As a login adds them.
  const added = { ...first, index: 5, database: 'c' };
  snapshot.pools.push(added);
  snapshot.databases.push({ ...snapshot.databases[0], name: 'c' });
  const gone: string[] = [];
  const departure = { databases: new Set(['b']), pools: new Set([second.index]), hosts: new Set<number>() };
  const epoch = await publication.drop(
    () => departure,
    ({ databases }) => gone.push(...databases),
  );
  assert.deepEqual(gone, ['b']);
  const dropped = told();
  assert.equal(dropped.epoch, epoch);
  assert.deepEqual(dropped.pools, { removed: [second.index], set: [] });
  assert.deepEqual(dropped.databases, { removed: ['b'], set: [] });
  assert.deepEqual(dropped.rest, {});
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);
  assert.deepEqual(names(memory.routing.read().databases), ['a', 'c'], 'the table has all of them');
  assert.equal(memory.capacity.limit(second.index), 0);
  await publication.republish(() => ({}));
  const next = told();
  assert.deepEqual([next.from, names(next.databases.set)], [epoch, ['c']]);
  assert.deepEqual(
    next.pools.set.map(({ index }) => index),
    [5],
  );
  assert.equal(
    await publication.drop(
      () => null,
      () => assert.fail('nobody'),
    ),
    publication.snapshot.epoch,
    'nothing to drop',
  );
});
