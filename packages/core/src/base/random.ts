import { randomBytes, randomFillSync, randomInt } from 'node:crypto';
import { assert } from './assert.js';

/** Chance as an argument: a seed replays a whole run. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** Whole number in 0 <= n < limit; limit at most 2^32. */
  below(limit: number): number;
}

/** A call into OpenSSL costs a microsecond or two whatever it fetches, and a login needs three small amounts. */
const pool = new Uint8Array(4096);
let poolAt = pool.length;

/** From the pool; no byte is given out twice, and none stays behind in it. */
function pooledBytes(count: number): Uint8Array {
  if (count > pool.length) return new Uint8Array(randomBytes(count));
  if (poolAt + count > pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const bytes = pool.slice(poolAt, poolAt + count);
  pool.fill(0, poolAt, poolAt + count);
  poolAt += count;
  return bytes;
}

/** Unpredictable: for nonces, salts and cancel secrets. */
export const cryptoRandom: Random = {
  bytes: pooledBytes,
  below: (limit) => randomInt(limit),
};

/** Repeatable and fast (splitmix32). For tests, jitter and load; never for a secret. */
export class SeededRandom implements Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 32 random bits as an unsigned number. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  below(limit: number): number {
    assert(limit > 0 && limit <= 0x1_0000_0000, 'limit must be in 1..2^32');
    return Math.floor((this.next() / 0x1_0000_0000) * limit);
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index += 1) bytes[index] = this.next() & 0xff;
    return bytes;
  }
}
