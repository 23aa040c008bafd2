import { timingSafeEqual } from 'node:crypto';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { passwordTag } from '../config/user-secrets.js';
import type { Logger } from '../log/logger.js';
import { internalConnection } from './auth-query.js';

interface Accepted {
  tag: Uint8Array;
  untilMs: number;
}

/** Checks at one time; what comes beyond waits. A login costs the server a process. */
const RUNNING_MAX = 16;
const WAITING_MAX = 1_000;
/** SQLSTATE class of refused logins; anything else says nothing about the password. */
const REFUSED_CLASS = '28';

export type PassthroughVerdict = 'accepted' | 'refused' | 'unknown';

/**
 * Does a server accept a client's own password? Found out by logging in with it. What was accepted is remembered as a
 * hash for auth_query_cache_ttl, so that a burst of logins asks once.
 */
export class PassthroughCheck {
  readonly #logger: Logger;
  readonly #accepted = new Map<string, Accepted>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #loaded: LoadedConfig;

  constructor(loaded: LoadedConfig, logger: Logger) {
    this.#loaded = loaded;
    this.#logger = logger;
  }

  takeUp(loaded: LoadedConfig): void {
    this.#loaded = loaded;
    this.#accepted.clear();
  }

  /** Epoch ms until which the password counts as accepted; 0 when it does not. */
  acceptedUntilMs(database: string, user: string, password: string): number {
    const known = this.#accepted.get(`${database}\0${user}`);
    if (known === undefined || Date.now() >= known.untilMs) return 0;
    return timingSafeEqual(known.tag, passwordTag(password)) ? known.untilMs : 0;
  }

  /** Never rejects. */
  async check(database: string, user: string, password: string): Promise<PassthroughVerdict> {
    if (this.#waiting.length >= WAITING_MAX) return 'unknown';
    if (this.#running >= RUNNING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await this.#tryLogin(database, user, password);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #tryLogin(name: string, user: string, password: string): Promise<PassthroughVerdict> {
    const { databases, general } = this.#loaded;
    const database = databases.find((entry) => entry.name === name);
    if (database === undefined) return 'refused';
    const { default: pg } = await import('pg');
    const client = new pg.Client(internalConnection(database, user, password, general.connect_timeout));
    client.on('error', () => {});
    try {
      await client.connect();
      this.#remember(`${name}\0${user}`, password);
      return 'accepted';
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (code.startsWith(REFUSED_CLASS)) return 'refused';
      // Neither message nor password: libraries quote what they were given.
      this.#logger.log('warn', 'passthrough_failed', 'a password could not be checked at the server', {
        database: name,
        user,
        reason: code,
      });
      return 'unknown';
    } finally {
      await client.end().catch(() => {});
    }
  }

  #remember(key: string, password: string): void {
    const { auth_query_cache_ttl: ttlMs, auth_query_cache_size: sizeMax } = this.#loaded.general;
    this.#accepted.delete(key);
    this.#accepted.set(key, { tag: passwordTag(password), untilMs: Date.now() + ttlMs });
    for (const oldest of this.#accepted.keys()) {
      if (this.#accepted.size <= sizeMax) break;
      this.#accepted.delete(oldest);
    }
  }
}
