/**
 * What the schema cannot see: relations between keys, and keys whose value asks for something this version does
 * not do. Runs on configurations whose parts are each well-formed.
 */
import { isPattern } from '../base/name-pattern.js';
import { isUnixHost, unixPathProblem, unixSocketPath } from '../base/unix-socket.js';
import { areStrangersKnown, checkAuthentication, checkSecrets, hasSecret } from './auth-checks.js';
import type { AuthFiles } from './auth-files.js';
import { FRAME_BYTES_MAX, type GeneralSettings } from './defaults.js';
import { checkHosts } from './host-checks.js';
import type { KnownConfig } from './known-config.js';
import {
  LATER_DATABASE,
  LATER_GENERAL,
  LATER_SECTIONS,
  LATER_TCP,
  LATER_USER,
  type LaterKey,
} from './later-keys.js';
import {
  type DatabaseEntry,
  type LoadedConfig,
  poolPairs,
  type RoleOverrides,
  roleOverride,
  type UserEntry,
} from './loaded-config.js';
import { checkMirroring, type PlacedMirror, refuseShardedMirrors, warnOfSessionMode } from './mirroring.js';
import { describeValue, suggestion } from './parse-document.js';
import type { Origin, ProblemList } from './problem-list.js';
import type { DatabaseInput, UserInput } from './schema.js';
import { warnOfShardLimits } from './shard-limits.js';
import { checkUniqueIds } from './sharding.js';
import { checkTemplates, isServed, listsMeet } from './template-checks.js';
import { checkDatabaseTls, checkGeneralTls } from './tls-checks.js';

export interface Placed<T, E> {
  input: T;
  entry: E;
  origin: Origin;
}

/** Everything that is checked, each part with where it came from. */
export interface CheckedParts extends AuthFiles {
  general: GeneralSettings;
  /** As given, without defaults: tells what somebody wrote. */
  generalInput: Readonly<Record<string, unknown>>;
  generalOrigin: (key: string) => Origin;
  sections: { input: Readonly<Record<string, unknown>>; origin: Origin } | null;
  databases: Placed<DatabaseInput, DatabaseEntry>[];
  users: Placed<UserInput, UserEntry>[];
  mirrors: PlacedMirror[];
  /** [config_source] has been read: entries come and go there. */
  isSourced: boolean;
  /** Of entries that were checked before. */
  known: KnownConfig;
}

function checkLater(
  table: Readonly<Record<string, LaterKey>>,
  input: Readonly<Record<string, unknown>>,
  originOf: (key: string) => Origin,
  problems: ProblemList,
): void {
  for (const [key, { harmless, refusal }] of Object.entries(table)) {
    const value = input[key];
    if (value === undefined || harmless.includes(value)) continue;
    const place = originOf(key).place(key);
    if (refusal === undefined) problems.warning(place, 'not supported yet, ignored');
    else problems.error(place, refusal);
  }
}

function checkGeneral(parts: CheckedParts, problems: ProblemList): void {
  const { general, generalOrigin } = parts;
  const at = (key: string) => generalOrigin(key).place(key);
  checkLater(LATER_GENERAL, parts.generalInput, generalOrigin, problems);
  checkAuthentication(parts, problems);
  checkUniqueIds(general, at, problems);
  checkGeneralTls(general, at, problems);
  if (
    general.healthcheck_port !== null &&
    [general.port, general.openmetrics_port].includes(general.healthcheck_port)
  ) {
    problems.error(
      at('healthcheck_port'),
      `port ${general.healthcheck_port} is taken by this program itself`,
    );
  }
  if (general.openmetrics_port === general.port) {
    problems.error(at('openmetrics_port'), `port ${general.port} is the one clients connect to`);
  }
  if (general.server_lifetime_jitter > general.server_lifetime && general.server_lifetime > 0) {
    problems.error(
      at('server_lifetime_jitter'),
      `must not exceed server_lifetime (${general.server_lifetime} ms)`,
    );
  }
  checkCrossShard(parts, problems);
  if (bareLogLevel(general.log_level) === null) {
    problems.error(
      at('log_level'),
      `expected "error", "warn", "info", "debug" or "trace", got ${describeValue(general.log_level)}`,
    );
  }
  if (general.log_dedup_threshold > 0 && general.log_dedup_window === 0) {
    problems.warning(at('log_dedup_threshold'), 'has no effect while log_dedup_window is 0');
  }
  if (general.max_packet_size > FRAME_BYTES_MAX || general.max_packet_size < PACKET_BYTES_MIN) {
    problems.error(
      at('max_packet_size'),
      `expected ${PACKET_BYTES_MIN} to ${FRAME_BYTES_MAX} bytes, got ${general.max_packet_size}`,
    );
  }
  // Known from PgDog, and already what it could ask for at best: said, so that nobody counts on the difference.
  if (general.prepared_statements !== 'full') problems.warning(at('prepared_statements'), WITHOUT_EFFECT);
}

function checkCrossShard(
  { general, generalInput, generalOrigin }: CheckedParts,
  problems: ProblemList,
): void {
  const place = (key: string) => generalOrigin(key).place(key);
  if (general.system_catalogs === 'sharded') {
    problems.error(place('system_catalogs'), 'catalogs of all shards in one answer are not supported yet');
  }
  const isSaid = generalInput.cross_shard !== undefined && general.cross_shard !== 'direct_only';
  if (general.cross_shard_disabled && isSaid) {
    problems.error(place('cross_shard'), `"${general.cross_shard}" contradicts cross_shard_disabled = true`);
  }
}

/** What logging in and our own statements need, with room to spare. */
const PACKET_BYTES_MIN = 65_536;
const WITHOUT_EFFECT = 'has no effect in this version, see docs/reference/configuration.md';
const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace', 'off'];

/** PgDog's level may be a filter (`info,pgdog=debug`): its part without a target is what counts here. */
export function bareLogLevel(filter: string): string | null {
  for (const part of filter.toLowerCase().split(',')) {
    if (LOG_LEVELS.includes(part.trim())) return part.trim();
  }
  return null;
}

/** Host names that are no single host. */
function hostRefusal(host: string, port: number): string | null {
  if (isUnixHost(host)) return unixPathProblem(unixSocketPath(host, port));
  if (host.includes(','))
    return 'expected one host: each has an entry of its own, with the same name; role = "auto" asks which is the primary';
  if (host.includes('://')) return 'expected a host name or address, not a URL';
  if (host.includes(' ')) return 'expected a host name or address, without spaces';
  const colons = host.split(':').length - 1;
  if (colons === 1) return 'expected a host name or address; the port has a key of its own, "port"';
  return null;
}

function checkDatabase(placed: Placed<DatabaseInput, DatabaseEntry>, problems: ProblemList): void {
  const { input, origin } = placed;
  checkLater(LATER_DATABASE, input, () => origin, problems);
  const refusal = hostRefusal(input.host, placed.entry.port);
  if (refusal !== null) problems.error(origin.place('host'), refusal);
  if (input.require_peer !== undefined && !isUnixHost(input.host)) {
    problems.error(
      origin.place('require_peer'),
      'only a Unix socket says who is at its other end: expected a host that begins with / or @',
    );
  }
}

function checkDatabases(parts: CheckedParts, admin: LoadedConfig['admin'], problems: ProblemList): void {
  for (const placed of parts.databases) {
    const { name } = placed.input;
    parts.known.checkOnce(placed.entry, problems, () => {
      checkDatabase(placed, problems);
      checkDatabaseTls(parts.general, placed.entry, placed.origin, problems);
    });
    if (name === admin.name) {
      problems.error(
        placed.origin.place('name'),
        `"${name}" is the admin database; rename one of them ([admin] name)`,
      );
    }
  }
  checkTemplates(parts.databases, problems);
}

function checkUser(
  placed: Placed<UserInput, UserEntry>,
  parts: CheckedParts,
  known: ReadonlySet<string>,
  patterns: readonly string[],
  problems: ProblemList,
): void {
  const { input, entry, origin } = placed;
  if (hasSecret(entry)) parts.known.checkOnce(entry, problems, () => checkAlone(placed, parts, problems));
  // Whether somebody else knows it hangs on databases too.
  else checkAlone(placed, parts, problems);
  for (const name of entry.databases ?? []) {
    if (isServed(name, known, patterns)) continue;
    const key = input.database === name ? 'database' : 'databases';
    problems.warning(origin.place(key), `no database "${name}" is configured${suggestion(name, known)}`);
  }
}

/** By its own entry and [general]. */
function checkAlone(placed: Placed<UserInput, UserEntry>, parts: CheckedParts, problems: ProblemList): void {
  const { input, entry, origin } = placed;
  if (entry.name === '*') {
    const text =
      'there is no entry for all users: those who are not listed come by auth_query or passthrough_auth';
    problems.error(origin.place('name'), text);
  }
  checkLater(LATER_USER, input, () => origin, problems);
  checkSecrets(placed, parts, problems);
  if (entry.databases?.length === 0) {
    problems.error(
      origin.place('database'),
      'missing: name the database, a list of databases, or all_databases = true',
    );
  }
}

/** Two entries may share a name (one password per database) as long as no database falls under both. */
function checkUsers(parts: CheckedParts, problems: ProblemList): void {
  const known = new Set(parts.databases.map((database) => database.input.name));
  const patterns = [...known].filter(isPattern);
  const byName = new Map<string, Placed<UserInput, UserEntry>[]>();
  for (const placed of parts.users) {
    checkUser(placed, parts, known, patterns, problems);
    const namesakes = byName.get(placed.entry.name) ?? [];
    byName.set(placed.entry.name, [...namesakes, placed]);
    for (const earlier of namesakes) {
      if (!listsMeet(placed.entry.databases, earlier.entry.databases)) continue;
      const { source, line } = earlier.origin.place('name');
      const where = line > 0 ? `${source}:${line}` : source;
      problems.error(
        placed.origin.place('name'),
        `"${placed.entry.name}" has an entry for the same database already (${where})`,
      );
    }
  }
}

/** A user's limits hold over all its databases, so entries of one name cannot differ in them. */
function checkUserLimits(parts: CheckedParts, problems: ProblemList): void {
  const keys = { servers: 'max_user_connections', clients: 'max_user_client_connections' } as const;
  const first = { servers: new Map<string, number>(), clients: new Map<string, number>() };
  for (const { entry, origin } of parts.users) {
    for (const kind of ['servers', 'clients'] as const) {
      const mine = entry.limits[kind];
      const theirs = first[kind].get(entry.name) ?? null;
      if (mine !== null && theirs === null) first[kind].set(entry.name, mine);
      if (mine === null || theirs === null || mine === theirs) continue;
      problems.error(
        origin.place(keys[kind]),
        `${mine}, but another entry of user "${entry.name}" says ${theirs}: it is one limit over all databases`,
      );
    }
  }
}

/** No minimum is above any size, wherever they meet: thousands of pools need not be looked at one by one. */
function areSizesApart({ general, databases, users }: CheckedParts): boolean {
  let [highest, lowest] = [general.min_pool_size, general.default_pool_size];
  const look = ({ minPoolSize, poolSize }: RoleOverrides): void => {
    if (minPoolSize !== null && minPoolSize > highest) highest = minPoolSize;
    if (poolSize !== null && poolSize < lowest) lowest = poolSize;
  };
  for (const { entry } of [...databases, ...users]) {
    look(entry.overrides);
    look(entry.overrides.primary);
    look(entry.overrides.replica);
  }
  return highest <= lowest;
}

/** Sizes come from three places; what counts is how they meet in a pool. */
function checkPoolSizes(parts: CheckedParts, problems: ProblemList): void {
  const { general } = parts;
  if (areSizesApart(parts)) return;
  const databases = parts.databases.map((placed) => placed.entry);
  const users = parts.users.map((placed) => placed.entry);
  for (const { database, user } of poolPairs({ databases, users })) {
    const { role } = database;
    const said = (entry: DatabaseEntry | UserEntry, key: 'poolSize' | 'minPoolSize') =>
      roleOverride(entry.overrides, key, role);
    const size = said(user, 'poolSize') ?? said(database, 'poolSize') ?? general.default_pool_size;
    const minimum = said(user, 'minPoolSize') ?? said(database, 'minPoolSize') ?? general.min_pool_size;
    if (minimum <= size) continue;
    const ofUser = parts.users.find((placed) => placed.entry === user && said(user, 'minPoolSize') !== null);
    const ofDatabase = parts.databases.find(
      (placed) => placed.entry === database && said(database, 'minPoolSize') !== null,
    );
    const place =
      (ofUser ?? ofDatabase)?.origin.place('min_pool_size') ??
      parts.generalOrigin('min_pool_size').place('min_pool_size');
    problems.error(
      place,
      `${minimum} exceeds the pool size ${size} of database "${database.name}", user "${user.name}"`,
    );
  }
}

/** An empty proxy would refuse everybody with a puzzling text. */
function checkNotEmpty(parts: CheckedParts, problems: ProblemList): void {
  const source = parts.sections?.origin.source ?? 'configuration';
  const place = (key: string) => ({ source, line: 0, key });
  if (parts.isSourced) {
    if (parts.databases.length === 0) problems.warning(place('config_source'), 'has no database yet');
    return;
  }
  if (parts.databases.length === 0) {
    problems.error(place('databases'), 'no database is configured: add [[databases]], or -d postgres://…');
  } else if (parts.users.length === 0 && !areStrangersKnown(parts)) {
    problems.error(place('users'), 'no user is configured: add [[users]] to users.toml, or -d postgres://…');
  }
}

/** Who may enter the admin database must be somebody: a name with a slip would let nobody in, in silence. */
function checkOperators(parts: CheckedParts, admin: LoadedConfig['admin'], problems: ProblemList): void {
  const names = new Set(parts.users.map(({ entry }) => entry.name));
  const lists = [
    ['admin_users', admin.adminUsers],
    ['stats_users', admin.statsUsers],
  ] as const;
  for (const [key, listed] of lists) {
    for (const name of listed) {
      if (names.has(name) || name === admin.user) continue;
      const place = { source: 'pgdog.toml', line: 0, key: `admin.${key}` };
      problems.error(place, `"${name}" is no user of users.toml`);
    }
  }
}

export function crossCheck(parts: CheckedParts, admin: LoadedConfig['admin'], problems: ProblemList): void {
  checkGeneral(parts, problems);
  if (parts.sections !== null) {
    const { input, origin } = parts.sections;
    checkLater(LATER_SECTIONS, input, () => origin, problems);
    const tcp = (input.tcp ?? {}) as Record<string, unknown>;
    checkLater(LATER_TCP, tcp, () => origin.part('tcp'), problems);
  }
  checkDatabases(parts, admin, problems);
  checkHosts(parts.databases, problems);
  // Copies go from one database to one other.
  const names = parts.databases.map(({ input }) => input.name).filter((name) => !isPattern(name));
  checkMirroring(parts.mirrors, names, problems);
  refuseShardedMirrors(
    parts.mirrors,
    (name) => parts.databases.some(({ entry }) => entry.name === name && entry.shard > 0),
    problems,
  );
  const modeOf = (name: string) =>
    parts.databases.find(({ input }) => input.name === name)?.input.pooler_mode ?? parts.general.pooler_mode;
  warnOfSessionMode(parts.mirrors, (name) => modeOf(name) === 'session', problems);
  checkUsers(parts, problems);
  checkOperators(parts, admin, problems);
  checkUserLimits(parts, problems);
  checkPoolSizes(parts, problems);
  warnOfShardLimits(parts, problems);
  checkNotEmpty(parts, problems);
}
