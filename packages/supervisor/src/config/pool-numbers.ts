import type { SharedMemory } from '@pgdog-cluster/core';

interface Held {
  index: number;
  /** Epoch from which on it is not configured; 0 = it is. */
  retiredEpoch: number;
}

export interface PoolNumbersOptions {
  memory: Pick<SharedMemory, 'capacity' | 'counters' | 'load' | 'workers' | 'handles'>;
  /** Nobody has the pool of that number any more: what else is kept of it can go. */
  onFree: (index: number) => void;
}

/**
 * The row of each pool in shared memory, by what the pool is: database, user, shard, host and port. A pool keeps its number
 * over every reload, its counters and claims with it. The number of one that is gone is given to another only when every
 * worker has left it, and with cleared rows. See docs/internals/reload.md.
 */
export class PoolNumbers {
  readonly #options: PoolNumbersOptions;
  readonly #held = new Map<string, Held>();
  /** Freed ones, used before new ones. */
  readonly #free: number[] = [];
  #next = 0;

  constructor(options: PoolNumbersOptions) {
    this.#options = options;
  }

  get poolsMax(): number {
    return this.#options.memory.handles.dimensions.poolsMax;
  }

  /** Those in use, and those that some worker has not left yet. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** Of one database's pools, or all: those in use, and those that some worker has not left yet. */
  indexesOf(database: string | null): number[] {
    const held = [...this.#held];
    const own = database === null ? held : held.filter(([key]) => key.startsWith(`${database}\0`));
    return own.map(([, { index }]) => index);
  }

  /** Of a pool that is, or is about to be, configured; null: there is no room for another one. */
  obtain(key: string): number | null {
    const known = this.#held.get(key);
    if (known !== undefined) {
      known.retiredEpoch = 0;
      return known.index;
    }
    const index = this.#free.pop() ?? (this.#next < this.poolsMax ? this.#next++ : null);
    if (index !== null) this.#held.set(key, { index, retiredEpoch: 0 });
    return index;
  }

  /** A snapshot with these pools has been published: all others are gone by it. */
  retain(inForce: ReadonlySet<number>, epoch: number): void {
    for (const held of this.#held.values()) {
      if (inForce.has(held.index)) held.retiredEpoch = 0;
      else if (held.retiredEpoch === 0) held.retiredEpoch = epoch;
    }
  }

  /** Numbers that no worker uses any more become free. Before numbers are given out. */
  reclaim(): void {
    const { memory, onFree } = this.#options;
    const { workers, capacity, counters, load, handles } = memory;
    let settledEpoch = Number.POSITIVE_INFINITY;
    for (let worker = 0; worker < handles.dimensions.workers; worker++) {
      // 0 while it starts: until it has taken up a snapshot it may know any of them.
      settledEpoch = Math.min(settledEpoch, workers.settledEpoch(worker));
    }
    for (const [key, { index, retiredEpoch }] of this.#held) {
      if (retiredEpoch === 0 || retiredEpoch > settledEpoch) continue;
      // One that is on its way between two workers is counted, and in neither's pool.
      if (capacity.claimed(index) > 0 || capacity.poolClients(index) > 0) continue;
      this.#held.delete(key);
      counters.clearPool(index);
      load.clearPool(index);
      onFree(index);
      this.#free.push(index);
    }
  }
}

/** No name holds a NUL, so that no two pools share a key. */
export function poolKeyOf(
  { name, shard, host, port }: { name: string; shard: number; host: string; port: number },
  user: string,
): string {
  return `${name}\0${user}\0${shard}\0${host}\0${port}`;
}

/** Keys of entries that are there twice differ by their order. */
export class DistinctKeys {
  readonly #counts = new Map<string, number>();

  of(key: string): string {
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return count === 0 ? key : `${key}\0${count}`;
  }
}
