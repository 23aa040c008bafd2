import { createHmac, randomBytes } from 'node:crypto';
import type { ScramVerifier } from '@pgdog-cluster/core';

/** More than that many users with passwords in clear are derived anew at each reload, the oldest first. */
const ENTRIES_MAX = 200_000;
/** Of this process: what is kept tells nobody a password. */
const KEY = randomBytes(32);

/**
 * Verifiers that were derived from passwords in clear. Deriving one takes a millisecond of CPU, and thousands of users stay
 * the same from one reload to the next; their salts stay too, so that nobody learns from them that there was a reload.
 */
export class KnownVerifiers {
  readonly #known = new Map<string, ScramVerifier>();

  get(user: string, password: string): ScramVerifier | null {
    const key = tagOf(user, password);
    const verifier = this.#known.get(key);
    if (verifier === undefined) return null;
    // Used again: the last to go.
    this.#known.delete(key);
    this.#known.set(key, verifier);
    return verifier;
  }

  set(user: string, password: string, verifier: ScramVerifier): void {
    this.#known.set(tagOf(user, password), verifier);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= ENTRIES_MAX) break;
      this.#known.delete(oldest);
    }
  }
}

function tagOf(user: string, password: string): string {
  return createHmac('sha256', KEY).update(`${user.length} ${user}${password}`).digest('base64');
}
