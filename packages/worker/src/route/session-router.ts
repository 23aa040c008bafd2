// ● per-frame path
import { NO_SCOPE, ROLE_REPLICA, type ShardScope, type SqlPlan, WANT_PRIMARY } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { beginRefused } from '../pool/leave-host.js';
import type { Pool } from '../pool/pool.js';
import type { Session } from '../session/session.js';
import type { ShardDesk } from '../shard/shard-desk.js';
import type { Cluster } from './cluster.js';
import { HeldTransaction } from './held-transaction.js';
import { LookAhead } from './look-ahead.js';
import { roleSettingsOf } from './role-setting.js';
import { RouteChoice } from './route-choice.js';
import { ServedFrames } from './served-frames.js';
import { TransactionDesk } from './transaction-desk.js';
import { UnservedFrames } from './unserved-frames.js';
import { WriteTrace } from './write-trace.js';

/**
 * Chooses the host for what a session of a routed database asks next, before a server connection is checked out. A
 * session that has one (a transaction, a pin) asks there whatever it asks.
 *
 * States: undecided → decided (`choice`; the frame may go and fetch its server) → undecided again when the exchange has begun
 * there or was refused; beside that a transaction may be held (HeldTransaction).
 */
export class SessionRouter {
  readonly session: Session;
  private readonly onlyCluster: Cluster;
  /** Of a sharded database: chooses the cluster. */
  readonly shards: ShardDesk | null;
  /** Of the client's database. */
  readonly shardCount: number;
  private readonly onlyTrace: WriteTrace;
  private readonly desk: TransactionDesk;
  private readonly looking: LookAhead;
  readonly choice: RouteChoice;
  /** What is shown of a session without a server connection, and of one that has one. */
  readonly unserved: UnservedFrames;
  readonly served: ServedFrames;
  /** What has been read of the batch only prepares, and its end is a Flush: shards are chosen when it is bound. */
  endsAtFlush = false;
  /** BEGIN that went within a batch of its client's. */
  begunInBatch: HeldTransaction | null = null;
  /** BEGIN that went ahead of what may have to be asked again elsewhere. */
  private sent: HeldTransaction | null = null;
  private repeatCount = 0;
  /** Since when, epoch ms. */
  private repeatedMs = 0;

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
    this.choice = new RouteChoice(session, this);
    this.unserved = new UnservedFrames(this, this.desk, this.looking);
    this.served = new ServedFrames(this, this.looking);
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

  /** By what is wanted now. */
  isServedBy(pool: Pool): boolean {
    return (
      this.cluster.hosts.length === 1 || (this.choice.want === WANT_PRIMARY && pool.role !== ROLE_REPLICA)
    );
  }

  get isReadOnlyUser(): boolean {
    return this.session.pool?.snapshot.serverParameters.default_transaction_read_only === 'on';
  }

  /** The exchange begins on `server`: a held BEGIN goes ahead of it. */
  begin(server: ServerConnection): void {
    const { held, session } = this;
    this.choice.begun(server.pool.role === ROLE_REPLICA);
    this.looking.stop();
    this.shards?.ran(server.pool.snapshot.shard);
    if (held === null) return;
    this.desk.held = null;
    this.sent = held;
    this.choice.readOnly.begun(held);
    // An error of ours, or of the statement that follows, ends in a failed transaction: nothing is run again.
    session.transaction.isOpen = true;
    const onError = (frame: Uint8Array): void => beginRefused(server, session, frame);
    server.ask({ sql: held.text, onError, onDone() {} });
    for (const { sql } of held.marks) server.ask({ sql, onError, onDone() {} });
    session.transaction.cameTo(server, held.marks);
  }

  /** BEGIN for a server connection that the session keeps, for shards that join the transaction later. */
  noteBegin(plan: SqlPlan, text: string): void {
    // exempt: one small object per transaction of who keeps a server connection
    this.begunInBatch = new HeldTransaction(text, plan);
  }

  /** What was begun on a server connection has left it, and is begun where it goes on. */
  holdAgain(begun: HeldTransaction): void {
    this.sent = null;
    this.begunInBatch = null;
    this.desk.held = begun;
    this.choice.isMade = false;
    this.choice.transactionEnded();
  }

  /** Nothing of the exchange has left this machine, or nothing of it has to be told: it is asked again. */
  again(): void {
    this.choice.isMade = false;
    this.desk.held = this.sent;
    this.sent = null;
    if (this.repeatCount++ === 0) this.repeatedMs = this.session.context.nowMs;
  }

  /** Whether a read under way may run again on another host. */
  mayRepeat(server: ServerConnection): boolean {
    if (!this.choice.isRepeatable || server.relay.hasAnswered) return false;
    // One that is older than the first loss may be lost with it, unnoticed: that says nothing more of its host.
    const isOlder = this.repeatCount > 0 && server.createdMs < this.repeatedMs;
    return isOlder || this.repeatCount < this.cluster.hosts.length;
  }

  /** The client was told so by an error of ours. */
  refused(): void {
    this.trace.refused();
    this.choice.isMade = false;
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
    this.choice.isMade = false;
  }

  /** On whichever servers it was: what it began with, and where, is nothing to what comes next. */
  transactionEnded(): void {
    this.repeatCount = 0;
    this.choice.transactionEnded();
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
