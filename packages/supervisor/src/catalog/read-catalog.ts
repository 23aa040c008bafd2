import { type ConfigSnapshot, type PoolSnapshot, SCRAM_ITERATIONS_MAX } from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import type { Client, ClientConfig } from 'pg';
import { databasePgTls, pgTlsOf } from '../config/database-tls.js';
import { connectByPg, type PgWay } from '../config/pg-connect.js';
import { CATALOG_ANSWERS, CATALOG_SQL, MARK_SQL } from './catalog-sql.js';
import { type AnswerRows, type RawCatalog, toRawCatalog } from './raw-catalog.js';

/** Without connect_timeout a dead host must still not keep clients waiting for ever. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
const QUERY_TIMEOUT_MS = 30_000;
/** More ways into one host are not tried: each that fails is a line in the server's log. */
const LOGINS_MAX = 6;
const ADDRESSES_MAX = 4;

export interface CatalogSources {
  loaded: LoadedConfig;
  snapshot: Pick<ConfigSnapshot, 'pools' | 'tls' | 'general'>;
  /** Entries of one shard, the one to be asked first at the head. */
  inOrder: (hosts: readonly DatabaseEntry[]) => readonly DatabaseEntry[];
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

/** A connection to one shard, for a few questions. */
export interface ShardConnection {
  /** As long as it is the same, so is what `read` gives. */
  readonly mark: string;
  read(): Promise<RawCatalog>;
  close(): Promise<void>;
}

/** To the primary of the shard, where there is one. Rejects with what went wrong at the host that was asked last. */
export async function openShard(
  name: string,
  shard: number,
  sources: CatalogSources,
): Promise<ShardConnection> {
  const { loaded, inOrder } = sources;
  const hosts = loaded.databases.filter((entry) => entry.name === name && entry.shard === shard);
  const writers = hosts.filter(({ role }) => role !== 'replica');
  let trouble = 'no host of it is in use';
  for (const entry of inOrder(writers.length > 0 ? writers : hosts)) {
    const logins = loginsOf(entry, sources).flatMap((login) =>
      login.addresses.map((address) => ({ login, address })),
    );
    const place = `${entry.host}:${entry.port}`;
    trouble = `${place}: no user with a password is configured who could ask it`;
    for (const { login, address } of logins) {
      try {
        const { isReplica, ...connection } = await openBy(login, address, sources);
        if (!isReplica || writers.length === 0) return connection;
        await connection.close();
        trouble = `${place} is not a primary`;
        break;
      } catch (error) {
        trouble = `${place}: ${reasonOf(error)}`;
      }
    }
  }
  throw new Error(`shard ${shard}: ${trouble}`);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : 'no connection';
}

/**
 * Users with `schema_admin` first, then whoever has a password in clear, then the user of auth_query, then those of whom
 * the server asks none. The catalog shows the same to all of them.
 */
function loginsOf(entry: DatabaseEntry, { snapshot }: CatalogSources): Login[] {
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
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  return distinct.slice(0, LOGINS_MAX);
}

function loginOf(pool: PoolSnapshot, password: string, { tls }: CatalogSources['snapshot']): Login {
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

async function openBy(
  { way, port, database, user, password }: Login,
  host: string,
  { snapshot }: CatalogSources,
): Promise<ShardConnection & { isReplica: boolean }> {
  const settings: ClientConfig & { scramMaxIterations: number } = {
    port,
    database,
    user,
    // As a function: an empty text would be replaced by PGPASSWORD.
    password: () => password,
    application_name: 'pgdog-cluster catalog',
    client_encoding: 'UTF8',
    connectionTimeoutMillis: snapshot.general.connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT,
    query_timeout: QUERY_TIMEOUT_MS,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  const client = await connectByPg({ ...way, host }, settings);
  const close = (): Promise<void> => client.end().catch(() => {});
  try {
    const answers = await ask(client, MARK_SQL);
    const [, , isReplica] = answers[FACTS_PLACE][0];
    return { mark: JSON.stringify(answers), isReplica: isReplica === true, read: () => read(client), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Of the answer in MARK_SQL's. */
const FACTS_PLACE = 4;

async function ask(client: Client, text: string): Promise<AnswerRows[keyof AnswerRows][]> {
  const results = (await client.query({ text, rowMode: 'array' })) as unknown as {
    rows: AnswerRows[keyof AnswerRows];
  }[];
  return results.map(({ rows }) => rows);
}

async function read(client: Client): Promise<RawCatalog> {
  const answers = await ask(client, CATALOG_SQL);
  const entries = CATALOG_ANSWERS.map((answer, index) => [answer, answers[index]] as const);
  return toRawCatalog(Object.fromEntries(entries) as AnswerRows);
}

/** Of every shard, in their order: rejects when one of them does, and leaves none of them open. */
export async function openShards(
  shardCount: number,
  open: (shard: number) => Promise<ShardConnection>,
): Promise<ShardConnection[]> {
  const numbers = Array.from({ length: shardCount }, (_, shard) => shard);
  const settled = await Promise.allSettled(numbers.map((shard) => open(shard)));
  const opened = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed === undefined) return opened;
  await Promise.all(opened.map((connection) => connection.close()));
  throw failed.reason;
}
