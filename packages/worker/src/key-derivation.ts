import { pbkdf2 } from 'node:crypto';
import { SCRAM_KEY_BYTES, ScramKeyCache, type ScramKeys, saslprep, scramKeysOf } from '@pgdog-cluster/core';

/** Derivations under way at once, of one worker: the rest of the CPU belongs to queries. */
const RUNNING_MAX = 2;

interface Request {
  name: string;
  password: string;
  salt: Uint8Array;
  iterations: number;
  /** Everybody who wants these keys. */
  wanted: Wanted[];
}

interface Wanted {
  /** Whether somebody still waits: a client that left costs nothing. */
  isWanted: () => boolean;
  done: (keys: ScramKeys) => void;
}

/**
 * PBKDF2 beside the loop: on Node's thread pool, a few at a time, each question once. Node delivers results when the
 * loop lets it run, which it does at every turn while `isPending`; deliver() then hands them out inside a turn.
 */
export class KeyDerivation {
  private readonly cache = new ScramKeyCache();
  private readonly requests = new Map<string, Request>();
  private readonly queue: Request[] = [];
  private readonly results: { request: Request; keys: ScramKeys }[] = [];
  private running = 0;

  /** Something runs whose end Node has to tell. */
  get isPending(): boolean {
    return this.running > 0;
  }

  get hasResults(): boolean {
    return this.results.length > 0;
  }

  /** Keys derived before, if they were kept. */
  known(password: string, salt: Uint8Array, iterations: number): ScramKeys | undefined {
    return this.cache.get(this.cache.nameOf(password, salt, iterations));
  }

  /** Remembers keys that turned out to be right: what strangers try must not push those out. */
  keep(password: string, salt: Uint8Array, iterations: number, keys: ScramKeys): void {
    this.cache.put(this.cache.nameOf(password, salt, iterations), keys);
  }

  /** Calls `done` in a later turn, unless nobody wants it any more. */
  derive(
    password: string,
    salt: Uint8Array,
    iterations: number,
    isWanted: () => boolean,
    done: (keys: ScramKeys) => void,
  ): void {
    const name = this.cache.nameOf(password, salt, iterations);
    const asked = this.requests.get(name);
    if (asked !== undefined) {
      asked.wanted.push({ isWanted, done });
      return;
    }
    const request = { name, password, salt, iterations, wanted: [{ isWanted, done }] };
    this.requests.set(name, request);
    this.queue.push(request);
    this.start();
  }

  /** Hands out what has come. */
  deliver(): void {
    for (const { request, keys } of this.results.splice(0)) {
      this.requests.delete(request.name);
      for (const { isWanted, done } of request.wanted) if (isWanted()) done(keys);
    }
    this.start();
  }

  private start(): void {
    while (this.running < RUNNING_MAX) {
      const request = this.queue.shift();
      if (request === undefined) return;
      if (!request.wanted.some(({ isWanted }) => isWanted())) {
        this.requests.delete(request.name);
        continue;
      }
      this.running++;
      this.run(request);
    }
  }

  private run(request: Request): void {
    const { password, salt, iterations } = request;
    pbkdf2(saslprep(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256', (error, salted) => {
      this.running--;
      // Only for arguments that no caller can pass; then nobody gets keys, and logins time out.
      if (error === null) this.results.push({ request, keys: scramKeysOf(salted) });
      else this.requests.delete(request.name);
      this.start();
    });
  }
}
