import type {
  ClusterSnapshot,
  ConfigSnapshot,
  DatabaseSnapshot,
  HostAddress,
  PoolSnapshot,
  UserSnapshot,
} from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig, PoolPair, UserEntry } from '@pgdog-cluster/core/config';

interface KnownPool extends PoolPair {
  pool: PoolSnapshot;
}

/** What is in force, by what it was made of. */
interface Known {
  /** By number. */
  pools: Map<number, KnownPool>;
  /** Of databases of one entry. */
  databases: Map<DatabaseEntry, DatabaseSnapshot>;
  users: Map<UserEntry, UserSnapshot>;
  /** By port and name. */
  addresses: Map<string, HostAddress[]>;
}

function nothing(): Known {
  return { pools: new Map(), databases: new Map(), users: new Map(), addresses: new Map() };
}

/**
 * Parts of the snapshot in force that the next one has too, as the same objects: they cost nothing to make, to compare, and to
 * pack. Whatever else than its own entries a part is made of is compared here, or by who asks; what is made of more than that is
 * not known here.
 */
export class KnownSnapshots {
  #inForce = nothing();
  #terms = '';
  /** Those of the snapshot that is being made. */
  #next = nothing();
  #nextTerms = '';

  /** Another snapshot is made. */
  begin({ general, tenantColumn, hba }: LoadedConfig): void {
    this.#next = nothing();
    this.#nextTerms = JSON.stringify([general, tenantColumn, hba?.map(({ method }) => method)]);
    if (this.#nextTerms !== this.#terms) this.#inForce = { ...nothing(), addresses: this.#inForce.addresses };
  }

  /** The addresses of before, if they are the same. */
  addresses(key: string, found: HostAddress[]): HostAddress[] {
    const before = this.#inForce.addresses.get(key);
    const addresses = before !== undefined && areSame(before, found) ? before : found;
    this.#next.addresses.set(key, addresses);
    return addresses;
  }

  pool(pair: PoolPair, index: number, isSame: (pool: PoolSnapshot) => boolean): PoolSnapshot | null {
    const known = this.#inForce.pools.get(index);
    if (known === undefined || known.database !== pair.database || known.user !== pair.user) return null;
    return isSame(known.pool) ? known.pool : null;
  }

  notePool(pair: PoolPair, pool: PoolSnapshot): void {
    const known = this.#inForce.pools.get(pool.index);
    this.#next.pools.set(pool.index, known?.pool === pool ? known : { ...pair, pool });
  }

  database(entry: DatabaseEntry): DatabaseSnapshot | null {
    return this.#inForce.databases.get(entry) ?? null;
  }

  noteDatabase(entry: DatabaseEntry, database: DatabaseSnapshot): void {
    this.#next.databases.set(entry, database);
  }

  user(entry: UserEntry): UserSnapshot | null {
    return this.#inForce.users.get(entry) ?? null;
  }

  noteUser(entry: UserEntry, user: UserSnapshot): void {
    this.#next.users.set(entry, user);
  }

  /** What was made last is in force now, as it is there: with numbers of versions, without what has become something else. */
  settle({ pools }: ConfigSnapshot, own: readonly PoolSnapshot[]): void {
    const made = this.#next.pools;
    for (const { index } of own) made.delete(index);
    for (const pool of pools) {
      const known = made.get(pool.index);
      if (known !== undefined) known.pool = pool;
    }
    this.#inForce = this.#next;
    this.#terms = this.#nextTerms;
    this.#next = nothing();
  }
}

function areSame(one: readonly HostAddress[], other: readonly HostAddress[]): boolean {
  return (
    one.length === other.length &&
    one.every(
      ({ family, text, sockaddr }, place) =>
        family === other[place].family &&
        text === other[place].text &&
        Buffer.compare(sockaddr, other[place].sockaddr) === 0,
    )
  );
}

/** Those of before where they are equal. */
export function keepClusters(
  clusters: readonly ClusterSnapshot[],
  before: readonly ClusterSnapshot[],
): ClusterSnapshot[] {
  const known = new Map(before.map((cluster) => [cluster.pools[0], cluster]));
  return clusters.map((cluster) => {
    const old = known.get(cluster.pools[0]);
    return old !== undefined && isSameCluster(old, cluster) ? old : cluster;
  });
}

function isSameCluster(one: ClusterSnapshot, other: ClusterSnapshot): boolean {
  return (
    one.database === other.database &&
    one.user === other.user &&
    one.shard === other.shard &&
    one.isRouted === other.isRouted &&
    one.pools.length === other.pools.length &&
    one.pools.every((index, place) => index === other.pools[place])
  );
}
