/** ADD, ALTER and DROP of databases and users while the program runs: a layer over files, URLs and whatever else there is. */
import { checkDocument, describeValue, isSecretKey } from './parse-document.js';
import { Origin, type Place, type ProblemList } from './problem-list.js';
import { type DatabaseInput, databaseSchema, type UserInput, userSchema } from './schema.js';
import { Secret } from './secret.js';

export type ChangeKind = 'database' | 'user';

export interface ConfigurationChange {
  verb: 'add' | 'alter' | 'drop';
  kind: ChangeKind;
  name: string;
  /** Which of several entries of that name: see CHANGE_SELECTORS. */
  where: Readonly<Record<string, unknown>>;
  /** As they would stand in a file, secrets as Secret; null: the key is taken away. */
  values: Readonly<Record<string, unknown>>;
  /** `ADD DATABASE "shop" by admin`, or the file that it is kept in. */
  source: string;
  line: number;
}

/** What tells entries of one name apart. */
export const CHANGE_SELECTORS: Readonly<Record<ChangeKind, readonly string[]>> = {
  database: ['host', 'port', 'role', 'shard'],
  user: ['database'],
};

/** Of these a value is never shown. */
export function hideSecrets(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const hide = (value: unknown): unknown => (typeof value === 'string' ? new Secret(value) : value);
  const hidden: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (!isSecretKey(key)) hidden[key] = value;
    else hidden[key] = Array.isArray(value) ? value.map(hide) : hide(value);
  }
  return hidden;
}

/** An entry as written, and where. */
export interface PlacedInput<T> {
  input: T;
  origin: Origin;
}

export interface PlacedInputs {
  databases: PlacedInput<DatabaseInput>[];
  users: PlacedInput<UserInput>[];
}

export interface ChangesApplied extends PlacedInputs {
  /** They name nothing that is there: told as warnings, since files may have lost it since. */
  unmatched: Set<ConfigurationChange>;
}

/** One after another. What does not fit is told with the change it comes from. */
export function applyChanges(
  changes: readonly ConfigurationChange[],
  given: PlacedInputs,
  problems: ProblemList,
): ChangesApplied {
  let databases = [...given.databases];
  let users = [...given.users];
  const unmatched = new Set<ConfigurationChange>();
  for (const change of changes) {
    const before = unmatched.size;
    if (change.verb !== 'add' && !isThere({ databases, users }, change)) unmatched.add(change);
    else if (change.kind === 'database') {
      databases = applyTo(databases, change, databaseSchema, matchesDatabase, problems);
    } else users = applyTo(users, change, userSchema, matchesUser, problems);
    if (unmatched.size === before) continue;
    problems.warning(placeOf(change, ''), `has no effect: there is no ${describeTarget(change)}`);
  }
  return { databases, users, unmatched };
}

function isThere({ databases, users }: PlacedInputs, { kind, name, where }: ConfigurationChange): boolean {
  if (kind === 'database')
    return databases.some(({ input }) => input.name === name && matchesDatabase(input, where));
  return users.some(({ input }) => input.name === name && matchesUser(input, where));
}

/** `database "shop" with host "10.0.0.2"` */
export function describeTarget({ kind, name, where }: ConfigurationChange): string {
  const selectors = Object.entries(where).map(([key, value]) => `${key} ${describeValue(value)}`);
  const which = selectors.length === 0 ? '' : ` with ${selectors.join(' and ')}`;
  return `${kind} "${name.slice(0, 63)}"${which}`;
}

/** An ADD adds to the list it is given: thousands of them copy nothing. */
function applyTo<T extends DatabaseInput | UserInput>(
  entries: PlacedInput<T>[],
  change: ConfigurationChange,
  schema: typeof databaseSchema | typeof userSchema,
  matches: (input: T, where: ConfigurationChange['where']) => boolean,
  problems: ProblemList,
): PlacedInput<T>[] {
  const { verb, name, where } = change;
  const values = revealed(change.values);
  const checked = (base: object, origin: Origin): PlacedInput<T>[] => {
    const document = checkDocument(withValues(base, values), origin, schema, problems);
    return document === null ? [] : [{ input: document.data as T, origin }];
  };
  if (verb === 'add') {
    entries.push(...checked({ name }, originOf(change)));
    return entries;
  }
  return entries.flatMap((entry) => {
    if (entry.input.name !== name || !matches(entry.input, where)) return [entry];
    return verb === 'drop' ? [] : checked(entry.input, overlaid(entry.origin, change));
  });
}

/** Null takes a key away. */
function withValues(input: object, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...input };
  for (const [key, value] of Object.entries(values)) {
    if (value === null) delete result[key];
    else result[key] = value;
  }
  return result;
}

function revealed(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const reveal = (value: unknown): unknown => (value instanceof Secret ? value.reveal() : value);
  const pairs = Object.entries(values);
  return Object.fromEntries(
    pairs.map(([key, value]) => [key, Array.isArray(value) ? value.map(reveal) : reveal(value)]),
  );
}

function matchesDatabase(input: DatabaseInput, where: ConfigurationChange['where']): boolean {
  const said: Record<string, unknown> = {
    host: input.host,
    port: input.port ?? 5432,
    role: input.role ?? 'primary',
    shard: input.shard ?? 0,
  };
  return Object.entries(where).every(([key, value]) => said[key] === value);
}

function matchesUser(input: UserInput, { database }: ConfigurationChange['where']): boolean {
  if (database === undefined || input.database === database) return true;
  return input.databases?.some((name) => name === database) === true;
}

function placeOf({ source, line }: ConfigurationChange, key: string): Place {
  return { source, line, key };
}

function originOf({ source, line }: ConfigurationChange): Origin {
  return new Origin(source, { lineOf: () => line });
}

/** Keys that were altered are told as of the change, the others as of where they were. */
function overlaid(origin: Origin, change: ConfigurationChange): Origin {
  const own = originOf(change);
  return new Origin(change.source, {
    placeOf: (path) => (Object.hasOwn(change.values, String(path[0])) ? own : origin).place(...path),
  });
}
