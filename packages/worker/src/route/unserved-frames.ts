// ● per-frame path
import {
  CLOSE_COMPLETE,
  decodeName,
  FRONTEND,
  PgDogError,
  type RouteFacts,
  readTarget,
  type SqlPlan,
  TARGET,
  WANT_READ,
} from '@pgdog-cluster/core';
import { controlStepsOf } from '../scatter/control-step.js';
import { queryPieces } from '../scatter/query-pieces.js';
import type { Session } from '../session/session.js';
import type { ShardDesk } from '../shard/shard-desk.js';
import { DIVIDE, HOLD, SCATTER, type ShardOutcome, SPREAD } from '../shard/shard-outcome.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { END_FLUSH, END_OPEN, END_SYNC } from './batch-ahead.js';
import { frameInFailed, isEmptyText, problemInFailed } from './failed-transaction.js';
import { HeldTransaction, stepOf } from './held-transaction.js';
import { ahead, type LookAhead } from './look-ahead.js';
import { settingProblem } from './role-setting.js';
import type { RouteChoice } from './route-choice.js';
import type { SessionRouter } from './session-router.js';
import type { TransactionDesk } from './transaction-desk.js';

const HEADER_BYTES = 5;
/** The frame goes on as if there were one host. */
export const GO = -1;
/** It goes to several shards. */
const SCATTERED = -2;
/** The batch is taken in pieces. */
const DIVIDED = -3;
/** Its transaction is over several shards from now on. */
const BEGUN = -4;

/** Statements of a batch whose end is not in sight: so few are long, and worth a round trip each. */
const FEW_STATEMENTS = 8;

/** Frames of a session that has no server connection: where they go is decided before one is checked out. */
export class UnservedFrames {
  private readonly session: Session;
  private readonly router: SessionRouter;
  private readonly shards: ShardDesk | null;
  private readonly choice: RouteChoice;
  private readonly desk: TransactionDesk;
  private readonly looking: LookAhead;

  constructor(router: SessionRouter, desk: TransactionDesk, looking: LookAhead) {
    this.session = router.session;
    this.router = router;
    this.shards = router.shards;
    this.choice = router.choice;
    this.desk = desk;
    this.looking = looking;
  }

  /**
   * A frame of a session that has no server. GO: it may fetch one, of whom `want` says; BLOCKED: more must be there
   * first; CONSUMED: it has been answered.
   */
  handle(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const cross = this.shards === null ? null : this.shards.cross;
    if (cross?.isCollecting === true && type !== FRONTEND.Terminate)
      return cross.collect(type, bytes, start, end, frameBytes);
    if (this.desk.isAnswering) return this.desk.frame(type, bytes, start, end);
    if (this.choice.isMade) return GO;
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
        if (this.router.held?.hasFailed === true)
          return this.come(new PgDogError('transaction_failed'), false);
        if (this.shards !== null) {
          this.shards.asked.begin();
          this.shards.asked.unread('a function called by its number cannot be read');
          const outcome = this.settleShard(false);
          if (outcome !== GO) return outcome;
        }
        this.choice.decideCall();
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
      if (outcome === GO) this.choice.decideUnread();
      return outcome;
    }
    const { plans } = session.context;
    const known = session.requests?.knownPlan ?? null;
    const plan =
      known ?? plans.lookup(bytes, start + HEADER_BYTES, end - 1, this.router.scope, session.clientReading);
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
    const hasFailed = this.router.held?.hasFailed === true || shards?.cross.hasFailed === true;
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
    if (outcome === GO) this.choice.decideFor(plan.route, plan.flags, [plan]);
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

  private batch(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const { session } = this;
    const hasFailed = this.router.held?.hasFailed === true;
    if (hasFailed && type === FRONTEND.Close && this.closes(bytes, start, end)) return CONSUMED;
    if (this.looking.isTooSoon(bytes, start, end)) return BLOCKED;
    this.looking.begin(false);
    const seenBytes = this.looking.look(bytes, start, end);
    if (this.looking.mustBeMade()) return BLOCKED;
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
    this.router.endsAtFlush = this.shards !== null && ahead.end === END_FLUSH && !ahead.hasBind;
    // What a FETCH returns is described where its cursor is.
    if (cross?.isInTransaction === true && !ahead.hasBind) this.shards?.asked.prepares(ahead.plans);
    const outcome = this.settleShard(true);
    if (outcome === DIVIDED) {
      cross?.pieces.begin(this.shards?.asked.places ?? []);
      return this.batch(type, bytes, start, end, frameBytes);
    }
    if (outcome === SCATTERED) return this.scatterBatch(type, bytes, start, end, frameBytes);
    if (outcome !== GO) return outcome;
    const isBegun = ahead.end === END_SYNC && ahead.beginText !== '' && this.router.held === null;
    // exempt: one small object per transaction of JDBC
    if (isBegun && this.shards !== null)
      this.router.begunInBatch = new HeldTransaction(ahead.beginText, ahead.plans[0]);
    if (ahead.end !== END_SYNC && !(ahead.end === END_FLUSH && !ahead.hasBind)) this.choice.decideUnread();
    else {
      this.choice.decideFor(facts, ahead.flags(), ahead.plans);
      // Its Sync is still to come, and a write may be before it.
      if (ahead.end === END_FLUSH) {
        this.choice.isRepeatable = false;
        if (this.choice.want === WANT_READ) this.choice.isReadOnlyByChoice = true;
      }
    }
    return GO;
  }

  /** The batch ahead is to be taken in pieces, whatever its statements are. */
  private mustDivide({ cross, asked }: ShardDesk): boolean {
    if (cross.pieces.isOn) return false;
    // Of what it asks some may end the transaction, or take it back.
    if (cross.hasFailed || this.router.held?.hasFailed === true) return ahead.executeCount > 1;
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
    const isMade =
      cross.isInTransaction || this.router.held?.hasFailed === true || this.desk.mayTakeBatch(ahead);
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

  /** What must not be asked at all: a wrong directive, anything in a transaction that has failed. */
  private problemOf(plan: SqlPlan, facts: RouteFacts): PgDogError | null {
    const hasFailed = this.shards?.cross.hasFailed === true;
    // A member answers it as any server does.
    if (hasFailed && isEmptyText(plan)) return null;
    if (this.router.held?.hasFailed === true || hasFailed) return problemInFailed(plan);
    const problem = settingProblem(
      facts.directive === plan.route.directive ? plan : { ...plan, route: facts },
      this.router.shardCount,
    );
    if (problem !== null && this.router.held !== null) this.router.held.hasFailed = true;
    return problem;
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
