import { SCRAM_ITERATIONS_MAX } from '@pgdog-cluster/core';
import type { Client, ClientConfig, Notification } from 'pg';
import { connectByPg, STAY_WHILE_IDLE } from '../config/pg-connect.js';
import type { ListenTarget } from './listen-target.js';

const QUERY_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
/** LISTENs sent in one query. */
const CHUNK = 100;

/** No time-out of the server's may end it, and no search path of anybody's be in force. */
const OPTIONS = '-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0';

export interface ListeningHandlers {
  onNotification: (notification: { channel: string; processId: number; payload: string }) => void;
  /** Once, after it has been open; not after close(). */
  onLost: (reason: string) => void;
}

/** A name as SQL: whatever is in it, it stays a name. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** One connection to one primary, on which nothing is done but LISTEN. */
export class ListeningConnection {
  readonly #handlers: ListeningHandlers;
  readonly #client: Client;
  #isOver = false;

  private constructor(client: Client, handlers: ListeningHandlers) {
    this.#client = client;
    this.#handlers = handlers;
    client.on('notification', ({ channel, processId, payload }: Notification) => {
      if (!this.#isOver) handlers.onNotification({ channel, processId, payload: payload ?? '' });
    });
  }

  /** Rejects when there is no such connection to be had, or none that would hear anything. */
  static async open(target: ListenTarget, handlers: ListeningHandlers): Promise<ListeningConnection> {
    const client = await connectByPg(target, settingsOf(target));
    const connection = new ListeningConnection(client, handlers);
    let isOpen = false;
    client.on('error', (error: Error) => {
      if (isOpen) connection.#lose(error.message);
    });
    client.once('end', () => {
      if (isOpen) connection.#lose('the server closed it');
    });
    try {
      await connection.check();
      await client.query(STAY_WHILE_IDLE);
      const { rows } = await client.query('SHOW server_encoding');
      if (rows[0].server_encoding === 'SQL_ASCII') {
        throw new Error(
          'the database has no encoding (SQL_ASCII): notifications could not be told unchanged',
        );
      }
    } catch (error) {
      connection.close();
      throw error;
    }
    isOpen = true;
    return connection;
  }

  /** In force when it resolves. */
  async listen(channels: readonly string[]): Promise<void> {
    await this.#each(channels, 'LISTEN');
  }

  async unlisten(channels: readonly string[]): Promise<void> {
    await this.#each(channels, 'UNLISTEN');
  }

  /** Rejects when it does not answer, or its server takes no writes: nobody can notify there. */
  async check(): Promise<void> {
    const { rows } = await this.#client.query('SELECT pg_is_in_recovery() AS is_standby');
    if (rows[0].is_standby) throw new Error('the server is a standby');
  }

  /** Idempotent. */
  close(): void {
    this.#isOver = true;
    void this.#client.end().catch(() => {});
  }

  async #each(channels: readonly string[], verb: string): Promise<void> {
    for (let at = 0; at < channels.length; at += CHUNK) {
      const some = channels.slice(at, at + CHUNK);
      await this.#client.query(some.map((channel) => `${verb} ${quoteIdentifier(channel)}`).join(';'));
    }
  }

  #lose(reason: string): void {
    if (this.#isOver) return;
    this.close();
    this.#handlers.onLost(reason);
  }
}

function settingsOf({ port, database, user, password }: ListenTarget) {
  const settings: ClientConfig & { scramMaxIterations: number } = {
    port,
    database,
    user,
    // As a function: an empty text would be replaced by PGPASSWORD.
    password: () => password,
    options: OPTIONS,
    application_name: 'pgdog-cluster listen',
    client_encoding: 'UTF8',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  return settings;
}
