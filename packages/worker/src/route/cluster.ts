// ● per-frame path
import {
  BAN_NONE,
  BAN_REPLICA_LAG,
  type ClusterSnapshot,
  FixedQueue,
  type HostTable,
  ORDER_BAN,
  ORDER_DISABLE,
  ORDER_DRAIN,
  PgDogError,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  ROLE_UNKNOWN,
  type RouteTerms,
  WANT_ANY,
  WANT_PRIMARY,
  WANT_READ,
  WANT_REPLICA,
  type Want,
} from '@pgdog-cluster/core';
import type { DatabaseCode } from '../pool/database-code.js';
import { abandonReads, dethroned } from '../pool/leave-host.js';
import type { Pool } from '../pool/pool.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { Balance, type Candidate } from './balance.js';

const ORDERS_AGAINST = ORDER_BAN | ORDER_DRAIN | ORDER_DISABLE;

/** One host of a cluster, as this worker uses it. */
export class ClusterHost implements Candidate {
  readonly pool: Pool;
  credit = 0;
  /** Its role when it was last looked at; see Cluster.lookAgain. */
  seenRole: number = ROLE_UNKNOWN;
  /** It was banned for a failure when it was last looked at. */
  wasFailing = false;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  get hostIndex(): number {
    return this.pool.snapshot.hostIndex;
  }

  get lbWeight(): number {
    return this.pool.snapshot.lbWeight;
  }
}

/**
 * The hosts of one shard of a database for one user: chooses who serves a request, and keeps those who wait because nobody can
 * (no primary is known). What it decides on stands in shared memory, measured by the supervisor; what this worker has
 * just found out itself (connecting fails) counts as well.
 */
export class Cluster {
  readonly context: WorkerContext;
  readonly database: string;
  readonly user: string;
  readonly shard: number;
  hosts: ClusterHost[] = [];
  /** By the configuration: nobody can write, and waiting for a primary would be of no use. */
  hasReplicasOnly = false;
  /** Sessions for which there is no host now. */
  readonly waiters = new FixedQueue<Session>();
  private readonly table: HostTable;
  private readonly balance: Balance;
  /** Filled anew for each choice. */
  private readonly candidates: ClusterHost[] = [];

  constructor(context: WorkerContext, snapshot: ClusterSnapshot, pools: readonly Pool[]) {
    this.context = context;
    this.database = snapshot.database;
    this.user = snapshot.user;
    this.shard = snapshot.shard;
    this.table = context.memory.hosts;
    this.balance = new Balance(this.table, context.worker);
    this.takeUp(pools);
  }

  /** Hosts may have come and gone. */
  takeUp(pools: readonly Pool[]): void {
    const before = this.hosts;
    this.hosts = pools.map((pool) => before.find((host) => host.pool === pool) ?? new ClusterHost(pool));
    this.hasReplicasOnly = pools.every(({ snapshot }) => snapshot.role === 'replica');
    for (const host of this.hosts) {
      host.pool.cluster = this;
      if (!before.includes(host)) host.seenRole = this.roleOf(host);
    }
  }

  /** What users' code may do: the same on all hosts, whoever was asked. */
  get code(): DatabaseCode {
    return this.hosts[0].pool.code;
  }

  roleOfPool(pool: Pool): number {
    for (const host of this.hosts) if (host.pool === pool) return this.roleOf(host);
    return ROLE_UNKNOWN;
  }

  /** Of ROLE_…; what was measured for `auto`, else what the configuration says: but no server in recovery is a primary. */
  roleOf({ pool }: ClusterHost): number {
    const { role, hostIndex } = pool.snapshot;
    if (role === 'replica') return ROLE_REPLICA;
    const measured = this.table.role(hostIndex);
    return role === 'auto' || measured === ROLE_REPLICA ? measured : ROLE_PRIMARY;
  }

  /** Who serves it now; null: nobody. */
  choose(terms: RouteTerms): ClusterHost | null {
    if (this.hosts.length === 1 && this.isServedByOnly(this.hosts[0], terms.want)) return this.hosts[0];
    const count = this.gather(terms);
    if (count === 0) return null;
    return this.candidates[this.balance.pick(this.context.config.routing.strategy, this.candidates, count)];
  }

  /** What gather() comes to where there is one host, the primary: most clusters of a database of several shards. */
  private isServedByOnly(host: ClusterHost, want: Want): boolean {
    if (want === WANT_REPLICA || this.roleOf(host) !== ROLE_PRIMARY) return false;
    if (want === WANT_READ && this.context.config.routing.readWriteSplit === 'exclude_primary') return false;
    return (this.table.orders(host.hostIndex) & (ORDER_DRAIN | ORDER_DISABLE)) === 0;
  }

  /** All who may serve it now, and the one it would be; null where that is left to chance. Changes no turns. */
  preview(terms: RouteTerms): { candidates: ClusterHost[]; next: ClusterHost | null } {
    const count = this.gather(terms);
    const candidates = this.candidates.slice(0, count);
    const at = this.balance.peek(this.context.config.routing.strategy, candidates, count);
    return { candidates, next: candidates[at] ?? null };
  }

  /** Fills `candidates` with those among whom the strategy chooses; returns how many there are. */
  private gather(terms: RouteTerms): number {
    switch (terms.want) {
      case WANT_PRIMARY:
        return this.only(this.primary());
      case WANT_REPLICA:
        return this.replicas(terms);
      case WANT_ANY: {
        const primary = this.primary();
        if (primary !== null && this.isFit(primary)) return this.only(primary);
        return this.replicas(terms) || this.only(primary);
      }
      default:
        return this.readers(terms);
    }
  }

  private only(host: ClusterHost | null): number {
    if (host === null) return 0;
    this.candidates[0] = host;
    return 1;
  }

  /** Bans never reroute writes: there is no other to write to. */
  primary(): ClusterHost | null {
    for (const host of this.hosts) {
      if (this.roleOf(host) !== ROLE_PRIMARY) continue;
      if ((this.table.orders(host.hostIndex) & (ORDER_DRAIN | ORDER_DISABLE)) === 0) return host;
    }
    return null;
  }

  private readers(terms: RouteTerms): number {
    const { readWriteSplit } = this.context.config.routing;
    const primary = this.primary();
    if (readWriteSplit === 'prefer_primary' && primary !== null && this.isFit(primary))
      return this.only(primary);
    let count = 0;
    let isOneBanned = false;
    let replicas = 0;
    for (const host of this.hosts) {
      if (this.roleOf(host) !== ROLE_REPLICA) continue;
      replicas++;
      if (!this.isFit(host)) isOneBanned = true;
      else if (this.hasSeen(host, terms)) this.candidates[count++] = host;
    }
    // The session's own writes are not to be seen anywhere else: correctness comes before the split.
    const isOwed = count === 0 && replicas > 0 && !isOneBanned;
    const isIncluded =
      readWriteSplit === 'include_primary' ||
      (readWriteSplit === 'include_primary_if_replica_banned' && isOneBanned) ||
      (readWriteSplit !== 'exclude_primary' && count === 0) ||
      isOwed;
    if (primary !== null && isIncluded && (this.isFit(primary) || isOwed)) {
      this.candidates[count++] = primary;
    }
    if (count > 0) return count;
    const least = this.leastBad(terms);
    if (least !== null) return this.only(least);
    return this.only(readWriteSplit === 'exclude_primary' && !this.isAnyBehind(terms) ? null : primary);
  }

  /** A replica could serve the session, had it replayed what the session has written. */
  private isAnyBehind(terms: RouteTerms): boolean {
    return this.hosts.some((host) => this.roleOf(host) === ROLE_REPLICA && !this.hasSeen(host, terms));
  }

  private replicas(terms: RouteTerms): number {
    let count = 0;
    for (const host of this.hosts) {
      if (this.roleOf(host) === ROLE_REPLICA && this.isFit(host) && this.hasSeen(host, terms)) {
        this.candidates[count++] = host;
      }
    }
    return count > 0 ? count : this.only(this.leastBad(terms));
  }

  /** Neither banned nor ordered away, and connecting works as far as this worker knows. */
  private isFit({ hostIndex, pool }: ClusterHost): boolean {
    if ((this.table.orders(hostIndex) & ORDERS_AGAINST) !== 0) return false;
    if (this.table.banReason(hostIndex) !== BAN_NONE) return false;
    return !pool.opening.isFailing;
  }

  /** Whether a replica shows the session what it has written. */
  hasSeen({ hostIndex }: ClusterHost, { writtenLsn, writtenMs }: RouteTerms): boolean {
    if (writtenLsn > 0 && this.table.replayedLsn(hostIndex) < writtenLsn) return false;
    return writtenMs === 0 || this.table.shownMs(hostIndex) > writtenMs;
  }

  /** Every replica is banned: one that only lags before one that fails, and that before one we cannot connect to. */
  private leastBad(terms: RouteTerms): ClusterHost | null {
    let best: ClusterHost | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const host of this.hosts) {
      const { hostIndex, pool } = host;
      if (this.roleOf(host) !== ROLE_REPLICA || !this.hasSeen(host, terms)) continue;
      if ((this.table.orders(hostIndex) & ORDERS_AGAINST) !== 0 || this.table.isFenced(hostIndex)) continue;
      const reason = this.table.banReason(hostIndex);
      const isSlowOnly = reason === BAN_NONE || reason === BAN_REPLICA_LAG;
      const lagMs = this.table.lagMs(hostIndex);
      const badness =
        (pool.opening.isFailing ? 2e15 : 0) + (isSlowOnly ? 0 : 1e15) + (lagMs < 0 ? 1e12 : lagMs);
      if (badness >= least) continue;
      best = host;
      least = badness;
    }
    return best;
  }

  /** Gives the session a server connection of a host that fits, or lets it wait: for one, or for such a host. */
  checkout(session: Session): void {
    const { router } = session;
    if (router === null || session.waitingSinceMs !== 0) return;
    const host = this.choose(router.choice);
    if (host === null) {
      if (router.choice.want === WANT_PRIMARY && this.hasReplicasOnly) this.refuseWrite(session);
      else this.wait(session);
      return;
    }
    session.pool = host.pool;
    host.pool.checkout(session);
  }

  private refuseWrite(session: Session): void {
    const text = `database "${this.database}" has only replicas: it is read-only`;
    (session.pool ?? this.hosts[0].pool).refuseWaiter(session, new PgDogError('replicas_only', text));
  }

  private wait(session: Session): void {
    const { context } = this;
    session.waitingSinceMs = context.nowMs;
    session.waitingSinceUs = context.nowUs;
    this.waiters.push(session);
    context.waitingSessions++;
  }

  /** It has waited long enough, was cancelled, or is gone. True: it was here. */
  leave(session: Session): boolean {
    if (!this.waiters.remove(session)) return false;
    session.waitingSinceMs = 0;
    this.context.waitingSessions--;
    return true;
  }

  /** Roles, bans or orders have changed: those who wait may be served elsewhere, those who are served may have to go. */
  lookAgain(): void {
    for (const host of this.hosts) {
      const role = this.roleOf(host);
      const isFailing = this.isBannedForFailure(host);
      if (host.seenRole === ROLE_PRIMARY && role !== ROLE_PRIMARY) dethroned(host.pool);
      if (isFailing && !host.wasFailing) abandonReads(host.pool);
      host.seenRole = role;
      host.wasFailing = isFailing;
    }
    for (const { pool } of this.hosts) this.moveWaiters(pool);
    this.serveWaiters();
  }

  private serveWaiters(): void {
    for (let left = this.waiters.length; left > 0; left--) {
      const session = this.waiters.peek();
      if (session === undefined) return;
      const { waitingSinceMs } = session;
      this.leave(session);
      this.again(session);
      if (session.waitingSinceMs !== 0) session.waitingSinceMs = waitingSinceMs;
    }
  }

  private isBannedForFailure({ hostIndex }: ClusterHost): boolean {
    const reason = this.table.banReason(hostIndex);
    return reason !== BAN_NONE && reason !== BAN_REPLICA_LAG;
  }

  /** Those who wait in this pool and may be served by another host go there. */
  moveWaiters(pool: Pool): void {
    for (let index = pool.waiters.length - 1; index >= 0; index--) {
      const session = pool.waiters.at(index);
      if (session === undefined || session.router === null) continue;
      const host = this.choose(session.router.choice);
      if (host !== null && host.pool === pool) continue;
      // Nobody else: as long as this host has not been ruled out it may come back first.
      if (host === null && session.router.choice.want !== WANT_PRIMARY) continue;
      const { waitingSinceMs } = session;
      pool.leaveQueue(session);
      this.again(session);
      // The time it may wait began when it asked.
      if (session.waitingSinceMs !== 0) session.waitingSinceMs = waitingSinceMs;
    }
  }

  private again(session: Session): void {
    this.checkout(session);
    const { server } = session;
    if (server !== null && session.waitingSinceMs === 0) session.serverAssigned(server);
  }

  /** From the janitor. */
  checkWaiters(): void {
    const { context } = this;
    for (let session = this.waiters.peek(); session !== undefined; session = this.waiters.peek()) {
      const limitMs = session.pool?.snapshot.checkoutTimeoutMs ?? 0;
      if (limitMs === 0 || context.nowMs - session.waitingSinceMs < limitMs) break;
      this.leave(session);
      session.pool?.refuseWaiter(session, this.nobody(session, limitMs));
    }
    // What replicas have replayed changes without a word.
    this.serveWaiters();
  }

  private nobody(session: Session, waitedMs: number): PgDogError {
    const what =
      session.router?.choice.want === WANT_REPLICA || session.router?.choice.want === WANT_READ
        ? 'replica'
        : 'primary';
    const text = `no ${what} of database "${this.database}" is available, waited ${waitedMs} ms`;
    return new PgDogError(what === 'primary' ? 'no_primary' : 'no_replica', text);
  }

  /** A host for a session that keeps its server connection for good (replication): NONE is the first of all. */
  standing(): Pool {
    return (this.primary() ?? this.hosts[0]).pool;
  }
}
