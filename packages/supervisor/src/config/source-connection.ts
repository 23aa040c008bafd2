import { createHash } from 'node:crypto';
import { SCRAM_ITERATIONS_MAX, type ServerTlsSnapshot } from '@pgdog-cluster/core';
import { type ConfigSourceSettings, SourceRows, type SourceTable } from '@pgdog-cluster/core/config';
import type { Client, ClientConfig, QueryArrayConfig, QueryArrayResult } from 'pg';
import { pgTlsOf } from './database-tls.js';
import { connectByPg, STAY_WHILE_IDLE } from './pg-connect.js';
import { resolvePeer } from './resolve-entries.js';

const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
const QUERY_TIMEOUT_MS = 30_000;
/** So many entries are a mistake of the query, or a source that cannot be trusted. */
const ROWS_MAX = 100_000;
const COLUMNS_MAX = 200;
/** Of all that comes over the connection for one look. */
const BYTES_MAX = 64 * 1024 * 1024;
const FETCH_ROWS = 1_000;

/** No search path of anybody's is in force, and the server gives up before we do. */
const OPTIONS = '-c search_path=pg_catalog -c statement_timeout=25000 -c lock_timeout=5000';

/** A name as SQL: whatever is in it, it stays a name. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const OID_BOOL = 16;
const OIDS_NUMBER = new Set([20, 21, 23, 26, 700, 701, 1700]);
/** text[], varchar[], name[], char(n)[]. */
const OIDS_TEXTS = new Set([1009, 1015, 1003, 1014]);

function readNumber(text: string): unknown {
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  // What is beyond exact numbers means "no limit", as in files.
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    return Math.sign(value) * Number.MAX_SAFE_INTEGER;
  return value;
}

/** One connection to the source, outside of all pools: reads its tables, and hears of changes. */
export class SourceConnection {
  readonly #client: Client;
  readonly #settings: ConfigSourceSettings;
  readonly #readTexts: (text: string) => unknown;

  private constructor(client: Client, settings: ConfigSourceSettings, readTexts: (text: string) => unknown) {
    this.#client = client;
    this.#settings = settings;
    this.#readTexts = readTexts;
  }

  /** Rejects with the reason. */
  static async open(
    settings: ConfigSourceSettings,
    tls: ServerTlsSnapshot | undefined,
  ): Promise<SourceConnection> {
    const { entry } = settings;
    const { default: pg } = await import('pg');
    const requirePeer = await resolvePeer(entry);
    const way = { host: entry.host, tls: pgTlsOf(entry.host, tls), requirePeer };
    const client = await connectByPg(way, configOf(settings));
    try {
      await client.query(STAY_WHILE_IDLE);
      return new SourceConnection(
        client,
        settings,
        pg.types.getTypeParser(1009 as never) as (text: string) => unknown,
      );
    } catch (error) {
      void client.end().catch(() => {});
      throw error;
    }
  }

  onNotification(tell: () => void): void {
    this.#client.on('notification', tell);
  }

  /** Once. */
  onLost(tell: (reason: string) => void): void {
    this.#client.once('error', (error: Error) => tell(error.message));
    this.#client.once('end', () => tell('the server closed the connection'));
  }

  /** Rejects on a standby, where nobody can be listened to. */
  async listen(): Promise<void> {
    if (this.#settings.channel !== '') await this.#client.query(`LISTEN ${quoted(this.#settings.channel)}`);
  }

  /** Whether it replays what another one writes. */
  async isStandby(): Promise<boolean> {
    const { rows } = await this.#client.query('SELECT pg_is_in_recovery() AS is_standby');
    return rows[0]?.is_standby === true;
  }

  /** Both tables, of one moment. Rejects with the reason; the connection may be of no use then. */
  async read(nowMs: number): Promise<SourceRows> {
    const { databasesQuery, usersQuery, identity } = this.#settings;
    const isOver = this.#limitBytes();
    try {
      await this.#client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const databases = await this.#readTable('databases_query', databasesQuery);
      const users = await this.#readTable('users_query', usersQuery);
      await this.#client.query('COMMIT');
      const digest = createHash('sha256')
        .update(JSON.stringify([databases, users]))
        .digest('base64');
      return new SourceRows({ databases, users }, { identity, atMs: nowMs, digest });
    } catch (error) {
      if (isOver.value) throw new Error(`more than ${BYTES_MAX} bytes came`);
      await this.#client.query('ROLLBACK').catch(() => {});
      throw error;
    } finally {
      isOver.stop();
    }
  }

  /** Idempotent. */
  close(): void {
    void this.#client.end().catch(() => {});
  }

  /** pg keeps whole messages: who sends one without an end is left in the middle of it. */
  #limitBytes(): { value: boolean; stop: () => void } {
    const { connection } = this.#client as unknown as { connection: { stream: NodeJS.ReadStream } };
    const { stream } = connection;
    const state = { value: false, stop: () => {} };
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= BYTES_MAX) return;
      state.value = true;
      stream.destroy();
    };
    stream.on('data', count);
    state.stop = () => void stream.off('data', count);
    return state;
  }

  async #readTable(name: string, query: string): Promise<SourceTable> {
    const text = query.trim().replace(/;+$/, '');
    if (text === '') return { columns: [], rows: [] };
    try {
      // As one statement of the extended protocol: what is behind a semicolon is an error.
      await this.#ask(`DECLARE pgdog_rows NO SCROLL CURSOR FOR ${text}`);
      const table = await this.#fetchAll();
      await this.#client.query('CLOSE pgdog_rows');
      return table;
    } catch (error) {
      throw new Error(`${name}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async #fetchAll(): Promise<SourceTable> {
    const rows: unknown[][] = [];
    for (;;) {
      const result = await this.#ask(`FETCH FORWARD ${FETCH_ROWS} FROM pgdog_rows`);
      if (result.fields.length > COLUMNS_MAX) throw new Error(`more than ${COLUMNS_MAX} columns`);
      rows.push(...result.rows);
      if (rows.length > ROWS_MAX) throw new Error(`more than ${ROWS_MAX} rows`);
      if (result.rows.length < FETCH_ROWS) return { columns: result.fields.map((one) => one.name), rows };
    }
  }

  #ask(text: string): Promise<QueryArrayResult<unknown[]>> {
    const question: QueryArrayConfig & { queryMode: string } = {
      text,
      rowMode: 'array',
      queryMode: 'extended',
      // pg's own parsers make dates and buffers of what should stay a text.
      types: { getTypeParser: (oid: number) => this.#parserOf(oid) } as QueryArrayConfig['types'],
    };
    return this.#client.query<unknown[]>(question);
  }

  #parserOf(oid: number): (text: string) => unknown {
    if (oid === OID_BOOL) return (text) => text === 't';
    if (OIDS_NUMBER.has(oid)) return readNumber;
    return OIDS_TEXTS.has(oid) ? this.#readTexts : (text) => text;
  }
}

/** In the words of the server only what is about the query: others may have values of rows in them. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!('severity' in error) || !('code' in error)) return error.message;
  const sqlstate = String(error.code);
  return sqlstate.startsWith('42') ? error.message : `the server refuses it (SQLSTATE ${sqlstate})`;
}

function configOf({ entry, connectTimeoutMs }: ConfigSourceSettings) {
  const config: ClientConfig & { scramMaxIterations: number } = {
    port: entry.port,
    database: entry.serverDatabase,
    user: entry.serverUser ?? undefined,
    // As a function: an empty text would be replaced by PGPASSWORD.
    password: () => entry.serverPassword?.reveal() ?? '',
    options: OPTIONS,
    application_name: 'pgdog-cluster configuration',
    client_encoding: 'UTF8',
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT,
    query_timeout: QUERY_TIMEOUT_MS,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  return config;
}
