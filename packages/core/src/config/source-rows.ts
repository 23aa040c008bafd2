import type { PlacedInputs } from './configuration-change.js';
import { checkDocument, isSecretKey, suggestion } from './parse-document.js';
import { Origin, type ProblemList } from './problem-list.js';
import { type DatabaseInput, databaseSchema, type UserInput, userSchema } from './schema.js';

/** Rows of one query: texts, numbers, flags, lists of texts; null for what is not set. */
export interface SourceTable {
  columns: readonly string[];
  rows: readonly (readonly unknown[])[];
}

export interface SourceTables {
  databases: SourceTable;
  users: SourceTable;
}

/** More bad rows than this are one mistake. */
const BAD_ROWS_MAX = 20;

/** What [config_source] said at a moment. Prints without its rows, in which passwords stand. */
export class SourceRows {
  readonly #tables: SourceTables;
  /** ConfigSourceSettings.identity of whom it is from. */
  readonly identity: string;
  /** Epoch ms. */
  readonly atMs: number;
  /** Equal for equal rows. */
  readonly digest: string;

  constructor(tables: SourceTables, about: { identity: string; atMs: number; digest: string }) {
    this.#tables = tables;
    this.identity = about.identity;
    this.atMs = about.atMs;
    this.digest = about.digest;
  }

  get counts(): { databases: number; users: number } {
    return { databases: this.#tables.databases.rows.length, users: this.#tables.users.rows.length };
  }

  reveal(): SourceTables {
    return this.#tables;
  }
}

/** Adds its rows to what other sources have. One bad row is an error of the whole. */
export function addSourceRows(inputs: PlacedInputs, rows: SourceRows | null, problems: ProblemList): void {
  if (rows === null) return;
  const { databases, users } = rows.reveal();
  const add = <T>(list: { input: T; origin: Origin }[], table: SourceTable, name: 'databases' | 'users') => {
    const schema = name === 'databases' ? databaseSchema : userSchema;
    for (const { input, origin } of readTable(table, name, schema, problems))
      list.push({ input: input as T, origin });
  };
  add<DatabaseInput>(inputs.databases, databases, 'databases');
  add<UserInput>(inputs.users, users, 'users');
}

function readTable(
  { columns, rows }: SourceTable,
  name: string,
  schema: typeof databaseSchema | typeof userSchema,
  problems: ProblemList,
): { input: DatabaseInput | UserInput; origin: Origin }[] {
  const known = Object.keys(schema.shape);
  const place = (column: string) => new Origin(`config_source ${name}`).place(column);
  const seen = new Set<string>();
  for (const column of columns) {
    if (!known.includes(column)) problems.error(place(column), `unknown column${suggestion(column, known)}`);
    if (seen.has(column)) problems.error(place(column), 'is there twice');
    seen.add(column);
  }
  if (problems.hasErrors) return [];
  const read: { input: DatabaseInput | UserInput; origin: Origin }[] = [];
  let badCount = 0;
  for (const [index, cells] of rows.entries()) {
    const origin = new Origin(`config_source ${name} row ${index + 1}`);
    const checked = checkDocument(valuesOf(columns, cells, origin, problems), origin, schema, problems);
    if (checked !== null) read.push({ input: checked.data as DatabaseInput | UserInput, origin });
    else if (++badCount >= BAD_ROWS_MAX) break;
  }
  return read;
}

/** Who may write rows does not have files and variables of this machine read for him. */
function valuesOf(
  columns: readonly string[],
  cells: readonly unknown[],
  origin: Origin,
  problems: ProblemList,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [index, key] of columns.entries()) {
    const value = cells[index] ?? null;
    if (value === null) continue;
    if (isSecretKey(key) && [value].flat().some((one) => typeof one === 'object')) {
      problems.error(origin.place(key), 'a secret of a row stands in the row itself');
      continue;
    }
    values[key] = value;
  }
  return values;
}
