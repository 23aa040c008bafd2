/*
 * ● A keyed hash of 128 bits: two HalfSipHash-1-3 states of 64 bits with independent keys, side by side. The keys are
 * drawn once per thread and nobody sees a hash, so that nobody can make two texts share one on purpose; by chance
 * a billion texts do so with odds of one in 10^20.
 */
import { randomFillSync } from 'node:crypto';

/** k0, k1 of the first state, then of the second. */
const KEYS = new Int32Array(4);
randomFillSync(KEYS);

const LONG_CONSTANT = 0x6c796765;
const LONG_CONSTANT_2 = 0x74656462;

/** The hash of the last call. */
export const hashWords = new Int32Array(4);
/** Both states between the parts of a hash: v0 to v3 of the first, then of the second. */
const state = new Int32Array(8);

function begin(): void {
  for (let lane = 0; lane < 2; lane++) {
    const k0 = KEYS[lane * 2];
    const k1 = KEYS[lane * 2 + 1];
    state[lane * 4] = k0;
    state[lane * 4 + 1] = k1 ^ 0xee;
    state[lane * 4 + 2] = k0 ^ LONG_CONSTANT;
    state[lane * 4 + 3] = k1 ^ LONG_CONSTANT_2;
  }
}

/** One state takes words[0, count), then a word that tells the length and the kind, and is finished. */
function absorb(lane: number, words: Int32Array, count: number, last: number): void {
  let v0 = state[lane];
  let v1 = state[lane + 1];
  let v2 = state[lane + 2];
  let v3 = state[lane + 3];
  // Three further rounds finish the hash: they take no word.
  for (let i = 0; i <= count + 3; i++) {
    const word = i < count ? words[i] : i === count ? last : 0;
    if (i === count + 1) v2 ^= 0xee;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  hashWords[lane >> 1] = v1 ^ v3;
  hashWords[(lane >> 1) + 1] = v0 ^ v2;
}

/**
 * Hashes words[0, count) into `hashWords`.
 * @param last the length in bytes and whatever else must keep two hashes apart
 */
export function hashOfWords(words: Int32Array, count: number, last: number): void {
  begin();
  absorb(0, words, count, last);
  absorb(4, words, count, last);
}
