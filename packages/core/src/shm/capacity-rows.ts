import {
  CAPACITY_CLAIMED,
  CAPACITY_CLIENT_LIMIT,
  CAPACITY_CLIENTS,
  CAPACITY_DATABASE_GROUP,
  CAPACITY_FIRST_POOL_ROW,
  CAPACITY_LIMIT,
  CAPACITY_USER_GROUP,
  CLAIM_KINDS,
  CLAIMS_FIRST_POOL,
  LINE_CELLS,
  lineAligned,
} from './layout.js';

/** What a worker holds of a pool: which block of its claims row. */
export const SERVERS = 0;
export const CLIENTS = 1;
export const QUEUED = 2;
export type ClaimKind = typeof SERVERS | typeof CLIENTS | typeof QUEUED;

/** Stands for a limit of 0, which is none: no cell gets so high. */
export const UNLIMITED = 0x7fff_ffff;
const orUnlimited = (limit: number): number => (limit === 0 ? UNLIMITED : limit);

/** Where each cell of the capacity and claims regions stands, and the steps every claim is made of. */
export class CapacityRows {
  readonly cells: Int32Array;
  readonly claims: Int32Array;
  readonly poolsMax: number;
  readonly #claimsStride: number;
  readonly #workers: number;

  constructor(capacity: SharedArrayBuffer, claims: SharedArrayBuffer, workers: number, poolsMax: number) {
    this.cells = new Int32Array(capacity);
    this.claims = new Int32Array(claims);
    this.#claimsStride = lineAligned((CLAIMS_FIRST_POOL + CLAIM_KINDS * poolsMax) * 4) / 4;
    this.poolsMax = poolsMax;
    this.#workers = workers;
  }

  /** Counts a cell up unless that would pass `limit`. Compare-and-swap: an add with an undo would overshoot for a moment. */
  countUpTo(cell: number, limit: number): boolean {
    for (;;) {
      const claimed = Atomics.load(this.cells, cell);
      if (claimed >= limit) return false;
      if (Atomics.compareExchange(this.cells, cell, claimed, claimed + 1) === claimed) return true;
    }
  }

  countUp(line: number): boolean {
    const limit = orUnlimited(Atomics.load(this.cells, line + CAPACITY_LIMIT));
    return this.countUpTo(line + CAPACITY_CLAIMED, limit);
  }

  countClientUp(line: number): boolean {
    const limit = orUnlimited(Atomics.load(this.cells, line + CAPACITY_CLIENT_LIMIT));
    return this.countUpTo(line + CAPACITY_CLIENTS, limit);
  }

  clientLimit(line: number): number {
    return Atomics.load(this.cells, line + CAPACITY_CLIENT_LIMIT);
  }

  areClientsFull(line: number): boolean {
    const limit = Atomics.load(this.cells, line + CAPACITY_CLIENT_LIMIT);
    return limit !== 0 && Atomics.load(this.cells, line + CAPACITY_CLIENTS) >= limit;
  }

  /** Server connections still allowed; UNLIMITED without a limit, negative where it has been lowered and is passed. */
  free(line: number): number {
    const limit = Atomics.load(this.cells, line + CAPACITY_LIMIT);
    if (limit === 0) return UNLIMITED;
    return limit - Atomics.load(this.cells, line + CAPACITY_CLAIMED);
  }

  isFull(line: number): boolean {
    const limit = Atomics.load(this.cells, line + CAPACITY_LIMIT);
    return limit !== 0 && Atomics.load(this.cells, line + CAPACITY_CLAIMED) >= limit;
  }

  /** Throws when the worker has none: a double give-back is our bug. */
  lowerClaim(cell: number, worker: number, what: string): void {
    if (Atomics.sub(this.claims, cell, 1) > 0) return;
    Atomics.add(this.claims, cell, 1);
    throw new Error(`worker ${worker} gave back ${what} it had not claimed`);
  }

  setLimit(cell: number, limit: number): void {
    if (!Number.isInteger(limit) || limit < 0)
      throw new RangeError(`a limit must be a natural number, not ${limit}`);
    Atomics.store(this.cells, cell, limit);
  }

  poolLine(pool: number): number {
    if (!(pool >= 0 && pool < this.poolsMax))
      throw new RangeError(`pool ${pool} is outside 0..${this.poolsMax - 1}`);
    return (CAPACITY_FIRST_POOL_ROW + pool) * LINE_CELLS;
  }

  databaseLine(group: number): number {
    this.#checkGroup(group);
    return (CAPACITY_FIRST_POOL_ROW + this.poolsMax + group) * LINE_CELLS;
  }

  userLine(group: number): number {
    this.#checkGroup(group);
    return (CAPACITY_FIRST_POOL_ROW + 2 * this.poolsMax + group) * LINE_CELLS;
  }

  databaseLineOf(poolLine: number): number {
    return this.databaseLine(this.cells[poolLine + CAPACITY_DATABASE_GROUP]);
  }

  userLineOf(poolLine: number): number {
    return this.userLine(this.cells[poolLine + CAPACITY_USER_GROUP]);
  }

  claimsBase(worker: number): number {
    if (!(worker >= 0 && worker < this.#workers)) throw new RangeError(`worker ${worker} does not exist`);
    return worker * this.#claimsStride;
  }

  claimCell(worker: number, pool: number, kind: ClaimKind): number {
    return this.claimsBase(worker) + CLAIMS_FIRST_POOL + kind * this.poolsMax + pool;
  }

  #checkGroup(group: number): void {
    if (!(group >= 0 && group < this.poolsMax))
      throw new RangeError(`group ${group} is outside 0..${this.poolsMax - 1}`);
  }
}
