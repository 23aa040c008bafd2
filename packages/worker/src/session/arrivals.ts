import { FixedQueue, PgDogError } from '@pgdog-cluster/core';
import { Homes } from '../listen/homes.js';
import type { WorkerContext } from '../worker-context.js';
import type { MovedClient } from './move-home.js';
import { PAUSE_TURN, type Session } from './session.js';
import { acceptSession } from './startup-reader.js';

/** A client whose turn has not come: its first bytes wait in its socket, or came with it. */
export interface Arrival {
  fd: number;
  addr: string;
  port: number;
  sinceMs: number;
  /** Null: it has just been accepted. */
  moved: MovedClient | null;
}

/** Clients waiting in one worker. What comes beyond them is refused: descriptors are finite. */
const WAITING_MAX = 16_384;
/** Time one turn of the loop spends on clients that are not logged in, if LoginBudget allows as much. */
const TURN_US = 500;
/** While others wait, a client that says nothing for so long loses its place: some open connections and no more. */
const SILENT_MS = 5000;
/** The same for one that says something now and then, and does not get done: a byte every few seconds is not silence. */
const SLOW_MS = 15_000;

/**
 * Clients between accept and the end of authentication: so many at a time, the others in the order they came, and each
 * turn only as much of their work as LoginBudget allows; the rest is kept for the next turns, first come first served. A
 * client that has logged in is no business of this.
 */
export class Arrivals {
  /** Where clients of small pools belong. */
  readonly homes: Homes;
  private readonly context: WorkerContext;
  private readonly waiting = new FixedQueue<Arrival>();
  /** In the order they were let in, with how long each has been waited for: without the times when it had to wait for us. */
  private readonly starting = new Map<Session, number>();
  private checkedMs = 0;
  /** What came from them when the turn had no time left, oldest first. */
  private readonly deferred = new Map<Session, Uint8Array>();
  /** On their way to another worker; the kernel has not let go of their descriptors yet. */
  movingCount = 0;
  private leftUs = TURN_US;
  private refusedCount = 0;
  private lastRefusal: PgDogError | null = null;

  constructor(context: WorkerContext) {
    this.context = context;
    this.homes = new Homes(context);
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  /** Nobody is on the way to become a session, here or in another worker. */
  get isEmpty(): boolean {
    return this.waiting.length === 0 && this.movingCount === 0;
  }

  /** A descriptor has been handed over; it is this worker's to close. */
  add(
    fd: number,
    addr: string,
    port: number,
    sinceMs = this.context.nowMs,
    moved: MovedClient | null = null,
  ): void {
    const { context } = this;
    if (context.isDraining) {
      context.closeFd(fd);
      return;
    }
    const arrival = { fd, addr, port, sinceMs, moved };
    if (this.waiting.length < WAITING_MAX) {
      this.waiting.push(arrival);
      return;
    }
    const text = `too many clients are waiting to log in (${WAITING_MAX} in this worker)`;
    this.turnAway(arrival, new PgDogError('too_many_logins', text));
  }

  /** Bytes of a client that is not logged in: read now, or kept until a turn has time. */
  receive(session: Session, bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.hasTime && this.deferred.size === 0) {
      this.timed(() => session.read(bytes, start, end, buffer));
      return;
    }
    const kept = this.deferred.get(session);
    if (kept === undefined) this.deferred.set(session, bytes.slice(start, end));
    else this.deferred.set(session, Buffer.concat([kept, bytes.subarray(start, end)]));
    session.connection.pauseReceive(PAUSE_TURN);
  }

  /** Reads what was kept of a client, out of turn: it has closed, and its last words may be a CancelRequest. */
  flush(session: Session): void {
    const bytes = this.deferred.get(session);
    if (bytes === undefined) return;
    this.deferred.delete(session);
    session.connection.resumeReceive(PAUSE_TURN);
    session.read(bytes, 0, bytes.length, -1);
  }

  /** Once a turn: goes on with those that were kept, then lets in whom there is room for. True: some wait for time. */
  work(): boolean {
    for (const session of this.deferred.keys()) {
      if (!this.hasTime) break;
      this.timed(() => this.flush(session));
    }
    const isFull = this.admit();
    this.leftUs = TURN_US;
    return this.deferred.size > 0 || (!isFull && this.waiting.length > 0);
  }

  /** True: as many as may be are logging in. */
  private admit(): boolean {
    if (this.waiting.length === 0) return false;
    const { loginsInProgressMax } = this.context.config.general;
    while (this.hasTime && this.starting.size < loginsInProgressMax) {
      const arrival = this.waiting.shift();
      if (arrival === undefined) return false;
      this.timed(() => this.begin(arrival));
    }
    return this.starting.size >= loginsInProgressMax;
  }

  private timed(step: () => void): void {
    const { loginBudget } = this.context;
    const spentUs = loginBudget.spentUs;
    const sinceMs = performance.now();
    step();
    const tookUs = (performance.now() - sinceMs) * 1000;
    this.leftUs -= tookUs;
    // A step of a TLS handshake inside this one has been counted.
    loginBudget.spend(tookUs - (loginBudget.spentUs - spentUs));
  }

  private get hasTime(): boolean {
    return this.leftUs > 0 && this.context.loginBudget.hasTime;
  }

  /** The session has logged in, or is gone. */
  settled(session: Session): void {
    this.starting.delete(session);
    this.deferred.delete(session);
  }

  /** A limit turned a client away: counted, and told in the log now and then. */
  refused(error: PgDogError): void {
    this.refusedCount++;
    this.lastRefusal = error;
  }

  /** Time-outs of those that wait and of those that say nothing; called by the janitor. */
  check(): void {
    const { context } = this;
    const { nowMs } = context;
    const { clientLoginTimeoutMs } = context.config.general;
    for (let first = this.waiting.peek(); first !== undefined; first = this.waiting.peek()) {
      if (clientLoginTimeoutMs === 0 || nowMs - first.sinceMs <= clientLoginTimeoutMs) break;
      this.waiting.shift();
      this.turnAway(first, new PgDogError('login_timeout', loginTimeoutText(clientLoginTimeoutMs)));
    }
    this.countWaits();
    this.dropSilent();
    this.logRefusals();
  }

  private countWaits(): void {
    const { nowMs } = this.context;
    const passedMs = nowMs - this.checkedMs;
    this.checkedMs = nowMs;
    for (const [session, waitedMs] of this.starting) {
      // One that waits for its turn, here or to shake hands, is not silent: it has not been listened to. Its silence
      // begins when it has been answered.
      if (session.connection.isHolding || this.deferred.has(session)) session.lastActivityMs = nowMs;
      else this.starting.set(session, waitedMs + Math.min(passedMs, nowMs - session.connectedMs));
    }
  }

  /** Only as many as there are others waiting: a slow client is not a silent one until its place is needed. */
  private dropSilent(): void {
    const { nowMs } = this.context;
    let needed = this.waiting.length;
    if (needed === 0) return;
    for (const [session, waitedMs] of [...this.starting]) {
      const isSilent = nowMs - session.lastActivityMs > SILENT_MS;
      if (!isSilent && waitedMs <= SLOW_MS) continue;
      const text = `${loginTimeoutText(isSilent ? SILENT_MS : SLOW_MS)} while others wait to log in`;
      session.fail(new PgDogError('login_timeout', text));
      if (--needed === 0) return;
    }
  }

  /** No new clients: those waiting are let go. */
  clear(): void {
    for (let first = this.waiting.shift(); first !== undefined; first = this.waiting.shift()) {
      this.turnAway(first, new PgDogError('shutting_down'));
    }
  }

  private begin(arrival: Arrival): void {
    const session = acceptSession(this.context, arrival);
    if (session === null) {
      this.context.closeFd(arrival.fd);
      return;
    }
    // Before it reads what came with it: that may be its end.
    this.starting.set(session, 0);
    const bytes = arrival.moved?.bytes;
    if (bytes === undefined) return;
    session.bytesReceived += bytes.length;
    session.read(bytes, 0, bytes.length, -1);
  }

  private turnAway(arrival: Arrival, error: PgDogError): void {
    this.refused(error);
    const session = acceptSession(this.context, arrival);
    if (session === null) this.context.closeFd(arrival.fd);
    else session.fail(error);
  }

  private logRefusals(): void {
    if (this.refusedCount === 0 || this.lastRefusal === null) return;
    const { code, message } = this.lastRefusal;
    this.context.log('warn', code, `clients refused: ${message}`, { count: this.refusedCount });
    this.refusedCount = 0;
    this.lastRefusal = null;
  }
}

function loginTimeoutText(timeoutMs: number): string {
  return `client login timeout (${timeoutMs} ms)`;
}
