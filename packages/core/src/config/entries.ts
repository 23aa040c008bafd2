/** From what a file or URL says about a database or user to the entry the program works with. */
import { isPattern } from '../base/name-pattern.js';
import { authTypeOf } from './auth-entries.js';
import type { Environment } from './environment.js';
import { type SecretInput, splitList } from './fields.js';
import type { AdminEntry, DatabaseEntry, GroupLimits, PoolOverrides, UserEntry } from './loaded-config.js';
import type { Origin, Place, ProblemList } from './problem-list.js';
import type { DatabaseInput, UserInput } from './schema.js';
import { Secret } from './secret.js';

const PORT_DEFAULT = 5432;
const LB_WEIGHT_DEFAULT = 255;

/** Reads the file of `{ file = "path" }`, the path being relative to `source`. Throws when it cannot. */
export type ReadSecretFile = (path: string, source: string) => string;

export interface SecretSources {
  environment: Environment;
  readSecretFile: ReadSecretFile;
}

/** One line end, as editors and `kubectl create secret` leave it, is not part of the secret. */
function withoutLineEnd(text: string): string {
  const end = text.endsWith('\r\n') ? 2 : text.endsWith('\n') ? 1 : 0;
  return text.slice(0, text.length - end);
}

/** Turns inputs into secrets, telling what could not be found. */
export class SecretResolver {
  readonly #sources: SecretSources;
  readonly #problems: ProblemList;

  constructor(sources: SecretSources, problems: ProblemList) {
    this.#sources = sources;
    this.#problems = problems;
  }

  resolve(input: SecretInput | undefined, place: Place): Secret | null {
    if (input === undefined) return null;
    const text = this.#read(input, place);
    if (text === '') this.#problems.error(place, 'is empty');
    return text === null || text === '' ? null : new Secret(text);
  }

  #read(input: SecretInput, place: Place): string | null {
    if (typeof input === 'string') return input;
    if ('env' in input) {
      const value = this.#sources.environment[input.env];
      if (value === undefined) this.#problems.error(place, `environment variable ${input.env} is not set`);
      return value ?? null;
    }
    try {
      return withoutLineEnd(this.#sources.readSecretFile(input.file, place.source));
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read';
      this.#problems.error(place, `file ${input.file}: ${reason}`);
      return null;
    }
  }
}

/** What the entry before had, if it is equal: of thousands of entries most say the same. Nobody writes to it. */
class Repeated<T extends object> {
  #last: T | null = null;

  of(value: T): T {
    if (this.#last === null || !isEqual(this.#last, value)) this.#last = value;
    return this.#last;
  }
}

/** Of plain values, and objects of them. */
function isEqual(one: object, other: object): boolean {
  const [mine, theirs] = [one as Record<string, unknown>, other as Record<string, unknown>];
  for (const key in mine) {
    const [a, b] = [mine[key], theirs[key]];
    if (a === b) continue;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (!isEqual(a, b)) return false;
  }
  return true;
}

const repeated = {
  overrides: new Repeated<PoolOverrides>(),
  tls: new Repeated<DatabaseEntry['tls']>(),
  limits: new Repeated<GroupLimits>(),
};

/** `max_pool_size` is PgDog's alias. */
function overridesOf(input: DatabaseInput | UserInput): PoolOverrides {
  return {
    poolSize: input.pool_size ?? input.max_pool_size ?? null,
    minPoolSize: input.min_pool_size ?? null,
    idleTimeoutMs: input.idle_timeout ?? null,
    primary: {
      poolSize: input.pool_size_primary ?? null,
      minPoolSize: input.min_pool_size_primary ?? null,
      idleTimeoutMs: input.idle_timeout_primary ?? null,
    },
    replica: {
      poolSize: input.pool_size_replica ?? null,
      minPoolSize: input.min_pool_size_replica ?? null,
      idleTimeoutMs: input.idle_timeout_replica ?? null,
    },
    poolerMode: input.pooler_mode ?? null,
    statementTimeoutMs: input.statement_timeout ?? null,
    lockTimeoutMs: input.lock_timeout ?? null,
    readOnly: input.read_only ?? null,
    serverLifetimeMs: input.server_lifetime ?? null,
    serverLifetimeJitterMs: input.server_lifetime_jitter ?? null,
    reservePoolSize: input.reserve_pool_size ?? null,
    checkoutTimeoutMs: input.checkout_timeout ?? null,
    queryTimeoutMs: input.query_timeout ?? null,
    transactionTimeoutMs: input.transaction_timeout ?? null,
    clientIdleTimeoutMs: input.client_idle_timeout ?? null,
    clientIdleInTransactionTimeoutMs: input.client_idle_in_transaction_timeout ?? null,
    logMinStatementMs: input.log_min_duration_statement ?? null,
    logMinTransactionMs: input.log_min_duration_transaction ?? null,
    logMinCheckoutMs: input.log_min_duration_checkout ?? null,
  };
}

export function toDatabaseEntry(
  input: DatabaseInput,
  origin: Origin,
  secrets: SecretResolver,
): DatabaseEntry {
  return {
    name: input.name,
    pattern: null,
    host: input.host,
    port: input.port ?? PORT_DEFAULT,
    role: input.role ?? 'primary',
    shard: input.shard ?? 0,
    lbWeight: input.lb_weight ?? LB_WEIGHT_DEFAULT,
    patroniUrls: splitList(input.patroni_url ?? []),
    serverDatabase: input.database_name ?? (isPattern(input.name) ? '{name}' : input.name),
    serverUser: input.user ?? null,
    serverPassword: secrets.resolve(input.password, origin.place('password')),
    requirePeer: input.require_peer ?? null,
    isMultiTenant: input.multi_tenant ?? true,
    authQuery: null,
    tls: repeated.tls.of({
      verify: input.tls_verify ?? null,
      ca: input.tls_server_ca_certificate ?? null,
      certificate: input.tls_server_certificate ?? null,
      privateKey: input.tls_server_private_key ?? null,
    }),
    overrides: repeated.overrides.of(overridesOf(input)),
    limits: repeated.limits.of({
      servers: input.max_db_connections ?? null,
      clients: input.max_db_client_connections ?? null,
    }),
    isCrossShardDisabled: input.cross_shard_disabled ?? null,
  };
}

/** Names a user may enter; null = all. Empty when the entry says none, which the cross-checks refuse. */
function databasesOf(input: UserInput): string[] | null {
  if (input.all_databases === true) return null;
  const names = [...(input.databases ?? [])];
  if (input.database !== undefined) names.push(input.database);
  return [...new Set(names)];
}

export function toUserEntry(input: UserInput, origin: Origin, secrets: SecretResolver): UserEntry {
  const passwords = [secrets.resolve(input.password, origin.place('password'))];
  for (const [index, password] of (input.passwords ?? []).entries()) {
    passwords.push(secrets.resolve(password, origin.place('passwords', index)));
  }
  return {
    name: input.name,
    databases: databasesOf(input),
    passwords: passwords.filter((password) => password !== null),
    passwordHash: secrets.resolve(input.password_hash, origin.place('password_hash')),
    authType: input.auth_type === undefined ? null : authTypeOf(input.auth_type),
    identity: input.identity ?? null,
    isCertificateRequired: input.tls_client_certificate_required ?? false,
    serverUser: input.server_user ?? null,
    serverPassword: secrets.resolve(input.server_password, origin.place('server_password')),
    overrides: repeated.overrides.of(overridesOf(input)),
    limits: repeated.limits.of({
      servers: input.max_user_connections ?? null,
      clients: input.max_user_client_connections ?? null,
    }),
    isCrossShardDisabled: input.cross_shard_disabled ?? null,
    isSchemaAdmin: input.schema_admin ?? false,
  };
}

export interface AdminInput {
  name?: string;
  user?: string;
  password?: SecretInput;
  admin_users?: string[] | undefined;
  stats_users?: string[] | undefined;
}

/** The later input wins, key by key: users.toml over pgdog.toml. */
export function toAdminEntry(
  inputs: readonly { input: AdminInput; origin: Origin }[],
  defaults: { name: string; user: string },
  secrets: SecretResolver,
): AdminEntry {
  const admin: AdminEntry = { ...defaults, password: null, adminUsers: [], statsUsers: [] };
  for (const { input, origin } of inputs) {
    admin.name = input.name ?? admin.name;
    admin.user = input.user ?? admin.user;
    admin.adminUsers = input.admin_users ?? admin.adminUsers;
    admin.statsUsers = input.stats_users ?? admin.statsUsers;
    admin.password = secrets.resolve(input.password, origin.place('password')) ?? admin.password;
  }
  return admin;
}
