import type { CatalogColumn } from './shard-catalog.js';

/** The key of a sharded table as a column of something in FROM. */
export interface KeyColumn {
  /** In the graph of keys. */
  readonly node: number;
  /** No outer join puts NULL in its place. */
  readonly isExact: boolean;
  /** Of a table itself, not of a query. */
  readonly isOwn: boolean;
  /** No row of its table has NULL there. Absent: some may. */
  readonly isNeverNull?: boolean;
}

export interface ShownColumn {
  /** '' where Postgres gives it one that is not known here. */
  readonly name: string;
  readonly key: KeyColumn | null;
  /** null: not a column of a table as it is. */
  readonly type: CatalogColumn | null;
  /** Of what a query makes of columns: what is known of its values without their type. Absent: nothing. */
  readonly made?: MadeValues;
}

/** See value-facts. */
export interface MadeValues {
  readonly isBuiltin: boolean;
  readonly isDeterministic: boolean;
  readonly isOfOneScale: boolean;
}

/** What columns may be qualified by. */
export interface Entry {
  readonly name: string;
  /** Of a table named without an alias; null else. */
  readonly schema: string | null;
  readonly columns: readonly ShownColumn[];
  /** It may have columns that are not known here. */
  readonly isOpaque: boolean;
  /** A sharded table itself. */
  readonly isSharded: boolean;
}

/** One thing in FROM, or several that are joined. */
export interface FromPart {
  readonly entries: readonly Entry[];
  /** As `*` shows them. */
  readonly columns: readonly ShownColumn[];
  readonly isOpaque: boolean;
  /** Keys that a condition on it restricts. */
  readonly nodes: readonly number[];
  /** Table references of which each row of it has exactly one row in it. */
  readonly splits: readonly number[];
}

/** The column, or how it was not found: `opaque` may be anything, `none` is no column of what is named. */
export type Found = ShownColumn | 'opaque' | 'none';

/** What names mean at one level of a query. */
export class Scope {
  readonly parts: readonly FromPart[];
  readonly outer: Scope | null;
  readonly entries: readonly Entry[];
  readonly columns: readonly ShownColumn[];
  readonly isOpaque: boolean;
  /** Keys that a condition here restricts. */
  readonly nodes: ReadonlySet<number>;

  constructor(parts: readonly FromPart[], outer: Scope | null) {
    this.parts = parts;
    this.outer = outer;
    this.entries = parts.flatMap(({ entries }) => entries);
    this.columns = parts.flatMap(({ columns }) => columns);
    this.isOpaque = parts.some(({ isOpaque }) => isOpaque);
    this.nodes = new Set(parts.flatMap(({ nodes }) => nodes));
  }

  find(path: readonly string[]): Found {
    if (path.length === 1) return this.#findBare(path[0]);
    if (path.length > 3) return 'opaque';
    const entry = this.entry(path.slice(0, -1));
    if (entry === null) return 'opaque';
    const found = entry.columns.filter(({ name }) => name === path[path.length - 1]);
    if (found.length === 1) return found[0];
    return entry.isOpaque || found.length > 1 || hasUnnamed(entry.columns) ? 'opaque' : 'none';
  }

  /** Something in FROM at this level has a column of that name, or may have. */
  mayHave(name: string): boolean {
    return this.isOpaque || hasUnnamed(this.columns) || this.columns.some((column) => column.name === name);
  }

  /** @param path of what qualifies a column. null: not found, or more than one */
  entry(path: readonly string[]): Entry | null {
    const schema = path.length === 2 ? path[0] : null;
    const name = path[path.length - 1];
    for (let scope: Scope | null = this; scope !== null; scope = scope.outer) {
      const found = scope.entries.filter(
        (entry) => entry.name === name && (schema === null || entry.schema === schema),
      );
      if (found.length > 0) return found.length === 1 ? found[0] : null;
    }
    return null;
  }

  #findBare(name: string): Found {
    for (let scope: Scope | null = this; scope !== null; scope = scope.outer) {
      const found = scope.columns.filter((column) => column.name === name);
      if (found.length > 0) return found.length === 1 ? found[0] : 'opaque';
      if (scope.isOpaque || hasUnnamed(scope.columns)) return 'opaque';
    }
    return 'opaque';
  }
}

export function hasUnnamed(columns: readonly ShownColumn[]): boolean {
  return columns.some(({ name }) => name === '');
}

/** As the side of an outer join that may be missing. */
export function nullable(part: FromPart): FromPart {
  const changed = new Map<ShownColumn, ShownColumn>();
  const change = (column: ShownColumn): ShownColumn => {
    const known = changed.get(column);
    if (known !== undefined) return known;
    const key = column.key === null ? null : { ...column.key, isExact: false };
    const shown = { ...column, key };
    changed.set(column, shown);
    return shown;
  };
  return {
    ...part,
    columns: part.columns.map(change),
    entries: part.entries.map((entry) => ({ ...entry, columns: entry.columns.map(change) })),
    splits: [],
  };
}

/** With the names of an alias's list of columns. */
export function renamed(columns: readonly ShownColumn[], names: readonly string[]): ShownColumn[] {
  return columns.map((column, i) => (i < names.length ? { ...column, name: names[i] } : column));
}
