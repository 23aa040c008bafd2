import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PgDogError } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';

const MODE = 0o644;

/** A path of the configuration: relative to its file, or to the working directory where there is none. */
export function besideConfig(path: string, { configFile }: Pick<LoadedConfig, 'configFile'>): string {
  return resolve(configFile === null ? '.' : dirname(configFile), path);
}

/** The file of `pid_file`, while this process serves. */
export class PidFile {
  readonly #path: string;
  readonly #text = `${process.pid}\n`;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Null: none is wanted. One that is there is replaced: that of a process which is gone, or is being taken over.
   * @throws PgDogError `configuration`
   */
  static write(loaded: Pick<LoadedConfig, 'configFile' | 'general'>): PidFile | null {
    const { pid_file: wanted } = loaded.general;
    if (wanted === null) return null;
    const file = new PidFile(besideConfig(wanted, loaded));
    const draft = `${file.#path}.${process.pid}`;
    try {
      writeFileSync(draft, file.#text, { mode: MODE });
      // Whole or not at all for who reads it.
      renameSync(draft, file.#path);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
      const hint = 'Its directory must exist and be ours to write in.';
      throw new PgDogError('configuration', `cannot write pid_file ${file.#path}: ${code}`, { hint, cause });
    }
    return file;
  }

  /** Unless it is another process's by now. */
  remove(): void {
    try {
      if (readFileSync(this.#path, 'utf8') === this.#text) unlinkSync(this.#path);
    } catch {
      // Somebody else has taken it away.
    }
  }
}
