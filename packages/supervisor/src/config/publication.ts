import {
  type ConfigSnapshot,
  clusterKeyOf,
  diffSnapshots,
  type HostAddress,
  MAILBOX_MESSAGE_BYTES_MAX,
  packDelta,
  type SharedMemory,
  type SnapshotDelta,
} from '@pgdog-cluster/core';
import { ConfigurationError, type LoadedConfig, type PoolPair, poolPairs } from '@pgdog-cluster/core/config';
import type { CapacityLimits } from '../fleet/capacity-limits.js';
import { withAddresses } from './changed-snapshot.js';
import { clustersOf } from './clusters.js';
import { setDatabaseTls } from './database-tls.js';
import { releaseHosts } from './host-numbers.js';
import { KnownSnapshots, keepClusters } from './known-snapshots.js';
import { noRoom } from './memory-size.js';
import { DistinctKeys, PoolNumbers, poolKeyOf } from './pool-numbers.js';
import { setServerVersions } from './server-versions.js';
import { type LoadedTls, NO_TLS, readTls } from './tls-files.js';

/** With its frame within a message of the mailbox, of which a ring holds several. */
const DELTA_BYTES_MAX = MAILBOX_MESSAGE_BYTES_MAX / 2;

export type MakeSnapshot = (
  loaded: LoadedConfig,
  epoch: number,
  tls: LoadedTls,
  numberOf?: (pair: PoolPair) => number,
  known?: KnownSnapshots,
) => Promise<ConfigSnapshot>;

/** Whoever makes pools between two publications. */
export interface OwnPools {
  /** Makes none from here on, until settled(). */
  takeUp(loaded: LoadedConfig): Promise<void>;
  settled(): void;
  pools: ConfigSnapshot['pools'];
  databases: ConfigSnapshot['databases'];
  /** Of those databases. */
  hosts: ConfigSnapshot['hosts'];
}

/** Databases that are to go from the snapshot, which nobody uses. */
export interface Departure {
  databases: ReadonlySet<string>;
  /** Numbers of their pools. */
  pools: ReadonlySet<number>;
  /** Numbers of hosts that nobody else has. */
  hosts: ReadonlySet<number>;
}

export interface PublicationOptions {
  memory: SharedMemory;
  loaded: LoadedConfig;
  limits: CapacityLimits;
  makeSnapshot: MakeSnapshot;
  /** Pools beside the configured ones. */
  auth: () => OwnPools;
  /** Published, and no worker has been told yet. */
  onTakenUp: (loaded: LoadedConfig, snapshot: ConfigSnapshot, tls: LoadedTls) => void;
  /** Told of every file of TLS. */
  onFileRead?: (path: string) => void;
  /** Workers are to look at the table. */
  tell: (epoch: number, delta: Uint8Array | undefined) => void;
}

/**
 * What is in force, and the one way to change it: changes are carried out one after another, each whole or not at all.
 * See docs/internals/reload.md.
 */
export class Publication {
  readonly numbers: PoolNumbers;
  readonly #options: PublicationOptions;
  readonly #hostOf = new Map<number, number>();
  #loaded: LoadedConfig;
  #snapshot: ConfigSnapshot | null = null;
  #tls: LoadedTls = NO_TLS;
  /**
   * As every worker has it that has taken up the epoch: what logins have added since to the snapshot in force is known where
   * it was asked for.
   */
  #published: ConfigSnapshot | null = null;
  readonly #known = new KnownSnapshots();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PublicationOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    this.numbers = new PoolNumbers({
      memory: options.memory,
      onFree: (index) => {
        options.limits.forgetPool(index);
        this.#hostOf.delete(index);
      },
    });
  }

  get loaded(): LoadedConfig {
    return this.#loaded;
  }

  /** Throws before the first publication. */
  get snapshot(): ConfigSnapshot {
    if (this.#snapshot === null) throw new Error('nothing has been published yet');
    return this.#snapshot;
  }

  get hasSnapshot(): boolean {
    return this.#snapshot !== null;
  }

  get tls(): LoadedTls {
    return this.#tls;
  }

  /**
   * Takes up a configuration: limits first, then the snapshot, then workers are told. Resolves with its epoch.
   * @throws ConfigurationError for files of TLS, or for want of room; everything is as it was then.
   */
  publish(loaded: LoadedConfig): Promise<number> {
    return this.#inTurn(() =>
      this.#publishNow(loaded).catch((error: unknown) => {
        this.#giveBack();
        throw error;
      }),
    );
  }

  /** The snapshot in force with some of it changed. Resolves with its epoch. */
  republish(change: (epoch: number) => Partial<ConfigSnapshot>): Promise<number> {
    return this.#inTurn(async () => {
      const epoch = this.#nextEpoch();
      const snapshot = { ...this.snapshot, ...change(epoch), epoch };
      // Of pools that were made since the last publication too.
      snapshot.clusters = keepClusters(clustersOf(snapshot.pools), this.snapshot.clusters);
      this.#options.memory.routing.publish(snapshot);
      this.#tell(snapshot);
      return epoch;
    });
  }

  /**
   * The snapshot in force without some databases. `choose` says which when its turn has come, null: none; `onGone` is called in
   * the same moment, when they are not in it any more. Costs what it takes to pack the whole. Resolves with the epoch.
   */
  drop(choose: () => Departure | null, onGone: (departure: Departure) => void): Promise<number> {
    return this.#inTurn(async () => {
      this.numbers.reclaim();
      const before = this.snapshot;
      const departure = choose();
      if (departure === null) return before.epoch;
      const epoch = this.#nextEpoch();
      const snapshot = without(before, departure, epoch);
      this.#options.memory.routing.publish(snapshot);
      for (const index of departure.pools) this.#options.limits.dropPool(index);
      const delta = packDelta(removalOf(before, epoch, departure));
      this.#snapshot = snapshot;
      if (this.#published !== null) this.#published = without(this.#published, departure, epoch);
      onGone(departure);
      this.#retain(snapshot);
      this.#options.tell(snapshot.epoch, delta.length <= DELTA_BYTES_MAX ? delta : undefined);
      return snapshot.epoch;
    });
  }

  moveHost(index: number, addresses: HostAddress[]): Promise<number> {
    return this.republish(() => withAddresses(this.snapshot, index, addresses));
  }

  #inTurn(work: () => Promise<number>): Promise<number> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => {});
    return next;
  }

  #nextEpoch(): number {
    return this.#options.memory.routing.epoch() + 1;
  }

  async #publishNow(loaded: LoadedConfig): Promise<number> {
    const { makeSnapshot, auth, onFileRead } = this.#options;
    const epoch = this.#nextEpoch();
    this.numbers.reclaim();
    const tls = readTls(loaded, onFileRead);
    const keys = new DistinctKeys();
    const numberOf = (pair: PoolPair): number => this.#numberOf(pair, keys, loaded);
    const snapshot = await makeSnapshot(loaded, epoch, tls, numberOf, this.#known);
    this.#checkHosts(snapshot, loaded);
    const own = auth();
    try {
      // For pools that it makes anew.
      setDatabaseTls(tls);
      await own.takeUp(loaded);
      await this.#putInForce(loaded, snapshot, tls, own);
    } finally {
      own.settled();
    }
    return epoch;
  }

  async #putInForce(
    loaded: LoadedConfig,
    snapshot: ConfigSnapshot,
    tls: LoadedTls,
    own: OwnPools,
  ): Promise<void> {
    const { memory, limits, onTakenUp } = this.#options;
    const hasOwn = own.pools.length > 0;
    snapshot.pools = withOwn(snapshot.pools, own.pools);
    snapshot.databases = [...snapshot.databases, ...own.databases];
    snapshot.hosts = withOwn(snapshot.hosts, own.hosts);
    const clusters = hasOwn ? clustersOf(snapshot.pools) : snapshot.clusters;
    snapshot.clusters = keepClusters(clusters, this.#snapshot?.clusters ?? []);
    setServerVersions(snapshot, this.#snapshot);
    if (this.#snapshot?.orders !== undefined) snapshot.orders = this.#snapshot.orders;
    // Limits first: a worker must not find a pool without one.
    limits.apply(snapshot);
    try {
      memory.routing.publish(snapshot);
    } catch (error) {
      if (this.#snapshot !== null) limits.apply(this.#snapshot);
      setDatabaseTls(this.#tls);
      await own.takeUp(this.#loaded);
      throw error instanceof RangeError ? tooLarge(loaded, error) : error;
    }
    this.#loaded = loaded;
    this.#tls = tls;
    this.#known.settle(snapshot, own.pools);
    this.#retain(snapshot);
    // Workers before the supervisor's own parts, which take their time.
    this.#tell(snapshot);
    onTakenUp(loaded, snapshot, tls);
  }

  /** It is in the routing table, and in force from here on. */
  #tell(snapshot: ConfigSnapshot): void {
    const heard = this.#snapshot?.pools.map(({ index }) => index) ?? [];
    const delta = this.#published === null ? undefined : deltaOf(this.#published, snapshot, heard);
    this.#snapshot = snapshot;
    const { pools, databases, hosts } = snapshot;
    this.#published = { ...snapshot, pools: [...pools], databases: [...databases], hosts: [...hosts] };
    this.#options.tell(snapshot.epoch, delta);
  }

  #numberOf({ database, user }: PoolPair, keys: DistinctKeys, loaded: LoadedConfig): number {
    const number = this.numbers.obtain(keys.of(poolKeyOf(database, user.name)));
    if (number === null) throw noRoom(loaded, 'pools', poolPairs(loaded).length, this.numbers.poolsMax);
    return number;
  }

  #checkHosts({ hosts }: ConfigSnapshot, loaded: LoadedConfig): void {
    const { hostsMax } = this.#options.memory.hosts;
    if (hosts.some(({ index }) => index >= hostsMax)) throw noRoom(loaded, 'hosts', hosts.length, hostsMax);
  }

  /** Numbers that were given out for what has not come into force. */
  #giveBack(): void {
    if (this.#snapshot !== null) this.#retain(this.#snapshot);
  }

  /** Numbers of what is gone are kept until no worker uses it any more. */
  #retain({ pools, hosts, epoch }: ConfigSnapshot): void {
    this.numbers.retain(new Set(pools.map(({ index }) => index)), epoch);
    for (const { index, hostIndex } of pools) this.#hostOf.set(index, hostIndex);
    const inUse = new Set([...hosts.map(({ index }) => index), ...this.#hostOf.values()]);
    releaseHosts((index) => inUse.has(index));
  }
}

/**
 * With those that came to be at a login, beside the configured ones or instead of them: pools that have a secret then,
 * hosts of tenants.
 */
function withOwn<T extends { index: number }>(configured: readonly T[], own: readonly T[]): T[] {
  if (own.length === 0) return [...configured];
  const byIndex = new Map([...configured, ...own].map((each) => [each.index, each]));
  return [...byIndex.values()];
}

function without(snapshot: ConfigSnapshot, departure: Departure, epoch: number): ConfigSnapshot {
  const pools = snapshot.pools.filter(({ index }) => !departure.pools.has(index));
  return {
    ...snapshot,
    epoch,
    databases: snapshot.databases.filter(({ name }) => !departure.databases.has(name)),
    hosts: snapshot.hosts.filter(({ index }) => !departure.hosts.has(index)),
    pools,
    clusters: keepClusters(clustersOf(pools), snapshot.clusters),
  };
}

/**
 * What workers are told: databases and pools that are gone. Those that were made since the publication before are not in
 * it: a worker asks for them when a client does, and the next difference has them.
 */
function removalOf(
  { epoch: from, pools }: ConfigSnapshot,
  epoch: number,
  departure: Departure,
): SnapshotDelta {
  const gone = pools.filter(({ index }) => departure.pools.has(index));
  const clusters = new Set(gone.map(({ database, user, shard }) => clusterKeyOf(database, user, shard)));
  return {
    from,
    epoch,
    rest: {},
    absent: [],
    pools: { removed: [...departure.pools], set: [] },
    clusters: { removed: [...clusters], set: [] },
    users: { removed: [], set: [] },
    databases: { removed: [...departure.databases], set: [] },
  };
}

/** Undefined: workers had better read the whole. */
function deltaOf(
  before: ConfigSnapshot,
  after: ConfigSnapshot,
  heard: readonly number[],
): Uint8Array | undefined {
  const packed = packDelta(diffSnapshots(before, after, heard));
  return packed.length <= DELTA_BYTES_MAX ? packed : undefined;
}

function tooLarge({ configFile }: LoadedConfig, { message: what }: RangeError): ConfigurationError {
  const message = `${what}: room is made at start, for twice what is configured then; restart to make more`;
  const source = configFile ?? 'pgdog-cluster';
  return new ConfigurationError([{ severity: 'error', source, line: 0, key: '', message }]);
}
