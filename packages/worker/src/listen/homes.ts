import { hashOfNames, type PoolSnapshot, WORKER_SERVING } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';
import { slackOf } from './hand-over.js';
import { Uncounted } from './uncounted.js';

/**
 * What a worker's part of a pool must be to be of use: with less, most clients wait for connections that others hold,
 * and nearly each transaction would hand one over (0.54 of the throughput of one worker, with 4 connections over 4).
 */
const SERVERS_PER_WORKER_MIN = 4;

/** The client may be served by any worker. */
export const ANYWHERE = -1;

/** How many workers serve the clients of a pool of that size. Limits over several pools do not make one small. */
export function homeCount(poolSize: number, workers: number): number {
  return Math.max(1, Math.min(workers, Math.ceil(poolSize / SERVERS_PER_WORKER_MIN)));
}

/**
 * Pools too small to give each worker a useful part do not spread: their clients are served by as many workers as have
 * something to do, which are the pool's homes. See docs/internals/connection-hand-over.md.
 */
export class Homes {
  private readonly context: WorkerContext;
  private readonly workers: number;
  private readonly uncounted: Uncounted;

  constructor(context: WorkerContext) {
    this.context = context;
    this.workers = context.memory.handles.dimensions.workers;
    this.uncounted = new Uncounted(context.memory);
  }

  /** The worker that should serve a client of these names, maybe this one; ANYWHERE when it does not matter. */
  homeOf(database: string, user: string): number {
    const count = homeCount(this.poolSize(database, user), this.workers);
    if (count === this.workers) return ANYWHERE;
    const first = this.first(database, user, count);
    const best = this.leastLoaded(first, count);
    return best >= 0 ? best : this.nextServing(first + count, this.workers - count);
  }

  /** Whether a pool of these names is small and at home in this worker. */
  isHome(database: string, user: string): boolean {
    const count = homeCount(this.poolSize(database, user), this.workers);
    return count < this.workers && this.isAmong(this.first(database, user, count), count);
  }

  /** Whether the worker keeps the pool's minimum: one does, so that N of them do not open N times as many. */
  isKeeper(pool: PoolSnapshot): boolean {
    const { context, workers } = this;
    const count = homeCount(this.poolSize(pool.database, pool.user), workers);
    if (count === workers) return pool.index % workers === context.worker;
    return this.first(pool.database, pool.user, count) === context.worker;
  }

  /** A client has been handed to another worker, which does not count it yet. */
  noteMoved(worker: number): void {
    this.uncounted.add(worker);
  }

  private first(database: string, user: string, count: number): number {
    return this.context.memory.homes.first(hashOfNames(database, user), count);
  }

  /** Whether this worker is among `count` from `first` on. */
  private isAmong(first: number, count: number): boolean {
    return (this.context.worker - first + this.workers) % this.workers < count;
  }

  /** On its primary, of a database with several hosts. Infinity: there is no such pool, and there will be none. */
  private poolSize(database: string, user: string): number {
    const { directory, config } = this.context;
    const pool = directory.pool(database, user);
    if (pool !== null) return pool.poolSize;
    const known = directory.termsOf(database);
    if (known === null) return Infinity;
    if (known.pattern !== undefined) return known.strangerPoolSize;
    return known.hasAuthQuery || config.general.passthrough !== 'off' ? known.strangerPoolSize : Infinity;
  }

  /** The serving home with the fewest clients, this one unless it has clearly more; -1 = none serves. */
  private leastLoaded(first: number, count: number): number {
    const { context, workers } = this;
    let best = -1;
    let bestLoad = Infinity;
    for (let step = 0; step < count; step++) {
      const worker = (first + step) % workers;
      const load = this.loadOf(worker);
      if (load >= bestLoad) continue;
      best = worker;
      bestLoad = load;
    }
    if (best < 0 || best === context.worker || !this.isAmong(first, count)) return best;
    const ownLoad = this.loadOf(context.worker);
    return ownLoad - slackOf(ownLoad) > bestLoad ? best : context.worker;
  }

  /** All homes are down: the others stand in, in a fixed order, so that the pool stays together. */
  private nextServing(from: number, count: number): number {
    for (let step = 0; step < count; step++) {
      const worker = (from + step) % this.workers;
      if (this.loadOf(worker) < Infinity) return worker;
    }
    return ANYWHERE;
  }

  /** Infinity: it serves nobody now. */
  private loadOf(worker: number): number {
    const { context } = this;
    if (worker === context.worker) return context.sessions.count + context.arrivals.waitingCount;
    const { workers } = context.memory;
    if (workers.state(worker) !== WORKER_SERVING) return Infinity;
    return workers.clients(worker) + this.uncounted.of(worker);
  }
}
