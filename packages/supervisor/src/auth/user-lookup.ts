import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { Secret } from '@pgdog-cluster/core/config';
import type { Logger } from '../log/logger.js';
import { AuthQuery } from './auth-query.js';

/** What auth_query said about a user. */
export interface LookedUpSecret {
  /** Null: no such user, or it could not be found out. */
  secret: Secret | null;
  askedMs: number;
  freshUntilMs: number;
}

/** Asks about users who are not configured, remembers the answers for a while, and asks each question once at a time. */
export class UserLookup {
  readonly #logger: Logger;
  readonly #answers = new Map<string, LookedUpSecret>();
  readonly #asked = new Map<string, Promise<LookedUpSecret>>();
  #queries = new Map<string, AuthQuery>();
  #loaded: LoadedConfig;

  constructor(loaded: LoadedConfig, logger: Logger) {
    this.#loaded = loaded;
    this.#logger = logger;
  }

  /** Another configuration: nothing that was learned under the old one counts. */
  takeUp(loaded: LoadedConfig): void {
    this.close();
    this.#loaded = loaded;
    this.#queries = new Map();
    this.#answers.clear();
    this.#asked.clear();
  }

  /** Never rejects. An answer older than `ageMsMax` is asked for again, unless it says that there is nobody. */
  async find(database: string, user: string, ageMsMax: number): Promise<LookedUpSecret> {
    const key = `${database}\0${user}`;
    const nowMs = Date.now();
    const known = this.#answers.get(key);
    if (known !== undefined && nowMs < known.freshUntilMs && nowMs - known.askedMs <= ageMsMax) return known;
    const underWay = this.#asked.get(key);
    if (underWay !== undefined) return underWay;
    const answer = this.#ask(database, user);
    this.#asked.set(key, answer);
    const found = await answer;
    if (this.#asked.get(key) === answer) {
      this.#asked.delete(key);
      this.#remember(key, found);
    }
    return found;
  }

  close(): void {
    for (const query of this.#queries.values()) query.close();
  }

  async #ask(database: string, user: string): Promise<LookedUpSecret> {
    const { general } = this.#loaded;
    let text: string | null = null;
    try {
      text = (await this.#queryOf(database)?.ask(user)) ?? null;
    } catch (error) {
      // The text may be the server's, which knows no secret of ours; the name is the client's.
      const message = error instanceof Error ? error.message : String(error);
      this.#logger.log('warn', 'auth_query_failed', `auth_query failed: ${message}`, { database, user });
    }
    const askedMs = Date.now();
    const ttlMs = text === null ? general.auth_query_failure_ttl : general.auth_query_cache_ttl;
    return { secret: text === null ? null : new Secret(text), askedMs, freshUntilMs: askedMs + ttlMs };
  }

  #queryOf(name: string): AuthQuery | null {
    const known = this.#queries.get(name);
    if (known !== undefined) return known;
    const { databases, general } = this.#loaded;
    const wanted = databases.find((database) => database.name === name)?.authQuery ?? null;
    const target = databases.find((database) => database.name === wanted?.database);
    if (wanted === null || target === undefined) return null;
    const query = new AuthQuery({
      database: target,
      query: wanted,
      connectTimeoutMs: general.connect_timeout,
    });
    this.#queries.set(name, query);
    return query;
  }

  #remember(key: string, found: LookedUpSecret): void {
    this.#answers.delete(key);
    this.#answers.set(key, found);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= this.#loaded.general.auth_query_cache_size) break;
      this.#answers.delete(oldest);
    }
  }
}
