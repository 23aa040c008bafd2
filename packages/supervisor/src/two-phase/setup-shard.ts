import type { Client } from 'pg';
import { connectToShard, reasonOf, type ShardSources } from '../catalog/shard-login.js';
import type { ShardIdentity } from './ending.js';
import { codeOf } from './shard-session.js';

/** One shard as `setup` finds it. */
export interface ShardState {
  has_schema: boolean;
  has_transactions: boolean;
  has_shard: boolean;
  may_all_enter: boolean;
  may_all_note: boolean;
  may_all_look: boolean;
  /** The login itself: deletes rows nobody needs any more. */
  may_sweep: boolean;
  is_superuser: boolean;
  prepared_max: number;
}

const relation = (name: string): string =>
  `(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'pgdog' AND c.relname = '${name}')`;

/** Of what is not there every right is missing. */
const STATE = `SELECT s.oid IS NOT NULL AS has_schema, t.oid IS NOT NULL AS has_transactions, i.oid IS NOT NULL AS has_shard,
    coalesce(has_schema_privilege('public', s.oid, 'USAGE'), false) AS may_all_enter,
    coalesce(has_column_privilege('public', t.oid, 'id', 'INSERT') AND has_table_privilege('public', t.oid, 'SELECT'), false) AS may_all_note,
    coalesce(has_table_privilege('public', i.oid, 'SELECT'), false) AS may_all_look,
    coalesce(has_table_privilege(t.oid, 'DELETE') AND has_table_privilege(t.oid, 'SELECT'), false) AS may_sweep,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
    current_setting('max_prepared_transactions')::int AS prepared_max
  FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = 'pgdog') AS oid) s,
    (SELECT ${relation('transactions')} AS oid) t, (SELECT ${relation('shard')} AS oid) i`;

/** `pgdog`, in ASCII. */
const SETUP_LOCK = 0x70_67_64_6f_67;

interface Step {
  isNeeded: (state: ShardState) => boolean;
  sql: string;
  done: string;
}

/**
 * Clients' users write rows, and nobody but the owner deletes them: without its row a transaction that was decided would be
 * rolled back. They do not choose `decided_at` either. Not now(), which is when the transaction began.
 */
const STEPS: readonly Step[] = [
  { isNeeded: (state) => !state.has_schema, sql: 'CREATE SCHEMA pgdog', done: 'schema pgdog' },
  {
    isNeeded: (state) => !state.has_transactions,
    sql: 'CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT clock_timestamp())',
    done: 'table pgdog.transactions',
  },
  {
    isNeeded: (state) => !state.has_shard,
    sql: 'CREATE TABLE pgdog.shard (cluster uuid NOT NULL, number int NOT NULL, count int NOT NULL); CREATE UNIQUE INDEX shard_once ON pgdog.shard ((true))',
    done: 'table pgdog.shard',
  },
  {
    isNeeded: (state) => !state.may_all_enter,
    sql: 'GRANT USAGE ON SCHEMA pgdog TO PUBLIC',
    done: 'USAGE of it for all',
  },
  {
    isNeeded: (state) => !state.may_all_note,
    sql: 'GRANT SELECT, INSERT (id) ON pgdog.transactions TO PUBLIC',
    done: 'INSERT and SELECT for all',
  },
  {
    isNeeded: (state) => !state.may_all_look,
    sql: 'GRANT SELECT ON pgdog.shard TO PUBLIC',
    done: 'SELECT of pgdog.shard for all',
  },
];

const WHAT_IS_NEEDED =
  'the user needs CREATE on the database and must own what is there in schema pgdog: mark such a user with schema_admin = true';

/** A connection of `setup` to one shard. */
export class SetupSession {
  readonly #client: Client;
  readonly shard: number;
  readonly place: string;
  readonly state: ShardState;
  readonly identity: ShardIdentity | null;

  private constructor(
    client: Client,
    shard: number,
    place: string,
    state: ShardState,
    identity: ShardIdentity | null,
  ) {
    this.#client = client;
    this.shard = shard;
    this.place = place;
    this.state = state;
    this.identity = identity;
  }

  static async open(database: string, shard: number, sources: ShardSources): Promise<SetupSession> {
    const { client, place } = await connectToShard(database, shard, sources, {
      applicationName: 'pgdog-cluster setup',
      isForWriting: true,
      greet: async (asked) => {
        await asked.query('SET search_path = pg_catalog, pg_temp');
        // Two at once would name two clusters. Held as long as the connection.
        if (shard === 0) await asked.query(`SELECT pg_advisory_lock(${SETUP_LOCK})`);
        const { rows } = await asked.query('SELECT pg_is_in_recovery() AS is_replica');
        return { isReplica: rows[0].is_replica, greeting: null };
      },
    });
    try {
      const state: ShardState = (await client.query(STATE)).rows[0];
      const identity = state.has_shard
        ? ((await client.query('SELECT cluster::text AS cluster, number, count FROM pgdog.shard')).rows[0] ??
          null)
        : null;
      return new SetupSession(client, shard, place, state, identity);
    } catch (error) {
      await client.end().catch(() => {});
      throw new Error(`shard ${shard} (${place}): ${reasonOf(error)}`);
    }
  }

  close(): Promise<void> {
    return this.#client.end().catch(() => {});
  }

  /** What was missing is there afterwards, or nothing has changed. Answers what was done. */
  async apply(identity: ShardIdentity): Promise<string[]> {
    const steps = STEPS.filter(({ isNeeded }) => isNeeded(this.state));
    const { cluster, number, count } = identity;
    try {
      await this.#client.query('BEGIN READ WRITE');
      for (const { sql } of steps) await this.#client.query(sql);
      const done = steps.map((step) => step.done);
      if (JSON.stringify(this.identity) !== JSON.stringify(identity)) {
        const values = [cluster, number, count];
        const update = 'UPDATE pgdog.shard SET cluster = $1, number = $2, count = $3';
        const insert = 'INSERT INTO pgdog.shard (cluster, number, count) VALUES ($1, $2, $3)';
        await this.#client.query(this.identity === null ? insert : update, values);
        done.push(`it is shard ${number} of ${count}`);
      }
      // To grant what one does not own is a warning only.
      const { rows } = await this.#client.query(STATE);
      const { may_all_enter, may_all_note, may_all_look, may_sweep } = rows[0] as ShardState;
      if (!(may_all_enter && may_all_note && may_all_look && may_sweep)) {
        throw new Error('schema pgdog belongs to another user, who has not granted all rights');
      }
      await this.#client.query('COMMIT');
      return done;
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => {});
      const isRight = !(error instanceof Error && 'code' in error) || codeOf(error) === '42501';
      throw new Error(
        `shard ${this.shard} (${this.place}): ${reasonOf(error)}${isRight ? ` (${WHAT_IS_NEEDED})` : ''}`,
      );
    }
  }
}
