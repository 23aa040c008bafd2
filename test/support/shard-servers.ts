/** Shards that are servers of their own: each can be killed and started again. Their wires can be stopped at a statement. */
import { startPostgres, type TestPostgres } from './embedded-postgres.js';
import { PGDOG_SCHEMA, SHOP, type ShardEntries } from './shard-cluster.js';
import { StatementGate } from './statement-gate.js';

const CLUSTER_ID = '5a6f1fd4-6b0e-4a52-9a55-1d1f0f6f4f11';

/** What `pgdog-cluster setup` makes. */
const setupOf = (shard: number, count: number): string => `
  ${PGDOG_SCHEMA}
  CREATE TABLE pgdog.shard (cluster uuid NOT NULL, number int NOT NULL, count int NOT NULL);
  INSERT INTO pgdog.shard VALUES ('${CLUSTER_ID}', ${shard}, ${count});`;

type Row = Record<string, unknown>;

export class ShardServers {
  readonly servers: readonly TestPostgres[];
  readonly gates: readonly StatementGate[];

  private constructor(servers: readonly TestPostgres[], gates: readonly StatementGate[]) {
    this.servers = servers;
    this.gates = gates;
  }

  static async start(
    schema: string,
    count = 3,
    settings: Record<string, string> = {},
  ): Promise<ShardServers> {
    const servers = await Promise.all(
      Array.from({ length: count }, (_, shard) =>
        startPostgres({
          settings: { max_prepared_transactions: '30', ...settings },
          initSql: `${setupOf(shard, count)}\n${schema}`,
        }),
      ),
    );
    const gates = await Promise.all(servers.map(({ port }) => StatementGate.open(port)));
    return new ShardServers(servers, gates);
  }

  #entries(ports: readonly { port: number }[]): ShardEntries['entries'] {
    return ports.map(({ port }, shard) => ({
      name: SHOP,
      host: '127.0.0.1',
      port,
      shard,
      database_name: 'postgres',
    }));
  }

  /** For a proxy that is connected directly. */
  get direct(): ShardEntries {
    return { entries: this.#entries(this.servers) };
  }

  /** For a proxy whose statements are stopped. */
  get gated(): ShardEntries {
    return { entries: this.#entries(this.gates) };
  }

  /** Past every proxy. */
  shard(shard: number, sql: string, values?: unknown[]): Promise<Row[]> {
    return this.servers[shard].query<Row>(sql, values);
  }

  async all(sql: string): Promise<Row[]> {
    const rows = await Promise.all(this.servers.map((server) => server.query<Row>(sql)));
    return rows.flat();
  }

  /** Names of what is prepared and not ended. */
  async prepared(): Promise<string[]> {
    return (await this.all('SELECT gid FROM pg_prepared_xacts')).map(({ gid }) => String(gid));
  }

  /** All its processes die at once, and what its gate holds is lost with it. */
  async kill(shard: number): Promise<void> {
    await this.servers[shard].kill('SIGQUIT');
    this.gates[shard].cut();
  }

  restart(shard: number): Promise<void> {
    return this.servers[shard].restart();
  }

  async stop(): Promise<void> {
    for (const gate of this.gates) gate.close();
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
