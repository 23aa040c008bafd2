/** One host of a replication cluster: a real Postgres, the wire in front of it, and what can happen to both. */
import type pg from 'pg';
import { PostgresServer } from 'pgdog-cluster/demo/postgres-server';
import { freezeTree, killTree, thawTree } from './process-tree.js';
import { copyAsStandby, writePrimaryConninfo } from './standby-copy.js';
import { TcpRelay } from './tcp-relay.js';
import { eventually } from './wire.js';

export const REPLICATION_PASSWORD = 'postgres';

const SETTINGS: Record<string, string> = {
  wal_level: 'replica',
  max_wal_senders: '10',
  // Enough for a copy that is made while others write; no slots, which would outlive a dead standby.
  wal_keep_size: '512MB',
  max_connections: '120',
  wal_retrieve_retry_interval: '100ms',
  wal_receiver_status_interval: '1s',
  // Transaction numbers tell whether anything was written; vacuum would take some too.
  autovacuum: 'off',
};

export class ReplicationHost {
  /** cluster_name of the server: what a statement sees of where it ran. */
  readonly name: string;
  readonly server: PostgresServer;
  readonly relay: TcpRelay;
  #direct: pg.Client | undefined;
  #isFrozen = false;

  private constructor(name: string, server: PostgresServer, relay: TcpRelay) {
    this.name = name;
    this.server = server;
    this.relay = relay;
  }

  static async startPrimary(
    name: string,
    directory: string,
    settings: Record<string, string>,
  ): Promise<ReplicationHost> {
    return ReplicationHost.#start(name, directory, settings);
  }

  static async startStandby(
    name: string,
    directory: string,
    primary: ReplicationHost,
    settings: Record<string, string>,
  ): Promise<ReplicationHost> {
    const client = await primary.server.client();
    try {
      const { dataDirectory } = primary.server;
      await copyAsStandby(client, dataDirectory, directory, conninfoOf(primary, name));
    } finally {
      await client.end();
    }
    return ReplicationHost.#start(name, directory, settings);
  }

  static async #start(
    name: string,
    directory: string,
    settings: Record<string, string>,
  ): Promise<ReplicationHost> {
    const server = await PostgresServer.start({
      dataDirectory: directory,
      auth: 'scram-sha-256',
      password: REPLICATION_PASSWORD,
      settings: { ...SETTINGS, ...settings, cluster_name: name },
      isTemporary: true,
    });
    return new ReplicationHost(name, server, await TcpRelay.open(server.port));
  }

  /** Behind the relay's back. */
  get port(): number {
    return this.server.port;
  }

  /** Rows of the last statement, over a direct connection that stays open between calls. */
  async query<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]> {
    if (this.#direct === undefined) {
      const client = await this.server.client();
      this.#direct = client;
      client.once('end', () => {
        if (this.#direct === client) this.#direct = undefined;
      });
    }
    const result: unknown = await this.#direct.query(sql, values);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last as { rows: Row[] }).rows;
  }

  async value(sql: string, values?: unknown[]): Promise<string> {
    const [row = {}] = await this.query(sql, values);
    return String(Object.values(row)[0]);
  }

  /** Sets it for good (null: back to the default) and has it read; for settings that need no restart. */
  async set(setting: string, value: string | null): Promise<void> {
    const how = value === null ? `RESET ${setting}` : `SET ${setting} = '${value.replaceAll("'", "''")}'`;
    await this.query(`ALTER SYSTEM ${how}`);
    await this.query('SELECT pg_reload_conf()');
    if (value === null) return;
    await eventually(`${this.name}: ${setting} = ${value}`, async () => {
      const rows = await this.query<{ applied: boolean }>(
        'SELECT applied FROM pg_file_settings WHERE name = $1 ORDER BY seqno DESC LIMIT 1',
        [setting],
      );
      return rows[0]?.applied === true;
    });
  }

  async isInRecovery(): Promise<boolean> {
    return (await this.value('SELECT pg_is_in_recovery()')) === 'true';
  }

  /** Where the primary writes, or what a standby has replayed. */
  async position(): Promise<bigint> {
    const sql =
      "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::text";
    return BigInt(await this.value(sql));
  }

  /** What a standby has on its disk: the one with the most may be promoted, the others can follow it. */
  async received(): Promise<bigint> {
    return BigInt(await this.value("SELECT (pg_last_wal_receive_lsn() - '0/0')::text"));
  }

  /** Higher after anything that wrote, even what was rolled back or still waits for a standby. */
  async nextTransactionNumber(): Promise<bigint> {
    return BigInt(await this.value('SELECT pg_snapshot_xmax(pg_current_snapshot())::text'));
  }

  /** Transactions that took a number since the server started: the checkpoint at the end of its recovery knows the next one. */
  async writesSinceStart(): Promise<number> {
    return Number(
      await this.value(
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - split_part(next_xid, ':', 2)::bigint FROM pg_control_checkpoint()",
      ),
    );
  }

  async pauseReplay(): Promise<void> {
    await this.query('SELECT pg_wal_replay_pause()');
    await eventually(
      `${this.name} pauses`,
      async () => (await this.value('SELECT pg_get_wal_replay_pause_state()')) === 'paused',
    );
  }

  async resumeReplay(): Promise<void> {
    await this.query('SELECT pg_wal_replay_resume()');
  }

  /** Alive, but no process of it runs. */
  freeze(): void {
    this.#isFrozen = true;
    freezeTree(this.server.pid);
  }

  thaw(): void {
    this.#isFrozen = false;
    thawTree(this.server.pid);
  }

  /** As by loss of power: resolves when every process is gone. */
  async kill(): Promise<void> {
    killTree(this.server.pid);
    await this.server.kill('SIGKILL');
  }

  /** As `pg_ctl stop` does. Resolves when it has ended. */
  async stopFast(): Promise<void> {
    await this.server.kill('SIGINT');
  }

  /** With its own data and on its own port, as whatever it was when it ended. */
  async comeBack(): Promise<void> {
    await this.endDirect();
    await this.server.restart();
  }

  /** Resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.query('SELECT pg_promote(true, 20)');
  }

  /** Streams from another primary from now on. */
  async follow(primary: ReplicationHost): Promise<void> {
    writePrimaryConninfo(this.server.dataDirectory, conninfoOf(primary, this.name));
    await this.query('SELECT pg_reload_conf()');
  }

  async endDirect(): Promise<void> {
    const client = this.#direct;
    this.#direct = undefined;
    await client?.end().catch(() => undefined);
  }

  async stop(): Promise<void> {
    if (this.#isFrozen) this.thaw();
    await this.endDirect();
    this.relay.close();
    await this.server.stop();
  }
}

function conninfoOf(primary: ReplicationHost, name: string): string {
  const { host, port, user, password } = primary.server;
  return `host=${host} port=${port} user=${user} password=${password} application_name=${name}`;
}
