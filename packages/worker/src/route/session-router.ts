// ● per-frame path
// This file is over 400 lines because one decision is made of what is held, asked and under way, and its steps share that.
import {
  CLOSE_COMPLETE,
  type Decision,
  decideRoute,
  decideStatement,
  decodeName,
  FRONTEND,
  FUNCTION_CALL,
  NO_SCOPE,
  PgDogError,
  READY,
  ROLE_REPLICA,
  type RoleWish,
  type RouteFacts,
  type RouteTerms,
  readTarget,
  type ShardScope,
  type SqlPlan,
  TARGET,
  UNREAD_ON_PRIMARY,
  UNREAD_ON_REPLICA,
  WANT_ANY,
  WANT_PRIMARY,
  WANT_READ,
  WANT_REPLICA,
  type Want,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { beginRefused } from '../pool/leave-host.js';
import type { Pool } from '../pool/pool.js';
import { controlStepsOf } from '../scatter/control-step.js';
import { queryPieces } from '../scatter/query-pieces.js';
import type { Session } from '../session/session.js';
import { DIVIDE, HOLD, SCATTER, type ShardDesk, type ShardOutcome, SPREAD } from '../shard/shard-desk.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { END_FLUSH, END_OPEN, END_SYNC } from './batch-ahead.js';
import type { Cluster } from './cluster.js';
import { frameInFailed, problemInFailed } from './failed-transaction.js';
import { HeldTransaction, stepOf } from './held-transaction.js';
import { ahead, LookAhead } from './look-ahead.js';
import { ReadOnlyTransaction } from './read-only-transaction.js';
import { localRole, NO_ROLE_SETTINGS, roleSettingsOf, settingProblem } from './role-setting.js';
import { TransactionDesk } from './transaction-desk.js';
import { whyWrite } from './why-write.js';
import { WriteTrace } from './write-trace.js';

const HEADER_BYTES = 5;
/** The frame goes on as if there were one host. */
export const GO = -1;
/** It goes to several shards. */
const SCATTERED = -2;
/** The batch is taken in pieces. */
const DIVIDED = -3;
/** Its transaction is over several shards from now on. */
const BEGUN = -4;

const BATCH_TYPES: ReadonlySet<number> = new Set([
  FRONTEND.Parse,
  FRONTEND.Bind,
  FRONTEND.Describe,
  FRONTEND.Execute,
  FRONTEND.Close,
]);
/** Statements of a batch whose end is not in sight: so few are long, and worth a round trip each. */
const FEW_STATEMENTS = 8;

/**
 * Chooses the host for what a session of a routed database asks next, before a server connection is checked out. A
 * session that has one (a transaction, a pin) asks there whatever it asks.
 *
 * States: undecided → decided (the frame may go and fetch its server) → undecided again when the exchange has begun
 * there or was refused; beside that a transaction may be held (HeldTransaction).
 */
export class SessionRouter implements RouteTerms {
  readonly session: Session;
  private readonly onlyCluster: Cluster;
  /** Of a sharded database: chooses the cluster. */
  readonly shards: ShardDesk | null;
  /** Of the client's database. */
  readonly shardCount: number;
  want: Want = WANT_ANY;
  /** Why, for EXPLAIN (PGDOG) and logs. */
  reason = '';
  private readonly onlyTrace: WriteTrace;
  private readonly desk: TransactionDesk;
  private isDecided = false;
  /** What has been read of the batch only prepares, and its end is a Flush: shards are chosen when it is bound. */
  endsAtFlush = false;
  private readonly looking: LookAhead;
  /** This exchange only reads, outside of transactions: it may run again on another host. */
  isRepeatable = false;
  private repeatCount = 0;
  /** Since when, epoch ms. */
  private repeatedMs = 0;
  /** On a replica because what came first was a read: what writes must not follow there. */
  private isReadOnlyByChoice = false;
  private readonly readOnly = new ReadOnlyTransaction();
  /** The exchange that begins is one of a transaction that cannot write. */
  private isHarmless = false;

  /** @param part of a session that asks one shard for another session: what they share */
  constructor(
    session: Session,
    cluster: Cluster,
    shards: ShardDesk | null = null,
    part: { readonly shardCount: number; readonly trace: WriteTrace } | null = null,
  ) {
    this.session = session;
    this.onlyCluster = cluster;
    this.shards = shards;
    this.shardCount = part?.shardCount ?? shards?.count ?? 1;
    this.onlyTrace = part?.trace ?? new WriteTrace(session);
    this.desk = new TransactionDesk(session);
    this.looking = new LookAhead(session, shards);
  }

  /** More of a batch may come before it is decided on. */
  get isLookingAhead(): boolean {
    return this.looking.isWaiting;
  }

  /** Its hosts serve what comes next. */
  get cluster(): Cluster {
    return this.shards === null ? this.onlyCluster : this.shards.cluster;
  }

  get trace(): WriteTrace {
    return this.shards === null ? this.onlyTrace : this.shards.trace;
  }

  /** How texts are read. */
  get scope(): ShardScope {
    return this.shards === null ? NO_SCOPE : this.shards.scope;
  }

  get writtenLsn(): number {
    return this.want === WANT_READ || this.want === WANT_REPLICA ? this.trace.writtenLsn : 0;
  }

  get writtenMs(): number {
    return this.want === WANT_READ ? this.trace.writtenMs : 0;
  }

  /** On what terms a statement of this wish would be served. */
  termsOf(want: Want): RouteTerms {
    const { writtenLsn, writtenMs } = this.trace;
    const isOfReplica = want === WANT_READ || want === WANT_REPLICA;
    return { want, writtenLsn: isOfReplica ? writtenLsn : 0, writtenMs: want === WANT_READ ? writtenMs : 0 };
  }

  /** Begun, and no server knows of it. */
  get held(): HeldTransaction | null {
    return this.desk.held;
  }

  /** Of ReadyForQuery while the session has no server. */
  get heldStatus(): number | null {
    return this.shards?.cross.readyStatus ?? this.held?.readyStatus ?? null;
  }

  /** BEGIN of the transaction that is open on a server; null: there is none, or it did not go by us. */
  get begunWith(): HeldTransaction | null {
    return this.sent ?? this.begunInBatch;
  }

  /** The transaction as it was begun, or as the session has it by default. */
  get isReadOnly(): boolean {
    const begun = this.held ?? this.begunWith;
    return begun?.isReadOnly ?? roleSettingsOf(this.session.parameters).isReadOnly ?? this.isReadOnlyUser;
  }

  /** At login. */
  wantAny(): void {
    const { role } = roleSettingsOf(this.session.startupParameters);
    // Users that only read have the primary where there is no replica.
    this.want = role === 'replica' ? WANT_REPLICA : this.isReadOnlyUser ? WANT_READ : WANT_ANY;
  }

  /** What is not there yet writes, or there is no choice. */
  foresee(isWrite: boolean): void {
    if (isWrite) this.want = WANT_PRIMARY;
    else this.wantAny();
  }

  /** By what is wanted now. */
  isServedBy(pool: Pool): boolean {
    return this.cluster.hosts.length === 1 || (this.want === WANT_PRIMARY && pool.role !== ROLE_REPLICA);
  }

  /** Every server this session can get is a replica: so it is told (in_hot_standby). */
  get isReplicaOnly(): boolean {
    return roleSettingsOf(this.session.startupParameters).role === 'replica';
  }

  private get isReadOnlyUser(): boolean {
    return this.session.pool?.snapshot.serverParameters.default_transaction_read_only === 'on';
  }

  /**
   * A frame of a session that has no server. GO: it may fetch one, of whom `want` says; BLOCKED: more must be there
   * first; CONSUMED: it has been answered.
   */
  before(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const cross = this.shards === null ? null : this.shards.cross;
    if (cross?.isCollecting === true && type !== FRONTEND.Terminate)
      return cross.collect(type, bytes, start, end, frameBytes);
    if (this.desk.isAnswering) return this.desk.frame(type, bytes, start, end);
    if (this.isDecided) return GO;
    const isRefused =
      type === FRONTEND.FunctionCall || (type === FRONTEND.Query && cross?.pieces.isOfQuery === false);
    if (cross?.pieces.isOn === true && isRefused) {
      // Postgres would end the batch's transaction with it. Nobody sends one there.
      this.session.fail(new PgDogError('cross_shard', 'a Query within a batch that is for several shards'));
      return CONSUMED;
    }
    switch (type) {
      case FRONTEND.Query:
        return this.query(bytes, start, end, frameBytes);
      case FRONTEND.Parse:
      case FRONTEND.Bind:
      case FRONTEND.Describe:
      case FRONTEND.Execute:
      case FRONTEND.Close:
        return this.batch(type, bytes, start, end, frameBytes);
      case FRONTEND.FunctionCall:
        if (this.held?.hasFailed === true) return this.come(new PgDogError('transaction_failed'), false);
        if (this.shards !== null) {
          this.shards.asked.begin();
          this.shards.asked.unread('a function called by its number cannot be read');
          const outcome = this.settleShard(false);
          if (outcome !== GO) return outcome;
        }
        this.take(FUNCTION_CALL);
        this.trace.willWrite();
        return GO;
      default:
        return GO;
    }
  }

  private query(bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const { session, shards } = this;
    shards?.asked.begin();
    if (end - start < frameBytes) {
      shards?.asked.unread('the statement is too long to be read');
      const outcome = this.settleShard(false);
      if (outcome === GO) this.decideUnread();
      return outcome;
    }
    const { plans } = session.context;
    const known = session.requests?.knownPlan ?? null;
    const plan =
      known ?? plans.lookup(bytes, start + HEADER_BYTES, end - 1, this.scope, session.clientReading);
    const isMade = plan.made !== undefined || shards?.makesKeys === true;
    if (isMade && session.requests?.makesValues() === true) return BLOCKED;
    const isInside = shards?.cross.isInTransaction === true;
    const step = isInside ? shards.cross.controlOf(plan) : null;
    if (step !== null) {
      shards?.cross.control(step, bytes, start, end);
      return session.requests?.drop() ?? CONSUMED;
    }
    if (!isInside && this.desk.takesQuery(plan, bytes, start + HEADER_BYTES, end - 1)) {
      return session.requests?.drop() ?? CONSUMED;
    }
    const hasFailed = this.held?.hasFailed === true || shards?.cross.hasFailed === true;
    const isPiece = shards?.cross.pieces.isOn === true;
    if (isPiece && shards.cross.pieces.isOwnTransaction && begins(plan)) return this.come(lateBegin(), true);
    if (isPiece && !isInside && !hasFailed) {
      const begun = this.beginPiece(shards);
      return begun === GO ? this.query(bytes, start, end, frameBytes) : begun;
    }
    if (hasFailed && shards !== null && !isPiece && plan.statements.length > 1) {
      // As with a batch.
      return this.divideQuery(plan, bytes, start, end);
    }
    const problem = this.problemOf(plan, plan.route);
    if (problem !== null) {
      session.requests?.refuse(problem, false);
      return session.requests?.drop() ?? CONSUMED;
    }
    shards?.asked.query(plan, bytes, start + HEADER_BYTES, end - 1);
    const outcome = this.settleShard(false);
    if (outcome === DIVIDED) return this.divideQuery(plan, bytes, start, end);
    if (outcome === GO) this.decideFor(plan.route, plan.flags, [plan]);
    if (outcome !== SCATTERED || shards === null || shards.asked.request === null) return outcome;
    this.desk.held = null;
    shards.lastShards = shards.asked.request.shards;
    shards.cross.query(shards.asked.request, bytes.slice(start, end));
    return session.requests?.drop() ?? CONSUMED;
  }

  /** Whose statements are for different places: each becomes a Query of its own. */
  private divideQuery({ statements }: SqlPlan, bytes: Uint8Array, start: number, end: number): number {
    const { session, shards } = this;
    const frames = queryPieces(bytes, start + HEADER_BYTES, end - 1, statements.length);
    if (frames !== null) shards?.cross.pieces.beginQueries(frames, end - start, shards.placesOf(frames));
    else session.requests?.refuse(shards?.asked.problem ?? new PgDogError('transaction_failed'), false);
    return session.requests?.drop() ?? CONSUMED;
  }

  /** The transaction of a batch that is taken in pieces: GO, it is over several shards now. */
  private beginPiece(shards: ShardDesk): number {
    const begun = this.come(shards.beginPiece(), true);
    // Its shards may be about to begin it.
    if (shards.cross.isInTransaction) this.desk.held = null;
    return begun;
  }

  /** GO, BLOCKED, or CONSUMED: it was refused. */
  private settleShard(isExtended: boolean): number {
    return this.come(this.shards === null ? null : this.shards.settle(), isExtended);
  }

  private come(outcome: ShardOutcome | typeof DIVIDE, isExtended: boolean): number {
    if (outcome === null) return GO;
    if (outcome === HOLD) return BLOCKED;
    if (outcome === SCATTER || outcome === SPREAD) return SCATTERED;
    if (outcome === DIVIDE) return DIVIDED;
    const { requests } = this.session;
    if (outcome.severity === 'FATAL') this.session.fail(outcome);
    else requests?.refuse(outcome, isExtended);
    return requests?.drop() ?? CONSUMED;
  }

  /** The batch that was looked at is to be shown again, filled in. */
  private isMadeFirst(): boolean {
    const isDue = ahead.isMadeDue || this.shards?.makesKeys === true;
    return ahead.isUnmade || (isDue && this.session.requests?.makesValues() === true);
  }

  private batch(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const { session } = this;
    const hasFailed = this.held?.hasFailed === true;
    if (hasFailed && type === FRONTEND.Close && this.closes(bytes, start, end)) return CONSUMED;
    if (this.looking.isTooSoon(bytes, start, end)) return BLOCKED;
    this.looking.begin(false);
    const seenBytes = this.looking.look(bytes, start, end);
    if (this.isMadeFirst()) return BLOCKED;
    if (ahead.problem !== null) {
      session.requests?.refuse(ahead.problem, true);
      return session.requests?.drop() ?? CONSUMED;
    }
    if (this.looking.waits(seenBytes)) return BLOCKED;
    if (ahead.end === END_OPEN && this.shards !== null) {
      // A Bind that is too long to wait for has its key within what is there, or is refused.
      this.looking.begin(true);
      this.looking.look(bytes, start, end);
    }
    const cross = this.shards?.cross ?? null;
    if (this.shards !== null && this.mustDivide(this.shards)) {
      this.shards.cross.pieces.begin([]);
      return this.batch(type, bytes, start, end, frameBytes);
    }
    const begun = this.shards === null ? GO : this.placePiece(this.shards);
    if (begun === BEGUN) return this.batch(type, bytes, start, end, frameBytes);
    if (begun !== GO) return begun;
    if (cross?.isInTransaction === true) {
      const step = ahead.isOne ? cross.controlOf(ahead.plans[0]) : null;
      if (step !== null) {
        cross.pieces.beginPiece(ahead.frameCount);
        cross.beginControlBatch(step);
        return cross.collect(type, bytes, start, end, frameBytes);
      }
    } else if (this.desk.takesBatch(ahead)) return this.desk.frame(type, bytes, start, end);
    // No server knows of the transaction: one that was asked would begin it anew.
    if (hasFailed && ahead.plans.length === 0)
      return this.come(frameInFailed(session, type, bytes, start, end), true);
    const facts = ahead.facts();
    for (const plan of ahead.plans) {
      const problem = this.problemOf(plan, facts);
      if (problem === null) continue;
      if (type === FRONTEND.Close && this.closes(bytes, start, end)) return CONSUMED;
      session.requests?.refuse(problem, true);
      return session.requests?.drop() ?? CONSUMED;
    }
    this.endsAtFlush = this.shards !== null && ahead.end === END_FLUSH && !ahead.hasBind;
    // What a FETCH returns is described where its cursor is.
    if (cross?.isInTransaction === true && !ahead.hasBind) this.shards?.asked.prepares(ahead.plans);
    const outcome = this.settleShard(true);
    if (outcome === DIVIDED) {
      cross?.pieces.begin(this.shards?.asked.places ?? []);
      return this.batch(type, bytes, start, end, frameBytes);
    }
    if (outcome === SCATTERED) return this.scatterBatch(type, bytes, start, end, frameBytes);
    if (outcome !== GO) return outcome;
    const isBegun = ahead.end === END_SYNC && ahead.beginText !== '' && this.held === null;
    // exempt: one small object per transaction of JDBC
    if (isBegun && this.shards !== null)
      this.begunInBatch = new HeldTransaction(ahead.beginText, ahead.plans[0]);
    if (ahead.end !== END_SYNC && !(ahead.end === END_FLUSH && !ahead.hasBind)) this.decideUnread();
    else {
      this.decideFor(facts, ahead.flags(), ahead.plans);
      // Its Sync is still to come, and a write may be before it.
      if (ahead.end === END_FLUSH) {
        this.isRepeatable = false;
        if (this.want === WANT_READ) this.isReadOnlyByChoice = true;
      }
    }
    return GO;
  }

  /** The batch ahead is to be taken in pieces, whatever its statements are. */
  private mustDivide({ cross, asked }: ShardDesk): boolean {
    if (cross.pieces.isOn) return false;
    // Of what it asks some may end the transaction, or take it back.
    if (cross.hasFailed || this.held?.hasFailed === true) return ahead.executeCount > 1;
    if (cross.isInTransaction && !ahead.isOne && ahead.plans.some(isControl)) return true;
    // What is behind them may be for other shards.
    const isOfFew = ahead.executeCount > 0 && ahead.executeCount < FEW_STATEMENTS;
    return ahead.end === END_OPEN && isOfFew && !asked.isHeld && asked.problem === null;
  }

  /** The piece ahead gets a transaction. GO: it has one, or is none; BEGUN: it has one from now on. */
  private placePiece(shards: ShardDesk): number {
    const { cross } = shards;
    if (!cross.isInTransaction && !cross.pieces.isOn) return GO;
    if (cross.pieces.isOwnTransaction && ahead.plans.some(begins)) return this.come(lateBegin(), true);
    const isMade = cross.isInTransaction || this.held?.hasFailed === true || this.desk.mayTakeBatch(ahead);
    if (isMade) return GO;
    const begun = this.beginPiece(shards);
    return begun === GO ? BEGUN : begun;
  }

  /** A Close in a transaction that has failed, of which Postgres does that as well. False: it is malformed. */
  private closes(bytes: Uint8Array, start: number, end: number): boolean {
    const { session } = this;
    const fields = readTarget(bytes, start + HEADER_BYTES, end);
    if (fields === null) return false;
    if (fields.target === TARGET.Statement) {
      const isUnnamed = fields.nameStart === fields.nameEnd;
      if (!isUnnamed) session.statements.remove(decodeName(bytes, fields.nameStart, fields.nameEnd));
      else if (session.requests !== null) session.requests.extended.unnamed.id = 0;
    }
    session.send(CLOSE_COMPLETE);
    return true;
  }

  /** All of the batch is there, and goes to several shards. */
  private scatterBatch(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): number {
    const { shards, session } = this;
    if (shards === null || shards.asked.request === null) return GO;
    // Of a piece that is too long to wait for the key has been seen, and no other may be bound in it.
    const isLongPiece =
      shards.cross.pieces.isOn &&
      ahead.end === END_OPEN &&
      shards.asked.bindCount === 1 &&
      ahead.executeCount === 0;
    shards.cross.pieces.beginPiece(isLongPiece ? Number.POSITIVE_INFINITY : ahead.frameCount, isLongPiece);
    if (ahead.end !== END_SYNC && ahead.end !== END_FLUSH && !isLongPiece) {
      const text = 'a batch without its Sync cannot go to several shards';
      session.requests?.refuse(new PgDogError('cross_shard', text), true);
      return session.requests?.drop() ?? CONSUMED;
    }
    this.desk.held = null;
    shards.lastShards = shards.asked.request.shards;
    shards.cross.beginBatch(shards.asked.request);
    return shards.cross.collect(type, bytes, start, end, frameBytes);
  }

  // Decisions.

  /** What must not be asked at all: a wrong directive, anything in a transaction that has failed. */
  private problemOf(plan: SqlPlan, facts: RouteFacts): PgDogError | null {
    if (this.held?.hasFailed === true || this.shards?.cross.hasFailed === true) {
      return problemInFailed(plan);
    }
    const problem = settingProblem(
      facts.directive === plan.route.directive ? plan : { ...plan, route: facts },
      this.shardCount,
    );
    if (problem !== null && this.held !== null) this.held.hasFailed = true;
    return problem;
  }

  private decideUnread(): void {
    this.take(this.roleWish() === 'replica' ? UNREAD_ON_REPLICA : UNREAD_ON_PRIMARY);
    this.trace.willWrite();
  }

  private decideFor(facts: RouteFacts, flags: number, plans: readonly SqlPlan[]): void {
    const { held } = this;
    const writes = this.whyWrite(facts, flags);
    this.take(this.judge(facts, writes, plans));
    this.readOnly.decided(facts, writes, plans);
    const isTransaction = held !== null || facts.begin !== null;
    this.isRepeatable = writes === null && facts.access === 'read' && !isTransaction;
    if (writes !== null || (isTransaction && this.want === WANT_PRIMARY)) this.trace.willWrite();
  }

  /** What is decided for a statement that comes now; nothing happens by asking. */
  judge(facts: RouteFacts, writes: string | null, plans: readonly SqlPlan[]): Decision {
    const { session, held } = this;
    const settings = roleSettingsOf(session.parameters);
    const isPlain =
      held === null && facts.begin === null && facts.directive === null && !session.isSessionMode;
    if (isPlain && settings === NO_ROLE_SETTINGS && !this.isReadOnlyUser) {
      return decideStatement(facts, writes, writes === null && this.hasJustWritten);
    }
    // exempt: one small object for what would be eight arguments
    return decideRoute({
      facts,
      writes,
      held,
      role: facts.directive?.role ?? this.localRoleOf(plans) ?? settings.role,
      isReadOnlyByDefault: settings.isReadOnly ?? this.isReadOnlyUser,
      isSerializableByDefault: settings.isSerializable,
      isSessionMode: session.isSessionMode,
      hasJustWritten: this.hasJustWritten,
      // It has begun with a setting, as far as its client knows, and that with a primary.
      strategy: held?.marks.length ? 'conservative' : session.context.config.routing.readWriteStrategy,
    });
  }

  /** Where nobody can write, a refused attempt has left nothing to be seen. */
  private get hasJustWritten(): boolean {
    return this.trace.isFresh && !this.cluster.hasReplicasOnly;
  }

  private localRoleOf(plans: readonly SqlPlan[]): RoleWish {
    if (this.held === null) return null;
    for (const plan of plans) {
      const role = localRole(plan);
      if (role !== undefined) return role;
    }
    return null;
  }

  /** null: it only reads, as far as text and catalog tell. */
  whyWrite(facts: RouteFacts, flags: number): string | null {
    return whyWrite(this.session, this.cluster.code, facts, flags);
  }

  get asksReplica(): boolean {
    return this.roleWish() === 'replica';
  }

  private roleWish(): RoleWish {
    return roleSettingsOf(this.session.parameters).role;
  }

  private take({ want, reason, isByFirstRead }: Decision): void {
    this.want = want;
    this.reason = reason;
    this.isDecided = true;
    this.isReadOnlyByChoice = isByFirstRead;
    this.isRepeatable = false;
  }

  // With a server.

  /** The exchange begins on `server`: a held BEGIN goes ahead of it. */
  begin(server: ServerConnection): void {
    const { held, session } = this;
    // With a server at hand (in a transaction, or pinned to it) nobody was asked what this is.
    if (!this.isDecided) {
      this.isRepeatable = false;
      if (!this.isHarmless) this.trace.willWrite();
    }
    this.isDecided = false;
    this.isHarmless = false;
    this.looking.stop();
    this.shards?.ran(server.pool.snapshot.shard);
    if (server.pool.role !== ROLE_REPLICA) this.isReadOnlyByChoice = false;
    if (held === null) return;
    this.desk.held = null;
    this.sent = held;
    this.readOnly.begun(held);
    // An error of ours, or of the statement that follows, ends in a failed transaction: nothing is run again.
    session.transaction.isOpen = true;
    const onError = (frame: Uint8Array): void => beginRefused(server, session, frame);
    server.ask({ sql: held.text, onError, onDone() {} });
    for (const { sql } of held.marks) server.ask({ sql, onError, onDone() {} });
    session.transaction.cameTo(server, held.marks);
  }

  /** What was begun on a server connection has left it, and is begun where it goes on. */
  holdAgain(begun: HeldTransaction): void {
    this.sent = null;
    this.begunInBatch = null;
    this.desk.held = begun;
    this.isDecided = false;
    this.isReadOnlyByChoice = false;
    this.readOnly.ended();
  }

  /** The first frame of an exchange, for the server connection that the session has. */
  atHand(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): void {
    this.isHarmless = false;
    if (!this.readOnly.mayLook) return;
    const isQuery = type === FRONTEND.Query;
    const isWhole = end - start === frameBytes && (isQuery || BATCH_TYPES.has(type));
    if (isWhole) {
      this.looking.begin(false);
      if (isQuery) ahead.query(bytes, start + HEADER_BYTES, end - 1);
      else this.looking.look(bytes, start, end);
    }
    const isOne = isWhole && ahead.end === END_SYNC && ahead.plans.length === 1 && (isQuery || ahead.isOne);
    if (isOne) this.isHarmless = this.readOnly.isHarmless(ahead.plans[0]);
    else this.readOnly.ended();
  }

  /**
   * An exchange that was sent before the last one was answered, on the same server connection. False: it must wait,
   * for where it belongs depends on how that one ends (its transaction may stay open), or it belongs elsewhere.
   */
  follows(server: ServerConnection, type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const isPlainRead = this.isPlainRead(type, bytes, start, end);
    // What is sent without waiting is not followed that closely.
    this.readOnly.ended();
    this.isHarmless = false;
    // Of a batch that is not all there the shard is not known, nor that of anything while an answer may open a transaction.
    this.endsAtFlush = false;
    // What is under way may change where names are looked for.
    if (this.shards !== null && server.hasEffectPending) return false;
    if (this.shards !== null && (ahead.end !== END_SYNC || !this.shards.mayFollow(server))) return false;
    if (isPlainRead) return true;
    this.isRepeatable = false;
    if (server.pool.role === ROLE_REPLICA) return false;
    // It would count as a write, and have whatever comes as fast behind it asked here for ever.
    if (this.trace.isAsking && this.mayLeave()) return false;
    this.trace.willWrite();
    return true;
  }

  /** A read as this session may have it from any host, as far as it is there. */
  private isPlainRead(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.looking.begin(false);
    if (type === FRONTEND.Query) ahead.query(bytes, start + HEADER_BYTES, end - 1);
    else this.looking.look(bytes, start, end);
    if (ahead.end !== END_SYNC) return false;
    const facts = ahead.facts();
    const writes = this.whyWrite(facts, ahead.flags());
    return (
      facts.access === 'read' &&
      facts.begin === null &&
      facts.directive === null &&
      this.judge(facts, writes, ahead.plans).want === WANT_READ
    );
  }

  /** What has been looked at may be for another host than the primary. */
  private mayLeave(): boolean {
    if (ahead.end !== END_SYNC) return false;
    const facts = ahead.facts();
    const { readWriteStrategy } = this.session.context.config.routing;
    if (facts.begin !== null && readWriteStrategy === 'aggressive') return true;
    return this.judge(facts, this.whyWrite(facts, ahead.flags()), ahead.plans).want !== WANT_PRIMARY;
  }

  /** BEGIN that went within a batch of its client's. */
  private begunInBatch: HeldTransaction | null = null;

  /** BEGIN that went ahead of what may have to be asked again elsewhere. */
  private sent: HeldTransaction | null = null;

  /** Nothing of the exchange has left this machine, or nothing of it has to be told: it is asked again. */
  again(): void {
    this.isDecided = false;
    this.desk.held = this.sent;
    this.sent = null;
    if (this.repeatCount++ === 0) this.repeatedMs = this.session.context.nowMs;
  }

  /** Whether a frame may go to the server connection that the session has. */
  atServer(
    server: ServerConnection,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): ShardOutcome {
    const { shards } = this;
    if (shards === null) return null;
    // Most of what goes to a server connection that the session has: the rest of a batch whose Bind has been looked at.
    if (type === FRONTEND.Execute && server.isBatchOpen) return null;
    // The first frame of a batch: where the others belong is seen before anything of it is sent.
    if (BATCH_TYPES.has(type) && server.isQuiet && server.readyStatus === READY.InTransaction) {
      if (this.looking.isTooSoon(bytes, start, end)) return HOLD;
      this.looking.begin(false);
      const seenBytes = this.looking.look(bytes, start, end);
      if (this.isMadeFirst()) return HOLD;
      if (ahead.problem !== null) return ahead.problem;
      if (this.looking.waits(seenBytes)) return HOLD;
      this.endsAtFlush = ahead.end === END_FLUSH && !ahead.hasBind;
      const isDecided = ahead.end === END_OPEN && shards.asked.isApart;
      if (ahead.end === END_SYNC || this.endsAtFlush || isDecided) return shards.settleBatchAt(server);
    }
    return shards.atServer(server, type, bytes, start, end, frameBytes);
  }

  /** Whether a read under way may run again on another host. */
  mayRepeat(server: ServerConnection): boolean {
    if (!this.isRepeatable || server.relay.hasAnswered) return false;
    // One that is older than the first loss may be lost with it, unnoticed: that says nothing more of its host.
    const isOlder = this.repeatCount > 0 && server.createdMs < this.repeatedMs;
    return isOlder || this.repeatCount < this.cluster.hosts.length;
  }

  /**
   * A message for a replica on which the session is because it began with a read: the error when it would write. What
   * Postgres itself would refuse, in a transaction that was said to be READ ONLY, it refuses with its own words.
   */
  refusal(plan: SqlPlan): PgDogError | null {
    if (!this.isReadOnlyByChoice) return null;
    const writes = this.whyWrite(plan.route, plan.flags);
    if (writes === null) return null;
    const text = `cannot write (${writes}) in a transaction that began with a read and was sent to a replica`;
    return new PgDogError('write_on_replica', text);
  }

  get refusesWrites(): boolean {
    return this.isReadOnlyByChoice;
  }

  /** The client was told so by an error of ours. */
  refused(): void {
    this.trace.refused();
    this.isDecided = false;
    this.looking.stop();
    if (this.held !== null && this.held.marks.length > 0) this.keepMarks(this.held);
    else if (this.held !== null) this.held.hasFailed = true;
    this.shards?.cross.markFailed();
  }

  /** It goes on, or back to a savepoint that no server knows of, like one over several shards. */
  private keepMarks(held: HeldTransaction): void {
    this.shards?.cross.begin(held);
    this.desk.held = null;
  }

  /** An exchange that went without a server has ended. */
  settled(): void {
    this.isDecided = false;
  }

  /** On whichever servers it was: what it began with, and where, is nothing to what comes next. */
  transactionEnded(): void {
    this.repeatCount = 0;
    this.isReadOnlyByChoice = false;
    this.readOnly.ended();
    this.sent = null;
    this.begunInBatch = null;
    this.shards?.ended();
  }

  /** All is answered and no transaction is open. True: something is asked of the server first. */
  ended(server: ServerConnection): boolean {
    this.transactionEnded();
    return this.trace.exchangeEnded(server, server.pool.role !== ROLE_REPLICA);
  }
}

function isControl(plan: SqlPlan): boolean {
  return stepOf(plan) !== null || controlStepsOf(plan) !== null;
}

function begins(plan: SqlPlan): boolean {
  return stepOf(plan) === 'begin';
}

/** On one server what stands ahead of it would be a part of the transaction, as whatever BEGIN says of it. */
function lateBegin(): PgDogError {
  const text = 'BEGIN stands behind other messages of a batch that is for several shards';
  return new PgDogError('cross_shard', text, { hint: 'Send it first, or by itself.' });
}
