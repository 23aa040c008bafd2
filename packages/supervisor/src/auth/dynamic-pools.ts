import type { HostAddress, PoolSnapshot, RequiredPeer } from '@pgdog-cluster/core';
import type {
  DatabaseEntry,
  LoadedConfig,
  PoolOverrides,
  Secret,
  UserEntry,
} from '@pgdog-cluster/core/config';
import { mayEnter } from '@pgdog-cluster/core/config';
import { databaseTlsIndex } from '../config/database-tls.js';
import { resolveHost } from '../config/host-address.js';
import { DistinctKeys, type PoolNumbers, poolKeyOf } from '../config/pool-numbers.js';
import { toPool } from '../config/publish-config.js';
import { resolvePeer } from '../config/resolve-entries.js';

const NO_ROLE_OVERRIDES = { poolSize: null, minPoolSize: null, idleTimeoutMs: null };

const NO_OVERRIDES: PoolOverrides = {
  primary: NO_ROLE_OVERRIDES,
  replica: NO_ROLE_OVERRIDES,
  poolSize: null,
  // Thousands of users who came once must not keep a server connection each.
  minPoolSize: 0,
  poolerMode: null,
  statementTimeoutMs: null,
  lockTimeoutMs: null,
  idleTimeoutMs: null,
  readOnly: null,
  serverLifetimeMs: null,
  serverLifetimeJitterMs: null,
  reservePoolSize: null,
  checkoutTimeoutMs: null,
  logMinStatementMs: null,
  logMinTransactionMs: null,
  logMinCheckoutMs: null,
  queryTimeoutMs: null,
  transactionTimeoutMs: null,
  clientIdleTimeoutMs: null,
  clientIdleInTransactionTimeoutMs: null,
};

/** A user who is not in users.toml, as if it were. */
export function strangerEntry(name: string, database: string): UserEntry {
  return {
    name,
    databases: [database],
    passwords: [],
    passwordHash: null,
    authType: null,
    identity: null,
    isCertificateRequired: false,
    serverUser: null,
    serverPassword: null,
    overrides: NO_OVERRIDES,
    limits: { servers: null, clients: null },
    isCrossShardDisabled: null,
    isSchemaAdmin: false,
  };
}

interface Entry {
  database: string;
  user: UserEntry;
  /** One per entry of the database: per host of each shard. */
  pools: PoolSnapshot[];
  /** Towards dynamic_users_max: he is not in users.toml, and not the first one of a tenant. */
  isCounted: boolean;
}

/** A secret that went with its tenant: a worker may ask for the pool again that it has just lost. */
interface LeftSecret {
  secret: Secret;
  leftMs: number;
}

/** Longer than a login takes. */
const LEFT_SECRETS_MS = 60_000;

/** How to reach one entry of a database. */
export interface Way {
  addresses: HostAddress[];
  peer: RequiredPeer | undefined;
}

/** One per entry. Never rejects. */
export async function waysTo(databases: readonly DatabaseEntry[]): Promise<Way[]> {
  return Promise.all(
    databases.map(async (database) => ({
      addresses: await resolveHost(database.host, database.port),
      peer: await resolvePeer(database),
    })),
  );
}

/** Undefined: he is not in users.toml, or not for this database. */
export function listedUser({ users }: LoadedConfig, name: string, database: string): UserEntry | undefined {
  return users.find((user) => user.name === name && mayEnter(user, database));
}

/** How the databases stand that pools are made in. */
export interface DatabasePlaces {
  /** None: there is no such database. */
  entriesOf(name: string): readonly DatabaseEntry[];
  waysOf(entries: readonly DatabaseEntry[]): Promise<Way[]>;
}

/** Rows of shared memory that such pools may need: each user has one pool per host of each shard. */
export function dynamicPoolsMax({ databases, templates, general }: LoadedConfig): number {
  const entries = [...databases, ...templates.flatMap((template) => template.entries)];
  const canExist =
    general.passthrough_auth !== 'disabled' || entries.some(({ authQuery }) => authQuery !== null);
  if (!canExist) return 0;
  const hostCounts = new Map<string, number>();
  for (const { name } of entries) hostCounts.set(name, (hostCounts.get(name) ?? 0) + 1);
  return general.dynamic_users_max * Math.max(1, ...hostCounts.values());
}

/**
 * Pools of users who log in by auth_query or passthrough: made at their first login, kept for as long as they may come that
 * way. A pool that was made once keeps its number, row, counters and claims over every reload, also when its user comes to
 * be listed.
 */
export class DynamicPools {
  readonly #entries = new Map<string, Entry>();
  /** Their keys by database. */
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #leftSecrets = new Map<string, LeftSecret>();
  readonly #numbers: Pick<PoolNumbers, 'obtain'>;
  readonly #places: DatabasePlaces;
  #countedCount = 0;
  #loaded: LoadedConfig;

  constructor(loaded: LoadedConfig, numbers: Pick<PoolNumbers, 'obtain'>, places: DatabasePlaces) {
    this.#loaded = loaded;
    this.#numbers = numbers;
    this.#places = places;
  }

  get pools(): PoolSnapshot[] {
    return [...this.#entries.values()].flatMap(({ pools }) => pools);
  }

  /** Of one database. */
  poolsOf(database: string): PoolSnapshot[] {
    return [...(this.#keysOf.get(database) ?? [])].flatMap((key) => this.#entries.get(key)?.pools ?? []);
  }

  /** The secret its server connections use; null when there is no such pool. */
  secretOf(database: string, user: string): Secret | null {
    return this.#entries.get(keyOf(database, user))?.user.passwords[0] ?? null;
  }

  /** The same of a pool that has gone with its tenant a moment ago. */
  leftSecretOf(database: string, user: string): Secret | null {
    return this.#leftSecrets.get(keyOf(database, user))?.secret ?? null;
  }

  /** A tenant is forgotten, with all who were there. */
  dropDatabase(database: string, nowMs: number): void {
    for (const [key, { leftMs }] of this.#leftSecrets) {
      if (nowMs - leftMs < LEFT_SECRETS_MS) break;
      this.#leftSecrets.delete(key);
    }
    for (const key of this.#keysOf.get(database) ?? []) {
      const secret = this.#entries.get(key)?.user.passwords[0];
      this.#leftSecrets.delete(key);
      if (secret !== undefined) this.#leftSecrets.set(key, { secret, leftMs: nowMs });
      this.#forget(key);
    }
  }

  /**
   * Its pools with this secret, one per entry of the database, made or changed if need be; none when there are too many
   * users. Without a pause: whoever puts them into the snapshot in force must know that it is still the one of the entries.
   * @param ways to the entries; not needed for one whose secret is this one already
   * @param secret null: he has his own, or needs none
   * @param configured those it has by the configuration, without a secret
   */
  obtain(
    databases: readonly DatabaseEntry[],
    ways: readonly Way[],
    user: UserEntry,
    secret: Secret | null,
    configured: readonly PoolSnapshot[],
  ): PoolSnapshot[] {
    const [{ name, pattern }] = databases;
    const key = keyOf(name, user.name);
    const known = this.#entries.get(key);
    if (known !== undefined && (secret === null || known.user.passwords[0]?.reveal() === secret.reveal())) {
      // Certificates may have been read again since.
      known.pools = known.pools.map((pool) => withTlsOf(pool, databases));
      return known.pools;
    }
    const isFree = pattern === null ? configured.length > 0 : this.#isFree(user.name, name);
    const isFull = this.#countedCount >= this.#loaded.general.dynamic_users_max;
    if (isFull && known === undefined && !isFree) return [];
    const entry = secret === null ? user : { ...user, passwords: [secret], passwordHash: null };
    const pools = this.#makePools(databases, ways, entry, known?.pools ?? configured);
    if (pools === null) return [];
    this.#keep(key, { database: name, user: entry, pools, isCounted: known?.isCounted ?? !isFree });
    return pools;
  }

  /** Tenants are counted by themselves; in each of them one user is free, and those that are listed. */
  #isFree(user: string, database: string): boolean {
    return !this.#keysOf.has(database) || listedUser(this.#loaded, user, database) !== undefined;
  }

  #keep(key: string, entry: Entry): void {
    this.#forget(key);
    this.#entries.set(key, entry);
    if (entry.isCounted) this.#countedCount++;
    const keys = this.#keysOf.get(entry.database);
    if (keys === undefined) this.#keysOf.set(entry.database, new Set([key]));
    else keys.add(key);
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.isCounted) this.#countedCount--;
    const keys = this.#keysOf.get(entry.database);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(entry.database);
  }

  /** Whether it has been made. */
  has(database: string, user: string): boolean {
    return this.#entries.has(keyOf(database, user));
  }

  /** Its name has other addresses. */
  moveHost(hostIndex: number, addresses: HostAddress[]): void {
    for (const entry of this.#entries.values()) {
      entry.pools = entry.pools.map((pool) => (pool.hostIndex === hostIndex ? { ...pool, addresses } : pool));
    }
  }

  /**
   * Another configuration: pools of databases that are still there get its settings, and those of the user as it lists him
   * now. Who has a secret there, or has no way in any more, is forgotten.
   */
  async takeUp(loaded: LoadedConfig): Promise<void> {
    this.#loaded = loaded;
    const ways = new Map<string, Promise<Way[]>>();
    for (const [key, entry] of [...this.#entries]) {
      const { database, pools: before } = entry;
      const databases = this.#places.entriesOf(database);
      const user = userBy(loaded, databases, entry.user);
      const asked = ways.get(database) ?? this.#places.waysOf(databases);
      ways.set(database, asked);
      const pools = user === null ? null : this.#makePools(databases, await asked, user, before);
      this.#forget(key);
      if (user === null || pools === null) continue;
      const isListed = listedUser(loaded, user.name, database) !== undefined;
      const isFree = isListed || (databases[0].pattern !== null && !this.#keysOf.has(database));
      this.#keep(key, { database, user, pools, isCounted: !isFree });
    }
  }

  /** Null when rows are missing. */
  #makePools(
    databases: readonly DatabaseEntry[],
    ways: readonly Way[],
    user: UserEntry,
    before: readonly PoolSnapshot[],
  ): PoolSnapshot[] | null {
    const keys = new DistinctKeys();
    const pools: PoolSnapshot[] = [];
    for (const [place, database] of databases.entries()) {
      const { addresses, peer } = ways[place];
      const index = this.#numbers.obtain(keys.of(poolKeyOf(database, user.name)));
      if (index === null) return null;
      const tls = databaseTlsIndex(database);
      const pool = toPool({ database, user }, index, addresses, this.#loaded, peer, tls);
      const serverVersion = before.find((old) => old.index === index)?.serverVersion;
      pools.push(serverVersion === undefined ? pool : { ...pool, serverVersion });
    }
    return pools;
  }
}

/** As a configuration has him, with the secret that is known; null: it says the secret itself, or lets him in no more. */
function userBy(
  loaded: LoadedConfig,
  databases: readonly DatabaseEntry[],
  { name, passwords }: UserEntry,
): UserEntry | null {
  if (databases.length === 0) return null;
  const [{ name: database, pattern }] = databases;
  const listed = listedUser(loaded, name, database);
  const hasOwn = listed !== undefined && (listed.passwords.length > 0 || listed.passwordHash !== null);
  // Of a tenant not even the pools of listed users are configured.
  if (pattern !== null && listed !== undefined) return hasOwn ? listed : { ...listed, passwords };
  const isAsked =
    loaded.general.passthrough_auth !== 'disabled' || databases.some(({ authQuery }) => authQuery !== null);
  if (!isAsked) return null;
  if (listed === undefined) return { ...strangerEntry(name, database), passwords };
  return hasOwn ? null : { ...listed, passwords };
}

function withTlsOf(pool: PoolSnapshot, databases: readonly DatabaseEntry[]): PoolSnapshot {
  const database = databases.find((entry) => isPlaceOf(pool, entry));
  const tls = database === undefined ? pool.tls : databaseTlsIndex(database);
  return tls === pool.tls ? pool : { ...pool, tls };
}

/** One host may have several shards, each in a database of its own. */
function isPlaceOf({ shard, host, port }: PoolSnapshot, database: DatabaseEntry): boolean {
  return shard === database.shard && host === database.host && port === database.port;
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`;
}
