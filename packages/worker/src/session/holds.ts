import {
  HOLD_MAINTENANCE,
  HOLD_PAUSE,
  HOLD_SUSPEND,
  joinOrders,
  NO_ORDERS,
  type OperatorOrders,
  type Orders,
  ownOrders,
  READY,
} from '@pgdog-cluster/core';
import { seekServer } from './seek-server.js';
import type { Session } from './session.js';

/** Orders under which clients wait. */
export const HOLDS = HOLD_MAINTENANCE | HOLD_PAUSE | HOLD_SUSPEND;
/** Orders under which a login that needs a server waits as well. */
export const HOLDS_LOGINS = HOLD_PAUSE | HOLD_SUSPEND;

/**
 * MAINTENANCE, PAUSE, SUSPEND: who is in a transaction finishes it (not under SUSPEND), whose next one would begin waits,
 * connected. No time-out ends that wait: an operator's order must not turn into errors of clients. They may cancel, and
 * leave. See docs/internals/orders.md.
 */
export class Holds {
  /** Of any database: all that a request looks at while nothing is held. */
  isOn = false;
  private orders: OperatorOrders | undefined;
  /** Orders of all databases and of one, joined; filled as they are asked for. */
  private readonly known = new Map<string, Readonly<Orders>>();
  /** With the HOLD_… bits it waits for. */
  private readonly held = new Map<Session, number>();

  constructor(orders?: OperatorOrders) {
    this.takeUp(orders);
  }

  /** The orders in force. Those that wait for nothing any more go on. */
  takeUp(orders: OperatorOrders | undefined): void {
    this.orders = orders;
    this.known.clear();
    this.isOn =
      orders !== undefined && (orders.all.holds !== 0 || orders.databases.some(({ holds }) => holds !== 0));
    for (const [session, bits] of [...this.held]) {
      // Of other reasons than before: looked at again, and perhaps held again.
      if (this.bitsOf(session) === bits) continue;
      this.forget(session);
      goOn(session);
    }
  }

  of(database: string): Readonly<Orders> {
    const { orders } = this;
    if (orders === undefined) return NO_ORDERS;
    const known = this.known.get(database);
    if (known !== undefined) return known;
    const joined = joinOrders(orders.all, ownOrders(orders, database));
    this.known.set(database, joined);
    return joined;
  }

  /** Whether the request that is shown must wait. A server connection that came for it goes to where it is of use. */
  hold(session: Session): boolean {
    const { server } = session;
    const bits = this.bitsOf(session);
    if (bits === 0) return false;
    if (server !== null) {
      const isKept = session.isSessionMode || session.pins !== 0;
      // It would keep its server connection anyway: only its end lets PAUSE come to one.
      if (isKept && bits === HOLD_PAUSE) return false;
      if (server.isBatchOpen || server.isFrameOpen) return false;
      if (!server.isQuiet) {
        // Whether it belongs to the transaction under way is known when what is under way has been answered.
        if (session.requests !== null) session.requests.isAwaitingQuiet = true;
        return true;
      }
      const isIdle = server.readyStatus === READY.Idle;
      if (!isIdle && (bits & HOLD_SUSPEND) === 0) return false;
      if (isIdle && !isKept) server.pool.checkin(server);
    }
    this.held.set(session, bits);
    return true;
  }

  /** Whether a login that needs a server connection must wait for one. */
  holdLogin(session: Session): boolean {
    const bits = this.bitsOf(session);
    if ((bits & HOLDS_LOGINS) === 0) return false;
    this.held.set(session, bits);
    return true;
  }

  /** It waited for a server connection that does not come: it is shown again, and held. */
  recall(session: Session): void {
    session.pool?.leaveQueue(session);
    goOn(session);
  }

  has(session: Session): boolean {
    return this.held.has(session);
  }

  /** It waits no more: gone, or cancelled. */
  forget(session: Session): void {
    this.held.delete(session);
  }

  private bitsOf({ database }: Session): number {
    return this.isOn ? this.of(database).holds & HOLDS : 0;
  }
}

function goOn(session: Session): void {
  if (session.phase === 'login') seekServer(session);
  else session.resumeRequests();
}
