import { isNews } from '../pubsub/is-news.js';
import { PIN_LISTEN } from '../session/pin-reasons.js';
import type { Relay } from './relay.js';

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
  const { hasPassed } = relay;
  relay.pass(bytes, start, end, buffer);
  relay.hasPassed = hasPassed;
}
