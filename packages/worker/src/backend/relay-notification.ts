import { processIdOf, readLength } from '@pgdog-cluster/core';
import { isNews } from '../pubsub/is-news.js';
import { PIN_LISTEN } from '../session/pin-reasons.js';
import type { Relay } from './relay.js';
import type { ServerConnection } from './server-connection.js';

const HEADER_BYTES = 5;

/** NotificationResponse. Only a session that listens there is told: nobody else did since the server connection was reset. */
export function relayNotification(
  relay: Relay,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
): void {
  const { server } = relay;
  const { session } = server;
  if (session === null) return;
  const listener = session.context.pubSub.of(session);
  // A statement of unknown effect may have listened, and nobody has looked yet.
  const isListening = session.isSessionMode || server.isSuspect || (session.pins & PIN_LISTEN) !== 0;
  if (!isListening && (listener === null || listener.returning === null)) return;
  if (listener !== null && !isNews(listener, bytes, start, end)) return;
  nameItself(server, bytes, start + HEADER_BYTES);
  const { hasPassed } = relay;
  relay.pass(bytes, start, end, buffer);
  relay.hasPassed = hasPassed;
}

/**
 * Of its own NOTIFY a client is told by the process id it knows as its own, as on Postgres: clients look at it to pass over what they
 * have said themselves. Those of others stay the server's.
 */
function nameItself(server: ServerConnection, bytes: Uint8Array, at: number): void {
  const { session, remotePid, context } = server;
  if (session === null || session.isLeg || readLength(bytes, at) !== remotePid) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setInt32(at, processIdOf(context.worker, session.slot));
}
