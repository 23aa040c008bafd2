import { SCRAM_ITERATIONS_MAX } from '@pgdog-cluster/core';
import type { Client, ClientConfig } from 'pg';
import { connectByPg } from '../config/pg-connect.js';
import { type Measurement, QUESTION, readMeasurement, SHORT_QUESTION } from './measurement.js';
import type { ProbeLogin } from './probe-login.js';

export interface ProbeTimeouts {
  connectMs: number;
  queryMs: number;
}

export interface ProbeTerms {
  timeouts: ProbeTimeouts;
  nowMs: () => number;
  signal: AbortSignal;
}

/** Of the server's: not allowed, or no such function. */
const NOT_TO_BE_ASKED = new Set(['42501', '42883', '42P01', '0A000']);

/** A connection to one host on which only health checks run. It is kept open: its end is news too. */
export class ProbeConnection {
  readonly #client: Client;
  readonly #nowMs: () => number;
  #question = QUESTION;
  #isOpen = true;

  private constructor(client: Client, nowMs: () => number) {
    this.#client = client;
    this.#nowMs = nowMs;
  }

  /** Rejects with pg's error. `onEnd`: it was open and has ended by itself. `signal`: not needed any more. */
  static async open(
    host: string,
    login: ProbeLogin,
    { timeouts, nowMs, signal }: ProbeTerms,
    onEnd: () => void,
  ): Promise<ProbeConnection> {
    const { tls, requirePeer } = login;
    const client = await connectByPg({ host, tls, requirePeer }, clientConfig(login, timeouts), (tried) => {
      signal.addEventListener('abort', () => destroy(tried), { once: true });
    });
    const probe = new ProbeConnection(client, nowMs);
    const end = (): void => {
      if (!probe.#isOpen) return;
      probe.#isOpen = false;
      onEnd();
    };
    client.on('error', end);
    client.once('end', end);
    return probe;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Rejects when no answer comes in time, or one that is none; the connection is then of no more use. */
  async measure(): Promise<Measurement> {
    const askedMs = this.#nowMs();
    try {
      const { rows } = await this.#client.query({ text: this.#question, rowMode: 'array' });
      const measurement = readMeasurement(rows[0] as unknown[], askedMs, this.#nowMs());
      if (measurement === null) throw new Error('not an answer of Postgres');
      return measurement;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (this.#question === QUESTION && NOT_TO_BE_ASKED.has(code)) {
        this.#question = SHORT_QUESTION;
        return this.measure();
      }
      throw error;
    }
  }

  /** Idempotent. */
  close(): void {
    this.#isOpen = false;
    destroy(this.#client);
  }
}

/** At once: a host that does not answer does not say farewell either. */
function destroy(client: Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  void client.end().catch(() => {});
  connection.stream.destroy();
}

/** Fixed settings, so that neither the role's nor the database's defaults change the question. */
function clientConfig(
  { port, database, user, password }: ProbeLogin,
  { connectMs, queryMs }: ProbeTimeouts,
): ClientConfig {
  const settings: ClientConfig & { scramMaxIterations: number } = {
    port,
    database,
    user,
    // As a function: an empty text would be replaced by PGPASSWORD.
    password: () => password,
    // A standby refuses every statement of who is serializable by default.
    options: String.raw`-c search_path=pg_catalog -c default_transaction_isolation=read\ committed`,
    application_name: 'pgdog-cluster health',
    client_encoding: 'UTF8',
    connectionTimeoutMillis: connectMs,
    query_timeout: queryMs,
    scramMaxIterations: SCRAM_ITERATIONS_MAX,
  };
  return settings;
}
