/** Three embedded Postgres servers with the demo's data, each with one shard. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PostgresServer } from './postgres-server.js';
import { SAMPLE_DATA_VERSION, shardSql } from './sample-data.js';

export const SERVER_COUNT = 3;
/** Superuser and password of the servers, and what clients of the demo log in with. */
export const DEMO_USER = 'postgres';
export const DEMO_PASSWORD = 'postgres';
/** Database on every server that holds the server's part of the rows. */
export const SHARD_DATABASE = 'shard';

/** What a finished data directory says in its marker: made from this data, by this server version's format. */
function marker(): string {
  return `sample data ${SAMPLE_DATA_VERSION}\n`;
}

async function runSql(server: PostgresServer, database: string, statements: string[]): Promise<void> {
  const client = await server.client(database);
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

async function fill(server: PostgresServer, index: number): Promise<void> {
  await runSql(server, 'postgres', [`CREATE DATABASE ${SHARD_DATABASE}`]);
  await runSql(server, SHARD_DATABASE, [shardSql(index, SERVER_COUNT)]);
}

export class EmbeddedCluster {
  readonly servers: PostgresServer[];
  /** True when the data of an earlier start was used. */
  readonly isReused: boolean;

  private constructor(servers: PostgresServer[], isReused: boolean) {
    this.servers = servers;
    this.isReused = isReused;
  }

  /**
   * Starts all servers, each on a free port, from the data of an earlier start where that of all is whole: shards made at
   * different times would not fit each other. Rejects with the first failure, with no server left running.
   */
  static async start(directory: string): Promise<EmbeddedCluster> {
    const reused = await startAll((index) => startAgain(directory, index));
    if (reused !== null) return new EmbeddedCluster(reused, true);
    const fresh = await startAll((index) => startFresh(directory, index));
    return new EmbeddedCluster(fresh ?? [], false);
  }

  /** Stops all servers; their data stays for the next start. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** All or none; null when one gave null. */
async function startAll(
  startOne: (index: number) => Promise<PostgresServer | null>,
): Promise<PostgresServer[] | null> {
  const results = await Promise.allSettled(
    Array.from({ length: SERVER_COUNT }, (_, index) => startOne(index)),
  );
  const started = results.flatMap((result) =>
    result.status === 'fulfilled' && result.value !== null ? [result.value] : [],
  );
  if (started.length === SERVER_COUNT) return started;
  await Promise.all(started.map((server) => server.stop()));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return null;
}

const dataOf = (directory: string, index: number): string => join(directory, `server-${index}`);
const markerOf = (directory: string, index: number): string => join(directory, `server-${index}.done`);

function open(directory: string, index: number): Promise<PostgresServer> {
  return PostgresServer.start({
    dataDirectory: dataOf(directory, index),
    auth: 'scram-sha-256',
    password: DEMO_PASSWORD,
    settings: { cluster_name: `demo_${index}`, max_connections: '60', max_prepared_transactions: '60' },
  });
}

/** null: there is nothing to be used again. */
async function startAgain(directory: string, index: number): Promise<PostgresServer | null> {
  const file = markerOf(directory, index);
  if (!existsSync(file) || readFileSync(file, 'utf8') !== marker()) return null;
  // Made by another major version, or damaged by a power cut (nothing is synced to disk): make it again.
  return open(directory, index).catch(() => null);
}

async function startFresh(directory: string, index: number): Promise<PostgresServer> {
  const file = markerOf(directory, index);
  rmSync(file, { force: true });
  rmSync(dataOf(directory, index), { recursive: true, force: true });
  const server = await open(directory, index);
  try {
    await fill(server, index);
    writeFileSync(file, marker());
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
