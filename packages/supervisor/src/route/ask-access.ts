import { ACCESS_SQL, AccessKnowledge, type ConfigSnapshot, type PoolSnapshot } from '@pgdog-cluster/core';
import type pg from 'pg';
import { pgTlsOf } from '../config/database-tls.js';
import { connectByPg } from '../config/pg-connect.js';

/** Without connect_timeout a dead host must still not hang the command. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
const QUERY_TIMEOUT_MS = 30_000;

/** What the catalog of the primary says of functions and relations, as the workers ask it. Rejects with what went wrong. */
export async function askAccess(
  snapshot: ConfigSnapshot,
  pools: readonly PoolSnapshot[],
): Promise<AccessKnowledge> {
  let trouble = new Error('no host of this database can be asked: no user with a password is configured');
  for (const pool of pools.filter(({ role }) => role !== 'replica')) {
    for (const password of pool.serverPasswords) {
      try {
        const client = await open(snapshot, pool, password);
        try {
          const { rows } = await client.query('SELECT pg_is_in_recovery() AS is_replica');
          if (rows[0].is_replica !== true) return await ask(client);
          trouble = new Error('no host of this database is a primary now');
        } finally {
          await client.end().catch(() => {});
        }
      } catch (error) {
        trouble = new Error(`${pool.host}:${pool.port}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  throw trouble;
}

function open({ general, tls }: ConfigSnapshot, pool: PoolSnapshot, password: string): Promise<pg.Client> {
  return connectByPg(
    {
      host: pool.addresses[0]?.text ?? pool.host,
      tls: pgTlsOf(pool.host, tls.servers[pool.tls]),
      requirePeer: pool.requirePeer,
    },
    {
      port: pool.port,
      database: pool.serverDatabase,
      user: pool.serverUser,
      password,
      connectionTimeoutMillis: general.connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: 'pgdog-cluster route',
    },
  );
}

async function ask(client: pg.Client): Promise<AccessKnowledge> {
  const sql = `BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp${ACCESS_SQL}; COMMIT`;
  const results = (await client.query({ text: sql, rowMode: 'array' })) as unknown as {
    rows: (string | null)[][];
  }[];
  const knowledge = new AccessKnowledge();
  for (const { rows } of results) for (const row of rows) knowledge.take(row.map((value) => value ?? ''));
  if (!knowledge.isComplete)
    throw new Error('the catalog has more functions and relations than are looked at');
  return knowledge;
}
