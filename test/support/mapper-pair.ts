/** A client of the sharded database and one of the one server with all rows: what both are asked must be answered alike. */
import assert from 'node:assert/strict';
import pg from 'pg';
import type { TestDriver } from './drivers.js';
import type { TestProxy } from './proxy.js';
import {
  type ShardCluster,
  type ShardedProxyOptions,
  shopClient,
  startShardedProxy,
} from './shard-cluster.js';

export class MapperPair {
  readonly proxy: TestProxy;
  readonly ours: pg.Client;
  readonly theirs: pg.Client;

  private constructor(proxy: TestProxy, ours: pg.Client, theirs: pg.Client) {
    this.proxy = proxy;
    this.ours = ours;
    this.theirs = theirs;
  }

  static async start(
    cluster: ShardCluster,
    driver: TestDriver,
    options: ShardedProxyOptions,
  ): Promise<MapperPair> {
    const proxy = await startShardedProxy(cluster, driver, options);
    const theirs = new pg.Client({ connectionString: cluster.referenceUrl() });
    await theirs.connect();
    return new MapperPair(proxy, await shopClient(proxy), theirs);
  }

  /** @param values of parameters; none at all: a simple query. @returns the rows, which are those of both */
  async same(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
    const [ours, theirs] = await Promise.all(
      [this.ours, this.theirs].map((client) => told(client, sql, values)),
    );
    assert.deepEqual(ours, theirs, sql);
    return ours.rows;
  }

  async stop(): Promise<void> {
    await this.ours.end();
    await this.theirs.end();
    await this.proxy.stop();
  }
}

interface Told {
  readonly code: string;
  readonly commands: string[];
  readonly rows: Record<string, unknown>[];
}

async function told(client: pg.Client, sql: string, values?: unknown[]): Promise<Told> {
  try {
    const result: unknown = await client.query(
      values === undefined ? { text: sql } : ({ text: sql, values, queryMode: 'extended' } as pg.QueryConfig),
    );
    const results = (Array.isArray(result) ? result : [result]) as pg.QueryResult[];
    return {
      code: '',
      commands: results.map(({ command, rowCount }) => `${command} ${rowCount}`),
      rows: results.flatMap(({ rows }) => rows),
    };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    // What is refused here is told with its reason: nothing that is compared may be.
    return { code: code === '0A000' || code === undefined ? message : code, commands: [], rows: [] };
  }
}
