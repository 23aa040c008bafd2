/** Seeded chance with the words the chaos clients use. One per client, so that a seed replays each client. */
import { SeededRandom } from '@pgdog-cluster/core';

export class Chance {
  readonly seed: number;
  #random: SeededRandom;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#random = new SeededRandom(this.seed);
  }

  /** Whole number in min..max, both included. */
  between(min: number, max: number): number {
    return min + this.#random.below(max - min + 1);
  }

  /** True in `percent` of 100 cases. */
  is(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }

  /** Index of one of the weights, by weight; weights are whole numbers. */
  weighted(weights: readonly number[]): number {
    let rest = this.#random.below(weights.reduce((sum, weight) => sum + weight, 0));
    for (let index = 0; index < weights.length; index++) {
      rest -= weights[index] ?? 0;
      if (rest < 0) return index;
    }
    return weights.length - 1;
  }

  bytes(count: number): Buffer {
    return Buffer.from(this.#random.bytes(count));
  }

  /** A seed for a child, independent of how much the parent draws later. */
  fork(index: number): Chance {
    return new Chance(Math.imul(this.seed ^ 0x5bd1e995, 0x2c1b3c6d) + Math.imul(index + 1, 0x9e3779b1));
  }
}
