import type { Session } from './session.js';

/** A login that needs a server connection gets one (Session.onServer), waits in the queue, or is held by an order. */
export function seekServer(session: Session): void {
  const { pool, router, context } = session;
  if (pool === null || context.holds.holdLogin(session)) return;
  if (session.dedicatedParameters !== null) {
    pool.checkoutDedicated(session);
    return;
  }
  if (router === null) pool.checkout(session);
  else {
    router.choice.wantAny();
    router.cluster.checkout(session);
  }
  const { server } = session;
  if (server !== null) session.serverAssigned(server);
}
