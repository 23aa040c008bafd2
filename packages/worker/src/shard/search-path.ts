import { readSearchPath, type ShardCatalogData, type SqlParser, splitNames } from '@pgdog-cluster/core';
import type { ParameterSet } from '../session/parameter-set.js';

const NAME = 'search_path';
const BUILT_IN = ['$user', 'public'];

/** One per set of settings: sets are shared and never change. Null: it cannot be read. */
const known = new WeakMap<ParameterSet, readonly string[] | null>();

/**
 * The schemas in which a session looks for tables; null: the session has set them in a way that is not read. What it has not
 * set itself is its role's or the database's default, or Postgres's own.
 */
export function searchPathOf(
  parameters: ParameterSet,
  user: string,
  catalog: ShardCatalogData,
  parser: SqlParser,
): readonly string[] | null {
  const entry = parameters.entries.get(NAME);
  const current = currentUser(parameters) ?? user;
  if (entry === undefined) return withUser(defaultPath(user, catalog), current);
  let path = known.get(parameters);
  if (path === undefined) {
    path = readSearchPath(entry.replay, parser);
    known.set(parameters, path);
  }
  return path === null ? null : withUser(path, current);
}

function defaultPath(user: string, { searchPaths }: ShardCatalogData): readonly string[] {
  const text = searchPaths[user] ?? searchPaths[''];
  return text === undefined ? BUILT_IN : splitNames(text);
}

/** `$user` is the role in force; null: nobody has changed it. */
function currentUser({ entries }: ParameterSet): string | null {
  const role = entries.get('role')?.value;
  if (role !== undefined && role !== '' && role.toLowerCase() !== 'none') return role;
  return entries.get('session_authorization')?.value || null;
}

function withUser(path: readonly string[], user: string): readonly string[] {
  return path.map((schema) => (schema === '$user' ? user : schema));
}
