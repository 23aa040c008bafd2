import { valueBytesOf } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { makesTemp } from './parameter-set.js';
import { PIN_ADVISORY_LOCK, PIN_HOLD_CURSOR, PIN_LISTEN, PIN_TEMP } from './pin-reasons.js';
import { readState, TEMP_COUNT_SQL, untimed } from './read-state.js';
import type { Session } from './session.js';

/**
 * What still ties the session to this server connection, asked of the server itself: no reading of SQL can
 * count nested advisory locks or know whether DROP TABLE hit the temporary one.
 */
const PROBE_SQL =
  `SELECT ${TEMP_COUNT_SQL},` +
  "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' " +
  'AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),' +
  '(SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()),' +
  '(SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors WHERE is_holdable)';

const PROBED = [PIN_TEMP, PIN_ADVISORY_LOCK, PIN_LISTEN, PIN_HOLD_CURSOR];

/** Asks, when a pinned session may have become free. True = an answer is on its way. */
export function probePins(session: Session, server: ServerConnection): boolean {
  if (session.isStateUnread) {
    readState(session, server);
    return true;
  }
  if (session.pins !== 0) server.needsReset = true;
  if (!session.needsProbe) {
    return (session.pins & PIN_LISTEN) !== 0 && session.context.pubSub.advance(session, server);
  }
  session.needsProbe = false;
  const before = session.pins;
  if ((before & (PIN_TEMP | PIN_ADVISORY_LOCK | PIN_LISTEN | PIN_HOLD_CURSOR)) === 0) return false;
  server.ask({
    sql: untimed(server) + PROBE_SQL,
    onRow(bytes, start, end) {
      for (const [index, isHeld] of readCounts(bytes, start, end).entries()) {
        if (!isHeld) session.pins &= ~PROBED[index];
      }
      if (makesTemp(session.parameters)) session.pins |= before & PIN_TEMP;
    },
    // Not answered: the pins stay, which is safe.
    onError() {},
    onDone() {},
  });
  return true;
}

/** Body of a DataRow of counts in text: whether each is other than zero. */
function readCounts(bytes: Uint8Array, start: number, end: number): boolean[] {
  const held: boolean[] = [];
  let at = start + 2;
  for (let column = 0; column < PROBED.length; column++) {
    const size = valueBytesOf(bytes, at, end);
    if (size < 0) return [true, true, true, true];
    held.push(!(size === 1 && bytes[at + 4] === 0x30));
    at += 4 + size;
  }
  return held;
}
