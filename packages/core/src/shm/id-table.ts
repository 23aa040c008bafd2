import { assert } from '../base/assert.js';
import { IDS_PER_MS, NODE_MAX, type UniqueIdTerms, uniqueId } from '../base/unique-id.js';
import { IDS_CLOCK, IDS_LAST, IDS_LIMIT, IDS_NODE, IDS_ROW_CELLS } from './layout.js';

/** A ms times this, and the number of an id within it. Not less than the most that any form has. */
const PER_MS = 4096n;
/** How far ids may run ahead of the clock when more are made than a ms has. */
const AHEAD_MS_MAX = 1000n;
/** Of this proxy, by its own clock: of databases with one shard. */
const OWN_ROW = 0;

/** What a claimed number may be used for. */
export interface IdLease {
  readonly node: number;
  /** Epoch ms of the server that keeps the claim, when this proxy was known to have it. */
  readonly serverMs: number;
  /** When that answer came. */
  readonly monotonicMs: number;
  /** Ids are of a ms before serverMs and this. */
  readonly leaseMs: number;
}

/**
 * The last ids of this proxy, by row. Time is the machine's monotonic clock, with the time of day at which it began: setting
 * the time of day back while the proxy runs repeats nothing. Row 0 has the time of day of this machine; a proxy begins as far
 * ahead as the one before it may have been when it ended. The others have that of the server where a number is claimed
 * (docs/internals/made-values.md).
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
    for (;;) {
      const last = Atomics.load(this.#cells, IDS_LAST);
      const next = after(last, nowMs, terms);
      if (next / PER_MS > nowMs + AHEAD_MS_MAX) return null;
      // Whoever was faster has this one: the next is tried.
      if (this.#take(OWN_ROW, last, next)) return uniqueId(next / PER_MS, next % PER_MS, terms);
    }
  }

  /**
   * By a number that is claimed.
   * @returns 'unclaimed': no number is known to be this proxy's for so long; null: the clock is out of range
   */
  nextClaimed(row: number, monotonicMs: number, terms: UniqueIdTerms): bigint | null | 'unclaimed' {
    assert(row > OWN_ROW, 'row 0 is of no claim');
    const at = row * IDS_ROW_CELLS;
    for (;;) {
      // In this order: whoever changes the number sets the limit to 0 before, and `last` between it and the new limit.
      const last = Atomics.load(this.#cells, at + IDS_LAST);
      const node = Number(Atomics.load(this.#cells, at + IDS_NODE));
      const limitMs = Atomics.load(this.#cells, at + IDS_LIMIT);
      const nowMs = Atomics.load(this.#cells, at + IDS_CLOCK) + BigInt(Math.floor(monotonicMs));
      const next = after(last, nowMs, terms);
      if (next / PER_MS >= limitMs || node > NODE_MAX[terms.form]) return 'unclaimed';
      if (this.#take(row, last, next)) return uniqueId(next / PER_MS, next % PER_MS, { ...terms, node });
    }
  }

  /**
   * Supervisor only. A number has just been claimed: whoever had it before may have made ids of any ms that his last lease
   * had, by the same server's clock, so these begin behind it. None are made until the lease is renewed.
   */
  claim(row: number, { node, serverMs, monotonicMs, leaseMs }: IdLease): void {
    const at = row * IDS_ROW_CELLS;
    Atomics.store(this.#cells, at + IDS_LIMIT, 0n);
    Atomics.store(this.#cells, at + IDS_NODE, BigInt(node));
    Atomics.store(this.#cells, at + IDS_CLOCK, BigInt(Math.floor(serverMs - monotonicMs)));
    const first = BigInt(Math.ceil(serverMs + leaseMs)) * PER_MS;
    for (;;) {
      const last = Atomics.load(this.#cells, at + IDS_LAST);
      // Changed in any case: who has read it before cannot take an id by it.
      const next = first - 1n > last ? first - 1n : last + 1n;
      if (this.#take(row, last, next)) return;
    }
  }

  /** Supervisor only: it is still ours. @returns whether ids can be made; false: they have run ahead of the server's clock */
  renew(row: number, { serverMs, monotonicMs, leaseMs }: IdLease): boolean {
    const at = row * IDS_ROW_CELLS;
    const limitMs = BigInt(Math.floor(serverMs + leaseMs));
    Atomics.store(this.#cells, at + IDS_CLOCK, BigInt(Math.floor(serverMs - monotonicMs)));
    Atomics.store(this.#cells, at + IDS_LIMIT, limitMs);
    return (Atomics.load(this.#cells, at + IDS_LAST) + 1n) / PER_MS < limitMs;
  }

  /** Supervisor only: nothing is claimed any more, or another number is to be. */
  revoke(row: number): void {
    Atomics.store(this.#cells, row * IDS_ROW_CELLS + IDS_LIMIT, 0n);
  }

  #take(row: number, last: bigint, next: bigint): boolean {
    return Atomics.compareExchange(this.#cells, row * IDS_ROW_CELLS + IDS_LAST, last, next) === last;
  }
}

function after(last: bigint, nowMs: bigint, { form }: UniqueIdTerms): bigint {
  const perMs = BigInt(IDS_PER_MS[form]);
  assert(perMs <= PER_MS, 'every id of a ms has a number in the cell');
  const now = nowMs * PER_MS;
  if (now > last) return now;
  const next = last + 1n;
  return next % PER_MS < perMs ? next : (last / PER_MS + 1n) * PER_MS;
}
