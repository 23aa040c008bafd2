import type { ErrorFields, PgDogError } from '@pgdog-cluster/core';
import { cancelOnServer } from '../backend/cancel.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { SessionRouter } from '../route/session-router.js';
import { sessionGone } from '../session/close.js';
import { makesTemp, type ParameterSet } from '../session/parameter-set.js';
import { PIN_TEMP } from '../session/pin-reasons.js';
import { RequestSink } from '../session/requests.js';
import { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import type { CapturedUnit, Exchange } from './captured-unit.js';
import type { SessionTap } from './session-tap.js';

/** Neither a descriptor nor a slot: it is in no table, and what it is told goes nowhere. */
const NONE = -1;

export interface MirrorIdentity {
  readonly database: string;
  readonly user: string;
  /** Of the client at start-up: where RESET leads. */
  readonly startupParameters: ParameterSet;
}

/**
 * A client's double in another database: a session like any other, with its pools, limits, routes and prepared statements,
 * but nobody at its other end. It is always in transaction mode.
 */
export class MirrorSession extends Session {
  /** SQLSTATE or code of the first error of the unit that runs; '' = none. */
  firstError = '';
  private readonly onRest: () => void;

  private constructor(context: WorkerContext, tap: SessionTap, onRest: () => void) {
    super(context, NONE, NONE, context.sessions.takeId(), '', 0);
    this.tap = tap;
    this.onRest = onRest;
  }

  /** Null: the user has no pool there. `onRest` is called whenever it may have come to rest. */
  static open(
    context: WorkerContext,
    identity: MirrorIdentity,
    tap: SessionTap,
    onRest: () => void,
  ): MirrorSession | null {
    const { database, user, startupParameters } = identity;
    const cluster = context.clusterFor(database, user);
    const snapshot = cluster === null ? context.directory.pool(database, user) : cluster.standing().snapshot;
    if (snapshot === null) return null;
    const session = new MirrorSession(context, tap, onRest);
    session.database = database;
    session.user = user;
    session.pool = context.poolFor(snapshot);
    session.homePool = session.pool;
    session.startupParameters = startupParameters;
    if (cluster !== null) session.router = new SessionRouter(session, cluster);
    session.requests = new RequestSink(session);
    session.stream.setSink(session.requests);
    session.phase = 'ready';
    return session;
  }

  /** Takes over what the client had when the unit began, so that units which are left out leave nothing out. */
  prepare(unit: CapturedUnit): void {
    this.firstError = '';
    this.parameters = unit.parameters;
    if (makesTemp(unit.parameters)) this.pins |= PIN_TEMP;
    this.statements.clear();
    for (const [name, statement] of unit.needs) {
      this.statements.set(name, this.context.statements.acquire(statement), this);
    }
    this.requests?.extended.unnamed.takeOver(unit.unnamed);
  }

  ask({ frames }: Exchange): void {
    this.lastActivityMs = this.context.nowMs;
    for (const bytes of frames) this.read(bytes, 0, bytes.length, -1);
  }

  /** Nothing is under way and nothing waits. A batch may be open: a Query came without the Sync of what was before it. */
  get isAtRest(): boolean {
    const { server } = this;
    if (this.waitingSinceMs !== 0 || !this.stream.isAtBoundary) return false;
    return (
      server === null || (server.pending.length === 0 && !server.isFrameOpen && server.cancelsInFlight === 0)
    );
  }

  /**
   * All has been sent, and more is waited for: by a COPY that failed at the source before it began, or, after an error that
   * was none there, for a Sync that does not come (a Query behind messages without one is skipped then).
   */
  get isStarved(): boolean {
    const { server, requests } = this;
    if (!this.stream.isAtBoundary) return false;
    if (server?.isCopyIn === true) return true;
    const isSkipping = requests?.isSkippingToSync === true || server?.isSkippingToSync === true;
    return isSkipping && (server === null || server.pending.foreignReadyCount === 0);
  }

  /** What it would ask next belongs to another pool. */
  get isOutdated(): boolean {
    return this.homePool !== null && this.homePool.retiredEpoch !== 0;
  }

  /** Whatever it was doing: a transaction that is open is rolled back. */
  end(isUrgent: boolean): void {
    const { server } = this;
    if (isUrgent && server !== null && server.pending.length > 0) cancelOnServer(server);
    sessionGone(this, 'its client has gone');
  }

  override passSlice(): void {}
  override passBytes(): void {}

  override onServerChunkEnd(): void {
    super.onServerChunkEnd();
    if (this.isStarved) this.onRest();
  }

  override serverQuiet(server: ServerConnection): void {
    super.serverQuiet(server);
    this.onRest();
  }

  override rewriteError(ref: object | null, fields: Required<ErrorFields>): Uint8Array | null {
    this.firstError ||= fields.sqlstate;
    return super.rewriteError(ref, fields);
  }

  override answerError(error: PgDogError): void {
    this.firstError ||= error.code;
    super.answerError(error);
  }

  override fail(error: PgDogError, isInsideAnswer?: boolean): void {
    this.firstError ||= error.code;
    super.fail(error, isInsideAnswer);
  }
}
