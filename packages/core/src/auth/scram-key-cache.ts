import { createHmac, randomBytes } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { ScramKeys } from './scram-keys.js';

/**
 * Keys by (password, salt, iterations), so that a burst of connects pays PBKDF2 once. Bounded; the least
 * recently used go first. One per worker. The entries' names are hashes under a secret of their own, so that no
 * password lies in here. Private fields: it prints as empty, whoever logs it.
 */
export class ScramKeyCache {
  readonly #keys = new Map<string, ScramKeys>();
  readonly #entriesMax: number;
  readonly #secret = randomBytes(32);

  constructor(entriesMax = 1024) {
    assert(entriesMax > 0, 'a cache holds something');
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Names what a derivation would give; equal for equal terms. */
  nameOf(password: string, salt: Uint8Array, iterations: number): string {
    const terms = createHmac('sha256', this.#secret).update(`${iterations}:${salt.length}:`).update(salt);
    return terms.update(password).digest('base64');
  }

  get(name: string): ScramKeys | undefined {
    const keys = this.#keys.get(name);
    if (keys === undefined) return undefined;
    // Taken out and put back: a Map remembers the order of insertion.
    this.#keys.delete(name);
    this.#keys.set(name, keys);
    return keys;
  }

  put(name: string, keys: ScramKeys): void {
    this.#keys.set(name, keys);
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= this.#entriesMax) break;
      this.#keys.delete(oldest);
    }
  }
}
