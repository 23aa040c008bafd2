import { SeededRandom } from '@pgdog-cluster/core';

/** Sizes at which readers change their mind: buffers, limits, what fits into a word. */
const EDGE_LENGTHS = [
  0, 1, 2, 3, 4, 5, 8, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 4096, 10_000, 10_004, 16_383, 16_384,
  16_385,
];
/** Numbers that break arithmetic on lengths and counts. */
const EDGE_NUMBERS = [
  0, 1, 2, 3, 4, 5, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3fffffff, 0x40000000,
  0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];

/** Choices of one case; everything a case does follows from its seed. */
export class FuzzRandom extends SeededRandom {
  /** True once in `limit` times. */
  oneIn(limit: number): boolean {
    return this.below(limit) === 0;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new RangeError('nothing to pick from');
    return chosen;
  }

  /** Often an edge, else small. */
  size(limit = 20_000): number {
    const size = this.oneIn(3) ? this.pick(EDGE_LENGTHS) : this.below(40);
    return Math.min(size, limit);
  }

  word(): number {
    return this.oneIn(4) ? this.next() : this.pick(EDGE_NUMBERS);
  }

  buffer(count: number): Buffer {
    return Buffer.from(this.bytes(count));
  }

  /** Cuts into pieces, single bytes among them; together they are `bytes`. */
  pieces(bytes: Buffer): Buffer[] {
    const parts: Buffer[] = [];
    const isFine = this.oneIn(4);
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + 1 + this.below(isFine ? 3 : this.oneIn(3) ? 20_000 : 60));
      parts.push(bytes.subarray(at, end));
      at = end;
    }
    return parts;
  }
}

/** Seed of case `index` of a run: cases can be replayed alone. */
export function caseSeed(seed: number, index: number): number {
  return new SeededRandom((seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0).next();
}
