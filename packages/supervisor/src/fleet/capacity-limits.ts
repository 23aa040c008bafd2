import { assert, type CapacityTable, type ConfigSnapshot, type PoolSnapshot } from '@pgdog-cluster/core';

/** Clients of the admin database: enough for people and their tools, and none of them can shut the others out. */
const ADMIN_CLIENTS_MAX = 20;

const NAMES = 'a number is of one pool until it is forgotten';

/** Numbers names; one keeps its number as long as some pool has the name. */
class NameNumbers {
  readonly #numbers = new Map<string, { number: number; poolCount: number }>();
  readonly #free: number[] = [];
  #next = 0;

  /** @param isNew the pool has not been counted yet */
  of(name: string, isNew: boolean): number {
    let known = this.#numbers.get(name);
    if (known === undefined) {
      known = { number: this.#free.pop() ?? this.#next++, poolCount: 0 };
      this.#numbers.set(name, known);
    }
    if (isNew) known.poolCount++;
    return known.number;
  }

  /** Of a pool that was counted. */
  forget(name: string): void {
    const known = this.#numbers.get(name);
    if (known === undefined || --known.poolCount > 0) return;
    this.#numbers.delete(name);
    this.#free.push(known.number);
  }
}

/**
 * Sets the limits of the capacity table from the configuration, at start and at each reload. Groups keep their numbers
 * as long as a pool is in them, because connections already claimed are counted there.
 */
export class CapacityLimits {
  readonly #capacity: CapacityTable;
  readonly #databases = new NameNumbers();
  readonly #users = new NameNumbers();
  readonly #connectionsMax: number;
  /** Those that may open connections. */
  #pools = new Set<number>();
  /** As they were applied last. Nothing of them is written to. */
  readonly #applied = new Map<number, PoolSnapshot>();

  /** `connectionsMax`: what open files allow, clients and servers together. */
  constructor(capacity: CapacityTable, connectionsMax: number) {
    this.#capacity = capacity;
    this.#connectionsMax = connectionsMax;
  }

  /** Also for a pool that comes to be between two configurations. Before any worker hears of it. */
  applyPool(pool: PoolSnapshot): void {
    const capacity = this.#capacity;
    const before = this.#applied.get(pool.index);
    assert(before === undefined || (before.database === pool.database && before.user === pool.user), NAMES);
    const database = this.#databases.of(pool.database, before === undefined);
    const user = this.#users.of(pool.user, before === undefined);
    this.#applied.set(pool.index, pool);
    this.#pools.add(pool.index);
    capacity.setPoolGroups(pool.index, database, user);
    capacity.setPoolLimit(pool.index, pool.poolSize, pool.reservePoolSize);
    capacity.setPoolClosed(pool.index, false);
    capacity.setDatabaseLimit(database, pool.databaseServersMax);
    capacity.setDatabaseClientLimit(database, pool.databaseClientsMax);
    capacity.setUserLimit(user, pool.userServersMax);
    capacity.setUserClientLimit(user, pool.userClientsMax);
  }

  /** The pool is gone from the snapshot, and opens nothing more. */
  dropPool(index: number): void {
    if (this.#pools.delete(index)) this.#capacity.setPoolLimit(index, 0);
  }

  /** Nobody has the pool of that number any more. */
  forgetPool(index: number): void {
    const names = this.#applied.get(index);
    if (names === undefined) return;
    this.#applied.delete(index);
    this.#databases.forget(names.database);
    this.#users.forget(names.user);
  }

  /** Before the snapshot is published: a worker must not find a pool without a limit. */
  apply(snapshot: ConfigSnapshot): void {
    const capacity = this.#capacity;
    const { general } = snapshot;
    // Of thousands nearly all have the limits that they had. Of one database the last pool counts, as long as they contradict.
    const others = snapshot.pools.filter((pool) => !this.#isApplied(pool));
    const concerned = new Set(others.map(({ database }) => database));
    for (const pool of snapshot.pools) {
      if (concerned.has(pool.database)) this.applyPool(pool);
      else capacity.setPoolClosed(pool.index, false);
    }
    const here = new Set(snapshot.pools.map(({ index }) => index));
    // A pool that is no longer configured opens nothing more; what it has ends with its clients.
    for (const gone of this.#pools) if (!here.has(gone)) capacity.setPoolLimit(gone, 0);
    this.#pools = here;
    capacity.setTotalLimit(general.maxServerConn);
    capacity.setAdminLimit(ADMIN_CLIENTS_MAX);
    capacity.setClientLimit(general.maxClientConn || this.#clientsByDescriptors(snapshot));
  }

  #isApplied(pool: PoolSnapshot): boolean {
    return this.#pools.has(pool.index) && this.#applied.get(pool.index) === pool;
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
