import { type ConfigSnapshot, type PoolSnapshot, SCRAM_ITERATIONS_MAX } from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import type { Client, ClientConfig } from 'pg';
import { databasePgTls, pgTlsOf } from '../config/database-tls.js';
import { connectByPg, type PgWay } from '../config/pg-connect.js';

/** Without connect_timeout a dead host must still not keep clients waiting for ever. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
const QUERY_TIMEOUT_MS = 30_000;
/** More ways into one host are not tried: each that fails is a line in the server's log. */
const LOGINS_MAX = 6;
const ADDRESSES_MAX = 4;

export interface ShardSources {
  loaded: LoadedConfig;
  snapshot: Pick<ConfigSnapshot, 'pools' | 'tls' | 'general'>;
  /** Entries of one shard, the one to be asked first at the head. */
  inOrder: (hosts: readonly DatabaseEntry[]) => readonly DatabaseEntry[];
}

/** For who has measured nothing. */
export const primariesFirst: ShardSources['inOrder'] = (hosts) =>
  [...hosts].sort((a, b) => Number(a.role !== 'primary') - Number(b.role !== 'primary'));

export interface ShardPurpose<Greeting> {
  /** As the server shows it. */
  applicationName: string;
  /** Only as this user of the server; default: whoever may. */
  user?: string;
  /** Never a replica, whatever is configured. */
  isForWriting?: boolean;
  /** Of one question; default: half a minute. */
  queryTimeoutMs?: number;
  /** First question. A host that turns out to be a replica is left where there is a primary. */
  greet: (client: Client) => Promise<{ isReplica: boolean; greeting: Greeting }>;
}

interface Login {
  way: Omit<PgWay, 'host'>;
  /** Tried in turn; the name itself while it does not resolve. */
  addresses: readonly string[];
  port: number;
  database: string;
  user: string;
  password: string;
}

/** Rejects with what went wrong at the host that was asked last. */
export async function connectToShard<Greeting>(
  name: string,
  shard: number,
  sources: ShardSources,
  purpose: ShardPurpose<Greeting>,
): Promise<{ client: Client; greeting: Greeting; place: string }> {
  const { loaded, inOrder } = sources;
  const hosts = loaded.databases.filter((entry) => entry.name === name && entry.shard === shard);
  const writers = hosts.filter(({ role }) => role !== 'replica');
  const isPrimaryWanted = writers.length > 0 || purpose.isForWriting === true;
  let trouble = 'no host of it is in use';
  for (const entry of inOrder(isPrimaryWanted ? writers : hosts)) {
    const logins = loginsOf(entry, sources, purpose.user).flatMap((login) =>
      login.addresses.map((address) => ({ login, address })),
    );
    const host = `${entry.host}:${entry.port}`;
    trouble = `${host}: no user with a password is configured who could ask it`;
    for (const { login, address } of logins) {
      const place = `${login.user}@${host}/${login.database}`;
      try {
        const { client, isReplica, greeting } = await openBy(login, address, sources, purpose);
        if (!isReplica || !isPrimaryWanted) return { client, greeting, place };
        await client.end().catch(() => {});
        trouble = `${host} is not a primary`;
        break;
      } catch (error) {
        trouble = `${host}: ${reasonOf(error)}`;
      }
    }
  }
  throw new Error(`shard ${shard}: ${trouble}`);
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : 'no connection';
}

/**
 * Users with `schema_admin` first, then whoever has a password in clear, then the user of auth_query, then those of whom
 * the server asks none. The catalog shows the same to all of them.
 */
function loginsOf(entry: DatabaseEntry, { snapshot }: ShardSources, wanted?: string): Login[] {
  const own = snapshot.pools.filter(
    ({ database, shard, host, port }) =>
      database === entry.name && shard === entry.shard && host === entry.host && port === entry.port,
  );
  const ranked = [
    ...own.filter(({ isSchemaAdmin }) => isSchemaAdmin === true),
    ...own.filter(({ isSchemaAdmin }) => isSchemaAdmin !== true),
  ];
  const withPassword = ranked.flatMap((pool) =>
    pool.serverPasswords.map((password) => loginOf(pool, password, snapshot)),
  );
  const needsNone = ranked.filter(
    ({ serverPasswords, serverVerifiers, serverMd5Hashes }) =>
      serverPasswords.length + serverVerifiers.length + serverMd5Hashes.length === 0,
  );
  const logins = [
    ...withPassword,
    ...askingLogin(entry, own),
    ...needsNone.map((pool) => loginOf(pool, '', snapshot)),
  ];
  const seen = new Set<string>();
  const distinct = logins.filter(({ user, password }) => {
    const key = `${user}\0${password}`;
    return (wanted === undefined || user === wanted) && !seen.has(key) && seen.add(key) !== undefined;
  });
  return distinct.slice(0, LOGINS_MAX);
}

function loginOf(pool: PoolSnapshot, password: string, { tls }: ShardSources['snapshot']): Login {
  const { host, port, serverDatabase: database, serverUser: user, requirePeer } = pool;
  return {
    way: { tls: pgTlsOf(host, tls.servers[pool.tls]), requirePeer },
    addresses: addressesOf(host, pool),
    port,
    database,
    user,
    password,
  };
}

/** Whom its peer must be only a pool knows. */
function askingLogin(entry: DatabaseEntry, own: readonly PoolSnapshot[]): Login[] {
  const { authQuery, host, port, serverDatabase: database } = entry;
  const known = own[0];
  const isPeerUnknown = entry.requirePeer !== null && known?.requirePeer === undefined;
  if (authQuery === null || authQuery.password === null || isPeerUnknown) return [];
  const { user, password } = authQuery;
  const way = { tls: databasePgTls(entry), requirePeer: known?.requirePeer };
  return [{ way, addresses: addressesOf(host, known), port, database, user, password: password.reveal() }];
}

function addressesOf(host: string, pool: PoolSnapshot | undefined): string[] {
  const known = pool?.addresses.map(({ text }) => text) ?? [];
  return known.length > 0 ? known.slice(0, ADDRESSES_MAX) : [host];
}

async function openBy<Greeting>(
  { way, port, database, user, password }: Login,
  host: string,
  { snapshot }: ShardSources,
  { applicationName, greet, queryTimeoutMs = QUERY_TIMEOUT_MS }: ShardPurpose<Greeting>,
): Promise<{ client: Client; isReplica: boolean; greeting: Greeting }> {
  const settings: ClientConfig & { scramMaxIterations: number } = {
    port,
    database,
    user,
    // As a function: an empty text would be replaced by PGPASSWORD.
    password: () => password,
    application_name: applicationName,
    client_encoding: 'UTF8',
    connectionTimeoutMillis: snapshot.general.connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT,
    query_timeout: queryTimeoutMs,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  const client = await connectByPg({ ...way, host }, settings);
  try {
    return { client, ...(await greet(client)) };
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}
