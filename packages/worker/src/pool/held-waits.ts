import {
  DATABASE_FULL,
  GROUP_LIMITS,
  type GroupLimit,
  type HeldTable,
  PgDogError,
  USER_FULL,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { feedHungry } from './make-room.js';
import type { Pool } from './pool.js';

/** So long nothing at all has changed under a limit: who could give something back without a word, in another worker, does not. */
const STANDSTILL_MS = 500;
/** One that holds more than it can give back helps nobody by doing so over and over. */
const GIVEN_BACK_MAX = 3;

/** Who holds server connections while it waits for one more. */
export interface HeldWait {
  /** Of two the one that has come later gives back. */
  readonly requestUs: number;
  /** In whose queue it waits; null: it does not. */
  readonly waitsIn: Pool | null;
  /** It asks something, be it that it waits or not. */
  readonly isAsking: boolean;
  /** Who waits in vain: what it asks has waited for several server connections, one after the other, as long as it may. */
  readonly overdue: Session | null;
  /** It has some server connection: one that will be free when it has answered may stay after all, full of what nobody takes yet. */
  readonly hasAny: boolean;
  /** What stays with it until it has what it waits for. */
  readonly heldCount: number;
  /** Of those, what nothing has been asked of. */
  readonly unusedCount: number;
  /** Of those, what comes free when its request fails. */
  readonly endingCount: number;
  /** How often it has done so for what it asks now. */
  readonly givenBackCount: number;
  /** Gives back what is unused, and waits anew, from its first shard. */
  giveBack(): void;
  fail(error: PgDogError): void;
}

/** As it is counted in shared memory. */
interface Entry {
  pool: Pool;
  held: number;
  givable: number;
}

interface Standstill {
  changes: number;
  sinceMs: number;
}

/**
 * Sessions of this worker that hold server connections and wait for one more. A limit over several pools knows no order: when all of
 * its places are held like that, in whichever workers, somebody gives back: see docs/internals/limits.md.
 */
export class HeldWaits {
  private readonly context: WorkerContext;
  /** What they ask has waited before, and may wait again. */
  readonly haveWaited = new Set<HeldWait>();
  private readonly entries = new Map<HeldWait, Entry>();
  /** By limit and one of its pools: of what counts for as little as being stuck now. */
  private readonly standstills = new Map<string, Standstill>();
  private isLookDue = false;

  constructor(context: WorkerContext) {
    this.context = context;
  }

  private get table(): HeldTable {
    return this.context.memory.held;
  }

  /** What it holds, or where it waits, may have changed. Before anything of it is given back. */
  note(wait: HeldWait): void {
    const pool = wait.waitsIn;
    const entry = this.entries.get(wait);
    if (pool === null || !wait.hasAny) {
      if (entry !== undefined) this.forget(wait, entry);
      return;
    }
    const held = wait.heldCount;
    const givable = mayGiveBack(wait) ? wait.unusedCount : 0;
    if (entry !== undefined && entry.pool === pool && entry.held === held && entry.givable === givable)
      return;
    if (entry !== undefined) this.forget(wait, entry);
    if (held > 0) this.table.add(this.context.worker, pool.index, held, givable);
    this.entries.set(wait, { pool, held, givable });
    if (held > 0) this.lookSoon();
  }

  private forget(wait: HeldWait, { pool, held, givable }: Entry): void {
    this.entries.delete(wait);
    if (held > 0) this.table.add(this.context.worker, pool.index, -held, -givable);
  }

  /** Not at once: whoever has begun to wait is still at it. */
  private lookSoon(): void {
    if (this.isLookDue) return;
    this.isLookDue = true;
    this.context.sharded.postpone(() => {
      this.isLookDue = false;
      this.look();
    });
  }

  /** From the janitor: others may have begun to wait, or a limit may have been lowered. */
  check(): void {
    if (this.entries.size === 0) {
      this.standstills.clear();
      return;
    }
    for (const wait of [...this.entries.keys()]) this.note(wait);
    this.look();
  }

  /** One wait by itself is found in its pool's queue; not where the request has waited in others before. */
  *overdue(): Iterable<Session> {
    for (const wait of [...this.haveWaited]) {
      const session = wait.overdue;
      if (session !== null) yield session;
      if (!wait.isAsking) this.haveWaited.delete(wait);
    }
  }

  private look(): void {
    const seen = new Set<string>();
    for (const { pool } of [...this.entries.values()]) {
      for (const limit of GROUP_LIMITS) {
        const key = keyOf(limit, pool);
        if (seen.has(key)) continue;
        seen.add(key);
        this.lookAt(limit, pool, key);
      }
    }
    for (const key of this.standstills.keys()) if (!seen.has(key)) this.standstills.delete(key);
  }

  private lookAt(limit: GroupLimit, pool: Pool, key: string): void {
    const { table } = this;
    while (table.isStuck(limit, pool.index)) {
      const giver = this.youngest(limit, pool, mayGiveBack);
      if (giver === null) {
        this.nobodyHere(limit, pool, key);
        return;
      }
      if (!this.leave(limit, giver, false)) return;
      giver.giveBack();
    }
    this.standstills.delete(key);
  }

  /** Nobody here can give back. If another worker knows somebody, it is told, and given time. */
  private nobodyHere(limit: GroupLimit, pool: Pool, key: string): void {
    const isLast = this.table.givableUnder(limit, pool.index) === 0;
    if (!isLast && !this.standsStill(limit, pool, key)) {
      this.tellOthers(limit, pool);
      return;
    }
    const victim = this.youngest(limit, pool, ({ endingCount }) => endingCount > 0);
    if (victim === null) return;
    const error = this.errorOf(limit, victim);
    if (!this.leave(limit, victim, isLast)) return;
    this.standstills.delete(key);
    victim.fail(error);
  }

  /** Nothing has changed under the limit for long. */
  private standsStill(limit: GroupLimit, pool: Pool, key: string): boolean {
    const { nowMs } = this.context;
    const changes = this.table.changes(limit, pool.index);
    const before = this.standstills.get(key);
    if (before?.changes === changes) return nowMs - before.sinceMs >= STANDSTILL_MS;
    this.standstills.set(key, { changes, sinceMs: nowMs });
    return false;
  }

  /** False: it need not. True: it counts for so much less, and has to give that back. */
  private leave(limit: GroupLimit, wait: HeldWait, isLast: boolean): boolean {
    const entry = this.entries.get(wait);
    if (entry === undefined || entry.held === 0) return false;
    const isAll = entry.givable === 0;
    const held = isAll ? entry.held : entry.givable;
    const { givable } = entry;
    const { worker } = this.context;
    if (!this.table.tryLeave(worker, entry.pool.index, limit, { held, givable, isLast })) return false;
    entry.held -= held;
    entry.givable = 0;
    return true;
  }

  // Other workers.

  /** A place that was given back is free. */
  cameFree(pool: Pool): void {
    for (const limit of GROUP_LIMITS)
      if (this.table.limit(limit, pool.index) > 0) this.tellOthers(limit, pool);
  }

  private tellOthers(limit: GroupLimit, { index }: Pool): void {
    const { worker: own, memory } = this.context;
    for (let worker = 0; worker < memory.handles.dimensions.workers; worker++) {
      if (worker === own || this.table.heldByWorker(worker, limit, index) === 0) continue;
      this.context.post(worker, { type: 'heldWaits' });
    }
  }

  /** By another worker. */
  told(): void {
    feedHungry(this.context);
    this.lookSoon();
  }

  private youngest(limit: GroupLimit, pool: Pool, isFit: (wait: HeldWait) => boolean): HeldWait | null {
    let youngest: HeldWait | null = null;
    for (const [wait, entry] of this.entries) {
      if (keyOf(limit, entry.pool) !== keyOf(limit, pool) || !isFit(wait)) continue;
      if (youngest === null || wait.requestUs >= youngest.requestUs) youngest = wait;
    }
    return youngest;
  }

  private errorOf(limit: GroupLimit, { heldCount, waitsIn }: HeldWait): PgDogError {
    const shard = waitsIn?.snapshot.shard ?? 0;
    const { index } = waitsIn ?? { index: 0 };
    const value = this.table.limit(limit, index);
    const name = GROUP_LIMIT_NAMES[limit];
    const detail =
      `${name} = ${value}, and all of these server connections are held by sessions that wait for one more. ` +
      `This one holds ${heldCount} and waits for one of shard ${shard}.`;
    return new PgDogError('limit_deadlock', undefined, { detail });
  }
}

const GROUP_LIMIT_NAMES: Record<GroupLimit, string> = {
  2: 'max_db_connections',
  3: 'max_user_connections',
  4: 'max_server_conn',
};

function mayGiveBack({ unusedCount, heldCount, givenBackCount }: HeldWait): boolean {
  return unusedCount > 0 && (unusedCount === heldCount || givenBackCount < GIVEN_BACK_MAX);
}

/** The same for all pools under one limit. */
function keyOf(limit: GroupLimit, { snapshot }: Pool): string {
  if (limit === DATABASE_FULL) return `database ${snapshot.database}`;
  return limit === USER_FULL ? `user ${snapshot.user}` : 'all';
}
