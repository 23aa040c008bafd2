import {
  CAPACITY_CLAIMED,
  CAPACITY_CLIENTS_ROW,
  CAPACITY_DATABASE_GROUP,
  CAPACITY_FIRST_POOL_ROW,
  CAPACITY_LIMIT,
  CAPACITY_TOTAL_ROW,
  CAPACITY_USER_GROUP,
  CLAIMS_CLIENTS,
  CLAIMS_FIRST_POOL,
  LINE_CELLS,
  lineAligned,
} from './layout.js';

export const CLAIMED = 0;
export const POOL_FULL = 1;
export const DATABASE_FULL = 2;
export const USER_FULL = 3;
export const TOTAL_FULL = 4;
export type ClaimResult =
  | typeof CLAIMED
  | typeof POOL_FULL
  | typeof DATABASE_FULL
  | typeof USER_FULL
  | typeof TOTAL_FULL;

/** Counts `line` up unless that would pass `limit`. Compare-and-swap: an add with an undo would overshoot for a moment. */
function countUp(cells: Int32Array, line: number, isZeroUnlimited: boolean): boolean {
  for (;;) {
    const claimed = Atomics.load(cells, line + CAPACITY_CLAIMED);
    const limit = Atomics.load(cells, line + CAPACITY_LIMIT);
    if (claimed >= limit && !(isZeroUnlimited && limit === 0)) return false;
    if (Atomics.compareExchange(cells, line + CAPACITY_CLAIMED, claimed, claimed + 1) === claimed)
      return true;
  }
}

/**
 * How many server connections (and clients) may exist and how many do, exact over all workers.
 *
 * A claim counts up four cells in a fixed order: pool, its database, its user, total; a refusal undoes the ones
 * before. So a limit is never passed, not even for a moment; a claim may be refused because of another that is
 * about to be undone, which is why a waiting worker tries again on its timer.
 *
 * Each worker's claims are also counted in its own row, so that they can be given back after a crash. The row
 * is raised after the shared cells and lowered before them: a thread killed between the two leaves one
 * connection too many counted, never one too few. Too few would let a limit be passed.
 */
export class CapacityTable {
  readonly #cells: Int32Array;
  readonly #claims: Int32Array;
  readonly #claimsStride: number;
  readonly #poolsMax: number;
  readonly #workers: number;

  constructor(capacity: SharedArrayBuffer, claims: SharedArrayBuffer, workers: number, poolsMax: number) {
    this.#cells = new Int32Array(capacity);
    this.#claims = new Int32Array(claims);
    this.#claimsStride = lineAligned((CLAIMS_FIRST_POOL + poolsMax) * 4) / 4;
    this.#poolsMax = poolsMax;
    this.#workers = workers;
  }

  /** Supervisor only, before the pool is used. Groups of a pool never change: its claims are counted in them. */
  setPoolGroups(pool: number, databaseGroup: number, userGroup: number): void {
    const line = this.#poolLine(pool);
    this.#checkGroup(databaseGroup);
    this.#checkGroup(userGroup);
    const hasClaims = Atomics.load(this.#cells, line + CAPACITY_CLAIMED) > 0;
    const isSame =
      this.#cells[line + CAPACITY_DATABASE_GROUP] === databaseGroup &&
      this.#cells[line + CAPACITY_USER_GROUP] === userGroup;
    if (hasClaims && !isSame) throw new Error(`pool ${pool} has connections: its groups cannot change`);
    this.#cells[line + CAPACITY_DATABASE_GROUP] = databaseGroup;
    this.#cells[line + CAPACITY_USER_GROUP] = userGroup;
  }

  /** Supervisor only. 0 = no connection may be opened. A limit below what is claimed refuses until enough is given back. */
  setPoolLimit(pool: number, limit: number): void {
    this.#setLimit(this.#poolLine(pool), limit);
  }

  /** Supervisor only, as the following ones. 0 = unlimited. */
  setDatabaseLimit(group: number, limit: number): void {
    this.#setLimit(this.#databaseLine(group), limit);
  }

  setUserLimit(group: number, limit: number): void {
    this.#setLimit(this.#userLine(group), limit);
  }

  setTotalLimit(limit: number): void {
    this.#setLimit(CAPACITY_TOTAL_ROW * LINE_CELLS, limit);
  }

  setClientLimit(limit: number): void {
    this.#setLimit(CAPACITY_CLIENTS_ROW * LINE_CELLS, limit);
  }

  /** Claims one server connection for `worker`, or says which limit refuses it. */
  tryClaim(worker: number, pool: number): ClaimResult {
    const cells = this.#cells;
    const claimCell = this.#claimCell(worker, pool);
    const poolLine = this.#poolLine(pool);
    const databaseLine = this.#databaseLine(cells[poolLine + CAPACITY_DATABASE_GROUP]);
    const userLine = this.#userLine(cells[poolLine + CAPACITY_USER_GROUP]);
    // The common refusal costs one load, and does not disturb the counts of others by claiming and undoing.
    if (this.#isFull(CAPACITY_TOTAL_ROW * LINE_CELLS))
      return this.#isPoolFull(poolLine) ? POOL_FULL : TOTAL_FULL;
    if (!countUp(cells, poolLine, false)) return POOL_FULL;
    if (!countUp(cells, databaseLine, true)) {
      Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, 1);
      return DATABASE_FULL;
    }
    if (!countUp(cells, userLine, true)) {
      Atomics.sub(cells, databaseLine + CAPACITY_CLAIMED, 1);
      Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, 1);
      return USER_FULL;
    }
    if (!countUp(cells, CAPACITY_TOTAL_ROW * LINE_CELLS, true)) {
      Atomics.sub(cells, userLine + CAPACITY_CLAIMED, 1);
      Atomics.sub(cells, databaseLine + CAPACITY_CLAIMED, 1);
      Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, 1);
      return TOTAL_FULL;
    }
    Atomics.add(this.#claims, claimCell, 1);
    return CLAIMED;
  }

  /** Gives one claim back, once its connection is closed. Throws when the worker has none: a double give-back is our bug. */
  giveBack(worker: number, pool: number): void {
    const cell = this.#claimCell(worker, pool);
    if (Atomics.sub(this.#claims, cell, 1) <= 0) {
      Atomics.add(this.#claims, cell, 1);
      throw new Error(`worker ${worker} gave back a connection of pool ${pool} it had not claimed`);
    }
    this.#countDown(pool, 1);
  }

  /**
   * The connection changes worker; the shared counts stay as they are. Call it as the `onAccepted` of
   * Mailboxes.post(), under the receiver's lock: then a crash of the receiver finds the claim together with
   * the descriptor, or neither.
   */
  moveClaim(pool: number, fromWorker: number, toWorker: number): void {
    Atomics.add(this.#claims, this.#claimCell(toWorker, pool), 1);
    Atomics.sub(this.#claims, this.#claimCell(fromWorker, pool), 1);
  }

  /** Claims one client slot. False = the total of clients is reached. */
  tryClaimClient(worker: number): boolean {
    if (!countUp(this.#cells, CAPACITY_CLIENTS_ROW * LINE_CELLS, true)) return false;
    Atomics.add(this.#claims, worker * this.#claimsStride + CLAIMS_CLIENTS, 1);
    return true;
  }

  giveBackClient(worker: number): void {
    const cell = worker * this.#claimsStride + CLAIMS_CLIENTS;
    if (Atomics.sub(this.#claims, cell, 1) <= 0) {
      Atomics.add(this.#claims, cell, 1);
      throw new Error(`worker ${worker} gave back a client it had not claimed`);
    }
    Atomics.sub(this.#cells, CAPACITY_CLIENTS_ROW * LINE_CELLS + CAPACITY_CLAIMED, 1);
  }

  /** Supervisor only, after the worker's thread ended and its mailbox was closed. */
  giveBackAll(worker: number): void {
    const base = worker * this.#claimsStride;
    const clients = Atomics.exchange(this.#claims, base + CLAIMS_CLIENTS, 0);
    Atomics.sub(this.#cells, CAPACITY_CLIENTS_ROW * LINE_CELLS + CAPACITY_CLAIMED, clients);
    for (let pool = 0; pool < this.#poolsMax; pool++) {
      const count = Atomics.exchange(this.#claims, base + CLAIMS_FIRST_POOL + pool, 0);
      if (count !== 0) this.#countDown(pool, count);
    }
  }

  limit(pool: number): number {
    return Atomics.load(this.#cells, this.#poolLine(pool) + CAPACITY_LIMIT);
  }

  claimed(pool: number): number {
    return Atomics.load(this.#cells, this.#poolLine(pool) + CAPACITY_CLAIMED);
  }

  claimedBy(worker: number, pool: number): number {
    return Atomics.load(this.#claims, this.#claimCell(worker, pool));
  }

  databaseClaimed(group: number): number {
    return Atomics.load(this.#cells, this.#databaseLine(group) + CAPACITY_CLAIMED);
  }

  userClaimed(group: number): number {
    return Atomics.load(this.#cells, this.#userLine(group) + CAPACITY_CLAIMED);
  }

  totalClaimed(): number {
    return Atomics.load(this.#cells, CAPACITY_TOTAL_ROW * LINE_CELLS + CAPACITY_CLAIMED);
  }

  totalLimit(): number {
    return Atomics.load(this.#cells, CAPACITY_TOTAL_ROW * LINE_CELLS + CAPACITY_LIMIT);
  }

  clientsClaimed(): number {
    return Atomics.load(this.#cells, CAPACITY_CLIENTS_ROW * LINE_CELLS + CAPACITY_CLAIMED);
  }

  clientLimit(): number {
    return Atomics.load(this.#cells, CAPACITY_CLIENTS_ROW * LINE_CELLS + CAPACITY_LIMIT);
  }

  #isFull(line: number): boolean {
    const limit = Atomics.load(this.#cells, line + CAPACITY_LIMIT);
    return limit !== 0 && Atomics.load(this.#cells, line + CAPACITY_CLAIMED) >= limit;
  }

  #isPoolFull(line: number): boolean {
    return (
      Atomics.load(this.#cells, line + CAPACITY_CLAIMED) >= Atomics.load(this.#cells, line + CAPACITY_LIMIT)
    );
  }

  #countDown(pool: number, count: number): void {
    const cells = this.#cells;
    const poolLine = this.#poolLine(pool);
    // Widest first, the reverse of tryClaim(): room seen in the pool is then likely to be there in the rest too.
    Atomics.sub(cells, CAPACITY_TOTAL_ROW * LINE_CELLS + CAPACITY_CLAIMED, count);
    Atomics.sub(cells, this.#userLine(cells[poolLine + CAPACITY_USER_GROUP]) + CAPACITY_CLAIMED, count);
    Atomics.sub(
      cells,
      this.#databaseLine(cells[poolLine + CAPACITY_DATABASE_GROUP]) + CAPACITY_CLAIMED,
      count,
    );
    Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, count);
  }

  #setLimit(line: number, limit: number): void {
    if (!Number.isInteger(limit) || limit < 0)
      throw new RangeError(`a limit must be a natural number, not ${limit}`);
    Atomics.store(this.#cells, line + CAPACITY_LIMIT, limit);
  }

  #poolLine(pool: number): number {
    if (!(pool >= 0 && pool < this.#poolsMax))
      throw new RangeError(`pool ${pool} is outside 0..${this.#poolsMax - 1}`);
    return (CAPACITY_FIRST_POOL_ROW + pool) * LINE_CELLS;
  }

  #databaseLine(group: number): number {
    return (CAPACITY_FIRST_POOL_ROW + this.#poolsMax + group) * LINE_CELLS;
  }

  #userLine(group: number): number {
    return (CAPACITY_FIRST_POOL_ROW + 2 * this.#poolsMax + group) * LINE_CELLS;
  }

  #checkGroup(group: number): void {
    if (!(group >= 0 && group < this.#poolsMax))
      throw new RangeError(`group ${group} is outside 0..${this.#poolsMax - 1}`);
  }

  #claimCell(worker: number, pool: number): number {
    if (!(worker >= 0 && worker < this.#workers)) throw new RangeError(`worker ${worker} does not exist`);
    return worker * this.#claimsStride + CLAIMS_FIRST_POOL + pool;
  }
}
