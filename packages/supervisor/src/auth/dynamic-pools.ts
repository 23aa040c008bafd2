import type { HostAddress, PoolSnapshot, RequiredPeer } from '@pgdog-cluster/core';
import type {
  DatabaseEntry,
  LoadedConfig,
  PoolOverrides,
  Secret,
  UserEntry,
} from '@pgdog-cluster/core/config';
import { databaseTlsIndex } from '../config/database-tls.js';
import { resolveHost } from '../config/host-address.js';
import { DistinctKeys, type PoolNumbers, poolKeyOf } from '../config/pool-numbers.js';
import { resolvePeer, toPool } from '../config/publish-config.js';

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
  /** Not in users.toml. */
  isStranger: boolean;
}

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
  return users.find(
    (user) => user.name === name && (user.databases === null || user.databases.includes(database)),
  );
}

/** Rows of shared memory that such pools may need: each user has one pool per host of each shard. */
export function dynamicPoolsMax({ databases, general }: LoadedConfig): number {
  const canExist =
    general.passthrough_auth !== 'disabled' || databases.some(({ authQuery }) => authQuery !== null);
  if (!canExist) return 0;
  const hostCounts = new Map<string, number>();
  for (const { name } of databases) hostCounts.set(name, (hostCounts.get(name) ?? 0) + 1);
  return general.dynamic_users_max * Math.max(1, ...hostCounts.values());
}

/**
 * Pools of users who log in by auth_query or passthrough: made at their first login, kept for as long as they may come that
 * way. A pool that was made once keeps its number, row, counters and claims over every reload, also when its user comes to
 * be listed.
 */
export class DynamicPools {
  readonly #entries = new Map<string, Entry>();
  readonly #numbers: Pick<PoolNumbers, 'obtain'>;
  #loaded: LoadedConfig;

  constructor(loaded: LoadedConfig, numbers: Pick<PoolNumbers, 'obtain'>) {
    this.#loaded = loaded;
    this.#numbers = numbers;
  }

  get pools(): PoolSnapshot[] {
    return [...this.#entries.values()].flatMap(({ pools }) => pools);
  }

  /** The secret its server connections use; null when there is no such pool. */
  secretOf(database: string, user: string): Secret | null {
    return this.#entries.get(keyOf(database, user))?.user.passwords[0] ?? null;
  }

  /**
   * Its pools with this secret, one per entry of the database, made or changed if need be; none when there are too many
   * users. Without a pause: whoever puts them into the snapshot in force must know that it is still the one of the entries.
   * @param ways to the entries; not needed for one whose secret is this one already
   * @param configured those it has by the configuration, without a secret
   */
  obtain(
    databases: readonly DatabaseEntry[],
    ways: readonly Way[],
    user: UserEntry,
    secret: Secret,
    configured: readonly PoolSnapshot[],
  ): PoolSnapshot[] {
    const key = keyOf(databases[0].name, user.name);
    const known = this.#entries.get(key);
    if (known !== undefined && known.user.passwords[0]?.reveal() === secret.reveal()) {
      // Certificates may have been read again since.
      known.pools = known.pools.map((pool) => withTlsOf(pool, databases));
      return known.pools;
    }
    const isFull = this.#strangersCount >= this.#loaded.general.dynamic_users_max;
    if (isFull && known === undefined && configured.length === 0) return [];
    const entry = { ...user, passwords: [secret], passwordHash: null };
    const pools = this.#poolsOf(databases, ways, entry, known?.pools ?? configured);
    if (pools === null) return [];
    const isStranger = known?.isStranger ?? configured.length === 0;
    this.#entries.set(key, { database: databases[0].name, user: entry, pools, isStranger });
    return pools;
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
    for (const [key, entry] of this.#entries) {
      const { database, pools: before } = entry;
      const databases = loaded.databases.filter(({ name }) => name === database);
      const user = userBy(loaded, databases, entry.user);
      const asked = ways.get(database) ?? waysTo(databases);
      ways.set(database, asked);
      const pools = user === null ? null : this.#poolsOf(databases, await asked, user, before);
      if (user === null || pools === null) this.#entries.delete(key);
      else {
        const isStranger = listedUser(loaded, user.name, database) === undefined;
        this.#entries.set(key, { database, user, pools, isStranger });
      }
    }
  }

  get #strangersCount(): number {
    let count = 0;
    for (const { isStranger } of this.#entries.values()) if (isStranger) count++;
    return count;
  }

  /** Null when rows are missing. */
  #poolsOf(
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
  const isAsked =
    loaded.general.passthrough_auth !== 'disabled' || databases.some(({ authQuery }) => authQuery !== null);
  if (databases.length === 0 || !isAsked) return null;
  const listed = listedUser(loaded, name, databases[0].name);
  if (listed === undefined) return { ...strangerEntry(name, databases[0].name), passwords };
  const hasOwn = listed.passwords.length > 0 || listed.passwordHash !== null;
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
