import type { PlanUse } from '../session/transaction.js';
import { isStatementUse } from './own-exchange.js';
import { KIND_MASK, KIND_SYNC } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';

/**
 * Postgres skips everything up to the next Sync (ignore_till_sync in tcop/postgres.c): so no answer comes to
 * what was sent, and what we noted when sending did not happen.
 */
export function skipToSync(server: ServerConnection): void {
  const { pending } = server;
  while (pending.length > 0) {
    const kind = pending.head() & KIND_MASK;
    if (kind === KIND_SYNC) break;
    const ref = pending.headRef();
    pending.pop();
    undoSent(ref);
  }
  if (pending.length > 0) return;
  server.isSkippingToSync = true;
  // What waits for the connection to be quiet is read past as well, and the Sync stands behind it.
  server.session?.requests?.wake();
}

/** The connection is closed: no answer will come, and what was noted when sending did not happen. */
export function abandonPending(server: ServerConnection): void {
  const { pending } = server;
  while (pending.length > 0) {
    const ref = pending.headRef();
    pending.pop();
    undoSent(ref);
  }
}

function undoSent(ref: object | null): void {
  if (isStatementUse(ref)) ref.undo();
  else if (ref !== null && 'plan' in ref) (ref as PlanUse).undo?.();
}
