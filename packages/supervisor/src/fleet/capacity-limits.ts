import type { CapacityTable, ConfigSnapshot, PoolSnapshot } from '@pgdog-cluster/core';
import type { GeneralSettings } from '@pgdog-cluster/core/config';

/** Numbers names in the order they are first seen, and never again otherwise. */
class NameNumbers {
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(name, number);
    return number;
  }

  *all(): Iterable<number> {
    yield* this.#numbers.values();
  }
}

/**
 * Sets the limits of the capacity table from the configuration, at start and at each reload. Groups keep their
 * numbers for the life of the process, because connections already claimed are counted in them.
 */
export class CapacityLimits {
  readonly #capacity: CapacityTable;
  readonly #databases = new NameNumbers();
  readonly #users = new NameNumbers();
  #pools = new Set<number>();

  constructor(capacity: CapacityTable) {
    this.#capacity = capacity;
  }

  /** A pool that comes to be between two configurations. Before any worker hears of it. */
  applyPool(pool: PoolSnapshot, general: GeneralSettings): void {
    const database = this.#databases.of(pool.database);
    const user = this.#users.of(pool.user);
    this.#pools.add(pool.index);
    this.#capacity.setPoolGroups(pool.index, database, user);
    this.#capacity.setDatabaseLimit(database, general.max_db_connections ?? 0);
    this.#capacity.setUserLimit(user, general.max_user_connections ?? 0);
    this.#capacity.setPoolLimit(pool.index, pool.poolSize);
  }

  /** Before the snapshot is published: a worker must not find a pool without a limit. */
  apply(snapshot: ConfigSnapshot, general: GeneralSettings): void {
    const pools = new Set<number>();
    for (const pool of snapshot.pools) {
      pools.add(pool.index);
      this.#capacity.setPoolGroups(pool.index, this.#databases.of(pool.database), this.#users.of(pool.user));
      this.#capacity.setPoolLimit(pool.index, pool.poolSize);
    }
    // A pool that is no longer configured opens nothing more; what it has ends with its clients.
    for (const gone of this.#pools) if (!pools.has(gone)) this.#capacity.setPoolLimit(gone, 0);
    this.#pools = pools;
    for (const group of this.#databases.all()) {
      this.#capacity.setDatabaseLimit(group, general.max_db_connections ?? 0);
    }
    for (const group of this.#users.all())
      this.#capacity.setUserLimit(group, general.max_user_connections ?? 0);
    this.#capacity.setTotalLimit(general.max_server_conn ?? 0);
    this.#capacity.setClientLimit(snapshot.general.maxClientConn);
  }
}
