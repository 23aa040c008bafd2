import { readFileSync, statSync } from 'node:fs';
import { PgDogError } from '@pgdog-cluster/core';
import { type ConfigurationChange, ConfigurationError } from '@pgdog-cluster/core/config';
import { commandsOf } from '../admin/admin-lexer.js';
import { commandText } from './change-text.js';
import { DraftFile } from './draft-file.js';
import { parseChange } from './parse-change.js';

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

/** @throws PgDogError order_refused */
export function draftPersistFile(path: string, changes: readonly ConfigurationChange[]): DraftFile {
  const text = HEAD + changes.map((change) => `${commandText(change)};\n`).join('');
  try {
    return DraftFile.write(path, text);
  } catch (error) {
    const hint = 'Its directory must exist and be ours to write in. Nothing has changed.';
    throw new PgDogError('order_refused', `persist_file ${path} cannot be written: ${codeOf(error)}`, {
      hint,
    });
  }
}

/** @throws PgDogError order_refused */
export function keepPersistFile(draft: DraftFile): void {
  try {
    draft.keep();
  } catch (error) {
    const text = `the change is in force, but persist_file ${draft.path} cannot be written: ${codeOf(error)}`;
    throw new PgDogError('order_refused', text, { hint: 'PERSIST tries again.' });
  }
}
