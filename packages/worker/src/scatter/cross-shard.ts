// This file is over 400 lines because whatever a session asks of several shards begins and ends here, in one transaction or none.
import { BACKEND, type CursorUse, FRONTEND, PgDogError, type SqlPlan } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Cluster } from '../route/cluster.js';
import type { HeldTransaction } from '../route/held-transaction.js';
import type { Session } from '../session/session.js';
import type { ShardedDatabase } from '../shard/sharded-database.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { BatchFrames } from './batch-frames.js';
import { BatchPieces } from './batch-pieces.js';
import { BatchRequests, portioned } from './batch-requests.js';
import { type ControlStep, controlStepsOf } from './control-step.js';
import { beginCopy, endCopy } from './copy-round.js';
import { CountedRequest } from './counted-request.js';
import type { CrossShardRequest } from './cross-shard-request.js';
import { CursorDesk } from './cursor-desk.js';
import { CursorRequests } from './cursor-requests.js';
import { DistributedTransaction, type DoneBefore, lostMember } from './distributed-transaction.js';
import { errorFrame, sqlstateOf, withDone } from './error-frame.js';
import { fillIn } from './fill-in.js';
import type { Leg } from './leg.js';
import { MergeState } from './merge-state.js';
import { mergerFor } from './merger-for.js';
import { type MoveDone, moveRows } from './move-rows.js';
import { PortalBatch } from './portal-batch.js';
import { queryFrame } from './query-frame.js';
import { Scatter } from './scatter.js';
import { beginTransaction, spreadTransaction } from './spread-transaction.js';
import type { TransactionMark } from './transaction-mark.js';
import { TransactionSteps } from './transaction-steps.js';
import { ValueMerger } from './value-merger.js';

/** Longest frame of a batch that is taken in pieces. */
const PIECE_BYTES_MAX = 16 * 1024 * 1024;

/** Takes a session's requests to several shards: a Query at once, a batch when its Sync has come. */
export class CrossShard {
  private readonly session: Session;
  private readonly database: ShardedDatabase;
  private readonly scatter: Scatter;
  private readonly batch: BatchFrames;
  private readonly counted: CountedRequest;
  private readonly cursors: CursorDesk;
  private readonly cursorRequests: CursorRequests;
  private readonly batches: BatchRequests;
  private readonly steps: TransactionSteps;
  readonly pieces: BatchPieces;
  /** Over several shards: the client's, or of one statement (`isImplicit`). */
  private transaction: DistributedTransaction | null = null;
  private isImplicit = false;
  /** What is being shown is asked by legs, of which one has the server connection that the session keeps. */
  isLending = false;
  /** The client waits for that server connection. */
  isAwaitingKept = false;
  /** Data of COPY have come within a batch: its Sync is still to come. */
  private isSyncDue = false;
  /** Under way, or answered last. */
  private request: CrossShardRequest | null = null;

  constructor(session: Session, database: ShardedDatabase, clusters: readonly Cluster[]) {
    this.session = session;
    this.database = database;
    this.scatter = new Scatter(session, clusters, {
      met: (type) => {
        this.batch.told(type);
        if (type === BACKEND.PortalSuspended) this.counted.suspended();
      },
      completed: (frame) => this.counted.completed(frame),
    });
    this.counted = new CountedRequest(session, this.scatter);
    const cross = this;
    this.pieces = new BatchPieces(session, {
      get transaction() {
        return cross.transaction;
      },
      begin: () => this.beginWith('BEGIN'),
      ended: (failure) => this.piecesEnded(failure),
    });
    this.batch = new BatchFrames(session, this.pieces);
    this.cursors = new CursorDesk(session, this.scatter, this.batch, this.counted);
    this.cursorRequests = new CursorRequests(this.scatter, this.batch, this.cursors, {
      run: (request) => this.run(request),
      refuse: (problem) => this.refuse(problem),
      done: (failure) => this.done(failure),
    });
    this.steps = new TransactionSteps(session, this.scatter, this.batch, this.cursors.names, {
      end: (failure, tag) => this.end(failure, tag),
      refuse: (problem) => this.refuse(problem),
      done: (failure, tag) => this.done(failure, tag),
      isBatchOwn: () => this.pieces.isOwnTransaction,
    });
    this.batches = new BatchRequests(
      this.batch,
      new PortalBatch(session, this.scatter, this.batch, this.cursors, this.counted),
      {
        get clientTransaction() {
          return cross.isInTransaction ? cross.transaction : null;
        },
        ownTransaction: () => this.ownTransaction(),
        run: (request) => this.runWhole(request),
        refuse: (problem) => this.refuse(problem),
        done: (failure) => this.done(failure),
        commitOwn: () => this.ownTransaction().commit((refusal) => this.end(refusal, null)),
        rollbackOwn: (failure) => this.rollbackOwn(failure),
        flushed: () => this.flushed(),
        goesOn: () => this.counted.batch(this.batch.taken),
      },
    );
  }

  /** What the client sends waits. */
  get isBusy(): boolean {
    return this.scatter.isBusy || this.cursors.isBusy || this.pieces.isDue;
  }

  /** The client has a part of a row. */
  get isInsideAnswer(): boolean {
    return this.scatter.isStreaming;
  }

  /** The frames of a batch are taken up to its Sync. */
  get isCollecting(): boolean {
    return this.batch.isOpen;
  }

  /** The client's transaction is over several shards: all it asks comes here. */
  get isInTransaction(): boolean {
    return this.transaction !== null && !this.isImplicit;
  }

  /** For ReadyForQuery; null: there is no such transaction. */
  get readyStatus(): number | null {
    return this.isInTransaction ? (this.transaction?.readyStatus ?? null) : null;
  }

  get hasFailed(): boolean {
    return this.isInTransaction && this.transaction?.hasFailed === true;
  }

  /** Where a statement of the transaction is asked that any shard can answer. */
  get memberShard(): number | null {
    return this.transaction?.firstShard ?? null;
  }

  /** Where what is done with a cursor of the transaction is asked; null: it does not matter. */
  shardsOf(use: CursorUse | null): readonly number[] | null {
    return this.cursors.shardsOf(use, this.transaction);
  }

  // Requests.

  /** A whole Query frame. */
  query(request: CrossShardRequest, frame: Uint8Array): void {
    this.counted.query(frame, 0, frame.length);
    this.batch.beginQuery(frame, request.edits, request.executes);
    this.cursors.names.delete('');
    // Every Query drops the unnamed statement.
    if (this.session.requests !== null) this.session.requests.extended.unnamed.id = 0;
    this.start(request);
  }

  /** What follows, up to Sync, is for it. */
  beginBatch(request: CrossShardRequest): void {
    const { plan } = request;
    const isAsIs = request.cursor === null && request.rewritten === undefined;
    const needsShape = plan !== null && isAsIs && MergeState.needsShape(plan);
    this.batch.begin(needsShape, () => this.startBatch(request), request);
  }

  /** A frame of the batch. */
  collect(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    const { requests } = this.session;
    if (!this.batches.admits(type, frameBytes)) return requests?.drop() ?? CONSUMED;
    const isWhole = end - start === frameBytes;
    if (this.pieces.isOn && this.isTooLong(type, frameBytes, isWhole)) return requests?.drop() ?? CONSUMED;
    if (type === FRONTEND.Sync && this.pieces.isOn) {
      // What is ahead of it executes nothing: a piece of its own.
      this.batch.endPiece();
      return this.isBusy ? BLOCKED : (requests?.endPieces() ?? CONSUMED);
    }
    return this.batch.take(type, bytes, start, end, frameBytes);
  }

  /** A frame that has been refused: it is kept whole, or was not seen when its piece was given a shard. */
  private isTooLong(type: number, frameBytes: number, isWhole: boolean): boolean {
    const isMany = type === FRONTEND.Bind && isWhole && --this.pieces.bindsLeft < 0;
    if (frameBytes <= PIECE_BYTES_MAX && !isMany) return false;
    const text = isMany
      ? 'a batch for several shards binds several statements before it executes one, too long to be read ahead'
      : `a message of ${frameBytes} bytes in a batch for several shards (16 MB)`;
    this.refuse(new PgDogError('cross_shard', text, { hint: 'Send Sync after each statement.' }));
    return true;
  }

  private startBatch(request: CrossShardRequest): void {
    this.counted.batch(this.batch.taken);
    this.start(request);
  }

  private start(request: CrossShardRequest): void {
    this.request = request;
    if (this.pieces.isOn && request.copy !== null) {
      this.refuse(new PgDogError('cross_shard', `${request.what}, and other statements are sent with it`));
      return;
    }
    this.counted.started(this.session.context.nowUs);
    // A shard's part of the transaction is gone: begun anew there, it would be half of what was asked.
    if (this.transaction?.hasLostMember === true) {
      this.refuse(lostMember());
      return;
    }
    if (request.cursor !== null) {
      this.cursorRequests.start(request, request.cursor, this.isImplicit ? null : this.transaction);
      return;
    }
    if (this.batch.isQuery) this.runWhole(request);
    else this.batches.start(request);
  }

  /** As it is; a write on several shards is a transaction of its own. */
  private runWhole(request: CrossShardRequest): void {
    const { scatter } = this;
    if (request.isWrite && request.shards.length > 1) this.ownTransaction();
    if (this.transaction === null || (request.moved === undefined && request.filled === null)) {
      this.runSteps(request);
      return;
    }
    scatter.hold(request, (failure) => {
      if (failure === null) this.runSteps(request);
      else this.answered([], failure, null);
    });
  }

  /** What takes several steps asks several shards one after the other. */
  private runSteps(request: CrossShardRequest): void {
    const { scatter, batch } = this;
    if (request.moved !== undefined) {
      const done: MoveDone = (legs, failure, tag) => this.answered(legs, failure, tag);
      moveRows({ scatter, batch, transaction: this.ownTransaction() }, request.moved, request.shards, done);
      return;
    }
    if (request.filled === null) {
      this.run(request);
      return;
    }
    fillIn(this.scatter, request.filled, this.transaction, (legs, failure) => {
      const whole = failure === null ? divided(request) : failure;
      if (whole instanceof Uint8Array) this.answered(legs, whole, null);
      else this.run(whole);
    });
  }

  /** Of one request alone. */
  private ownTransaction(): DistributedTransaction {
    if (this.transaction !== null) return this.transaction;
    this.isImplicit = true;
    this.transaction = beginTransaction(this.session, this.scatter, this.database.commitMode, 'BEGIN');
    return this.transaction;
  }

  private rollbackOwn(failure: Uint8Array): void {
    if (this.transaction === null) this.end(failure, null);
    else this.transaction.rollback(() => this.end(failure, null));
  }

  /** What comes behind the Flush belongs to the same batch. */
  private flushed(): void {
    const { session } = this;
    this.batch.keepStatements(true);
    this.counted.flushed();
    // Whoever told of the last answer is still at work.
    session.context.sharded.postpone(() => session.resumeRequests());
  }

  /** A statement of the client's transaction has been answered. */
  private done(failure: Uint8Array | null, tag: Uint8Array | null = null): void {
    if (failure !== null) this.markFailed();
    this.finish(failure, tag, false);
  }

  /** What is there is not asked of any shard. */
  private refuse(problem: PgDogError): void {
    this.markFailed();
    this.finish(errorFrame(problem), null, !this.isInTransaction);
  }

  private run(request: CrossShardRequest): void {
    const { batch, scatter, transaction } = this;
    const asked = request.rewritten?.ask(batch.taken) ?? null;
    // Of a COPY some row may have no place, though every shard has taken what it got.
    const holdsTag = this.isImplicit || request.copy !== null;
    const merger = mergerFor(scatter, batch, request, asked?.awaited ?? [], holdsTag);
    const isPortion = batch.hasRowLimit && request.shards.length > 1 && request.givesOneRow !== true;
    scatter.start({
      shards: request.shards,
      merger,
      isInTurn: request.isWrite,
      ...(transaction === null ? {} : { keeps: request.isWrite ? 'write' : 'read' }),
      copy: {
        isBatch: !batch.isQuery,
        begins: (legs, frames) => this.beginCopy(request, legs, frames),
      },
      // Those of reads are fetched by portals. Where one row is all there is, each shard says by itself that it has given it.
      rowRefusal: isPortion ? portioned() : null,
      framesFor: ({ shard }) => asked?.frames ?? batch.framesFor(shard, request.split, request.filled),
      prepare: (leg) => {
        batch.giveStatements(leg);
        const writes = request.isWrite && request.copy === null;
        if (request.isPlaced) transaction?.notePlaced(leg);
        const ahead = transaction?.join(leg) ?? [];
        if (writes) transaction?.noteWrite(leg);
        return ahead;
      },
      described: (frame) => batch.described(frame),
      done: (legs, failure) => this.answered(legs, failure, merger.heldTag),
    });
  }

  private beginCopy(
    { copy }: CrossShardRequest,
    legs: readonly Leg[],
    frames: readonly Uint8Array[],
  ): PgDogError | null {
    const problem = beginCopy(this.session, this.scatter, copy, legs, frames);
    if (problem !== null) this.database.want('unknown');
    else this.isSyncDue = !this.batch.isQuery;
    return problem;
  }

  private answered(legs: readonly Leg[], outcome: Uint8Array | null, tag: Uint8Array | null): void {
    const { transaction } = this;
    const failure = endCopy(this.scatter, transaction, outcome);
    if (transaction === null) {
      this.scatter.rest(legs);
      const isPartial = failure !== null && this.request?.isWrite === true && legs.length > 1;
      this.finish(isPartial ? withDone(failure, legs, this.scatter.failedShard) : failure, null, true);
    } else if (!this.isImplicit) {
      const { request } = this;
      if (failure === null && request !== null) {
        this.cursorRequests.answered(request, legs, transaction.depth);
        this.batches.answered(request, transaction);
      }
      this.done(failure, tag);
    } else if (failure !== null) transaction.rollback(() => this.implicitFailed(failure));
    else transaction.commit((refusal) => this.end(refusal, tag));
  }

  /** What cannot run in a transaction (VACUUM, CREATE INDEX CONCURRENTLY) has done nothing yet: it runs without one. */
  private implicitFailed(failure: Uint8Array): void {
    const { request } = this;
    if (request === null || request.plan !== null || sqlstateOf(failure) !== '25001') {
      this.end(failure, null);
      return;
    }
    this.transaction = null;
    this.isImplicit = false;
    this.scatter.restAll();
    this.run({ ...request, what: 'without a transaction' });
  }

  /** The transaction is over. */
  private end(failure: Uint8Array | null, tag: Uint8Array | null): void {
    this.transaction = null;
    this.isImplicit = false;
    this.cursors.clear();
    this.scatter.restAll();
    this.finish(failure, tag, true);
  }

  private finish(failure: Uint8Array | null, tag: Uint8Array | null, isTransactionOver: boolean): void {
    const { session } = this;
    this.scatter.held.leave();
    // An error stands where the CommandComplete would: what is behind it up to the Sync is read past, as Postgres does.
    const behind = this.scatter.takeBehindTag();
    if (failure !== null) session.send(failure);
    else if (tag !== null) session.send(behind.length === 0 ? tag : Buffer.concat([tag, ...behind]));
    this.batch.keepStatements(failure === null);
    this.counted.finished(failure !== null, tag, isTransactionOver);
    const isReadyDue = !this.batch.endsAtFlush && !this.isSyncDue && !this.pieces.isOn;
    this.isSyncDue = false;
    this.batch.forget();
    if (isTransactionOver) session.router?.transactionEnded();
    session.router?.settled();
    session.readySinceUs = session.context.nowUs;
    if (isReadyDue) session.sendReady();
    // Postgres would read past what comes, up to the client's Sync.
    else if (failure !== null && session.requests !== null) session.requests.isSkippingToSync = true;
    session.resumeRequests();
  }

  // Transactions.

  /** The client has begun one, of which no server knows: it is over several shards from its beginning. */
  begin(held: HeldTransaction): void {
    this.beginWith(held.text, held.marks);
  }

  private beginWith(text: string, marks: readonly TransactionMark[] = []): void {
    this.transaction = beginTransaction(this.session, this.scatter, this.database.commitMode, text, marks);
  }

  /**
   * Server connections of these shards for the transaction, in the order of the shards: batches that take theirs as their
   * statements come would each hold what others wait for.
   */
  joinAhead(shards: readonly number[]): void {
    const { scatter, transaction, session } = this;
    if (shards.length < 2 || transaction === null) return;
    scatter.beginRequest();
    scatter.start({
      shards,
      merger: new ValueMerger(),
      isInTurn: false,
      keeps: 'read',
      framesFor: () => queryFrame(''),
      prepare: (leg) => transaction.join(leg),
      described: (frame) => frame,
      done: (_, failure) => {
        if (failure === null) session.context.sharded.postpone(() => session.resumeRequests());
        else this.done(failure);
      },
    });
  }

  /** The transaction of a batch that was taken in pieces. */
  private piecesEnded(failure: Uint8Array | null): void {
    const { session } = this;
    this.transaction = null;
    this.cursors.clear();
    this.scatter.restAll();
    if (failure !== null) session.send(failure);
    this.counted.transactionOver(failure !== null);
    session.router?.transactionEnded();
    session.router?.settled();
    session.readySinceUs = session.context.nowUs;
    session.sendReady();
    session.resumeRequests();
  }

  /** The client's transaction is on one shard, and needs more: its server connection becomes a leg's. @returns why it cannot */
  spreadOut(beginText: string, done: DoneBefore): PgDogError | null {
    const { session, scatter, database } = this;
    const { transactionSinceUs } = session;
    const spread = spreadTransaction(session, scatter, database.commitMode, beginText, done);
    if (spread instanceof DistributedTransaction) {
      this.transaction = spread;
      this.counted.started(transactionSinceUs);
    }
    return spread instanceof PgDogError ? spread : null;
  }

  /** A server connection that the session keeps and is in no transaction is a leg's while other shards are asked. False: it cannot be. */
  lend(server: ServerConnection): boolean {
    const leg = this.scatter.legOf(server.pool.snapshot.shard);
    if (leg.session.server !== null) return false;
    server.relay.flushRun();
    leg.session.takeOver(this.session, server);
    leg.readyStatus = server.readyStatus;
    this.isLending = true;
    return true;
  }

  /** Why a leg keeps a server connection for the session. */
  get keptPins(): number {
    return this.scatter.keeper?.session.pins ?? 0;
  }

  /** A leg that keeps the session's server connection has nothing to do. */
  resumeKept(): void {
    const { session, isAwaitingKept } = this;
    if (session.phase !== 'ready' || session.server !== null || this.isBusy) return;
    this.takeBack();
    if (isAwaitingKept) session.resumeRequests();
  }

  /** The session's own again, when what it was lent for is over. False: that is awaited. */
  takeBack(): boolean {
    this.isAwaitingKept = false;
    if (this.transaction !== null || this.pieces.isOn || this.isCollecting || this.isLending) return true;
    const { keeper } = this.scatter;
    const server = keeper?.session.server ?? null;
    if (keeper === null || server === null) return true;
    this.isAwaitingKept = !server.isQuiet;
    if (server.isQuiet) keeper.session.giveBack(server);
    return server.isQuiet;
  }

  /** An error of ours in it: Postgres would refuse what follows. */
  markFailed(): void {
    if (!this.isInTransaction || this.transaction === null) return;
    this.transaction.fail();
    if (this.scatter.held.isVictim) this.transaction.abort();
  }

  /** What a text does to the transaction; null: it is a statement like others. */
  controlOf(plan: SqlPlan): readonly ControlStep[] | null {
    return controlStepsOf(plan);
  }

  /** bytes[start, end) is a Query that is such a step. */
  control(steps: readonly ControlStep[], bytes: Uint8Array, start: number, end: number): void {
    const frame = bytes.slice(start, end);
    this.counted.query(frame, 0, frame.length);
    this.batch.beginQuery(null, []);
    if (this.transaction !== null) this.steps.run(steps, this.transaction);
  }

  /** The same in a batch of its own, which may close portals. */
  beginControlBatch(steps: readonly ControlStep[]): void {
    this.batch.begin(false, () => {
      const { transaction } = this;
      this.counted.batch(this.batch.taken);
      if (transaction === null) return;
      if (transaction.hasFailed) this.steps.run(steps, transaction);
      else this.batches.closeAhead(() => this.steps.run(steps, transaction));
    });
  }

  /** It waits, unless it is data that the shards wait for. */
  whileBusy(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    return this.scatter.copying?.frame(type, bytes, start, end, frameBytes) ?? BLOCKED;
  }

  /** More of the frame that was shown last. */
  restWhileBusy(bytes: Uint8Array, start: number, end: number): void {
    this.scatter.copying?.rest(bytes, start, end);
  }

  // What the client does meanwhile.

  drained(): void {
    this.scatter.clientDrained();
    this.cursors.drained();
  }

  cancel(): void {
    this.scatter.cancel();
    this.cursors.cancel();
  }

  /** The client has gone. */
  close(): void {
    const { transaction, scatter } = this;
    this.counted.left();
    this.transaction = null;
    this.cursors.end();
    this.batches.end();
    const end = (): void => scatter.end();
    // Not while the last answer is handed over: the leg's server connection would go to somebody else with it.
    if (transaction?.leave(() => this.session.context.sharded.postpone(end)) !== true) end();
  }
}

/** With what has been filled in, each shard's rows are those of the whole text. */
function divided(request: CrossShardRequest): CrossShardRequest | Uint8Array {
  const { filled, split } = request;
  if (filled === null || split === null) return request;
  const again = split.of(filled.whole);
  if (again !== null) return { ...request, split: again, filled: null };
  return errorFrame(new PgDogError('internal', 'the rows of an INSERT are not found in its filled text'));
}
