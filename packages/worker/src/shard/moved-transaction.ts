import { READY } from '@pgdog-cluster/core';
import { rollBack } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import type { HeldTransaction } from '../route/held-transaction.js';
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
    const { transaction, isSessionMode } = this.session;
    const isKept = transaction.hasSettingChanges || transaction.local !== null || transaction.marks === null;
    if (!this.isOn || isSessionMode || isKept) return false;
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

/** Its transaction is open, and goes on elsewhere if it may: nothing keeps it there, and nothing of it is under way. */
export function isFree(server: ServerConnection, { pins }: Session): boolean {
  return server.readyStatus === READY.InTransaction && server.isQuiet && pins === 0;
}
