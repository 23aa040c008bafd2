import type { HbaProblem } from './hba.js';
import { type HbaToken, readHbaLines } from './hba-tokens.js';

/** One line of pg_ident.conf: who is known outside as `systemUser` may log in as `user`. */
export interface IdentMapping {
  map: string;
  systemUser: string;
  /** null = any user (`all`). */
  user: string | null;
}

export interface IdentMaps {
  mappings: IdentMapping[];
  problems: HbaProblem[];
}

/** Reads an ident map file. What it does not do (regular expressions, groups, includes) is a problem, never ignored. */
export function parseIdentMap(file: string, text: string): IdentMaps {
  const mappings: IdentMapping[] = [];
  const problems: HbaProblem[] = [];
  for (const { line, fields, problem } of readHbaLines(text)) {
    const refusal = problem !== '' ? problem : refusalOf(fields);
    if (refusal !== '') {
      problems.push({ file, line, message: refusal });
      continue;
    }
    const [[map], [systemUser], [user]] = fields;
    mappings.push({
      map: map.text,
      systemUser: systemUser.text,
      user: isAll(user) ? null : user.text,
    });
  }
  return { mappings, problems };
}

function isAll(token: HbaToken): boolean {
  return token.text === 'all' && !token.isQuoted;
}

function refusalOf(fields: HbaToken[][]): string {
  const [first] = fields[0];
  if (!first.isQuoted && first.text.startsWith('include')) return `"${first.text}" is not supported`;
  if (fields.length !== 3) return 'expected a map name, a system user and a database user';
  if (fields.some((field) => field.length !== 1)) return 'lists are not allowed here';
  const [, [systemUser], [user]] = fields;
  if (!systemUser.isQuoted && systemUser.text.startsWith('/'))
    return 'regular expressions are not supported; name each system user';
  if (!user.isQuoted && (user.text.startsWith('/') || user.text.startsWith('+')))
    return `"${user.text}": only names and "all" are supported`;
  return '';
}

/**
 * May `systemUser` log in as `user`? Without a map the two must be equal. A map that is not defined lets nobody in,
 * as in Postgres.
 */
export function isMappedUser(
  mappings: readonly IdentMapping[],
  map: string,
  systemUser: string,
  user: string,
): boolean {
  if (map === '') return systemUser === user;
  return mappings.some(
    (mapping) =>
      mapping.map === map &&
      mapping.systemUser === systemUser &&
      (mapping.user === null || mapping.user === user),
  );
}
