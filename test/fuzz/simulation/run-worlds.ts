import assert from 'node:assert/strict';
import type { SqlParser } from '@pgdog-cluster/core';
import { caseSeed, FuzzRandom } from '../fuzz-random.js';
import { SimWorld, type WorldOptions } from './sim-world.js';

export interface WorldsOptions {
  seed: number;
  isLying: boolean;
  milliseconds: number;
  parser: SqlParser;
}

export function worldOf(seed: number, isLying: boolean): WorldOptions {
  const random = new FuzzRandom(seed);
  return {
    seed: random.next(),
    authType: random.pick(['trust', 'trust', 'trust', 'md5', 'scram']),
    poolerMode: random.pick(['transaction', 'transaction', 'transaction', 'session', 'statement']),
    honest: 2,
    hostile: 1 + random.below(6),
    exchanges: 1 + random.below(8),
    lieOneIn: isLying ? random.pick([2, 5, 20, 60]) : 0,
  };
}

/** Worlds one after another until the time is over. Returns how many; throws at the first that fails. */
export async function runWorlds({ seed, isLying, milliseconds, parser }: WorldsOptions): Promise<number> {
  const endMs = performance.now() + milliseconds;
  let count = 0;
  while (performance.now() < endMs) {
    const options = worldOf(caseSeed(seed, count), isLying);
    try {
      await new SimWorld(options, parser).run();
    } catch (cause) {
      const { message } = cause as Error;
      throw new Error(`world ${count} of seed ${seed}: ${message}\n${JSON.stringify(options)}`, { cause });
    }
    count++;
  }
  if (milliseconds > 5000) assert.ok(count > 3, `only ${count} worlds`);
  return count;
}
