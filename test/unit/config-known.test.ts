/** A configuration that is read again is what it is when it is read for the first time, whatever of it was known. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KnownConfig, type LoadedConfig, Secret } from '@pgdog-cluster/core/config';
import { RandomConfig, readRandom } from '../support/random-config.js';

/** Secrets in clear, so that they are compared too. */
function revealed(value: unknown): unknown {
  if (value instanceof Secret) return `secret ${value.reveal()}`;
  if (Array.isArray(value)) return value.map(revealed);
  if (value instanceof Map) return revealed([...value]);
  if (value instanceof Set) return revealed([...value]);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revealed(one)]));
}

const isLoaded = (result: LoadedConfig | string[]): result is LoadedConfig => !Array.isArray(result);

const STEPS = 250;

describe('read again', () => {
  test('random edits: the same values, or the same problems in the same places', () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    console.log(`seed ${seed}`);
    const config = new RandomConfig(seed);
    const known = new KnownConfig();
    let before: LoadedConfig | null = null;
    const seen = { good: 0, bad: 0, warned: 0, kept: 0, fresh: 0 };
    for (let step = 0; step < STEPS; step++) {
      const texts = config.texts();
      const whole = readRandom(texts);
      const again = readRandom(texts, known);
      assert.deepEqual(revealed(again), revealed(whole), `SEED=${seed} step ${step}`);
      if (isLoaded(again)) {
        seen.good++;
        if (again.warnings.length > 0) seen.warned++;
        const old = new Set<object>([...(before?.databases ?? []), ...(before?.users ?? [])]);
        for (const entry of [...again.databases, ...again.users]) seen[old.has(entry) ? 'kept' : 'fresh']++;
        before = again;
      } else seen.bad++;
      config.edit();
    }
    const told = JSON.stringify(seen);
    assert.ok(seen.good > 10 && seen.bad > 10 && seen.kept > 100, `SEED=${seed}: ${told}`);
  });
});
