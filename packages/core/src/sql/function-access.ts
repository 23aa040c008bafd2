import { BUILTIN_READS, BUILTIN_WRITES } from './builtin-functions.js';
import { constantOf, nodesOf, type SqlNode } from './sql-node.js';

/** 'ask': no built-in list knows it, the database's catalog may. */
export type FunctionAccess = 'read' | 'write' | 'ask';

/**
 * Settings that tell about the host that is asked: transaction_read_only is on at every replica. All others a session
 * has for itself, or all hosts of a database have alike.
 */
export const HOST_SETTINGS: ReadonlySet<string> = new Set(
  (
    'archive_command archive_library archive_mode config_file data_directory external_pid_file hba_file hot_standby ' +
    'hot_standby_feedback ident_file in_hot_standby listen_addresses port primary_conninfo primary_slot_name ' +
    'promote_trigger_file recovery_target recovery_target_action recovery_target_inclusive recovery_target_lsn ' +
    'recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid restore_command ' +
    'synchronous_standby_names synchronized_standby_slots transaction_read_only unix_socket_directories'
  ).split(' '),
);

/** current_setting('app.tenant') reads; which setting a parameter or an expression names is not known. */
function currentSettingAccess(call: SqlNode | undefined): FunctionAccess {
  const name = nodesOf(call, 'args')[0];
  const constant = name === undefined ? undefined : constantOf(name);
  if (typeof constant !== 'string') return 'write';
  return HOST_SETTINGS.has(constant.toLowerCase()) ? 'write' : 'read';
}

/** What the views of information_schema are made of, and drivers call beside them; none is volatile, all read catalogs only. */
export function isOfInformationSchema([schema, name, ...rest]: readonly string[]): boolean {
  return schema === 'information_schema' && name?.startsWith('_pg_') === true && rest.length === 0;
}

/**
 * @param path the name's parts as in the parse tree: schema (if given), then name; already folded
 * @param call the FuncCall, for the functions whose arguments decide
 */
export function functionAccess(path: readonly string[], call?: SqlNode): FunctionAccess {
  const name = path[path.length - 1] ?? '';
  if (isOfInformationSchema(path)) return 'read';
  if (path.length > 2 || (path.length === 2 && path[0] !== 'pg_catalog')) return 'ask';
  if (name === 'current_setting') return currentSettingAccess(call);
  if (BUILTIN_READS.has(name)) return 'read';
  return BUILTIN_WRITES.has(name) || path.length === 2 ? 'write' : 'ask';
}
