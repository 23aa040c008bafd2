/** Accounts on shards, for tests of transactions: each begins with a balance of 100. */
import type pg from 'pg';
import { PGDOG_SCHEMA, ShardCluster } from './shard-cluster.js';
import type { TomlTable } from './toml-text.js';
import { eventually } from './wire.js';

const SCHEMA = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
  CREATE TABLE country (code text PRIMARY KEY, name text);
  ${PGDOG_SCHEMA}`;
export const ACCOUNT_TABLES: TomlTable[] = [{ name: 'account', column: 'id', data_type: 'bigint' }];
export const ACCOUNTS = 30;

export class AccountShards {
  readonly cluster: ShardCluster;
  /** One account of each shard. */
  ids: number[] = [];

  private constructor(cluster: ShardCluster) {
    this.cluster = cluster;
  }

  static async start(): Promise<AccountShards> {
    return new AccountShards(await ShardCluster.start({ schema: SCHEMA }));
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }

  /** All anew, by a client of the proxy. */
  async refill(client: pg.Client): Promise<void> {
    const { cluster } = this;
    await cluster.everywhere('TRUNCATE account, country, pgdog.transactions');
    for (let id = 1; id <= ACCOUNTS; id++) await client.query('INSERT INTO account VALUES ($1, 100)', [id]);
    this.ids = [];
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const [row] = await cluster.shard(shard, 'SELECT min(id)::int AS id FROM account');
      this.ids.push(row?.id as number);
    }
  }

  /** Of `ids`, past the proxy. */
  async balances(): Promise<number[]> {
    const rows = await this.cluster.all('SELECT id::int, balance::int FROM account');
    return this.ids.map((id) => rows.find((row) => row.id === id)?.balance as number);
  }

  async total(): Promise<number> {
    const rows = await this.cluster.all('SELECT balance::int AS balance FROM account');
    return rows.reduce((sum, { balance }) => sum + (balance as number), 0);
  }

  /** A commit that is under way goes on without its client. */
  async assertNothingPrepared(): Promise<void> {
    await eventually('nothing is prepared', async () => {
      return (await this.cluster.server.query('SELECT gid FROM pg_prepared_xacts')).length === 0;
    });
  }
}
