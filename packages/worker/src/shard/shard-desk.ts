// ● per-frame path
import {
  type BindFields,
  decodeText,
  FRONTEND,
  frameBytesOf,
  PgDogError,
  READY,
  readBind,
  SHARD_ANY,
  type ShardScope,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Cluster } from '../route/cluster.js';
import { revives } from '../route/failed-transaction.js';
import { stepOf } from '../route/held-transaction.js';
import { roleSettingsOf } from '../route/role-setting.js';
import { WriteTrace } from '../route/write-trace.js';
import { CrossShard } from '../scatter/cross-shard.js';
import { staysOnShard } from '../scatter/spread-transaction.js';
import type { Session } from '../session/session.js';
import { BLOCKED } from '../wire/frame-stream.js';
import { boundTo, unserializable } from './bound-words.js';
import { isFree, MovableTransaction, mayLend } from './moved-transaction.js';
import { planOfText, preparedText } from './prepared-text.js';
import { catalogElsewhere, crossShard, PASS, UNCUT } from './several-shards.js';
import { DIVIDE, GO_ON, HOLD, SCATTER, type ShardOutcome, SPREAD } from './shard-outcome.js';
import { ShardRequest } from './shard-request.js';
import type { ShardedDatabase } from './sharded-database.js';

const HEADER_BYTES = 5;
/**
 * Finds the shard of what a session of a sharded database asks next, before a host of it is chosen, and sees to it that what
 * is asked of a server connection belongs to that shard.
 */
export class ShardDesk {
  readonly session: Session;
  readonly database: ShardedDatabase;
  private readonly clusters: readonly Cluster[];
  /** Asks several shards. */
  readonly cross: CrossShard;
  private readonly traces: WriteTrace[] = [];
  /** Where the session is, or was last. */
  shard: number;
  /** Where it asks what any shard can answer. */
  private readonly home: number;
  /** Whom the last statement was asked of. */
  lastShards: readonly number[] = [];
  /** What the request that was read last comes to. */
  readonly asked: ShardRequest;
  /** What has been asked in the transaction under way may have written. */
  hasWritten = false;
  /** Something of it is seen on one server only. */
  isPlaced = false;
  private readonly movable: MovableTransaction;
  /** Something of the batch that is being sent ends the transaction that has failed, or takes it back. */
  private isRevived = false;
  /** Binds to come that have been looked at already. */
  private checkedBinds = 0;

  constructor(session: Session, database: ShardedDatabase, clusters: readonly Cluster[]) {
    this.session = session;
    this.database = database;
    this.clusters = clusters;
    this.cross = new CrossShard(session, database, clusters);
    this.home = session.id % clusters.length;
    this.shard = this.home;
    this.asked = new ShardRequest(session, database, this.cross);
    this.movable = new MovableTransaction(session);
  }

  get count(): number {
    return this.clusters.length;
  }

  get cluster(): Cluster {
    return this.clusters[this.shard];
  }

  /** What the session has written on the shard where it is: positions in the log are each server's own. */
  get trace(): WriteTrace {
    return this.traceOf(this.shard);
  }

  /** For whoever asks that shard for the session. */
  traceOf(shard: number): WriteTrace {
    // exempt: one per session and shard
    this.traces[shard] ??= new WriteTrace(this.session);
    return this.traces[shard];
  }

  /** Statements may get keys that are missing in them. */
  get makesKeys(): boolean {
    return this.database.sharding.madeKeys !== undefined;
  }

  get scope(): ShardScope {
    return this.asked.scope;
  }

  /** A statement begins on this shard alone. */
  ran(shard: number): void {
    // exempt: when it is another one than before
    if (this.lastShards.length !== 1 || this.lastShards[0] !== shard) this.lastShards = [shard];
  }

  // What comes of it.

  /** The session has no server connection: where it gets one. */
  settle(): ShardOutcome | typeof DIVIDE {
    const { asked } = this;
    if (asked.isHeld) return HOLD;
    asked.waited();
    this.database.keys.chosen(this.session);
    if (this.isReshaped) return this.reshaped();
    if (asked.problem !== null) return this.isApart ? DIVIDE : asked.refusal!;
    if (this.cross.isInTransaction) return this.settleInside();
    if (asked.request !== null) {
      const refusal = this.mayBegin();
      if (refusal !== GO_ON) return refusal;
      const held = this.session.router?.held ?? null;
      if (held !== null) this.cross.begin(held);
      return SCATTER;
    }
    if (this.cross.isLending && this.isHeld) return HOLD;
    if (this.cross.isLending) return this.askLegs(asked.found === SHARD_ANY ? this.home : asked.found);
    this.hasWritten = asked.isWriting;
    this.isPlaced = asked.isPlaced;
    this.movable.begins(asked);
    this.shard = asked.found === SHARD_ANY ? this.home : asked.found;
    this.checkedBinds = asked.bindCount;
    return GO_ON;
  }

  /** Each statement of the batch may have a place, all together have none. */
  private get isApart(): boolean {
    return this.asked.isApart && !this.cross.pieces.isOn;
  }

  /**
   * A reload has come while the session was busy: keys lead to shards that it does not know, or to others than before. It is ended
   * when it is looked at again.
   */
  private get isReshaped(): boolean {
    return this.database.shardCount !== this.count;
  }

  private reshaped(): PgDogError {
    const { outdated } = this.session;
    const isWithin = this.cross.isInTransaction || this.session.server !== null;
    if (outdated !== null && !isWithin) return outdated;
    return new PgDogError('cross_shard', 'the database has another number of shards now than before', {
      hint: 'Reconnect.',
    });
  }

  /** By an order of the operator's. */
  private get isHeld(): boolean {
    const { holds } = this.session.context;
    return holds.isOn && holds.hold(this.session);
  }

  /** Over several shards: what the client has begun, or what it asks now. */
  private mayBegin(): ShardOutcome {
    if (this.isReshaped) return this.reshaped();
    if (this.isHeld) return HOLD;
    const isSerializable = this.session.router?.held?.isSerializable === true || this.isSerializable;
    return isSerializable ? unserializable() : GO_ON;
  }

  /** A piece of a batch that is in no transaction over several shards yet: GO_ON, it is in one now. */
  beginPiece(): ShardOutcome {
    const refusal = this.mayBegin();
    if (refusal !== GO_ON) return refusal;
    const held = this.session.router?.held ?? null;
    if (held === null) this.cross.pieces.beginOwn();
    else this.cross.begin(held);
    this.cross.joinAhead(this.cross.pieces.places);
    return this.cross.isBusy ? HOLD : GO_ON;
  }

  /** Where the statements are that one text has become, as far as they can be read ahead: Queries, and what is none. */
  placesOf(frames: Uint8Array): readonly number[] {
    const { asked, session, cross } = this;
    if (cross.isInTransaction) return [];
    asked.begin();
    for (let at = 0; frames[at] === FRONTEND.Query && !asked.isHeld; ) {
      const [start, end] = [at + HEADER_BYTES, at + frameBytesOf(frames, at)];
      const plan = session.context.plans.lookup(frames, start, end - 1, this.scope, session.clientReading);
      asked.query(plan, frames, start, end - 1);
      at = end;
    }
    // Each waits for itself when its turn has come.
    if (asked.isHeld) this.forget();
    return asked.places;
  }

  /** In a transaction over several shards everything goes by legs. */
  private settleInside(): ShardOutcome {
    const { asked, cross } = this;
    if (asked.request !== null) return SCATTER;
    const shards = cross.shardsOf(asked.cursor);
    const isElsewhere = shards !== null && (shards.length > 1 || shards[0] !== asked.found);
    if (asked.found !== SHARD_ANY && isElsewhere) {
      return crossShard(`the cursor is not on shard ${asked.found} alone`);
    }
    const only = asked.found === SHARD_ANY ? (cross.memberShard ?? this.home) : asked.found;
    if (shards === null) return this.askLegs(only);
    // exempt: in transactions over several shards
    asked.ask(new Set(shards), shards.length > 1 ? null : PASS, UNCUT, '');
    return asked.problem ?? SCATTER;
  }

  /** Not by a server connection of the session's. */
  private askLegs(shard: number): ShardOutcome {
    // exempt: in transactions over several shards, and of who holds a lock
    this.asked.ask(new Set([shard]), PASS, UNCUT, '');
    return this.asked.problem ?? SCATTER;
  }

  /** What comes behind what is under way on `server` may follow it there. */
  mayFollow(server: ServerConnection): boolean {
    const { asked } = this;
    const { shard } = server.pool.snapshot;
    const isOnOne = !asked.isHeld && asked.problem === null && asked.request === null;
    const may = isOnOne && (asked.found === SHARD_ANY || (asked.found === shard && !this.isReshaped));
    if (may) {
      asked.waited();
      this.database.keys.chosen(this.session);
      this.checkedBinds += asked.bindCount;
      this.noteDone();
    }
    return may;
  }

  /** A frame for the server connection that the session has. */
  atServer(
    server: ServerConnection,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): ShardOutcome {
    const isWhole = end - start === frameBytes;
    const hasFailed = server.readyStatus === READY.Failed && !this.isRevived;
    switch (type) {
      case FRONTEND.Sync:
        this.checkedBinds = 0;
        this.isRevived = false;
        return GO_ON;
      case FRONTEND.Query: {
        this.asked.begin();
        if (!isWhole) this.asked.unread('the statement is too long to be read');
        else {
          const { plans } = this.session.context;
          const plan = plans.lookup(
            bytes,
            start + HEADER_BYTES,
            end - 1,
            this.scope,
            this.session.clientReading,
          );
          if (hasFailed && !revives(plan)) return GO_ON;
          const isBegin =
            this.session.pins !== 0 && server.readyStatus === READY.Idle && stepOf(plan) === 'begin';
          if (isBegin) this.session.router?.noteBegin(plan, decodeText(bytes, start + HEADER_BYTES, end - 1));
          const isMade = plan.made !== undefined || this.makesKeys;
          if (isMade && this.session.requests?.makesValues() === true) return HOLD;
          this.asked.query(plan, bytes, start + HEADER_BYTES, end - 1);
        }
        break;
      }
      case FRONTEND.Bind: {
        if (this.checkedBinds > 0) return GO_ON;
        this.asked.begin();
        const fields = readBind(bytes, start + HEADER_BYTES, end);
        if (fields !== null) this.bindAtServer(fields, bytes, end, hasFailed);
        // Postgres refuses it.
        if (hasFailed && !this.isRevived) return GO_ON;
        break;
      }
      case FRONTEND.FunctionCall:
        if (hasFailed) return GO_ON;
        this.asked.begin();
        this.asked.unread('a function called by its number cannot be read');
        break;
      default:
        return GO_ON;
    }
    return this.settleAt(server);
  }

  /** One is on its way, or has been refused: it is not shown again. The first of a batch has fetched its server, and may not have been shown there. */
  bindTaken(): void {
    if (this.checkedBinds > 0) this.checkedBinds--;
  }

  /** @param hasFailed it matters only if it makes an end of that */
  private bindAtServer(fields: BindFields, bytes: Uint8Array, end: number, hasFailed: boolean): void {
    const { statementEnd } = fields;
    const text = preparedText(this.session, bytes, fields);
    // Unknown: the server says so.
    if (text === null) return;
    const plan = planOfText(text, this.session.context.plans, this.scope, this.session.clientReading);
    if (hasFailed && !revives(plan)) return;
    if (hasFailed) this.isRevived = true;
    this.asked.bound(plan, text, bytes, statementEnd + 1, end);
  }

  /** A batch that is all there, for the server connection that the session has. */
  settleBatchAt(server: ServerConnection): ShardOutcome {
    const { asked } = this;
    const outcome = this.settleAt(server);
    if (outcome === GO_ON) this.checkedBinds = asked.bindCount;
    return outcome;
  }

  private settleAt(server: ServerConnection): ShardOutcome {
    const { asked } = this;
    if (asked.isHeld || this.waitsForCancel(server)) return HOLD;
    asked.waited();
    this.database.keys.chosen(this.session);
    const isApart = asked.problem !== null && this.isApart;
    if (asked.problem !== null && !isApart) return asked.problem;
    const { shard } = server.pool.snapshot;
    // The transaction may come to its end.
    const isOfAny = !isApart && asked.request === null && asked.found === SHARD_ANY;
    if (!isOfAny && this.isReshaped) return this.reshaped();
    if (!isApart && asked.request === null && (asked.found === SHARD_ANY || asked.found === shard)) {
      this.noteDone();
      return GO_ON;
    }
    // What keeps a server connection, or has been sent in part, stays where it is.
    if (mayLend(server, this.session, asked) && this.cross.lend(server)) return SPREAD;
    const begin = isFree(server, this.session) ? (this.session.router?.begunWith ?? null) : null;
    if (begin === null) return asked.problem ?? boundTo(server, this.session, asked);
    if (this.movable.mayLeave(shard, asked, isApart)) {
      this.traceOf(shard).refused();
      this.movable.leave(server, begin);
      asked.transactionEnded();
      return SPREAD;
    }
    if (begin.isSerializable || this.isSerializable) return unserializable();
    if (asked.isShardTold) return asked.isOfCatalog ? catalogElsewhere(shard) : staysOnShard();
    return this.cross.spreadOut(begin.text, this) ?? SPREAD;
  }

  /** A cancel under way is meant for what has just ended: whether the session keeps its server connection is known behind it. */
  private waitsForCancel({ isBatchOpen, isFrameOpen, pending, cancelsInFlight }: ServerConnection): boolean {
    if (cancelsInFlight === 0 || pending.length > 0 || isBatchOpen || isFrameOpen) return false;
    return this.session.requests?.waits() === BLOCKED;
  }

  private noteDone(): void {
    if (this.asked.isWriting) this.hasWritten = true;
    if (this.asked.isPlaced) this.isPlaced = true;
    this.movable.goesOn(this.asked);
  }

  /** By default, as the session has it. */
  private get isSerializable(): boolean {
    return roleSettingsOf(this.session.parameters).isSerializable;
  }

  /** The transaction has ended. */
  ended(): void {
    this.checkedBinds = 0;
    this.hasWritten = false;
    this.isPlaced = false;
    this.movable.isOn = false;
    this.isRevived = false;
    if (this.asked.transactionEnded()) this.database.wasDefined();
  }

  /** For the catalog to be read. */
  get isWaiting(): boolean {
    return this.database.holds(this.session);
  }

  /** It waits no more: cancelled. */
  forget(): void {
    this.database.forget(this.session);
  }

  /** The session has gone. */
  end(): void {
    this.forget();
    this.cross.close();
  }
}
