/**
 * The configuration as workers see it: plain data, every default filled in, names resolved to addresses,
 * passwords turned into verifiers. Made by the supervisor, packed by msgpackr into the routing table, frozen.
 * Durations are milliseconds; 0 means "off" for every time-out unless said otherwise.
 */

import type { IpNetwork } from '../base/ip-network.js';

export type PoolerMode = 'transaction' | 'session' | 'statement';
export type AuthType = 'scram' | 'md5' | 'trust';
export type IoDriverSetting = 'auto' | 'io_uring' | 'epoll';
export type ConnectionRecovery = 'recover' | 'rollback_only' | 'drop';

export interface GeneralSnapshot {
  authType: AuthType;
  ioDriver: IoDriverSetting;
  connectTimeoutMs: number;
  checkoutTimeoutMs: number;
  rollbackTimeoutMs: number;
  queryTimeoutMs: number;
  clientIdleTimeoutMs: number;
  clientIdleInTransactionTimeoutMs: number;
  clientLoginTimeoutMs: number;
  shutdownTimeoutMs: number;
  /** How long a cancel connection towards a server may take. */
  cancelWaitTimeoutMs: number;
  connectionRecovery: ConnectionRecovery;
  /** Server-side prepared statements kept per server connection. */
  preparedStatementsLimit: number;
  /** Prepared statements one client may hold. */
  clientPreparedStatementsLimit: number;
  /** Largest Query or Parse text in bytes; 0 = only the protocol's own limit. */
  querySizeLimitBytes: number;
  querySizeLimitAction: 'warn' | 'block';
  /** Sessions waiting in one pool, over all workers; 0 = no limit. */
  queueLengthMax: number;
  /** Clients in total over all workers; 0 = no limit. */
  maxClientConn: number;
  logConnections: boolean;
  logDisconnections: boolean;
  statsPeriodMs: number;
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
export interface RequiredPeer {
  name: string;
  /** -1: the system does not know the name, so nobody is that user. */
  uid: number;
}

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

export interface UserSnapshot {
  name: string;
  /** Databases this user may enter; null = all. */
  databases: string[] | null;
  /** One per accepted password. */
  verifiers: ScramVerifier[];
  /** md5(password || user) in hex, one per accepted password. */
  md5Hashes: string[];
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
  /** Name of the database on the server. */
  serverDatabase: string;
  serverUser: string;
  /** The first one is used; empty = none known (trust). */
  serverPasswords: string[];
  poolSize: number;
  minPoolSize: number;
  poolerMode: PoolerMode;
  idleTimeoutMs: number;
  serverLifetimeMs: number;
  serverLifetimeJitterMs: number;
  /** Extra start-up parameters of server connections: statement_timeout, lock_timeout, default_transaction_read_only. */
  serverParameters: Record<string, string>;
  /** Who must run the server at the other end of a Unix socket; absent = anybody. */
  requirePeer?: RequiredPeer;
  shard: number;
  role: 'primary';
}

export interface AdminSnapshot {
  /** Database names that mean the admin database: the configured one and the aliases. */
  databases: string[];
  user: string;
  verifiers: ScramVerifier[];
  md5Hashes: string[];
}

export interface ConfigSnapshot {
  epoch: number;
  general: GeneralSnapshot;
  tcp: TcpSnapshot;
  admin: AdminSnapshot;
  users: UserSnapshot[];
  pools: PoolSnapshot[];
  /** Verifier for users that do not exist, so that they cost and look the same. */
  mockVerifier: ScramVerifier;
}
