import { PgDogError, parseReplication, type StartupMessage } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/** What the proxy says for itself when it logs in to a server. */
const OWN_PARAMETERS = new Set(['user', 'database', 'replication']);

/**
 * A start-up packet with `replication`: notes what is asked for. Such a session reads no SQL (the commands are not
 * SQL) and gets a server connection of its own, opened with the client's settings. An error when Postgres would
 * refuse the value, or when there is no server behind the name.
 */
export function noteReplication(session: Session, message: StartupMessage): PgDogError | null {
  const value = message.parameters.get('replication');
  if (value === undefined) return null;
  const replication = parseReplication(value);
  if (replication === null) {
    return new PgDogError(
      'invalid_parameter_value',
      `invalid value for parameter "replication": "${value}"`,
      { hint: 'Valid values are: "false", 0, "true", 1, "database".' },
    );
  }
  if (replication === 'none') return null;
  if (session.isAdmin) {
    return new PgDogError('unsupported_startup', 'the admin database has no replication connections');
  }
  session.replication = replication;
  session.dedicatedParameters = [
    ...[...message.parameters].filter(([name]) => !OWN_PARAMETERS.has(name)),
    ['replication', replication === 'logical' ? 'database' : 'true'],
  ];
  if (replication === 'physical') findCluster(session);
  if (session.context.directory.termsOf(session.database)?.tenantColumn === undefined) return null;
  const text = `database "${session.database}" is guarded by [multi_tenant]: replication would show all tenants`;
  return new PgDogError('unsupported_startup', text);
}

/**
 * Physical replication is of a whole cluster: Postgres ignores the database, and programs send none or the word
 * "replication". A name that is not configured will do where all of the user's databases are on one server.
 */
function findCluster(session: Session): void {
  const own = session.context.config.pools.filter(({ user }) => user === session.user);
  if (own.some(({ database }) => database === session.database)) return;
  const first = own.at(0);
  if (first === undefined) return;
  const isOne = own.every(
    ({ host, port, serverUser }) =>
      host === first.host && port === first.port && serverUser === first.serverUser,
  );
  if (isOne) session.database = first.database;
}
