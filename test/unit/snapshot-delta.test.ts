/** What a worker has after a difference is what it would have after the whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConfigSnapshot,
  diffSnapshots,
  packDelta,
  SeededRandom,
  unpackDelta,
} from '@pgdog-cluster/core';
import { Directory } from '@pgdog-cluster/worker';
import { buildSnapshot, clustersOf, DistinctKeys, poolKeyOf } from 'pgdog-cluster';
import { load } from '../support/load-configuration.js';

const numbers = new Map<string, number>();

function numberOf(key: string): number {
  const known = numbers.get(key) ?? numbers.size;
  numbers.set(key, known);
  return known;
}

async function snapshotOf(random: SeededRandom, epoch: number): Promise<ConfigSnapshot> {
  const is = (odds: number) => random.below(odds) === 0;
  let config = `[general]\nauth_type = "md5"\nquery_timeout = ${random.below(3)}\n`;
  for (let database = 0; database < 6; database++) {
    // Without any it would be no configuration.
    if (database > 0 && is(3)) continue;
    const head = `[[databases]]\nname = "d${database}"\nhost = "127.0.0.${1 + random.below(3)}"\n`;
    config += `${head}pool_size = ${1 + random.below(3)}\n`;
    if (is(4)) config += `${head.replace('127.0.0', '127.0.1')}role = "replica"\n`;
  }
  let users = '[[users]]\nname = "all"\npassword = "all"\nall_databases = true\n';
  for (let user = 0; user < 5; user++) {
    if (is(3)) continue;
    users += `[[users]]\nname = "u${user}"\npassword = "p${random.below(3)}"\ndatabase = "d${random.below(6)}"\n`;
  }
  const keys = new DistinctKeys();
  const loaded = load({ config, users });
  const snapshot = await buildSnapshot(loaded, epoch, undefined, ({ database, user }) =>
    numberOf(keys.of(poolKeyOf(database, user.name))),
  );
  return is(3)
    ? { ...snapshot, orders: { all: { holds: 1, reconnectEpoch: 0, killEpoch: 0 } } as never }
    : snapshot;
}

/** Bytes of either kind look the same. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, one) =>
    one instanceof Uint8Array ? { type: 'Buffer', data: [...one] } : one,
  );
}

/** Plain data without an order of lists. */
function plain({ catalogs: _catalogs, ...rest }: ConfigSnapshot): unknown {
  const sorted = Object.entries(rest).map(([key, value]) => {
    const isList = ['pools', 'clusters', 'users', 'databases'].includes(key);
    return [key, isList ? (value as unknown[]).map(text).sort() : text(value)];
  });
  return Object.fromEntries(sorted.filter(([, value]) => value !== undefined).sort());
}

test('a hundred random steps, each taken up as a difference', async () => {
  const seed = Date.now() % 1_000_000;
  const random = new SeededRandom(seed);
  let before = await snapshotOf(random, 1);
  const directory = new Directory(structuredClone(before));
  for (let epoch = 2; epoch < 100; epoch++) {
    const after = await snapshotOf(random, epoch);
    const delta = unpackDelta(packDelta(diffSnapshots(before, after)));
    const config = directory.apply(delta, undefined);
    const whole = new Directory(after);
    assert.deepEqual(plain(config), plain(after), `SEED=${seed} epoch ${epoch}`);
    for (const { index, database, user } of [...before.pools, ...after.pools]) {
      const of = (one: Directory) =>
        text([one.poolAt(index), one.pool(database, user), one.user(user, database)]);
      assert.equal(of(directory), of(whole), `SEED=${seed} epoch ${epoch}`);
    }
    before = after;
  }
});

test('one change of ten thousand is a small difference; a pool that was made meanwhile goes with it', async () => {
  const databases = (changed: number) =>
    Array.from(
      { length: 1000 },
      (_, n) => `[[databases]]\nname = "d${n}"\nhost = "127.0.0.1"\npool_size = ${n === 7 ? changed : 5}\n`,
    ).join('');
  const users = '[[users]]\nname = "all"\npassword = "all"\nall_databases = true\n';
  const [one, two] = await Promise.all(
    [6, 7].map((size, at) => buildSnapshot(load({ config: databases(size), users }), at + 1)),
  );
  const delta = diffSnapshots(one, two, [4711]);
  assert.deepEqual(
    delta.pools.set.map(({ database, poolSize }) => [database, poolSize]),
    [['d7', 7]],
  );
  assert.deepEqual(delta.pools.removed, [4711]);
  assert.deepEqual([delta.rest, delta.absent], [{}, []]);
  assert.ok(packDelta(delta).length < 2000);

  const directory = new Directory(structuredClone(one));
  const stranger = { ...one.pools[0], index: 4711, user: 'stranger' };
  directory.addPool(stranger);
  assert.equal(directory.pool('d0', 'stranger')?.index, 4711);
  directory.apply(delta, undefined);
  assert.equal(directory.pool('d0', 'stranger'), null);
  assert.equal(directory.cluster('d0', 'stranger'), null);
  assert.deepEqual(clustersOf(two.pools).length, 1000);
});
