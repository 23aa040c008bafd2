/**
 * PgBouncer's configuration as one of ours. Every setting is mapped, passed over with a warning, or refused; what is
 * unsaid has PgBouncer's default where ours is another, so that clients find what they are used to.
 */
import { resolve } from 'node:path';
import type { ReadSecretFile } from '../entries.js';
import type { SourceText } from '../parse-document.js';
import type { ProblemList } from '../problem-list.js';
import { type ListedUser, readAuthFile } from './auth-file.js';
import { DraftDocument } from './draft.js';
import { GivenSettings } from './given-settings.js';
import { readFailure, readIni } from './ini-file.js';
import { SETTINGS } from './settings.js';
import { checkPeers, translateDatabases, translateUsers } from './translate-entries.js';
import { translateJoined } from './translate-general.js';

export interface Translation {
  /** As pgdog.toml and users.toml would say it. */
  config: DraftDocument;
  users: DraftDocument;
}

const SECTIONS = ['pgbouncer', 'databases', 'users', 'peers'];

/**
 * `readFile` reads auth_file and included files, by absolute path. Adds to `problems` what cannot be used, all of it in one
 * go; the translation then lacks it.
 */
export function translatePgBouncer(
  source: SourceText,
  readFile: ReadSecretFile,
  problems: ProblemList,
): Translation {
  const lines = readIni(source, SECTIONS, readFile, problems);
  const linesOf = (section: string) => lines.filter((line) => line.section === section);
  const origin = { source: source.name, line: 0, key: '' };
  const pairs = linesOf('pgbouncer').map(({ key, value, source: file, line }) => ({
    key,
    text: value,
    place: { source: file, line, key },
  }));
  const settings = new GivenSettings(origin, SETTINGS, pairs, problems);
  const listed = readListed(settings, readFile, problems);

  const config = new DraftDocument();
  const users = new DraftDocument();
  const tables = {
    general: config.table('general', origin),
    tcp: config.table('tcp', origin),
    admin: config.table('admin', origin),
  };
  settings.apply((to, value, place) => {
    const [table, key] = to.split('.');
    tables[table as keyof typeof tables].set(key, value, place);
  });
  translateJoined({ settings, listed, general: tables.general, admin: tables.admin, problems });
  translateDatabases(linesOf('databases'), config, { settings, listed, problems });
  translateUsers(linesOf('users'), users, { settings, listed, problems });
  checkPeers(linesOf('peers'), problems);
  return { config, users };
}

function readListed(
  settings: GivenSettings,
  readFile: ReadSecretFile,
  problems: ProblemList,
): Map<string, ListedUser> {
  const { text, place } = settings.get('auth_file');
  if (text === '') return new Map();
  try {
    return readAuthFile({ name: text, text: readFile(resolve(text), place.source) }, problems);
  } catch (error) {
    problems.error(place, `file ${text}: ${readFailure(error)}`);
    return new Map();
  }
}
