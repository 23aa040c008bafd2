import { parse, TomlError } from 'smol-toml';
import * as z from 'zod';
import { nearestKey } from './nearest-key.js';
import { Origin, type ProblemList } from './problem-list.js';
import { type KeyPath, TomlPositions } from './toml-positions.js';

/** A configuration file as read: `name` is how the user called it and how messages do. */
export interface SourceText {
  name: string;
  text: string;
}

export interface ParsedDocument<T> {
  data: T;
  origin: Origin;
}

/** Below one of these keys no value is ever shown. */
const SECRET_KEYS = new Set([
  'password',
  'passwords',
  'password_hash',
  'server_password',
  'auth_password',
  'openmetrics_token',
  // A URL with a password in it.
  'postgres',
]);
const SHOWN_LENGTH_MAX = 40;

export function isSecretKey(key: string): boolean {
  return SECRET_KEYS.has(key);
}

/**
 * PgDog's "unlimited" is 2^63 - 1, which no number here holds. Such integers become the largest exact one;
 * what reads them treats anything beyond a limit of its own as "no limit".
 */
export function withoutBigInts(value: unknown): unknown {
  if (typeof value === 'bigint') return value > 0n ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER;
  if (Array.isArray(value)) return value.map(withoutBigInts);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) copy[key] = withoutBigInts(inner);
  return copy;
}

function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[segment];
  }
  return value;
}

/** The value as it may be shown in a message: short, one line. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'object') return 'a table';
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > SHOWN_LENGTH_MAX ? `${shown.slice(0, SHOWN_LENGTH_MAX)}…` : shown;
}

/** The keys that the schema knows at a path; empty where anything goes. */
function knownKeys(schema: z.ZodType, path: KeyPath): string[] {
  let current: unknown = schema;
  for (const segment of [...path, null]) {
    while (current instanceof z.ZodOptional) current = current.unwrap();
    if (segment === null) break;
    if (current instanceof z.ZodObject) current = current.shape[String(segment)];
    else if (current instanceof z.ZodArray) current = current.element;
    else return [];
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : [];
}

/** ` did you mean "port"?`, or nothing when no key is near. */
export function suggestion(key: string, known: Iterable<string>): string {
  const nearest = nearestKey(key, known);
  return nearest === null ? '' : `; did you mean "${nearest}"?`;
}

/** Of whole files. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['users', ': [[users]] stand in users.toml, or in a file that `include` names'],
]);

/** How a table begins: [general], [[databases]]. */
function headOf(path: readonly (string | number)[]): string {
  const name = path.filter((segment) => typeof segment === 'string').join('.');
  return path.some((segment) => typeof segment === 'number') ? `[[${name}]]` : `[${name}]`;
}

function reportIssue(
  issue: z.core.$ZodIssue,
  raw: unknown,
  schema: z.ZodType,
  origin: Origin,
  problems: ProblemList,
) {
  const path = issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, path);
    for (const key of issue.keys) {
      const elsewhere = ELSEWHERE.get(path.length === 0 ? key : '');
      problems.error(origin.place(...path, key), `unknown key${elsewhere ?? suggestion(key, known)}`);
    }
    return;
  }
  const value = valueAt(raw, path);
  const isSecret = path.some((segment) => typeof segment === 'string' && SECRET_KEYS.has(segment));
  const isTable = issue.code === 'invalid_type' && issue.expected === 'object';
  const message = isTable ? `expected a table, ${headOf(path)}` : issue.message;
  if (value === undefined) problems.error(origin.place(...path), `missing: ${issue.message}`);
  else if (isSecret) problems.error(origin.place(...path), message);
  else problems.error(origin.place(...path), `${message}, got ${describeValue(value)}`);
}

/**
 * Reads one TOML file against its schema. Adds to `problems` what does not fit, all of it in one go; null then.
 * A syntax error is told with its line but without the lines around it: one of them may hold a password.
 */
export function parseDocument<S extends z.ZodType>(
  source: SourceText,
  schema: S,
  problems: ProblemList,
): ParsedDocument<z.infer<S>> | null {
  let raw: unknown;
  try {
    raw = withoutBigInts(parse(source.text, { integersAsBigInt: 'asNeeded' }));
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 0;
    const text = error instanceof Error ? error.message.split('\n')[0] : String(error);
    const reason = text.startsWith('Invalid TOML document: ') ? text.slice(23) : text;
    problems.error({ source: source.name, line, key: '' }, `not valid TOML: ${reason}`);
    return null;
  }
  // Reading where everything stands takes as long as parsing it, and is of use only when something is wrong.
  let positions: TomlPositions | null = null;
  const lineOf = (path: KeyPath): number => {
    positions ??= new TomlPositions(source.text);
    return positions.lineOf(path);
  };
  return checkDocument(raw, new Origin(source.name, { lineOf }), schema, problems);
}

/** The same for what has been read otherwise. */
export function checkDocument<S extends z.ZodType>(
  raw: unknown,
  origin: Origin,
  schema: S,
  problems: ProblemList,
): ParsedDocument<z.infer<S>> | null {
  const result = schema.safeParse(raw);
  if (result.success) return { data: result.data, origin };
  for (const issue of result.error.issues) reportIssue(issue, raw, schema, origin, problems);
  return null;
}
