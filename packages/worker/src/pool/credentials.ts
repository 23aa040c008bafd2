import type { PoolSnapshot, ProvenKeys, ScramKeys, ScramTerms } from '@pgdog-cluster/core';

/**
 * What a pool can show its server: passwords, md5 hashes, and keys that clients have proven to know. Private fields: it
 * prints as empty. Proven keys stay in this worker's memory and are never handed on: another worker learns them from
 * its own clients, and gets server connections lent until then.
 */
export class Credentials {
  #snapshot: PoolSnapshot;
  /** At most one per verifier of the snapshot. */
  #proven: ProvenKeys[] = [];
  /** Sent in clear by a client, for a user of whom only a hash is known. */
  #learnedPassword: string | null = null;
  /** The password to begin with: the one that worked last. */
  #preferred = 0;
  /** Passwords refused since one worked last. */
  readonly #refused = new Set<number>();

  constructor(snapshot: PoolSnapshot) {
    this.#snapshot = snapshot;
  }

  takeUp(snapshot: PoolSnapshot): void {
    const isSameSecret = hasSameHashes(this.#snapshot, snapshot);
    this.#snapshot = snapshot;
    this.#proven = this.#proven.filter(({ verifier }) => this.#isConfigured(verifier.storedKey));
    // Other addresses, or an order, are no reason to forget what a client has shown.
    if (!isSameSecret) this.#learnedPassword = null;
    this.#preferred = 0;
    this.#refused.clear();
  }

  /** A client has logged in. What of it serves towards the server is kept. */
  learn(keys: ProvenKeys | null, password: string | null): void {
    const { serverPasswords, serverMd5Hashes, serverVerifiers } = this.#snapshot;
    // Not in place of one that is configured; keys count beside it, for it may be a former one, good for the time of grace.
    const isHashOnly = serverPasswords.length === 0 && serverMd5Hashes.length + serverVerifiers.length > 0;
    if (password !== null && isHashOnly) {
      this.#learnedPassword = password;
    }
    if (keys === null || !this.#isConfigured(keys.verifier.storedKey)) return;
    this.#proven = this.#proven.filter(
      ({ verifier }) => !isSame(verifier.storedKey, keys.verifier.storedKey),
    );
    this.#proven.push(keys);
  }

  /** Nothing can be shown before a client has logged in here. */
  get isWaitingForProof(): boolean {
    const { serverPasswords, serverMd5Hashes, serverVerifiers } = this.#snapshot;
    const hasOther = serverPasswords.length > 0 || serverMd5Hashes.length > 0;
    return !hasOther && serverVerifiers.length > 0 && this.#proven.length === 0;
  }

  /** Number of the password a new connection should begin with. */
  get preferred(): number {
    return this.#preferred;
  }

  password(number: number): string | null {
    return this.#snapshot.serverPasswords[number] ?? this.#learnedPassword;
  }

  get md5Hash(): string | null {
    return this.#snapshot.serverMd5Hashes[0] ?? null;
  }

  /** Keys for a server that has the very verifier which a client has proven; null for any other. */
  keysFor({ salt, iterations }: ScramTerms): ScramKeys | null {
    const fitting = this.#proven.find(
      ({ verifier }) => verifier.iterations === iterations && isSame(verifier.salt, salt),
    );
    if (fitting === undefined) return null;
    const { storedKey, serverKey } = fitting.verifier;
    return { clientKey: fitting.clientKey, storedKey, serverKey };
  }

  worked(number: number): void {
    this.#preferred = number;
    this.#refused.clear();
  }

  /** The server refused that password. True when there is another one to try; all refused, it begins anew. */
  tryNext(number: number): boolean {
    const count = this.#snapshot.serverPasswords.length;
    this.#refused.add(number);
    if (this.#refused.size >= count) {
      this.#refused.clear();
      return false;
    }
    // Several connects may be under way with the same one.
    if (number === this.#preferred) {
      do this.#preferred = (this.#preferred + 1) % count;
      while (this.#refused.has(this.#preferred));
    }
    return true;
  }

  #isConfigured(storedKey: Uint8Array): boolean {
    return this.#snapshot.serverVerifiers.some((verifier) => isSame(verifier.storedKey, storedKey));
  }
}

/** Of public things (salts) and of keys that come from one place: time tells nothing here. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function hasSameHashes(one: PoolSnapshot, other: PoolSnapshot): boolean {
  const [mine, theirs] = [one.serverVerifiers, other.serverVerifiers];
  const hasSameVerifiers =
    mine.length === theirs.length &&
    mine.every(({ storedKey }, place) => isSame(storedKey, theirs[place].storedKey));
  return hasSameVerifiers && one.serverMd5Hashes.join() === other.serverMd5Hashes.join();
}
