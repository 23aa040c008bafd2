import { PgDogError, parseErrorFields, serverName } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Session } from '../session/session.js';
import type { Pool } from './pool.js';

/**
 * What becomes of a request whose server connection is lost. Nothing of it has left: it is asked elsewhere. It only
 * reads and nothing of its answer has been told: again elsewhere. Null: nobody knows what became of it.
 */
export function framesToRepeat(
  server: ServerConnection,
  session: Session | null,
  isWriteFailure: boolean,
): Uint8Array | null {
  if (session === null || keepsItsServer(server, session)) return null;
  const mayRepeat = session.router?.mayRepeat(server) === true;
  return !server.hasLeft(isWriteFailure) || mayRepeat ? server.requestLog.take() : null;
}

/**
 * What the session asked here before counts for what it asks now (session mode, a pin), and is lost with the server connection:
 * on another one the request would mean something else. Not so of the first that it asks here.
 */
export function keepsItsServer(server: ServerConnection, session: Session): boolean {
  if (server.dedicatedTo !== null) return true;
  return (session.isSessionMode || session.pins !== 0) && server.attachedTurn !== server.requestTurn;
}

/** The host does not answer any more: reads that wait for it are asked of another. */
export function abandonReads(pool: Pool): void {
  for (const server of [...pool.all]) {
    const { session } = server;
    if (server.state !== 'active' || session === null || server.dedicatedTo !== null) continue;
    if (session.requests === null || session.router?.mayRepeat(server) !== true) continue;
    const frames = server.requestLog.take();
    if (frames === null || server.pending.length === 0) continue;
    pool.detach(server);
    pool.row.forceClosed();
    pool.close(server);
    session.requests.retry(frames);
  }
}

/**
 * The host is not the primary any more. What was begun there must not be committed beside the new one: two histories
 * would come of it. So nobody goes on there.
 */
export function dethroned(pool: Pool): void {
  const text = `${serverName(pool.snapshot)} is not the primary any more`;
  for (const server of [...pool.all]) {
    const { session } = server;
    if (server.state === 'connecting' && server.dedicatedTo === null) continue;
    if (session === null) {
      pool.close(server);
      continue;
    }
    const frames = framesToRepeat(server, session, false);
    const isInsideFrame = server.stream.isInsideFrame;
    pool.detach(server);
    pool.row.forceClosed();
    pool.closeCancelled(server);
    if (frames !== null && session.requests !== null) session.requests.retry(frames);
    else session.fail(new PgDogError('server_lost', text), isInsideFrame);
  }
}

/** BEGIN that was sent ahead of its first statement was refused: what follows must not run outside of a transaction. */
export function beginRefused(server: ServerConnection, session: Session, frame: Uint8Array): void {
  const { pool } = server;
  const { message } = parseErrorFields(frame, 5, frame.length);
  if (server.session === session) pool.detach(server);
  pool.row.forceClosed();
  pool.closeCancelled(server);
  session.fail(new PgDogError('server_lost', `the transaction could not be begun: ${message}`));
}
