/**
 * The configuration as workers see it: plain data, every default filled in, names resolved to addresses,
 * passwords turned into verifiers. Made by the supervisor, packed by msgpackr into the routing table, frozen.
 * Durations are milliseconds; 0 means "off" for every time-out unless said otherwise.
 */

import type { HbaRule } from '../auth/hba.js';
import type { IdentMapping } from '../auth/ident-map.js';
import type { IpNetwork } from '../base/ip-network.js';
import type { RequiredPeer } from '../base/required-peer.js';
import type { UniqueIdTerms } from '../base/unique-id.js';
import type { ShardCatalogData } from '../shard/shard-catalog.js';
import type { CrossShard, ShardingSnapshot } from '../shard/sharding-snapshot.js';
import type { OperatorOrders } from './operator-orders.js';

export type PoolerMode = 'transaction' | 'session' | 'statement';
/** How a client shows who it is; `hba` = as the rules of the HBA file say. */
export type AuthType = 'scram' | 'md5' | 'plain' | 'trust' | 'cert' | 'hba';
/** Users unknown here log in with their own password for the server: never, over TLS (or a Unix socket) only, always. */
export type Passthrough = 'off' | 'tls' | 'plain';
export type IoDriverSetting = 'auto' | 'io_uring' | 'epoll';
export type ConnectionRecovery = 'recover' | 'rollback_only' | 'drop';
/** `auto`: whatever the host says it is, now. */
export type HostRole = 'primary' | 'replica' | 'auto';
/** `fastest`: least latency times statements under way, the better of two random hosts. */
export type BalancingStrategy =
  | 'random'
  | 'round_robin'
  | 'least_active_connections'
  | 'weighted_round_robin'
  | 'fastest';
/** Who serves reads. */
export type ReadWriteSplit =
  | 'include_primary'
  | 'exclude_primary'
  | 'include_primary_if_replica_banned'
  | 'prefer_primary';
/** Transactions: all to the primary, or as their first statement says. */
export type ReadWriteStrategy = 'conservative' | 'aggressive';
/** After a session's write: nothing, reads from the primary for a while, or from replicas that have replayed it. */
export type ReadYourWrites = 'off' | 'session' | 'lsn';

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';
export type ClientTlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
export type ServerTlsMode = 'disabled' | 'prefer' | 'require' | 'verify_ca' | 'verify_full';

export interface GeneralSnapshot {
  authType: AuthType;
  passthrough: Passthrough;
  /** Passwords in clear are asked for on connections without TLS too. */
  isPlainAllowedWithoutTls: boolean;
  /** Looked-up users each worker remembers. */
  lookupsMax: number;
  /** How long a looked-up user is taken for wrong passwords before it is asked for again. */
  lookupFailureTtlMs: number;
  /** Bytes of answers to lookup_query that one worker remembers. */
  shardLookupBytes: number;
  /** Failed logins per user and address in the window; 0 = no limit. */
  authFailuresMax: number;
  authFailuresWindowMs: number;
  ioDriver: IoDriverSetting;
  connectTimeoutMs: number;
  /** How often connecting is tried before clients are told, and the pause between. */
  connectAttempts: number;
  connectAttemptDelayMs: number;
  /** Longest pause between attempts to reach a server that fails. */
  serverLoginRetryMs: number;
  rollbackTimeoutMs: number;
  /** Check before hand-out, check of the idle, and how long an answer may take. */
  healthcheckIntervalMs: number;
  idleHealthcheckIntervalMs: number;
  healthcheckTimeoutMs: number;
  reservePoolTimeoutMs: number;
  queryWaitNotifyMs: number;
  /** Of clients of the admin database; others have their pool's. */
  clientIdleTimeoutMs: number;
  clientLoginTimeoutMs: number;
  shutdownTimeoutMs: number;
  shutdownTerminationTimeoutMs: number;
  /** How long a cancel connection towards a server may take. */
  cancelWaitTimeoutMs: number;
  connectionRecovery: ConnectionRecovery;
  /** Server-side prepared statements kept per server connection. */
  preparedStatementsLimit: number;
  /** Prepared statements one client may hold. */
  clientPreparedStatementsLimit: number;
  /** Largest Query or Parse text in bytes; 0 = only the protocol's own limit. */
  querySizeLimitBytes: number;
  /** Plans kept by each worker. */
  queryCacheLimit: number;
  querySizeLimitAction: 'warn' | 'block';
  /** Notifications that may wait for one client; 0: LISTEN keeps its server connection. Absent: 0. */
  pubSubChannelSize?: number;
  /** Sessions waiting in one pool, over all workers; 0 = no limit. */
  queueLengthMax: number;
  /** Clients in total over all workers; 0 = as many as open files allow. */
  maxClientConn: number;
  /** Server connections in total; 0 = no limit. */
  maxServerConn: number;
  /** Clients of one worker between accept and the end of authentication. */
  loginsInProgressMax: number;
  /** Longest frame in either direction, its length word included. */
  maxPacketBytes: number;
  logConnections: boolean;
  logDisconnections: boolean;
  /** Reading a statement of a new shape that takes as long is logged; 0: never. */
  logMinParseMs: number;
  /** Bytes of their text that slow statements are logged with; 0: none. */
  logTextBytes: number;
  statsPeriodMs: number;
  /** How ids are made. */
  uniqueIds: UniqueIdTerms;
  /** Absent: nobody may send a PROXY header. */
  proxyProtocol?: ProxyProtocolSnapshot;
}

/** From whom a PROXY header is believed. */
export interface ProxyProtocolSnapshot {
  networks: IpNetwork[];
  /** Whoever connects by a Unix socket is trusted too. */
  includesUnix: boolean;
  /** A connection from there without the header is refused. */
  isRequired: boolean;
}

/** A user of this system. */
export interface TcpSnapshot {
  keepalive: boolean;
  /** Seconds before the first probe, between probes, and probes; 0 = the system's. */
  keepaliveTimeS: number;
  keepaliveIntervalS: number;
  keepaliveRetries: number;
  userTimeoutMs: number;
  /** Seconds the kernel waits for a client's first bytes before it shows the connection; 0 = not at all. */
  deferAcceptS: number;
}

/** Resolved address of a host: a filled struct sockaddr, ready for connect(2). */
export interface HostAddress {
  /** AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10. */
  family: number;
  /** Text form, for logs and SHOW: the address, or the path of a Unix socket (`@name…` for an abstract one). */
  text: string;
  sockaddr: Uint8Array;
}

/** SCRAM-SHA-256 verifier (RFC 5803 fields, raw bytes). */
export interface ScramVerifier {
  iterations: number;
  salt: Uint8Array;
  storedKey: Uint8Array;
  serverKey: Uint8Array;
}

/** What shows that somebody knows a user's password: one entry per accepted password in each form there is. */
export interface UserSecrets {
  /** All of one salt and iteration count, except given ones that differ. */
  verifiers: ScramVerifier[];
  /** md5(password || user) in hex. */
  md5Hashes: string[];
  /** HMACs of passwords known in clear, under ConfigSnapshot.tagSecret: compared with what a client sends in clear. */
  passwordTags: Uint8Array[];
}

export interface UserSnapshot extends UserSecrets {
  name: string;
  /** Databases this user may enter, names and patterns; null = all. */
  databases: string[] | null;
  /** The user's own method in place of the general one; null = the general one. */
  authType: AuthType | null;
  /** Name in a verified client certificate that lets in without a password; null = none does. */
  identity: string | null;
  /** Nobody gets in without a certificate: that of `identity`, or any beside the password. */
  isCertificateRequired: boolean;
}

/** What is known of a database apart from its pools. */
export interface DatabaseSnapshot {
  name: string;
  /** Users missing in the configuration are asked for at a server. */
  hasAuthQuery: boolean;
  /** Of the pools of such users, and of those who log in by passthrough. */
  strangerPoolSize: number;
  /** Every statement must restrict tables that have this column to one tenant. Absent: nothing is checked. */
  tenantColumn?: string;
  /** Its rows are on several shards. Absent: it has one. */
  sharding?: ShardingSnapshot;
  /** It was made of the template with this pattern. Absent: it is configured by name. */
  pattern?: string;
}

/** What is known of databases whose names fit a pattern, before there is one. `name` is the pattern. */
export interface TemplateSnapshot extends Omit<DatabaseSnapshot, 'pattern' | 'sharding'> {
  pattern: string;
}

/** Statements of one database that are run again in another. */
export interface MirrorSnapshot {
  source: string;
  destination: string;
  /** Units waiting, per worker. */
  queueLengthMax: number;
  /** Share of the units, 0 to 1. */
  exposure: number;
  /** `ddl`: units in which definitions change; `dml`: all others. */
  level: 'all' | 'dml' | 'ddl';
}

/** One pool: database x user x host. `index` names its rows in shared memory and never changes its meaning. */
export interface PoolSnapshot {
  index: number;
  /** Name clients ask for. */
  database: string;
  user: string;
  host: string;
  port: number;
  /** Empty when the name does not resolve (yet). */
  addresses: HostAddress[];
  /**
   * Epoch at which it was last changed what its server connections are: as whom, in which database, with which settings.
   * Connections of another version end when they come free. Absent: 0.
   */
  serverVersion?: number;
  /** Name of the database on the server. */
  serverDatabase: string;
  serverUser: string;
  /** In clear; tried in turn when the server refuses one. Empty = none known. */
  serverPasswords: string[];
  /** md5(password || user) in hex: enough for servers that ask for md5. */
  serverMd5Hashes: string[];
  /** Enough for SCRAM with servers that have the same one, once a client has proven that it knows the password. */
  serverVerifiers: ScramVerifier[];
  poolSize: number;
  minPoolSize: number;
  /** Connections beyond poolSize for clients that have waited long. */
  reservePoolSize: number;
  /** Server connections and clients of the whole database and of the whole user; 0 = no limit. */
  databaseServersMax: number;
  userServersMax: number;
  databaseClientsMax: number;
  userClientsMax: number;
  poolerMode: PoolerMode;
  idleTimeoutMs: number;
  serverLifetimeMs: number;
  serverLifetimeJitterMs: number;
  checkoutTimeoutMs: number;
  queryTimeoutMs: number;
  transactionTimeoutMs: number;
  clientIdleTimeoutMs: number;
  clientIdleInTransactionTimeoutMs: number;
  /** What is logged when it takes as long. Absent: nothing. */
  logMin?: LogThresholds;
  /** Extra start-up parameters of server connections: statement_timeout, lock_timeout, default_transaction_read_only. */
  serverParameters: Record<string, string>;
  /** Who must run the server at the other end of a Unix socket; absent = anybody. */
  requirePeer?: RequiredPeer;
  shard: number;
  /** Of this user, where it is not as ShardingSnapshot.crossShard says. */
  crossShard?: CrossShard;
  /** Catalogs are read as this user. Absent: no. */
  isSchemaAdmin?: boolean;
  /** Of a database that was made of a template. Absent: no. */
  isTenant?: boolean;
  /** Position in ConfigSnapshot.hosts. */
  hostIndex: number;
  role: HostRole;
  /** 0 to 255, for weighted_round_robin. */
  lbWeight: number;
  /** Position in tls.servers; -1 = never encrypted. */
  tls: number;
}

/** Milliseconds; 0: never. */
export interface LogThresholds {
  statementMs: number;
  transactionMs: number;
  checkoutMs: number;
}

/** One Postgres address, whichever databases and users are served from it. `index` is its row in shared memory. */
export interface HostSnapshot {
  index: number;
  host: string;
  port: number;
  /** Empty when the name does not resolve (yet). */
  addresses: HostAddress[];
}

/** The hosts of one shard of a database, for one user. */
export interface ClusterSnapshot {
  database: string;
  user: string;
  shard: number;
  /** Indexes of its pools, one per host, in the order of the file. */
  pools: number[];
  /** Statements are read to choose a host: there are several, or one that need not be a primary, or several shards. */
  isRouted: boolean;
}

export interface RoutingSnapshot {
  strategy: BalancingStrategy;
  readWriteSplit: ReadWriteSplit;
  readWriteStrategy: ReadWriteStrategy;
  readYourWrites: ReadYourWrites;
  /** `session`: how long after a write reads go to the primary. */
  readYourWritesMs: number;
}

/** Which TLS and how. Empty texts leave OpenSSL's or our own default; see worker/tls/tls-context. */
export interface TlsTerms {
  versionMin: TlsVersion;
  versionMax: TlsVersion;
  /** OpenSSL's list for TLS 1.2. */
  ciphers: string;
  /** Names of TLS 1.3. */
  cipherSuites: string;
  /** Names of groups (curves), separated by colons. */
  groups: string;
}

/** Certificates and keys as PEM texts: what the supervisor read from the files. */
export interface TlsMaterial {
  /** Of this whole set of settings: equal means nothing has changed. Tells nothing of the key. */
  fingerprint: string;
  /** Leaf first, then its chain; null = none to show. */
  certificate: string | null;
  privateKey: string | null;
  /** Trusted; null = the public ones that Node brings (towards servers), or nobody (towards clients). */
  ca: string | null;
  crl: string | null;
  terms: TlsTerms;
}

/** `allow` and `prefer`: as the client likes. `verify-*`: a client must show a certificate that `ca` vouches for. */
export interface ClientTlsSnapshot extends TlsMaterial {
  mode: Exclude<ClientTlsMode, 'disable'>;
}

/** `prefer`: in the clear when the server has no TLS. `require`: encrypted, by whoever answers. */
export interface ServerTlsSnapshot extends TlsMaterial {
  mode: Exclude<ServerTlsMode, 'disabled'>;
}

export interface TlsSnapshot {
  /** Null: clients are told that there is no TLS. */
  clients: ClientTlsSnapshot | null;
  /** Distinct settings towards servers; PoolSnapshot.tls counts in here. */
  servers: ServerTlsSnapshot[];
}

export interface AdminSnapshot extends UserSecrets {
  /** Database names that mean the admin database: the configured one and the aliases. */
  databases: string[];
  user: string;
  /** Configured users who may enter as well: to order, or to SHOW only. Absent: none. */
  adminUsers?: readonly string[];
  statsUsers?: readonly string[];
}

export interface ConfigSnapshot {
  epoch: number;
  general: GeneralSnapshot;
  tcp: TcpSnapshot;
  admin: AdminSnapshot;
  users: UserSnapshot[];
  databases: DatabaseSnapshot[];
  /** Of names that `databases` has not, the most exact first. Absent: none. */
  templates?: TemplateSnapshot[];
  /** Null without an HBA file. In the order of the file; `samehost` and `samenet` are networks here. */
  hba: HbaRule[] | null;
  identMappings: IdentMapping[];
  /** Absent: nothing was ordered. */
  orders?: OperatorOrders;
  /** Absent: none. */
  mirrors?: readonly MirrorSnapshot[];
  /** Key of UserSecrets.passwordTags; of this process. */
  tagSecret: Uint8Array;
  pools: PoolSnapshot[];
  hosts: HostSnapshot[];
  clusters: ClusterSnapshot[];
  routing: RoutingSnapshot;
  tls: TlsSnapshot;
  /**
   * What is known of the tables of databases with several shards; of one that is missing nothing yet. Has a place of its
   * own in shared memory (shm/catalog-table): the same object until one of them changes. Absent: none has several.
   */
  catalogs?: readonly ShardCatalogData[];
  /** Verifier for users that do not exist, so that they cost and look the same. */
  mockVerifier: ScramVerifier;
}
