import { type ErrorFields, PgDogError } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Session } from '../session/session.js';
import { keepsItsServer } from './leave-host.js';
import type { Pool } from './pool.js';

export function serverFailed(pool: Pool, server: ServerConnection, sqlstate: string, message: string): void {
  const { context } = pool;
  const { host, port, database, hostIndex } = pool.snapshot;
  const fields = { sqlstate, message, host, port, database };
  context.log('warn', 'server_fatal', 'server ended a connection', fields);
  // Shutdown, crash of another of its processes, starting up: evidence about the host.
  if (sqlstate.startsWith('57P')) context.memory.hosts.noteShutdown(context.worker, hostIndex);
  server.isDoomed = true;
}

export function serverOutOfSync(pool: Pool, server: ServerConnection, reason: string): void {
  const { host, port } = pool.snapshot;
  pool.row.outOfSync();
  pool.context.log('error', 'out_of_sync', reason, { host, port });
  if (server.state === 'connecting') {
    pool.opening.failed(server, new PgDogError('server_protocol', reason));
    return;
  }
  const { session } = server;
  const isLost = session === null || server.hasLeft(false) || keepsItsServer(server, session);
  const frames = isLost ? null : server.requestLog.take();
  if (session !== null) pool.detach(server);
  pool.closeCancelled(server);
  if (frames !== null && session !== null && session.requests !== null) {
    // It went wrong before this client's request left: another server connection takes it.
    session.requests.retry(frames);
  } else if (session !== null && session.phase !== 'closed') {
    const text = `server connection is not synchronized: ${reason}`;
    session.fail(new PgDogError('out_of_sync', text), server.stream.isInsideFrame);
  }
}

/** Settings sent ahead of a request were refused: the request must not be believed to have run with them. */
export function synchroniseFailed(server: ServerConnection, session: Session, fields: ErrorFields): void {
  const { pool } = server;
  const text = `a setting of this session could not be applied: ${fields.message}`;
  if (server.session === session) pool.detach(server);
  pool.row.forceClosed();
  pool.closeCancelled(server);
  session.fail(
    new PgDogError('settings_refused', text, { detail: 'The statement may have run without it.' }),
  );
}
