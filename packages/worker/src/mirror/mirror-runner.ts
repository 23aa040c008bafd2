import { FixedQueue, READY } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';
import type { CapturedUnit, Exchange } from './captured-unit.js';
import type { Mirror, MirrorFigures } from './mirror.js';
import { type MirrorIdentity, MirrorSession } from './mirror-session.js';
import type { UnitTaker } from './mirror-tap.js';
import type { SessionTap } from './session-tap.js';

/**
 * Runs the units of one client in one destination, in order, exchange by exchange: the next is asked when the one before
 * ended as it did at the source. One that ended otherwise ends its unit, and a transaction it left open is rolled back: half
 * of a unit must not be committed there, nor its second half run outside of a transaction.
 *
 * States: waiting for a unit → asking an exchange → answered → at rest → asking the next, or waiting again. It moves in
 * `advance` only, which the loop calls between two turns (Mirrors.run); everything else just wakes it.
 */
export class MirrorRunner implements UnitTaker, SessionTap {
  private readonly context: WorkerContext;
  private readonly mirror: Mirror;
  private readonly identity: MirrorIdentity;
  private readonly figures: MirrorFigures;
  private readonly waiting = new FixedQueue<CapturedUnit>();
  private session: MirrorSession | null = null;
  private unit: CapturedUnit | null = null;
  private step = 0;
  private isAnswered = false;
  private answerStatus: number = READY.Idle;
  private answerHasError = false;
  private hasLocalError = false;
  private isSourceGone = false;
  /** In the list of those to be run. */
  isAwake = false;

  constructor(context: WorkerContext, mirror: Mirror, identity: MirrorIdentity) {
    this.context = context;
    this.mirror = mirror;
    this.identity = identity;
    this.figures = mirror.figuresOf(identity.user);
  }

  // Of the source.

  get readsLevel(): boolean {
    return this.mirror.snapshot.level !== 'all';
  }

  offer(unit: CapturedUnit): void {
    const { figures, mirror } = this;
    figures.total++;
    if (!mirror.wants(unit)) figures.skipped++;
    else if (unit.isLost || !mirror.tryQueue(unit)) figures.dropped++;
    else {
      figures.queued++;
      this.waiting.push(unit);
      this.wake();
    }
  }

  noteFailed(): void {
    this.figures.total++;
    this.figures.failed++;
  }

  sourceGone(): void {
    this.isSourceGone = true;
    this.wake();
  }

  // Of the destination.

  showing(): void {}
  shown(): void {}
  rest(): void {}
  again(): void {}
  copyBegan(): void {}
  completed(): void {}

  localError(): void {
    this.hasLocalError = true;
    this.wake();
  }

  answered(status: number, hasError: boolean): void {
    // The first of several counts: the others come of an error in it.
    if (!this.isAnswered) {
      this.answerStatus = status;
      this.answerHasError = hasError || this.hasLocalError;
    }
    this.hasLocalError = false;
    this.isAnswered = true;
    this.wake();
  }

  /** The session has ended, by us or by itself. */
  gone(): void {
    const { session, unit } = this;
    this.session = null;
    if (unit !== null) this.unitFailed(unit, session?.firstError ?? '');
    this.wake();
  }

  private wake(): void {
    this.context.mirrors.wake(this);
  }

  /** Goes on as far as it can without waiting. */
  run(): void {
    while (this.advance());
  }

  private advance(): boolean {
    const { unit, session } = this;
    if (unit === null) return this.begin();
    if (session === null) return false;
    if (session.isStarved) {
      this.unitFailed(unit, session.firstError);
      session.end(false);
      return true;
    }
    if (!this.isAnswered || !session.isAtRest) return false;
    const exchange = unit.exchanges[this.step];
    if (this.answerHasError !== exchange.hasError || this.answerStatus !== exchange.status) {
      this.unitFailed(unit, session.firstError);
      if (this.answerStatus !== READY.Idle) session.end(false);
      return true;
    }
    this.step++;
    if (this.step < unit.exchanges.length) this.ask(session, unit.exchanges[this.step]);
    else {
      this.unitEnded(unit);
      this.figures.mirrored++;
    }
    return true;
  }

  private begin(): boolean {
    const unit = this.waiting.shift();
    if (unit === undefined) {
      if (this.isSourceGone) this.end(false);
      return false;
    }
    // Its pool is gone by a new configuration; there may be another.
    if (this.session?.isOutdated === true) this.session.end(false);
    this.mirror.begun();
    this.figures.queued--;
    this.unit = unit;
    this.step = 0;
    this.session ??= MirrorSession.open(this.context, this.identity, this, () => this.wake());
    const { session } = this;
    if (session === null) {
      this.unitFailed(unit, 'no pool of this user');
      return true;
    }
    session.prepare(unit);
    this.ask(session, unit.exchanges[0]);
    return true;
  }

  private ask(session: MirrorSession, exchange: Exchange): void {
    this.isAnswered = false;
    this.hasLocalError = false;
    session.ask(exchange);
  }

  private unitEnded(unit: CapturedUnit): void {
    this.unit = null;
    this.mirror.ended(unit);
  }

  private unitFailed(unit: CapturedUnit, reason: string): void {
    this.unitEnded(unit);
    this.figures.errors++;
    this.mirror.logError(
      this.identity.user,
      reason === '' ? 'it ended otherwise than at the source' : reason,
    );
  }

  /** Nobody waits for what is left: it is dropped. `isUrgent`: what runs there is cancelled. */
  drop(): void {
    this.isSourceGone = true;
    for (let unit = this.waiting.shift(); unit !== undefined; unit = this.waiting.shift()) {
      this.mirror.begun();
      this.mirror.ended(unit);
      this.figures.queued--;
      this.figures.dropped++;
    }
    if (this.unit !== null) {
      this.unitEnded(this.unit);
      this.figures.dropped++;
    }
    this.end(true);
  }

  private end(isUrgent: boolean): void {
    this.session?.end(isUrgent);
    this.context.mirrors.ended(this);
  }
}
