/**
 * Session parameters (settings a client has made) as immutable, shared sets: comparing a session's with a
 * server connection's is one pointer comparison on the way of every request.
 */

import {
  canonicalParameterName,
  dateStyleText,
  laterDateStyle,
  quoteLiteral,
  readDateStyle,
} from '@pgdog-cluster/core';

/** In this order their values stand in a ReadingValues. */
export const READING_NAMES: readonly string[] = [
  ...['array_nulls', 'backslash_quote', 'datestyle', 'intervalstyle', 'lc_monetary'],
  ...[
    'standard_conforming_strings',
    'timezone',
    'timezone_abbreviations',
    'transform_null_equals',
    'xmloption',
  ],
];

/** A schema of the user's own name may be on the path. */
const PATH_NAMES = ['search_path', 'role', 'session_authorization'];

/** Of READING_NAMES, what servers report unasked. */
const REPORTED_AS = new Map([
  ['datestyle', 'DateStyle'],
  ['intervalstyle', 'IntervalStyle'],
  ['standard_conforming_strings', 'standard_conforming_strings'],
  ['timezone', 'TimeZone'],
]);

/** What the settings of READING_NAMES are; null: the server's default. */
export type ReadingValues = readonly (string | null)[];

/** Postgres reads a text otherwise under another value of it. Null: a name that only the server knows. */
export function decidesReading(name: string | null): boolean {
  return name === null || READING_NAMES.includes(name);
}

const SET_CONFIG = 'SELECT pg_catalog.set_config';

export interface SessionParameter {
  /** Lower case, as in pg_settings; 'role' and 'session_authorization' are parameters too. */
  name: string;
  /** A statement that, run on any server connection of the pool, has the effect for the session. */
  replay: string;
  /** The first value, of DateStyle all; '' when only the server knows it. */
  value?: string;
}

export class ParameterSet {
  /** Replays in canonical order; equal keys mean equal sets. */
  readonly key: string;
  readonly entries: ReadonlyMap<string, SessionParameter>;

  private reading: string | null = null;
  private values: ReadingValues | null = null;
  private path: string | null = null;

  constructor(key: string, entries: ReadonlyMap<string, SessionParameter>) {
    this.key = key;
    this.entries = entries;
  }

  /**
   * Those that decide how a text is read. Postgres computes the constants of a statement when it is parsed, not
   * when it runs ('01/02/2024'::date by DateStyle): only under equal ones can two clients share it.
   */
  get readingKey(): string {
    if (this.reading === null) {
      const key = READING_NAMES.map((name) => this.entries.get(name)?.replay ?? '').join('\u0000');
      this.reading = key.length < READING_NAMES.length ? '' : key;
    }
    return this.reading;
  }

  /**
   * The values of the same, to be set on a server connection. Null: not all are known.
   * @param reported by a server connection on which they are in force: it tells what only the server could know
   */
  readingValues(reported: ReadonlyMap<string, string>): ReadingValues | null {
    this.values ??= READING_NAMES.map((name) => {
      const { value = '' } = this.entries.get(name) ?? { value: null };
      return value === '' ? (reported.get(REPORTED_AS.get(name) ?? '') ?? '') : value;
    });
    return this.values.includes('') ? null : this.values;
  }

  /** Those that decide which tables and types a text means; '': none has been set. */
  get pathKey(): string {
    if (this.path === null) {
      const key = PATH_NAMES.map((name) => this.entries.get(name)?.replay ?? '').join('\u0000');
      this.path = key.length < PATH_NAMES.length ? '' : key;
    }
    return this.path;
  }

  /** Different objects may hold the same settings once the table of shared sets was emptied. */
  equals(other: ParameterSet): boolean {
    return this === other || this.key === other.key;
  }
}

export const NO_PARAMETERS = new ParameterSet('', new Map());

/** Sets remembered for sharing. When full the table starts anew: sharing is lost, nothing else. */
const INTERNED_MAX = 4096;
const interned = new Map<string, ParameterSet>([['', NO_PARAMETERS]]);

/** Session authorization first, role second: each resets what comes after it (guc_tables.c, variable.c). */
function rank(name: string): string {
  if (name === 'session_authorization') return `0${name}`;
  return name === 'role' ? `1${name}` : `2${name}`;
}

/** A DateStyle may leave half of what was in force `before`: a replay has both halves, or another client's would stay. */
export function wholeParameter(given: SessionParameter, before?: SessionParameter): SessionParameter {
  if (given.name !== 'datestyle') return given;
  const next = readDateStyle(given.value ?? '');
  if (next === null) return given;
  const old = readDateStyle(before?.value ?? '');
  const value = dateStyleText(old === null ? next : laterDateStyle(old, next));
  return { name: 'datestyle', replay: setConfigSql('datestyle', value), value };
}

export function makeParameterSet(entries: Iterable<SessionParameter>): ParameterSet {
  const sorted = [...entries]
    .map((entry) => wholeParameter(entry))
    .sort((a, b) => (rank(a.name) < rank(b.name) ? -1 : 1));
  if (sorted.length === 0) return NO_PARAMETERS;
  const key = sorted.map((entry) => `${entry.name}\u0000${entry.replay}`).join('\u0000');
  const known = interned.get(key);
  if (known !== undefined) return known;
  if (interned.size >= INTERNED_MAX) {
    interned.clear();
    interned.set('', NO_PARAMETERS);
  }
  const made = new ParameterSet(key, new Map(sorted.map((entry) => [entry.name, entry])));
  interned.set(key, made);
  return made;
}

export function withParameter(set: ParameterSet, given: SessionParameter): ParameterSet {
  const entry = wholeParameter(given, set.entries.get(given.name));
  // Setting the session user also ends SET ROLE, be it the same user.
  const endsRole = entry.name === 'session_authorization' && set.entries.has('role');
  if (set.entries.get(entry.name)?.replay === entry.replay && !endsRole) return set;
  const entries = new Map(set.entries);
  if (endsRole) entries.delete('role');
  entries.set(entry.name, entry);
  return makeParameterSet(entries.values());
}

let unknownCount = 0;

/** The same, but for one of READING_NAMES whose value nobody knows: they are nobody else's. */
export function withUnknownReading(set: ParameterSet): ParameterSet {
  const name = 'xmloption';
  const entry = { name, replay: `unknown ${++unknownCount}`, value: '' };
  return new ParameterSet(`${set.key}\u0000${entry.replay}`, new Map([...set.entries, [name, entry]]));
}

export function withoutParameter(set: ParameterSet, name: string): ParameterSet {
  const endsRole = name === 'session_authorization' && set.entries.has('role');
  if (!set.entries.has(name) && !endsRole) return set;
  const entries = new Map(set.entries);
  entries.delete(name);
  if (endsRole) entries.delete('role');
  return makeParameterSet(entries.values());
}

/** RESET ALL leaves role and session authorization alone (GUC_NO_RESET_ALL). */
export function afterResetAll(set: ParameterSet): ParameterSet {
  return makeParameterSet(
    [...set.entries.values()].filter(({ name }) => name === 'role' || name === 'session_authorization'),
  );
}

/**
 * Whether new tables go to the temporary schema, however plainly they are created. Some search_path that only has
 * pg_temp further behind may count too: it costs a pin.
 */
export function makesTemp(set: ParameterSet): boolean {
  const replay = set.entries.get('search_path')?.replay.toLowerCase();
  const at = replay?.indexOf('pg_temp') ?? -1;
  if (replay === undefined || at < 0) return false;
  if (replay.includes('/*') || replay.includes('--')) return true;
  // set_config() has a comma behind the name.
  const commas = replay.slice(0, at).split(',').length - 1;
  return commas === (replay.startsWith(SET_CONFIG.toLowerCase()) ? 1 : 0);
}

/** A setting given by value: start-up packet, set_config(). */
export function parameterFromValue(name: string, value: string): SessionParameter {
  const canonical = canonicalParameterName(name);
  return { name: canonical, replay: setConfigSql(canonical, value), value };
}

function setConfigSql(name: string, value: string): string {
  return `${SET_CONFIG}(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`;
}

/** Statement that takes `name` back to the server connection's own default. */
export function resetStatement(name: string): string {
  if (name === 'session_authorization') return 'RESET SESSION AUTHORIZATION';
  if (name === 'session characteristics') {
    return (
      'RESET default_transaction_isolation;RESET default_transaction_read_only;' +
      'RESET default_transaction_deferrable'
    );
  }
  return `RESET ${name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')}`;
}

/**
 * The statements that turn a server connection with settings `from` into one with settings `to`, or '' when
 * nothing is to be done. Resets come first, so that a reset session authorization cannot undo a set one.
 */
export function differenceSql(from: ParameterSet, to: ParameterSet): string {
  const statements: string[] = [];
  for (const name of from.entries.keys()) {
    if (!to.entries.has(name)) statements.push(resetStatement(name));
  }
  const isAuthorizationChanged =
    from.entries.get('session_authorization')?.replay !== to.entries.get('session_authorization')?.replay;
  for (const entry of to.entries.values()) {
    const isSame = from.entries.get(entry.name)?.replay === entry.replay;
    if (!isSame || (entry.name === 'role' && isAuthorizationChanged)) statements.push(entry.replay);
  }
  return statements.join(';');
}

/** Has other characters than ASCII: which ones a server reads by its client_encoding. */
export function isWide(sql: string): boolean {
  for (let index = 0; index < sql.length; index++) if (sql.charCodeAt(index) >= 0x80) return true;
  return false;
}

/**
 * A difference for any server connection, whatever the encoding of whom it served last: `first` is a Query ahead of `sql`, for
 * a text is read as a whole before any of it runs. '' where the text is ASCII, the same in all encodings.
 */
export function inAnyEncoding(sql: string, to: ParameterSet): { first: string; sql: string } {
  if (!isWide(sql)) return { first: '', sql };
  return { first: "SET client_encoding TO 'UTF8'", sql: `${sql};${encodingReplay(to)}` };
}

/** What gives a server connection the client_encoding of these settings. */
export function encodingReplay(settings: ParameterSet): string {
  return settings.entries.get('client_encoding')?.replay ?? 'RESET client_encoding';
}

/** Parameters whose replay may fail although it once worked (a role can be dropped). See synchronise.ts. */
export function mayFailOnReplay(from: ParameterSet, to: ParameterSet): boolean {
  return (
    from.entries.get('role')?.replay !== to.entries.get('role')?.replay ||
    from.entries.get('session_authorization')?.replay !== to.entries.get('session_authorization')?.replay
  );
}
