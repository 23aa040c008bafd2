import { parseIp } from '../base/ip-address.js';
import { FAILURE_LINES, FAILURE_SEED, LINE_CELLS } from './layout.js';

/** One address may fail so many times as often as one user from it: several users share an address. */
export const FAILURES_PER_ADDRESS_FACTOR = 10;

const PAIRS_PER_LINE = LINE_CELLS / 2;
const ADDRESS_ONLY = '';
/** IPv6 clients own a /64 at least; single addresses of it mean nothing. */
const IPV6_BYTES_COUNTED = 8;

export interface FailureLimit {
  /** 0 = no limit. */
  failuresMax: number;
  windowMs: number;
}

/**
 * Failed logins per (address, user) and per address, over all workers, in a table of fixed size.
 *
 * Each entry is a tag (hash of what is counted, 0 = free) and a time: when all its failures will be forgotten, each
 * having added window / limit to it (a leaky bucket in one cell). An entry lives in one line found by its hash;
 * when all pairs of that line are in use, the one forgotten soonest makes room. So memory is bounded, a flood of
 * addresses can only push out other entries, and a login costs two short scans and no lock. Two workers that
 * count the same entry at the same moment may lose one failure; nothing depends on the exact number.
 *
 * Why by user too: behind one address (NAT) there may be many who did nothing. Somebody who guesses one user's password
 * is stopped for that user, and the address as a whole only at ten times as many failures.
 */
export class FailureTable {
  readonly #cells: Int32Array;
  /** Who asked last: each login asks twice, and many come from one application's host. */
  #address = '';
  #network: Uint8Array | null = null;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer);
  }

  /** Supervisor only, once: hashes that nobody outside can predict. */
  setSeed(seed: number): void {
    this.#cells[FAILURE_SEED] = seed | 0;
  }

  /** Must this login be refused unread? An address that is not numeric (a Unix socket) never is. */
  isBlocked(address: string, user: string, limit: FailureLimit, nowMs: number): boolean {
    if (limit.failuresMax === 0) return false;
    const network = this.#networkOf(address);
    if (network === null) return false;
    return (
      this.#isFull(this.#tag(network, user), limit.failuresMax, limit.windowMs, nowMs) ||
      this.#isFull(
        this.#tag(network, ADDRESS_ONLY),
        limit.failuresMax * FAILURES_PER_ADDRESS_FACTOR,
        limit.windowMs,
        nowMs,
      )
    );
  }

  noteFailure(address: string, user: string, limit: FailureLimit, nowMs: number): void {
    if (limit.failuresMax === 0) return;
    const network = this.#networkOf(address);
    if (network === null) return;
    this.#add(this.#tag(network, user), limit.windowMs / limit.failuresMax, limit.windowMs, nowMs);
    const addressMax = limit.failuresMax * FAILURES_PER_ADDRESS_FACTOR;
    this.#add(this.#tag(network, ADDRESS_ONLY), limit.windowMs / addressMax, limit.windowMs, nowMs);
  }

  /** Entries that still count something. Walks the table: for SHOW and tests. */
  inUse(nowMs: number): number {
    let count = 0;
    for (let pair = LINE_CELLS; pair < this.#cells.length; pair += 2) {
      if (this.#cells[pair] !== 0 && leftMs(this.#cells[pair + 1], nowMs) > 0) count += 1;
    }
    return count;
  }

  #networkOf(address: string): Uint8Array | null {
    if (address !== this.#address) {
      this.#network = parseIp(address);
      this.#address = address;
    }
    return this.#network;
  }

  #isFull(tag: number, failuresMax: number, windowMs: number, nowMs: number): boolean {
    const pair = this.#find(tag);
    if (pair === -1) return false;
    // Room for one more failure is room for one more attempt.
    return leftMs(Atomics.load(this.#cells, pair + 1), nowMs) > windowMs - windowMs / failuresMax;
  }

  #add(tag: number, costMs: number, windowMs: number, nowMs: number): void {
    let pair = this.#find(tag);
    if (pair === -1) pair = this.#claim(tag, nowMs);
    if (pair === -1) return;
    const left = Math.max(0, leftMs(Atomics.load(this.#cells, pair + 1), nowMs));
    Atomics.store(this.#cells, pair + 1, (nowMs + Math.min(windowMs, left + Math.ceil(costMs))) | 0);
  }

  #find(tag: number): number {
    const line = this.#lineOf(tag);
    for (let pair = line; pair < line + LINE_CELLS; pair += 2) {
      if (Atomics.load(this.#cells, pair) === tag) return pair;
    }
    return -1;
  }

  /** The pair forgotten soonest becomes this tag's; -1 when another worker was quicker. */
  #claim(tag: number, nowMs: number): number {
    const line = this.#lineOf(tag);
    let best = line;
    let bestLeft = Number.POSITIVE_INFINITY;
    for (let index = 0; index < PAIRS_PER_LINE; index += 1) {
      const pair = line + 2 * index;
      const left = this.#cells[pair] === 0 ? 0 : leftMs(this.#cells[pair + 1], nowMs);
      if (left < bestLeft) {
        best = pair;
        bestLeft = left;
      }
    }
    const before = Atomics.load(this.#cells, best);
    if (Atomics.compareExchange(this.#cells, best, before, tag) !== before) return -1;
    Atomics.store(this.#cells, best + 1, nowMs | 0);
    return best;
  }

  /** The first line holds the seed. */
  #lineOf(tag: number): number {
    return LINE_CELLS * (1 + ((tag >>> 7) % FAILURE_LINES));
  }

  /** Never 0. Mixed like MurmurHash3's 32-bit form, from a secret start. */
  #tag(network: Uint8Array, user: string): number {
    let hash = this.#cells[FAILURE_SEED];
    const bytes = network.length === 16 ? IPV6_BYTES_COUNTED : network.length;
    for (let index = 0; index < bytes; index += 1) hash = mix(hash, network[index]);
    hash = mix(hash, 0x100 + user.length);
    for (let index = 0; index < user.length; index += 1) hash = mix(hash, user.charCodeAt(index));
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) | 1;
  }
}

function mix(hash: number, value: number): number {
  const scrambled = Math.imul(value, 0xcc9e2d51);
  const turned = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  const joined = hash ^ turned;
  return (Math.imul((joined << 13) | (joined >>> 19), 5) + 0xe6546b64) | 0;
}

/** Times are the low 32 bits of epoch ms. */
function leftMs(untilMs: number, nowMs: number): number {
  return (untilMs - (nowMs | 0)) | 0;
}
