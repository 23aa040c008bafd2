import { BAN_NONE, BAN_PROBE_FAILED, HEALTH_FAILING, type HostTable } from '@pgdog-cluster/core';
import { type BanEvent, type BanState, banReasonOf, initialBanState, nextBanState } from './ban-state.js';
import { Evidence } from './evidence.js';
import type { HealthSettings } from './health-settings.js';
import { type CheckResult, Healthcheck, type ProbeTarget } from './healthcheck.js';
import type { HostPlan } from './host-plan.js';
import type { Measurement } from './measurement.js';

export interface WatchClock {
  /** Monotonic: of what is measured. */
  nowMs(): number;
  /** Of the day: of bans. */
  epochMs(): number;
}

export interface HostWatchOptions {
  plan: HostPlan;
  target: ProbeTarget;
  settings: HealthSettings;
  table: HostTable;
  clock: WatchClock;
  /** A check has ended, or silence has lasted. */
  onCheck: (watch: HostWatch, why: string) => void;
}

/** A host that fails is tried again after this long, doubled each time. */
const RETRY_START_MS = 100;
const RETRY_MAX_MS = 1_000;
/** A timer that comes later than this says more of our own thread than of the host. */
const STALL_MS = 100;

/** One host: when it is checked, what came of it, and whether that bans it. */
export class HostWatch {
  plan: HostPlan;
  ban: BanState;
  /** The last one since it was reached, also while it is silent; null when it refuses, or was never asked. */
  measurement: Measurement | null = null;
  /** Why the last check gave no measurement although the host answered; empty when it did, or failed. */
  whyUnmeasured = '';
  latencyUs = 0;
  /** Epoch ms of the last check that passed; 0 = none. */
  passedMs = 0;
  /** No primary answers: it may become the one. */
  isUrgent = false;
  readonly #options: HostWatchOptions;
  readonly #check: Healthcheck;
  readonly #evidence: Evidence;
  #settings: HealthSettings;
  #timer: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #isChecking = false;
  /** Once more when the check under way has ended. */
  #isWantedAgain = false;
  /** Clients have met it too, or its connection has just ended. */
  #isSure = false;
  #isClosed = false;
  #waiting: ((result: CheckResult) => void)[] = [];

  constructor(options: HostWatchOptions) {
    const { plan, target, settings, table, clock } = options;
    this.#options = options;
    this.plan = plan;
    this.#settings = settings;
    this.ban = initialBanState(settings.isCheckRequired);
    this.#evidence = new Evidence(table, plan.index);
    this.#check = new Healthcheck(
      target,
      () => clock.nowMs(),
      () => {
        this.#isSure = true;
        this.checkNow();
      },
    );
  }

  start(): void {
    const { isRouted } = this.plan;
    const { delayMs, idleDelayMs, isCheckRequired } = this.#settings;
    this.#schedule(isRouted ? delayMs : isCheckRequired ? 0 : idleDelayMs);
  }

  takeUp(plan: HostPlan, target: ProbeTarget, settings: HealthSettings): void {
    this.plan = plan;
    this.#settings = settings;
    this.#check.takeUp(target);
    this.checkNow();
  }

  moveTo(addresses: readonly string[]): void {
    this.#check.moveTo(addresses);
    this.checkNow();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#check.close();
  }

  /** Every host that is measured has answered or failed since it was first heard of. */
  get isTried(): boolean {
    return this.measurement !== null || this.whyUnmeasured !== '' || this.isLost;
  }

  get isLost(): boolean {
    return this.ban.health === HEALTH_FAILING;
  }

  apply(event: BanEvent): void {
    this.ban = nextBanState(this.ban, event, this.#options.clock.epochMs(), this.#settings.banMs);
  }

  /** Looks at what workers met: a check at once when they met failures. */
  lookAtEvidence(): void {
    const { clock } = this.#options;
    const { isRising, clear } = this.#evidence.look(clock.nowMs());
    if (!isRising) return;
    this.#isSure = true;
    if (clear !== BAN_NONE && this.ban.failure === null) {
      this.apply({ type: 'evidence', reason: clear });
      this.#options.onCheck(this, 'clients could not use it');
    }
    this.checkNow();
  }

  /** As soon as the one under way has ended. */
  checkNow(): void {
    if (this.#isChecking) this.#isWantedAgain = true;
    else this.#schedule(0);
  }

  /** For HEALTHCHECK: the result of the next one. */
  nextResult(): Promise<CheckResult> {
    const result = new Promise<CheckResult>((resolve) => this.#waiting.push(resolve));
    this.checkNow();
    return result;
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), delayMs).unref();
  }

  async #run(): Promise<void> {
    if (this.#isClosed || this.#isChecking) return;
    this.#isChecking = true;
    this.#isWantedAgain = false;
    this.#awaitAnswer();
    const result = await this.#check.check();
    clearTimeout(this.#patience);
    this.#isChecking = false;
    if (this.#isClosed) return;
    this.#take(result);
    for (const resolve of this.#waiting.splice(0)) resolve(result);
    this.#schedule(this.#isWantedAgain ? 0 : this.#pauseMs(result));
  }

  /** Silence is a failure long before the connection is given up, and an answer after all ends it. */
  #awaitAnswer(): void {
    const { patienceMs } = this.#settings;
    const armedMs = this.#options.clock.nowMs();
    this.#patience = setTimeout(() => {
      const lateMs = this.#options.clock.nowMs() - armedMs - patienceMs;
      if (lateMs <= STALL_MS) this.#failed(BAN_PROBE_FAILED, `no answer for ${patienceMs} ms`);
      if (this.#isChecking && !this.#isClosed) this.#awaitAnswer();
    }, patienceMs).unref();
  }

  #take(result: CheckResult): void {
    if (result.kind === 'failed') {
      this.#failed(result.reason, result.why);
      return;
    }
    const isMeasured = result.kind === 'measured';
    if (isMeasured) this.measurement = result.measurement;
    this.whyUnmeasured = isMeasured ? '' : result.why;
    this.latencyUs = Math.round(result.tookMs * 1000);
    this.passedMs = this.#options.clock.epochMs();
    this.#isSure = false;
    this.apply({ type: 'passed' });
    this.#options.onCheck(this, '');
  }

  #failed(reason: Extract<CheckResult, { kind: 'failed' }>['reason'], why: string): void {
    this.#options.table.noteFailedCheck(this.plan.index);
    this.apply({ type: 'failed', reason, isSure: this.#isSure });
    // One that is merely silent may be busy: it stays what it was until another says that it is the primary.
    if (this.isLost && reason !== BAN_PROBE_FAILED) this.measurement = null;
    this.#options.onCheck(this, why);
  }

  /** Checks of all hosts fall on the same moments, so that positions can be compared. */
  #pauseMs(result: CheckResult): number {
    const { intervalMs, idleIntervalMs } = this.#settings;
    const { failures } = this.ban;
    const isIll = result.kind === 'failed' || banReasonOf(this.ban) === this.ban.failure?.reason;
    if (isIll) return Math.min(RETRY_MAX_MS, RETRY_START_MS * 2 ** Math.max(0, Math.min(failures, 16) - 1));
    if (!this.plan.isRouted) return idleIntervalMs === 0 ? 0x7fff_ffff : idleIntervalMs;
    const pauseMs = this.isUrgent ? Math.min(RETRY_START_MS, intervalMs) : intervalMs;
    return pauseMs - (this.#options.clock.nowMs() % pauseMs);
  }
}
