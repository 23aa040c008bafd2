import { differenceSql, NO_PARAMETERS, type ParameterSet } from '../session/parameter-set.js';
import type { ServerConnection } from './server-connection.js';

/**
 * Everything that one session may have left on a server connection, except prepared statements, whose names
 * are shared. In one Query, hence all or nothing. Sequences' currval and lastval are session state too, and so is
 * the seed of random(), which nothing takes back: it gets a new one that nobody can guess.
 */
const RESET_SQL =
  'RESET SESSION AUTHORIZATION;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_catalog.pg_advisory_unlock_all(),' +
  'pg_catalog.setseed(pg_catalog.hashtext(pg_catalog.gen_random_uuid()::pg_catalog.text)/2147483648.0);' +
  'DISCARD TEMP;DISCARD SEQUENCES';

/** What takes back all that its sessions did, and notes it as done. The caller sends it at once. */
export function takeResetSql(server: ServerConnection): string {
  const sql = resetSql(server);
  server.parameters = NO_PARAMETERS;
  server.isSuspect = false;
  server.isTainted = false;
  return sql;
}

/**
 * The same with nothing noted but the statements, which are gone whatever comes of the rest. Who may have
 * prepared or deallocated some behind our back has made their names worthless.
 */
function resetSql(server: ServerConnection): string {
  if (!server.isTainted) return RESET_SQL;
  server.prepared.clear();
  server.unnamedId = 0;
  return `DEALLOCATE ALL;${RESET_SQL}`;
}

/** Statements that give a server connection exactly these settings, all or none; never empty. */
export function settingsSql(server: ServerConnection, parameters: ParameterSet): string {
  if (!server.isSuspect) return differenceSql(server.parameters, parameters) || 'SELECT 1';
  return `${resetSql(server)};${differenceSql(NO_PARAMETERS, parameters) || 'SELECT 1'}`;
}
