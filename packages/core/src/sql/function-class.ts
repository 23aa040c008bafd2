import { isOfInformationSchema } from './function-access.js';
import { HARMLESS_FUNCTIONS } from './harmless-functions.js';

/** What calling a function may do to the session. */
export type FunctionClass =
  | 'harmless'
  | 'setConfig'
  | 'usesSequence'
  | 'advancesSequence'
  | 'advisoryLock'
  | 'tryAdvisoryLock'
  | 'advisoryUnlock'
  | 'advisoryUnlockAll'
  /** Large objects and NOTIFY: data, and transaction-bound handles; nothing stays in the session. */
  | 'writes'
  /** What it leaves ends with the connection, not before. */
  | 'bindsConnection'
  | 'unknown';

const SPECIAL: ReadonlyMap<string, FunctionClass> = new Map<string, FunctionClass>([
  ['set_config', 'setConfig'],
  // The setting "seed" by another name, for a state that only the server has.
  ['setseed', 'setConfig'],
  ['currval', 'usesSequence'],
  ['lastval', 'usesSequence'],
  ['nextval', 'advancesSequence'],
  ['setval', 'advancesSequence'],
  ['pg_advisory_lock', 'advisoryLock'],
  ['pg_advisory_lock_shared', 'advisoryLock'],
  ['pg_try_advisory_lock', 'tryAdvisoryLock'],
  ['pg_try_advisory_lock_shared', 'tryAdvisoryLock'],
  ['pg_advisory_unlock', 'advisoryUnlock'],
  ['pg_advisory_unlock_shared', 'advisoryUnlock'],
  ['pg_advisory_unlock_all', 'advisoryUnlockAll'],
  ...[
    ...['pg_notify', 'lo_open', 'lo_close', 'lo_creat', 'lo_create', 'lo_export', 'lo_from_bytea', 'lo_get'],
    ...['lo_import', 'lo_lseek', 'lo_lseek64', 'lo_put', 'lo_tell', 'lo_tell64', 'lo_truncate'],
    ...['lo_truncate64', 'lo_unlink', 'loread', 'lowrite'],
  ].map((name): [string, FunctionClass] => [name, 'writes']),
  ...[
    ...['pg_backup_start', 'pg_start_backup', 'pg_create_physical_replication_slot'],
    ...['pg_create_logical_replication_slot', 'pg_copy_physical_replication_slot'],
    ...['pg_copy_logical_replication_slot', 'pg_replication_origin_session_setup'],
    // Of contrib: whoever owns functions of these names gets a connection to himself, nothing worse.
    ...['dblink_connect', 'dblink_connect_u'],
  ].map((name): [string, FunctionClass] => [name, 'bindsConnection']),
]);

/** What Postgres's parser makes of SQL's own function syntax; always qualified with pg_catalog. */
const SYNTAX_FUNCTIONS: ReadonlySet<string> = new Set(
  'xmlexists is_normalized normalize pg_collation_for system_user any_value'.split(' '),
);

/** @param path the name's parts as in the parse tree: schema (if given), then name; already folded */
export function classifyFunction(path: readonly string[]): FunctionClass {
  if (path.length > 2 || path.length === 0) return 'unknown';
  if (SPECIAL.get(path[path.length - 1]) === 'bindsConnection') return 'bindsConnection';
  if (isOfInformationSchema(path)) return 'harmless';
  if (path.length === 2 && path[0] !== 'pg_catalog') return 'unknown';
  const name = path[path.length - 1];
  if (HARMLESS_FUNCTIONS.has(name)) return 'harmless';
  if (path.length === 2 && SYNTAX_FUNCTIONS.has(name)) return 'harmless';
  return SPECIAL.get(name) ?? 'unknown';
}
