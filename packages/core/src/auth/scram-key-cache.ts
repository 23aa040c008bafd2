import { assert } from '../base/assert.js';
import { deriveScramKeys, encodeBase64, type ScramKeys } from './scram-keys.js';

/**
 * Keys by (password, salt, iterations), so that a burst of server connects pays PBKDF2 once. Bounded; the
 * least recently used go first. One per worker. Private fields: it prints as empty, whoever logs it.
 */
export class ScramKeyCache {
  readonly #keys = new Map<string, ScramKeys>();
  readonly #entriesMax: number;

  constructor(entriesMax = 1024) {
    assert(entriesMax > 0, 'a cache holds something');
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Blocks for PBKDF2 on a miss. */
  keysFor(password: string, salt: Uint8Array, iterations: number): ScramKeys {
    // Digits and base64 hold no colon, so the password, which may, stands last.
    const entry = `${iterations}:${encodeBase64(salt)}:${password}`;
    const known = this.#keys.get(entry);
    const keys = known ?? deriveScramKeys(password, salt, iterations);
    // Taken out and put back: a Map remembers the order of insertion.
    this.#keys.delete(entry);
    this.#keys.set(entry, keys);
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= this.#entriesMax) break;
      this.#keys.delete(oldest);
    }
    return keys;
  }
}
