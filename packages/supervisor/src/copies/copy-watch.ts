import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { CatalogState } from '../catalog/catalog-watch.js';
import type { Logger } from '../log/logger.js';
import { type CopyRow, compareCopies } from './compare-copies.js';
import type { CopyReader } from './copy-reader.js';

export interface CopyWatchOptions {
  logger: Logger;
  /** Of all databases with several shards, as they are known now. */
  catalogs: () => readonly CatalogState[];
  /** Rejects with why it cannot be asked. */
  open: (database: string, shard: number) => Promise<CopyReader>;
  pauseMs?: number;
}

/** A table of SHOW OMNI_DRIFT. `row` null: why the database was not looked at. */
export interface DriftRow {
  database: string;
  row: CopyRow | null;
  reason: string;
}

/** Of the last look at a database. */
export interface DriftFigures {
  database: string;
  /** Tables whose copies differ. */
  differing: number;
}

/** setTimeout takes no more. */
const INTERVAL_MS_MAX = 0x7fff_ffff;

/** Compares the copies of tables that every shard has whole: now and then, and when asked. */
export class CopyWatch {
  readonly #options: CopyWatchOptions;
  readonly #figures = new Map<string, DriftFigures>();
  /** `database.schema.name` of those that have been told of. */
  readonly #said = new Set<string>();
  readonly #readers = new Set<CopyReader>();
  #last: Promise<unknown> = Promise.resolve();
  /** Asked for, and not begun yet. */
  #next: Promise<DriftRow[]> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: CopyWatchOptions) {
    this.#options = options;
  }

  /** First after one interval: at the start others have more to do. */
  takeUp({ sharding, general }: Pick<LoadedConfig, 'sharding' | 'general'>): void {
    clearTimeout(this.#timer);
    for (const name of this.#figures.keys()) if (!sharding.has(name)) this.#figures.delete(name);
    const intervalMs = Math.min(general.omnisharded_check_interval, INTERVAL_MS_MAX);
    if (this.#isClosed || intervalMs === 0 || sharding.size === 0) return;
    this.#timer = setTimeout(() => void this.#round({ sharding, general }), intervalMs).unref();
  }

  async #round(loaded: Pick<LoadedConfig, 'sharding' | 'general'>): Promise<void> {
    try {
      await this.rows();
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#options.logger.log('error', 'internal', 'copies could not be compared', { reason });
    }
    this.takeUp(loaded);
  }

  get figures(): readonly DriftFigures[] {
    return [...this.#figures.values()];
  }

  /** As it is now: a look that is under way may have passed what has changed since. One at a time. */
  rows(): Promise<DriftRow[]> {
    this.#next ??= this.#last.then(() => {
      this.#next = null;
      const look = this.#look();
      this.#last = look.catch(() => {});
      return look;
    });
    return this.#next;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const reader of this.#readers) void reader.close();
  }

  async #look(): Promise<DriftRow[]> {
    const found = await Promise.all(this.#options.catalogs().map((state) => this.#lookAt(state)));
    return found.flat();
  }

  async #lookAt({ database, sharding: { shardCount }, data, error }: CatalogState): Promise<DriftRow[]> {
    if (data === null) return [{ database, row: null, reason: error ?? 'its tables have not been read yet' }];
    const { pauseMs } = this.#options;
    const rows = await compareCopies({
      relations: data.relations,
      shardCount,
      open: (shard) => this.#open(database, shard),
      ...(pauseMs === undefined ? {} : { pauseMs }),
    });
    if (!this.#isClosed) for (const row of rows) this.#note(database, row);
    const differing = rows.filter(({ state }) => state === 'differs').length;
    this.#figures.set(database, { database, differing });
    return rows.map((row) => ({ database, row, reason: row.reason }));
  }

  async #open(database: string, shard: number): Promise<CopyReader> {
    const reader = await this.#options.open(database, shard);
    const tracked: CopyReader = {
      summary: (schema, name) => reader.summary(schema, name),
      close: () => {
        this.#readers.delete(tracked);
        return reader.close();
      },
    };
    this.#readers.add(tracked);
    if (this.#isClosed) void tracked.close();
    return tracked;
  }

  /** Once when it begins to differ, once when it does no more. */
  #note(database: string, { schema, name, state, copies }: CopyRow): void {
    const key = `${database}.${schema}.${name}`;
    const table = `"${database}": ${schema}.${name}`;
    const fields = { database, schema, table: name };
    if (state === 'differs' && !this.#said.has(key)) {
      this.#said.add(key);
      const counts = copies.map((copy, shard) => `${copy?.rows ?? '?'} rows on shard ${shard}`).join(', ');
      const text = `${table} is not the same on all shards: ${counts}`;
      this.#options.logger.log('warn', 'omni_drift', text, fields);
    } else if (state === 'same' && this.#said.delete(key)) {
      this.#options.logger.log('info', 'omni_drift', `${table} is the same on all shards again`, fields);
    }
  }
}
