/**
 * Writes packages/core/src/sql/builtin-functions.ts from the catalog of the embedded Postgres: which of the functions
 * that every server has may run on a replica. Run `node scripts/bootstrap.mjs build` first.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HARMLESS_FUNCTIONS } from '@pgdog-cluster/core';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const TARGET = join(ROOT, 'packages/core/src/sql/builtin-functions.ts');
const LINE_MAX = 104;

/** VOLATILE only because two calls differ: they neither write nor ask something that a replica answers otherwise. */
const HARMLESS_VOLATILE = [
  'array_sample array_shuffle bernoulli clock_timestamp current_query gen_random_uuid pg_partition_ancestors',
  'pg_partition_tree pg_sleep pg_sleep_for pg_sleep_until random random_normal system timeofday uuidv4 uuidv7',
].flatMap((line) => line.split(' '));

/**
 * Not VOLATILE, and yet the primary's to answer: they fail in recovery, tell about the host or the connection, or
 * read whatever relation their argument names.
 */
const PRIMARY_ONLY = [
  'current_setting',
  'inet_server_addr inet_server_port pg_available_extension_versions pg_available_extensions pg_backend_pid',
  'pg_conf_load_time pg_config pg_current_snapshot pg_current_xact_id pg_current_xact_id_if_assigned pg_cursor',
  'pg_extension_update_paths pg_get_replication_slots pg_is_other_temp_schema pg_listening_channels',
  'pg_my_temp_schema pg_numa_available pg_postmaster_start_time pg_prepared_statement pg_relation_filenode',
  'pg_relation_filepath pg_replication_origin_oid pg_filenode_relation pg_show_all_settings pg_tablespace_databases',
  'pg_tablespace_location pg_walfile_name pg_walfile_name_offset txid_current',
  'txid_current_if_assigned txid_current_snapshot',
].flatMap((line) => line.split(' '));
const PRIMARY_ONLY_PATTERN =
  /^(pg_stat_get_|pg_event_trigger_|binary_upgrade_|fmgr_)|_to_xml(schema|_and_xmlschema)?$/;

/** Functions that no statement can call, or that only implement operators, are left out unless somebody may name them. */
const SQL = `
  SELECT p.proname AS name, bool_or(p.provolatile = 'v') AS "isVolatile", bool_and(
      coalesce(d.description, '') LIKE 'implementation of % operator'
      OR p.prorettype = ANY ('{internal,cstring,trigger,event_trigger,language_handler,index_am_handler,table_am_handler,tsm_handler,fdw_handler}'::regtype[])
      OR p.proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[]) AS "isHidden"
  FROM pg_proc p LEFT JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
  WHERE p.pronamespace = 'pg_catalog'::regnamespace GROUP BY 1 ORDER BY p.proname COLLATE "C"`;

function packed(names) {
  const lines = [];
  let line = '';
  for (const name of names) {
    if (line.length + name.length > LINE_MAX) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? name : ` ${name}`;
  }
  return [...lines, line].map((each) => `  '${each}',`).join('\n');
}

const postgres = await startPostgres();
try {
  const rows = await postgres.query(SQL);
  const [{ version }] = await postgres.query("SELECT current_setting('server_version') AS version");
  const isRead = ({ name, isVolatile }) =>
    isVolatile
      ? HARMLESS_VOLATILE.includes(name)
      : !PRIMARY_ONLY.includes(name) && !PRIMARY_ONLY_PATTERN.test(name);
  const reads = rows.filter(
    (row) =>
      isRead(row) &&
      (!row.isHidden || HARMLESS_FUNCTIONS.has(row.name) || HARMLESS_VOLATILE.includes(row.name)),
  );
  const writes = rows.filter((row) => !isRead(row));
  writeFileSync(
    TARGET,
    `/**
 * Functions of pg_catalog, by name. Made by scripts/print-builtin-functions.mjs from Postgres ${version.split(' ')[0]}; the lists of what
 * is harmless although VOLATILE, and of what is not although STABLE, are there.
 */
const READS: readonly string[] = [
${packed(reads.map(({ name }) => name))}
];
const WRITES: readonly string[] = [
${packed(writes.map(({ name }) => name))}
];

function setOf(lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}

/** May run on a replica, and answer there what they answer on the primary. */
export const BUILTIN_READS: ReadonlySet<string> = setOf(READS);
/** Write, take locks, fail in recovery, or tell about the host they run on. */
export const BUILTIN_WRITES: ReadonlySet<string> = setOf(WRITES);
`,
  );
} finally {
  await postgres.stop();
}
