import {
  type ClusterSnapshot,
  type ConfigSnapshot,
  clusterKeyOf,
  type DatabaseSnapshot,
  firstMatch,
  isListed,
  type ListDelta,
  type PoolSnapshot,
  type SnapshotDelta,
  type TemplateSnapshot,
  type UserSnapshot,
} from '@pgdog-cluster/core';
import { type Likeness, likenessesOf } from './session/auth/likeness.js';

/** What the supervisor answered about a user who is not configured, or has no password here. */
export interface LookedUpUser {
  /** Null: nobody there, or not to be found out. */
  user: UserSnapshot | null;
  /** Nobody could be asked. */
  isUnreachable: boolean;
  askedMs: number;
  /** Epoch ms. */
  freshUntilMs: number;
}

/** Roles of which a user is a member, of those that rules ask about. */
export interface LookedUpGroups {
  groups: ReadonlySet<string>;
  /** Epoch ms. */
  freshUntilMs: number;
}

/** How it was found out: by auth_query, or by a server that took the client's own password. */
export type LookupKind = 'lookup' | 'passthrough';

/** Databases of which it is remembered. Of any other it is asked again. */
const REACHES_MAX = 1_000;

function applyTo<T, K>(map: Map<K, T>, { removed, set }: ListDelta<T, K>, keyOf: (entry: T) => K): void {
  for (const key of removed) map.delete(key);
  for (const entry of set) map.set(keyOf(entry), entry);
}

function isRemovalOnly({ rest, absent, pools, clusters, databases, users }: SnapshotDelta): boolean {
  const isOther = (list: ListDelta<unknown, unknown>): boolean => list.set.length > 0;
  const hasChanged =
    [pools, clusters, databases].some(isOther) || users.removed.length + users.set.length > 0;
  return !hasChanged && absent.length === 0 && Object.keys(rest).length === 0;
}

/** No name holds a NUL, so that no two pairs share a key. */
function keyOf(database: string, user: string): string {
  return `${database}\0${user}`;
}

/**
 * Who there is, by name: users, databases and pools of the configuration, and what was looked up since. A login asks
 * it instead of walking through thousands of entries.
 */
export class Directory {
  private users = new Map<string, UserSnapshot[]>();
  private databases = new Map<string, DatabaseSnapshot>();
  private clusters = new Map<string, ClusterSnapshot>();
  /** Of the configured users, for strangers to look like. */
  likenesses: readonly Likeness[] = [];
  private poolsByIndex = new Map<number, PoolSnapshot>();
  private readonly lookedUp = new Map<string, LookedUpUser>();
  private readonly lookedUpGroups = new Map<string, LookedUpGroups>();
  /** By database: whether auth_query could be asked when it was last asked from here. */
  private readonly reaches = new Map<string, { isUnreachable: boolean; untilMs: number }>();
  private config: ConfigSnapshot;

  constructor(config: ConfigSnapshot) {
    this.config = config;
    this.takeUp(config);
  }

  /** Another configuration: what was looked up under the old one is asked for again. */
  takeUp(config: ConfigSnapshot): void {
    this.users = new Map();
    for (const user of config.users) {
      const others = this.users.get(user.name);
      if (others === undefined) this.users.set(user.name, [user]);
      else others.push(user);
    }
    this.databases = new Map(config.databases.map((database) => [database.name, database]));
    this.clusters = new Map(
      config.clusters.map((cluster) => [
        clusterKeyOf(cluster.database, cluster.user, cluster.shard),
        cluster,
      ]),
    );
    this.poolsByIndex = new Map(config.pools.map((pool) => [pool.index, pool]));
    this.finish(config);
  }

  /** The same for what has changed since the configuration that is taken up; returns the whole. */
  apply(delta: SnapshotDelta, catalogs: ConfigSnapshot['catalogs']): ConfigSnapshot {
    const { pools, clusters, users, databases } = delta;
    for (const index of pools.removed) this.forgetPool(index);
    applyTo(this.poolsByIndex, pools, ({ index }) => index);
    applyTo(this.databases, databases, ({ name }) => name);
    applyTo(this.clusters, clusters, (each) => clusterKeyOf(each.database, each.user, each.shard));
    for (const name of users.removed) this.users.delete(name);
    for (const { name } of users.set) this.users.set(name, []);
    for (const user of users.set) this.users.get(user.name)?.push(user);
    const { config } = this;
    const changed = <T>(list: ListDelta<unknown, unknown>, all: Iterable<T>, known: T[]): T[] =>
      list.set.length + list.removed.length === 0 ? known : [...all];
    const next: ConfigSnapshot = {
      ...config,
      ...delta.rest,
      epoch: delta.epoch,
      catalogs,
      pools: changed(pools, this.poolsByIndex.values(), config.pools),
      databases: changed(databases, this.databases.values(), config.databases),
      clusters: changed(clusters, this.clusters.values(), config.clusters),
      users: users.set.length + users.removed.length === 0 ? config.users : [...this.users.values()].flat(),
    };
    for (const key of delta.absent) delete next[key as 'orders' | 'mirrors' | 'templates'];
    if (next.users !== config.users || delta.rest.mockVerifier !== undefined) this.finish(next);
    else if (isRemovalOnly(delta)) this.forgetAnswers(next, databases.removed);
    else this.keep(next);
    return next;
  }

  /** Tenants are gone, and nothing else has changed: what was looked up of others is as true as before. */
  private forgetAnswers(config: ConfigSnapshot, databases: readonly string[]): void {
    this.config = config;
    const gone = new Set(databases);
    for (const key of this.lookedUpGroups.keys()) {
      if (gone.has(key.slice(0, key.indexOf('\0')))) this.lookedUpGroups.delete(key);
    }
    for (const key of this.lookedUp.keys()) {
      const pair = key.slice(key.indexOf(' ') + 1);
      if (gone.has(pair.slice(0, pair.indexOf('\0')))) this.lookedUp.delete(key);
    }
  }

  /** Also of one that was made between two configurations: its cluster is known here only. */
  private forgetPool(index: number): void {
    const pool = this.poolsByIndex.get(index);
    if (pool === undefined) return;
    const key = clusterKeyOf(pool.database, pool.user, pool.shard);
    const cluster = this.clusters.get(key);
    const left = cluster?.pools.filter((other) => other !== index) ?? [];
    if (cluster === undefined || left.length === 0) this.clusters.delete(key);
    else this.clusters.set(key, { ...cluster, pools: left });
  }

  private finish(config: ConfigSnapshot): void {
    this.likenesses = likenessesOf(config.users, config.mockVerifier);
    this.keep(config);
  }

  private keep(config: ConfigSnapshot): void {
    this.config = config;
    this.lookedUp.clear();
    this.lookedUpGroups.clear();
    this.reaches.clear();
  }

  /** The configured user who may enter the database; null when there is none. */
  user(name: string, database: string): UserSnapshot | null {
    const entries = this.users.get(name);
    if (entries === undefined) return null;
    return (
      entries.find(({ databases }) => databases?.some((each) => isListed(each, database)) ?? true) ?? null
    );
  }

  /** A configured user, whichever databases are his; null when there is none. */
  anyUser(name: string): UserSnapshot | null {
    return this.users.get(name)?.[0] ?? null;
  }

  /** Of databases with several. */
  shardCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { name, sharding } of this.databases.values()) {
      if (sharding !== undefined) counts.set(name, sharding.shardCount);
    }
    return counts;
  }

  /** A configured one, or a tenant that is known here. */
  database(name: string): DatabaseSnapshot | null {
    return this.databases.get(name) ?? null;
  }

  /** The same, or the template of a tenant that this worker does not know yet; null: nobody serves that name. */
  termsOf(name: string): DatabaseSnapshot | TemplateSnapshot | null {
    return this.databases.get(name) ?? firstMatch(this.config.templates ?? [], name);
  }

  /** Made of a template: whether it is there, and which pools it has, the supervisor knows. */
  isTenant(name: string): boolean {
    return this.termsOf(name)?.pattern !== undefined;
  }

  /** A tenant that was made since the configuration was published. Before its pools. */
  addDatabase(database: DatabaseSnapshot): void {
    if (!this.databases.has(database.name)) this.config.databases.push(database);
    this.databases.set(database.name, database);
  }

  /** The hosts that serve them on this shard; null when the user has no pools there (yet). */
  cluster(database: string, user: string, shard = 0): ClusterSnapshot | null {
    return this.clusters.get(clusterKeyOf(database, user, shard)) ?? null;
  }

  /** Of every shard, in their order; none when the user has no pools there (yet). */
  shards(database: string, user: string): ClusterSnapshot[] {
    const count = this.database(database)?.sharding?.shardCount ?? 1;
    const clusters: ClusterSnapshot[] = [];
    for (let shard = 0; shard < count; shard++) {
      const cluster = this.cluster(database, user, shard);
      if (cluster !== null) clusters.push(cluster);
    }
    return clusters;
  }

  /** The pool that stands for all of them, as far as they have their settings in common: of the primary of shard 0. */
  pool(database: string, user: string): PoolSnapshot | null {
    const pools = this.cluster(database, user)?.pools.map((index) => this.poolsByIndex.get(index)) ?? [];
    return pools.find((pool) => pool?.role === 'primary') ?? pools.find((pool) => pool !== undefined) ?? null;
  }

  poolAt(index: number): PoolSnapshot | null {
    return this.poolsByIndex.get(index) ?? null;
  }

  /** A pool that was made, or changed, since the configuration was published. */
  addPool(pool: PoolSnapshot): void {
    const known = this.poolsByIndex.get(pool.index);
    if (known === undefined) this.config.pools.push(pool);
    else this.config.pools.splice(this.config.pools.indexOf(known), 1, pool);
    this.poolsByIndex.set(pool.index, pool);
    const { database, user, shard, index, role } = pool;
    const key = clusterKeyOf(database, user, shard);
    const cluster = this.clusters.get(key);
    if (cluster === undefined) {
      const isRouted = role !== 'primary' || this.database(database)?.sharding !== undefined;
      this.clusters.set(key, { database, user, shard, pools: [index], isRouted });
    } else if (!cluster.pools.includes(pool.index)) {
      this.clusters.set(key, { ...cluster, pools: [...cluster.pools, pool.index], isRouted: true });
    }
  }

  /** Undefined when nobody was asked, or too long ago. */
  lookedUpUser(kind: LookupKind, database: string, user: string, nowMs: number): LookedUpUser | undefined {
    const known = this.lookedUp.get(`${kind} ${keyOf(database, user)}`);
    return known !== undefined && nowMs < known.freshUntilMs ? known : undefined;
  }

  noteLookedUp(kind: LookupKind, database: string, user: string, found: LookedUpUser): void {
    this.note(this.lookedUp, `${kind} ${keyOf(database, user)}`, found);
  }

  /** Whether auth_query of the database cannot be asked; undefined: that is not known of the last moments. */
  isUnreachable(database: string, nowMs: number): boolean | undefined {
    const known = this.reaches.get(database);
    return known === undefined || nowMs >= known.untilMs ? undefined : known.isUnreachable;
  }

  noteReach(
    database: string,
    { isUnreachable, freshUntilMs }: Omit<LookedUpUser, 'user' | 'askedMs'>,
    nowMs: number,
  ): void {
    const untilMs = Math.min(freshUntilMs, nowMs + this.config.general.lookupFailureTtlMs);
    this.reaches.delete(database);
    this.reaches.set(database, { isUnreachable, untilMs });
    const [oldest] = this.reaches.keys();
    if (this.reaches.size > REACHES_MAX && oldest !== undefined) this.reaches.delete(oldest);
  }

  /** Undefined when nobody was asked, or too long ago. */
  groups(database: string, user: string, nowMs: number): ReadonlySet<string> | undefined {
    const known = this.lookedUpGroups.get(keyOf(database, user));
    return known !== undefined && nowMs < known.freshUntilMs ? known.groups : undefined;
  }

  noteGroups(database: string, user: string, found: LookedUpGroups): void {
    this.note(this.lookedUpGroups, keyOf(database, user), found);
  }

  /** The oldest go first. */
  private note<T>(answers: Map<string, T>, key: string, found: T): void {
    answers.delete(key);
    answers.set(key, found);
    for (const oldest of answers.keys()) {
      if (answers.size <= this.config.general.lookupsMax) break;
      answers.delete(oldest);
    }
  }

  /** Its password was wrong by what we know: it may have been changed, so the answer soon is out of date. */
  doubt(database: string, user: string): void {
    const known = this.lookedUp.get(`lookup ${keyOf(database, user)}`);
    if (known === undefined) return;
    const untilMs = known.askedMs + this.config.general.lookupFailureTtlMs;
    known.freshUntilMs = Math.min(known.freshUntilMs, untilMs);
  }
}
