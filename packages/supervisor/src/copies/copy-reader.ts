import type { Client } from 'pg';
import { connectToShard, type ShardSources } from '../catalog/shard-login.js';
import { quoteIdentifier } from '../pubsub/listening-connection.js';

/** Rows of a table as one shard has them. */
export interface CopySummary {
  readonly rows: string;
  /** Sum of a hash of each row as text: the order of the rows is each server's own. */
  readonly checksum: string;
}

/** Of one shard. */
export interface CopyReader {
  /** Rejects with what the server said. */
  summary(schema: string, name: string): Promise<CopySummary>;
  close(): Promise<void>;
}

/** A table of many gigabytes is read in it. */
const READ_TIMEOUT_MS = 3_600_000;
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Equal values have one text on all servers, names that a value shows are whole, and nothing of the role's own settings
 * hides rows or ends the reading early.
 */
const SETTINGS = `SET default_transaction_read_only = on; SET search_path = pg_catalog, pg_temp; SET row_security = off;
  SET statement_timeout = ${READ_TIMEOUT_MS}; SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET DateStyle = 'ISO';
  SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex';
  SET xmlbinary = 'base64'; SET lc_monetary = 'C'`;

/** To its primary, where there is one. */
export async function openCopyReader(
  database: string,
  shard: number,
  sources: ShardSources,
): Promise<CopyReader> {
  const { client } = await connectToShard(database, shard, sources, {
    applicationName: 'pgdog-cluster copies',
    queryTimeoutMs: READ_TIMEOUT_MS,
    greet: async (asked) => {
      await asked.query(SETTINGS);
      const { rows } = await asked.query('SELECT pg_is_in_recovery() AS is_replica');
      return { isReplica: rows[0].is_replica === true, greeting: null };
    },
  });
  return {
    summary: (schema, name) => summaryOf(client, schema, name),
    close: () => client.end().catch(() => {}),
  };
}

async function summaryOf(client: Client, schema: string, name: string): Promise<CopySummary> {
  const table = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
  const { rows } = await client.query(
    `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(r::text, 0)::numeric), 0)::text AS checksum FROM ${table} AS r`,
  );
  return rows[0];
}
