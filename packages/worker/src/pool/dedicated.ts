/**
 * Server connections that belong to one session for its whole life (replication). They are claimed in the pool's
 * capacity like any other, their sessions wait in the pool's queue like any other, and they are closed with the session:
 * what they were opened with is of no use to anybody else.
 */
import { buildErrorResponse, CLAIMED, type ErrorFields, type LogCode, PgDogError } from '@pgdog-cluster/core';
import { cancelOnServer } from '../backend/cancel.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { abandonPending } from '../backend/skipped-replies.js';
import type { Session } from '../session/session.js';
import { makeRoom } from './make-room.js';
import { NO_DESCRIPTOR } from './opening.js';
import type { Pool } from './pool.js';

/** Opens connections for the sessions at the head of the queue that need one of their own, while there is room. */
export function serveDedicated(pool: Pool): void {
  const { context } = pool;
  for (let head = pool.waiters.peek(); head !== undefined; head = pool.waiters.peek()) {
    if (head.dedicatedParameters === null || pool.opening.isHeldBack) return;
    const claim = context.memory.capacity.tryClaim(context.worker, pool.index);
    const isClaimed = claim === CLAIMED;
    if (!isClaimed) makeRoom(pool, claim);
    // The one unused for longest gives up its place.
    const idle = isClaimed ? undefined : pool.idle.shift();
    if (!isClaimed && idle === undefined) return;
    pool.waiters.shift();
    context.waitingSessions--;
    if (idle === undefined) openClaimed(pool, head);
    else replaceByDedicated(pool, idle, head);
  }
}

/** A free connection that is in no list is closed, and its place goes to the session, which has left the queue. */
export function replaceByDedicated(pool: Pool, server: ServerConnection, session: Session): void {
  server.heir = session;
  server.state = 'cleaning';
  pool.close(server);
}

/** The server has let go of a connection with an heir. False: the place is to be given back. */
export function openForHeir(pool: Pool, session: Session): boolean {
  if (session.phase === 'closed') return false;
  if (pool.snapshot.addresses.length === 0) {
    session.fail(new PgDogError('server_unreachable', `host name ${pool.snapshot.host} does not resolve`));
    return false;
  }
  openClaimed(pool, session);
  return true;
}

function openClaimed(pool: Pool, session: Session): void {
  const server = pool.opening.openClaimed();
  if (server === null) {
    session.fail(new PgDogError('server_unreachable', NO_DESCRIPTOR));
    return;
  }
  server.dedicatedTo = session;
  pool.attach(server, session);
  server.state = 'connecting';
}

export function dedicatedReady(server: ServerConnection, session: Session): void {
  const { pool } = server;
  pool.row.connected(Math.round((pool.context.nowMs - server.createdMs) * 1000));
  server.state = 'active';
  session.serverAssigned(server);
}

/** The server refused one of several passwords: the session gets another connection, which tries the next. */
export function retryDedicated(server: ServerConnection): void {
  const { pool, dedicatedTo } = server;
  pool.detach(server);
  server.heir = dedicatedTo;
  pool.close(server);
}

/** Nobody was there, or it took too long: says nothing about other connects, so nobody else is told. */
export function dedicatedFailed(server: ServerConnection, error: PgDogError): void {
  const { dedicatedTo, pool } = server;
  logFailure(server, error.code, error.message);
  pool.detach(server);
  pool.close(server);
  dedicatedTo?.fail(error);
}

/** The server's own words: no right to replicate, no entry in pg_hba.conf, no walsender left, a setting it refuses. */
export function dedicatedRefused(server: ServerConnection, fields: ErrorFields): void {
  const { dedicatedTo, pool } = server;
  logFailure(server, 'server_login_failed', fields.message);
  pool.detach(server);
  pool.close(server);
  if (dedicatedTo === null || dedicatedTo.phase === 'closed') return;
  dedicatedTo.send(buildErrorResponse({ ...fields, severity: 'FATAL' }));
  dedicatedTo.closeAfterFatal();
}

function logFailure({ pool, dedicatedTo }: ServerConnection, code: LogCode, message: string): void {
  const { database, serverUser, host, port } = pool.snapshot;
  pool.context.log('warn', code, message, {
    database,
    user: serverUser,
    host,
    port,
    replication: dedicatedTo?.replication ?? 'none',
  });
}

/** The client has gone. `isInsideFrame`: a frame of its was passed on in part. */
export function leaveDedicated(server: ServerConnection, isInsideFrame: boolean): void {
  const { pool, session } = server;
  const isStreaming = session?.isStreaming === true;
  const isConnecting = server.state === 'connecting';
  pool.detach(server);
  // A walsender takes Terminate in the middle of its stream. Any other command would not see it before its end.
  if (isInsideFrame) server.isBatchOpen = true;
  else if (isStreaming) abandonPending(server);
  if (!isConnecting && server.pending.length > 0) cancelOnServer(server);
  pool.close(server);
}
