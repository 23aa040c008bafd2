import {
  closeSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Passwords are in what is written so. */
const MODE = 0o600;

/** A file that is written beside the one it will replace: whole or not at all, whatever happens. */
export class DraftFile {
  /** Where it will be. */
  readonly path: string;
  readonly #draft: string;

  private constructor(path: string) {
    this.path = path;
    this.#draft = `${path}.${process.pid}.tmp`;
  }

  /** A link stays one. Throws as the system does. */
  static write(path: string, text: string): DraftFile {
    const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
    const draft = new DraftFile(isThere ? realpathSync(path) : path);
    draft.discard();
    const fd = openSync(draft.#draft, 'wx', MODE);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } catch (error) {
      draft.discard();
      throw error;
    } finally {
      closeSync(fd);
    }
    return draft;
  }

  /** Throws as the system does. */
  keep(): void {
    renameSync(this.#draft, this.path);
    const directory = openSync(dirname(this.path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  }

  /** Idempotent. */
  discard(): void {
    try {
      unlinkSync(this.#draft);
    } catch {
      // It was not there.
    }
  }
}
