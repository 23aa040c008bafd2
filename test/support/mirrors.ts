/** Databases of one server that are mirrored into one another, and what SHOW MIRRORS says of it. */
import assert from 'node:assert/strict';
import type { TestDriver } from './drivers.js';
import { startPostgres, type TestPostgres } from './embedded-postgres.js';
import { S } from './frames.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from './proxy.js';
import type { RawClient } from './raw-client.js';
import type { TomlTable } from './toml-text.js';
import { clientOf, eventually, run } from './wire.js';

const NAMES = ['src', 'copy', 'second', 'dml', 'ddl', 'none', 'slow'];
const WORKERS = 2;
const FIGURES = ['mirrored_count', 'dropped_count', 'error_count', 'skipped_count', 'failed_count'];

type Row = Record<string, string>;

/** With databases of those names, each with the same tables. */
export async function startMirrorServer(): Promise<TestPostgres> {
  const server = await startPostgres();
  for (const name of NAMES) {
    await server.query(`CREATE DATABASE ${name}`);
    await onServer(
      server,
      name,
      'CREATE TABLE t (id bigserial, x text)',
      'CREATE TABLE one (x int PRIMARY KEY)',
    );
  }
  return server;
}

export async function onServer(
  server: TestPostgres,
  database: string,
  ...statements: string[]
): Promise<void> {
  const client = await clientOf(server, { database });
  await run(client, ...statements);
  await client.end();
}

export async function valuesIn(server: TestPostgres, database: string): Promise<string[]> {
  const client = await clientOf(server, { database });
  const { rows } = await client.query('SELECT x FROM t ORDER BY id');
  await client.end();
  return rows.map(([value]) => String(value));
}

/** Proxied databases of these names lie in `src` of the server, or in what their mirrors are named. */
export function startMirrors(
  server: TestPostgres,
  ioDriver: TestDriver,
  mirrors: TomlTable[],
  options: StartProxyOptions = {},
): Promise<TestProxy> {
  const sources = new Set(mirrors.map(({ source_db }) => String(source_db)));
  const destinations = new Set(mirrors.map(({ destination_db }) => String(destination_db)));
  /** Routed ones have two hosts, which are the same. */
  const of = (name: string, lies: string) => {
    const database_name = lies === 'routed_copy' ? 'copy' : lies;
    const roles = name.startsWith('routed') ? ['primary', 'replica'] : ['primary'];
    return roles.map((role) => {
      const host = role === 'replica' ? 'localhost' : server.host;
      return databaseOf(
        { host, port: server.port },
        {
          name,
          database_name,
          role,
          pool_size: 4 * WORKERS,
          pooler_mode: name === 'own' ? 'session' : 'transaction',
        },
      );
    });
  };
  return startProxy({
    workers: WORKERS,
    ioDriver,
    metrics: true,
    lists: { mirroring: mirrors },
    ...options,
    databases: options.databases ?? [
      ...[...sources].flatMap((name) => of(name, 'src')),
      ...[...destinations].flatMap((name) => of(name, name)),
    ],
    general: { min_pool_size: 0, log_connections: false, log_disconnections: false, ...options.general },
  });
}

/** Runs `body` as a client of a source, on empty tables. */
export async function withClient<T>(
  server: TestPostgres,
  proxy: TestProxy,
  database: string,
  body: (client: RawClient) => Promise<T>,
): Promise<T> {
  for (const name of NAMES) await onServer(server, name, 'TRUNCATE t RESTART IDENTITY', 'TRUNCATE one');
  const client = await clientOf(proxy, { database });
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

/** One batch, which must succeed. */
export async function ask(client: RawClient, ...parts: Buffer[]): Promise<void> {
  client.send(...parts, S());
  const { error } = await client.readUntilReady();
  assert.equal(error, null);
}

/** SHOW MIRRORS of one mirror. */
export async function figuresOf(
  proxy: TestProxy,
  source: string,
  destination: string,
): Promise<Row | undefined> {
  const rows = await proxy.adminQuery<Row>('SHOW MIRRORS');
  return rows.find((row) => row.database === source && row.destination === destination);
}

/** Each of so many units has come to an end of some kind. */
export async function settled(
  proxy: TestProxy,
  source: string,
  destination: string,
  total: number,
): Promise<Row> {
  let row: Row | undefined;
  await eventually(`${total} units from ${source} to ${destination}`, async () => {
    row = await figuresOf(proxy, source, destination);
    const ended = FIGURES.reduce((sum, name) => sum + Number(row?.[name] ?? 0), 0);
    return Number(row?.total_count ?? 0) === total && ended === total;
  });
  return row ?? {};
}

export const countsOf = (row: Row): Record<string, number> =>
  Object.fromEntries(
    FIGURES.filter((name) => Number(row[name]) > 0).map((name) => [name, Number(row[name])]),
  );

/** What SHOW MIRRORS of one proxy counts from one look to the next. */
export class MirrorCounts {
  readonly #proxy: () => TestProxy;
  readonly #totals = new Map<string, number>();
  readonly #known = new Map<string, Record<string, number>>();

  constructor(proxy: () => TestProxy) {
    this.#proxy = proxy;
  }

  /** Units of a source so far, with so many more. */
  add(source: string, count: number): number {
    const total = (this.#totals.get(source) ?? 0) + count;
    this.#totals.set(source, total);
    return total;
  }

  async since(source: string, destination: string, total: number): Promise<Record<string, number>> {
    const key = `${source} ${destination}`;
    const now = countsOf(await settled(this.#proxy(), source, destination, total));
    const last = this.#known.get(key) ?? {};
    this.#known.set(key, now);
    return Object.fromEntries(
      Object.entries(now)
        .map(([name, value]) => [name, value - (last[name] ?? 0)] as const)
        .filter(([, value]) => value > 0),
    );
  }
}
