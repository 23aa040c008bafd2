import type { Session } from '../session/session.js';
import type { Pool } from './pool.js';

/** A session waits no more. @param isServed it has a server connection, for which it need not have waited at all */
export function countWait(pool: Pool, session: Session, isServed: boolean): void {
  const { context, row } = pool;
  if (session.waitingSinceMs === 0) {
    row.assigned(0);
    return;
  }
  const waitedUs = context.nowUs - session.waitingSinceUs;
  if (isServed) {
    row.assigned(waitedUs);
    session.waitTimeUs += waitedUs;
    session.waitedUs = waitedUs;
  }
  if (waitedUs >= pool.slow.checkoutUs) context.slow.checkout(session, pool, waitedUs, isServed);
}
