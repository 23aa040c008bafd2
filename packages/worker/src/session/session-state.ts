import { READY } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/** How long ago it asked for something or was answered, whichever came later. */
export function restMsOf({ context, lastActivityMs, readySinceUs }: Session): number {
  return Math.min(context.nowMs - lastActivityMs, (context.nowUs - readySinceUs) / 1000);
}

/** What a session does, for SHOW CLIENTS and for time-outs. */
export type SessionState =
  | 'login'
  | 'waiting'
  | 'active'
  | 'idle'
  | 'idle in transaction'
  | 'held'
  | 'closed';

export function stateOfSession(session: Session): SessionState {
  const { phase, waitingSinceMs, server, context, router } = session;
  if (phase === 'closed') return 'closed';
  if (context.holds.has(session)) return 'held';
  if (phase !== 'ready') return 'login';
  if (waitingSinceMs !== 0) return 'waiting';
  if (router?.shards?.isWaiting === true) return 'waiting';
  if (router?.shards?.cross.isBusy === true) return 'active';
  if (router?.shards?.cross.isInTransaction === true) return 'idle in transaction';
  if (server === null) return router?.held == null ? 'idle' : 'idle in transaction';
  if (server.pending.length > 0 || server.isBatchOpen || server.isFrameOpen) return 'active';
  return server.readyStatus === READY.Idle ? 'idle' : 'idle in transaction';
}
