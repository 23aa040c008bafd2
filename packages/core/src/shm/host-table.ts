import {
  HOST_BAN_REASON,
  HOST_BAN_UNTIL_MS_F64,
  HOST_BANS,
  HOST_CURRENT_HIGH,
  HOST_CURRENT_LOW,
  HOST_FAILED_CHECKS,
  HOST_HEALTH,
  HOST_LAG_BYTES_F64,
  HOST_LAG_MS,
  HOST_LATENCY_US,
  HOST_LOAD_CONNECT_FAILURES,
  HOST_LOAD_IN_FLIGHT,
  HOST_LOAD_LATENCY_US,
  HOST_LOAD_RESETS,
  HOST_LOAD_SHUTDOWNS,
  HOST_LOAD_STATEMENTS,
  HOST_LSN_SEQUENCE,
  HOST_MEASURED_MS_F64,
  HOST_ORDERS,
  HOST_REPLAYED_HIGH,
  HOST_REPLAYED_LOW,
  HOST_ROLE,
  HOST_ROLE_CHANGES,
  HOST_ROW_BYTES,
  HOST_SHOWN_MS_F64,
  HOST_TIMELINE,
  HOSTS_GENERATION,
  LINE_CELLS,
} from './layout.js';
import { Seqlock } from './seqlock.js';

export const ROLE_UNKNOWN = 0;
export const ROLE_PRIMARY = 1;
export const ROLE_REPLICA = 2;
export type MeasuredRole = typeof ROLE_UNKNOWN | typeof ROLE_PRIMARY | typeof ROLE_REPLICA;

export const HEALTH_UNKNOWN = 0;
export const HEALTH_GOOD = 1;
export const HEALTH_FAILING = 2;
export type Health = typeof HEALTH_UNKNOWN | typeof HEALTH_GOOD | typeof HEALTH_FAILING;

/**
 * Why a host is not used. It ends when the supervisor says so: only a check that passes lifts it, never time alone.
 * The operator's own ban is an order, not one of these.
 */
export const BAN_NONE = 0;
export const BAN_PROBE_FAILED = 1;
export const BAN_CONNECT_FAILED = 2;
export const BAN_CONNECTION_LOST = 3;
export const BAN_SHUTTING_DOWN = 4;
export const BAN_REPLICA_LAG = 5;
/** Not checked yet, and require_healthcheck_on_discovery. */
export const BAN_UNCHECKED = 6;
/** From here on it is fenced: its data are not the cluster's, so nothing may be read from it or written to it, ever. */
export const BAN_SUPERSEDED = 7;
export const BAN_SECOND_PRIMARY = 8;
export const BAN_OTHER_SYSTEM = 9;
export const BAN_FORKED = 10;
export const BAN_NOT_LEADER = 11;
export type BanReason = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11;
/** By number, for SHOW, logs and metrics. */
export const BAN_REASON_NAMES = [
  '',
  'healthcheck failed',
  'connecting failed',
  'connections lost',
  'server is shutting down or starting up',
  'replica lag',
  'not checked yet',
  'superseded: a primary of a newer timeline has been seen',
  'a second primary of the same timeline',
  'another database system',
  'its data have left the path of the primary',
  'takes writes, but Patroni has another leader',
] as const;

/** The operator's orders, as bits. They hold until taken back, whatever is measured. */
export const ORDER_BAN = 1;
export const ORDER_DRAIN = 2;
export const ORDER_DISABLE = 4;
export const ORDER_PAUSE = 8;

const ROW_CELLS = HOST_ROW_BYTES / 4;
const ROW_F64_CELLS = HOST_ROW_BYTES / 8;
const LOW = 2 ** 32;

/**
 * What is known of each host, and what each worker does with it.
 *
 * Host rows have one writer, the supervisor; load rows have one writer, their worker. A cell that decides a route
 * (role, ban, order) is followed by an atomic increment of the generation: a worker that sees the new generation
 * sees the cell, because the atomic store orders the plain store before it. Positions in the write-ahead log have
 * 64 bits and decide whether a session sees its own writes, hence a sequence cell and not one float.
 */
export class HostTable {
  readonly #changes: Int32Array;
  readonly #cells: Int32Array;
  readonly #floats: Float64Array;
  readonly #load: Int32Array;
  readonly #workers: number;
  readonly #hostsMax: number;

  constructor(
    changes: SharedArrayBuffer,
    hosts: SharedArrayBuffer,
    load: SharedArrayBuffer,
    workers: number,
    hostsMax: number,
  ) {
    this.#changes = new Int32Array(changes);
    this.#cells = new Int32Array(hosts);
    this.#floats = new Float64Array(hosts);
    this.#load = new Int32Array(load);
    this.#workers = workers;
    this.#hostsMax = hostsMax;
  }

  get hostsMax(): number {
    return this.#hostsMax;
  }

  /** Changes when a decision taken on this table may come out otherwise. */
  generation(): number {
    return Atomics.load(this.#changes, HOSTS_GENERATION);
  }

  /**
   * What the host is: in recovery or not, and with role = "auto" the one primary there is. It is measured whatever the
   * configuration says, and both count: written to is a host that is not configured as a replica, and is a primary or
   * (configured as one) not measured yet.
   */
  role(host: number): MeasuredRole {
    return this.#cells[this.#row(host) + HOST_ROLE] as MeasuredRole;
  }

  health(host: number): Health {
    return this.#cells[this.#row(host) + HOST_HEALTH] as Health;
  }

  banReason(host: number): BanReason {
    return this.#cells[this.#row(host) + HOST_BAN_REASON] as BanReason;
  }

  /** It must not be used even when there is nothing better. */
  isFenced(host: number): boolean {
    return this.banReason(host) >= BAN_SUPERSEDED;
  }

  /** Epoch ms before which it is not lifted; 0 = it depends on measurements alone. */
  banUntilMs(host: number): number {
    return this.#floats[this.#floatRow(host) + HOST_BAN_UNTIL_MS_F64];
  }

  orders(host: number): number {
    return this.#cells[this.#row(host) + HOST_ORDERS];
  }

  /** -1 = unknown. */
  lagMs(host: number): number {
    return this.#cells[this.#row(host) + HOST_LAG_MS];
  }

  /** -1 = unknown. */
  lagBytes(host: number): number {
    return this.#floats[this.#floatRow(host) + HOST_LAG_BYTES_F64];
  }

  latencyUs(host: number): number {
    return this.#cells[this.#row(host) + HOST_LATENCY_US];
  }

  timeline(host: number): number {
    return this.#cells[this.#row(host) + HOST_TIMELINE];
  }

  /** How often, since it is configured. */
  bans(host: number): number {
    return this.#cells[this.#row(host) + HOST_BANS];
  }

  roleChanges(host: number): number {
    return this.#cells[this.#row(host) + HOST_ROLE_CHANGES];
  }

  failedChecks(host: number): number {
    return this.#cells[this.#row(host) + HOST_FAILED_CHECKS];
  }

  /** When it was last measured, epoch ms; 0 = never. */
  measuredMs(host: number): number {
    return this.#floats[this.#floatRow(host) + HOST_MEASURED_MS_F64];
  }

  /**
   * What was committed before this moment of the machine's monotonic clock (systemClock) a replica is known to show.
   * It only gets older until the next measurement, and is true all the while.
   */
  shownMs(host: number): number {
    return this.#floats[this.#floatRow(host) + HOST_SHOWN_MS_F64];
  }

  /** Position up to which a replica has replayed, as bytes from the start of the log; 0 = unknown. Exact below 2^53. */
  replayedLsn(host: number): number {
    return this.#lsn(host, HOST_REPLAYED_HIGH, HOST_REPLAYED_LOW);
  }

  /** Position a primary has written up to; 0 = unknown. */
  currentLsn(host: number): number {
    return this.#lsn(host, HOST_CURRENT_HIGH, HOST_CURRENT_LOW);
  }

  // The supervisor's side.

  setRole(host: number, role: MeasuredRole): void {
    if (this.role(host) !== role) this.#cells[this.#row(host) + HOST_ROLE_CHANGES]++;
    this.#decide(host, HOST_ROLE, role);
  }

  setHealth(host: number, health: Health): void {
    this.#decide(host, HOST_HEALTH, health);
  }

  /** `untilMs`: see banUntilMs(). */
  ban(host: number, reason: BanReason, untilMs: number): void {
    if (this.banReason(host) === BAN_NONE) this.#cells[this.#row(host) + HOST_BANS]++;
    // The time first: who sees the reason must find it.
    this.#floats[this.#floatRow(host) + HOST_BAN_UNTIL_MS_F64] = untilMs;
    this.#decide(host, HOST_BAN_REASON, reason);
  }

  unban(host: number): void {
    this.#decide(host, HOST_BAN_REASON, BAN_NONE);
  }

  noteFailedCheck(host: number): void {
    this.#cells[this.#row(host) + HOST_FAILED_CHECKS]++;
  }

  setOrders(host: number, orders: number): void {
    this.#decide(host, HOST_ORDERS, orders);
  }

  setLag(host: number, lagMs: number, lagBytes: number): void {
    this.#cells[this.#row(host) + HOST_LAG_MS] = Math.min(lagMs, 0x7fff_ffff);
    this.#floats[this.#floatRow(host) + HOST_LAG_BYTES_F64] = lagBytes;
  }

  setLatencyUs(host: number, us: number): void {
    this.#cells[this.#row(host) + HOST_LATENCY_US] = us;
  }

  setTimeline(host: number, timeline: number): void {
    this.#cells[this.#row(host) + HOST_TIMELINE] = timeline;
  }

  setMeasuredMs(host: number, epochMs: number): void {
    this.#floats[this.#floatRow(host) + HOST_MEASURED_MS_F64] = epochMs;
  }

  setShownMs(host: number, ms: number): void {
    this.#floats[this.#floatRow(host) + HOST_SHOWN_MS_F64] = ms;
  }

  setLsns(host: number, replayed: number, current: number): void {
    const row = this.#row(host);
    const lock = new Seqlock(this.#cells, row + HOST_LSN_SEQUENCE);
    lock.beginWrite();
    this.#cells[row + HOST_REPLAYED_HIGH] = Math.floor(replayed / LOW);
    this.#cells[row + HOST_REPLAYED_LOW] = (replayed % LOW) | 0;
    this.#cells[row + HOST_CURRENT_HIGH] = Math.floor(current / LOW);
    this.#cells[row + HOST_CURRENT_LOW] = (current % LOW) | 0;
    lock.endWrite();
  }

  /** A row gets another host: nothing is known of it. */
  clearHost(host: number): void {
    const row = this.#row(host);
    this.#cells.fill(0, row, row + ROW_CELLS);
    this.#cells[row + HOST_LAG_MS] = -1;
    this.#floats[this.#floatRow(host) + HOST_LAG_BYTES_F64] = -1;
    for (let worker = 0; worker < this.#workers; worker++) {
      const cell = this.#loadRow(worker, host);
      // In flight stays: those statements end some time, and are then subtracted.
      this.#load.fill(0, cell + HOST_LOAD_CONNECT_FAILURES, cell + LINE_CELLS);
    }
    Atomics.add(this.#changes, HOSTS_GENERATION, 1);
  }

  /** After a crash. */
  clearWorker(worker: number): void {
    const start = this.#loadRow(worker, 0);
    this.#load.fill(0, start, start + this.#hostsMax * LINE_CELLS);
  }

  // The workers' side: rows of their own.

  /** A server connection of the host begins (1) or ends (-1) to serve a session. */
  addInFlight(worker: number, host: number, change: 1 | -1): void {
    this.#load[this.#loadRow(worker, host) + HOST_LOAD_IN_FLIGHT] += change;
  }

  noteConnectFailure(worker: number, host: number): void {
    this.#load[this.#loadRow(worker, host) + HOST_LOAD_CONNECT_FAILURES]++;
  }

  noteReset(worker: number, host: number): void {
    this.#load[this.#loadRow(worker, host) + HOST_LOAD_RESETS]++;
  }

  noteShutdown(worker: number, host: number): void {
    this.#load[this.#loadRow(worker, host) + HOST_LOAD_SHUTDOWNS]++;
  }

  /** An exchange was answered in this time: a mean in which each counts an eighth, and a slow one at once (its peak). */
  noteStatement(worker: number, host: number, tookUs: number): void {
    const row = this.#loadRow(worker, host);
    this.#load[row + HOST_LOAD_STATEMENTS]++;
    const before = this.#load[row + HOST_LOAD_LATENCY_US];
    this.#load[row + HOST_LOAD_LATENCY_US] =
      tookUs > before ? Math.min(tookUs, 0x3fff_ffff) : before + ((tookUs - before) >> 3);
  }

  /** Over all workers: a hint, a moment old. */
  inFlight(host: number): number {
    return this.#sum(host, HOST_LOAD_IN_FLIGHT);
  }

  connectFailures(host: number): number {
    return this.#sum(host, HOST_LOAD_CONNECT_FAILURES);
  }

  resets(host: number): number {
    return this.#sum(host, HOST_LOAD_RESETS);
  }

  shutdowns(host: number): number {
    return this.#sum(host, HOST_LOAD_SHUTDOWNS);
  }

  statements(host: number): number {
    return this.#sum(host, HOST_LOAD_STATEMENTS);
  }

  /** As `worker` sees it, 0 = it has not used it. */
  statementLatencyUs(worker: number, host: number): number {
    return this.#load[this.#loadRow(worker, host) + HOST_LOAD_LATENCY_US];
  }

  #sum(host: number, cell: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      sum = (sum + this.#load[this.#loadRow(worker, host) + cell]) | 0;
    }
    return sum;
  }

  #decide(host: number, cell: number, value: number): void {
    const at = this.#row(host) + cell;
    const isNews = this.#cells[at] !== value;
    this.#cells[at] = value;
    if (isNews) Atomics.add(this.#changes, HOSTS_GENERATION, 1);
  }

  #lsn(host: number, high: number, low: number): number {
    const row = this.#row(host);
    const lock = new Seqlock(this.#cells, row + HOST_LSN_SEQUENCE);
    // A write takes nanoseconds; a position from before it is as good as unknown.
    for (let attempt = 0; attempt < 4; attempt++) {
      const sequence = lock.beginRead();
      const value = this.#cells[row + high] * LOW + (this.#cells[row + low] >>> 0);
      if (lock.isUnchanged(sequence)) return value;
    }
    return 0;
  }

  #row(host: number): number {
    return host * ROW_CELLS;
  }

  #floatRow(host: number): number {
    return host * ROW_F64_CELLS;
  }

  #loadRow(worker: number, host: number): number {
    return (worker * this.#hostsMax + host) * LINE_CELLS;
  }
}
