/** What is published again is what is published for the first time, and what workers are told leads there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConfigSnapshot,
  createSharedMemory,
  openSharedMemory,
  type PoolSnapshot,
  type SnapshotDelta,
  unpackDelta,
} from '@pgdog-cluster/core';
import { ConfigurationError, KnownConfig, type LoadedConfig } from '@pgdog-cluster/core/config';
import { Directory } from '@pgdog-cluster/worker';
import { buildSnapshot, CapacityLimits, Publication, readTls } from 'pgdog-cluster';
import { RandomConfig, readRandom } from '../support/random-config.js';

const STEPS = 200;

function keyOf({ database, user, shard, host, port }: PoolSnapshot): string {
  return [database, user, shard, host, port].join('\0');
}

/** Plain data without an order of lists, and without what only a history can say. */
function plain(
  { catalogs: _catalogs, epoch: _epoch, ...rest }: ConfigSnapshot,
  hasVersions: boolean,
): unknown {
  const text = (value: unknown) =>
    JSON.stringify(value, (key, one) => {
      // As JSON has a Buffer by itself.
      if (one instanceof Uint8Array) return { type: 'Buffer', data: [...one] };
      return key === 'serverVersion' && !hasVersions ? undefined : one;
    });
  const sorted = Object.entries(rest).map(([key, value]) => {
    const isList = ['pools', 'clusters', 'users', 'databases'].includes(key);
    return [key, isList ? (value as object[]).map(sortedKeys).map(text).sort() : text(value)];
  });
  return Object.fromEntries(sorted.filter(([, value]) => value !== undefined).sort());
}

function sortedKeys(value: object): object {
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function open() {
  const memory = createSharedMemory({
    workers: 1,
    poolsMax: 8192,
    hostsMax: 512,
    fdMax: 64,
    routingAreaBytes: 1 << 24,
  });
  const told: { delta: SnapshotDelta | null } = { delta: null };
  const publication = new Publication({
    memory,
    loaded: readRandom(new RandomConfig(1).texts()) as LoadedConfig,
    limits: new CapacityLimits(memory.capacity, 100),
    makeSnapshot: buildSnapshot,
    auth: () => ({ takeUp: async () => {}, settled: () => {}, pools: [], databases: [], hosts: [] }),
    onTakenUp: () => {},
    tell: (epoch, delta) => {
      memory.workers.setSettledEpoch(0, epoch);
      told.delta = delta === undefined ? null : unpackDelta(delta);
    },
  });
  return { memory, publication, told };
}

/** As if nothing had been before it, but for the numbers of pools. */
async function fresh(loaded: LoadedConfig, { pools }: ConfigSnapshot): Promise<ConfigSnapshot> {
  const numbers = new Map(pools.map((pool) => [keyOf(pool), pool.index]));
  return buildSnapshot(loaded, 1, readTls(loaded), ({ database, user }) => {
    const { name, shard, host, port } = database;
    return numbers.get([name, user.name, shard, host, port].join('\0')) ?? -1;
  });
}

test('random edits: published as if for the first time, and taken up by what is told of it', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const { memory, publication, told } = open();
  const config = new RandomConfig(seed);
  const known = new KnownConfig();
  let directory: Directory | null = null;
  const seen = { published: 0, kept: 0 };
  for (let step = 0; step < STEPS; step++, config.edit()) {
    const texts = config.texts();
    const [loaded, whole] = [readRandom(texts, known), readRandom(texts)];
    if (Array.isArray(loaded) || Array.isArray(whole)) continue;
    const before = new Set(publication.hasSnapshot ? publication.snapshot.pools : []);
    told.delta = null;
    const refusal = await publication.publish(loaded).then(
      () => null,
      (error: unknown) => error,
    );
    if (refusal !== null) {
      assert.ok(refusal instanceof ConfigurationError, String(refusal));
      continue;
    }
    const what = `SEED=${seed} step ${step}`;
    const read = openSharedMemory(memory.handles).routing.read();
    const expected = await fresh(whole, publication.snapshot);
    assert.deepEqual(plain(read, false), plain(expected, false), what);
    assert.deepEqual(plain(read, true), plain(publication.snapshot, true), what);
    if (directory === null || told.delta === null) directory = new Directory(read);
    else assert.deepEqual(plain(directory.apply(told.delta, undefined), true), plain(read, true), what);
    for (const pool of read.pools) assert.equal(memory.capacity.limit(pool.index), pool.poolSize, what);
    seen.published++;
    for (const pool of publication.snapshot.pools) if (before.has(pool)) seen.kept++;
  }
  assert.ok(seen.published > 5 && seen.kept > 20, `SEED=${seed} ${JSON.stringify(seen)}`);
});

/** Twenty databases, so that each is read by itself; those named have lines of their own. */
function texts(own: Readonly<Record<string, string>>, users: string) {
  const names = [...Object.keys(own), ...Array.from({ length: 20 }, (_, place) => `other${place}`)];
  const config = names.map(
    (name) => `[[databases]]\nname = "${name}"\nhost = "127.0.0.1"\n${own[name] ?? ''}\n`,
  );
  const others = names.map(
    (name) => `[[users]]\nname = "of ${name}"\ndatabase = "${name}"\npassword = "p"\n`,
  );
  return { config: config.join(''), users: users + others.join(''), environment: {}, files: {} };
}

test('what a pool has of other entries changes with them, though its own are as they were', async () => {
  const { memory, publication } = open();
  const known = new KnownConfig();
  const publish = async (own: Readonly<Record<string, string>>, users: string): Promise<PoolSnapshot[]> => {
    const loaded = readRandom(texts(own, users), known);
    assert.ok(!Array.isArray(loaded), String(loaded));
    await publication.publish(loaded);
    const { pools } = openSharedMemory(memory.handles).routing.read();
    return pools.filter(({ database, user }) => database === 'shop' && user === 'app');
  };
  const app = '[[users]]\nname = "app"\ndatabase = "shop"\npassword = "a password"\n';
  const elsewhere = (line: string) =>
    `[[users]]\nname = "app"\ndatabase = "other1"\npassword = "p"\n${line}\n`;
  const tls = { before: 'tls_verify = "prefer"', shop: 'tls_verify = "require"' };
  const [first] = await publish(tls, app);
  assert.equal(first.tls, 1);
  // Its settings are the first ones now.
  const [second] = await publish({ shop: tls.shop }, app);
  assert.deepEqual([second.tls, second.serverVersion], [0, first.serverVersion]);
  // One limit over all databases, said where another one is listed.
  const [third] = await publish({ shop: tls.shop }, app + elsewhere('max_user_connections = 7'));
  assert.deepEqual([second.userServersMax, third.userServersMax], [0, 7]);
  const limits = async (users: string) => (await publish({ shop: tls.shop }, users))[0].userServersMax;
  assert.equal(await limits(app + elsewhere('max_user_connections = 9')), 9);
  assert.equal(await limits(app), 0);
});

test('of entries that contradict one another the last one counts, whichever was changed', async () => {
  const { memory, publication } = open();
  const known = new KnownConfig();
  const users = '[[users]]\nname = "app"\nall_databases = true\npassword = "a password"\n';
  const limitOf = async (size: number): Promise<number> => {
    const { config, ...rest } = texts({}, users);
    const shop = (host: string, lines: string) =>
      `[[databases]]\nname = "shop"\nhost = "${host}"\n${lines}\n`;
    const two =
      shop('127.0.0.1', `max_db_connections = 3\npool_size = ${size}`) +
      shop('127.0.0.2', 'max_db_connections = 5\nrole = "replica"');
    const loaded = readRandom({ ...rest, config: two + config }, known);
    assert.ok(!Array.isArray(loaded), String(loaded));
    await publication.publish(loaded);
    const index = publication.snapshot.pools.findIndex(({ database }) => database === 'shop');
    return memory.capacity.databaseLimitOf(publication.snapshot.pools[index].index);
  };
  assert.deepEqual([await limitOf(5), await limitOf(6)], [5, 5]);
});
