import type { HostAddress, PoolSnapshot } from '@pgdog-cluster/core';
import type {
  DatabaseEntry,
  LoadedConfig,
  PoolOverrides,
  Secret,
  UserEntry,
} from '@pgdog-cluster/core/config';
import { databaseTlsIndex } from '../config/database-tls.js';
import { resolveHost } from '../config/host-address.js';
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
}

/** Which row a pool has: by its shard and host. */
type Rows = readonly Pick<PoolSnapshot, 'shard' | 'host' | 'port' | 'index'>[];

/** Rows at the top of shared memory that belong to such pools: each user has one pool per host of each shard. */
export function dynamicPoolsMax({ databases, general }: LoadedConfig): number {
  const canExist =
    general.passthrough_auth !== 'disabled' || databases.some(({ authQuery }) => authQuery !== null);
  if (!canExist) return 0;
  const hostCounts = new Map<string, number>();
  for (const { name } of databases) hostCounts.set(name, (hostCounts.get(name) ?? 0) + 1);
  return general.dynamic_users_max * Math.max(1, ...hostCounts.values());
}

/**
 * Pools of users who log in by auth_query or passthrough: made at their first login, kept until the end. Their numbers
 * are taken from the top of the shared-memory rows, those of configured pools from the bottom; a number never changes
 * its meaning, so a pool that was made once keeps its row, counters and claims over every reload.
 */
export class DynamicPools {
  readonly #entries = new Map<string, Entry>();
  readonly #poolsMax: number;
  /** Rows below `poolsMax` that are free for them. */
  readonly #rowsMax: number;
  #loaded: LoadedConfig;

  constructor(loaded: LoadedConfig, poolsMax: number) {
    this.#loaded = loaded;
    this.#poolsMax = poolsMax;
    this.#rowsMax = dynamicPoolsMax(loaded);
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
   * users. `configured`: those it has by the configuration, without a secret.
   */
  async obtain(
    databases: readonly DatabaseEntry[],
    user: UserEntry,
    secret: Secret,
    configured: readonly PoolSnapshot[],
  ): Promise<PoolSnapshot[]> {
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
    const pools = await this.#poolsOf(databases, entry, known?.pools ?? configured);
    if (pools === null) return [];
    this.#entries.set(key, { database: databases[0].name, user: entry, pools });
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

  /** Another configuration: pools of databases that are still there get its settings, the others are forgotten. */
  async takeUp(loaded: LoadedConfig): Promise<void> {
    this.#loaded = loaded;
    for (const [key, entry] of this.#entries) {
      const databases = loaded.databases.filter(({ name }) => name === entry.database);
      const isListed = loaded.users.some(
        ({ name, databases: theirs }) =>
          name === entry.user.name && (theirs === null || theirs.includes(entry.database)),
      );
      const isKept = databases.length > 0 && !isListed;
      const pools = isKept ? await this.#poolsOf(databases, entry.user, entry.pools) : null;
      if (pools === null) this.#entries.delete(key);
      else entry.pools = pools;
    }
  }

  /** Users whose pools have rows of their own here. */
  get #strangersCount(): number {
    const first = this.#poolsMax - this.#rowsMax;
    let count = 0;
    for (const { pools } of this.#entries.values()) if (pools.some(({ index }) => index >= first)) count++;
    return count;
  }

  /** Null when rows are missing. */
  async #poolsOf(
    databases: readonly DatabaseEntry[],
    user: UserEntry,
    rows: Rows,
  ): Promise<PoolSnapshot[] | null> {
    const ways = await Promise.all(
      databases.map(async (database) => ({
        addresses: await resolveHost(database.host, database.port),
        peer: await resolvePeer(database),
      })),
    );
    // From here on without a pause, so that nobody else is given the same rows.
    const taken: number[] = [];
    const pools: PoolSnapshot[] = [];
    for (const [place, database] of databases.entries()) {
      const { addresses, peer } = ways[place];
      const known = rows.find((row) => isPlaceOf(row, database));
      const index = known?.index ?? this.#freeIndex(taken);
      if (index === null) return null;
      taken.push(index);
      const tls = databaseTlsIndex(database);
      pools.push(toPool({ database, user }, index, addresses, this.#loaded, peer, tls));
    }
    return pools;
  }

  #freeIndex(taken: readonly number[]): number | null {
    const used = new Set([...this.pools.map(({ index }) => index), ...taken]);
    for (let place = 1; place <= this.#rowsMax; place++) {
      const index = this.#poolsMax - place;
      if (!used.has(index)) return index;
    }
    return null;
  }
}

function withTlsOf(pool: PoolSnapshot, databases: readonly DatabaseEntry[]): PoolSnapshot {
  const database = databases.find((entry) => isPlaceOf(pool, entry));
  const tls = database === undefined ? pool.tls : databaseTlsIndex(database);
  return tls === pool.tls ? pool : { ...pool, tls };
}

/** One host may have several shards, each in a database of its own. */
function isPlaceOf({ shard, host, port }: Rows[number], database: DatabaseEntry): boolean {
  return shard === database.shard && host === database.host && port === database.port;
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`;
}
