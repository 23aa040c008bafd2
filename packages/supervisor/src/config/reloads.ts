import { PgDogError } from '@pgdog-cluster/core';
import {
  type ChangeLayers,
  ConfigurationError,
  formatProblem,
  type LoadedConfig,
  type SourceRows,
  withSetting,
} from '@pgdog-cluster/core/config';
import type { Logger } from '../log/logger.js';
import { besideConfig } from '../pid-file.js';
import { type ConfigChange, describeChanges, diffConfig } from './config-diff.js';
import type { DraftFile } from './draft-file.js';
import { FormerPasswords } from './password-grace.js';
import { draftPersistFile, keepPersistFile } from './persist-file.js';
import { type ChangeOrder, planChange, refused } from './plan-change.js';
import type { Publication } from './publication.js';
import { describePending, keepRestartOnly, type PendingSetting } from './restart-only.js';

/** The last attempt to take up the configuration. */
export interface ReloadStatus {
  /** Epoch ms when it began. */
  atMs: number;
  tookMs: number;
  /** `start`, `RELOAD by admin`, `SIGHUP`, `file watch`… */
  trigger: string;
  isOk: boolean;
  /** Every problem, with file and line; empty when it went well. */
  error: string;
  changes: readonly ConfigChange[];
  /** Settings whose value in the files waits for a restart. */
  pending: readonly PendingSetting[];
  /** In force since. */
  epoch: number;
}

export interface ReloadFigures {
  okCount: number;
  failedCount: number;
  /** Epoch ms; the start counts. */
  lastOkMs: number;
}

export interface ReloadsOptions {
  /** Reads everything again, with changes by orders that are in no file. @throws ConfigurationError */
  load: (unpersisted: ChangeLayers['unpersisted']) => LoadedConfig | Promise<LoadedConfig>;
  publication: Pick<Publication, 'publish' | 'tls'>;
  logger: Logger;
  nowMs?: () => number;
  /** Told when an attempt begins to read, and how it ended. */
  watch?: { begin(): void; end(isOk: boolean): void; wrote(path: string): void };
  /** It was taken up because somebody asked. @param isWhole files too, not only an order or rows of the source */
  onReloaded: (isWhole: boolean) => void;
}

/** Timers take no longer delays. */
const DELAY_MS_MAX = 0x7fff_ffff;
/** Longest text of an error that is kept and logged. */
const ERROR_CHARS_MAX = 4000;
/** Former passwords that could not be taken back are tried again after this long. */
const EXPIRE_RETRY_MS = 60_000;

/**
 * Reads the whole configuration again and takes it up, or leaves everything as it is and says why. One at a time; who asks
 * while one runs shares the next, which begins after his question.
 */
export class Reloads {
  readonly #options: ReloadsOptions;
  readonly #nowMs: () => number;
  #former = new FormerPasswords();
  #timer: NodeJS.Timeout | undefined;
  /** As the program was started. */
  readonly #running: LoadedConfig;
  /** As the files say it, without what a restart must change and without former passwords. */
  #plain: LoadedConfig;
  #current: Promise<void> = Promise.resolve();
  #next: { trigger: string; done: Promise<void> } | null = null;
  #isClosed = false;
  status: ReloadStatus;
  readonly figures: ReloadFigures = { okCount: 0, failedCount: 0, lastOkMs: 0 };

  constructor(options: ReloadsOptions, started: LoadedConfig) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#running = started;
    this.#plain = started;
    const atMs = this.#nowMs();
    this.figures.lastOkMs = atMs;
    const nothing = { error: '', changes: [], pending: [] };
    this.status = { atMs, tookMs: 0, trigger: 'start', isOk: true, epoch: 1, ...nothing };
  }

  /** @throws PgDogError `reload_failed` with every problem; nothing has changed then. */
  reload(trigger: string): Promise<void> {
    if (this.#next !== null) {
      this.#next.trigger = trigger;
      return this.#next.done;
    }
    const next = { trigger, done: Promise.resolve() };
    next.done = this.#current.then(() => {
      this.#next = null;
      return this.#isClosed ? undefined : this.#reloadNow(next.trigger);
    });
    this.#next = next;
    this.#current = next.done.catch(() => {});
    return next.done;
  }

  /**
   * SET: one setting, until the next reload. Behind a reload under way.
   * @throws PgDogError for what is not changed so, or cannot be taken up; nothing has changed then.
   */
  set(name: string, text: string): Promise<void> {
    const done = this.#current.then(async () => {
      if (this.#isClosed) throw new PgDogError('order_refused', 'pooler is shutting down');
      try {
        await this.#publish(withSetting(this.#plain, name, text), this.#nowMs());
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        throw new PgDogError('configuration', error.problems.map(formatProblem).join('; '), { cause: error });
      }
      this.#options.logger.log('info', 'setting_changed', `${name} = ${text}, until the next reload`, {
        name,
      });
    });
    this.#current = done.catch(() => {});
    return done;
  }

  /** Changes by orders, as they are in force. */
  get layers(): ChangeLayers {
    return this.#plain.layers;
  }

  /**
   * ADD, ALTER, DROP and what belongs to them: with the files as they were read last, and what was SET.
   * Resolves with what changed, in words.
   * @throws PgDogError; nothing has changed then, unless it says so.
   */
  change(order: ChangeOrder): Promise<string> {
    return this.#inTurn(() => this.#changeNow(order));
  }

  /**
   * Rows that [config_source] has now: likewise.
   * @throws PgDogError; nothing has changed then.
   */
  async refresh(rows: SourceRows): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#plain;
      const { persisted, unpersisted, again } = before.layers;
      // Another source by now: its rows come by themselves.
      if (before.configSource?.identity !== rows.identity || again === undefined) return;
      let after: LoadedConfig;
      try {
        after = again(persisted, unpersisted, rows);
      } catch (error) {
        throw refused(error);
      }
      await this.#adopt(after, 'config_source');
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#current.then(() => {
      if (this.#isClosed) throw new PgDogError('order_refused', 'pooler is shutting down');
      return work();
    });
    this.#current = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Nothing is taken up from now on. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #reloadNow(trigger: string): Promise<void> {
    const { publication, logger, onReloaded, watch } = this.#options;
    const atMs = this.#nowMs();
    watch?.begin();
    let read: ReturnType<typeof keepRestartOnly>;
    let epoch: number;
    const before = this.#plain;
    try {
      read = keepRestartOnly(await this.#options.load(before.layers.unpersisted), this.#running);
      epoch = await this.#publish(read.loaded, atMs);
      watch?.end(true);
    } catch (error) {
      watch?.end(false);
      throw this.#failed(error, trigger, atMs);
    }
    const { loaded, pending } = read;
    const changes = diffConfig(before, loaded);
    const tookMs = this.#nowMs() - atMs;
    this.status = { atMs, tookMs, trigger, isOk: true, error: '', changes, pending, epoch };
    this.figures.okCount++;
    this.figures.lastOkMs = atMs;
    const { certificates } = publication.tls;
    const text = `configuration reloaded (${trigger}): ${describeChanges(changes)}`;
    logger.log('info', 'reloaded', text, { epoch, ms: tookMs, certificates: certificates.length });
    for (const warning of loaded.warnings) logger.log('warn', 'configuration', formatProblem(warning));
    for (const setting of pending) logger.log('warn', 'restart_needed', describePending(setting));
    onReloaded(true);
  }

  async #changeNow(order: ChangeOrder): Promise<string> {
    const planned = planChange(this.#plain, order);
    const { draft, path } = draftOf(this.#plain, planned);
    const what = order.type === 'change' ? order.change.source : order.type;
    const changes = await this.#adopt(planned, what).catch((error: unknown) => {
      draft?.discard();
      throw error;
    });
    const isNew = ({ source }: { source: string }) =>
      order.type === 'change' && source === order.change.source;
    for (const warning of planned.warnings.filter(isNew)) {
      this.#options.logger.log('warn', 'configuration', formatProblem(warning));
    }
    if (draft !== null) keepPersistFile(draft);
    if (path !== null) this.#options.watch?.wrote(path);
    return changes;
  }

  /** Takes up what was assembled of the files as they were read last. What was SET stays. Resolves with what changed. */
  async #adopt(planned: LoadedConfig, what: string): Promise<string> {
    const before = this.#plain;
    const { loaded } = keepRestartOnly(planned, this.#running);
    const after = { ...loaded, general: before.general };
    try {
      await this.#publish(after, this.#nowMs());
    } catch (error) {
      throw refused(error);
    }
    const changes = describeChanges(diffConfig(before, after));
    this.#options.logger.log('info', 'configuration_changed', `configuration changed (${what}): ${changes}`);
    this.#options.onReloaded(false);
    return changes;
  }

  async #publish(loaded: LoadedConfig, nowMs: number): Promise<number> {
    const former = this.#former.next(this.#plain, loaded, nowMs);
    const epoch = await this.#options.publication.publish(former.applyTo(loaded, nowMs));
    this.#former = former;
    this.#plain = loaded;
    clearTimeout(this.#timer);
    const endMs = former.endMs(nowMs);
    if (endMs !== null) this.#expireIn(Math.min(DELAY_MS_MAX, endMs - nowMs + 1));
    return epoch;
  }

  #failed(error: unknown, trigger: string, atMs: number): PgDogError {
    const reasons =
      error instanceof ConfigurationError
        ? error.problems
            .filter(({ severity }) => severity === 'error')
            .map(formatProblem)
            .join('; ')
        : `internal error: ${error instanceof Error ? error.message : String(error)}`;
    const short = reasons.length > ERROR_CHARS_MAX ? `${reasons.slice(0, ERROR_CHARS_MAX)}…` : reasons;
    const tookMs = this.#nowMs() - atMs;
    const { epoch, pending } = this.status;
    this.status = { atMs, tookMs, trigger, isOk: false, error: short, changes: [], pending, epoch };
    this.figures.failedCount++;
    const text = `reload: nothing has changed, the old configuration stays in force: ${short}`;
    this.#options.logger.log('error', 'reload_failed', text, { trigger });
    return new PgDogError('reload_failed', text, { cause: error });
  }

  #expireIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#expire(), delayMs).unref();
  }

  /** Former passwords whose time is over. */
  async #expire(): Promise<void> {
    if (this.#isClosed) return;
    const done = this.#current.then(async () => {
      if (this.#isClosed) return;
      const nowMs = this.#nowMs();
      await this.#publish(this.#plain, nowMs);
      this.#options.logger.log('info', 'password_grace_over', 'former passwords are not accepted any more');
    });
    this.#current = done.catch((error: Error) => {
      const text = `former passwords stay accepted, next attempt in ${EXPIRE_RETRY_MS / 1000} s: ${error.message}`;
      this.#options.logger.log('error', 'reload_failed', text);
      this.#expireIn(EXPIRE_RETRY_MS);
    });
    await this.#current;
  }
}

/** The file that keeps what is to be kept, not yet in its place; nothing where that is in it already. */
function draftOf(
  before: LoadedConfig,
  after: LoadedConfig,
): { draft: DraftFile | null; path: string | null } {
  const { persisted } = after.layers;
  const old = before.layers.persisted;
  const isSame = persisted.length === old.length && persisted.every((change, at) => change === old[at]);
  if (isSame) return { draft: null, path: null };
  const { persist_file: file } = after.general;
  if (file === null) {
    const hint = 'Set persist_file in [general] and RELOAD, or leave PERSIST out.';
    throw new PgDogError('order_refused', 'there is no file to keep changes in', { hint });
  }
  const path = besideConfig(file, after);
  return { draft: draftPersistFile(path, persisted), path };
}
