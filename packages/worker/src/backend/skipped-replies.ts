import type { PlanUse } from '../session/transaction.js';
import { isStatementUse } from './own-exchange.js';
import { KIND_MASK, KIND_SYNC, type PendingReplies } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';

/**
 * Postgres skips everything up to the next Sync (ignore_till_sync in tcop/postgres.c): so no answer comes to
 * what was sent, and what we noted when sending did not happen.
 */
export function skipToSync(server: ServerConnection): void {
  const { pending } = server;
  undo(pending, true);
  if (pending.length > 0) return;
  server.isSkippingToSync = true;
  // What waits for the connection to be quiet is read past as well, and the Sync stands behind it.
  server.session?.requests?.wake();
}

/** The connection is closed: no answer will come, and what was noted when sending did not happen. */
export function abandonPending({ pending }: ServerConnection): void {
  undo(pending, false);
}

/** The last first, so that all is as it was: a name that was made and given up is gone, one given up and made anew is the old one. */
function undo(pending: PendingReplies, isUpToSync: boolean): void {
  const skipped: (object | null)[] = [];
  while (pending.length > 0) {
    if (isUpToSync && (pending.head() & KIND_MASK) === KIND_SYNC) break;
    skipped.push(pending.headRef());
    pending.pop();
  }
  for (const ref of skipped.reverse()) {
    if (isStatementUse(ref)) ref.undo();
    else if (ref !== null && 'plan' in ref) (ref as PlanUse).undo?.();
  }
}
