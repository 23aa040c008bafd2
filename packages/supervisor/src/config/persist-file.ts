import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { PgDogError } from '@pgdog-cluster/core';
import { type ConfigurationChange, ConfigurationError } from '@pgdog-cluster/core/config';
import { commandsOf } from '../admin/admin-lexer.js';
import { commandText } from './change-text.js';
import { parseChange } from './parse-change.js';

/** Passwords are in it. */
const MODE = 0o600;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
/** Kept changes, and those that are not: each is looked at in every reload. */
export const CHANGES_MAX = 20_000;

const HEAD = `-- Written by pgdog-cluster: ADD, ALTER and DROP … PERSIST, carried out in this order after all other files.
-- It may be edited; the next PERSIST writes it anew, without comments.
`;

function fail(source: string, line: number, message: string): never {
  throw new ConfigurationError([{ severity: 'error', source, line, key: '', message }]);
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

/** One that is not there keeps nothing. @throws ConfigurationError with file and line */
export function readPersistFile(path: string, source: string): ConfigurationChange[] {
  let text: string;
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (!stat.isFile()) fail(source, 0, 'is no file');
    if (stat.size > FILE_BYTES_MAX) fail(source, 0, `more than ${FILE_BYTES_MAX} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    return fail(source, 0, codeOf(error));
  }
  return parsePersisted(text, source);
}

export function parsePersisted(text: string, source: string): ConfigurationChange[] {
  const changes: ConfigurationChange[] = [];
  let line = 0;
  try {
    for (const command of commandsOf(text, CHANGES_MAX)) {
      line = command.line;
      changes.push({ ...parseChange(command.tokens).change, source, line });
    }
  } catch (error) {
    if (!(error instanceof PgDogError)) throw error;
    fail(source, line, error.message);
  }
  return changes;
}

/** A file that is written beside the one it will replace: whole or not at all, whatever happens. */
export class PersistDraft {
  readonly #path: string;
  readonly #draft: string;

  private constructor(path: string, draft: string) {
    this.#path = path;
    this.#draft = draft;
  }

  /** @throws PgDogError order_refused */
  static write(path: string, changes: readonly ConfigurationChange[]): PersistDraft {
    try {
      // A link stays one.
      const target = statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
      const draft = new PersistDraft(target, `${target}.${process.pid}.tmp`);
      draft.discard();
      const fd = openSync(draft.#draft, 'wx', MODE);
      try {
        writeFileSync(fd, HEAD + changes.map((change) => `${commandText(change)};\n`).join(''));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      return draft;
    } catch (error) {
      const hint = 'Its directory must exist and be ours to write in. Nothing has changed.';
      throw new PgDogError('order_refused', `persist_file ${path} cannot be written: ${codeOf(error)}`, {
        hint,
      });
    }
  }

  /** @throws PgDogError order_refused */
  keep(): void {
    try {
      renameSync(this.#draft, this.#path);
      const directory = openSync(dirname(this.#path), 'r');
      fsyncSync(directory);
      closeSync(directory);
    } catch (error) {
      const text = `the change is in force, but persist_file ${this.#path} cannot be written: ${codeOf(error)}`;
      throw new PgDogError('order_refused', text, { hint: 'PERSIST tries again.' });
    }
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
