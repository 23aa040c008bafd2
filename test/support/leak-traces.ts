/** Everything a client can see of what another left on its server connection, as names and values to compare. */
import assert from 'node:assert/strict';
import type { RawClient } from './raw-client.js';
import { firstValue } from './wire.js';

export type Traces = Record<string, string>;

/** Differ from connection to connection by themselves. */
const VOLATILE = ['application_name', 'in_hot_standby', 'is_superuser'];

/** Custom settings are in no view: the names the tests use. */
const CUSTOM = ['app.user_id', 'aaa.accented', 'app.trigger'];

const count = (name: string, from: string): string =>
  `SELECT '${name}', (SELECT count(*)::text FROM ${from})`;
const IN_TEMP = '= pg_my_temp_schema()';

/**
 * The libraries of procedural languages are loaded by whoever is first to use them. A custom setting that was reset
 * stays known to Postgres, with an empty value, until the connection ends: only its value counts.
 */
const TRACES_SQL = `SELECT json_object_agg(name, value) FROM (${[
  `SELECT 'setting ' || name AS name, setting AS value FROM pg_settings
   WHERE name <> ALL ('{${VOLATILE.join(',')}}') AND name NOT LIKE 'plpgsql.%'`,
  ...CUSTOM.map((name) => `SELECT 'setting ${name}', nullif(current_setting('${name}', true), '')`),
  "SELECT 'session_user', session_user::text",
  "SELECT 'current_user', current_user::text",
  "SELECT 'role', current_setting('role')",
  "SELECT 'transaction', concat_ws(' ', current_setting('transaction_isolation'), current_setting('transaction_read_only'))",
  "SELECT 'lock ' || locktype || ' ' || mode, concat_ws(' ', classid, objid, objsubid) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('advisory', 'object', 'userlock')",
  "SELECT 'channel ' || c, '' FROM pg_listening_channels() AS c",
  "SELECT 'cursor ' || name, statement FROM pg_cursors WHERE name <> ''",
  "SELECT 'statement ' || name, statement FROM pg_prepared_statements WHERE name NOT LIKE '\\_\\_pgdog\\_%'",
  count('temporary relations', `pg_class WHERE relnamespace ${IN_TEMP}`),
  count('temporary functions', `pg_proc WHERE pronamespace ${IN_TEMP}`),
  count('temporary types', `pg_type WHERE typnamespace ${IN_TEMP}`),
  count('temporary operators', `pg_operator WHERE oprnamespace ${IN_TEMP}`),
  count('temporary operator families', `pg_opfamily WHERE opfnamespace ${IN_TEMP}`),
  count('temporary conversions', `pg_conversion WHERE connamespace ${IN_TEMP}`),
  count('temporary collations', `pg_collation WHERE collnamespace ${IN_TEMP}`),
  count('temporary statistics', `pg_statistic_ext WHERE stxnamespace ${IN_TEMP}`),
  count('temporary slots', 'pg_replication_slots WHERE temporary AND active_pid = pg_backend_pid()'),
  count('prepared transactions of this connection', "pg_prepared_xacts WHERE gid = 'nobody''s'"),
  "SELECT 'library ' || module_name, '' FROM pg_get_loaded_modules() WHERE module_name = 'auto_explain'",
].join('\nUNION ALL ')}) AS traces`;

/** Asks in one statement; then for the sequences, which can only be asked by name. */
export async function readTraces(client: RawClient): Promise<Traces> {
  const all = JSON.parse((await firstValue(client, TRACES_SQL)) ?? '{}') as Traces;
  const lastval = await client.query('SELECT lastval()');
  return { ...all, lastval: lastval.error?.['C'] ?? `seen: ${lastval.rows[0]?.[0]}` };
}

/** Names whose values differ, each as one readable line. */
export function differencesOf(clean: Traces, now: Traces): string[] {
  const names = new Set([...Object.keys(clean), ...Object.keys(now)]);
  return [...names]
    .filter((name) => (clean[name] ?? null) !== (now[name] ?? null))
    .map((name) => `${name}: ${clean[name] ?? 'none'} became ${now[name] ?? 'none'}`);
}

export function assertClean(clean: Traces, now: Traces, what: string): void {
  assert.deepEqual(differencesOf(clean, now), [], what);
}
