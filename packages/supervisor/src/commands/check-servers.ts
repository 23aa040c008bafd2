import { type ConfigSnapshot, type PoolSnapshot, serverName, type TlsSnapshot } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { Client } from 'pg';
import { AuthQuery } from '../auth/auth-query.js';
import { pgTlsOf } from '../config/database-tls.js';
import { connectByPg } from '../config/pg-connect.js';
import type { CommandIo } from './exit-code.js';

/** Without connect_timeout a dead host must still not hang the check. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
/** Servers tried at once: a check must not look like an attack. */
const PARALLEL_MAX = 8;
/** Nobody's name, to ask auth_query by. */
const NOBODY = 'pgdog-cluster check: nobody';

/** Of the user who logged in; one question for all. */
const QUESTION = `SELECT pg_catalog.current_setting('server_version') AS version,
  pg_catalog.pg_is_in_recovery() AS is_replica,
  pg_catalog.current_schema() IS NULL AS has_no_schema,
  pg_catalog.current_setting('search_path') AS search_path,
  pg_catalog.current_setting('max_connections')::int
    - pg_catalog.current_setting('superuser_reserved_connections')::int AS places,
  r.rolconnlimit AS own_places,
  pg_catalog.current_setting('default_transaction_read_only') = 'on' AS is_read_only
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`;

interface ServerFacts {
  version: string;
  is_replica: boolean;
  has_no_schema: boolean;
  search_path: string;
  places: number;
  own_places: number;
  is_read_only: boolean;
}

interface Tried {
  pool: PoolSnapshot;
  isReached: boolean;
  text: string;
  facts: ServerFacts | null;
}

function placeOf(pool: PoolSnapshot): string {
  return `${pool.serverUser}@${serverName(pool)}/${pool.serverDatabase}`;
}

function reasonOf(error: unknown): string {
  const isEmpty = !(error instanceof Error) || error.message === '';
  if (!isEmpty) return (error as Error).message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'no connection';
}

function openServer(
  pool: PoolSnapshot,
  password: string,
  timeoutMs: number,
  tls: TlsSnapshot,
): Promise<Client> {
  const way = {
    host: pool.addresses[0].text,
    tls: pgTlsOf(pool.host, tls.servers[pool.tls]),
    requirePeer: pool.requirePeer,
  };
  return connectByPg(way, {
    port: pool.port,
    database: pool.serverDatabase,
    user: pool.serverUser,
    password,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'pgdog-cluster check',
  });
}

/** Logs in once per known password, as a pool would; what the server says of itself, or why not. */
async function tryServer(pool: PoolSnapshot, timeoutMs: number, tls: TlsSnapshot): Promise<Tried> {
  if (pool.serverPasswords.length === 0 && pool.serverMd5Hashes.length + pool.serverVerifiers.length > 0) {
    return { pool, isReached: true, text: 'not tried: only a hash of the password is known', facts: null };
  }
  const failed = (text: string): Tried => ({ pool, isReached: false, text, facts: null });
  if (pool.addresses.length === 0) return failed('the host name does not resolve');
  let text = '';
  for (const password of pool.serverPasswords.length > 0 ? pool.serverPasswords : ['']) {
    try {
      const client = await openServer(pool, password, timeoutMs, tls);
      try {
        const { rows } = await client.query<ServerFacts>(QUESTION);
        return judge(pool, rows[0]);
      } finally {
        await client.end().catch(() => {});
      }
    } catch (error) {
      text = reasonOf(error);
    }
  }
  return failed(text);
}

/** Is the server what the configuration takes it for? */
function judge(pool: PoolSnapshot, facts: ServerFacts): Tried {
  const is = facts.is_replica ? 'replica' : 'primary';
  const about = `PostgreSQL ${facts.version}, ${is}`;
  // A primary in the place of a replica answers every read.
  const isWrong = pool.role === 'primary' && facts.is_replica;
  const text = isWrong
    ? `${about}, but role = "primary": writes will fail; say "replica", or "auto" on all hosts`
    : about;
  return { pool, isReached: !isWrong, text, facts };
}

function distinctPools(pools: readonly PoolSnapshot[]): PoolSnapshot[] {
  const identity = (pool: PoolSnapshot) => placeOf(pool) + pool.role + JSON.stringify(pool.serverPasswords);
  return [...new Map(pools.map((pool) => [identity(pool), pool])).values()];
}

/** One line per distinct server login, then what does not fit together; true when all is well. */
export async function checkServers(
  loaded: LoadedConfig,
  snapshot: ConfigSnapshot,
  io: CommandIo,
): Promise<boolean> {
  const timeoutMs = snapshot.general.connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT;
  const queue = distinctPools(snapshot.pools);
  const tried: Tried[] = [];
  const work = async () => {
    for (let pool = queue.shift(); pool !== undefined; pool = queue.shift()) {
      const result = await tryServer(pool, timeoutMs, snapshot.tls);
      tried.push(result);
      io.out(`${result.isReached ? 'ok    ' : 'FAILED'} ${placeOf(pool)}: ${result.text}`);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, work));
  for (const text of remarksOn(tried)) io.err(`warning: ${text}`);
  warnOfPlaces(snapshot, tried, io);
  const havePrimaries = checkPrimaries(tried, io);
  const areAsked = await checkAuthQueries(loaded, timeoutMs, io);
  return tried.every(({ isReached }) => isReached) && havePrimaries && areAsked;
}

function remarksOn(tried: readonly Tried[]): string[] {
  const remarks: string[] = [];
  for (const { pool, facts } of tried) {
    if (facts?.has_no_schema === true) {
      remarks.push(
        `${placeOf(pool)}: no schema of search_path (${facts.search_path}) exists and may be used: GRANT USAGE ON SCHEMA …`,
      );
    }
    if (facts?.is_read_only === true && pool.serverParameters.default_transaction_read_only === undefined) {
      remarks.push(`${placeOf(pool)}: default_transaction_read_only is on there: writes will fail`);
    }
  }
  return remarks;
}

/** All pools of a server at their largest, beside what it takes. */
function warnOfPlaces({ pools }: ConfigSnapshot, tried: readonly Tried[], io: CommandIo): void {
  const servers = new Map<string, { wanted: number; places: number }>();
  for (const { pool, facts } of tried) {
    if (facts !== null) servers.set(serverName(pool), { wanted: 0, places: facts.places });
    if (facts !== null && facts.own_places >= 0 && facts.own_places < pool.poolSize) {
      io.err(
        `warning: ${placeOf(pool)}: the role takes ${facts.own_places} connections (CONNECTION LIMIT), the pool may open ${pool.poolSize}`,
      );
    }
  }
  for (const pool of pools) {
    const server = servers.get(serverName(pool));
    if (server !== undefined) server.wanted += pool.poolSize + pool.reservePoolSize;
  }
  for (const [name, { wanted, places }] of servers) {
    if (wanted <= places) continue;
    io.err(
      `warning: ${name}: the pools may open ${wanted} connections together, the server takes ${places}: lower default_pool_size, or set max_db_connections or max_server_conn`,
    );
  }
}

/** Of databases whose hosts find out their roles by themselves. */
function checkPrimaries(tried: readonly Tried[], io: CommandIo): boolean {
  const shards = new Map<string, { primaries: Set<string>; isKnown: boolean }>();
  for (const { pool, facts } of tried) {
    if (pool.role !== 'auto') continue;
    const name = `"${pool.database}" shard ${pool.shard}`;
    const shard = shards.get(name) ?? { primaries: new Set(), isKnown: false };
    shards.set(name, shard);
    if (facts !== null) shard.isKnown = true;
    if (facts?.is_replica === false) shard.primaries.add(serverName(pool));
  }
  let isWell = true;
  for (const [name, { primaries, isKnown }] of shards) {
    if (!isKnown || primaries.size === 1) continue;
    isWell = false;
    io.out(
      primaries.size === 0
        ? `FAILED ${name}: none of its hosts is a primary: there are only reads`
        : `FAILED ${name}: ${[...primaries].join(' and ')} are primaries: they do not replicate each other`,
    );
  }
  return isWell;
}

/** Asks about somebody who does not exist: an empty answer is the right one. */
async function checkAuthQueries(loaded: LoadedConfig, timeoutMs: number, io: CommandIo): Promise<boolean> {
  let isWell = true;
  const asked = new Set<string>();
  for (const { authQuery } of loaded.databases) {
    const target = loaded.databases.find(({ name }) => name === authQuery?.database);
    if (authQuery === null || target === undefined) continue;
    const place = `${authQuery.user}@${target.host}:${target.port}/${target.serverDatabase}: auth_query`;
    if (asked.has(place + authQuery.sql)) continue;
    asked.add(place + authQuery.sql);
    const connection = new AuthQuery({ database: target, query: authQuery, connectTimeoutMs: timeoutMs });
    try {
      await connection.ask(NOBODY);
      io.out(`ok     ${place} answers`);
    } catch (error) {
      isWell = false;
      io.out(`FAILED ${place}: ${reasonOf(error)}`);
    } finally {
      connection.close();
    }
  }
  return isWell;
}
