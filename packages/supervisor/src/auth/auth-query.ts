import { isUnixHost, readSecretForm, SCRAM_ITERATIONS_MAX, unixSocketPath } from '@pgdog-cluster/core';
import type { AuthQueryEntry, DatabaseEntry } from '@pgdog-cluster/core/config';
import type { Client, ClientConfig } from 'pg';
import { databasePgTls } from '../config/database-tls.js';
import { connectByPg } from '../config/pg-connect.js';
import { resolvePeer } from '../config/resolve-entries.js';

/** A connection without questions is closed after this long. */
const IDLE_MS = 60_000;
/** Questions under way or waiting for one connection; beyond, they fail at once. */
const QUEUE_MAX = 10_000;
/** A connection that asks cannot be made to wait longer for an answer. */
const QUERY_TIMEOUT_MS = 5_000;
/** A server that cannot be asked is not tried again for so long: else each of a thousand logins waits for its own failure. */
const RETRY_MS = 1_000;

/** Nothing has been said of the user: there is nobody to ask. */
export class UnreachableError extends Error {
  /** Until then it is not tried again. Epoch ms; 0: it may be. */
  untilMs = 0;
}

/** SQLSTATEs, or classes of them, that say so whoever is asked about. Any other may be said of one user and not of another. */
const UNREACHABLE = ['08', '28', '3D', '53', '57', '58', 'XX', '42501', '42601', '42883', '42P01'];

/** @param wasConnected a question was asked */
function asUnreachable(error: unknown, wasConnected: boolean): unknown {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'severity' in error && 'code' in error ? String(error.code) : null;
  const isOfServer = code === null || UNREACHABLE.some((start) => code.startsWith(start));
  return !wasConnected || isOfServer ? new UnreachableError(message) : error;
}

/** Where and as whom to ask. */
export interface AuthQueryTarget {
  database: DatabaseEntry;
  query: AuthQueryEntry;
  connectTimeoutMs: number;
}

/**
 * Opens an internal connection. Its start-up settings are fixed, so that nothing a client says can reach it. The search
 * path is Postgres's own schema and no other: a function somebody put in front would run with the rights of auth_user.
 */
export async function connectInternally(
  database: AuthQueryTarget['database'],
  user: string,
  /** Called when the server asks. A function also because an empty text would be replaced by PGPASSWORD. */
  password: () => string,
  connectTimeoutMs: number,
): Promise<Client> {
  const { host, port, serverDatabase } = database;
  const settings: ClientConfig & { scramMaxIterations: number } = {
    port,
    database: serverDatabase,
    user,
    password,
    options: '-c search_path=pg_catalog',
    application_name: 'pgdog-cluster auth',
    client_encoding: 'UTF8',
    connectionTimeoutMillis: connectTimeoutMs === 0 ? QUERY_TIMEOUT_MS : connectTimeoutMs,
    query_timeout: QUERY_TIMEOUT_MS,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  const way = {
    host: isUnixHost(host) ? unixSocketPath(host, port) : host,
    tls: databasePgTls(database),
    requirePeer: await resolvePeer(database),
  };
  return connectByPg(way, settings);
}

/**
 * Membership as Postgres's own rules see it: direct or not, whether inherited or not, superusers by nothing but their
 * memberships, and every role in itself. As text: a name that is too long must not be cut to one that exists.
 */
const GROUPS_SQL = `WITH RECURSIVE joined(oid) AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname::text = $1::text
    UNION
    SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN joined ON m.member = joined.oid
  )
  SELECT r.rolname::text FROM pg_catalog.pg_roles r JOIN joined USING (oid) WHERE r.rolname::text = ANY ($2::text[])`;

/** One connection that asks one database about its users, opened when needed. Questions are asked one by one. */
export class AuthQuery {
  readonly #target: AuthQueryTarget;
  #client: Promise<Client> | null = null;
  #queued = 0;
  #last: Promise<unknown> = Promise.resolve();
  #idleTimer: NodeJS.Timeout | null = null;
  /** Why it could not be asked. */
  #failure: UnreachableError | null = null;
  #isClosed = false;

  constructor(target: AuthQueryTarget) {
    this.#target = target;
  }

  /**
   * The user's password hash, `md5…` or `SCRAM-SHA-256$…`; null when there is no such user, or none who may log in.
   * Rejects when the answer is not one: more than one row, another user, something that is no hash, an error.
   */
  async ask(user: string): Promise<string | null> {
    const { sql } = this.#target.query;
    return readAnswer(await this.#inTurn(sql, [user]), user);
  }

  /** Those of `names` of which the user is a member, directly or not: none when the server knows no such user. */
  async groups(user: string, names: readonly string[]): Promise<string[]> {
    const rows = await this.#inTurn(GROUPS_SQL, [user, names]);
    return names.filter((wanted) => rows.some(([name]) => name === wanted));
  }

  /** Rows of one question, behind those that wait already. */
  async #inTurn(sql: string, values: readonly unknown[]): Promise<unknown[][]> {
    if (this.#queued >= QUEUE_MAX) throw new UnreachableError(`more than ${QUEUE_MAX} questions are waiting`);
    this.#queued++;
    const answer = this.#last.then(() => this.#askNow(sql, values));
    this.#last = answer.catch(() => {});
    try {
      return await answer;
    } finally {
      this.#queued--;
      this.#restartIdleTimer();
    }
  }

  /** For good: what is being asked fails, and what waits. */
  close(): void {
    this.#isClosed = true;
    this.#disconnect();
  }

  #disconnect(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    const client = this.#client;
    this.#client = null;
    void client?.then((open) => open.end()).catch(() => {});
  }

  async #askNow(sql: string, values: readonly unknown[]): Promise<unknown[][]> {
    if (this.#isClosed) throw new Error('another configuration is in force');
    if (this.#failure !== null && Date.now() < this.#failure.untilMs) throw this.#failure;
    this.#client ??= this.#connect();
    const asked = this.#client;
    let wasConnected = false;
    try {
      const client = await asked;
      wasConnected = true;
      this.#failure = null;
      // With a value the extended protocol is used: the name is data, whatever it holds.
      const { rows } = await client.query({ text: sql, values: [...values], rowMode: 'array' });
      return rows as unknown[][];
    } catch (error) {
      // Whatever went wrong, the next question starts afresh.
      if (this.#client === asked) this.#disconnect();
      const told = asUnreachable(error, wasConnected);
      if (!wasConnected && told instanceof UnreachableError) {
        told.untilMs = Date.now() + RETRY_MS;
        this.#failure = told;
      }
      throw told;
    }
  }

  async #connect(): Promise<Client> {
    const { database, query, connectTimeoutMs } = this.#target;
    const password = (): string => query.password?.reveal() ?? '';
    const client = await connectInternally(database, query.user, password, connectTimeoutMs);
    const forget = (): void => {
      this.#client = null;
    };
    client.on('error', forget);
    client.once('end', forget);
    return client;
  }

  #restartIdleTimer(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    if (this.#isClosed) return;
    this.#idleTimer = setTimeout(() => this.#disconnect(), IDLE_MS);
    this.#idleTimer.unref();
  }
}

/** One row, of this very user, with a hash: anything else lets nobody in. */
function readAnswer(rows: readonly unknown[][], user: string): string | null {
  if (rows.length === 0) return null;
  if (rows.length > 1) throw new Error('auth_query gave more than one row');
  const [name, secret] = rows[0];
  if (rows[0].length < 2) throw new Error('auth_query must give two columns: name and password hash');
  if (name !== user) throw new Error('auth_query gave another user than the one asked for');
  if (secret === null) return null;
  if (typeof secret !== 'string') throw new Error('auth_query gave a password that is no text');
  const { kind } = readSecretForm(secret);
  // A password in clear would be one of "!", "*" and other ways to write "none".
  if (kind !== 'md5' && kind !== 'scram') throw new Error('auth_query gave a password that is no hash');
  return secret;
}
