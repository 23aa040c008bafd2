import {
  BAN_FORKED,
  BAN_NOT_LEADER,
  BAN_OTHER_SYSTEM,
  BAN_SECOND_PRIMARY,
  BAN_SUPERSEDED,
  type BanReason,
  type MeasuredRole,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  ROLE_UNKNOWN,
} from '@pgdog-cluster/core';
import type { Measurement } from './measurement.js';

/** A host that was reached, and what it said last. In the order of the configuration. */
export interface Claim {
  host: number;
  measurement: Measurement;
}

/** What earlier elections leave behind. A promotion is for good: an older timeline is never believed again. */
export interface ElectionMemory {
  /** The last primary; -1 = none yet. */
  primary: number;
  timeline: number;
  systemId: string;
  /** Standbys seen ahead of their primary: where they were. */
  forks: ReadonlyMap<number, { lsn: number; timeline: number }>;
}

export const NO_MEMORY: ElectionMemory = { primary: -1, timeline: 0, systemId: '', forks: new Map() };

export interface Reach {
  /** Every host has been tried since it was first heard of. Until then nobody new becomes primary. */
  isComplete: boolean;
  /** Every host has answered. */
  isWhole: boolean;
}

/** What somebody says who knows better: Patroni. */
export interface Verdict {
  /** -1: it has none at the moment, so nobody is written to. */
  leader: number;
}

export interface Election {
  /** -1 = none. */
  primary: number;
  /** Of every claim. */
  roles: ReadonlyMap<number, MeasuredRole>;
  fences: ReadonlyMap<number, BanReason>;
  memory: ElectionMemory;
}

/**
 * Which of the hosts with role = "auto" is the primary. The highest timeline that is not in recovery; of two at one
 * timeline the one that was primary before, else the newer position. A host out of recovery that is not chosen holds
 * data that nobody else has: it is fenced, not made a replica. A verdict takes the place of the comparison, but nobody in
 * recovery is written to.
 */
export function electRoles(
  claims: readonly Claim[],
  past: ElectionMemory,
  reach: Reach,
  verdict: Verdict | null = null,
): Election {
  const systemId = chooseSystem(claims, past, reach.isWhole);
  const before = systemId === past.systemId || past.systemId === '' ? past : NO_MEMORY;
  const roles = new Map<number, MeasuredRole>();
  const fences = new Map<number, BanReason>();
  const own: Claim[] = [];
  for (const claim of claims) {
    const { systemId: theirs, isInRecovery } = claim.measurement;
    const isForeign = theirs !== '' && systemId !== '' && theirs !== systemId;
    roles.set(claim.host, isInRecovery && !isForeign ? ROLE_REPLICA : ROLE_UNKNOWN);
    if (isForeign) fences.set(claim.host, BAN_OTHER_SYSTEM);
    else own.push(claim);
  }
  const claimants = own.filter(({ measurement }) => !measurement.isInRecovery);
  const chosen =
    verdict === null
      ? compareClaimants(claimants, own, before, reach.isComplete)
      : obeyVerdict(claimants, verdict);
  const { primary, timeline } = chosen;
  for (const [host, reason] of chosen.fences) fences.set(host, reason);
  const forks = findForks(own, primary, before.forks);
  for (const host of forks.keys()) {
    fences.set(host, BAN_FORKED);
    roles.set(host, ROLE_UNKNOWN);
  }
  if (primary !== null) roles.set(primary.host, ROLE_PRIMARY);
  const memory = {
    primary: primary?.host ?? before.primary,
    timeline: primary === null ? before.timeline : timeline,
    systemId: primary === null ? before.systemId : systemId,
    forks,
  };
  return { primary: primary?.host ?? -1, roles, fences, memory };
}

interface Choice {
  primary: Claim | null;
  timeline: number;
  fences: ReadonlyMap<number, BanReason>;
}

function compareClaimants(
  claimants: readonly Claim[],
  own: readonly Claim[],
  before: ElectionMemory,
  isComplete: boolean,
): Choice {
  const fences = new Map<number, BanReason>();
  const timeline = Math.max(before.timeline, ...claimants.map(({ measurement }) => measurement.timeline));
  const eligible = claimants.filter((claim) => !isSuperseded(claim, timeline, own));
  const primary = choosePrimary(eligible, before.primary, isComplete);
  for (const claim of claimants) {
    if (!eligible.includes(claim)) fences.set(claim.host, BAN_SUPERSEDED);
    else if (primary !== null && claim !== primary) fences.set(claim.host, BAN_SECOND_PRIMARY);
  }
  return { primary, timeline, fences };
}

function obeyVerdict(claimants: readonly Claim[], { leader }: Verdict): Choice {
  const primary = claimants.find(({ host }) => host === leader) ?? null;
  const others = leader === -1 ? [] : claimants.filter(({ host }) => host !== leader);
  const fences = new Map(others.map(({ host }) => [host, BAN_NOT_LEADER] as const));
  return { primary, timeline: primary?.measurement.timeline ?? 0, fences };
}

/**
 * The system of the primary there was. Only when every host is there and none is of it has it been replaced as a
 * whole (pg_upgrade, a restored backup): then, as at first, the one that most of them are of.
 */
function chooseSystem(claims: readonly Claim[], past: ElectionMemory, isWhole: boolean): string {
  const counts = new Map<string, number>();
  for (const { measurement } of claims) {
    const { systemId } = measurement;
    if (systemId !== '') counts.set(systemId, (counts.get(systemId) ?? 0) + 1);
  }
  if (past.systemId !== '' && (counts.has(past.systemId) || !isWhole)) return past.systemId;
  let chosen = '';
  for (const [systemId, count] of counts) {
    if (count > (counts.get(chosen) ?? 0)) chosen = systemId;
  }
  return chosen;
}

/** A newer timeline has been seen, or a standby follows one and is further than this host ever was. */
function isSuperseded({ measurement }: Claim, timeline: number, own: readonly Claim[]): boolean {
  if (measurement.timeline < timeline) return true;
  return own.some(
    ({ measurement: other }) =>
      other.isInRecovery && other.timeline > measurement.timeline && other.lsn > measurement.lsn,
  );
}

function choosePrimary(eligible: readonly Claim[], incumbent: number, isComplete: boolean): Claim | null {
  const same = eligible.find(({ host }) => host === incumbent);
  if (same !== undefined) return same;
  if (!isComplete) return null;
  let best: Claim | null = null;
  for (const claim of eligible) {
    if (best === null || claim.measurement.lsn > best.measurement.lsn) best = claim;
  }
  return best;
}

/**
 * Standbys that have replayed what their primary, asked later, has not written: they followed another one. It is
 * remembered, since the primary's position passes theirs some time, until they go back or to another timeline.
 */
export function findForks(
  claims: readonly Claim[],
  primary: Claim | null,
  known: ElectionMemory['forks'],
): ElectionMemory['forks'] {
  const forks = new Map<number, { lsn: number; timeline: number }>();
  for (const { host, measurement } of claims) {
    const { isInRecovery, lsn, timeline } = measurement;
    if (!isInRecovery) continue;
    const before = known.get(host);
    if (before !== undefined && lsn >= before.lsn && timeline <= before.timeline) forks.set(host, before);
    const written = primary?.measurement;
    const isAhead = written !== undefined && lsn > written.lsn && written.askedMs > measurement.answeredMs;
    if (isAhead && written.lsn > 0) forks.set(host, { lsn, timeline });
  }
  return forks;
}
