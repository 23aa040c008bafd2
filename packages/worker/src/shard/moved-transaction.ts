import { READY } from '@pgdog-cluster/core';
import { rollBack } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import type { HeldTransaction } from '../route/held-transaction.js';
import { PIN_ADVISORY_LOCK } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import type { ShardRequest } from './shard-request.js';

/**
 * Whether the client's transaction on one shard can be begun anew on others: what it holds there can be told to them, or is not done yet.
 * A server connection that it keeps, for which others may wait, would be out of the order of the shards; and a transaction of one shard
 * would be one of two.
 */
export class MovableTransaction {
  private readonly session: Session;
  /** All that was asked in it are savepoints and settings of its own. */
  isOn = false;

  constructor(session: Session) {
    this.session = session;
  }

  /** The first request of a server connection. */
  begins({ isMarking }: ShardRequest): void {
    this.isOn = isMarking;
  }

  /** A further one. */
  goesOn({ isMarking }: ShardRequest): void {
    if (!isMarking) this.isOn = false;
  }

  /**
   * What is asked goes elsewhere. What goes to its shard as well lets it stay where it is, if that is the first of them; but what
   * is taken in pieces takes all of its shards in their order.
   */
  mayLeave(shard: number, { request }: ShardRequest, isApart: boolean): boolean {
    const { transaction, isSessionMode, pins } = this.session;
    const isKept = transaction.hasSettingChanges || transaction.local !== null || transaction.marks === null;
    if (!this.isOn || isSessionMode || pins !== 0 || isKept) return false;
    return isApart || request === null || request.shards[0] !== shard;
  }

  /** Rolled back on `server`, which serves others; it is held again, with what it was told. */
  leave(server: ServerConnection, begun: HeldTransaction): void {
    const { session } = this;
    this.isOn = false;
    begun.marks = session.transaction.leave(server);
    session.router?.holdAgain(begun);
    server.pool.detach(server);
    rollBack(server);
  }
}

/**
 * Its transaction is open, and may be over several shards: nothing keeps the session there but locks, which stay with the server connection
 * whoever asks it, and nothing is under way.
 */
export function isFree(server: ServerConnection, session: Session): boolean {
  return server.readyStatus === READY.InTransaction && isLendable(server, session);
}

/** The session keeps it for its locks alone, and is in no transaction: meanwhile it asks other shards. */
export function mayLend(server: ServerConnection, session: Session, { isPlain }: ShardRequest): boolean {
  const isAtRest = server.readyStatus === READY.Idle && session.pins !== 0;
  return isAtRest && isPlain && isLendable(server, session);
}

/** A leg may have it for a while. */
function isLendable({ isQuiet }: ServerConnection, { pins, isSessionMode }: Session): boolean {
  return isQuiet && !isSessionMode && (pins & ~PIN_ADVISORY_LOCK) === 0;
}
