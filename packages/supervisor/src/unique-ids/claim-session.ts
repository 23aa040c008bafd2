import type { Client, QueryConfig, QueryResult } from 'pg';
import { connectToShard, type ShardSources } from '../catalog/shard-login.js';
import { STAY_WHILE_IDLE } from '../config/pg-connect.js';

/** First half of the keys of our advisory locks, a number of a proxy being the other: 'pgid'. Those of commits have one key of 64 bits. */
const LOCK_CLASS = 0x70676964;
const APPLICATION = 'pgdog-cluster ids';
/** A proxy asks every second; one that has not for so long makes no ids by its claim any more. */
const DEAD_AFTER = '15 seconds';

/** Clients wait for it. */
const ANSWER_MS_MAX = 3_000;

const IS_NUMBER = `l.locktype = 'advisory' AND l.classid = ${LOCK_CLASS} AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

const TAKEN = `SELECT DISTINCT l.objid::int8::float8 AS node FROM pg_locks l WHERE ${IS_NUMBER}`;

const PROOF = `SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS is_replica,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS server_ms`;

const END_DEAD = `SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE ${IS_NUMBER} AND l.granted AND l.objid::int8 = $1 AND a.pid <> pg_backend_pid() AND a.state = 'idle'
    AND a.application_name = '${APPLICATION}' AND clock_timestamp() - a.state_change > interval '${DEAD_AFTER}'`;

/** Where numbers of proxies are claimed: session locks on the first shard of a database. */
export interface ClaimSession {
  readonly place: string;
  /** Whether the number is ours now, for as long as the session lasts. */
  claim(node: number): Promise<boolean>;
  /** Epoch ms of the server, at which the session was there with all it has claimed; rejects where it is not any more. */
  prove(): Promise<number>;
  /** Numbers that somebody has. */
  taken(): Promise<ReadonlySet<number>>;
  /** Ends the session of a proxy that is gone, where the server has not noticed. */
  endDead(node: number): Promise<void>;
  close(): Promise<void>;
}

export async function openClaims(database: string, sources: ShardSources): Promise<ClaimSession> {
  const { client, greeting, place } = await connectToShard(database, 0, sources, {
    applicationName: APPLICATION,
    isForWriting: true,
    greet: async (asked) => {
      await asked.query(
        `SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; ${STAY_WHILE_IDLE}`,
      );
      const { rows } = await asked.query(PROOF);
      return { isReplica: rows[0].is_replica === true, greeting: Number(rows[0].pid) };
    },
  });
  return new PgClaims(client, place, greeting);
}

class PgClaims implements ClaimSession {
  readonly place: string;
  readonly #client: Client;
  readonly #pid: number;
  #isLost = false;

  constructor(client: Client, place: string, pid: number) {
    this.#client = client;
    this.place = place;
    this.#pid = pid;
    client.on('error', () => {
      this.#isLost = true;
    });
  }

  async claim(node: number): Promise<boolean> {
    const text = 'SELECT pg_try_advisory_lock($1::int4, $2::int4) AS is_ours';
    const { rows } = await this.#ask(text, [LOCK_CLASS, node]);
    return rows[0].is_ours === true;
  }

  async prove(): Promise<number> {
    if (this.#isLost) throw new Error(`the connection to ${this.place} is lost`);
    const { rows } = await this.#ask(PROOF);
    // Behind a pooler locks may be left on another connection of its.
    if (rows[0].pid !== this.#pid) throw new Error(`${this.place} is another session than before`);
    if (rows[0].is_replica === true) throw new Error(`${this.place} is not a primary any more`);
    return Number(rows[0].server_ms);
  }

  async taken(): Promise<ReadonlySet<number>> {
    const { rows } = await this.#ask(TAKEN);
    return new Set(rows.map(({ node }) => Number(node)));
  }

  async endDead(node: number): Promise<void> {
    await this.#ask(END_DEAD, [node]).catch(() => {});
  }

  #ask(text: string, values?: unknown[]): Promise<QueryResult> {
    const question: QueryConfig & { query_timeout: number } = { text, values, query_timeout: ANSWER_MS_MAX };
    return this.#client.query(question);
  }

  close(): Promise<void> {
    return this.#client.end().catch(() => {});
  }
}
