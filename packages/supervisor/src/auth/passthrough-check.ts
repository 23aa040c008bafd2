import { timingSafeEqual } from 'node:crypto';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import { passwordTag } from '../config/user-secrets.js';
import { PeerError } from '../listen/unix-connect.js';
import type { Logger } from '../log/logger.js';
import { connectInternally } from './auth-query.js';

interface Accepted {
  tag: Uint8Array;
  untilMs: number;
}

/** Checks at one time; what comes beyond waits. A login costs the server a process. */
const RUNNING_MAX = 16;
const WAITING_MAX = 1_000;
/** SQLSTATE class of refused logins; anything else says nothing about the password. */
const REFUSED_CLASS = '28';

/** `missing`: it was asked for, and taken; there is no such database. `unknown`: no server could be asked. */
export type PassthroughVerdict = 'accepted' | 'refused' | 'unknown' | 'missing';
/** SQLSTATE invalid_catalog_name: servers say so after the password. */
const NO_DATABASE = '3D000';

/**
 * Does a server accept a client's own password? Found out by logging in with it. What was accepted is remembered as a
 * hash for auth_query_cache_ttl, so that a burst of logins asks once.
 */
export class PassthroughCheck {
  readonly #logger: Logger;
  readonly #accepted = new Map<string, Accepted>();
  readonly #waiting: (() => void)[] = [];
  readonly #inOrder: (hosts: readonly DatabaseEntry[]) => DatabaseEntry[];
  #running = 0;
  #loaded: LoadedConfig;

  constructor(
    loaded: LoadedConfig,
    logger: Logger,
    inOrder: (hosts: readonly DatabaseEntry[]) => DatabaseEntry[],
  ) {
    this.#inOrder = inOrder;
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
  async check(hosts: readonly DatabaseEntry[], user: string, password: string): Promise<PassthroughVerdict> {
    if (this.#waiting.length >= WAITING_MAX) return 'unknown';
    if (this.#running >= RUNNING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await this.#tryLogin(hosts, user, password);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #tryLogin(
    hosts: readonly DatabaseEntry[],
    user: string,
    password: string,
  ): Promise<PassthroughVerdict> {
    let verdict: PassthroughVerdict = 'unknown';
    // A host that says yes or no has settled it; one that cannot be asked has not. With the only one of a tenant there is
    // no order, and it gets no number just because somebody asks.
    const isOnly = hosts.length === 1 && hosts[0].pattern !== null;
    for (const host of isOnly ? hosts : this.#inOrder(hosts)) {
      verdict = await this.#tryHost(host, user, password);
      if (verdict !== 'unknown') break;
    }
    return verdict;
  }

  async #tryHost(database: DatabaseEntry, user: string, password: string): Promise<PassthroughVerdict> {
    const loaded = this.#loaded;
    const { general } = loaded;
    const { name } = database;
    let isAsked = false;
    const answer = (): string => {
      isAsked = true;
      return password;
    };
    try {
      const client = await connectInternally(database, user, answer, general.connect_timeout);
      await client.end().catch(() => {});
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === NO_DATABASE;
      if (isMissing && isAsked && database.pattern !== null) return 'missing';
      return this.#notAccepted(name, user, error);
    }
    if (!isAsked) {
      // Rules that trust this host (`trust`, `peer`, a certificate of ours) would let every client in as everybody.
      const text = 'refused: the server did not ask for the password, so it has not checked it';
      this.#logger.log('warn', 'passthrough_unchecked', text, { database: name, user });
      return 'refused';
    }
    // Of another configuration it says nothing.
    if (loaded === this.#loaded) this.#remember(`${name}\0${user}`, password);
    return 'accepted';
  }

  #notAccepted(database: string, user: string, error: unknown): PassthroughVerdict {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code.startsWith(REFUSED_CLASS)) return 'refused';
    // Never the server's message: libraries and servers quote what they were given.
    const reason = error instanceof PeerError ? error.message : code;
    const text = 'a password could not be checked at the server';
    this.#logger.log('warn', 'passthrough_failed', text, { database, user, reason });
    return 'unknown';
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
