import { CapacityRows } from './capacity-rows.js';
import { DATABASE_FULL, TOTAL_FULL, USER_FULL } from './capacity-table.js';
import {
  CAPACITY_CLAIMED,
  CAPACITY_DATABASE_GROUP,
  CAPACITY_HELD_CHANGES,
  CAPACITY_LIMIT,
  CAPACITY_TOTAL_ROW,
  CAPACITY_USER_GROUP,
  LINE_CELLS,
  LOAD_HELD_GIVABLE,
  LOAD_HELD_WAITING,
} from './layout.js';

/** A limit that is over several pools. */
export type GroupLimit = typeof DATABASE_FULL | typeof USER_FULL | typeof TOTAL_FULL;
export const GROUP_LIMITS: readonly GroupLimit[] = [DATABASE_FULL, USER_FULL, TOTAL_FULL];

const TOTAL_LINE = CAPACITY_TOTAL_ROW * LINE_CELLS;

/**
 * Server connections held by sessions that wait for one more, by worker and by the pool they wait in. All pools of such a session
 * are of one database and user, so what it holds counts under the same limits as what it waits for: once the sum of these
 * under a limit is all that the limit allows, none of them can ever come free.
 *
 * A cell is written by its worker alone and never counted in a common one, so that nothing stays of a worker that died. A sum is read
 * cell by cell; the count of changes of its limit tells whether it was true at one moment: it goes up after a cell has changed, and
 * before what is not held any more is anybody else's. It is compared and swapped by whoever acts on the sum, with its own
 * cell lowered already: of several who see the same only one does.
 */
export class HeldTable {
  readonly #rows: CapacityRows;
  readonly #load: Int32Array;
  readonly #workers: number;

  constructor(
    capacity: SharedArrayBuffer,
    claims: SharedArrayBuffer,
    load: SharedArrayBuffer,
    workers: number,
    poolsMax: number,
  ) {
    this.#rows = new CapacityRows(capacity, claims, workers, poolsMax);
    this.#load = new Int32Array(load);
    this.#workers = workers;
  }

  /** Of the worker, by sessions that wait in this pool. */
  held(worker: number, pool: number): number {
    return Atomics.load(this.#load, this.#row(worker, pool) + LOAD_HELD_WAITING);
  }

  /** Of these, what is given back without a word when it is in the way. */
  givable(worker: number, pool: number): number {
    return Atomics.load(this.#load, this.#row(worker, pool) + LOAD_HELD_GIVABLE);
  }

  /** By sessions that wait in this pool, in whichever worker. */
  heldInPool(pool: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) sum += this.held(worker, pool);
    return sum;
  }

  /** So many more or, negative, fewer. Before a server connection that is not held any more is given back. */
  add(worker: number, pool: number, held: number, givable: number): void {
    this.#add(worker, pool, held, givable);
    for (const limit of GROUP_LIMITS) Atomics.add(this.#rows.cells, this.#changesCell(limit, pool), 1);
  }

  /** How often something has changed under this limit. */
  changes(limit: GroupLimit, pool: number): number {
    return Atomics.load(this.#rows.cells, this.#changesCell(limit, pool));
  }

  /** 0: there is none. */
  limit(limit: GroupLimit, pool: number): number {
    return Atomics.load(this.#rows.cells, this.#line(limit, pool) + CAPACITY_LIMIT);
  }

  /** Under the pool's limit of this kind: held by all, or what of that can be given back; or by one worker. */
  heldUnder(limit: GroupLimit, pool: number): number {
    return this.#sumUnder(limit, pool, (other) => this.heldInPool(other));
  }

  givableUnder(limit: GroupLimit, pool: number): number {
    return this.#sumUnder(limit, pool, (other) => {
      let sum = 0;
      for (let worker = 0; worker < this.#workers; worker++) sum += this.givable(worker, other);
      return sum;
    });
  }

  heldByWorker(worker: number, limit: GroupLimit, pool: number): number {
    return this.#sumUnder(limit, pool, (other) => this.held(worker, other));
  }

  #sumUnder(limit: GroupLimit, pool: number, of: (pool: number) => number): number {
    const { cells, poolsMax } = this.#rows;
    const group = limit === DATABASE_FULL ? CAPACITY_DATABASE_GROUP : CAPACITY_USER_GROUP;
    const own = cells[this.#rows.poolLine(pool) + group];
    let sum = 0;
    for (let other = 0; other < poolsMax; other++)
      if (limit === TOTAL_FULL || cells[this.#rows.poolLine(other) + group] === own) sum += of(other);
    return sum;
  }

  /** Nothing that counts under the pool's limit of this kind comes free by itself, as far as one look tells. */
  isStuck(limit: GroupLimit, pool: number): boolean {
    const line = this.#line(limit, pool);
    const value = Atomics.load(this.#rows.cells, line + CAPACITY_LIMIT);
    // What is held has been claimed: mostly the sum need not be made.
    if (value === 0 || Atomics.load(this.#rows.cells, line + CAPACITY_CLAIMED) < value) return false;
    return this.heldUnder(limit, pool) >= value;
  }

  /**
   * As add() with these, negative, if nothing under the limit comes free by itself; `isLast`: and nobody can give anything back. False:
   * it may, or another has been quicker; then nothing has changed.
   */
  tryLeave(
    worker: number,
    pool: number,
    limit: GroupLimit,
    { held, givable, isLast }: { held: number; givable: number; isLast: boolean },
  ): boolean {
    const seen = this.changes(limit, pool);
    if (!this.isStuck(limit, pool)) return false;
    if (isLast && this.givableUnder(limit, pool) > 0) return false;
    this.#add(worker, pool, -held, -givable);
    const cell = this.#changesCell(limit, pool);
    if (Atomics.compareExchange(this.#rows.cells, cell, seen, seen + 1) !== seen) {
      this.#add(worker, pool, held, givable);
      return false;
    }
    for (const other of GROUP_LIMITS)
      if (other !== limit) Atomics.add(this.#rows.cells, this.#changesCell(other, pool), 1);
    return true;
  }

  /** Supervisor only, after the worker's task ended and before its claims are given back. */
  clearWorker(worker: number): void {
    for (let pool = 0; pool < this.#rows.poolsMax; pool++) {
      const held = this.held(worker, pool);
      if (held !== 0) this.add(worker, pool, -held, -this.givable(worker, pool));
    }
  }

  /** No additions: nobody else writes these. In order with the count of changes. */
  #add(worker: number, pool: number, held: number, givable: number): void {
    const row = this.#row(worker, pool);
    const sum = this.#load[row + LOAD_HELD_WAITING] + held;
    const givableSum = this.#load[row + LOAD_HELD_GIVABLE] + givable;
    if (sum < 0 || givableSum < 0)
      throw new Error(`worker ${worker} holds ${sum}, ${givableSum} server connections for pool ${pool}`);
    Atomics.store(this.#load, row + LOAD_HELD_WAITING, sum);
    Atomics.store(this.#load, row + LOAD_HELD_GIVABLE, givableSum);
  }

  #row(worker: number, pool: number): number {
    return (worker * this.#rows.poolsMax + pool) * LINE_CELLS;
  }

  #line(limit: GroupLimit, pool: number): number {
    if (limit === TOTAL_FULL) return TOTAL_LINE;
    const line = this.#rows.poolLine(pool);
    return limit === DATABASE_FULL ? this.#rows.databaseLineOf(line) : this.#rows.userLineOf(line);
  }

  #changesCell(limit: GroupLimit, pool: number): number {
    return this.#line(limit, pool) + CAPACITY_HELD_CHANGES;
  }
}
