/**
 * A bank whose clients move money while its primary dies. Every transfer has an id of its own, kept in the same
 * transaction as both updates: whoever does not know what became of a transfer looks for its id before trying again.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import type { ReplicationHost } from './replication-host.js';
import { sleep } from './wire.js';

const ACCOUNT_COUNT = 20;
const BALANCE = 1000;

export const BANK_TABLES = `
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
  INSERT INTO account SELECT n, ${BALANCE} FROM generate_series(1, ${ACCOUNT_COUNT}) AS n;
  CREATE TABLE transfer (id text PRIMARY KEY, source int NOT NULL, target int NOT NULL, amount int NOT NULL);`;

export interface TransferRecord {
  id: string;
  startMs: number;
  /** When the client learnt the outcome. */
  endMs: number;
  /** Empty when COMMIT was acknowledged. */
  error: string;
}

const textOf = (error: unknown): string =>
  error instanceof Error
    ? `${'code' in error ? `${String(error.code)} ` : ''}${error.message}`
    : String(error);

export class Bank {
  readonly attempts: TransferRecord[] = [];
  /** Looks for an id that failed: none of these may happen once the failover is over. */
  readonly checkErrors: string[] = [];
  readonly #acknowledged = new Set<string>();
  #url: string;
  #isOpen = true;
  #tellers: Promise<void>[];

  constructor(url: string, clientCount: number) {
    this.#url = url;
    this.#tellers = Array.from({ length: clientCount }, (_, number) => this.#serve(number));
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size;
  }

  async #serve(teller: number): Promise<void> {
    const connection = new Connection(this.#url);
    for (let number = 0; this.#isOpen; number++) {
      const id = `${teller}-${number}`;
      // Until its outcome is known for certain nothing else is begun.
      while (
        !(await this.#transfer(connection, id, teller + number)) &&
        !(await this.#isDone(connection, id))
      );
      this.#acknowledged.add(id);
      await sleep(2);
    }
    await connection.end();
  }

  /** False: failed, or unknown. */
  async #transfer(connection: Connection, id: string, seed: number): Promise<boolean> {
    const record: TransferRecord = { id, startMs: performance.now(), endMs: 0, error: '' };
    // Always the lower account first, or two of them would wait for each other.
    const source = 1 + (seed % (ACCOUNT_COUNT - 1));
    const target = source + 1;
    const amount = 1 + (seed % 7);
    try {
      const client = await connection.client();
      await client.query('BEGIN');
      await client.query('INSERT INTO transfer VALUES ($1, $2, $3, $4)', [id, source, target, amount]);
      await client.query('UPDATE account SET balance = balance - $1 WHERE id = $2', [amount, source]);
      await client.query('UPDATE account SET balance = balance + $1 WHERE id = $2', [amount, target]);
      await client.query('COMMIT');
    } catch (error) {
      record.error = textOf(error);
      await connection.rollback();
    }
    record.endMs = performance.now();
    this.attempts.push(record);
    return record.error === '';
  }

  async #isDone(connection: Connection, id: string): Promise<boolean> {
    for (;;) {
      try {
        const client = await connection.client();
        const sql = '/* pgdog_role: primary */ SELECT count(*)::int AS n FROM transfer WHERE id = $1';
        const { rows } = await client.query<{ n: number }>(sql, [id]);
        return rows[0].n === 1;
      } catch (error) {
        this.checkErrors.push(textOf(error));
        await connection.rollback();
        await sleep(20);
      }
    }
  }

  /** No transfer is open when it resolves. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#tellers);
  }

  /** Every acknowledged transfer is there, once, and the balances are the sum of all transfers. */
  async verify(primary: ReplicationHost): Promise<void> {
    const rows = await primary.query<{ id: string }>('SELECT id FROM transfer');
    const kept = new Set(rows.map(({ id }) => id));
    assert.deepEqual(
      [...this.#acknowledged].filter((id) => !kept.has(id)),
      [],
      'acknowledged transfers that are lost',
    );
    assert.equal(kept.size, this.#acknowledged.size, 'transfers that nobody was told of');
    const wrong = await primary.query(
      `SELECT a.id, a.balance FROM account AS a WHERE a.balance <> ${BALANCE}
         - (SELECT coalesce(sum(amount), 0) FROM transfer WHERE source = a.id)
         + (SELECT coalesce(sum(amount), 0) FROM transfer WHERE target = a.id)`,
    );
    assert.deepEqual(wrong, [], 'balances that are not the sum of the transfers');
  }
}

/** A client that is made anew when it was lost. */
class Connection {
  #url: string;
  #client: pg.Client | null = null;

  constructor(url: string) {
    this.#url = url;
  }

  async client(): Promise<pg.Client> {
    if (this.#client !== null) return this.#client;
    const client = new pg.Client({ connectionString: this.#url });
    const forget = (): void => {
      if (this.#client === client) this.#client = null;
    };
    client.on('error', forget);
    client.on('end', forget);
    await client.connect();
    this.#client = client;
    return client;
  }

  /** Back to no transaction; a connection that cannot is dropped. */
  async rollback(): Promise<void> {
    await this.#client?.query('ROLLBACK').catch(() => this.end());
  }

  async end(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }
}
