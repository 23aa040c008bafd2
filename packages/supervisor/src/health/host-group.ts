import {
  BAN_FORKED,
  BAN_NONE,
  type BanReason,
  type MeasuredRole,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  ROLE_UNKNOWN,
} from '@pgdog-cluster/core';
import {
  type Claim,
  type ElectionMemory,
  electRoles,
  findForks,
  NO_MEMORY,
  type Verdict,
} from './elect-roles.js';
import type { HealthSettings } from './health-settings.js';
import type { HostWatch } from './host-watch.js';
import { type Lag, LagHistory, UNKNOWN_LAG } from './lag-history.js';

/** What is believed of one host: what its row in shared memory says. */
export interface HostState {
  role: MeasuredRole;
  lag: Lag;
  /** Of a replica: HostTable.shownMs. */
  shownMs: number;
}

const nothingKnown = (): HostState => ({ role: ROLE_UNKNOWN, lag: UNKNOWN_LAG, shownMs: 0 });

/** Back when lag is at most this part of the limit, so that a replica at the limit does not come and go. */
const BACK_SHARE = 0.5;

/** Hosts of which one is the primary: who it is, and how far the others are behind it. */
export class HostGroup {
  readonly isAuto: boolean;
  readonly watches: readonly HostWatch[];
  readonly states = new Map<number, HostState>();
  readonly #settings: HealthSettings;
  readonly #history = new LagHistory();
  /** Whose history it is; -1 = nobody's. */
  #historyOf = -1;
  #memory: ElectionMemory;
  /** What Patroni says, where it is asked; null = nothing. */
  #verdict: () => Verdict | null;
  /** -1 = none is known. */
  primary = -1;

  constructor(
    isAuto: boolean,
    watches: readonly HostWatch[],
    settings: HealthSettings,
    memory: ElectionMemory = NO_MEMORY,
    verdict: () => Verdict | null = () => null,
  ) {
    this.#verdict = verdict;
    this.isAuto = isAuto;
    this.watches = watches;
    this.#settings = settings;
    this.#memory = memory;
    for (const { plan } of watches) this.states.set(plan.index, nothingKnown());
  }

  /** Kept over a change of the configuration. */
  get memory(): ElectionMemory {
    return this.#memory;
  }

  state(host: number): HostState {
    return this.states.get(host) ?? nothingKnown();
  }

  /** After a check of `watch`, or with other news of the group. */
  evaluate(watch: HostWatch | null): void {
    const claims = this.watches.flatMap(({ plan, measurement }): Claim[] =>
      measurement === null ? [] : [{ host: plan.index, measurement }],
    );
    const fences = this.isAuto ? this.#elect(claims) : this.#readRoles(claims);
    const isMissing = !this.watches.some(({ plan, isLost }) => plan.index === this.primary && !isLost);
    for (const one of this.watches) {
      one.apply({ type: 'fenced', reason: fences.get(one.plan.index) ?? BAN_NONE });
      const wasUrgent = one.isUrgent;
      one.isUrgent = this.isAuto && isMissing;
      if (one.isUrgent && !wasUrgent && one !== watch) one.checkNow();
    }
    if (watch !== null) this.#measureLag(watch);
  }

  #elect(claims: readonly Claim[]): ReadonlyMap<number, BanReason> {
    const isComplete = this.watches.every(({ isTried }) => isTried);
    const isWhole = this.watches.every(({ measurement, isLost }) => measurement !== null && !isLost);
    const verdict = this.#verdict();
    const reach = { isComplete, isWhole };
    const { primary, roles, fences, memory } = electRoles(claims, this.#memory, reach, verdict);
    this.#memory = memory;
    this.primary = primary === -1 && this.#isUnmeasured(verdict) ? (verdict?.leader ?? -1) : primary;
    for (const { plan } of this.watches) {
      const state = this.state(plan.index);
      // A replica that is gone is still one, should all of them be; a primary that is gone is none.
      const lost = state.role === ROLE_PRIMARY ? ROLE_UNKNOWN : state.role;
      state.role = roles.get(plan.index) ?? lost;
      if (plan.index === this.primary) state.role = ROLE_PRIMARY;
    }
    return fences;
  }

  /** The leader answers, but cannot be asked: then it is what Patroni says. */
  #isUnmeasured(verdict: Verdict | null): boolean {
    const leader = this.watches.find(({ plan }) => plan.index === verdict?.leader);
    return (
      leader !== undefined && leader.whyUnmeasured !== '' && leader.measurement === null && !leader.isLost
    );
  }

  /** Configured roles: the host still says whether it can be written to. */
  #readRoles(claims: readonly Claim[]): ReadonlyMap<number, BanReason> {
    for (const { host, measurement } of claims) {
      this.state(host).role = measurement.isInRecovery ? ROLE_REPLICA : ROLE_PRIMARY;
    }
    const written = claims.find(
      ({ host, measurement }) => this.#configuredRole(host) === 'primary' && !measurement.isInRecovery,
    );
    this.primary = written?.host ?? -1;
    const own = claims.filter(({ measurement }) => isSameSystem(measurement, written?.measurement));
    const forks = findForks(own, written ?? null, this.#memory.forks);
    // Whoever is written to goes on being it where roles are measured from the next configuration on.
    this.#memory = { ...this.#memory, forks, primary: written?.host ?? this.#memory.primary };
    const fences = new Map<number, BanReason>([...forks.keys()].map((host) => [host, BAN_FORKED]));
    for (const { host, measurement } of own) {
      // A copy of the primary that takes writes of its own while the primary goes on.
      if (host !== this.primary && !measurement.isInRecovery && written !== undefined)
        fences.set(host, BAN_FORKED);
    }
    return fences;
  }

  #configuredRole(host: number): string {
    return this.watches.find(({ plan }) => plan.index === host)?.plan.role ?? 'replica';
  }

  #measureLag({ plan, measurement }: HostWatch): void {
    if (this.#historyOf !== this.primary && this.primary !== -1) {
      this.#history.clear();
      this.#historyOf = this.primary;
    }
    if (measurement === null) return;
    if (plan.index === this.primary) {
      this.#history.note(measurement.lsn, measurement.answeredMs, measurement.askedMs);
      this.state(plan.index).lag = { ms: 0, bytes: 0 };
      return;
    }
    const state = this.state(plan.index);
    state.lag = measurement.isInRecovery ? this.#lagOf(measurement) : UNKNOWN_LAG;
    state.shownMs = measurement.isInRecovery ? this.#history.shownMs(measurement.lsn) : 0;
  }

  #lagOf({ lsn, askedMs, replayedXactMs }: NonNullable<HostWatch['measurement']>): Lag {
    const lag = this.#history.lagOf(lsn, askedMs);
    // Behind everything that was seen of the primary: then the age of what it replayed last is all there is.
    if (lag.bytes > 0 && lag.ms === -1 && replayedXactMs > 0) {
      return { ms: Math.max(0, Math.round(Date.now() - replayedXactMs)), bytes: lag.bytes };
    }
    return lag;
  }

  /** Whether the lag of a host bans it. */
  lagEvent(host: number): 'beyond' | 'between' | 'back' {
    const { lagMsMax, lagBytesMax } = this.#settings;
    const { role, lag } = this.state(host);
    if (role === ROLE_PRIMARY) return 'back';
    if (lag.ms > lagMsMax || lag.bytes > lagBytesMax) return 'beyond';
    const isKnown = lag.ms !== -1 && lag.bytes !== -1;
    const isBack = lag.ms <= lagMsMax * BACK_SHARE && lag.bytes <= lagBytesMax * BACK_SHARE;
    return isKnown && isBack ? 'back' : 'between';
  }
}

/** Unknown counts as the same; another one is a copy by logical replication, with positions of its own. */
function isSameSystem(one: Claim['measurement'], other: Claim['measurement'] | undefined): boolean {
  if (other === undefined || one.systemId === '' || other.systemId === '') return other !== undefined;
  return one.systemId === other.systemId;
}
