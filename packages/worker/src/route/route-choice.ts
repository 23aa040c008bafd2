// ● per-frame path
import {
  type Decision,
  decideRoute,
  decideStatement,
  FUNCTION_CALL,
  PgDogError,
  type RoleWish,
  type RouteFacts,
  type RouteTerms,
  type SqlPlan,
  UNREAD_ON_PRIMARY,
  UNREAD_ON_REPLICA,
  WANT_ANY,
  WANT_PRIMARY,
  WANT_READ,
  WANT_REPLICA,
  type Want,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { ReadOnlyTransaction } from './read-only-transaction.js';
import { localRole, NO_ROLE_SETTINGS, roleSettingsOf } from './role-setting.js';
import type { SessionRouter } from './session-router.js';
import { whyWrite } from './why-write.js';

/**
 * What a session wants of the host that serves what it asks next, and why. Made by what is read of that, used up by the exchange
 * that begins with it (or by its refusal).
 */
export class RouteChoice implements RouteTerms {
  private readonly session: Session;
  private readonly router: SessionRouter;
  want: Want = WANT_ANY;
  /** Why, for EXPLAIN (PGDOG) and logs. */
  reason = '';
  /** The frame at hand may go and fetch its server. */
  isMade = false;
  /** This exchange only reads, outside of transactions: it may run again on another host. */
  isRepeatable = false;
  /** On a replica because what came first was a read: what writes must not follow there. */
  isReadOnlyByChoice = false;
  readonly readOnly = new ReadOnlyTransaction();
  /** The exchange that begins is one of a transaction that cannot write. */
  isHarmless = false;

  constructor(session: Session, router: SessionRouter) {
    this.session = session;
    this.router = router;
  }

  get writtenLsn(): number {
    return this.want === WANT_READ || this.want === WANT_REPLICA ? this.router.trace.writtenLsn : 0;
  }

  get writtenMs(): number {
    return this.want === WANT_READ ? this.router.trace.writtenMs : 0;
  }

  /** On what terms a statement of this wish would be served. */
  termsOf(want: Want): RouteTerms {
    const { writtenLsn, writtenMs } = this.router.trace;
    const isOfReplica = want === WANT_READ || want === WANT_REPLICA;
    return { want, writtenLsn: isOfReplica ? writtenLsn : 0, writtenMs: want === WANT_READ ? writtenMs : 0 };
  }

  /** At login. */
  wantAny(): void {
    const { role } = roleSettingsOf(this.session.startupParameters);
    // Users that only read have the primary where there is no replica.
    this.want = role === 'replica' ? WANT_REPLICA : this.router.isReadOnlyUser ? WANT_READ : WANT_ANY;
  }

  /** What is not there yet writes, or there is no choice. */
  foresee(isWrite: boolean): void {
    if (isWrite) this.want = WANT_PRIMARY;
    else this.wantAny();
  }

  /** Every server this session can get is a replica: so it is told (in_hot_standby). */
  get isReplicaOnly(): boolean {
    return roleSettingsOf(this.session.startupParameters).role === 'replica';
  }

  /** The statement is too long to be read. */
  decideUnread(): void {
    this.take(this.roleWish() === 'replica' ? UNREAD_ON_REPLICA : UNREAD_ON_PRIMARY);
    this.router.trace.willWrite();
  }

  /** A function is called by its number. */
  decideCall(): void {
    this.take(FUNCTION_CALL);
    this.router.trace.willWrite();
  }

  decideFor(facts: RouteFacts, flags: number, plans: readonly SqlPlan[]): void {
    const { held } = this.router;
    const writes = this.whyWrite(facts, flags);
    this.take(this.judge(facts, writes, plans));
    this.readOnly.decided(facts, writes, plans);
    const isTransaction = held !== null || facts.begin !== null;
    this.isRepeatable = writes === null && facts.access === 'read' && !isTransaction;
    if (writes !== null || (isTransaction && this.want === WANT_PRIMARY)) this.router.trace.willWrite();
  }

  /** What is decided for a statement that comes now; nothing happens by asking. */
  judge(facts: RouteFacts, writes: string | null, plans: readonly SqlPlan[]): Decision {
    const { session } = this;
    const { held } = this.router;
    const settings = roleSettingsOf(session.parameters);
    const isPlain =
      held === null && facts.begin === null && facts.directive === null && !session.isSessionMode;
    if (isPlain && settings === NO_ROLE_SETTINGS && !this.router.isReadOnlyUser) {
      return decideStatement(facts, writes, writes === null && this.hasJustWritten);
    }
    // exempt: one small object for what would be eight arguments
    return decideRoute({
      facts,
      writes,
      held,
      role: facts.directive?.role ?? this.localRoleOf(plans) ?? settings.role,
      isReadOnlyByDefault: settings.isReadOnly ?? this.router.isReadOnlyUser,
      isSerializableByDefault: settings.isSerializable,
      isSessionMode: session.isSessionMode,
      hasJustWritten: this.hasJustWritten,
      // It has begun with a setting, as far as its client knows, and that with a primary.
      strategy: held?.marks.length ? 'conservative' : session.context.config.routing.readWriteStrategy,
    });
  }

  /** Where nobody can write, a refused attempt has left nothing to be seen. */
  private get hasJustWritten(): boolean {
    return this.router.trace.isFresh && !this.router.cluster.hasReplicasOnly;
  }

  private localRoleOf(plans: readonly SqlPlan[]): RoleWish {
    if (this.router.held === null) return null;
    for (const plan of plans) {
      const role = localRole(plan);
      if (role !== undefined) return role;
    }
    return null;
  }

  /** null: it only reads, as far as text and catalog tell. */
  whyWrite(facts: RouteFacts, flags: number): string | null {
    return whyWrite(this.session, this.router.cluster.code, facts, flags);
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
    this.isMade = true;
    this.isReadOnlyByChoice = isByFirstRead;
    this.isRepeatable = false;
  }

  /** The exchange begins on a server connection, which it may have without a decision (in a transaction, or pinned to it). */
  begun(isOnReplica: boolean): void {
    if (!this.isMade) {
      this.isRepeatable = false;
      if (!this.isHarmless) this.router.trace.willWrite();
    }
    this.isMade = false;
    this.isHarmless = false;
    if (!isOnReplica) this.isReadOnlyByChoice = false;
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

  /** On whichever servers the transaction was: what it began with is nothing to what comes next. */
  transactionEnded(): void {
    this.isReadOnlyByChoice = false;
    this.readOnly.ended();
  }
}
