import { BUILTIN_READS, BUILTIN_WRITES } from './builtin-functions.js';
import { constantOf, nodesOf, type SqlNode } from './sql-node.js';

/** 'ask': no built-in list knows it, the database's catalog may. */
export type FunctionAccess = 'read' | 'write' | 'ask';

/**
 * Settings that a session has for itself, or that all hosts of a database have alike. Others tell about the host
 * that is asked: transaction_read_only is on at every replica.
 */
export const COMMON_SETTINGS: ReadonlySet<string> = new Set(
  (
    'application_name bytea_output client_encoding client_min_messages datestyle default_text_search_config ' +
    'extra_float_digits integer_datetimes intervalstyle is_superuser lc_collate lc_ctype lc_messages lc_monetary ' +
    'lc_numeric lc_time lock_timeout max_identifier_length role row_security search_path server_encoding ' +
    'server_version server_version_num session_authorization standard_conforming_strings statement_timeout ' +
    'timezone work_mem'
  ).split(' '),
);

/** current_setting('app.tenant') reads; asked for a setting that is not known to be alike everywhere, it does not. */
function currentSettingAccess(call: SqlNode | undefined): FunctionAccess {
  const name = nodesOf(call, 'args')[0];
  const constant = name === undefined ? undefined : constantOf(name);
  if (typeof constant !== 'string') return 'write';
  const folded = constant.toLowerCase();
  return folded.includes('.') || COMMON_SETTINGS.has(folded) ? 'read' : 'write';
}

/**
 * @param path the name's parts as in the parse tree: schema (if given), then name; already folded
 * @param call the FuncCall, for the functions whose arguments decide
 */
export function functionAccess(path: readonly string[], call?: SqlNode): FunctionAccess {
  const name = path[path.length - 1] ?? '';
  if (path.length > 2 || (path.length === 2 && path[0] !== 'pg_catalog')) return 'ask';
  if (name === 'current_setting') return currentSettingAccess(call);
  if (BUILTIN_READS.has(name)) return 'read';
  return BUILTIN_WRITES.has(name) || path.length === 2 ? 'write' : 'ask';
}
