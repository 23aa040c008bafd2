// ● per-frame path
import { type ListenSocket, WORKER_DRAINING, WORKER_STOPPED } from '@pgdog-cluster/core';
import { handleWorkerMessage } from './control-inbox.js';
import { checkDrain } from './drain.js';
import { Acceptor } from './listen/acceptor.js';
import { publishClients } from './listen/hand-over.js';
import { checkPools, checkSessions, POOL_CHECK_MS, SESSION_CHECK_MS, TRIM_MS } from './pool/janitor.js';
import { lookAgainAtHosts } from './route/clusters.js';
import { leaveRetired } from './take-up.js';
import { threadCpuUs } from './thread-time.js';
import type { WorkerContext } from './worker-context.js';

/** Longest sleep in the kernel: time-outs and the heartbeat are looked at in between. */
const WAIT_MS_MAX = POOL_CHECK_MS;
/** The same while keys are derived: how late their end may be noticed. */
const WAIT_MS_DERIVING = 1;
/** After so long Node's own machinery gets a chance (message ports, garbage collector tasks). */
const YIELD_AFTER_MS = 100;
/** Messages taken from the mailbox in one turn, so that a storm of new clients cannot starve running ones. */
const MESSAGES_PER_TURN = 64;

const BATCH_EVENTS_MAX = 16;
/** How long a turn waits for more events than one, in microseconds: only while as many clients queue as are served. */
const BATCH_WAIT_US = 160;
/** How often the rate of events is taken. */
const RATE_WINDOW_US = 1000;

/** One worker's turn, again and again: completions, mailbox, time-outs, then all output in one submission. */
export class Loop {
  private readonly context: WorkerContext;
  private readonly hasTestHooks: boolean;
  private isCut = false;
  private nextPoolCheckMs = 0;
  private nextSessionCheckMs = 0;
  private nextTrimMs = 0;
  /** Of the present window. */
  private events = 0;
  /** Of all windows before it. */
  private eventsTotal = 0;
  private windowStartUs = 0;
  private expectedCount = 1;
  private turns = 0;
  /** Some want to log in, and this turn had no more time for them. */
  private areClientsWaiting = false;
  private delayMaxUs = 0;
  private hostsGeneration = 0;
  private readonly acceptor: Acceptor;

  constructor(context: WorkerContext, hasTestHooks: boolean) {
    this.context = context;
    this.hasTestHooks = hasTestHooks;
    this.acceptor = new Acceptor(context);
  }

  /** Until it is cut, or drained to the end. */
  // exempt: ten times a second, between two runs of turns
  async run(): Promise<void> {
    const { workers } = this.context.memory;
    while (!this.isCut) {
      // What runs beside the loop (PBKDF2) is told by Node, which has to be let in for that.
      this.runFor(this.context.derivation.isPending ? 0 : YIELD_AFTER_MS);
      // exempt: as above
      await yieldToNode();
    }
    workers.setState(this.context.worker, WORKER_STOPPED);
  }

  private runFor(durationMs: number): void {
    const until = performance.now() + durationMs;
    while (!this.isCut) {
      this.turn();
      if (this.context.derivation.isPending || this.context.nowUs / 1000 > until) return;
    }
  }

  private turn(): void {
    const { context } = this;
    if (context.derivation.hasResults) context.derivation.deliver();
    if (context.mirrors.hasWork) context.mirrors.run();
    if (context.sharded.hasPostponed) context.sharded.runPostponed();
    context.outputs.flushAll();
    // Output of this turn has left: what comes next belongs to another one (ServerConnection.hasLeft).
    context.turn++;
    const { mailboxes } = context.memory;
    const isMailWaiting = mailboxes.hasMessages(context.worker);
    // The clock was read when the last turn began; this reading is how long that turn worked.
    const beforeUs = now();
    const workedUs = beforeUs - context.nowUs;
    if (workedUs > this.delayMaxUs) this.delayMaxUs = workedUs;
    const waitMs = isMailWaiting ? 0 : this.waitMs();
    // The time of the completions' arrival is what is delivered with them, so it is read inside, through tick().
    this.events += context.driver.turn(waitMs, this.expectedCount, BATCH_WAIT_US);
    if (context.nowUs - this.windowStartUs >= RATE_WINDOW_US) this.measureRate();
    if (isMailWaiting || mailboxes.hasMessages(context.worker)) this.readMailbox();
    if (context.memory.hosts.generation() !== this.hostsGeneration) this.lookAtHosts();
    this.workOnLogins();
    this.turns++;
    if (context.nowMs >= this.nextPoolCheckMs) this.housekeep();
  }

  /** Handshakes and what follows them share one budget: by turns the one and the other goes first. */
  private workOnLogins(): void {
    const { arrivals, tls } = this.context;
    const areHandshakesFirst = (this.turns & 1) === 0;
    if (areHandshakesFirst) tls.handshakes.run();
    this.areClientsWaiting = arrivals.work();
    if (!areHandshakesFirst) tls.handshakes.run();
  }

  /**
   * How many events to wait for together: the turn of those who queue does not come sooner by more wake-ups. With a short
   * queue each wait is felt by somebody, and where cores are busy events come together by themselves. A transaction holds
   * its server connection, and locks, for as long as each of its statements takes.
   */
  private measureRate(): void {
    const { context } = this;
    const perUs = this.events / (context.nowUs - this.windowStartUs);
    const isQueueLong = context.waitingSessions > context.activeServers;
    const areInTransactions = 2 * context.answersInTransaction > context.answers;
    const isWorthIt = isQueueLong && !areInTransactions;
    const expected = isWorthIt ? Math.floor(perUs * BATCH_WAIT_US) : 1;
    this.expectedCount = Math.max(1, Math.min(BATCH_EVENTS_MAX, expected));
    this.windowStartUs = context.nowUs;
    this.eventsTotal += this.events;
    this.events = 0;
    context.answers = 0;
    context.answersInTransaction = 0;
  }

  /** Called by the driver after it woke up, before anything is delivered. */
  tick(): void {
    const us = now();
    this.context.nowUs = us;
    const { context } = this;
    context.nowMs = epochStartMs + Math.floor(us / 1000);
    context.loginBudget.beginTurn(us, context.nowMs);
    context.tls.handshakes.beginTurn(context.nowMs, context.activeServers > 0);
  }

  /** How long the kernel may sleep. Those that wait for their turn to log in make no event of their own. */
  private waitMs(): number {
    const { tls, loginBudget, derivation, sharded } = this.context;
    if (sharded.hasPostponed) return 0;
    if (this.areClientsWaiting || tls.handshakes.isWaitingForTime) return loginBudget.waitMs;
    return derivation.isPending ? WAIT_MS_DERIVING : WAIT_MS_MAX;
  }

  /** Before it is looked at: what changes meanwhile is seen next turn. */
  private lookAtHosts(): void {
    this.hostsGeneration = this.context.memory.hosts.generation();
    lookAgainAtHosts(this.context);
  }

  private readMailbox(): void {
    const { context } = this;
    context.memory.mailboxes.drain(
      context.worker,
      (message) => handleWorkerMessage(context, this, this.hasTestHooks, message),
      MESSAGES_PER_TURN,
    );
  }

  listen(sockets: readonly ListenSocket[]): void {
    this.acceptor.listen(sockets);
  }

  /** Ends the loop at once. */
  cut(): void {
    this.isCut = true;
  }

  private housekeep(): void {
    const { context } = this;
    const { nowMs } = context;
    const { workers } = context.memory;
    this.nextPoolCheckMs = nowMs + POOL_CHECK_MS;
    checkPools(context);
    leaveRetired(context);
    context.deadlines.check(nowMs);
    context.flushLog();
    if (nowMs >= this.nextSessionCheckMs) {
      this.nextSessionCheckMs = nowMs + SESSION_CHECK_MS;
      checkSessions(context);
      context.arrivals.check();
    }
    if (nowMs >= this.nextTrimMs) {
      this.nextTrimMs = nowMs + TRIM_MS;
      context.driver.memory.trim();
    }
    if (context.drainMode !== null) this.drain();
    workers.setHeartbeatMs(context.worker, nowMs);
    publishClients(context);
    const { doneCount, failedCount } = context.tls.handshakes;
    workers.setTlsHandshakes(context.worker, doneCount, failedCount);
    publishQueryCache(context);
    workers.setBusyUs(context.worker, threadCpuUs());
    workers.setTurns(context.worker, this.turns);
    workers.setIoEvents(context.worker, this.eventsTotal);
    workers.setLoopDelayMaxUs(context.worker, this.delayMaxUs);
  }

  private drain(): void {
    const { context } = this;
    context.memory.workers.setState(context.worker, WORKER_DRAINING);
    if (context.isDrainTold || !checkDrain(context)) return;
    context.isDrainTold = true;
    context.tell({ type: 'drained', worker: context.worker });
  }
}

function publishQueryCache({ memory, queries, plans, worker }: WorkerContext): void {
  queries.refill();
  const { hits, misses, evictions } = queries.counts;
  memory.workers.setQueryCache(worker, hits, misses, evictions);
  memory.workers.setQueryCacheSize(worker, queries.entryCount, queries.bytes + plans.bytes);
}

const epochStartMs = Math.round(performance.timeOrigin);

function now(): number {
  return Math.floor(performance.now() * 1000);
}

function yieldToNode(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
