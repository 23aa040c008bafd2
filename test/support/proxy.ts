/** The real program as a child process, with generated files: what every integration test talks to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import pg from 'pg';
import { freePort } from 'pgdog-cluster/demo/free-port';
import type { TestDriver } from './drivers.js';
import { PATIENCE_MS } from './patience.js';
import { findSecret, secret } from './secrets.js';
import { type TomlTable, toToml } from './toml-text.js';

export interface ProxyDatabase extends TomlTable {
  name: string;
  host: string;
  port: number;
}

export interface ProxyUser extends TomlTable {
  name: string;
}

export interface StartProxyOptions {
  /** Entries of [[databases]]; a TestPostgres can be spread into one with `databaseOf`. */
  databases?: ProxyDatabase[];
  /** Whole pgdog.toml instead; [general] host, port and workers come from the options below all the same. */
  toml?: string;
  /** pgbouncer.ini instead of both files. */
  ini?: string;
  /** `-d url` instead of files. */
  url?: string;
  users?: ProxyUser[];
  /** Default: a free one. */
  port?: number;
  workers?: number;
  ioDriver?: TestDriver;
  general?: TomlTable;
  /** [tcp] */
  tcp?: TomlTable;
  admin?: TomlTable;
  /** Further tables of pgdog.toml, by name. */
  sections?: Record<string, TomlTable>;
  /** Further lists of tables ([[mirroring]]), by name. */
  lists?: Record<string, TomlTable[]>;
  metrics?: boolean;
  /** Further files beside pgdog.toml, by name. */
  files?: Record<string, string>;
  /** Further arguments of the command line. */
  args?: string[];
  env?: Record<string, string>;
  /** Command in front of Node's, as `sh -c '… exec "$@"' sh`. */
  wrapper?: string[];
  /** Descriptors that the program has as 3, 4, and so on. */
  descriptors?: number[];
  /** Do not wait for the ready line: for tests of start-up errors. */
  isUnready?: boolean;
  startTimeoutMs?: number;
}

export interface TestProxy {
  host: string;
  port: number;
  /** 0 unless asked for with `metrics`. */
  metricsPort: number;
  adminUrl: string;
  pid: number;
  directory: string;
  /** stdout and stderr so far. */
  readonly output: string;
  url(database?: string, user?: string, password?: string): string;
  /** SIGTERM, then SIGKILL when it does not end; gives the exit code. Idempotent. */
  stop(): Promise<number | null>;
  kill(signal?: NodeJS.Signals): void;
  /** Resolves with the exit code. */
  exited: Promise<number | null>;
  /** Rows of one command on the admin database. */
  adminQuery<Row = Record<string, string>>(sql: string): Promise<Row[]>;
  /** Resolves when `text` is in the output. */
  waitForOutput(text: string, timeoutMs?: number): Promise<void>;
  metrics(): Promise<string>;
}

export const ADMIN = { name: 'admin', user: 'admin', password: 'admin' };
const DEFAULT_USER: ProxyUser = { name: 'postgres', password: 'postgres' };
/** Two workers take half a second, and a minute where other suites share the cores. */
const START_TIMEOUT_MS = 180_000;
const OUTPUT_CHARS_MAX = 4_000_000;

/** A [[databases]] entry for a server of `startPostgres`. */
export function databaseOf(server: { host: string; port: number }, settings: TomlTable = {}): ProxyDatabase {
  return { name: 'postgres', host: server.host, port: server.port, ...settings };
}

const programPath = join(
  dirname(createRequire(import.meta.url).resolve('pgdog-cluster/package.json')),
  'bin',
  'pgdog-cluster.js',
);
/** Running programs with their directories. */
const running = new Map<ChildProcess, string>();
process.on('exit', () => {
  for (const [child, directory] of running) {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});

/**
 * A proxy that a failed test has not stopped would keep the file's process, and the suite, until the time of a whole file
 * is over. Behind the tests, and long enough after them that nobody is stopping it.
 */
const LEFT_MS = PATIENCE_MS + 20_000;
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    setTimeout(() => {
      for (const child of running.keys()) child.kill('SIGKILL');
    }, LEFT_MS).unref();
  });
}

function writeFiles(
  directory: string,
  options: StartProxyOptions,
  port: number,
  metricsPort: number,
): string[] {
  const own: Record<string, string | number> = { host: '127.0.0.1', port, workers: options.workers ?? 2 };
  if (options.ioDriver !== undefined) own.io_driver = options.ioDriver;
  if (metricsPort > 0) Object.assign(own, { openmetrics_host: '127.0.0.1', openmetrics_port: metricsPort });
  const general = { ...own, ...options.general };
  const config =
    options.toml ??
    toToml(
      { general, tcp: options.tcp ?? {}, admin: { ...ADMIN, ...options.admin }, ...options.sections },
      { databases: options.databases ?? [], ...options.lists },
    );
  writeFileSync(join(directory, 'pgdog.toml'), config);
  writeFileSync(
    join(directory, 'users.toml'),
    toToml({}, { users: (options.users ?? [DEFAULT_USER]).map(withDatabases) }),
  );
  for (const [name, content] of Object.entries(options.files ?? {})) {
    writeFileSync(join(directory, name), content);
  }
  noteSecrets([...(options.users ?? []), ...(options.databases ?? []), options.general ?? {}]);
  // A test of `host` wants to be heard; --listen would win.
  const where = options.general?.host === undefined ? ['--listen', `127.0.0.1:${port}`] : [];
  const listen = [...where, '--workers', String(general.workers)];
  if (options.url !== undefined) return ['-d', options.url, ...listen];
  if (options.ini !== undefined) {
    const path = join(directory, 'pgbouncer.ini');
    writeFileSync(path, options.ini);
    return ['--pgbouncer-ini', path, ...listen];
  }
  return [
    '-c',
    join(directory, 'pgdog.toml'),
    '-u',
    join(directory, 'users.toml'),
    ...(options.toml === undefined ? [] : listen),
  ];
}

/** Passwords of tables that become files: none of them may be seen again. */
function noteSecrets(tables: readonly TomlTable[]): void {
  for (const table of tables) {
    for (const key of ['password', 'password_hash', 'server_password', 'auth_password', 'passwords']) {
      for (const value of [table[key]].flat()) if (typeof value === 'string') secret(value);
    }
  }
}

/** Users may enter every database unless they say which. */
function withDatabases(user: ProxyUser): ProxyUser {
  const isSaid = ['database', 'databases', 'all_databases'].some((key) => user[key] !== undefined);
  return isSaid ? user : { ...user, all_databases: true };
}

class ProxyProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = '';
  #waiting = new Set<() => void>();

  constructor(
    directory: string,
    args: string[],
    { env = {}, wrapper = [], descriptors = [] }: StartProxyOptions,
  ) {
    const [command, ...rest] = [...wrapper, process.execPath, programPath, ...args];
    this.child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
      env: { ...process.env, PGDOG_TEST_HOOKS: '1', ...env },
    });
    running.set(this.child, directory);
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code) => {
        running.delete(this.child);
        resolve(code);
        this.#wakeAll();
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-OUTPUT_CHARS_MAX);
        this.#wakeAll();
      });
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Rejects with the output when the program ends first or the time is over. */
  waitFor(text: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (failure?: string): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        if (failure === undefined) resolve();
        else reject(new Error(`${failure} while waiting for '${text}'; output:\n${this.output}`));
      };
      const look = (): void => {
        if (this.output.includes(text)) finish();
        else if (!this.isRunning) finish(`the proxy ended (${this.child.signalCode ?? this.child.exitCode})`);
      };
      const timer = setTimeout(() => finish(`${timeoutMs} ms went by`), timeoutMs);
      this.#waiting.add(look);
      look();
    });
  }

  async stop(): Promise<number | null> {
    if (this.isRunning) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}

async function queryOnce<Row>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result: unknown = await client.query(sql);
    return (result as { rows: Row[] }).rows;
  } finally {
    await client.end();
  }
}

export async function startProxy(options: StartProxyOptions): Promise<TestProxy> {
  const directory = mkdtempSync(join(tmpdir(), 'pgdog-proxy-'));
  const port = options.port ?? (await freePort());
  const metricsPort = options.metrics === true ? await freePort() : 0;
  const files = writeFiles(directory, options, port, metricsPort);
  const proxy = new ProxyProcess(directory, [...files, ...(options.args ?? [])], options);
  void proxy.exited.then(() => rmSync(directory, { recursive: true, force: true }));
  const { name, user, password } = { ...ADMIN, ...options.admin };
  const adminUrl = `postgres://${user}:${password}@127.0.0.1:${port}/${name}`;
  if (options.isUnready !== true) {
    try {
      await proxy.waitFor('ready on', options.startTimeoutMs ?? START_TIMEOUT_MS);
    } catch (error) {
      proxy.child.kill('SIGKILL');
      throw error;
    }
  }
  return {
    host: '127.0.0.1',
    port,
    metricsPort,
    adminUrl,
    pid: proxy.child.pid ?? 0,
    directory,
    exited: proxy.exited,
    get output() {
      return proxy.output;
    },
    url: (database = 'postgres', asUser = 'postgres', secret = 'postgres') =>
      `postgres://${asUser}:${secret}@127.0.0.1:${port}/${database}`,
    stop: async () => {
      const code = await proxy.stop();
      const shown = findSecret(proxy.output);
      if (shown !== null) throw new Error(`the proxy's output shows the secret '${shown}'`);
      return code;
    },
    kill: (signal = 'SIGKILL') => void proxy.child.kill(signal),
    adminQuery: <Row>(sql: string) => queryOnce<Row>(adminUrl, sql),
    waitForOutput: (text, timeoutMs = PATIENCE_MS) => proxy.waitFor(text, timeoutMs),
    metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
  };
}
