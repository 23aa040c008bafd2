import {
  WORKER_BUSY_US_F64,
  WORKER_CLIENTS,
  WORKER_EPOCH,
  WORKER_HEARTBEAT_MS,
  WORKER_IO_DRIVER,
  WORKER_IO_EVENTS_F64,
  WORKER_KERNEL_MEMORY_ADDRESS_F64,
  WORKER_KERNEL_MEMORY_BYTES_F64,
  WORKER_LOOP_DELAY_MAX_US,
  WORKER_QUERY_CACHE_BYTES_F64,
  WORKER_QUERY_CACHE_EVICTIONS_F64,
  WORKER_QUERY_CACHE_HITS_F64,
  WORKER_QUERY_CACHE_MISSES_F64,
  WORKER_QUERY_CACHE_SIZE_F64,
  WORKER_RESTARTS,
  WORKER_ROW_BYTES,
  WORKER_SETTLED_EPOCH,
  WORKER_SPREAD_CLIENTS,
  WORKER_STATE,
  WORKER_TLS_FAILURES,
  WORKER_TLS_HANDSHAKES,
  WORKER_TURNS_F64,
} from './layout.js';

export const WORKER_STARTING = 0;
export const WORKER_SERVING = 1;
export const WORKER_DRAINING = 2;
export const WORKER_CRASHED = 3;
export const WORKER_STOPPED = 4;
export type WorkerState =
  | typeof WORKER_STARTING
  | typeof WORKER_SERVING
  | typeof WORKER_DRAINING
  | typeof WORKER_CRASHED
  | typeof WORKER_STOPPED;
/** Names of the states, by number, for SHOW and logs. */
export const WORKER_STATE_NAMES = ['starting', 'serving', 'draining', 'crashed', 'stopped'] as const;

export const IO_DRIVER_IO_URING = 1;
export const IO_DRIVER_EPOLL = 2;
/** Names by number; 0 = not known yet. */
export const IO_DRIVER_NAMES = ['', 'io_uring', 'epoll'] as const;

const ROW_CELLS = WORKER_ROW_BYTES / 4;
const ROW_F64_CELLS = WORKER_ROW_BYTES / 8;

/**
 * How each worker is. Its own line is written by the worker with plain stores; the supervisor writes the state
 * only while no task of that worker runs (before the start, after a crash), so there is one writer at a time.
 * The state is stored atomically: "serving" must not be seen before the things it promises (ring, mailbox).
 */
export class WorkerTable {
  readonly #cells: Int32Array;
  readonly #floats: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  state(worker: number): WorkerState {
    return Atomics.load(this.#cells, worker * ROW_CELLS + WORKER_STATE) as WorkerState;
  }

  setState(worker: number, state: WorkerState): void {
    Atomics.store(this.#cells, worker * ROW_CELLS + WORKER_STATE, state);
  }

  /** Low 32 bits of epoch ms; see heartbeatAgeMs(). */
  heartbeatMs(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_HEARTBEAT_MS];
  }

  setHeartbeatMs(worker: number, epochMs: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_HEARTBEAT_MS] = epochMs | 0;
  }

  /** Milliseconds since the last heartbeat. */
  heartbeatAgeMs(worker: number, nowMs: number): number {
    return ((nowMs | 0) - this.heartbeatMs(worker)) | 0;
  }

  clients(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_CLIENTS];
  }

  /** `spreadCount`: of them, those that are not here because their pool is at home here. */
  setClients(worker: number, count: number, spreadCount = count): void {
    this.#cells[worker * ROW_CELLS + WORKER_CLIENTS] = count;
    this.#cells[worker * ROW_CELLS + WORKER_SPREAD_CLIENTS] = spreadCount;
  }

  spreadClients(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_SPREAD_CLIENTS];
  }

  epoch(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_EPOCH];
  }

  setEpoch(worker: number, epoch: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_EPOCH] = epoch;
  }

  /**
   * The worker has nothing left of any pool that was gone by this snapshot: no server connection, no client, no row it
   * would write. At most its epoch.
   */
  settledEpoch(worker: number): number {
    return Atomics.load(this.#cells, worker * ROW_CELLS + WORKER_SETTLED_EPOCH);
  }

  /** After the last write to rows of those pools: hence atomically, for they may be cleared as soon as this is seen. */
  setSettledEpoch(worker: number, epoch: number): void {
    Atomics.store(this.#cells, worker * ROW_CELLS + WORKER_SETTLED_EPOCH, epoch);
  }

  ioDriver(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_IO_DRIVER];
  }

  setIoDriver(worker: number, driver: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_IO_DRIVER] = driver;
  }

  loopDelayMaxUs(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_LOOP_DELAY_MAX_US];
  }

  setLoopDelayMaxUs(worker: number, us: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_LOOP_DELAY_MAX_US] = us;
  }

  /** Since the worker's first start; unsigned. */
  tlsHandshakes(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_TLS_HANDSHAKES] >>> 0;
  }

  tlsFailures(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_TLS_FAILURES] >>> 0;
  }

  setTlsHandshakes(worker: number, done: number, failed: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_TLS_HANDSHAKES] = done;
    this.#cells[worker * ROW_CELLS + WORKER_TLS_FAILURES] = failed;
  }

  busyUs(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_BUSY_US_F64];
  }

  setBusyUs(worker: number, us: number): void {
    this.#floats[worker * ROW_F64_CELLS + WORKER_BUSY_US_F64] = us;
  }

  turns(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_TURNS_F64];
  }

  setTurns(worker: number, count: number): void {
    this.#floats[worker * ROW_F64_CELLS + WORKER_TURNS_F64] = count;
  }

  /** What the kernel told the worker: bytes, clients, sends that ended. */
  ioEvents(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_IO_EVENTS_F64];
  }

  setIoEvents(worker: number, count: number): void {
    this.#floats[worker * ROW_F64_CELLS + WORKER_IO_EVENTS_F64] = count;
  }

  /** Since the worker's first start. */
  queryCacheHits(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_HITS_F64];
  }

  queryCacheMisses(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_MISSES_F64];
  }

  queryCacheEvictions(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_EVICTIONS_F64];
  }

  /** Shapes it knows. */
  queryCacheSize(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_SIZE_F64];
  }

  queryCacheBytes(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_BYTES_F64];
  }

  setQueryCache(worker: number, hits: number, misses: number, evictions: number): void {
    const row = worker * ROW_F64_CELLS;
    this.#floats[row + WORKER_QUERY_CACHE_HITS_F64] = hits;
    this.#floats[row + WORKER_QUERY_CACHE_MISSES_F64] = misses;
    this.#floats[row + WORKER_QUERY_CACHE_EVICTIONS_F64] = evictions;
  }

  setQueryCacheSize(worker: number, count: number, bytes: number): void {
    this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_SIZE_F64] = count;
    this.#floats[worker * ROW_F64_CELLS + WORKER_QUERY_CACHE_BYTES_F64] = bytes;
  }

  /** Where the worker's mapping for the kernel starts; 0 = none. Below 2^47, hence exact in a float. */
  kernelMemoryAddress(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_KERNEL_MEMORY_ADDRESS_F64];
  }

  kernelMemoryBytes(worker: number): number {
    return this.#floats[worker * ROW_F64_CELLS + WORKER_KERNEL_MEMORY_BYTES_F64];
  }

  /**
   * The worker notes what it mapped, and (0, 0) before it unmaps it itself: what is noted here when its task
   * has ended is unmapped by the supervisor.
   */
  setKernelMemory(worker: number, address: number, bytes: number): void {
    this.#floats[worker * ROW_F64_CELLS + WORKER_KERNEL_MEMORY_ADDRESS_F64] = address;
    this.#floats[worker * ROW_F64_CELLS + WORKER_KERNEL_MEMORY_BYTES_F64] = bytes;
  }

  restarts(worker: number): number {
    return this.#cells[worker * ROW_CELLS + WORKER_RESTARTS];
  }

  /** Supervisor only. */
  countRestart(worker: number): void {
    this.#cells[worker * ROW_CELLS + WORKER_RESTARTS] += 1;
  }

  /** Supervisor only, after a crash: what the dead thread said of itself no longer holds. Restarts, busy time and turns go on counting. */
  clearWorker(worker: number): void {
    const row = worker * ROW_CELLS;
    this.#cells[row + WORKER_CLIENTS] = 0;
    this.#cells[row + WORKER_SPREAD_CLIENTS] = 0;
    this.#cells[row + WORKER_EPOCH] = 0;
    this.#cells[row + WORKER_SETTLED_EPOCH] = 0;
    this.#cells[row + WORKER_LOOP_DELAY_MAX_US] = 0;
    this.setQueryCacheSize(worker, 0, 0);
  }
}
