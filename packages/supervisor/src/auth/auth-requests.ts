import type {
  AuthReplyMessage,
  AuthRequestMessage,
  ConfigSnapshot,
  DatabaseSnapshot,
  HostAddress,
  HostSnapshot,
  PoolSnapshot,
  UserSnapshot,
} from '@pgdog-cluster/core';
import { type DatabaseEntry, type LoadedConfig, Secret, type UserEntry } from '@pgdog-cluster/core/config';
import type { PoolNumbers } from '../config/pool-numbers.js';
import { toUser } from '../config/publish-config.js';
import { passwordTag } from '../config/user-secrets.js';
import type { Logger } from '../log/logger.js';
import type { Refusal, Tenant, Tenants } from '../tenants/tenants.js';
import { DynamicPools, listedUser, strangerEntry, waysTo } from './dynamic-pools.js';
import { PassthroughCheck } from './passthrough-check.js';
import { UserLookup } from './user-lookup.js';

type Answer = Omit<AuthReplyMessage, 'type' | 'slot' | 'generation'>;

export interface AuthRequestsOptions {
  loaded: LoadedConfig;
  logger: Logger;
  tenants: Tenants;
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
  readonly #tenants: Tenants;
  /** Pools that are in the snapshot in force, as they are. */
  readonly #placed = new WeakSet<PoolSnapshot>();
  #loaded: LoadedConfig;
  /** How often a configuration has been taken up. */
  #turn = 0;
  /** Resolves when the configuration that is being taken up is in force, or is not to be. */
  #takingUp: Promise<void> | null = null;
  #settle: () => void = () => {};

  constructor(options: AuthRequestsOptions) {
    const { loaded, logger, numbers, inOrder, tenants } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#lookup = new UserLookup(loaded, logger, inOrder);
    this.#passthrough = new PassthroughCheck(loaded, logger, inOrder);
    this.#tenants = tenants;
    this.#pools = new DynamicPools(loaded, numbers, {
      entriesOf: (name) => tenants.knownEntriesOf(name),
      waysOf: (entries) => tenants.waysOf(entries),
    });
  }

  /** Pools beside the configured ones. */
  get pools(): PoolSnapshot[] {
    return this.#pools.pools;
  }

  /** Databases beside the configured ones. */
  get databases(): DatabaseSnapshot[] {
    return [...this.#tenants.all].map(({ database }) => database);
  }

  /** Their hosts. */
  get hosts(): HostSnapshot[] {
    return this.#tenants.hosts;
  }

  /** Of one of those. */
  poolsOf(database: string): PoolSnapshot[] {
    return this.#pools.poolsOf(database);
  }

  /** It is not in the snapshot in force any more. */
  forget(tenant: Tenant): void {
    this.#tenants.forget(tenant);
    this.#pools.dropDatabase(tenant.name, Date.now());
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
    await this.#tenants.takeUp(loaded);
    await this.#pools.takeUp(loaded);
  }

  /** The snapshot in force is the one of the configuration that was taken up last. */
  settled(): void {
    this.#tenants.settled();
    this.#takingUp = null;
    this.#settle();
  }

  /** Its name has other addresses. */
  moveHost(hostIndex: number, addresses: HostAddress[]): void {
    this.#tenants.moveHost(hostIndex, addresses);
    this.#pools.moveHost(hostIndex, addresses);
  }

  close(): void {
    this.#tenants.close();
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
    const { user: name } = request;
    const entries = this.#tenants.entriesOf(request.database);
    if (entries === null) return NOBODY;
    if (typeof entries === 'string') {
      if (request.question !== 'pool') return NOBODY;
      const message = `database "${request.database}" does not exist: ${entries}`;
      return { ...NOBODY, refusal: { code: 'unknown_database', message } };
    }
    const [database] = entries;
    if (request.question === 'groups') {
      const { groups, freshUntilMs } = await this.#lookup.groups(database, name, request.names);
      return { ...NOBODY, groups, freshUntilMs };
    }
    const entry = listedUser(this.#loaded, name, database.name) ?? strangerEntry(name, database.name);
    if (request.question === 'reach') return this.#lookUp(entries, entry, request, turn);
    if (request.question === 'passthrough') return this.#tryPassword(entries, entry, request.password, turn);
    if (request.question === 'pool' && database.pattern !== null) {
      const own = this.#ownSecret(database, entry);
      if (own !== undefined) return this.#answerWith(entries, entry, own, turn);
    }
    return this.#lookUp(entries, entry, request, turn);
  }

  /**
   * The secret of a user in a tenant whom nobody need be asked about. Null: he has his own, or needs none. Undefined:
   * auth_query says it.
   */
  #ownSecret(database: DatabaseEntry, entry: UserEntry): Secret | null | undefined {
    const hasOwn = entry.passwords.length > 0 || entry.passwordHash !== null;
    if (hasOwn) return null;
    const left = this.#pools.leftSecretOf(database.name, entry.name);
    if (left !== null) return left;
    const isListed = listedUser(this.#loaded, entry.name, database.name) !== undefined;
    return isListed && database.authQuery === null ? null : undefined;
  }

  async #answerWith(
    entries: readonly DatabaseEntry[],
    entry: UserEntry,
    secret: Secret | null,
    turn: number,
  ): Promise<Answer> {
    const { pools, ...rest } = await this.#obtainPools(entries, entry, secret, turn);
    return { ...NOBODY, ...rest, pools, isFull: pools.length === 0 };
  }

  /** A pool comes into being only when the user has logged in, which is what `pool` says. */
  async #lookUp(
    entries: readonly DatabaseEntry[],
    entry: UserEntry,
    request: AuthRequestMessage,
    turn: number,
  ): Promise<Answer> {
    const [database] = entries;
    if (database.authQuery === null) return NOBODY;
    const isPoolWanted = request.question === 'pool';
    const ageMsMax = isPoolWanted ? Number.POSITIVE_INFINITY : request.ageMsMax;
    const { secret, freshUntilMs, isUnreachable } = await this.#lookup.find(database, entry.name, ageMsMax);
    if (secret === null) return { ...NOBODY, freshUntilMs, isUnreachable };
    if (request.question === 'reach') return { ...NOBODY, freshUntilMs };
    const user = await toUser({ ...entry, passwords: [secret], passwordHash: null }, this.#loaded);
    const hasPool =
      this.#configuredPools(database, entry).length > 0 || this.#pools.has(database.name, entry.name);
    if (!isPoolWanted && !hasPool) return { ...NOBODY, user, freshUntilMs };
    const answer = await this.#answerWith(entries, entry, secret, turn);
    return { ...answer, user, freshUntilMs, isFull: isPoolWanted && answer.isFull };
  }

  async #tryPassword(
    entries: readonly DatabaseEntry[],
    entry: UserEntry,
    password: string,
    turn: number,
  ): Promise<Answer> {
    const setting = this.#loaded.general.passthrough_auth;
    if (setting === 'disabled') return NOBODY;
    const [{ name: database }] = entries;
    const { name } = entry;
    let untilMs = this.#passthrough.acceptedUntilMs(database, name, password);
    if (untilMs === 0) {
      const before = this.#pools.secretOf(database, name);
      const isChange = before !== null && before.reveal() !== password;
      if (isChange && !setting.endsWith('allow_change')) {
        const text =
          'refused a password other than the one the pool was made with (passthrough_auth without allow_change)';
        this.#options.logger.log('warn', 'passthrough_refused', text, { database, user: name });
        return NOBODY;
      }
      const verdict = await this.#passthrough.check(entries, name, password);
      if (verdict === 'missing') return { ...NOBODY, refusal: missing(entries[0]) };
      if (verdict !== 'accepted') return { ...NOBODY, isUnreachable: verdict === 'unknown' };
      untilMs = Date.now() + this.#loaded.general.auth_query_cache_ttl;
    }
    const user: UserSnapshot = {
      name,
      databases: [database],
      authType: null,
      identity: null,
      isCertificateRequired: false,
      verifiers: [],
      md5Hashes: [],
      passwordTags: [passwordTag(password)],
    };
    const answer = await this.#answerWith(entries, entry, new Secret(password), turn);
    return { ...answer, user, freshUntilMs: untilMs };
  }

  #configuredPools(database: DatabaseEntry, entry: UserEntry): PoolSnapshot[] {
    const isListed = this.#loaded.users.some((user) => user.name === entry.name);
    if (!isListed || database.pattern !== null) return [];
    const { pools } = this.#options.snapshot();
    return pools.filter((pool) => pool.database === database.name && pool.user === entry.name);
  }

  /**
   * One per host of the database, which is made if it is a tenant; none when there are too many users, or another
   * configuration comes meanwhile.
   */
  async #obtainPools(
    entries: readonly DatabaseEntry[],
    entry: UserEntry,
    secret: Secret | null,
    turn: number,
  ): Promise<Pick<Answer, 'pools' | 'database' | 'refusal'>> {
    const [{ name, pattern }] = entries;
    if (pattern !== null) {
      const tenant = await this.#tenants.obtain(name);
      if (turn !== this.#turn) return { pools: [] };
      if ('code' in tenant) return { pools: [], refusal: tenant };
      // It has been forgotten in this very moment.
      if (this.#tenants.get(name) !== tenant) return this.#obtainPools(entries, entry, secret, turn);
      const isNew = !this.#pools.has(name, entry.name);
      const pools = this.#pools.obtain(tenant.entries, tenant.ways, entry, secret, []);
      this.#place(pools, isNew);
      const refusal = pools.length === 0 ? { refusal: NO_ROW } : {};
      return { pools, database: tenant.database, ...refusal };
    }
    const isKnown = secret !== null && this.#pools.secretOf(name, entry.name)?.reveal() === secret.reveal();
    const ways = isKnown ? [] : await waysTo(entries);
    // From here on without a pause: pools must not get into another snapshot than that of their entries.
    if (turn !== this.#turn) return { pools: [] };
    const configured = this.#configuredPools(entries[0], entry);
    const obtained = this.#pools.obtain(entries, ways, entry, secret, configured);
    this.#place(obtained, false);
    return { pools: obtained };
  }

  /** Into the snapshot in force. @param areNew nothing of them can be in it: it is not searched, however large it is */
  #place(obtained: readonly PoolSnapshot[], areNew: boolean): void {
    const { pools, epoch } = this.#options.snapshot();
    for (const pool of obtained) {
      // Workers may still have connections of one of before, under its number.
      pool.serverVersion ??= epoch;
      if (this.#placed.has(pool)) continue;
      this.#placed.add(pool);
      const place = areNew ? -1 : pools.findIndex(({ index }) => index === pool.index);
      if (pools[place] === pool) continue;
      if (place === -1) pools.push(pool);
      else pools[place] = pool;
      this.#options.onPool(pool);
    }
  }
}

function missing({ serverDatabase }: DatabaseEntry): Refusal {
  return { code: 'unknown_database', message: `database "${serverDatabase}" does not exist` };
}

/** More users have come to tenants than there is room for in shared memory. */
const NO_ROW: Refusal = {
  code: 'too_many_tenants',
  message:
    'no room for another user of a database that is served by a pattern (dynamic_users_max, tenants_max)',
};

const NOBODY: Answer = {
  user: null,
  freshUntilMs: 0,
  pools: [],
  isFull: false,
  groups: null,
  isUnreachable: false,
};
