import { type DrainMode, PgDogError, READY } from '@pgdog-cluster/core';
import { cancelOnServer } from './backend/cancel.js';
import type { Session } from './session/session.js';
import type { WorkerContext } from './worker-context.js';

/**
 * No new clients. `transactions`: the idle are told to go now, the others at the end of their transaction. `servers`: who
 * keeps a server connection beyond it may stay, who waits for one goes. `clients`: all stay as long as they like, and those
 * that were accepted before may log in. Whom an order holds goes with the first two: nobody can release them any more.
 * An operator's own session stays to the last but with `transactions`. Ordered again, the stricter counts.
 */
export function drain(context: WorkerContext, mode: DrainMode): void {
  context.drainMode = mode;
  context.isDraining = mode !== 'clients';
  context.isDrainTold = false;
  if (context.isDraining) context.arrivals.clear();
  checkDrain(context);
}

/** Ends sessions that have nothing to stay for. True when none is left. */
export function checkDrain(context: WorkerContext): boolean {
  const { drainMode } = context;
  if (drainMode === 'clients') return areClientsGone(context);
  const streaming: Session[] = [];
  context.sessions.forEach((session) => {
    if (!mustStay(session, drainMode)) session.fail(new PgDogError('shutting_down'));
    else if (session.isStreaming) streaming.push(session);
  });
  // Streams of replication have no end to wait for: they go last, when nobody's work would be missing in them.
  if (streaming.length === countClients(context)) {
    for (const session of streaming) session.fail(new PgDogError('shutting_down'));
  }
  if (countClients(context) > 0 || !context.mirrors.isDrained(context.nowMs)) return false;
  return areServersGone(context);
}

function mustStay(session: Session, mode: DrainMode | null): boolean {
  const { server, context } = session;
  if (context.holds.has(session)) return false;
  if (mode === 'servers') {
    if (session.isAdmin || server !== null) return true;
    return session.router?.shards?.cross.isBusy === true || isInCross(session);
  }
  return (
    session.waitingSinceMs !== 0 ||
    session.router?.shards?.cross.isBusy === true ||
    isInCross(session) ||
    (server !== null && (!server.isQuiet || server.readyStatus !== READY.Idle))
  );
}

function isInCross({ router }: Session): boolean {
  return router?.shards?.cross.isInTransaction === true;
}

/** With `transactions` an operator's session is one of them. */
function countClients(context: WorkerContext): number {
  if (context.drainMode === 'transactions') return context.sessions.count;
  let count = 0;
  context.sessions.forEach(({ isAdmin }) => {
    if (!isAdmin) count++;
  });
  return count;
}

function areClientsGone(context: WorkerContext): boolean {
  return (
    countClients(context) === 0 &&
    context.arrivals.isEmpty &&
    context.mirrors.isDrained(context.nowMs) &&
    areServersGone(context)
  );
}

/** Closes the idle ones; false while others are being cleaned. */
function areServersGone(context: WorkerContext): boolean {
  let isCleaning = false;
  for (const pool of context.pools.values()) {
    for (const server of [...pool.all]) {
      if (server.state === 'idle') pool.close(server);
      // What a client left running is read to its end or cancelled: a server must not go on with it after us. A commit over
      // several shards goes on without its client.
      else if (server.state === 'cleaning' || server.session?.isLeg === true) isCleaning = true;
    }
  }
  return !isCleaning;
}

/** The time to finish is over: what runs is cancelled, its client told, and the rest is cleaning (rollback). */
export function terminate(context: WorkerContext): void {
  context.sessions.forEach((session) => {
    const { server } = session;
    if (server !== null && server.pending.length > 0) cancelOnServer(server);
    session.fail(new PgDogError('shutting_down'));
  });
  context.mirrors.drop();
}
