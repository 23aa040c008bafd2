import type {
  AuthReplyMessage,
  AuthRequestMessage,
  ConfigSnapshot,
  HostAddress,
  PoolSnapshot,
  UserSnapshot,
} from '@pgdog-cluster/core';
import { type DatabaseEntry, type LoadedConfig, Secret, type UserEntry } from '@pgdog-cluster/core/config';
import type { PoolNumbers } from '../config/pool-numbers.js';
import { toUser } from '../config/publish-config.js';
import { passwordTag } from '../config/user-secrets.js';
import type { Logger } from '../log/logger.js';
import { DynamicPools, listedUser, strangerEntry, waysTo } from './dynamic-pools.js';
import { PassthroughCheck } from './passthrough-check.js';
import { UserLookup } from './user-lookup.js';

type Answer = Omit<AuthReplyMessage, 'type' | 'slot' | 'generation'>;

export interface AuthRequestsOptions {
  loaded: LoadedConfig;
  logger: Logger;
  numbers: Pick<PoolNumbers, 'obtain'>;
  /** The published snapshot; pools of new users are added to it. */
  snapshot: () => ConfigSnapshot;
  /** A pool was made or changed: its limits must stand before a worker hears of it. */
  onPool: (pool: PoolSnapshot) => void;
  /** Entries of one database, the one to be asked first at the head. */
  inOrder: (hosts: readonly DatabaseEntry[]) => DatabaseEntry[];
}

/** Answers workers about users who are not in users.toml, or have no password there. */
export class AuthRequests {
  readonly #options: AuthRequestsOptions;
  readonly #lookup: UserLookup;
  readonly #passthrough: PassthroughCheck;
  readonly #pools: DynamicPools;
  #loaded: LoadedConfig;
  /** How often a configuration has been taken up. */
  #turn = 0;
  /** Resolves when the configuration that is being taken up is in force, or is not to be. */
  #takingUp: Promise<void> | null = null;
  #settle: () => void = () => {};

  constructor(options: AuthRequestsOptions) {
    const { loaded, logger, numbers, inOrder } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#lookup = new UserLookup(loaded, logger, inOrder);
    this.#passthrough = new PassthroughCheck(loaded, logger, inOrder);
    this.#pools = new DynamicPools(loaded, numbers);
  }

  /** Pools beside the configured ones. */
  get pools(): PoolSnapshot[] {
    return this.#pools.pools;
  }

  /**
   * Answers wait from now on, for settled(), and those under way are begun again: entries, hosts and numbers of TLS are the
   * new configuration's, the snapshot in force is not yet.
   */
  async takeUp(loaded: LoadedConfig): Promise<void> {
    this.#turn++;
    this.#takingUp ??= new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#loaded = loaded;
    this.#lookup.takeUp(loaded);
    this.#passthrough.takeUp(loaded);
    await this.#pools.takeUp(loaded);
  }

  /** The snapshot in force is the one of the configuration that was taken up last. */
  settled(): void {
    this.#takingUp = null;
    this.#settle();
  }

  /** Its name has other addresses. */
  moveHost(hostIndex: number, addresses: HostAddress[]): void {
    this.#pools.moveHost(hostIndex, addresses);
  }

  close(): void {
    this.#lookup.close();
  }

  /** Never rejects: what cannot be found out is nobody. */
  async answer(request: AuthRequestMessage): Promise<AuthReplyMessage> {
    const { slot, generation } = request;
    for (;;) {
      while (this.#takingUp !== null) await this.#takingUp;
      const turn = this.#turn;
      const answer = await this.#find(request, turn).catch((error: Error) => {
        // Only the text: the request holds a password.
        const text = `a user could not be looked up: ${error.message}`;
        if (turn === this.#turn) this.#options.logger.log('error', 'auth_request_failed', text);
        return NOBODY;
      });
      // Found by a configuration that is gone: another host may have said it, or a question was cut off.
      if (turn === this.#turn) return { type: 'authReply', slot, generation, ...answer };
    }
  }

  async #find(request: AuthRequestMessage, turn: number): Promise<Answer> {
    const database = this.#loaded.databases.find(({ name }) => name === request.database);
    if (database === undefined) return NOBODY;
    const { user: name } = request;
    if (request.question === 'groups') {
      const { groups, freshUntilMs } = await this.#lookup.groups(database.name, name, request.names);
      return { ...NOBODY, groups, freshUntilMs };
    }
    const entry = listedUser(this.#loaded, name, database.name) ?? strangerEntry(name, database.name);
    if (request.question === 'passthrough') return this.#tryPassword(database, entry, request.password, turn);
    return this.#lookUp(database, entry, request, turn);
  }

  /** A pool comes into being only when the user has logged in, which is what `pool` says. */
  async #lookUp(
    database: DatabaseEntry,
    entry: UserEntry,
    request: AuthRequestMessage,
    turn: number,
  ): Promise<Answer> {
    if (database.authQuery === null) return NOBODY;
    const isPoolWanted = request.question === 'pool';
    const ageMsMax = isPoolWanted ? Number.POSITIVE_INFINITY : request.ageMsMax;
    const { secret, freshUntilMs } = await this.#lookup.find(database.name, entry.name, ageMsMax);
    if (secret === null) return { ...NOBODY, freshUntilMs };
    const user = await toUser({ ...entry, passwords: [secret], passwordHash: null }, this.#loaded);
    const hasPool =
      this.#configuredPools(database, entry).length > 0 || this.#pools.has(database.name, entry.name);
    const pools = isPoolWanted || hasPool ? await this.#obtainPools(database, entry, secret, turn) : [];
    return { ...NOBODY, user, freshUntilMs, pools, isFull: isPoolWanted && pools.length === 0 };
  }

  async #tryPassword(
    database: DatabaseEntry,
    entry: UserEntry,
    password: string,
    turn: number,
  ): Promise<Answer> {
    const setting = this.#loaded.general.passthrough_auth;
    if (setting === 'disabled') return NOBODY;
    const { name } = entry;
    let untilMs = this.#passthrough.acceptedUntilMs(database.name, name, password);
    if (untilMs === 0) {
      const before = this.#pools.secretOf(database.name, name);
      const isChange = before !== null && before.reveal() !== password;
      if (isChange && !setting.endsWith('allow_change')) {
        const text =
          'refused a password other than the one the pool was made with (passthrough_auth without allow_change)';
        this.#options.logger.log('warn', 'passthrough_refused', text, {
          database: database.name,
          user: name,
        });
        return NOBODY;
      }
      if ((await this.#passthrough.check(database.name, name, password)) !== 'accepted') return NOBODY;
      untilMs = Date.now() + this.#loaded.general.auth_query_cache_ttl;
    }
    const pools = await this.#obtainPools(database, entry, new Secret(password), turn);
    const user: UserSnapshot = {
      name,
      databases: [database.name],
      authType: null,
      identity: null,
      isCertificateRequired: false,
      verifiers: [],
      md5Hashes: [],
      passwordTags: [passwordTag(password)],
    };
    return { ...NOBODY, user, freshUntilMs: untilMs, pools, isFull: pools.length === 0 };
  }

  #configuredPools(database: DatabaseEntry, entry: UserEntry): PoolSnapshot[] {
    const isListed = this.#loaded.users.some((user) => user.name === entry.name);
    if (!isListed) return [];
    const { pools } = this.#options.snapshot();
    return pools.filter((pool) => pool.database === database.name && pool.user === entry.name);
  }

  /** One per host of the database; none when there are too many users, or another configuration comes meanwhile. */
  async #obtainPools(
    database: DatabaseEntry,
    entry: UserEntry,
    secret: Secret,
    turn: number,
  ): Promise<PoolSnapshot[]> {
    const hosts = this.#loaded.databases.filter(({ name }) => name === database.name);
    const isKnown = this.#pools.secretOf(database.name, entry.name)?.reveal() === secret.reveal();
    const ways = isKnown ? [] : await waysTo(hosts);
    // From here on without a pause: pools must not get into another snapshot than that of their entries.
    if (turn !== this.#turn) return [];
    const configured = this.#configuredPools(database, entry);
    const obtained = this.#pools.obtain(hosts, ways, entry, secret, configured);
    const { pools, epoch } = this.#options.snapshot();
    for (const pool of obtained) {
      // Workers may still have connections of one of before, under its number.
      pool.serverVersion ??= epoch;
      const place = pools.findIndex(({ index }) => index === pool.index);
      if (pools[place] === pool) continue;
      if (place === -1) pools.push(pool);
      else pools[place] = pool;
      this.#options.onPool(pool);
    }
    return obtained;
  }
}

const NOBODY: Answer = { user: null, freshUntilMs: 0, pools: [], isFull: false, groups: null };
