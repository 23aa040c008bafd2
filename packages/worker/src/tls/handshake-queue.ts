import { FixedQueue } from '@pgdog-cluster/core';
import type { LoginBudget } from '../login-budget.js';

/** Handshakes under way at once; each holds some 50 KB until it is done. More wait with what they have sent. */
const UNDER_WAY_MAX = 512;
/** While others wait, one that has been under way for longer than this gives up its place. */
const STALLED_MS = 5000;
/** Handshake work of one turn when no statement is under way. */
const BUDGET_US = 2000;

/** One that waits for its turn or is under way. */
export interface Handshake {
  /** The peer's next bytes are there. */
  runHeld(): void;
  /** It has a TLS state of OpenSSL's already. */
  readonly isUnderWay: boolean;
  /** Its peer's bytes are there, and it is for us to go on. */
  readonly isWaitingForTurn: boolean;
  /** Takes too long while others wait. */
  handleStalled(): void;
}

/**
 * Rations handshakes with clients: a signature takes up to a millisecond, and a storm of connects would hold up all
 * running statements. They share LoginBudget with the rest of logging in; of a turn they get 2 ms, while statements are under
 * way one step. First come, first served; those under way before new ones, for they free memory.
 */
export class HandshakeQueue {
  private readonly continuing = new FixedQueue<Handshake>();
  private readonly fresh = new FixedQueue<Handshake>();
  /** In the order in which they began. */
  private readonly underWay = new Map<Handshake, number>();
  private readonly budget: LoginBudget;
  private usedUs = 0;
  private isBusy = false;
  private nowMs = 0;
  doneCount = 0;
  failedCount = 0;

  constructor(budget: LoginBudget) {
    this.budget = budget;
  }

  get waitingCount(): number {
    return this.continuing.length + this.fresh.length;
  }

  /** Some could go on if there were time. */
  get isWaitingForTime(): boolean {
    return this.continuing.length > 0 || (this.fresh.length > 0 && this.underWay.size < UNDER_WAY_MAX);
  }

  get underWayCount(): number {
    return this.underWay.size;
  }

  /** A turn begins. `isBusy`: statements are under way. */
  beginTurn(nowMs: number, isBusy: boolean): void {
    this.nowMs = nowMs;
    this.isBusy = isBusy;
    this.usedUs = 0;
  }

  /** Whether it may take a step at once. If not, it holds its bytes and calls wait(). */
  mayStep(handshake: Handshake): boolean {
    if (this.waitingCount > 0 || !this.hasTime()) return false;
    return handshake.isUnderWay || this.underWay.size < UNDER_WAY_MAX;
  }

  wait(handshake: Handshake): void {
    (handshake.isUnderWay ? this.continuing : this.fresh).push(handshake);
  }

  /** A step took `tookUs`. */
  spent(tookUs: number): void {
    this.usedUs += tookUs;
    this.budget.spend(tookUs);
  }

  began(handshake: Handshake): void {
    this.underWay.set(handshake, this.nowMs);
  }

  /** Done, failed or gone. */
  ended(handshake: Handshake): void {
    this.underWay.delete(handshake);
    if (this.waitingCount === 0) return;
    this.continuing.remove(handshake);
    this.fresh.remove(handshake);
  }

  /** Takes steps of those that wait, as far as there is time. */
  run(): void {
    for (let count = this.waitingCount; count > 0 && this.hasTime(); count--) {
      const next = this.continuing.shift() ?? (this.hasPlace() ? this.fresh.shift() : undefined);
      if (next === undefined) return;
      next.runHeld();
    }
  }

  private hasTime(): boolean {
    if (!this.budget.hasTime) return false;
    return this.isBusy ? this.usedUs === 0 : this.usedUs < BUDGET_US;
  }

  private hasPlace(): boolean {
    if (this.underWay.size < UNDER_WAY_MAX) return true;
    const [oldest] = this.underWay;
    // One that waits for us is not stalled; it goes first, and then there is a place.
    if (oldest[0].isWaitingForTurn || this.nowMs - oldest[1] < STALLED_MS) return false;
    oldest[0].handleStalled();
    return this.underWay.size < UNDER_WAY_MAX;
  }
}
