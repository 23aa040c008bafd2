import type { HbaRule } from '../auth/hba.js';
import type { IdentMapping } from '../auth/ident-map.js';
import { isListed, isPattern } from '../base/name-pattern.js';
import type { ShardingSnapshot } from '../shard/sharding-snapshot.js';
import type { ConfigSourceSettings } from './config-source.js';
import type { ConfigurationChange } from './configuration-change.js';
import type { ConfigurationProblem } from './configuration-problem.js';
import type { GeneralSettings, RewriteSettings, TcpSettings } from './defaults.js';
import type { Secret } from './secret.js';
import type { AuthType, HostRole, MirrorSnapshot, PoolerMode } from './snapshot.js';
import type { SourceRows } from './source-rows.js';
import type { TlsOverrides } from './tls-settings.js';

export interface ListenAddress {
  host: string;
  port: number;
}

/** What a pool may have otherwise on a primary or a replica; null = not said here. */
export interface RoleOverrides {
  poolSize: number | null;
  minPoolSize: number | null;
  idleTimeoutMs: number | null;
}

/** Settings of a pool that a database or a user may override; null = not said here. Durations in ms. */
export interface PoolOverrides extends RoleOverrides {
  /** More exact, so they win. */
  primary: RoleOverrides;
  replica: RoleOverrides;
  poolerMode: PoolerMode | null;
  statementTimeoutMs: number | null;
  lockTimeoutMs: number | null;
  readOnly: boolean | null;
  serverLifetimeMs: number | null;
  serverLifetimeJitterMs: number | null;
  reservePoolSize: number | null;
  checkoutTimeoutMs: number | null;
  logMinStatementMs: number | null;
  logMinTransactionMs: number | null;
  logMinCheckoutMs: number | null;
  queryTimeoutMs: number | null;
  transactionTimeoutMs: number | null;
  clientIdleTimeoutMs: number | null;
  clientIdleInTransactionTimeoutMs: number | null;
}

/** Limits of a whole database or user, over all its pools; null = not said here. */
export interface GroupLimits {
  servers: number | null;
  clients: number | null;
}

export interface DatabaseEntry {
  /** Name clients ask for. */
  name: string;
  /** It was made of the entry with this pattern for a name; null = it stands in the file as it is. */
  pattern: string | null;
  host: string;
  port: number;
  role: HostRole;
  shard: number;
  lbWeight: number;
  /** Its own or the general ones; empty = none. */
  patroniUrls: string[];
  /** Name on the server. */
  serverDatabase: string;
  /** Log in to the server as this user whoever the client is; null = the client's name. */
  serverUser: string | null;
  serverPassword: Secret | null;
  /** The system's user that must run the server, for a host that is a Unix socket; null = anybody. */
  requirePeer: string | null;
  /** Who is asked about users that are not listed; null = nobody. */
  authQuery: AuthQueryEntry | null;
  tls: TlsOverrides;
  /** [multi_tenant] is in force. */
  isMultiTenant: boolean;
  overrides: PoolOverrides;
  limits: GroupLimits;
  /** null = not said here. */
  isCrossShardDisabled: boolean | null;
}

/** Entries of one pattern: what databases are made of whose names fit. Host and name on the server may have placeholders. */
export interface DatabaseTemplate {
  pattern: string;
  entries: DatabaseEntry[];
}

/** Question about unknown users, general settings filled in. */
export interface AuthQueryEntry {
  user: string;
  password: Secret | null;
  /** Name of the [[databases]] entry in which it is asked. */
  database: string;
  sql: string;
}

export interface UserEntry {
  name: string;
  /** Names and patterns; null = all databases. */
  databases: string[] | null;
  /** Accepted from clients, and tried towards servers. In clear or as `md5…`, `SCRAM-SHA-256$…`. */
  passwords: Secret[];
  /** As `md5…` or `SCRAM-SHA-256$…`. */
  passwordHash: Secret | null;
  /** Its own method; null = general.auth_type. */
  authType: AuthType | null;
  /** Name in a client certificate that lets in without a password; null = none does. */
  identity: string | null;
  /** Nobody gets in without a certificate: that of `identity`, or any beside the password. */
  isCertificateRequired: boolean;
  serverUser: string | null;
  serverPassword: Secret | null;
  overrides: PoolOverrides;
  limits: GroupLimits;
  /** null = not said here. */
  isCrossShardDisabled: boolean | null;
  /** Catalogs are read as this user where there is one. */
  isSchemaAdmin: boolean;
}

export interface AdminEntry {
  name: string;
  user: string;
  /** null = none set: nobody may enter. */
  password: Secret | null;
  /** Users who may enter as well, with their own passwords: to order, or to SHOW only. */
  adminUsers: readonly string[];
  statsUsers: readonly string[];
}

/** What comes over the files. */
export interface ChangeLayers {
  /** Kept in persist_file: there after a restart too. */
  persisted: readonly ConfigurationChange[];
  unpersisted: readonly ConfigurationChange[];
  /** Of both, those that name nothing that is there. */
  unmatched: ReadonlySet<ConfigurationChange>;
  /** Of [config_source]; null: there is none, or nothing is known of it. */
  rows: SourceRows | null;
  /**
   * The same files, as they were read, with other changes and, if given, other rows; absent where there are none. Throws
   * ConfigurationError.
   */
  again?: (
    persisted: ChangeLayers['persisted'],
    unpersisted: ChangeLayers['unpersisted'],
    rows?: SourceRows | null,
  ) => LoadedConfig;
}

/** Both files, the command line and the environment as one checked whole. Prints without secrets. */
export interface LoadedConfig {
  general: GeneralSettings;
  tcp: TcpSettings;
  admin: AdminEntry;
  /** Asked for by the HTTP port; null: nobody is asked. */
  httpToken: Secret | null;
  databases: DatabaseEntry[];
  /** Of names that no entry of `databases` has, the most exact first. */
  templates: DatabaseTemplate[];
  users: UserEntry[];
  /** Null without auth_hba_file. */
  hba: HbaRule[] | null;
  identMappings: IdentMapping[];
  /** [multi_tenant]; null: no statement is checked. */
  tenantColumn: string | null;
  mirrors: MirrorSnapshot[];
  /** Of databases with several shards, by name. */
  sharding: ReadonlyMap<string, ShardingSnapshot>;
  rewrite: RewriteSettings;
  /** pgdog.toml (or pgbouncer.ini) as named, to which paths in it are relative; null = no such file. */
  configFile: string | null;
  /** Where clients may connect by TCP: general.host and port, or what --listen says. Empty: only by a Unix socket. */
  listen: ListenAddress[];
  /** general.workers, or the number of CPUs the process may use. */
  workerCount: number;
  configSource: ConfigSourceSettings | null;
  layers: ChangeLayers;
  /** Files, options and variables that were read, for the log. */
  sources: string[];
  warnings: ConfigurationProblem[];
}

/** As said for hosts of this role. A host that may be either gets room for either: the larger. */
export function roleOverride(
  overrides: PoolOverrides,
  key: keyof RoleOverrides,
  role: HostRole,
): number | null {
  const { primary, replica } = overrides;
  if (role === 'auto') {
    const said = [primary[key], replica[key]].filter((value) => value !== null);
    return said.length > 0 ? Math.max(...said) : overrides[key];
  }
  return (role === 'primary' ? primary : replica)[key] ?? overrides[key];
}

/** One (database, user) pair that is allowed, i.e. one pool. */
export interface PoolPair {
  database: DatabaseEntry;
  user: UserEntry;
}

/** Every allowed pair, databases in the order of the file, then users in theirs. */
export function poolPairs(loaded: Pick<LoadedConfig, 'databases' | 'users'>): PoolPair[] {
  // By name first: thousands of users of one database each are not looked at for every database.
  const usersOf = new Map<string, UserEntry[]>(loaded.databases.map(({ name }) => [name, []]));
  for (const user of loaded.users) {
    const names = user.databases?.some(isPattern) === true ? namesFor(user, usersOf.keys()) : user.databases;
    for (const name of names === null ? usersOf.keys() : new Set(names)) usersOf.get(name)?.push(user);
  }
  return loaded.databases.flatMap((database) =>
    (usersOf.get(database.name) ?? []).map((user) => ({ database, user })),
  );
}

/** Of those databases, the ones that are the user's. */
function namesFor(user: UserEntry, names: Iterable<string>): string[] {
  return [...names].filter((name) => mayEnter(user, name));
}

/** Whether the entry is for the database. */
export function mayEnter({ databases }: Pick<UserEntry, 'databases'>, database: string): boolean {
  return databases?.some((listed) => isListed(listed, database)) ?? true;
}
