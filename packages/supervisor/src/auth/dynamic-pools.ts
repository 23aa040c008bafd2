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

const NO_OVERRIDES: PoolOverrides = {
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
  };
}

interface Entry {
  database: string;
  user: UserEntry;
  index: number;
  pool: PoolSnapshot;
}

/**
 * Pools of users who log in by auth_query or passthrough: made at their first login, kept until the end. Their numbers
 * are taken from the top of the shared-memory rows, those of configured pools from the bottom; a number never changes
 * its meaning, so a pool that was made once keeps its row, counters and claims over every reload.
 */
export class DynamicPools {
  readonly #entries = new Map<string, Entry>();
  readonly #poolsMax: number;
  readonly #countMax: number;
  #loaded: LoadedConfig;

  /** `countMax` rows below `poolsMax` are free for them. */
  constructor(loaded: LoadedConfig, poolsMax: number, countMax: number) {
    this.#loaded = loaded;
    this.#poolsMax = poolsMax;
    this.#countMax = countMax;
  }

  get pools(): PoolSnapshot[] {
    return [...this.#entries.values()].map(({ pool }) => pool);
  }

  /** The secret its server connections use; null when there is no such pool. */
  secretOf(database: string, user: string): Secret | null {
    return this.#entries.get(keyOf(database, user))?.user.passwords[0] ?? null;
  }

  /** Its pool with this secret, made or changed if need be; null when there are too many. */
  async obtain(
    database: DatabaseEntry,
    user: UserEntry,
    secret: Secret,
    configuredIndex: number | null,
  ): Promise<PoolSnapshot | null> {
    const addresses = await resolveHost(database.host, database.port);
    const key = keyOf(database.name, user.name);
    const known = this.#entries.get(key);
    if (known !== undefined && known.user.passwords[0]?.reveal() === secret.reveal()) {
      // Certificates may have been read again since.
      known.pool = { ...known.pool, tls: databaseTlsIndex(database) };
      return known.pool;
    }
    const index = known?.index ?? configuredIndex ?? this.#freeIndex();
    if (index === null) return null;
    const entry: Entry = {
      database: database.name,
      user: { ...user, passwords: [secret], passwordHash: null },
      index,
      pool: await this.#poolOf(
        database,
        { ...user, passwords: [secret], passwordHash: null },
        index,
        addresses,
      ),
    };
    this.#entries.set(key, entry);
    return entry.pool;
  }

  /** Whether it has been made. */
  has(database: string, user: string): boolean {
    return this.#entries.has(keyOf(database, user));
  }

  /** Another configuration: pools of databases that are still there get its settings, the others are forgotten. */
  async takeUp(loaded: LoadedConfig): Promise<void> {
    this.#loaded = loaded;
    for (const [key, entry] of this.#entries) {
      const database = loaded.databases.find(({ name }) => name === entry.database);
      const isListed = loaded.users.some(
        ({ name, databases }) =>
          name === entry.user.name && (databases === null || databases.includes(entry.database)),
      );
      if (database === undefined || isListed) {
        this.#entries.delete(key);
        continue;
      }
      const addresses = await resolveHost(database.host, database.port);
      entry.pool = await this.#poolOf(database, entry.user, entry.index, addresses);
    }
  }

  async #poolOf(
    database: DatabaseEntry,
    user: UserEntry,
    index: number,
    addresses: HostAddress[],
  ): Promise<PoolSnapshot> {
    const peer = await resolvePeer(database);
    return toPool({ database, user }, index, addresses, this.#loaded, peer, databaseTlsIndex(database));
  }

  #freeIndex(): number | null {
    const used = new Set([...this.#entries.values()].map(({ index }) => index));
    for (let place = 1; place <= this.#countMax; place++) {
      const index = this.#poolsMax - place;
      if (!used.has(index)) return index;
    }
    return null;
  }
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`;
}
