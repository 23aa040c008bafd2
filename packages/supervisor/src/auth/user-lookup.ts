import type { AuthQueryEntry, DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import { Secret } from '@pgdog-cluster/core/config';
import type { Logger } from '../log/logger.js';
import { AnswerCache } from './answer-cache.js';
import { AuthQuery, UnreachableError } from './auth-query.js';

/** What auth_query said about a user. */
export interface LookedUpSecret {
  /** Null: no such user, or it could not be found out. */
  secret: Secret | null;
  /** Nobody could be asked. */
  isUnreachable: boolean;
  askedMs: number;
  freshUntilMs: number;
}

/** Of which roles a user is a member. */
export interface LookedUpGroups {
  /** Null: it could not be found out. */
  groups: string[] | null;
  askedMs: number;
  freshUntilMs: number;
}

/** Asks about users who are not configured, remembers the answers for a while, and asks each question once at a time. */
export class UserLookup {
  readonly #logger: Logger;
  readonly #secrets = new AnswerCache<LookedUpSecret>();
  readonly #groups = new AnswerCache<LookedUpGroups>();
  readonly #inOrder: (hosts: readonly DatabaseEntry[]) => DatabaseEntry[];
  /** By the entry whose host is asked, and who asks. */
  #queries = new Map<DatabaseEntry, Map<string, AuthQuery>>();
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

  /** Another configuration: nothing that was learned under the old one counts. What is being asked fails, untold. */
  takeUp(loaded: LoadedConfig): void {
    this.close();
    this.#loaded = loaded;
    this.#queries = new Map();
    this.#secrets.clear();
    this.#groups.clear();
  }

  /** Never rejects. An answer older than `ageMsMax` is asked for again, unless it says that there is nobody. */
  async find(database: DatabaseEntry, user: string, ageMsMax: number): Promise<LookedUpSecret> {
    const { auth_query_cache_size: sizeMax } = this.#loaded.general;
    const key = `${scopeOf(database)}\0${user}`;
    return this.#secrets.find(key, ageMsMax, sizeMax, () => this.#ask(database, user));
  }

  /** Never rejects. Those of `names` of which the user is a member. */
  async groups(database: DatabaseEntry, user: string, names: readonly string[]): Promise<LookedUpGroups> {
    const { auth_query_cache_size: sizeMax } = this.#loaded.general;
    const key = [scopeOf(database), user, ...names].join('\0');
    return this.#groups.find(key, Number.POSITIVE_INFINITY, sizeMax, () =>
      this.#askGroups(database, user, names),
    );
  }

  close(): void {
    for (const ofHost of this.#queries.values()) for (const query of ofHost.values()) query.close();
  }

  async #ask(database: DatabaseEntry, user: string): Promise<LookedUpSecret> {
    const { general } = this.#loaded;
    const queries = this.#queries;
    let text: string | null = null;
    let unreachable: UnreachableError | null = null;
    try {
      text = await this.#askInTurn(database, (query) => query.ask(user));
    } catch (error) {
      // The text may be the server's, which knows no secret of ours; the name is the client's.
      const message = error instanceof Error ? error.message : String(error);
      const words = `auth_query failed: ${message}`;
      if (error instanceof UnreachableError) unreachable = error;
      if (queries === this.#queries)
        this.#logger.log('warn', 'auth_query_failed', words, { database: database.name, user });
    }
    const askedMs = Date.now();
    const ttlMs = text === null ? general.auth_query_failure_ttl : general.auth_query_cache_ttl;
    const secret = text === null ? null : new Secret(text);
    // Not one failure behind another: it may be there again when the first is over.
    const untilMs = Math.min(askedMs + ttlMs, unreachable?.untilMs || Number.POSITIVE_INFINITY);
    return { secret, isUnreachable: unreachable !== null, askedMs, freshUntilMs: untilMs };
  }

  async #askGroups(database: DatabaseEntry, user: string, names: readonly string[]): Promise<LookedUpGroups> {
    const { general } = this.#loaded;
    const queries = this.#queries;
    let groups: string[] | null = null;
    try {
      groups = await this.#askInTurn(database, (query) => query.groups(user, names));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const text = `the server was not able to say of which roles a user is a member: ${message}`;
      if (queries === this.#queries)
        this.#logger.log('warn', 'groups_failed', text, { database: database.name, user });
    }
    const askedMs = Date.now();
    const ttlMs = groups === null ? general.auth_query_failure_ttl : general.auth_query_cache_ttl;
    return { groups, askedMs, freshUntilMs: askedMs + ttlMs };
  }

  /** Host by host, until one answers. Null: there is nobody to ask. Rejects with the first failure that says something of the user, else the first. */
  async #askInTurn<T>(
    database: DatabaseEntry,
    question: (query: AuthQuery) => Promise<T>,
  ): Promise<T | null> {
    const failures: unknown[] = [];
    for (const query of this.#queriesOf(database)) {
      try {
        return await question(query);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw failures.find((error) => !(error instanceof UnreachableError)) ?? failures[0];
    return null;
  }

  #queriesOf(database: DatabaseEntry): AuthQuery[] {
    const { authQuery } = database;
    if (authQuery === null) return [];
    const targets = this.#loaded.databases.filter(({ name }) => name === authQuery.database);
    return this.#inOrder(targets).map((target) => this.#queryOf(scopeOf(database), target, authQuery));
  }

  #queryOf(name: string, database: DatabaseEntry, query: AuthQueryEntry): AuthQuery {
    const ofHost = this.#queries.get(database) ?? new Map<string, AuthQuery>();
    this.#queries.set(database, ofHost);
    const known = ofHost.get(name);
    if (known !== undefined) return known;
    const made = new AuthQuery({
      database,
      query,
      connectTimeoutMs: this.#loaded.general.connect_timeout,
    });
    ofHost.set(name, made);
    return made;
  }
}

/** All databases that are made of one pattern share the question, and so the answers. */
function scopeOf({ name, pattern }: DatabaseEntry): string {
  return pattern ?? name;
}
