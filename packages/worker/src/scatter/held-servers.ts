import { PgDogError, READY } from '@pgdog-cluster/core';
import type { HeldWait } from '../pool/held-waits.js';
import type { Pool } from '../pool/pool.js';
import type { Session } from '../session/session.js';
import { errorFrame } from './error-frame.js';
import type { Leg } from './leg.js';
import type { LegSession } from './leg-session.js';
import type { ScatterTask } from './scatter-task.js';

/** The scatter whose legs they are. */
export interface HeldServersHost {
  /** All that there are. */
  readonly legs: readonly Leg[];
  /** Something is asked, and has not failed. */
  readonly isAsking: boolean;
  /** It is of a transaction: what that has of server connections stays with it. */
  readonly isKeeping: boolean;
  readonly requestUs: number;
  legOf(shard: number): Leg;
  fail(frame: Uint8Array): void;
}

/**
 * Server connections of a client's legs. Those of a transaction stay with it while it waits for one more; where a limit over several
 * pools might leave all who do so without, they are taken before any of them is asked: then they can be given back, and nobody is told.
 *
 * States: at rest → taking (in the order of the shards, waiting for one or not) → at rest, with all of them or an error.
 */
export class HeldServers implements HeldWait {
  private readonly client: Session;
  private readonly host: HeldServersHost;
  /** Shards of which each is to have one. */
  private wanted: readonly number[] = [];
  private isWrite = false;
  /** All are there; null: none are being taken. */
  private whenTaken: (() => void) | null = null;
  private isGoingOn = false;
  /** What is asked now has waited so long for server connections that it has got, of whichever shards; up to when. */
  private waitedUs = 0;
  private waitedUpToUs = 0;
  givenBackCount = 0;
  /** What was asked has failed by being in the way of others. */
  isVictim = false;

  constructor(client: Session, host: HeldServersHost) {
    this.client = client;
    this.host = host;
  }

  get isTaking(): boolean {
    return this.whenTaken !== null;
  }

  beginRequest(): void {
    this.waitedUs = 0;
    this.givenBackCount = 0;
    this.isVictim = false;
  }

  /** One of those that are being taken. */
  isWanted(shard: number): boolean {
    return this.whenTaken !== null && this.wanted.includes(shard);
  }

  // Taking.

  /** Whether the task needs several at a time, of which it lacks some, where others may have what it waits for. */
  mustTake({ shards, keeps }: ScatterTask): boolean {
    if (keeps === undefined || !this.isLimited) return false;
    const legs = shards.map((shard) => this.host.legOf(shard));
    const lacking = legs.filter(({ session }) => session.server === null);
    if (lacking.length === 0 || this.neededBy(shards) < 2) return false;
    // Of several hosts it is known only of what writes, which of them is asked.
    return keeps === 'write' || lacking.every(({ session }) => session.router?.cluster.hosts.length === 1);
  }

  /** What can never be; null: nothing. */
  problemOf({ shards, keeps }: ScatterTask): PgDogError | null {
    if (keeps === undefined || !this.isLimited) return null;
    const { capacity } = this.client.context.memory;
    const pool = this.client.pool?.index ?? 0;
    const needed = this.neededBy(shards);
    const limits = [
      ['max_db_connections', capacity.databaseLimitOf(pool)],
      ['max_user_connections', capacity.userLimitOf(pool)],
      ['max_server_conn', capacity.totalLimit()],
    ] as const;
    for (const [name, value] of limits) {
      if (value === 0 || needed <= value) continue;
      const text = `${needed} server connections are needed at a time, and ${name} = ${value} allows no more`;
      return new PgDogError('limit_too_small', text);
    }
    return null;
  }

  private get isLimited(): boolean {
    const { pool, context } = this.client;
    if (pool === null) return false;
    const { capacity } = context.memory;
    const { index } = pool;
    return (
      capacity.databaseLimitOf(index) > 0 || capacity.userLimitOf(index) > 0 || capacity.totalLimit() > 0
    );
  }

  /** At a time: what the client has, and one of each of these. */
  private neededBy(shards: readonly number[]): number {
    const others = this.host.legs.filter(
      ({ shard, session }) => session.server !== null && !shards.includes(shard),
    );
    return shards.length + others.length + (this.client.server === null ? 0 : 1);
  }

  take({ shards, keeps }: ScatterTask, whenTaken: () => void): void {
    this.wanted = shards;
    this.isWrite = keeps === 'write';
    this.whenTaken = whenTaken;
    this.goOn();
  }

  /** One has come for which it has waited, or it begins anew. */
  goOn(): void {
    const { whenTaken } = this;
    if (whenTaken === null || this.isGoingOn) return;
    this.isGoingOn = true;
    const isDone = this.takeNext(whenTaken);
    this.isGoingOn = false;
    if (isDone) this.whenTaken = null;
    this.note();
    if (isDone) whenTaken();
  }

  /** True: it has all. */
  private takeNext(whenTaken: () => void): boolean {
    for (const shard of this.wanted) {
      const { session } = this.host.legOf(shard);
      if (session.server !== null) continue;
      if (session.waitingSinceMs === 0) session.takeServer(this.isWrite);
      // It was refused.
      if (this.whenTaken !== whenTaken) return false;
      if (session.server !== null) continue;
      for (const other of this.wanted) if (other > shard) this.host.legOf(other).session.foresee();
      return false;
    }
    return true;
  }

  /** One was lost that nothing has been asked of. Those behind it must not be held while it is waited for. */
  lost(): void {
    if (this.whenTaken !== null) this.takeAnew();
  }

  private takeAnew(): void {
    this.leave();
    this.client.context.sharded.postpone(() => this.goOn());
  }

  /** What was to be asked is not. */
  stop(): void {
    this.whenTaken = null;
    this.leave();
  }

  /** Gives back what nothing has been asked of, and waits for nothing. */
  leave(): void {
    for (const { session } of this.host.legs) session.leaveQueue();
    this.note();
    for (const { session } of this.host.legs) session.leaveTaken();
  }

  // While it waits.

  /** One has come for which it has waited. Two waits at a time are one. */
  waited(us: number): void {
    const { context } = this.client;
    if (us === 0) return;
    this.waitedUs += Math.min(us, context.nowUs - this.waitedUpToUs);
    this.waitedUpToUs = context.nowUs;
    context.sharded.heldWaits.haveWaited.add(this);
  }

  get isAsking(): boolean {
    return this.host.isAsking;
  }

  get overdue(): LegSession | null {
    const { nowUs } = this.client.context;
    for (const { session } of this.host.legs) {
      const limitMs = session.pool?.snapshot.checkoutTimeoutMs ?? 0;
      if (session.waitingSinceMs === 0 || limitMs === 0) continue;
      const sinceUs = Math.max(session.waitingSinceUs, this.waitedUpToUs);
      if (this.waitedUs + nowUs - sinceUs >= limitMs * 1000) return session;
    }
    return null;
  }

  /** See HeldWaits.note. */
  note(): void {
    if (this.waitedUs > 0 && this.waitsIn !== null)
      this.client.context.sharded.heldWaits.haveWaited.add(this);
    this.client.context.sharded.heldWaits.note(this);
  }

  get requestUs(): number {
    return this.host.requestUs;
  }

  get waitsIn(): Pool | null {
    if (!this.host.isAsking) return null;
    for (const { session } of this.host.legs) if (session.waitingSinceMs !== 0) return session.pool;
    return null;
  }

  get hasAny(): boolean {
    return this.client.server !== null || this.host.legs.some(({ session }) => session.server !== null);
  }

  get heldCount(): number {
    const { legs, isKeeping } = this.host;
    let count = this.client.server === null ? 0 : 1;
    for (const { session } of legs) if (session.server !== null && (isKeeping || isStuck(session))) count++;
    return count;
  }

  get unusedCount(): number {
    let count = 0;
    for (const { session } of this.host.legs) if (session.isTaken) count++;
    return count;
  }

  get endingCount(): number {
    let count = 0;
    for (const { session } of this.host.legs) {
      const { server } = session;
      if (server !== null && !session.isTaken && (server.readyStatus !== READY.Idle || session.isFull))
        count++;
    }
    return count;
  }

  /** Their places are others' from now on: closed, and not free for whoever waits behind us in the same pools. */
  giveBack(): void {
    this.givenBackCount++;
    for (const { session } of this.host.legs) session.leaveQueue();
    this.note();
    for (const { session } of this.host.legs) session.closeTaken();
    this.client.context.sharded.postpone(() => this.goOn());
  }

  fail(error: PgDogError): void {
    const { database, user, context } = this.client;
    context.log('warn', error.code, error.detail, { database, user });
    this.isVictim = true;
    for (const { session } of this.host.legs) session.server?.giveBackWhenFree();
    this.host.fail(errorFrame(error));
  }
}

/** Its server connection is kept, whatever becomes of what it was asked last. */
function isStuck({ server, pins, keepsServer, isTaken, isFull }: LegSession): boolean {
  if (server === null) return false;
  return pins !== 0 || keepsServer !== 'no' || isTaken || isFull || server.readyStatus !== READY.Idle;
}
