import { differing } from '@pgdog-cluster/core';
import { type DatabaseEntry, type LoadedConfig, listSettings, Secret } from '@pgdog-cluster/core/config';

/** One thing that a new configuration has otherwise. Never holds a secret: of those it says that they changed. */
export interface ConfigChange {
  kind: 'added' | 'removed' | 'changed';
  /** `database`, `user`, `setting`, or another part of the configuration. */
  what: string;
  name: string;
  /** Of a change: `key: old -> new`, by commas; empty for what is only said to have changed. */
  detail: string;
}

/** Longest text of all changes together, for the log and SHOW CONFIG_STATUS. */
const TEXT_CHARS_MAX = 2000;
/** Longest single value in it. */
const VALUE_CHARS_MAX = 80;

/** By name: databases, users and settings, then what has no names. Costs some milliseconds for thousands of entries. */
export function diffConfig(before: LoadedConfig, after: LoadedConfig): ConfigChange[] {
  return [
    ...diffSettings(before, after),
    ...diffNamed('database', databasesOf(before), databasesOf(after)),
    ...diffNamed('user', before.users, after.users),
    ...diffParts(before, after),
  ];
}

/** Those that are made at first login under their pattern. */
function databasesOf({ databases, templates }: LoadedConfig): DatabaseEntry[] {
  return [...databases, ...templates.flatMap(({ entries }) => entries)];
}

/** One line: `database "a" added; setting query_timeout: 0 -> 5000`, cut to a bound. */
export function describeChanges(changes: readonly ConfigChange[]): string {
  const parts: string[] = [];
  let length = 0;
  for (const [place, change] of changes.entries()) {
    const text = describe(change);
    length += text.length + 2;
    if (length > TEXT_CHARS_MAX) {
      parts.push(`and ${changes.length - place} more`);
      break;
    }
    parts.push(text);
  }
  return parts.length === 0 ? 'nothing has changed' : parts.join('; ');
}

function describe({ kind, what, name, detail }: ConfigChange): string {
  if (what === 'setting') return `setting ${name}: ${detail}`;
  const title = name === '' ? what : `${what} "${name}"`;
  return kind !== 'changed' || detail === '' ? `${title} ${kind}` : `${title} changed (${detail})`;
}

function diffSettings(before: LoadedConfig, after: LoadedConfig): ConfigChange[] {
  const old = new Map(listSettings(before).map(({ name, value }) => [name, value]));
  const changes: ConfigChange[] = [];
  for (const { name, value } of listSettings(after)) {
    if (old.get(name) === value) continue;
    const detail = `${shown(old.get(name) ?? null)} -> ${shown(value)}`;
    changes.push({ kind: 'changed', what: 'setting', name, detail });
  }
  return changes;
}

function grouped<T extends { name: string }>(entries: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of entries) {
    const group = groups.get(entry.name);
    if (group === undefined) groups.set(entry.name, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** Of those that are not all the same objects as before. */
function diffNamed<T extends { name: string }>(
  what: string,
  allBefore: readonly T[],
  allAfter: readonly T[],
): ConfigChange[] {
  const names = new Set(differing(allBefore, allAfter).flatMap((part) => part.map(({ name }) => name)));
  const concerned = (entries: readonly T[]) => grouped(entries.filter(({ name }) => names.has(name)));
  const [before, after] = [concerned(allBefore), concerned(allAfter)];
  const changes: ConfigChange[] = [];
  for (const name of before.keys()) {
    if (!after.has(name)) changes.push({ kind: 'removed', what, name, detail: '' });
  }
  for (const [name, entries] of after) {
    const old = before.get(name);
    if (old === undefined) changes.push({ kind: 'added', what, name, detail: '' });
    else if (!isSame(old, entries)) {
      changes.push({ kind: 'changed', what, name, detail: diffEntries(old, entries) });
    }
  }
  return changes;
}

/** What has no name of its own: only that it changed. */
function diffParts(before: LoadedConfig, after: LoadedConfig): ConfigChange[] {
  const parts: [string, unknown, unknown][] = [
    ['password of the admin user', before.admin.password, after.admin.password],
    ['token of the HTTP port', before.httpToken, after.httpToken],
    ['rules of auth_hba_file', before.hba, after.hba],
    ['maps of auth_ident_file', before.identMappings, after.identMappings],
    ['sharded tables', [...before.sharding], [...after.sharding]],
  ];
  return parts
    .filter(([, old, now]) => !isSame(old, now))
    .map(([what]) => ({ kind: 'changed', what, name: '', detail: '' }));
}

function diffEntries(before: readonly object[], after: readonly object[]): string {
  if (before.length !== after.length) return `entries: ${before.length} -> ${after.length}`;
  const texts = after.flatMap((entry, place) => {
    const old = flatten(before[place]);
    const now = flatten(entry);
    return [...now.keys()]
      .filter((key) => !isSame(old.get(key), now.get(key)))
      .map((key) => diffValue(key, old.get(key), now.get(key)));
  });
  return [...new Set(texts)].join(', ');
}

/** Those that the files call otherwise. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ['serverDatabase', 'database_name'],
  ['logMinStatementMs', 'log_min_duration_statement'],
  ['logMinTransactionMs', 'log_min_duration_transaction'],
  ['logMinCheckoutMs', 'log_min_duration_checkout'],
]);

/** As it stands in the files: `overrides.primary.poolSize` is pool_size_primary there. */
function keyOf(path: string): string {
  const parts = path.split('.').filter((part) => part !== 'overrides');
  const last = parts.pop() ?? '';
  const snake = last.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/_ms$/, '');
  const key = KEYS.get(last) ?? snake;
  const [role] = parts;
  if (role === 'primary' || role === 'replica') return `${key}_${role}`;
  return [...parts, key].join('.');
}

function diffValue(path: string, before: unknown, after: unknown): string {
  const key = keyOf(path);
  if (hasSecret(before) || hasSecret(after)) return `${key} changed`;
  return `${key}: ${shown(before)} -> ${shown(after)}`;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'unset';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > VALUE_CHARS_MAX ? `${text.slice(0, VALUE_CHARS_MAX)}…` : text;
}

/** Leaves of nested plain objects by dotted key. */
function flatten(entry: object, prefix = '', into = new Map<string, unknown>()): Map<string, unknown> {
  for (const [key, value] of Object.entries(entry)) {
    const isPlain =
      typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);
    if (isPlain) flatten(value, `${prefix}${key}.`, into);
    else into.set(prefix + key, value);
  }
  return into;
}

function hasSecret(value: unknown): boolean {
  return value instanceof Secret || (Array.isArray(value) && value.some(hasSecret));
}

/** Plain data and secrets; of a Map or other object its own properties would say nothing. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Secret || b instanceof Secret) {
    return a instanceof Secret && b instanceof Secret && a.reveal() === b.reveal();
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length || Array.isArray(a) !== Array.isArray(b)) return false;
  const [mine, theirs] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return keys.every((key) => key in theirs && isSame(mine[key], theirs[key]));
}
