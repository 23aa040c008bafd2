import {
  type Clock,
  COUNTER_NAMES,
  COUNTER_ROW_CELLS,
  type ConfigSnapshot,
  type SharedMemory,
  systemClock,
} from '@pgdog-cluster/core';

/** All counters at one moment. */
interface Sample {
  atMs: number;
  /** By pool index: the counter row summed over workers. Not of pools that have counted nothing, which may be thousands. */
  pools: Map<number, number[]>;
  /** By worker. */
  busyUs: number[];
}

export interface PoolChange {
  seconds: number;
  /** Growth of each counter, in the order of the counter row. */
  counters: number[];
}

/**
 * The counters at the start and the end of the last full stats_period, from which the avg_* columns come.
 * Until the first period is over: from the start of the program to now.
 */
export class StatsWindow {
  readonly #memory: SharedMemory;
  readonly #config: () => ConfigSnapshot;
  readonly #clock: Clock;
  #first: Sample;
  /** null before the first period has passed. */
  #last: Sample | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(memory: SharedMemory, config: () => ConfigSnapshot, clock: Clock = systemClock) {
    this.#memory = memory;
    this.#config = config;
    this.#clock = clock;
    this.#first = this.#sample();
  }

  /** Samples every stats_period; the period is read anew each time, so that a reload takes effect. Idempotent. */
  start(): void {
    if (this.#timer !== null) return;
    const again = (): void => {
      this.#timer = setTimeout(() => {
        this.endPeriod();
        again();
      }, this.#config().general.statsPeriodMs);
      this.#timer.unref();
    };
    again();
  }

  /** Idempotent. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Called by the timer: what was the end becomes the start of the next period. */
  endPeriod(): void {
    if (this.#last !== null) this.#first = this.#last;
    this.#last = this.#sample();
  }

  poolChange(pool: number): PoolChange {
    const before = this.#first.pools.get(pool);
    // In the first period of the one pool only: a scrape asks for every one of them.
    const after = this.#last === null ? this.#memory.counters.sum(pool) : this.#last.pools.get(pool);
    const counters = after ?? new Array(COUNTER_ROW_CELLS).fill(0);
    const grown =
      before === undefined ? counters : counters.map((value, cell) => Math.max(0, value - before[cell]));
    return {
      seconds: ((this.#last?.atMs ?? this.#clock.nowMs()) - this.#first.atMs) / 1000,
      counters: grown,
    };
  }

  /** Share of one CPU that the worker was busy, 0 to 100. */
  busyPercent(worker: number): number {
    const last = this.#last ?? { atMs: this.#clock.nowMs(), busyUs: this.#busyUs() };
    const tookUs = (last.atMs - this.#first.atMs) * 1000;
    const grown = last.busyUs[worker] - this.#first.busyUs[worker];
    // A restarted worker counts from 0 again.
    const busyUs = grown >= 0 ? grown : last.busyUs[worker];
    return tookUs <= 0 ? 0 : Math.min(100, (100 * busyUs) / tookUs);
  }

  #sample(): Sample {
    const { counters } = this.#memory;
    const pools = new Map<number, number[]>();
    for (const { index } of this.#config().pools) {
      if (!counters.isZero(index)) pools.set(index, counters.sum(index));
    }
    return { atMs: this.#clock.nowMs(), pools, busyUs: this.#busyUs() };
  }

  #busyUs(): number[] {
    const { workers, handles } = this.#memory;
    return Array.from({ length: handles.dimensions.workers }, (_, worker) => workers.busyUs(worker));
  }
}

/** A counter's place in a row, by name. */
export function counterIndex(name: (typeof COUNTER_NAMES)[number]): number {
  return COUNTER_NAMES.indexOf(name);
}
