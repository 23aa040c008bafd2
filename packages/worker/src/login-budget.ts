/** While clients are being served, the share of a worker's time that goes to clients that are not logged in yet. */
const SHARE = 0.2;
/** Time kept for them while none come: some logins in a quiet moment need not wait at all. */
const SAVED_US_MAX = 2000;
/** A step is never interrupted, and one in which this thread lost its core counts whole; more is not remembered of it. */
const DEBT_US_MAX = 20_000;
/** How long a client must have been here to be one that a storm of others must not hold up. */
const SETTLED_MS = 1000;
/** How long a request counts as being served: longer than most clients think between two. */
const SERVED_MS = 100;
/**
 * Added to what a step takes here: what the kernel does for it later, in the turn's one system call. Accepting,
 * receiving, sending and closing cost 40 to 60 us a login.
 */
const KERNEL_US = 15;

/**
 * How much of a worker's time logins may have: accepts, TLS handshakes, first packets, authentication. All of it,
 * unless clients are being served that have been here for a second: then a fifth, saved up by the clock and spent a step
 * at a time. So a storm of connects takes longer and is hardly felt; and since whoever raises it mostly waits for us,
 * the machine has the CPU for those that run. Clients that connect for each transaction never stay for a second.
 */
export class LoginBudget {
  private savedUs: number = SAVED_US_MAX;
  private sinceUs: number = 0;
  private servedMs: number = Number.NEGATIVE_INFINITY;
  private isPaced: boolean = false;
  /** All steps so far. */
  spentUs: number = 0;

  beginTurn(nowUs: number, nowMs: number): void {
    this.isPaced = nowMs - this.servedMs < SERVED_MS;
    this.savedUs = Math.min(SAVED_US_MAX, this.savedUs + (nowUs - this.sinceUs) * SHARE);
    this.sinceUs = nowUs;
  }

  /** A client that connected at `connectedMs` asks for something. */
  noteRequest(connectedMs: number, nowMs: number): void {
    if (nowMs - connectedMs >= SETTLED_MS) this.servedMs = nowMs;
  }

  get hasTime(): boolean {
    return !this.isPaced || this.savedUs > 0;
  }

  /** Until there is time again; 0 = there is. */
  get waitMs(): number {
    return this.hasTime ? 0 : Math.max(1, Math.ceil(-this.savedUs / (SHARE * 1000)));
  }

  /** A step took `tookUs` of this thread. */
  spend(tookUs: number): void {
    this.spentUs += tookUs;
    if (this.isPaced) this.savedUs = Math.max(-DEBT_US_MAX, this.savedUs - tookUs - KERNEL_US);
  }
}
