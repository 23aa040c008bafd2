import type { DrainMode } from '@pgdog-cluster/core';
import type { Fleet } from './fleet/fleet.js';
import type { Logger } from './log/logger.js';

/** After "cut" a worker closes its sockets and ends; more than this means it does not turn any more. */
const CUT_DEADLINE_MS = 2000;

export type ShutdownPhase = 'none' | 'draining' | 'cutting' | 'ended';

export interface ShutdownSteps {
  fleet: Fleet;
  logger: Logger;
  /** Phase 1: no new clients. */
  stopAccepting: () => void;
  /** What operators hold goes on. */
  liftHolds: () => Promise<void>;
  /** How long transactions may take to finish; 0 = as long as they like. */
  drainTimeoutMs: () => number;
  /** And then to cancel and roll back what did not; 0 = no such phase. */
  terminationTimeoutMs: () => number;
  /** Last phase: whatever else is open. */
  closeRest: () => void;
}

const PATIENCE: Record<DrainMode, number> = { transactions: 0, servers: 1, clients: 2 };
const AWAITED: Record<DrainMode, string> = {
  transactions: 'finishing transactions',
  servers: 'waiting until server connections are released',
  clients: 'waiting until clients have left',
};

/**
 * The way out, in phases with a deadline each:
 *
 *   stop accepting → drain (shutdown_timeout) → cancel and roll back (shutdown_termination_timeout) → cut (2 s)
 *   → end the threads → close the rest
 *
 * Every call joins the one run; cut() during a drain ends the drain at once.
 */
export class Shutdown {
  readonly #steps: ShutdownSteps;
  #phase: ShutdownPhase = 'none';
  #isCutAsked = false;
  #mode: DrainMode = 'clients';
  #run: Promise<void> | null = null;

  constructor(steps: ShutdownSteps) {
    this.#steps = steps;
  }

  get phase(): ShutdownPhase {
    return this.#phase;
  }

  /**
   * Finish what runs, then end. Resolves when everything has ended. `servers` and `clients` wait as long as it takes; a
   * stricter mode that comes later counts from then on, a more patient one is too late.
   */
  drain(reason: string, mode: DrainMode): Promise<void> {
    const isStricter = PATIENCE[mode] < PATIENCE[this.#mode];
    if (this.#run === null || isStricter) this.#mode = mode;
    if (this.#run !== null && isStricter) this.#steps.fleet.wake();
    this.#run ??= this.#go(reason);
    return this.#run;
  }

  /** End now. */
  cut(): Promise<void> {
    this.#isCutAsked = true;
    if (this.#run === null) this.#run = this.#go('cut');
    else this.#steps.fleet.wake();
    return this.#run;
  }

  async #go(reason: string): Promise<void> {
    const { fleet, logger, stopAccepting, closeRest } = this.#steps;
    stopAccepting();
    fleet.beginStop();
    if (!this.#isCutAsked) await this.#drain(reason);
    this.#phase = 'cutting';
    fleet.orderEnd({ type: 'cut' });
    const hasEnded = await fleet.waitEnded(CUT_DEADLINE_MS);
    if (!hasEnded)
      logger.log('warn', 'shutdown_forced', 'workers did not end in time: their threads are stopped');
    await fleet.destroy();
    closeRest();
    this.#phase = 'ended';
    logger.log('info', 'shutdown_done', 'stopped');
  }

  async #drain(reason: string): Promise<void> {
    const { fleet, logger, terminationTimeoutMs } = this.#steps;
    this.#phase = 'draining';
    if ((await this.#drainByMode(reason)) || this.#isCutAsked) return;
    logger.log('warn', 'shutdown_cut', 'clients still in transactions are cut');
    const terminationMs = terminationTimeoutMs();
    if (terminationMs === 0) return;
    fleet.orderEnd({ type: 'terminate' });
    await fleet.waitDrained(terminationMs, () => this.#isCutAsked);
  }

  /** True when nothing is left; false when the time is over or a cut was asked for. */
  async #drainByMode(reason: string): Promise<boolean> {
    const { logger, drainTimeoutMs } = this.#steps;
    for (;;) {
      const mode = this.#mode;
      const timeoutMs = mode === 'transactions' ? drainTimeoutMs() : 0;
      const limit = timeoutMs === 0 ? 'no time limit' : `at most ${timeoutMs} ms`;
      logger.log('info', 'shutdown_drain', `${reason}: ${AWAITED[mode]}, ${limit}`, {
        reason,
        mode,
        timeoutMs,
      });
      const isDrained = await this.#drained(mode, timeoutMs);
      if (isDrained || this.#isCutAsked || this.#mode === mode) return isDrained;
    }
  }

  async #drained(mode: DrainMode, timeoutMs: number): Promise<boolean> {
    const { fleet } = this.#steps;
    const isGivenUp = () => this.#isCutAsked || this.#mode !== mode;
    if (mode === 'clients') this.#liftHolds();
    fleet.orderEnd({ type: 'drain', mode });
    const isDrained = await fleet.waitDrained(timeoutMs, isGivenUp);
    if (mode !== 'clients' || !isDrained || isGivenUp()) return isDrained;
    // A client that one worker had handed to another before it knew may have been in neither. Now none does so any
    // more, and what was handed over is read before this is.
    fleet.orderEnd({ type: 'drain', mode });
    return fleet.waitDrained(timeoutMs, isGivenUp);
  }

  /** Clients may stay, and nobody who could release those that are held can come in any more. */
  #liftHolds(): void {
    const { logger, liftHolds } = this.#steps;
    liftHolds().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      logger.log('error', 'lift_failed', `clients that an order holds cannot be released: ${reason}`);
    });
  }
}
