import { giveBackPlaces } from './client-places.js';
import type { Session } from './session.js';

/**
 * Ends a session, whatever it was doing. Its server connection, if it holds one, is cleaned by the pool;
 * its place in the queue, its names and its slot are free afterwards. `isSpeaking`: what is queued for the client
 * (a FATAL) is still sent.
 */
export function sessionGone(session: Session, reason: string, isSpeaking = false): void {
  if (session.phase === 'closed') return;
  const wasReady = session.phase === 'ready';
  session.phase = 'closed';
  // A frame of which only a part came in cannot be completed: the server waits for its rest for ever.
  const isInsideFrame = session.stream.isInsideFrame;
  session.stream.stop();
  session.rawReader = null;
  session.onServer = null;
  session.onAuthReply = null;
  const { server, pool, context } = session;
  if (session.waitingSinceMs !== 0) pool?.leaveQueue(session);
  if (server !== null) {
    context.slow.left(server);
    server.pool.sessionLeft(server, session, isInsideFrame);
  }
  session.statements.clear();
  session.requests?.extended.forgetPortals();
  context.sessions.remove(session);
  context.holds.forget(session);
  if (session.isAdmin && wasReady) {
    context.tell({ type: 'adminCancel', worker: context.worker, generation: session.id, isGone: true });
  }
  session.router?.shards?.end();
  context.pubSub.forget(session);
  context.arrivals.settled(session);
  giveBackPlaces(session);
  if (isSpeaking) {
    session.connection.closeWhenSent();
    context.linger(session.connection);
  } else session.connection.close();
  session.tap?.gone();
  // A session without a client is a mirror's.
  if (wasReady && session.slot >= 0 && context.config.general.logDisconnections) {
    context.log('info', 'client_disconnected', reason, {
      user: session.user,
      database: session.database,
      addr: session.addr,
      port: session.port,
    });
  }
}
