import { CapacityRows, CLIENTS, type ClaimKind, QUEUED, SERVERS } from './capacity-rows.js';
import {
  CAPACITY_ADMINS_ROW,
  CAPACITY_CLAIMED,
  CAPACITY_CLIENT_LIMIT,
  CAPACITY_CLIENTS,
  CAPACITY_CLIENTS_ROW,
  CAPACITY_DATABASE_GROUP,
  CAPACITY_LIMIT,
  CAPACITY_QUEUED,
  CAPACITY_RESERVE,
  CAPACITY_TOTAL_ROW,
  CAPACITY_USER_GROUP,
  CLAIMS_ADMINS,
  CLAIMS_CLIENTS,
  LINE_CELLS,
} from './layout.js';

export { UNLIMITED } from './capacity-rows.js';

export const CLAIMED = 0;
export const POOL_FULL = 1;
export const DATABASE_FULL = 2;
export const USER_FULL = 3;
export const TOTAL_FULL = 4;
/** Of clients: the pool is about to be forgotten, or has been. */
export const POOL_CLOSED = 5;
export type ClaimResult =
  | typeof CLAIMED
  | typeof POOL_FULL
  | typeof DATABASE_FULL
  | typeof USER_FULL
  | typeof TOTAL_FULL;

export type ClientClaim = typeof CLAIMED | typeof DATABASE_FULL | typeof USER_FULL | typeof POOL_CLOSED;

const TOTAL_LINE = CAPACITY_TOTAL_ROW * LINE_CELLS;
const CLIENTS_LINE = CAPACITY_CLIENTS_ROW * LINE_CELLS;
const ADMINS_LINE = CAPACITY_ADMINS_ROW * LINE_CELLS;

/**
 * How many server connections, clients and waiting sessions may exist and how many do, exact over all workers.
 *
 * A claim of a server connection counts up four cells in a fixed order: pool, its database, its user, total; a
 * refusal undoes the ones before. So a limit is never passed, not even for a moment; a claim may be refused because
 * of another that is about to be undone, which is why a waiting worker tries again on its timer. A client's claim
 * works alike: the total when it comes, its database and its user once it has proved who it is.
 *
 * Each worker's claims are also counted in its own row, so that they can be given back after a crash. The row
 * is raised after the shared cells and lowered before them: a thread killed between the two leaves one
 * connection too many counted, never one too few. Too few would let a limit be passed.
 */
export class CapacityTable {
  readonly #rows: CapacityRows;
  readonly #cells: Int32Array;
  readonly #claims: Int32Array;

  constructor(capacity: SharedArrayBuffer, claims: SharedArrayBuffer, workers: number, poolsMax: number) {
    this.#rows = new CapacityRows(capacity, claims, workers, poolsMax);
    this.#cells = this.#rows.cells;
    this.#claims = this.#rows.claims;
  }

  // Limits: supervisor only.

  /** Before the pool is used. Groups of a pool never change: its claims are counted in them. */
  setPoolGroups(pool: number, databaseGroup: number, userGroup: number): void {
    const line = this.#rows.poolLine(pool);
    this.#rows.databaseLine(databaseGroup);
    this.#rows.userLine(userGroup);
    const hasClaims =
      Atomics.load(this.#cells, line + CAPACITY_CLAIMED) > 0 ||
      Atomics.load(this.#cells, line + CAPACITY_CLIENTS) > 0;
    const isSame =
      this.#cells[line + CAPACITY_DATABASE_GROUP] === databaseGroup &&
      this.#cells[line + CAPACITY_USER_GROUP] === userGroup;
    if (hasClaims && !isSame) throw new Error(`pool ${pool} has connections: its groups cannot change`);
    this.#cells[line + CAPACITY_DATABASE_GROUP] = databaseGroup;
    this.#cells[line + CAPACITY_USER_GROUP] = userGroup;
  }

  /**
   * 0 = no connection may be opened. A limit below what is claimed refuses until enough is given back. `reserve`:
   * connections beyond it, for claims that ask for them.
   */
  setPoolLimit(pool: number, limit: number, reserve = 0): void {
    this.#rows.setLimit(this.#rows.poolLine(pool) + CAPACITY_LIMIT, limit);
    this.#rows.setLimit(this.#rows.poolLine(pool) + CAPACITY_RESERVE, reserve);
  }

  /** Server connections; 0 = unlimited, as in the following ones. */
  setDatabaseLimit(group: number, limit: number): void {
    this.#rows.setLimit(this.#rows.databaseLine(group) + CAPACITY_LIMIT, limit);
  }

  setUserLimit(group: number, limit: number): void {
    this.#rows.setLimit(this.#rows.userLine(group) + CAPACITY_LIMIT, limit);
  }

  setTotalLimit(limit: number): void {
    this.#rows.setLimit(TOTAL_LINE + CAPACITY_LIMIT, limit);
  }

  setClientLimit(limit: number): void {
    this.#rows.setLimit(CLIENTS_LINE + CAPACITY_LIMIT, limit);
  }

  setAdminLimit(limit: number): void {
    this.#rows.setLimit(ADMINS_LINE + CAPACITY_LIMIT, limit);
  }

  setDatabaseClientLimit(group: number, limit: number): void {
    this.#rows.setLimit(this.#rows.databaseLine(group) + CAPACITY_CLIENT_LIMIT, limit);
  }

  setUserClientLimit(group: number, limit: number): void {
    this.#rows.setLimit(this.#rows.userLine(group) + CAPACITY_CLIENT_LIMIT, limit);
  }

  /**
   * A closed pool takes no clients. Whoever closes it looks at its clients after that: a client is counted first and looks
   * at the mark then, so that one of both sees the other.
   */
  setPoolClosed(pool: number, isClosed: boolean): void {
    this.#rows.setLimit(this.#rows.poolLine(pool) + CAPACITY_CLIENT_LIMIT, isClosed ? 1 : 0);
  }

  // Server connections.

  /**
   * Claims one server connection for `worker`, or says which limit refuses it. `isReserve`: also beyond the pool's
   * limit, as far as its reserve goes.
   */
  tryClaim(worker: number, pool: number, isReserve = false): ClaimResult {
    const cells = this.#cells;
    const claimCell = this.#rows.claimCell(worker, pool, SERVERS);
    const poolLine = this.#rows.poolLine(pool);
    const databaseLine = this.#rows.databaseLineOf(poolLine);
    const userLine = this.#rows.userLineOf(poolLine);
    const poolLimit =
      Atomics.load(cells, poolLine + CAPACITY_LIMIT) +
      (isReserve ? Atomics.load(cells, poolLine + CAPACITY_RESERVE) : 0);
    // The common refusal costs one load, and does not disturb the counts of others by claiming and undoing.
    if (this.#rows.isFull(TOTAL_LINE)) {
      return Atomics.load(cells, poolLine + CAPACITY_CLAIMED) >= poolLimit ? POOL_FULL : TOTAL_FULL;
    }
    if (!this.#rows.countUpTo(poolLine + CAPACITY_CLAIMED, poolLimit)) return POOL_FULL;
    if (!this.#rows.countUp(databaseLine)) {
      Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, 1);
      return DATABASE_FULL;
    }
    if (!this.#rows.countUp(userLine)) {
      Atomics.sub(cells, databaseLine + CAPACITY_CLAIMED, 1);
      Atomics.sub(cells, poolLine + CAPACITY_CLAIMED, 1);
      return USER_FULL;
    }
    if (!this.#rows.countUp(TOTAL_LINE)) {
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
    this.#rows.lowerClaim(
      this.#rows.claimCell(worker, pool, SERVERS),
      worker,
      `a connection of pool ${pool}`,
    );
    this.#countServersDown(pool, 1);
  }

  /**
   * The connection changes worker; the shared counts stay as they are. Call it as the `onAccepted` of
   * Mailboxes.post(), under the receiver's lock: then a crash of the receiver finds the claim together with
   * the descriptor, or neither.
   */
  moveClaim(pool: number, fromWorker: number, toWorker: number): void {
    Atomics.add(this.#claims, this.#rows.claimCell(toWorker, pool, SERVERS), 1);
    Atomics.sub(this.#claims, this.#rows.claimCell(fromWorker, pool, SERVERS), 1);
  }

  // Clients.

  /** Claims one client slot. False = the total of clients is reached. */
  tryClaimClient(worker: number): boolean {
    if (!this.#rows.countUp(CLIENTS_LINE)) return false;
    Atomics.add(this.#claims, this.#rows.claimsBase(worker) + CLAIMS_CLIENTS, 1);
    return true;
  }

  giveBackClient(worker: number): void {
    this.#rows.lowerClaim(this.#rows.claimsBase(worker) + CLAIMS_CLIENTS, worker, 'a client');
    Atomics.sub(this.#cells, CLIENTS_LINE + CAPACITY_CLAIMED, 1);
  }

  /** A client of the admin database: counted apart, so that an operator gets in when everything else is full. */
  tryClaimAdmin(worker: number): boolean {
    if (!this.#rows.countUp(ADMINS_LINE)) return false;
    Atomics.add(this.#claims, this.#rows.claimsBase(worker) + CLAIMS_ADMINS, 1);
    return true;
  }

  giveBackAdmin(worker: number): void {
    this.#rows.lowerClaim(this.#rows.claimsBase(worker) + CLAIMS_ADMINS, worker, 'an admin client');
    Atomics.sub(this.#cells, ADMINS_LINE + CAPACITY_CLAIMED, 1);
  }

  /**
   * A client has logged in: counts it for its database and its user. A refusal leaves no trace. Limits are looked at
   * before anything is counted: a storm of clients that one limit refuses must not make the other look full, for nobody
   * tries a refused login again.
   */
  tryClaimPoolClient(worker: number, pool: number): ClientClaim {
    const rows = this.#rows;
    const claimCell = rows.claimCell(worker, pool, CLIENTS);
    const poolLine = rows.poolLine(pool);
    const [databaseLine, userLine] = [rows.databaseLineOf(poolLine), rows.userLineOf(poolLine)];
    if (rows.areClientsFull(userLine)) return USER_FULL;
    if (!rows.countClientUp(databaseLine)) return DATABASE_FULL;
    if (!rows.countClientUp(userLine)) {
      Atomics.sub(this.#cells, databaseLine + CAPACITY_CLIENTS, 1);
      return USER_FULL;
    }
    Atomics.add(this.#cells, poolLine + CAPACITY_CLIENTS, 1);
    if (rows.clientLimit(poolLine) !== 0) {
      this.#countClientsDown(pool, 1);
      return POOL_CLOSED;
    }
    Atomics.add(this.#claims, claimCell, 1);
    return CLAIMED;
  }

  giveBackPoolClient(worker: number, pool: number): void {
    this.#rows.lowerClaim(this.#rows.claimCell(worker, pool, CLIENTS), worker, `a client of pool ${pool}`);
    this.#countClientsDown(pool, 1);
  }

  /** It counts in another pool of the same database and user from now on, whose limits it is counted in already. */
  movePoolClient(worker: number, fromPool: number, toPool: number): void {
    const rows = this.#rows;
    rows.lowerClaim(rows.claimCell(worker, fromPool, CLIENTS), worker, `a client of pool ${fromPool}`);
    Atomics.add(this.#claims, rows.claimCell(worker, toPool, CLIENTS), 1);
    Atomics.add(this.#cells, rows.poolLine(toPool) + CAPACITY_CLIENTS, 1);
    Atomics.sub(this.#cells, rows.poolLine(fromPool) + CAPACITY_CLIENTS, 1);
  }

  // The queue.

  /** Claims one place in the pool's queue; false when `limit` sessions wait already. */
  tryClaimQueued(worker: number, pool: number, limit: number): boolean {
    if (!this.#rows.countUpTo(this.#rows.poolLine(pool) + CAPACITY_QUEUED, limit)) return false;
    Atomics.add(this.#claims, this.#rows.claimCell(worker, pool, QUEUED), 1);
    return true;
  }

  giveBackQueued(worker: number, pool: number): void {
    this.#rows.lowerClaim(
      this.#rows.claimCell(worker, pool, QUEUED),
      worker,
      `a place in the queue of pool ${pool}`,
    );
    Atomics.sub(this.#cells, this.#rows.poolLine(pool) + CAPACITY_QUEUED, 1);
  }

  /** Supervisor only, after the worker's thread ended and its mailbox was closed. */
  giveBackAll(worker: number): void {
    const base = this.#rows.claimsBase(worker);
    const clients = Atomics.exchange(this.#claims, base + CLAIMS_CLIENTS, 0);
    Atomics.sub(this.#cells, CLIENTS_LINE + CAPACITY_CLAIMED, clients);
    const admins = Atomics.exchange(this.#claims, base + CLAIMS_ADMINS, 0);
    Atomics.sub(this.#cells, ADMINS_LINE + CAPACITY_CLAIMED, admins);
    for (let pool = 0; pool < this.#rows.poolsMax; pool++) {
      const take = (kind: ClaimKind) =>
        Atomics.exchange(this.#claims, this.#rows.claimCell(worker, pool, kind), 0);
      const [servers, poolClients, queued] = [take(SERVERS), take(CLIENTS), take(QUEUED)];
      if (servers !== 0) this.#countServersDown(pool, servers);
      if (poolClients !== 0) this.#countClientsDown(pool, poolClients);
      if (queued !== 0) Atomics.sub(this.#cells, this.#rows.poolLine(pool) + CAPACITY_QUEUED, queued);
    }
  }

  // What stands in the cells.

  limit(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.poolLine(pool) + CAPACITY_LIMIT);
  }

  claimed(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.poolLine(pool) + CAPACITY_CLAIMED);
  }

  claimedBy(worker: number, pool: number): number {
    return Atomics.load(this.#claims, this.#rows.claimCell(worker, pool, SERVERS));
  }

  /** Clients of that worker which are counted in the pool. */
  clientsOf(worker: number, pool: number): number {
    return Atomics.load(this.#claims, this.#rows.claimCell(worker, pool, CLIENTS));
  }

  queued(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.poolLine(pool) + CAPACITY_QUEUED);
  }

  databaseClaimed(group: number): number {
    return Atomics.load(this.#cells, this.#rows.databaseLine(group) + CAPACITY_CLAIMED);
  }

  userClaimed(group: number): number {
    return Atomics.load(this.#cells, this.#rows.userLine(group) + CAPACITY_CLAIMED);
  }

  /** Server connections that the limits of its database, of its user and of all still allow; negative: too many by so many. */
  freeInGroups(pool: number): number {
    const line = this.#rows.poolLine(pool);
    return Math.min(
      this.#rows.free(this.#rows.databaseLineOf(line)),
      this.#rows.free(this.#rows.userLineOf(line)),
      this.#rows.free(TOTAL_LINE),
    );
  }

  /** Whether two pools are counted in the same database, or for the same user. */
  isSameDatabase(pool: number, other: number): boolean {
    const group = (index: number) => this.#cells[this.#rows.poolLine(index) + CAPACITY_DATABASE_GROUP];
    return group(pool) === group(other);
  }

  isSameUser(pool: number, other: number): boolean {
    const group = (index: number) => this.#cells[this.#rows.poolLine(index) + CAPACITY_USER_GROUP];
    return group(pool) === group(other);
  }

  databaseLimitOf(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.databaseLineOf(this.#rows.poolLine(pool)) + CAPACITY_LIMIT);
  }

  userLimitOf(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.userLineOf(this.#rows.poolLine(pool)) + CAPACITY_LIMIT);
  }

  /** Clients logged in to the pool. */
  poolClients(pool: number): number {
    return Atomics.load(this.#cells, this.#rows.poolLine(pool) + CAPACITY_CLIENTS);
  }

  databaseClientLimitOf(pool: number): number {
    return this.#rows.clientLimit(this.#rows.databaseLineOf(this.#rows.poolLine(pool)));
  }

  userClientLimitOf(pool: number): number {
    return this.#rows.clientLimit(this.#rows.userLineOf(this.#rows.poolLine(pool)));
  }

  totalClaimed(): number {
    return Atomics.load(this.#cells, TOTAL_LINE + CAPACITY_CLAIMED);
  }

  totalLimit(): number {
    return Atomics.load(this.#cells, TOTAL_LINE + CAPACITY_LIMIT);
  }

  clientsClaimed(): number {
    return Atomics.load(this.#cells, CLIENTS_LINE + CAPACITY_CLAIMED);
  }

  clientLimit(): number {
    return Atomics.load(this.#cells, CLIENTS_LINE + CAPACITY_LIMIT);
  }

  adminsClaimed(): number {
    return Atomics.load(this.#cells, ADMINS_LINE + CAPACITY_CLAIMED);
  }

  adminLimit(): number {
    return Atomics.load(this.#cells, ADMINS_LINE + CAPACITY_LIMIT);
  }

  #countServersDown(pool: number, count: number): void {
    const poolLine = this.#rows.poolLine(pool);
    // Widest first, the reverse of tryClaim(): room seen in the pool is then likely to be there in the rest too.
    const groups = [this.#rows.userLineOf(poolLine), this.#rows.databaseLineOf(poolLine)];
    for (const line of [TOTAL_LINE, ...groups, poolLine]) {
      Atomics.sub(this.#cells, line + CAPACITY_CLAIMED, count);
    }
  }

  #countClientsDown(pool: number, count: number): void {
    const poolLine = this.#rows.poolLine(pool);
    const groups = [this.#rows.userLineOf(poolLine), this.#rows.databaseLineOf(poolLine)];
    for (const line of [poolLine, ...groups]) Atomics.sub(this.#cells, line + CAPACITY_CLIENTS, count);
  }
}
