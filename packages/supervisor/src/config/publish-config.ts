import type {
  AdminSnapshot,
  ConfigSnapshot,
  GeneralSnapshot,
  HostAddress,
  Passthrough,
  PoolSnapshot,
  ProxyProtocolSnapshot,
  RequiredPeer,
  RoutingSnapshot,
  TcpSnapshot,
  UserSnapshot,
} from '@pgdog-cluster/core';
import { parseIpNetwork } from '@pgdog-cluster/core';
import {
  authTypeOf,
  crossShardOf,
  type DatabaseEntry,
  type GroupLimits,
  type LoadedConfig,
  type PoolOverrides,
  type PoolPair,
  poolPairs,
  type RoleOverrides,
  roleOverride,
  splitList,
  UNIX_NETWORK,
  type UserEntry,
} from '@pgdog-cluster/core/config';
import { clustersOf } from './clusters.js';
import { databasesOf, entriesWithHost, templatesOf } from './database-snapshots.js';
import { mockVerifier } from './derive-verifiers.js';
import { hostIndexOf, hostsOf } from './host-numbers.js';
import { KnownSnapshots } from './known-snapshots.js';
import { logThresholds } from './log-thresholds.js';
import { expandOwnAddresses } from './own-addresses.js';
import { resolveAll, resolvePeers } from './resolve-entries.js';
import { type LoadedTls, readTls } from './tls-files.js';
import { generalMethods, splitSecrets, TAG_SECRET, toUserSecrets } from './user-secrets.js';

/**
 * Longest duration a timer takes, about 24 days. What is longer (PgDog writes "unlimited" as 2^63 - 1) means
 * off, which is 0 in a snapshot.
 */
const DURATION_MS_MAX = 0x7fff_ffff;
/** Largest value of a limit kept in a 32-bit cell. */
const LIMIT_MAX = 0x7fff_ffff;
/** Names under which PgBouncer's and PgDog's tools ask for the admin database. */
const ADMIN_ALIASES = ['pgbouncer', 'pgdog'];

const durationMs = (value: number) => (value > DURATION_MS_MAX ? 0 : value);
const limit = (value: number) => Math.min(value, LIMIT_MAX);
/** Milliseconds to the whole seconds that socket options take; null = the system's default, 0. */
const seconds = (valueMs: number | null) => Math.ceil((valueMs ?? 0) / 1000);

function toGeneral({ general, workerCount }: LoadedConfig): GeneralSnapshot {
  return {
    authType: authTypeOf(general.auth_type),
    passthrough: toPassthrough(general.passthrough_auth),
    isPlainAllowedWithoutTls: general.plain_auth_without_tls,
    lookupsMax: limit(general.auth_query_cache_size),
    lookupFailureTtlMs: durationMs(general.auth_query_failure_ttl),
    shardLookupBytes: Math.floor(general.sharding_lookup_cache_size / workerCount),
    authFailuresMax: limit(general.auth_failures_max),
    authFailuresWindowMs: durationMs(general.auth_failures_window),
    ioDriver: general.io_driver,
    connectTimeoutMs: durationMs(general.connect_timeout),
    connectAttempts: limit(general.connect_attempts),
    connectAttemptDelayMs: durationMs(general.connect_attempt_delay),
    serverLoginRetryMs: durationMs(general.server_login_retry),
    rollbackTimeoutMs: durationMs(general.rollback_timeout),
    healthcheckIntervalMs: durationMs(general.healthcheck_interval),
    idleHealthcheckIntervalMs: durationMs(general.idle_healthcheck_interval),
    healthcheckTimeoutMs: durationMs(general.healthcheck_timeout),
    reservePoolTimeoutMs: durationMs(general.reserve_pool_timeout),
    queryWaitNotifyMs: durationMs(general.query_wait_notify),
    clientIdleTimeoutMs: durationMs(general.client_idle_timeout),
    clientLoginTimeoutMs: durationMs(general.client_login_timeout),
    shutdownTimeoutMs: durationMs(general.shutdown_timeout),
    shutdownTerminationTimeoutMs: durationMs(general.shutdown_termination_timeout),
    cancelWaitTimeoutMs: durationMs(general.cancel_wait_timeout),
    connectionRecovery: general.connection_recovery,
    preparedStatementsLimit: limit(general.prepared_statements_limit),
    clientPreparedStatementsLimit: limit(general.client_prepared_statements_limit),
    querySizeLimitBytes: limit(general.query_size_limit),
    queryCacheLimit: limit(general.query_cache_limit),
    querySizeLimitAction: general.query_size_limit_action,
    pubSubChannelSize: limit(general.pub_sub_channel_size),
    queueLengthMax: limit(general.queue_length_max),
    maxClientConn: limit(general.max_client_conn),
    maxServerConn: limit(general.max_server_conn),
    loginsInProgressMax: limit(general.logins_in_progress_max),
    maxPacketBytes: general.max_packet_size,
    logConnections: general.log_connections,
    logDisconnections: general.log_disconnections,
    logMinParseMs: durationMs(general.log_min_duration_parse),
    logTextBytes: general.log_query_text
      ? Math.min(limit(general.log_query_sample_length), LOG_TEXT_BYTES_MAX)
      : 0,
    statsPeriodMs: general.stats_period,
    uniqueIds: { form: general.unique_id_function, node: general.node_id ?? 0, min: general.unique_id_min },
    proxyProtocol: toProxyProtocol(general),
  };
}

function toProxyProtocol(general: LoadedConfig['general']): ProxyProtocolSnapshot | undefined {
  const names = splitList(general.proxy_protocol_networks ?? '');
  if (names.length === 0) return undefined;
  return {
    networks: names.map(parseIpNetwork).filter((network) => network !== null),
    includesUnix: names.includes(UNIX_NETWORK),
    isRequired: general.proxy_protocol === 'required',
  };
}

/** Of a text in the log: each worker keeps as much for the statement under way. */
const LOG_TEXT_BYTES_MAX = 64 * 1024;

/** As PgBouncer; the kernel rounds it to its retransmissions. */
const DEFER_ACCEPT_S = 45;

function toPassthrough(setting: LoadedConfig['general']['passthrough_auth']): Passthrough {
  if (setting === 'disabled') return 'off';
  return setting.startsWith('enabled_plain') ? 'plain' : 'tls';
}

function toTcp({ tcp }: LoadedConfig): TcpSnapshot {
  return {
    keepalive: tcp.keepalive,
    keepaliveTimeS: seconds(tcp.time),
    keepaliveIntervalS: seconds(tcp.interval),
    keepaliveRetries: tcp.retries ?? 0,
    userTimeoutMs: tcp.user_timeout ?? 0,
    deferAcceptS: tcp.defer_accept ? DEFER_ACCEPT_S : 0,
  };
}

function toUsers(loaded: LoadedConfig, known: KnownSnapshots): Promise<UserSnapshot[]> {
  return Promise.all(
    loaded.users.map(async (entry) => {
      const user = known.user(entry) ?? (await toUser(entry, loaded));
      known.noteUser(entry, user);
      return user;
    }),
  );
}

export async function toUser(user: UserEntry, loaded: LoadedConfig): Promise<UserSnapshot> {
  const { name, databases, authType, identity, isCertificateRequired } = user;
  const isOwn = authType !== null && authTypeOf(loaded.general.auth_type) !== 'hba';
  const methods = isOwn ? new Set([authType]) : generalMethods(loaded);
  const secrets = await toUserSecrets(name, splitSecrets(user), methods);
  return { name, databases, authType, identity, isCertificateRequired, ...secrets };
}

/** The admin database always asks for a password, whatever [general] says; without one nobody gets in. */
async function toAdmin(loaded: LoadedConfig): Promise<AdminSnapshot> {
  const { admin, databases } = loaded;
  const passwords = admin.password === null ? [] : [admin.password];
  const isTaken = (name: string) => databases.some((database) => database.name === name);
  const aliases = ADMIN_ALIASES.filter((name) => name !== admin.name && !isTaken(name));
  const methods = new Set([...generalMethods(loaded), 'scram' as const]);
  return {
    databases: [admin.name, ...aliases],
    user: admin.user,
    adminUsers: admin.adminUsers,
    statsUsers: admin.statsUsers,
    ...(await toUserSecrets(admin.user, splitSecrets({ passwords, passwordHash: null }), methods)),
  };
}

function serverParameters({ database, user }: PoolPair): Record<string, string> {
  const parameters: Record<string, string> = {};
  const statement = user.overrides.statementTimeoutMs ?? database.overrides.statementTimeoutMs;
  const lock = user.overrides.lockTimeoutMs ?? database.overrides.lockTimeoutMs;
  const isReadOnly = user.overrides.readOnly ?? database.overrides.readOnly;
  // Postgres takes milliseconds in 32 bits, and 0 for "none", which is also what "longer than that" means.
  if (statement !== null) parameters.statement_timeout = String(durationMs(statement));
  if (lock !== null) parameters.lock_timeout = String(durationMs(lock));
  if (isReadOnly === true) parameters.default_transaction_read_only = 'on';
  return parameters;
}

/**
 * What is shown to the server: the server's own password where one is given, else what the client has. Hashes hold the
 * user's name or are bound to the role, so they serve that user only.
 */
function serverSecrets({ database, user }: PoolPair, serverUser: string) {
  const own = user.serverPassword ?? database.serverPassword;
  const secrets = own === null ? secretsOf(user) : revealed({ passwords: [own], passwordHash: null });
  const isSameUser = own !== null || serverUser === user.name;
  return isSameUser ? secrets : { ...secrets, serverMd5Hashes: [], serverVerifiers: [] };
}

function revealed(given: Parameters<typeof splitSecrets>[0]) {
  const { clear, md5Hashes, verifiers } = splitSecrets(given);
  const serverPasswords = clear.map((password) => password.reveal());
  return { serverPasswords, serverMd5Hashes: md5Hashes, serverVerifiers: verifiers };
}

/** Thousands of pools of one user have the same lists. */
const secretsByUser = new WeakMap<UserEntry, ReturnType<typeof revealed>>();

function secretsOf(user: UserEntry): ReturnType<typeof revealed> {
  const secrets = secretsByUser.get(user) ?? revealed(user);
  secretsByUser.set(user, secrets);
  return secrets;
}

/** user > database > general. */
function clientTimeouts(mine: PoolOverrides, theirs: PoolOverrides, general: LoadedConfig['general']) {
  const timeout = (key: keyof PoolOverrides, otherwise: number) =>
    durationMs(Number(mine[key] ?? theirs[key] ?? otherwise));
  return {
    checkoutTimeoutMs: timeout('checkoutTimeoutMs', general.checkout_timeout),
    queryTimeoutMs: timeout('queryTimeoutMs', general.query_timeout),
    transactionTimeoutMs: timeout('transactionTimeoutMs', general.transaction_timeout),
    clientIdleTimeoutMs: timeout('clientIdleTimeoutMs', general.client_idle_timeout),
    clientIdleInTransactionTimeoutMs: timeout(
      'clientIdleInTransactionTimeoutMs',
      general.client_idle_in_transaction_timeout,
    ),
  };
}

const NO_LIMITS: GroupLimits = { servers: null, clients: null };
/** By the users of one configuration: thousands of pools ask. */
const limitsByUsers = new WeakMap<readonly UserEntry[], Map<string, GroupLimits>>();

/** A user's limits hold over all databases, whichever of its entries says them first. */
function limitsOf(users: readonly UserEntry[], name: string): GroupLimits {
  let limits = limitsByUsers.get(users);
  if (limits === undefined) {
    limits = new Map();
    for (const { name: each, limits: said } of users) {
      const known = limits.get(each) ?? NO_LIMITS;
      const { servers, clients } = said;
      limits.set(each, { servers: known.servers ?? servers, clients: known.clients ?? clients });
    }
    limitsByUsers.set(users, limits);
  }
  return limits.get(name) ?? NO_LIMITS;
}

/** What a user may have over all databases. */
function userMaxima({ users, general }: LoadedConfig, name: string) {
  const { servers, clients } = limitsOf(users, name);
  return {
    userServersMax: limit(servers ?? general.max_user_connections),
    userClientsMax: limit(clients ?? general.max_user_client_connections),
  };
}

/** user > database > general. */
export function toPool(
  pair: PoolPair,
  index: number,
  addresses: HostAddress[],
  loaded: LoadedConfig,
  requirePeer: RequiredPeer | undefined,
  tls: number,
): PoolSnapshot {
  const { general } = loaded;
  const { database, user } = pair;
  const [mine, theirs] = [user.overrides, database.overrides];
  const serverUser = user.serverUser ?? database.serverUser ?? user.name;
  const isTenant = database.pattern !== null;
  const ofRole = (key: keyof RoleOverrides) =>
    roleOverride(mine, key, database.role) ?? roleOverride(theirs, key, database.role);
  return {
    index,
    database: database.name,
    user: user.name,
    host: database.host,
    port: database.port,
    addresses,
    serverDatabase: database.serverDatabase,
    serverUser,
    ...serverSecrets(pair, serverUser),
    poolSize: limit(ofRole('poolSize') ?? general.default_pool_size),
    // The general minimum would keep every tenant that ever came.
    minPoolSize: limit(ofRole('minPoolSize') ?? (isTenant ? 0 : general.min_pool_size)),
    reservePoolSize: limit(mine.reservePoolSize ?? theirs.reservePoolSize ?? general.reserve_pool_size),
    databaseServersMax: limit(database.limits.servers ?? general.max_db_connections),
    databaseClientsMax: limit(database.limits.clients ?? general.max_db_client_connections),
    ...userMaxima(loaded, user.name),
    poolerMode: mine.poolerMode ?? theirs.poolerMode ?? general.pooler_mode,
    idleTimeoutMs: durationMs(ofRole('idleTimeoutMs') ?? general.idle_timeout),
    serverLifetimeMs: durationMs(mine.serverLifetimeMs ?? theirs.serverLifetimeMs ?? general.server_lifetime),
    serverLifetimeJitterMs: durationMs(
      mine.serverLifetimeJitterMs ?? theirs.serverLifetimeJitterMs ?? general.server_lifetime_jitter,
    ),
    ...clientTimeouts(mine, theirs, general),
    ...logThresholds(mine, theirs, general, durationMs),
    serverParameters: serverParameters(pair),
    requirePeer,
    shard: database.shard,
    ...crossShard(pair, loaded),
    ...(user.isSchemaAdmin ? { isSchemaAdmin: true } : {}),
    ...(isTenant ? { isTenant } : {}),
    hostIndex: hostIndexOf(database),
    role: database.role,
    lbWeight: database.lbWeight,
    tls,
  };
}

/** Said only where the user has it otherwise than the database. */
function crossShard({ database, user }: PoolPair, loaded: LoadedConfig): Pick<PoolSnapshot, 'crossShard'> {
  const ofDatabase = loaded.sharding.get(database.name)?.crossShard;
  if (ofDatabase === undefined || user.isCrossShardDisabled === null) return {};
  const ofUser = crossShardOf([user.isCrossShardDisabled], loaded.general);
  return ofUser === ofDatabase ? {} : { crossShard: ofUser };
}

interface PoolTerms {
  loaded: LoadedConfig;
  tls: LoadedTls;
  known: KnownSnapshots;
  addresses: ReadonlyMap<DatabaseEntry, HostAddress[]>;
  peers: ReadonlyMap<string, RequiredPeer>;
}

/** That of before where it is made of the same. */
function poolOf(pair: PoolPair, index: number, terms: PoolTerms): PoolSnapshot {
  const { loaded, tls, known, peers } = terms;
  const { database, user } = pair;
  const addresses = terms.addresses.get(database) ?? [];
  const peer = peers.get(database.requirePeer ?? '');
  const tlsIndex = tls.indexOf.get(database) ?? -1;
  // Its number is taken here.
  const hostIndex = hostIndexOf(database);
  const isSharded = loaded.sharding.has(database.name);
  const maxima = userMaxima(loaded, user.name);
  const isSame = (pool: PoolSnapshot): boolean =>
    pool.addresses === addresses &&
    pool.requirePeer?.uid === peer?.uid &&
    pool.tls === tlsIndex &&
    pool.hostIndex === hostIndex &&
    pool.userServersMax === maxima.userServersMax &&
    pool.userClientsMax === maxima.userClientsMax;
  const before = isSharded ? null : known.pool(pair, index, isSame);
  const pool = before ?? toPool(pair, index, addresses, loaded, peer, tlsIndex);
  if (!isSharded) known.notePool(pair, pool);
  return pool;
}

/**
 * What workers get to see: names resolved, passwords turned into verifiers, one pool per allowed pair of
 * database and user, by default numbered in the order of the configuration. A name that does not resolve has no addresses.
 * Of the parts of a snapshot in force, which are not written to any more, those that are the same are taken.
 * Rejects with ConfigurationError only for files of TLS that cannot be used.
 */
export async function buildSnapshot(
  loaded: LoadedConfig,
  epoch: number,
  tls: LoadedTls = readTls(loaded),
  numberOf: (pair: PoolPair, position: number) => number = (_pair, position) => position,
  known: KnownSnapshots = new KnownSnapshots(),
): Promise<ConfigSnapshot> {
  known.begin(loaded);
  const resolving = resolveAll(entriesWithHost(loaded), known);
  const peers = await resolvePeers(loaded.databases);
  const users = toUsers(loaded, known);
  const admin = toAdmin(loaded);
  const addresses = await resolving;
  const terms = { loaded, tls, known, addresses, peers };
  const pools = poolPairs(loaded).map((pair, position) => poolOf(pair, numberOf(pair, position), terms));
  return {
    epoch,
    general: toGeneral(loaded),
    tcp: toTcp(loaded),
    admin: await admin,
    users: await users,
    databases: databasesOf(loaded, known),
    ...templatesOf(loaded),
    mirrors: loaded.mirrors,
    hba: loaded.hba === null ? null : expandOwnAddresses(loaded.hba),
    identMappings: loaded.identMappings,
    tagSecret: TAG_SECRET,
    pools,
    hosts: hostsOf(addresses),
    clusters: clustersOf(pools),
    routing: toRouting(loaded),
    tls: tls.snapshot,
    mockVerifier: await mockVerifier(),
  };
}

function toRouting({ general }: LoadedConfig): RoutingSnapshot {
  return {
    strategy: general.load_balancing_strategy,
    readWriteSplit: general.read_write_split,
    readWriteStrategy: general.read_write_strategy,
    readYourWrites: general.read_your_writes,
    readYourWritesMs: durationMs(general.read_your_writes_ms),
  };
}
