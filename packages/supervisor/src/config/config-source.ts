import type { ConfigSourceSettings, LoadedConfig } from '@pgdog-cluster/core/config';
import { type SourceFigures, SourceWatch, type SourceWatchOptions } from './source-watch.js';

/** Whether another connection is needed. */
function keyOf(settings: ConfigSourceSettings | null): string {
  if (settings === null) return '';
  const { identity, channel, refreshIntervalMs, cacheFile, entry, tls } = settings;
  return JSON.stringify([
    identity,
    channel,
    refreshIntervalMs,
    cacheFile,
    entry.serverPassword?.reveal(),
    tls,
  ]);
}

/** The source of the configuration in force, if it has one. */
export class ConfigSource {
  readonly #options: SourceWatchOptions;
  #watch: SourceWatch | null = null;
  #key = '';
  #isClosed = false;

  constructor(options: SourceWatchOptions) {
    this.#options = options;
  }

  get figures(): SourceFigures | null {
    return this.#watch?.figures ?? null;
  }

  takeUp({ configSource }: LoadedConfig): void {
    const key = keyOf(configSource);
    if (key === this.#key || this.#isClosed) return;
    this.#key = key;
    this.#watch?.close();
    this.#watch = configSource === null ? null : new SourceWatch(configSource, this.#options);
    this.#watch?.start();
  }

  hurry(): void {
    this.#watch?.hurry();
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
  }
}
