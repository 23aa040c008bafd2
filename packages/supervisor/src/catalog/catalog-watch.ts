import { createHash } from 'node:crypto';
import {
  type CatalogReadMessage,
  type CatalogWantedMessage,
  placementDigest,
  type ShardCatalogData,
  type ShardingSnapshot,
} from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { Logger } from '../log/logger.js';
import { compareCatalogs, looseUniqueTexts, missingSetup, OWN_ROWS } from './compare-catalogs.js';
import type { RawCatalog } from './raw-catalog.js';
import { openShards, type ShardConnection } from './read-catalog.js';

export interface CatalogWatchOptions {
  logger: Logger;
  /** Rejects with the reason. */
  open: (database: string, shard: number) => Promise<ShardConnection>;
  /** Gives them to the workers, as they are when its turn comes; resolves when those have been told. */
  publish: (catalogs: () => readonly ShardCatalogData[]) => Promise<unknown>;
  /** To every worker but these. */
  tell: (message: CatalogReadMessage, except: ReadonlySet<number>) => void;
}

/** What is known of one database, for SHOW. */
export interface CatalogState {
  database: string;
  sharding: ShardingSnapshot;
  /** null: it has never been read. */
  data: ShardCatalogData | null;
  /** Why the last attempt failed; null: it did not. */
  error: string | null;
}

/** Until it has been read once, clients wait; and what differs now may be DDL on its way from shard to shard. */
const RETRY_MS = 1_000;
/** Then nothing hurries, unless somebody asks. */
const RETRY_LATER_MS = 30_000;
/** A client that asks for names that do not exist must not keep the servers busy. */
const UNKNOWN_PAUSE_MS = 200;
const DIFFERENCES_LOGGED_MAX = 10;
const INTERVAL_MS_MAX = 0x7fff_ffff;

type Configuration = Pick<LoadedConfig, 'sharding' | 'general' | 'databases'>;

class Watched implements CatalogState {
  readonly database: string;
  readonly sharding: ShardingSnapshot;
  /** Servers that may be a shard's primary. */
  readonly sources: string;
  data: ShardCatalogData | null = null;
  error: string | null = null;
  /** Of what was read and published last: of the servers' rows, and of what they say. */
  marks = '';
  digest = '';
  isReading = false;
  /** Since the reading before. */
  hasNewDifferences = false;
  /** Asked for while it was being read: it is read once more. */
  wanted: CatalogWantedMessage['reason'] | null = null;
  readonly lateAskers = new Set<number>();
  timer: NodeJS.Timeout | undefined;
  dueMs = Number.POSITIVE_INFINITY;
  endedMs = 0;

  constructor(database: string, sharding: ShardingSnapshot, sources: string) {
    this.database = database;
    this.sharding = sharding;
    this.sources = sources;
  }

  /** What was known under the configuration before, as far as it holds under this one. */
  inherit(before: Watched): void {
    if (placementDigest(this.sharding) !== placementDigest(before.sharding)) return;
    this.data = before.data;
    if (this.sources !== before.sources) return;
    this.marks = before.marks;
    this.digest = before.digest;
  }
}

/** Keeps what workers know of the tables of databases with several shards up to date. See docs/internals/sharding.md. */
export class CatalogWatch {
  readonly #options: CatalogWatchOptions;
  readonly #watched = new Map<string, Watched>();
  /** Of what was read last: workers tell one state from another by it, also from one before a reload. */
  #version = 0;
  #intervalMs = 0;
  #isClosed = false;

  constructor(options: CatalogWatchOptions) {
    this.#options = options;
  }

  /** Reads all of them at once, and from then on as the configuration says. What is known and still holds stays. */
  takeUp({ sharding, general, databases }: Configuration): void {
    const isPeriodic = general.load_schema !== 'off' && general.load_schema_interval <= INTERVAL_MS_MAX;
    this.#intervalMs = isPeriodic ? general.load_schema_interval : 0;
    const before = new Map(this.#watched);
    for (const { timer } of before.values()) clearTimeout(timer);
    this.#watched.clear();
    for (const [name, ofShards] of sharding) {
      const watched = new Watched(name, ofShards, sourcesOf(databases, name));
      const old = before.get(name);
      if (old !== undefined) watched.inherit(old);
      this.#watched.set(name, watched);
      this.#schedule(watched, 0);
      if (old !== undefined && watched.data !== null && old.sharding.commit !== ofShards.commit)
        this.#logSetup(watched, watched.data);
    }
    // Should one that is gone come back, nobody is to believe what was read before.
    const isGone = [...before.values()].some(
      ({ database, data }) => data !== null && !sharding.has(database),
    );
    if (isGone) void this.#publish().catch((error: Error) => this.#logUnpublished(error.message));
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#watched.values()) clearTimeout(timer);
  }

  /** A worker asks. Answered by `tell`, once a reading that begins now or later is over. */
  wanted({ database, reason, worker }: CatalogWantedMessage): void {
    const watched = this.#watched.get(database);
    if (watched === undefined) {
      this.#options.tell({ type: 'catalogRead', database, version: 0, error: 'it has one shard' }, new Set());
      return;
    }
    if (!watched.isReading) {
      this.#schedule(watched, pauseMs(watched, reason));
      return;
    }
    watched.lateAskers.add(worker);
    if (watched.wanted !== 'ddl') watched.wanted = reason;
  }

  /** RELOAD: all of them, now. */
  hurry(): void {
    for (const watched of this.#watched.values()) {
      if (watched.isReading) watched.wanted = 'ddl';
      else this.#schedule(watched, 0);
    }
  }

  get states(): readonly CatalogState[] {
    return [...this.#watched.values()];
  }

  #publish(): Promise<unknown> {
    return this.#options.publish(() => [...this.#watched.values()].flatMap(({ data }) => data ?? []));
  }

  /** Whichever is due first. */
  #schedule(watched: Watched, delayMs: number): void {
    const dueMs = Date.now() + delayMs;
    if (this.#isClosed || dueMs >= watched.dueMs) return;
    clearTimeout(watched.timer);
    watched.dueMs = dueMs;
    watched.timer = setTimeout(() => void this.#read(watched), delayMs).unref();
  }

  async #read(watched: Watched): Promise<void> {
    watched.dueMs = Number.POSITIVE_INFINITY;
    watched.isReading = true;
    const before = watched.error;
    watched.error = await this.#tryRead(watched).then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    watched.isReading = false;
    watched.endedMs = Date.now();
    if (this.#isClosed || this.#watched.get(watched.database) !== watched) return;
    this.#logChange(watched, before);
    const { database, data, error, wanted } = watched;
    const version = data?.version ?? 0;
    const message: CatalogReadMessage = { type: 'catalogRead', database, version };
    this.#options.tell(error === null ? message : { ...message, error }, new Set(watched.lateAskers));
    watched.lateAskers.clear();
    watched.wanted = null;
    const delayMs = wanted === null ? this.#nextMs(watched) : pauseMs(watched, wanted);
    if (delayMs > 0 || wanted !== null) this.#schedule(watched, delayMs);
  }

  /** 0: not until somebody asks. */
  #nextMs({ error, data, hasNewDifferences }: Watched): number {
    if (error !== null && data !== null) return this.#intervalMs || RETRY_LATER_MS;
    const isSoon = error !== null || hasNewDifferences;
    return isSoon ? Math.min(RETRY_MS, this.#intervalMs || RETRY_MS) : this.#intervalMs;
  }

  /** Publishes only what has changed. */
  async #tryRead(watched: Watched): Promise<void> {
    const { database, sharding } = watched;
    watched.hasNewDifferences = false;
    const opened = await openShards(sharding.shardCount, (shard) => this.#options.open(database, shard));
    try {
      // Taken before the rows: what changes in between is seen the next time.
      const marks = opened.map(({ mark }) => mark).join('\n');
      if (marks === watched.marks) return;
      await this.#take(watched, await Promise.all(opened.map((connection) => connection.read())));
      watched.marks = marks;
    } finally {
      await Promise.all(opened.map((connection) => connection.close()));
    }
  }

  async #take(watched: Watched, shards: readonly RawCatalog[]): Promise<void> {
    const { database, sharding } = watched;
    const digest = digestOf(shards);
    if (digest === watched.digest) return;
    const { unmatchedRules, ...content } = compareCatalogs(database, shards, sharding);
    const before = watched.data;
    // Until it is published it is not what these say.
    watched.marks = '';
    watched.digest = '';
    watched.data = { ...content, version: ++this.#version };
    try {
      await this.#publish();
    } catch (error) {
      watched.data = before;
      throw error;
    }
    watched.digest = digest;
    const texts = newDifferences(watched.data, before);
    watched.hasNewDifferences = texts.length > 0;
    this.#logDifferences(database, texts);
    this.#logLooseUniques(watched, watched.data, before);
    if (before === null) this.#logUnmatched(database, unmatchedRules);
    const isNews = before === null || missingSetup(before.differences) === null;
    if (isNews) this.#logSetup(watched, watched.data);
  }

  #logChange({ database, error, data }: Watched, before: string | null): void {
    if (error === before) return;
    const { logger } = this.#options;
    if (error === null) {
      logger.log('info', 'catalog_read', `the schema of "${database}" can be read again`, { database });
      return;
    }
    const effect = data === null ? 'its clients wait for it' : 'the one read before stays in force';
    const text = `the schema of "${database}" cannot be read, ${effect}: ${error}`;
    logger.log('warn', 'catalog_failed', text, { database, reason: error });
  }

  #logUnpublished(reason: string): void {
    const text = `what is known of schemas could not be given to the workers: ${reason}`;
    this.#options.logger.log('warn', 'catalog_failed', text, { reason });
  }

  #logDifferences(database: string, texts: readonly string[]): void {
    const log = (text: string): void =>
      this.#options.logger.log('warn', 'shards_differ', `"${database}": ${text}`, { database });
    for (const text of texts.slice(0, DIFFERENCES_LOGGED_MAX)) log(text);
    const more = texts.length - DIFFERENCES_LOGGED_MAX;
    if (more > 0) log(`${more} more differences between shards, see SHOW SHARDED_TABLES`);
  }

  /** Not where nothing is prepared anyway. */
  #logSetup({ database, sharding }: Watched, { canPrepare, differences }: ShardCatalogData): void {
    const lack = missingSetup(differences);
    if (lack === null || !canPrepare || sharding.commit === 'plain') return;
    this.#options.logger.log('warn', 'setup_missing', `"${database}": ${lack}`, { database });
  }

  #logLooseUniques(
    { database, sharding }: Watched,
    now: ShardCatalogData,
    before: ShardCatalogData | null,
  ): void {
    const known = before === null ? [] : looseUniqueTexts(before, sharding);
    for (const text of looseUniqueTexts(now, sharding)) {
      if (known.includes(text)) continue;
      this.#options.logger.log('warn', 'unique_without_key', `"${database}": ${text}`, { database });
    }
  }

  #logUnmatched(database: string, tables: readonly string[]): void {
    for (const table of tables) {
      const text = `"${database}": there is no table ${table}, which [[sharded_tables]] has a rule for`;
      this.#options.logger.log('warn', 'rule_unmatched', text, { database, table });
    }
  }
}

function sourcesOf(databases: Configuration['databases'], name: string): string {
  const own = databases.filter((entry) => entry.name === name && entry.role !== 'replica');
  return JSON.stringify(
    own.map(({ shard, host, port, serverDatabase }) => [shard, host, port, serverDatabase]),
  );
}

function newDifferences({ differences }: ShardCatalogData, before: ShardCatalogData | null): string[] {
  const known = new Set(before?.differences.map(differenceText));
  const toMend = differences.filter(({ text }) => text !== OWN_ROWS);
  return toMend.map(differenceText).filter((text) => !known.has(text));
}

/** From now. */
function pauseMs({ endedMs }: Watched, reason: CatalogWantedMessage['reason']): number {
  return reason === 'ddl' ? 0 : Math.max(0, endedMs + UNKNOWN_PAUSE_MS - Date.now());
}

function digestOf(shards: readonly RawCatalog[]): string {
  const hash = createHash('sha256');
  for (const shard of shards) hash.update(JSON.stringify(shard)).update('\0');
  return hash.digest('base64');
}

/** `public.orders: missing on shard 2`. */
export function differenceText({ schema, name, text }: ShardCatalogData['differences'][number]): string {
  const what = [schema, name].filter((part) => part !== '').join('.');
  return `${what}: ${text}`;
}
