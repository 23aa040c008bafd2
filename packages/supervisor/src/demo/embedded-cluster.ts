/** Three embedded Postgres servers with the demo's data: the shards to come. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PostgresServer } from './postgres-server.js';
import { BANK_SQL, SAMPLE_DATA_VERSION, shopSql } from './sample-data.js';

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
  const parts = [runSql(server, SHARD_DATABASE, [shopSql(`id % ${SERVER_COUNT} = ${index}`)])];
  if (index === 0) parts.push(runSql(server, 'postgres', [shopSql('true'), BANK_SQL]));
  await Promise.all(parts);
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
   * Starts all servers, each on a free port, from the data of an earlier start where that is whole. Rejects
   * with the first failure, with no server left running.
   */
  static async start(directory: string): Promise<EmbeddedCluster> {
    const starts = Array.from({ length: SERVER_COUNT }, (_, index) => startOne(directory, index));
    const results = await Promise.allSettled(starts);
    const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      await Promise.all(started.map(({ server }) => server.stop()));
      throw failure.reason;
    }
    return new EmbeddedCluster(
      started.map(({ server }) => server),
      started.every(({ isReused }) => isReused),
    );
  }

  /** Stops all servers; their data stays for the next start. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

async function startOne(
  directory: string,
  index: number,
): Promise<{ server: PostgresServer; isReused: boolean }> {
  const dataDirectory = join(directory, `server-${index}`);
  const markerFile = join(directory, `server-${index}.done`);
  const open = (): Promise<PostgresServer> =>
    PostgresServer.start({
      dataDirectory,
      auth: 'scram-sha-256',
      password: DEMO_PASSWORD,
      settings: { cluster_name: `demo_${index}`, max_connections: '60', max_prepared_transactions: '60' },
    });
  if (existsSync(markerFile) && readFileSync(markerFile, 'utf8') === marker()) {
    try {
      return { server: await open(), isReused: true };
    } catch {
      // Made by another major version, or damaged by a power cut (nothing is synced to disk): make it again.
    }
  }
  rmSync(markerFile, { force: true });
  rmSync(dataDirectory, { recursive: true, force: true });
  const server = await open();
  try {
    await fill(server, index);
    writeFileSync(markerFile, marker());
    return { server, isReused: false };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
