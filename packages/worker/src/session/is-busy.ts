import { READY } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/** In a transaction, or a request of it is under way on some server. One that waits for a server connection is not. */
export function isBusy({ server, router }: Session): boolean {
  const cross = router?.shards?.cross;
  if (cross?.isBusy === true || cross?.isInTransaction === true) return true;
  return server !== null && (!server.isQuiet || server.readyStatus !== READY.Idle);
}
