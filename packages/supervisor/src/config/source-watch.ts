import {
  type ConfigSourceSettings,
  type LoadedConfig,
  type SourceRows,
  sourcePlace,
} from '@pgdog-cluster/core/config';
import type { Logger } from '../log/logger.js';
import { besideConfig } from '../pid-file.js';
import { writeSourceCache } from './source-cache.js';
import { SourceConnection } from './source-connection.js';
import { readSourceTls } from './tls-files.js';

/** `polling`: connected, but nothing can be listened to. */
export type SourceState = 'connecting' | 'listening' | 'polling' | 'down';

/** For SHOW CONFIG_STATUS and metrics. */
export interface SourceFigures {
  /** `host:port/database` */
  place: string;
  state: SourceState;
  /** Epoch ms at which the rows in force were what the source had; 0 = never. */
  lastOkMs: number;
  databases: number;
  users: number;
  refreshCount: number;
  failedCount: number;
  /** Of the last attempt; empty when it went well. */
  error: string;
}

export interface SourceWatchOptions {
  logger: Pick<Logger, 'log'>;
  inForce: () => LoadedConfig;
  /** Rejects when these rows cannot be taken up; those in force stay then. */
  refresh: (rows: SourceRows) => Promise<void>;
  onFileRead: (path: string) => void;
  /** Injected by tests. */
  retryMs?: number;
}

/** Several notifications of one change are one. */
const QUIET_MS = 50;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** Rows that have not changed are written into the copy again after this long, for their age. */
const CACHE_PERIOD_MS = 60_000;
const ERROR_CHARS_MAX = 2_000;

/** Whether the server has refused what was asked, so that the connection is as good as before. */
function isAnswer(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error && 'severity' in cause && cause.severity === 'ERROR';
}

/** Keeps one connection to the source, reads it when it tells of changes, and has taken up what has changed. */
export class SourceWatch {
  readonly figures: SourceFigures;
  readonly #settings: ConfigSourceSettings;
  readonly #options: SourceWatchOptions;
  #connection: SourceConnection | null = null;
  #isClosed = false;
  /** There may be something new. */
  #isWanted = false;
  #lost: string | null = null;
  /** It was not listened to for that reason alone. */
  #isStandby = false;
  #wake: () => void = () => {};
  #failures = 0;
  #told = '';
  #cached = { digest: '', atMs: 0 };

  constructor(settings: ConfigSourceSettings, options: SourceWatchOptions) {
    this.#settings = settings;
    this.#options = options;
    const rows = options.inForce().layers.rows;
    const { databases, users } = rows?.counts ?? { databases: 0, users: 0 };
    const counts = { databases, users, refreshCount: 0, failedCount: 0 };
    const place = sourcePlace(settings);
    this.figures = { place, state: 'connecting', lastOkMs: rows?.atMs ?? 0, ...counts, error: '' };
  }

  start(): void {
    void this.#run();
  }

  /** Looks now, for somebody has asked. */
  hurry(): void {
    this.#isWanted = true;
    this.#wake();
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#serve();
      } catch (error) {
        if (this.#isClosed) return;
        this.figures.state = 'down';
        this.#fail(error);
      }
      const { retryMs = RETRY_MS } = this.#options;
      await this.#pause(Math.min(RETRY_MS_MAX, retryMs * 2 ** Math.min(10, this.#failures - 1)));
    }
  }

  /** Until the connection is lost, which it throws. */
  async #serve(): Promise<void> {
    const { configFile } = this.#options.inForce();
    const tls = readSourceTls(this.#settings, configFile, this.#options.onFileRead);
    const connection = await SourceConnection.open(this.#settings, tls);
    this.#connection = connection;
    this.#lost = null;
    connection.onLost((reason) => {
      this.#lost = reason;
      this.#wake();
    });
    connection.onNotification(() => this.hurry());
    try {
      if (this.#isClosed) return;
      await this.#listen(connection);
      while (!this.#isClosed) {
        this.#isWanted = false;
        const beginMs = performance.now();
        // It has been promoted. Before the look: what comes between the two is told.
        if (this.#isStandby && !(await connection.isStandby())) await this.#listen(connection);
        await this.#look(connection);
        const tookMs = performance.now() - beginMs;
        await this.#pause(this.#settings.refreshIntervalMs);
        if (this.#lost !== null) throw new Error(`the connection was lost: ${this.#lost}`);
        // Others of the same change are on their way; and who notifies all the time gets half of ours.
        const quietMs = Math.max(QUIET_MS, tookMs);
        if (this.#isWanted) await new Promise((resolve) => setTimeout(resolve, quietMs));
      }
    } finally {
      this.#connection = null;
      connection.close();
    }
  }

  async #listen(connection: SourceConnection): Promise<void> {
    const { channel, refreshIntervalMs } = this.#settings;
    this.figures.state = channel === '' ? 'polling' : 'listening';
    this.#isStandby = false;
    try {
      await connection.listen();
    } catch (error) {
      if (!isAnswer(error)) throw error;
      this.figures.state = 'polling';
      this.#isStandby = isInRecovery(error);
      const reason = error instanceof Error ? error.message : String(error);
      const text = `${this.figures.place} cannot be listened to (${reason}): it is read every ${refreshIntervalMs} ms`;
      this.#options.logger.log('warn', 'config_source_polling', text);
    }
  }

  /** Reads, and has taken up what is new. What the server or the configuration refuses waits for another occasion. */
  async #look(connection: SourceConnection): Promise<void> {
    try {
      const rows = await connection.read(Date.now());
      const inForce = this.#options.inForce().layers.rows;
      const isNew = inForce?.digest !== rows.digest || inForce.identity !== rows.identity;
      if (isNew) await this.#options.refresh(rows).catch(refused);
      if (!this.#isClosed) this.#succeed(rows);
    } catch (error) {
      if (this.#isClosed) return;
      if (!(error instanceof RowsRefused) && !isAnswer(error)) throw error;
      this.#fail(error);
    }
  }

  #succeed(rows: SourceRows): void {
    const { figures } = this;
    const { logger } = this.#options;
    if (this.#failures > 0) logger.log('info', 'config_source_back', `${figures.place} is read again`);
    this.#failures = 0;
    this.#told = '';
    Object.assign(figures, rows.counts, { lastOkMs: rows.atMs, error: '' });
    figures.refreshCount++;
    this.#cache(rows);
  }

  #cache(rows: SourceRows): void {
    const { cacheFile } = this.#settings;
    const isFresh = this.#cached.digest === rows.digest && rows.atMs - this.#cached.atMs < CACHE_PERIOD_MS;
    if (cacheFile === null || isFresh) return;
    this.#cached = { digest: rows.digest, atMs: rows.atMs };
    const path = besideConfig(cacheFile, this.#options.inForce());
    try {
      writeSourceCache(path, rows);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      const text = `cache_file ${path} cannot be written: ${code}; the next start needs the source`;
      this.#options.logger.log('warn', 'config_source_cache', text);
    }
  }

  #fail(error: unknown): void {
    const { figures } = this;
    this.#failures++;
    figures.failedCount++;
    figures.error = (error instanceof Error ? error.message : String(error)).slice(0, ERROR_CHARS_MAX);
    // Again and again it would be the same line.
    if (figures.error === this.#told) return;
    this.#told = figures.error;
    const text = `config_source ${figures.place}: what it said last stays in force: ${figures.error}`;
    this.#options.logger.log('error', 'config_source_failed', text);
  }

  /** Until there is something to do, or the time is over. */
  #pause(ms: number): Promise<void> {
    const isDue = this.#connection !== null && (this.#isWanted || this.#lost !== null);
    if (this.#isClosed || isDue) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }
}

/** read_only_sql_transaction: of LISTEN, on a server that is no primary. */
function isInRecovery(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '25006';
}

/** Its rows do not make a configuration. */
class RowsRefused extends Error {}

function refused(error: unknown): never {
  throw new RowsRefused(error instanceof Error ? error.message : String(error), { cause: error });
}
