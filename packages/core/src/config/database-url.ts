/**
 * `postgres://user:password@host:port/database?pool_size=…`: one database and one user who may enter it, with
 * no file at all. User name and password are those clients log in with, and those shown to the server. As with
 * libpq the host may be left out, and a directory of Unix sockets is `?host=/dir` or percent-encoded in its place.
 */
import type { z } from 'zod';
import { describeValue, suggestion } from './parse-document.js';
import type { Origin, ProblemList } from './problem-list.js';
import { type DatabaseInput, databaseSchema, type UserInput, userSchema } from './schema.js';

const SCHEMES = ['postgres:', 'postgresql:'];
const HOST_DEFAULT = 'localhost';
const PORT_DEFAULT = 5432;
/** libpq's sslmode as tls_verify has it. `allow` would try without TLS first, which is no better than `prefer`. */
const SSLMODES = new Map([
  ['disable', 'disabled'],
  ['allow', 'prefer'],
  ['prefer', 'prefer'],
  ['require', 'require'],
  ['verify-ca', 'verify_ca'],
  ['verify-full', 'verify_full'],
]);
/** libpq's names of files. */
const SSL_FILES = new Map([
  ['sslrootcert', 'tls_server_ca_certificate'],
  ['sslcert', 'tls_server_certificate'],
  ['sslkey', 'tls_server_private_key'],
]);

/** Parameters that become keys of the [[databases]] entry. */
const PARAMETERS = [
  'host',
  'port',
  'require_peer',
  'database_name',
  'role',
  'shard',
  'user',
  'password',
  'pool_size',
  'min_pool_size',
  'pooler_mode',
  'statement_timeout',
  'lock_timeout',
  'idle_timeout',
  'read_only',
  'server_lifetime',
  'server_lifetime_jitter',
] as const;
/** Ours: the name clients ask for, when it is not the one in the path. */
const OTHER_PARAMETERS = ['name', 'sslmode', ...SSL_FILES.keys()];

export interface UrlEntry {
  database: DatabaseInput;
  user: UserInput;
  origin: Origin;
}

/** null when the percent-encoding is broken. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function fieldOf(schema: typeof databaseSchema, key: string): z.ZodType | undefined {
  const shape: Record<string, z.ZodType> = schema.shape;
  return Object.hasOwn(shape, key) ? shape[key] : undefined;
}

/** `"10"` as the key wants it: text, number or flag. */
function typed(key: string, value: string, origin: Origin, problems: ProblemList): unknown {
  const field = fieldOf(databaseSchema, key);
  const readings: unknown[] = [value, value === '' ? value : Number(value)];
  if (value === 'true' || value === 'false') readings.push(value === 'true');
  const fitting = readings.find((reading) => field?.safeParse(reading).success);
  if (fitting === undefined) {
    const message = field?.safeParse(value).error?.issues[0].message ?? 'not accepted';
    const shown = key === 'password' ? '' : `, got ${describeValue(value)}`;
    problems.error(origin.place(key), `${message}${shown}`);
  }
  return fitting;
}

function readParameters(url: URL, origin: Origin, problems: ProblemList): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [key, value] of url.searchParams) {
    const file = SSL_FILES.get(key);
    if (key === 'sslmode') values.tls_verify = verifyOf(value, origin, problems);
    else if (file !== undefined) values[file] = value;
    else if (key === 'name') {
      values.name = value;
    } else if (PARAMETERS.some((parameter) => parameter === key)) {
      values[key] = typed(key, value, origin, problems);
    } else {
      const known = [...PARAMETERS, ...OTHER_PARAMETERS];
      problems.error(origin.place(key), `unknown parameter${suggestion(key, known)}`);
    }
  }
  // As libpq: who names an authority wants the server's certificate checked by it.
  if (values.tls_verify === 'require' && values.tls_server_ca_certificate !== undefined)
    values.tls_verify = 'verify_ca';
  return values;
}

function verifyOf(sslmode: string, origin: Origin, problems: ProblemList): string | undefined {
  const verify = SSLMODES.get(sslmode);
  if (verify === undefined) {
    const known = [...SSLMODES.keys()].map((mode) => `"${mode}"`).join(', ');
    problems.error(origin.place('sslmode'), `expected one of ${known}, got ${describeValue(sslmode)}`);
  }
  return verify;
}

/** URL refuses `user@/db` and `user@:5433/db`, which libpq takes: the host left out is filled in. */
function withHost(text: string): string {
  const start = text.indexOf('://') + 3;
  if (start === 2) return text;
  const ends = ['/', '?', '#'].map((char) => text.indexOf(char, start)).filter((end) => end !== -1);
  const end = Math.min(text.length, ...ends);
  const hostStart = Math.max(start, text.lastIndexOf('@', end - 1) + 1);
  const isLeftOut = hostStart === end || text[hostStart] === ':';
  return isLeftOut ? `${text.slice(0, hostStart)}${HOST_DEFAULT}${text.slice(hostStart)}` : text;
}

function parseUrl(text: string): URL | null {
  try {
    const url = new URL(withHost(text));
    return SCHEMES.includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** `[::1]` without its brackets. */
function hostOf(url: URL): string {
  const host = decode(url.hostname) ?? '';
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/**
 * null when the URL cannot be used; `problems` then says why, naming the option and never the URL, which
 * holds a password.
 */
export function parseDatabaseUrl(text: string, origin: Origin, problems: ProblemList): UrlEntry | null {
  const errorsBefore = problems.problems.length;
  const url = parseUrl(text);
  if (url === null) {
    problems.error(
      origin.place(),
      'not a URL of the form postgres://user:password@host:port/database; write special characters percent-encoded (/ is %2F, @ is %40, # is %23)',
    );
    return null;
  }
  const user = decode(url.username);
  const password = decode(url.password);
  const path = decode(url.pathname.slice(1));
  if (user === null || password === null || path === null) {
    problems.error(origin.place(), 'broken percent-encoding');
    return null;
  }
  if (url.hash !== '') problems.error(origin.place(), 'a # must be written %23');
  if (user === '') problems.error(origin.place('user'), 'missing: the URL names no user');
  const parameters = readParameters(url, origin, problems);
  const host = hostOf(url);
  const serverDatabase = path === '' ? user : path;
  const database = {
    database_name: serverDatabase,
    port: url.port === '' ? PORT_DEFAULT : Number(url.port),
    host: host === '' ? HOST_DEFAULT : host,
    ...parameters,
    name: parameters.name ?? serverDatabase,
  };
  const client = { name: user, database: database.name, password: password === '' ? undefined : password };
  const databaseResult = databaseSchema.safeParse(database);
  const userResult = userSchema.safeParse(client);
  for (const result of [databaseResult, userResult]) {
    for (const issue of result.error?.issues ?? []) {
      problems.error(origin.place(...issue.path.map(String)), issue.message);
    }
  }
  if (problems.problems.length > errorsBefore || !databaseResult.success || !userResult.success) return null;
  return { database: databaseResult.data, user: userResult.data, origin };
}
