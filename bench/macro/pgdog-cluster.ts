/** pgdog-cluster as a contender, started by its command line as a user would start it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child.js';
import { onCleanUp } from './clean-up.js';
import type { Contender, Endpoint, Login, Setup } from './endpoint.js';
import { freePort } from './free-port.js';

export type IoDriver = 'io_uring' | 'epoll';

/** dist/macro/ is three levels below the repository. */
const COMMAND = join(import.meta.dirname, '../../../packages/supervisor/bin/pgdog-cluster.js');
const ADMIN_PASSWORD = 'bench-admin';

/** Whether it has been built; without it the others are still measured, and the report says what is missing. */
export function isBuilt(): boolean {
  return existsSync(join(import.meta.dirname, '../../../packages/supervisor/dist/main.js'));
}

export function pgdogCluster(
  server: Login,
  version: string,
  driver: IoDriver,
  workerCount: number,
): Contender {
  return {
    key: `ours-${driver}-${workerCount}`,
    label: `pgdog-cluster ${driver}, ${workerCount} worker${workerCount === 1 ? '' : 's'}`,
    version,
    kind: 'ours',
    hasPreparedStatements: true,
    start: (setup) => start(server, driver, workerCount, setup),
  };
}

async function start(server: Login, driver: IoDriver, workerCount: number, setup: Setup): Promise<Endpoint> {
  const folder = mkdtempSync(join(tmpdir(), 'pgdog-bench-ours-'));
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const config = join(folder, 'pgdog.toml');
  const users = join(folder, 'users.toml');
  if (setup.tls !== undefined) {
    writeFileSync(join(folder, 'tls.pem'), setup.tls.certificate);
    writeFileSync(join(folder, 'tls.key'), setup.tls.privateKey, { mode: 0o600 });
  }
  const metricsPort = setup.hasMetrics === true ? await freePort() : undefined;
  writeFileSync(config, configText(server, driver, setup, port, metricsPort));
  // In a file of its own and readable by us alone: it is the real server's password when BENCH_PG_URL names one.
  writeFileSync(users, usersText(server), { mode: 0o600 });
  const args = [COMMAND, '--workers', String(workerCount), '-c', config, '-u', users];
  const isReady = (output: string): boolean => output.includes('ready on');
  const started = await startChild(process.execPath, args, { timeoutMs: 15_000, isReady });
  onCleanUp(started.stop);
  const login: Login = { ...server, host: '127.0.0.1', port, hasTls: setup.tls !== undefined };
  const admin: Login = { ...login, database: 'admin', user: 'admin', password: ADMIN_PASSWORD };
  return { login, pids: [started.pid], admin, metricsPort, stop: started.stop };
}

/** JSON strings are valid TOML basic strings. */
const text = (value: string): string => JSON.stringify(value);

/** Only what must be said: everything else at its default, statistics and parameter tracking included. */
function configText(
  server: Login,
  driver: IoDriver,
  setup: Setup,
  port: number,
  metricsPort: number | undefined,
): string {
  return [
    '[general]',
    'host = "127.0.0.1"',
    `port = ${port}`,
    `default_pool_size = ${setup.poolSize}`,
    'pooler_mode = "transaction"',
    `auth_type = ${text(setup.auth)}`,
    `io_driver = ${text(driver)}`,
    'log_connections = false',
    'log_disconnections = false',
    ...(metricsPort === undefined
      ? []
      : ['openmetrics_host = "127.0.0.1"', `openmetrics_port = ${metricsPort}`]),
    ...(setup.tls === undefined ? [] : ['tls_certificate = "tls.pem"', 'tls_private_key = "tls.key"']),
    ...(setup.standby === undefined ? [] : ['read_write_split = "exclude_primary"']),
    '[admin]',
    `password = ${text(ADMIN_PASSWORD)}`,
    ...(setup.shards === undefined
      ? hostLines(server.database, server, 'primary')
      : shardLines(server, setup.shards)),
    ...(setup.standby === undefined ? [] : hostLines(server.database, setup.standby, 'replica')),
    '',
  ].join('\n');
}

function hostLines(database: string, { host, port }: { host: string; port: number }, role: string): string[] {
  return [
    '[[databases]]',
    `name = ${text(database)}`,
    `host = ${text(host)}`,
    `port = ${port}`,
    `role = ${text(role)}`,
  ];
}

function shardLines(server: Login, { databases, table, column }: NonNullable<Setup['shards']>): string[] {
  const entries = databases.flatMap((name, shard) => [
    ...hostLines(server.database, server, 'primary'),
    `database_name = ${text(name)}`,
    `shard = ${shard}`,
  ]);
  const rule = [`database = ${text(server.database)}`, `name = ${text(table)}`, `column = ${text(column)}`];
  return [...entries, '[[sharded_tables]]', ...rule, 'data_type = "bigint"'];
}

function usersText(server: Login): string {
  return [
    '[[users]]',
    `name = ${text(server.user)}`,
    `database = ${text(server.database)}`,
    `password = ${text(server.password)}`,
    '',
  ].join('\n');
}
