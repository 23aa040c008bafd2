/** A real Postgres for a test, on a port and in a directory of its own: 0.2 s to start, gone with the process. */
import { PostgresServer, type ServerAuth } from 'pgdog-cluster/demo/postgres-server';
import { newDataDirectory } from './data-place.js';

export interface StartPostgresOptions {
  settings?: Record<string, string>;
  /** Further roles with login, beside the superuser postgres. */
  users?: { name: string; password?: string; isSuperuser?: boolean }[];
  /** What the server asks of every TCP client; default scram-sha-256. */
  auth?: ServerAuth;
  /** Run once in database postgres, after the users exist. */
  initSql?: string;
}

export interface TestPostgres {
  host: string;
  port: number;
  user: string;
  password: string;
  /** Process id of the postmaster. */
  readonly pid: number;
  url(database?: string): string;
  stop(): Promise<void>;
  /** Signals the postmaster and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and data. */
  restart(): Promise<void>;
  /** Rows of the last statement, over a direct connection that stays open between calls. */
  query<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
}

const PASSWORD = 'postgres';

export async function startPostgres(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  const server = await PostgresServer.start({
    dataDirectory: newDataDirectory(),
    auth: options.auth ?? 'scram-sha-256',
    password: PASSWORD,
    settings: { max_connections: '120', ...options.settings },
    isTemporary: true,
  });
  let direct: Awaited<ReturnType<PostgresServer['client']>> | undefined;
  const query = async <Row>(sql: string, values?: unknown[]): Promise<Row[]> => {
    if (direct === undefined) {
      const client = await server.client();
      direct = client;
      client.once('end', () => {
        if (direct === client) direct = undefined;
      });
    }
    const result: unknown = await direct.query(sql, values);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last as { rows: Row[] }).rows;
  };
  const endDirect = async (): Promise<void> => {
    const client = direct;
    direct = undefined;
    await client?.end().catch(() => undefined);
  };
  try {
    for (const { name, password, isSuperuser } of options.users ?? []) {
      const secret = password === undefined ? '' : ` PASSWORD '${password.replaceAll("'", "''")}'`;
      await query(
        `CREATE ROLE "${name.replaceAll('"', '""')}" LOGIN ${isSuperuser === true ? 'SUPERUSER' : ''}${secret}`,
      );
    }
    if (options.initSql !== undefined) await query(options.initSql);
  } catch (error) {
    // Nobody else knows of it, and a test's process does not end before its servers.
    await endDirect();
    await server.stop();
    throw error;
  }
  return {
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    get pid() {
      return server.pid;
    },
    url: (database = 'postgres') =>
      `postgres://${server.user}:${PASSWORD}@${server.host}:${server.port}/${database}`,
    stop: async () => {
      await endDirect();
      await server.stop();
    },
    kill: (signal = 'SIGKILL') => server.kill(signal),
    restart: async () => {
      await endDirect();
      await server.restart();
    },
    query,
  };
}
