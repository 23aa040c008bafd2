import { type FSWatcher, realpathSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../log/logger.js';
import { KnownFiles } from './known-files.js';

export interface ConfigWatchOptions {
  logger: Pick<Logger, 'log'>;
  /** config_watch, as it is now. */
  isOn: () => boolean;
  /** The files say something else than what was read last. What goes wrong is told there. */
  onChange: () => void;
  /** Shared with whoever reads them. */
  files?: KnownFiles;
  /** Quiet for so long after a write: editors and copies write in several steps. */
  quietMs?: number;
  /** The longest that writes may put it off. */
  delayMsMax?: number;
  /** How often files are looked at without being told. */
  pollMs?: number;
  /** Injected by tests. Throws where a directory cannot be watched. */
  watchDirectory?: (path: string, onEvent: () => void) => Pick<FSWatcher, 'close' | 'on'>;
}

const QUIET_MS = 250;
const DELAY_MS_MAX = 3000;
/** Some questions to the kernel: less than a millisecond. */
const POLL_MS = 10_000;

function watchPlain(path: string, onEvent: () => void): FSWatcher {
  return watch(path, { persistent: false }, onEvent);
}

/**
 * Tells when the files of the configuration have changed. Their directories are watched, not the files: editors and Kubernetes
 * put another file, or another target of a symbolic link, in the place of the old one. What decides is what is in
 * them: a file that was only touched is no change, and one that cannot be used is told once.
 */
export class ConfigWatch {
  readonly #options: Required<ConfigWatchOptions>;
  readonly #watchers = new Map<string, Pick<FSWatcher, 'close' | 'on'>>();
  /** Directories that cannot be watched, told once. */
  readonly #unwatched = new Set<string>();
  /** What was in the files before they were read last. */
  #known = new Map<string, string>();
  #reading = new Set<string>();
  #quietTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #eventMs = 0;
  #isReading = false;

  constructor(options: ConfigWatchOptions) {
    this.#options = {
      quietMs: QUIET_MS,
      delayMsMax: DELAY_MS_MAX,
      pollMs: POLL_MS,
      watchDirectory: watchPlain,
      files: new KnownFiles(),
      ...options,
    };
  }

  /** Idempotent. */
  start(): void {
    this.#lookAround();
    this.#pollTimer ??= setInterval(() => this.#look(), this.#options.pollMs).unref();
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#quietTimer);
    clearInterval(this.#pollTimer);
    this.#quietTimer = undefined;
    this.#pollTimer = undefined;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** They are about to be read: what is in them now is known. Before, so that what is written meanwhile is seen later. */
  begin(): void {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = undefined;
    this.#isReading = true;
    this.#reading = new Set();
    const { files } = this.#options;
    files.begin();
    for (const path of this.#known.keys()) this.#known.set(path, files.contentOf(path));
  }

  /** A file that is asked for, or a directory that is looked through, absolute; also one that is not there. */
  note(path: string): void {
    this.#reading.add(path);
    if (!this.#known.has(path)) this.#known.set(path, this.#options.files.contentOf(path));
  }

  /** A file that this program has written itself: no change. */
  wrote(path: string): void {
    const { files } = this.#options;
    files.forget(path);
    if (this.#known.has(path)) this.#known.set(path, files.contentOf(path));
  }

  /** All that was to be read has been. After a failure what was not reached stays watched. */
  end(isOk: boolean): void {
    this.#isReading = false;
    if (isOk) {
      for (const path of this.#known.keys()) if (!this.#reading.has(path)) this.#known.delete(path);
      this.#options.files.forgetOthers();
    }
    if (this.#pollTimer !== undefined) this.#lookAround();
  }

  /** Watches the directories of the files, those of what they are links to, and those that are looked through. */
  #lookAround(): void {
    const { files } = this.#options;
    const wanted = new Set<string>();
    // Of thousands of files in one directory it is asked once where that is.
    const reals = new Map<string, string | null>();
    const want = (path: string): void => {
      if (!reals.has(path)) reals.set(path, realOf(path));
      const real = reals.get(path);
      if (real) wanted.add(real);
    };
    for (const path of this.#known.keys()) {
      wanted.add(dirname(path));
      if (files.isDirectory(path)) want(path);
      else if (!files.isLink(path)) want(dirname(path));
      else {
        const real = realOf(path);
        if (real !== null) wanted.add(dirname(real));
      }
    }
    for (const [path, watcher] of this.#watchers) {
      if (wanted.has(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const path of wanted) if (!this.#watchers.has(path)) this.#watch(path);
  }

  #watch(path: string): void {
    try {
      const watcher = this.#options.watchDirectory(path, () => this.#onEvent());
      this.#watchers.set(path, watcher);
      // The directory itself went away: it may be there again.
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(path);
        this.#onEvent();
      });
      this.#unwatched.delete(path);
    } catch (error) {
      if (this.#unwatched.has(path)) return;
      this.#unwatched.add(path);
      const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      const text = `${path} cannot be watched (${reason}): it is looked at every ${this.#options.pollMs / 1000} s`;
      this.#options.logger.log('warn', 'config_watch', text, { path });
    }
  }

  #onEvent(): void {
    const { quietMs, delayMsMax } = this.#options;
    const nowMs = Date.now();
    if (this.#quietTimer === undefined) this.#eventMs = nowMs;
    clearTimeout(this.#quietTimer);
    const leftMs = Math.max(0, this.#eventMs + delayMsMax - nowMs);
    this.#quietTimer = setTimeout(() => this.#look(), Math.min(quietMs, leftMs)).unref();
  }

  #look(): void {
    this.#quietTimer = undefined;
    // An attempt under way knows what it reads; what is written after that shows at the next look.
    if (this.#isReading) {
      this.#onEvent();
      return;
    }
    if (!this.#options.isOn()) return;
    const { files } = this.#options;
    files.begin();
    this.#lookAround();
    for (const [path, content] of this.#known) {
      if (files.contentOf(path) === content) continue;
      this.#options.onChange();
      return;
    }
  }
}

/** Null: not there now; the directory tells when it comes. */
function realOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
