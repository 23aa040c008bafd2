import { READY } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/**
 * MAINTENANCE ON: who is in a transaction finishes it, whose next one would begin waits, connected, until OFF. No
 * time-out ends that wait: an operator's order must not turn into errors of clients. They may cancel, and leave.
 */
export class Maintenance {
  /** Of any database: all that a request looks at while nothing is held. */
  isOn = false;
  private databases: ReadonlySet<string> = new Set();
  private readonly held = new Set<Session>();

  constructor(databases: readonly string[] = []) {
    this.takeUp(databases);
  }

  /** The orders in force. Those that wait for nothing any more go on. */
  takeUp(databases: readonly string[]): void {
    this.databases = new Set(databases);
    this.isOn = databases.length > 0;
    for (const session of [...this.held]) {
      if (this.databases.has(session.database)) continue;
      this.forget(session);
      session.resumeRequests();
    }
  }

  /** Whether the request that is shown must wait. A server connection that came for it goes to where it is of use. */
  hold(session: Session): boolean {
    const { server } = session;
    if (!this.databases.has(session.database)) return false;
    if (server !== null) {
      if (server.isBatchOpen || server.isFrameOpen) return false;
      if (!server.isQuiet) {
        // Whether it belongs to the transaction under way is known when what is under way has been answered.
        if (session.requests !== null) session.requests.isAwaitingQuiet = true;
        return true;
      }
      if (server.readyStatus !== READY.Idle) return false;
    }
    if (server !== null && !session.isSessionMode && session.pins === 0) server.pool.checkin(server);
    this.held.add(session);
    return true;
  }

  holds(session: Session): boolean {
    return this.held.has(session);
  }

  /** It waits no more: gone, or cancelled. */
  forget(session: Session): void {
    this.held.delete(session);
  }
}
