/** PgBouncer as a contender: one process, or several that share a port. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { type Started, startChild } from './child.js';
import { onCleanUp } from './clean-up.js';
import type { Contender, Endpoint, Login, Setup } from './endpoint.js';
import { freePort } from './free-port.js';
import { isVersionAtLeast, type Program } from './programs.js';
import type { KeyPairPem } from './self-signed.js';

/** First version with prepared statements in transaction mode. */
const PREPARED_STATEMENTS_SINCE = '1.21';

export function pgbouncer(program: Program, server: Login, processCount: number, key: string): Contender {
  const suffix = processCount > 1 ? ` x${processCount} (so_reuseport)` : '';
  return {
    key,
    label: `PgBouncer ${program.version}${suffix}`,
    version: program.version,
    kind: 'pgbouncer',
    hasPreparedStatements: isVersionAtLeast(program.version, PREPARED_STATEMENTS_SINCE),
    start: (setup) => start(program, server, setup, processCount),
  };
}

async function start(program: Program, server: Login, setup: Setup, processCount: number): Promise<Endpoint> {
  const folder = mkdtempSync(join(tmpdir(), 'pgdog-bench-bouncer-'));
  chmodSync(folder, 0o755);
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const ini = join(folder, 'pgbouncer.ini');
  const users = join(folder, 'userlist.txt');
  writeFileSync(users, `"${server.user}" "${(server.verifier ?? server.password).replaceAll('"', '""')}"\n`);
  const tls = setup.tls === undefined ? [] : writeTls(folder, setup.tls);
  writeFileSync(ini, iniText(program, server, setup, processCount, port, users) + tls.join(''));
  const started: Started[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((one) => one.stop()));
  };
  onCleanUp(stop);
  for (let number = 0; number < processCount; number++) {
    const isReady = (output: string): Promise<boolean> | boolean =>
      output.includes('process up') && accepts(port);
    started.push(await startChild(program.path, [...runAs(), ini], { timeoutMs: 10_000, isReady }));
  }
  const login: Login = { ...server, host: '127.0.0.1', port, hasTls: setup.tls !== undefined };
  // With several processes SHOW would answer for whichever one the kernel picked.
  const admin = processCount === 1 ? { ...login, database: 'pgbouncer' } : null;
  return { login, pids: started.map((one) => one.pid), admin, stop };
}

/** It refuses to be root; the user that the embedded Postgres runs as is there in that case. */
function runAs(): string[] {
  return userInfo().uid === 0 ? ['-u', process.env.BENCH_PGBOUNCER_USER ?? 'postgres'] : [];
}

/** Files that the user it runs as may read, and the settings that name them. */
function writeTls(folder: string, { certificate, privateKey }: KeyPairPem): string[] {
  const files = { cert: join(folder, 'tls.pem'), key: join(folder, 'tls.key') };
  writeFileSync(files.cert, certificate);
  writeFileSync(files.key, privateKey);
  for (const path of Object.values(files)) chmodSync(path, 0o644);
  return [
    'client_tls_sslmode = allow\n',
    `client_tls_cert_file = ${files.cert}\n`,
    `client_tls_key_file = ${files.key}\n`,
  ];
}

/** Values in a connection string of the ini are quoted by single quotes, doubled inside. */
function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function iniText(
  program: Program,
  server: Login,
  setup: Setup,
  processCount: number,
  port: number,
  users: string,
): string {
  const target = `host=${server.host} port=${server.port} user=${quote(server.user)} password=${quote(server.password)}`;
  const lines = [
    '[databases]',
    `${server.database} = ${target} dbname=${quote(server.database)}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    `auth_type = ${setup.auth === 'scram' ? 'scram-sha-256' : 'trust'}`,
    `auth_file = ${users}`,
    `admin_users = ${server.user}`,
    'pool_mode = transaction',
    // Together the processes may open what one would.
    `default_pool_size = ${Math.max(1, Math.floor(setup.poolSize / processCount))}`,
    'max_client_conn = 20000',
    'ignore_startup_parameters = extra_float_digits',
    'log_connections = 0',
    'log_disconnections = 0',
    'log_stats = 0',
  ];
  if (processCount > 1) lines.push('so_reuseport = 1');
  if (isVersionAtLeast(program.version, PREPARED_STATEMENTS_SINCE))
    lines.push('max_prepared_statements = 200');
  return `${lines.join('\n')}\n`;
}

/** True when somebody accepts on the port; "process up" is printed a moment before or after that. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
