/**
 * One embedded Postgres server: a data directory made from a template, a process, a way to end both.
 *
 * The process runs in a session of its own, so that Ctrl-C reaches us alone and we decide the order of
 * shutdown. A guard (a one-line shell waiting on a pipe) ends it when this process dies in any other way.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.js';
import { clearLeftovers } from './leftovers.js';
import { type PostgresBinaries, postgresBinaries, type RunAs } from './postgres-binaries.js';

/** How the server wants every TCP client to authenticate; also how it keeps the superuser's password. */
export type ServerAuth = 'trust' | 'password' | 'md5' | 'scram-sha-256';

export interface PostgresServerOptions {
  dataDirectory: string;
  auth: ServerAuth;
  /** Password of the superuser `postgres`. */
  password: string;
  /** Settings for the command line, e.g. `{ max_connections: '50' }`. */
  settings?: Record<string, string>;
  /** Remove the data directory on stop, and when this process dies. */
  isTemporary?: boolean;
}

/**
 * Safe for data that can be made again: nothing waits for a disk. Commits are still handed to the kernel before
 * they are confirmed (synchronous_commit stays on), so that a killed server has them after its restart.
 */
const FAST_SETTINGS: Record<string, string> = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  logging_collector: 'off',
  unix_socket_directories: '',
  log_min_messages: 'warning',
};
/** What a server must not be given by us: no socket file that could be left over, loopback only. */
const FIXED_SETTINGS: Record<string, string> = { listen_addresses: '127.0.0.1' };

const START_TIMEOUT_MS = 20_000;
/** Then a harder signal follows. */
const STOP_TIMEOUT_MS = 1_200;
/** Where none follows: longer than a busy machine takes. */
const KILL_TIMEOUT_MS = 20_000;
const ORPHANS_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS_MAX = 5;
const LOG_BYTES_MAX = 64 * 1024;

/** $1 is the server's process id, $2 the directory to remove or nothing. */
const GUARD_SCRIPT =
  'read -r _; kill -QUIT "$1" 2>/dev/null; n=0; while [ $n -lt 50 ] && kill -0 "$1" 2>/dev/null; do n=$((n+1)); sleep 0.1; done; ' +
  'kill -KILL "$1" 2>/dev/null; [ -n "$2" ] && rm -rf "$2"; exit 0';

const run = promisify(execFile);
const live = new Set<PostgresServer>();

function giveTo(path: string, runAs: RunAs): void {
  if (runAs.uid !== undefined && runAs.gid !== undefined) chownSync(path, runAs.uid, runAs.gid);
}

/** Environment without PG* variables: PGDATA or PGPORT of the user's shell must not leak in. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PG') && !name.startsWith('LC_'),
  );
  return { ...Object.fromEntries(kept), LANG: 'C', LC_ALL: 'C' };
}

/**
 * A fresh cluster to copy, made once per version, user, password kind and password. initdb takes about a
 * second, a copy some 50 ms. Made aside and renamed into place, so that processes starting together never see
 * half of one.
 */
async function template(binaries: PostgresBinaries, auth: ServerAuth, password: string): Promise<string> {
  const { runAs } = binaries;
  const method = auth === 'md5' ? 'md5' : 'scram-sha-256';
  const owner = runAs.uid ?? process.getuid?.() ?? 0;
  const parent = join(tmpdir(), `pgdog-cluster-templates-${owner}`);
  const place = join(parent, `${binaries.version}-${method}-${Buffer.from(password).toString('hex')}`);
  if (existsSync(join(place, 'PG_VERSION'))) return place;
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  giveTo(parent, runAs);
  const suffix = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const fresh = `${place}.${suffix}`;
  const passwordFile = join(parent, `password.${suffix}`);
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  giveTo(passwordFile, runAs);
  const flags = [
    '--username=postgres',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--wal-segsize=4',
    '--no-instructions',
  ];
  try {
    await run(binaries.initdb, ['-D', fresh, `--auth=${method}`, `--pwfile=${passwordFile}`, ...flags], {
      ...runAs,
      cwd: '/',
      env: cleanEnvironment(),
    });
    renameSync(fresh, place);
  } catch (error) {
    // Another process was first: its template is as good as ours.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(join(place, 'PG_VERSION'))) throw error;
  } finally {
    rmSync(passwordFile, { force: true });
  }
  return place;
}

export class PostgresServer {
  readonly host = '127.0.0.1';
  readonly user = 'postgres';
  port = 0;
  readonly password: string;
  readonly dataDirectory: string;
  #options: PostgresServerOptions;
  #binaries: PostgresBinaries;
  #process: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #log = '';

  private constructor(options: PostgresServerOptions) {
    this.#options = options;
    this.#binaries = postgresBinaries();
    this.password = options.password;
    this.dataDirectory = options.dataDirectory;
  }

  /**
   * Makes the data directory unless it exists, clears what a killed run left, and starts the server on a free
   * port. Resolves once it accepts connections; rejects with the end of the server's log.
   */
  static async start(options: PostgresServerOptions): Promise<PostgresServer> {
    const server = new PostgresServer(options);
    await server.#prepareDirectory();
    await server.#launchOnFreePort();
    return server;
  }

  /** The last 64 KB the server logged. */
  get log(): string {
    return this.#log;
  }

  get isRunning(): boolean {
    return (
      this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }

  /** Process id of the postmaster; 0 when it does not run. */
  get pid(): number {
    return this.isRunning ? (this.#process?.pid ?? 0) : 0;
  }

  async #prepareDirectory(): Promise<void> {
    const { dataDirectory, auth } = this.#options;
    if (existsSync(join(dataDirectory, 'PG_VERSION'))) {
      await clearLeftovers(dataDirectory);
      return;
    }
    const source = await template(this.#binaries, auth, this.password);
    rmSync(dataDirectory, { recursive: true, force: true });
    await this.#copyTemplate(source);
    const lines = ['127.0.0.1/32', '::1/128'].flatMap((from) => [
      `host all all ${from} ${auth}`,
      `host replication all ${from} ${auth}`,
    ]);
    lines.push(`local all all ${auth}`);
    const hba = join(dataDirectory, 'pg_hba.conf');
    writeFileSync(hba, `${lines.join('\n')}\n`);
    giveTo(hba, this.#binaries.runAs);
  }

  /** As root the copy is made by the server's own user, which gives every file the right owner in one go. */
  async #copyTemplate(source: string): Promise<void> {
    const { runAs } = this.#binaries;
    const target = this.dataDirectory;
    if (runAs.uid === undefined) {
      cpSync(source, target, { recursive: true });
      return;
    }
    mkdirSync(target, { recursive: true, mode: 0o700 });
    giveTo(target, runAs);
    await run('cp', ['-R', `${source}/.`, target], { ...runAs, cwd: '/' });
  }

  async #launchOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.port = await freePort();
      try {
        await this.#launchBehindOrphans();
        return;
      } catch (error) {
        const isPortRace = this.#log.includes('could not bind');
        if (!isPortRace || attempt === PORT_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Of a server that was killed its processes end by themselves, each when it notices; until then none starts in its place. */
  async #launchBehindOrphans(): Promise<void> {
    const endMs = performance.now() + ORPHANS_TIMEOUT_MS;
    for (;;) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        const isTaken = this.#log.includes('pre-existing shared memory block');
        if (!isTaken || performance.now() > endMs) throw error;
        await sleep(50);
      }
    }
  }

  #launch(): Promise<void> {
    const { runAs, postgres } = this.#binaries;
    const settings = { ...FAST_SETTINGS, ...this.#options.settings, ...FIXED_SETTINGS };
    const encryption = this.#options.auth === 'md5' ? 'md5' : 'scram-sha-256';
    const flags = Object.entries({ password_encryption: encryption, ...settings }).flatMap(
      ([name, value]) => ['-c', `${name}=${value}`],
    );
    this.#log = '';
    const child = spawn(postgres, ['-D', this.dataDirectory, '-p', String(this.port), ...flags], {
      ...runAs,
      cwd: '/',
      env: cleanEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    if (child.pid !== undefined) this.#startGuard(child.pid);
    void this.#exited.then(() => this.#endGuard());
    return this.#untilReady(child);
  }

  #untilReady(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(new Error(`embedded Postgres in ${this.dataDirectory} ${why}\n${this.#log.trim()}`));
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(`was not ready within ${START_TIMEOUT_MS} ms`);
      }, START_TIMEOUT_MS);
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_BYTES_MAX);
        // Level LOG: log_min_messages ranks it above ERROR, so no setting here hides it.
        // A standby says "read-only connections".
        if (!this.#log.includes('database system is ready to accept')) return;
        clearTimeout(timer);
        resolve();
      });
      child.once('error', (error) => fail(`cannot be started: ${error.message}`));
      child.once('exit', (code, signal) => fail(`ended at start with ${signal ?? code}`));
    });
  }

  #startGuard(pid: number): void {
    const remove = this.#options.isTemporary === true ? this.dataDirectory : '';
    const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'sh', String(pid), remove], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guard.on('error', () => undefined);
    guard.stdin?.on('error', () => undefined);
    // Neither the guard nor its pipe may keep a finished program alive.
    guard.unref();
    (guard.stdin as unknown as { unref?: () => void } | null)?.unref?.();
    this.#guard = guard;
    live.add(this);
  }

  #endGuard(): void {
    live.delete(this);
    this.#guard?.kill('SIGKILL');
    this.#guard = undefined;
  }

  /** Fast shutdown (open transactions are rolled back), then harder; removes a temporary directory. Idempotent. */
  async stop(): Promise<void> {
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
      if (!this.isRunning) break;
      await this.#signalAndWait(signal);
    }
    if (this.#options.isTemporary === true) rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  /** Sends a signal to the postmaster and waits for its end; not for long with SIGTERM, upon which it waits for its clients. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.isRunning)
      await this.#signalAndWait(signal, signal === 'SIGTERM' ? STOP_TIMEOUT_MS : KILL_TIMEOUT_MS);
  }

  /** Starts a stopped or killed server again, on the same port. */
  async restart(): Promise<void> {
    if (this.isRunning) await this.#signalAndWait('SIGINT');
    await clearLeftovers(this.dataDirectory);
    await this.#launchBehindOrphans();
  }

  async #signalAndWait(signal: NodeJS.Signals, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    this.#process?.kill(signal);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#exited, timeout]);
    clearTimeout(timer);
  }

  /** A connected client of this server; the caller ends it. */
  async client(database = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({
      host: this.host,
      port: this.port,
      user: this.user,
      password: this.password,
      database,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
}

// The guard would do this too; here it happens before our own exit is seen by whoever waits for us.
process.on('exit', () => {
  for (const server of live) if (server.pid > 0) process.kill(server.pid, 'SIGQUIT');
});
