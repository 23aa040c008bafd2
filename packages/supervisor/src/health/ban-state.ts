import {
  BAN_NONE,
  BAN_REPLICA_LAG,
  BAN_UNCHECKED,
  type BanReason,
  HEALTH_FAILING,
  HEALTH_GOOD,
  HEALTH_UNKNOWN,
  type Health,
} from '@pgdog-cluster/core';

/** One failed check may be a lost packet; a second one, tried at once, is not. */
export const FAILURES_TO_BAN = 2;
/** A server that comes back takes connections before it is well. */
export const PASSES_TO_LIFT = 2;
/**
 * A host that fails so soon after it was used again comes and goes: each time clients who are just there wait for it. It
 * must pass twice as often as the last time, at most for some 6 s: a banned host is checked every 100 ms.
 */
const RELAPSE_MS = 60_000;
const RELAPSES_MAX = 5;

/** Why a host is banned for what happened to it, or to clients there. Lag and fences are measured anew each time. */
interface FailureBan {
  reason: BanReason;
  sinceMs: number;
  /** Only clients met it, while checks passed: until then (ban_timeout) passing proves nothing. 0 = checks decide. */
  untilMs: number;
}

export interface BanState {
  health: Health;
  /** Failed, or passed, in a row. */
  failures: number;
  passes: number;
  failure: FailureBan | null;
  /** When the last ban for failing checks was lifted; 0 = none was. */
  liftedMs: number;
  /** Such bans that began soon after the last had been lifted, in a row. */
  relapses: number;
  isLagging: boolean;
  fence: BanReason;
  isUnchecked: boolean;
}

export function initialBanState(isCheckRequired: boolean): BanState {
  return {
    health: HEALTH_UNKNOWN,
    failures: 0,
    passes: 0,
    failure: null,
    liftedMs: 0,
    relapses: 0,
    isLagging: false,
    fence: BAN_NONE,
    isUnchecked: isCheckRequired,
  };
}

export type BanEvent =
  | { type: 'passed' }
  /** `isSure`: no second opinion is needed, for clients have met it too. */
  | { type: 'failed'; reason: BanReason; isSure: boolean }
  /** Clients meet failures that the check does not. */
  | { type: 'evidence'; reason: BanReason }
  /** `back`: well within the limit again; `between`: neither. */
  | { type: 'lag'; is: 'beyond' | 'between' | 'back' }
  | { type: 'fenced'; reason: BanReason }
  /** The operator's UNBAN: measuring starts anew. */
  | { type: 'forgiven' };

/** The next state; the same object when nothing changes. */
export function nextBanState(state: BanState, event: BanEvent, nowMs: number, banMs: number): BanState {
  switch (event.type) {
    case 'passed':
      return afterPass(state, nowMs);
    case 'failed':
      return afterFailure(state, event.reason, event.isSure, nowMs);
    case 'evidence': {
      const failure = { reason: event.reason, sinceMs: nowMs, untilMs: nowMs + banMs };
      return state.failure === null ? { ...state, failure } : state;
    }
    case 'lag': {
      const isLagging = event.is === 'between' ? state.isLagging : event.is === 'beyond';
      return isLagging === state.isLagging ? state : { ...state, isLagging };
    }
    case 'fenced':
      return event.reason === state.fence ? state : { ...state, fence: event.reason };
    case 'forgiven':
      return {
        ...state,
        health: state.health === HEALTH_FAILING ? HEALTH_UNKNOWN : state.health,
        failures: 0,
        failure: null,
        liftedMs: 0,
        relapses: 0,
        isLagging: false,
        isUnchecked: false,
      };
  }
}

function afterPass(state: BanState, nowMs: number): BanState {
  const passes = state.passes + 1;
  const { failure } = state;
  const isByEvidence = failure !== null && failure.untilMs > 0;
  const isOver = isByEvidence ? nowMs >= failure.untilMs : passes >= PASSES_TO_LIFT * 2 ** state.relapses;
  // While banned for failing checks it is still failing: one pass is not health.
  const isGood = failure === null || isOver || isByEvidence;
  return {
    ...state,
    health: isGood ? HEALTH_GOOD : state.health,
    failures: 0,
    passes,
    failure: isOver ? null : failure,
    liftedMs: failure !== null && isOver && !isByEvidence ? nowMs : state.liftedMs,
    isUnchecked: false,
  };
}

function afterFailure(state: BanState, reason: BanReason, isSure: boolean, nowMs: number): BanState {
  const failures = state.failures + 1;
  if (failures < FAILURES_TO_BAN && !isSure && state.failure === null)
    return { ...state, failures, passes: 0 };
  const failure = { reason, sinceMs: state.failure?.sinceMs ?? nowMs, untilMs: 0 };
  const relapses = state.failure === null ? relapsesAt(state, nowMs) : state.relapses;
  return { ...state, health: HEALTH_FAILING, failures, passes: 0, failure, relapses };
}

function relapsesAt({ liftedMs, relapses }: BanState, nowMs: number): number {
  const isRelapse = liftedMs > 0 && nowMs - liftedMs < RELAPSE_MS;
  return isRelapse ? Math.min(relapses + 1, RELAPSES_MAX) : 0;
}

/** What counts of all that speaks against it: what makes it unusable before what makes it slow. */
export function banReasonOf(state: BanState): BanReason {
  if (state.fence !== BAN_NONE) return state.fence;
  if (state.failure !== null) return state.failure.reason;
  if (state.isUnchecked) return BAN_UNCHECKED;
  return state.isLagging ? BAN_REPLICA_LAG : BAN_NONE;
}

/** Epoch ms before which the ban is not lifted; 0 = as soon as it measures well. */
export function banUntilMsOf(state: BanState): number {
  return state.fence === BAN_NONE ? (state.failure?.untilMs ?? 0) : 0;
}
