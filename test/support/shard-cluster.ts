/** Shards for tests: databases of one real server, and beside them one with all rows, which answers as one Postgres would. */
import pg from 'pg';
import type { TestDriver } from './drivers.js';
import { startPostgres, type TestPostgres } from './embedded-postgres.js';
import { type StartProxyOptions, startProxy, type TestProxy } from './proxy.js';
import type { TomlTable } from './toml-text.js';

/** The logical database of the proxy. */
export const SHOP = 'shop';
const REFERENCE = 'reference';

/** What a commit over several shards needs; `pgdog-cluster setup` makes it. */
export const PGDOG_SCHEMA = `
  CREATE SCHEMA pgdog;
  CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT now());`;

/** Shards as [[databases]] of the proxy. */
export interface ShardEntries {
  readonly entries: (TomlTable & { name: string; host: string; port: number })[];
}

export interface ShardClusterOptions {
  shardCount?: number;
  settings?: Record<string, string>;
  /** Run on every shard and on the reference. */
  schema: string;
  /** Of ICU, by which the databases sort texts; absent: by bytes. */
  locale?: string;
}

export class ShardCluster implements ShardEntries {
  readonly server: TestPostgres;
  readonly shardCount: number;
  readonly #clients = new Map<string, pg.Client>();

  private constructor(server: TestPostgres, shardCount: number) {
    this.server = server;
    this.shardCount = shardCount;
  }

  static async start(options: ShardClusterOptions): Promise<ShardCluster> {
    const { shardCount = 3, settings = {} } = options;
    const server = await startPostgres({
      settings: { max_prepared_transactions: '20', ...settings },
    });
    const cluster = new ShardCluster(server, shardCount);
    try {
      await cluster.fill(options);
    } catch (error) {
      // Nobody else knows of it, and a test's process does not end before its servers.
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  private async fill({ schema, locale }: ShardClusterOptions): Promise<void> {
    const sorts = locale === undefined ? '' : localeClause(locale);
    // Nothing waits for a disk: to copy the files takes half of the time.
    for (const name of this.names)
      await this.server.query(`CREATE DATABASE ${name}${sorts} STRATEGY FILE_COPY`);
    await this.everywhere(schema);
  }

  private get names(): string[] {
    return [...this.shards, REFERENCE];
  }

  get shards(): string[] {
    return Array.from({ length: this.shardCount }, (_, shard) => `shard_${shard}`);
  }

  private async on(
    name: string,
    sql: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<Record<string, unknown>[]> {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = new pg.Client({ connectionString: this.server.url(name) });
      client.on('error', () => this.#clients.delete(name));
      await client.connect();
      this.#clients.set(name, client);
    }
    const result: unknown = await client.query(sql, values);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last as { rows: Record<string, unknown>[] }).rows;
  }

  /** On one shard, past the proxy. */
  shard(shard: number, sql: string | pg.QueryConfig, values?: unknown[]): Promise<Record<string, unknown>[]> {
    return this.on(`shard_${shard}`, sql, values);
  }

  /** On each shard, past the proxy: the rows of all of them. */
  async all(sql: string): Promise<Record<string, unknown>[]> {
    const rows = await Promise.all(this.shards.map((name) => this.on(name, sql)));
    return rows.flat();
  }

  /** On the one server with all rows. */
  reference(sql: string | pg.QueryConfig, values?: unknown[]): Promise<Record<string, unknown>[]> {
    return this.on(REFERENCE, sql, values);
  }

  /** The shard that Postgres's own partitioning by hash would choose, by the reference's table `part_<type>`. */
  async partitionOf(type: string, value: unknown): Promise<number> {
    for (let shard = 0; shard < this.shardCount; shard++) {
      const [row] = await this.reference(
        `SELECT satisfies_hash_partition('part_${type}'::regclass, ${this.shardCount}, ${shard}, $1::${type}) AS is`,
        [value],
      );
      if (row?.is === true) return shard;
    }
    throw new Error('no partition');
  }

  referenceUrl(): string {
    return this.server.url(REFERENCE);
  }

  /** On all shards and the reference alike: schema. */
  async everywhere(sql: string): Promise<void> {
    await Promise.all(this.names.map((name) => this.on(name, sql)));
  }

  get entries(): ShardEntries['entries'] {
    const { host, port } = this.server;
    return this.shards.map((database_name, shard) => ({ name: SHOP, host, port, shard, database_name }));
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) await client.end().catch(() => undefined);
    await this.server.stop();
  }
}

export const localeClause = (locale: string): string =>
  ` TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '${locale}'`;

export interface ShardedProxyOptions extends StartProxyOptions {
  /** [[sharded_tables]] without their database. */
  tables: TomlTable[];
}

export function startShardedProxy(
  { entries }: ShardEntries,
  ioDriver: TestDriver,
  { tables, general, lists, ...options }: ShardedProxyOptions,
): Promise<TestProxy> {
  return startProxy({
    workers: 2,
    ioDriver,
    users: [{ name: 'postgres', password: 'postgres', database: SHOP }],
    databases: entries,
    lists: { sharded_tables: tables.map((table) => ({ database: SHOP, ...table })), ...lists },
    ...options,
    general: { log_connections: false, log_disconnections: false, ...general },
  });
}

/** A connected client of the sharded database. */
export async function shopClient(proxy: TestProxy, options = ''): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: proxy.url(SHOP),
    ...(options === '' ? {} : { options }),
  });
  await client.connect();
  return client;
}
