import type { CapacityTable, ConfigSnapshot, PoolSnapshot } from '@pgdog-cluster/core';

/** Clients of the admin database: enough for people and their tools, and none of them can shut the others out. */
const ADMIN_CLIENTS_MAX = 20;

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
}

/**
 * Sets the limits of the capacity table from the configuration, at start and at each reload. Groups keep their
 * numbers for the life of the process, because connections already claimed are counted in them.
 */
export class CapacityLimits {
  readonly #capacity: CapacityTable;
  readonly #databases = new NameNumbers();
  readonly #users = new NameNumbers();
  readonly #connectionsMax: number;
  #pools = new Set<number>();

  /** `connectionsMax`: what open files allow, clients and servers together. */
  constructor(capacity: CapacityTable, connectionsMax: number) {
    this.#capacity = capacity;
    this.#connectionsMax = connectionsMax;
  }

  /** Also for a pool that comes to be between two configurations. Before any worker hears of it. */
  applyPool(pool: PoolSnapshot): void {
    const capacity = this.#capacity;
    const database = this.#databases.of(pool.database);
    const user = this.#users.of(pool.user);
    this.#pools.add(pool.index);
    capacity.setPoolGroups(pool.index, database, user);
    capacity.setPoolLimit(pool.index, pool.poolSize, pool.reservePoolSize);
    capacity.setDatabaseLimit(database, pool.databaseServersMax);
    capacity.setDatabaseClientLimit(database, pool.databaseClientsMax);
    capacity.setUserLimit(user, pool.userServersMax);
    capacity.setUserClientLimit(user, pool.userClientsMax);
  }

  /** Before the snapshot is published: a worker must not find a pool without a limit. */
  apply(snapshot: ConfigSnapshot): void {
    const capacity = this.#capacity;
    const { general } = snapshot;
    const before = this.#pools;
    this.#pools = new Set();
    for (const pool of snapshot.pools) this.applyPool(pool);
    // A pool that is no longer configured opens nothing more; what it has ends with its clients.
    for (const gone of before) if (!this.#pools.has(gone)) capacity.setPoolLimit(gone, 0);
    capacity.setTotalLimit(general.maxServerConn);
    capacity.setAdminLimit(ADMIN_CLIENTS_MAX);
    capacity.setClientLimit(general.maxClientConn || this.#clientsByDescriptors(snapshot));
  }

  /**
   * Beyond it accept(2) would fail, for an operator too. Server connections that the pools may open are set aside,
   * as far as they leave the clients half.
   */
  #clientsByDescriptors({ general, pools }: ConfigSnapshot): number {
    const most = this.#connectionsMax - ADMIN_CLIENTS_MAX;
    const pooled = pools.reduce((sum, { poolSize, reservePoolSize }) => sum + poolSize + reservePoolSize, 0);
    const servers = general.maxServerConn === 0 ? pooled : Math.min(pooled, general.maxServerConn);
    return Math.max(1, most - Math.min(servers, Math.floor(most / 2)));
  }
}
