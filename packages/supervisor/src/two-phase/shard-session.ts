import type { Client, QueryResult } from 'pg';
import { connectToShard, reasonOf, type ShardSources } from '../catalog/shard-login.js';
import { type Ending, endingOf, type ShardIdentity } from './ending.js';
import { GID_PREFIX } from './gid.js';

/**
 * Decided and done with for so long: then nobody asks about it any more. Workers give a commit up well before (NOTE_LATE_MS in
 * worker/scatter/distributed-transaction).
 */
const ROW_KEPT = '1 hour';
/** Of one statement, so that it ends in time; the next minute has the rest. */
const SWEPT_MAX = 200_000;

/** SQLSTATEs of Postgres. */
const SQLSTATE_LENGTH = 5;
const INSUFFICIENT_PRIVILEGE = '42501';
const UNDEFINED_OBJECT = '42704';
/** Somebody is ending it at this moment. */
const NOT_IN_PREREQUISITE_STATE = '55000';
const SERIALIZATION_FAILURE = '40001';

/** No name of a user's schema stands in for one of the system's, and no setting of the role ends what we do. */
const SETTINGS = `SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; SET lock_timeout = 0;
  SET idle_in_transaction_session_timeout = 0`;

const hasTable = (name: string): string =>
  `EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'pgdog' AND c.relname = '${name}')`;

const FACTS = `SELECT pg_is_in_recovery() AS is_replica, ${hasTable('transactions')} AS has_rows, ${hasTable('shard')} AS has_identity`;

const LIST = `SELECT gid, owner::text AS owner, extract(epoch FROM clock_timestamp() - prepared)::float8 * 1000 AS age_ms
  FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, '${GID_PREFIX}') ORDER BY gid`;

const HOLDERS = `SELECT ((classid::int8 << 32) | objid::int8)::text AS id FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

const SWEEP = `DELETE FROM pgdog.transactions WHERE id IN (SELECT id FROM pgdog.transactions
  WHERE decided_at < now() - interval '${ROW_KEPT}' AND id <> ALL ($1::int8[]) LIMIT ${SWEPT_MAX})`;

export interface PreparedRow {
  gid: string;
  owner: string;
  ageMs: number;
}

/** `gone`: somebody else has ended it. `forbidden`: only its owner or a superuser may. */
export type Finish = 'done' | 'gone' | 'busy' | 'forbidden';

/** To the primary of one shard, for one round of recovery. */
export class ShardSession {
  readonly #client: Client;
  /** `user@host:port/database`. */
  readonly place: string;
  readonly identity: ShardIdentity | null;
  readonly hasRows: boolean;
  onClose: () => void = () => {};

  private constructor(client: Client, place: string, identity: ShardIdentity | null, hasRows: boolean) {
    this.#client = client;
    this.place = place;
    this.identity = identity;
    this.hasRows = hasRows;
  }

  /** Never of a replica: nothing can be ended there. */
  static async open(
    database: string,
    shard: number,
    sources: ShardSources,
    user?: string,
  ): Promise<ShardSession> {
    const { client, greeting, place } = await connectToShard(database, shard, sources, {
      applicationName: 'pgdog-cluster recovery',
      ...(user === undefined ? {} : { user }),
      isForWriting: true,
      greet: async (asked) => {
        await asked.query(SETTINGS);
        const { rows } = await asked.query(FACTS);
        return {
          isReplica: rows[0].is_replica,
          greeting: rows[0] as { has_rows: boolean; has_identity: boolean },
        };
      },
    });
    try {
      const identity = greeting.has_identity ? await readIdentity(client) : null;
      return new ShardSession(client, place, identity, greeting.has_rows);
    } catch (error) {
      await client.end().catch(() => {});
      throw new Error(`shard ${shard}: ${reasonOf(error)}`);
    }
  }

  /** Nothing more is asked of a connection that is lost or does not answer in time. */
  async #ask(text: string, values?: unknown[]): Promise<QueryResult> {
    try {
      return await this.#client.query(text, values);
    } catch (error) {
      if (codeOf(error).length !== SQLSTATE_LENGTH) void this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    this.onClose();
    return this.#client.end().catch(() => {});
  }

  async prepared(): Promise<PreparedRow[]> {
    const { rows } = await this.#ask(LIST);
    return rows.map(({ gid, owner, age_ms }) => ({ gid, owner, ageMs: age_ms }));
  }

  /** Ids somebody is at work on. Takes none of the locks. */
  async held(): Promise<Set<string>> {
    const { rows } = await this.#ask(HOLDERS);
    return new Set(rows.map(({ id }) => id));
  }

  /**
   * On the deciding shard. The row is looked for by a statement of its own: under read committed it has a later snapshot than the
   * lock, and whoever had the lock before is seen. Until `release` the lock is ours where the row is; where none is, its
   * negative is there for good: who is still on the way to decide writes it too, and will not be able to.
   */
  async claim(id: string, ageMs: number): Promise<Ending> {
    await this.#ask('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
    const lock = await this.#ask('SELECT pg_try_advisory_xact_lock($1::int8) AS is_ours', [id]);
    if (lock.rows[0].is_ours !== true) return 'busy';
    const row = await this.#ask(
      'SELECT EXISTS (SELECT FROM pgdog.transactions WHERE id = $1::int8) AS is_there',
      [id],
    );
    const ending = endingOf(row.rows[0].is_there === true, ageMs);
    if (ending === 'rollback') {
      // What a crash could forget would not hold the other back.
      await this.#ask('SET LOCAL synchronous_commit = on');
      await this.#ask('INSERT INTO pgdog.transactions (id) VALUES (-$1::int8) ON CONFLICT DO NOTHING', [id]);
      await this.#ask('COMMIT');
    }
    return ending;
  }

  async release(): Promise<void> {
    await this.#ask('ROLLBACK');
  }

  /** @param gid one that `parseGid` knows: it needs no quoting */
  async finish(ending: 'commit' | 'rollback', gid: string): Promise<Finish> {
    try {
      await this.#ask(`${ending === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED '${gid}'`);
      return 'done';
    } catch (error) {
      const code = codeOf(error);
      if (code === UNDEFINED_OBJECT) return 'gone';
      if (code === NOT_IN_PREREQUISITE_STATE) return 'busy';
      if (code === INSUFFICIENT_PRIVILEGE) return 'forbidden';
      throw error;
    }
  }

  /**
   * From now on no row is seen that comes later. What such rows stand for was prepared before: when all shards are asked
   * only now, and a row's id is not among the answers, nobody will ever ask for the row.
   */
  async beginSweep(): Promise<void> {
    await this.#ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE');
    await this.#ask('SELECT 1');
  }

  /** How many rows went. */
  async sweep(except: readonly string[]): Promise<number> {
    try {
      const { rowCount } = await this.#ask(SWEEP, [except]);
      await this.#ask('COMMIT');
      return rowCount ?? 0;
    } catch (error) {
      await this.#ask('ROLLBACK');
      // Somebody else sweeps.
      if (codeOf(error) === SERIALIZATION_FAILURE) return 0;
      throw error;
    }
  }
}

async function readIdentity(client: Client): Promise<ShardIdentity | null> {
  const { rows } = await client.query('SELECT cluster::text AS cluster, number, count FROM pgdog.shard');
  return rows[0] ?? null;
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
