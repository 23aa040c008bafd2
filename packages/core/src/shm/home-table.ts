import { HOME_SLOTS, HOMES_FIRST_SLOT, HOMES_NEXT } from './layout.js';

/**
 * The first home worker of small pools, by the hash of a pool's name. Given out in turn as pools are first asked for,
 * so that those in use are spread evenly over the workers, which no function of the name or number could promise: it
 * does not know which of them are used. A slot never changes again. Two names may share one: they share a home.
 */
export class HomeTable {
  readonly #cells: Int32Array;
  readonly #workers: number;

  constructor(buffer: SharedArrayBuffer, workers: number) {
    this.#cells = new Int32Array(buffer);
    this.#workers = workers;
  }

  /** The worker where the homes of the pool begin, which are `count` in a row. */
  first(hash: number, count: number): number {
    const slot = HOMES_FIRST_SLOT + (hash & (HOME_SLOTS - 1));
    const known = Atomics.load(this.#cells, slot);
    if (known !== 0) return known - 1;
    const next = (Atomics.load(this.#cells, HOMES_NEXT) >>> 0) % this.#workers;
    // Whoever is first decides for all. Two pools that begin at the same instant may get the same home: no harm done.
    const other = Atomics.compareExchange(this.#cells, slot, 0, next + 1);
    if (other !== 0) return other - 1;
    // Kept below the number of workers: 2^32 is no multiple of it.
    Atomics.store(this.#cells, HOMES_NEXT, (next + count) % this.#workers);
    return next;
  }

  /** Slots given out, for SHOW. */
  inUse(): number {
    return this.#cells.subarray(HOMES_FIRST_SLOT).filter((home) => home !== 0).length;
  }
}

/** Of a pool, or of one that a look-up may make. */
export function hashOfNames(database: string, user: string): number {
  return mixed(mixed(mixed(0x811c9dc5, database), '\0'), user);
}

/** FNV-1a. */
function mixed(hash: number, text: string): number {
  let mixing = hash;
  for (let index = 0; index < text.length; index++) {
    mixing = Math.imul(mixing ^ text.charCodeAt(index), 0x01000193);
  }
  return mixing;
}
