import { assert } from '../base/assert.js';
import { IDS_PER_MS, type UniqueIdTerms, uniqueId } from '../base/unique-id.js';
import { IDS_CLOCK, IDS_LAST } from './layout.js';

/** A ms times this, and the number of an id within it. Not less than the most that any form has. */
const PER_MS = 4096n;
/** How far ids may run ahead of the clock when more are made than a ms has. */
const AHEAD_MS_MAX = 1000n;

/**
 * The last id of this proxy. Time is the machine's monotonic clock, with the time of day at which it began: setting the
 * time of day back while the proxy runs repeats nothing. A proxy begins as far ahead as the one before it may
 * have been when it ended.
 */
export class IdTable {
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** Supervisor only, once, before there are workers. */
  start(epochMs: number, monotonicMs: number): void {
    const clock = BigInt(Math.floor(epochMs - monotonicMs));
    Atomics.store(this.#cells, IDS_CLOCK, clock);
    const firstMs = clock + BigInt(Math.floor(monotonicMs)) + AHEAD_MS_MAX + 1n;
    Atomics.store(this.#cells, IDS_LAST, firstMs * PER_MS - 1n);
  }

  /** @returns null: more are asked for than the clock gives, or it is out of range */
  next(monotonicMs: number, terms: UniqueIdTerms): bigint | null {
    const nowMs = Atomics.load(this.#cells, IDS_CLOCK) + BigInt(Math.floor(monotonicMs));
    const perMs = BigInt(IDS_PER_MS[terms.form]);
    assert(perMs <= PER_MS, 'every id of a ms has a number in the cell');
    for (;;) {
      const last = Atomics.load(this.#cells, IDS_LAST);
      const next = after(last, nowMs * PER_MS, perMs);
      if (next / PER_MS > nowMs + AHEAD_MS_MAX) return null;
      // Whoever was faster has this one: the next is tried.
      if (Atomics.compareExchange(this.#cells, IDS_LAST, last, next) !== last) continue;
      return uniqueId(next / PER_MS, next % PER_MS, terms);
    }
  }
}

function after(last: bigint, now: bigint, perMs: bigint): bigint {
  if (now > last) return now;
  const next = last + 1n;
  return next % PER_MS < perMs ? next : (last / PER_MS + 1n) * PER_MS;
}
