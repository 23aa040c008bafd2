// ● per-frame path
import type { BalancingStrategy, HostTable } from '@pgdog-cluster/core';

/** A host to choose from, as far as the choice depends on it. */
export interface Candidate {
  readonly hostIndex: number;
  readonly lbWeight: number;
  /** Of weighted_round_robin: what it is owed. */
  credit: number;
}

/** A host that has not been used yet is taken for this fast: it is tried soon, but not by everybody at once. */
const UNKNOWN_LATENCY_US = 1;

/**
 * Picks one of several hosts that may all serve a request. One per cluster and worker: what it counts (turns,
 * credits) is this worker's; statements under way are everybody's, from shared memory.
 */
export class Balance {
  private turn = 0;
  private readonly hosts: HostTable;
  private readonly worker: number;

  constructor(hosts: HostTable, worker: number) {
    this.hosts = hosts;
    this.worker = worker;
    // Workers that start together must not all begin with the first.
    this.turn = worker;
  }

  /** @param count how many of `candidates` count, at least one; returns a position below it */
  pick(strategy: BalancingStrategy, candidates: readonly Candidate[], count: number): number {
    if (count === 1) return 0;
    switch (strategy) {
      case 'round_robin':
        return this.next(count);
      case 'least_active_connections':
        return this.leastActive(candidates, count);
      case 'weighted_round_robin':
        return this.weighted(candidates, count);
      case 'fastest':
        return this.fastest(candidates, count);
      default:
        return Math.floor(Math.random() * count);
    }
  }

  /** What pick() would say now, without taking a turn; -1 where chance decides. */
  peek(strategy: BalancingStrategy, candidates: readonly Candidate[], count: number): number {
    if (count < 2) return count - 1;
    if (strategy === 'random' || strategy === 'fastest') return -1;
    const { turn } = this;
    const credits = candidates.map(({ credit }) => credit);
    const at = this.pick(strategy, candidates, count);
    this.turn = turn;
    candidates.forEach((candidate, index) => {
      candidate.credit = credits[index];
    });
    return at;
  }

  private next(count: number): number {
    this.turn = (this.turn + 1) % 0x4000_0000;
    return this.turn % count;
  }

  /** Ties go round, or an idle cluster would use its first host only. */
  private leastActive(candidates: readonly Candidate[], count: number): number {
    const first = this.next(count);
    let best = first;
    let fewest = this.hosts.inFlight(candidates[first].hostIndex);
    for (let step = 1; step < count; step++) {
      const at = (first + step) % count;
      const inFlight = this.hosts.inFlight(candidates[at].hostIndex);
      if (inFlight >= fewest) continue;
      best = at;
      fewest = inFlight;
    }
    return best;
  }

  /** Smooth: each gains its weight, the richest is chosen and pays all weights. Weight 0 only when all have none. */
  private weighted(candidates: readonly Candidate[], count: number): number {
    let total = 0;
    let best = -1;
    for (let at = 0; at < count; at++) {
      const candidate = candidates[at];
      if (candidate.lbWeight === 0) continue;
      total += candidate.lbWeight;
      candidate.credit += candidate.lbWeight;
      if (best < 0 || candidate.credit > candidates[best].credit) best = at;
    }
    if (best < 0) return this.next(count);
    candidates[best].credit -= total;
    return best;
  }

  /** The better of two random ones: not all workers rush to the one that was fastest a moment ago. */
  private fastest(candidates: readonly Candidate[], count: number): number {
    const one = Math.floor(Math.random() * count);
    const other = (one + 1 + Math.floor(Math.random() * (count - 1))) % count;
    return this.cost(candidates[one].hostIndex) <= this.cost(candidates[other].hostIndex) ? one : other;
  }

  private cost(host: number): number {
    const latencyUs = this.hosts.statementLatencyUs(this.worker, host) || UNKNOWN_LATENCY_US;
    return latencyUs * (this.hosts.inFlight(host) + 1);
  }
}
