/*
 * What one level of a query (SELECT, UPDATE, DELETE…) says of the tenant's column of each thing it names in FROM.
 *
 * A claim is always "if it has the column, its rows here are of one tenant": what lacks the column claims nothing.
 * Where a name without qualification is used, Postgres itself sees to it that one thing only has the column.
 */

/** Rows of one tenant only. */
export const ALWAYS = 0;
/** Not as far as the text tells. */
export const NEVER = -1;
/** ALWAYS, NEVER, or the number of a query: if what that query shows as the tenant's column is pinned from outside. */
export type Pin = number;

export interface Item {
  pin: Pin;
  /** Pinned by a name that may as well mean the column of a query further out: it vouches for nobody in USING. */
  isWeak: boolean;
  /** Its columns were given other names: none of them can be recognised. */
  isRenamed: boolean;
}

/** A name by which columns may be qualified, and what it stands for: several items for a join with an alias. */
export interface Name {
  readonly name: string;
  /** '' for an alias, and for a table named without one. */
  readonly schema: string;
  readonly items: readonly number[];
}

interface Edge {
  readonly from: number;
  readonly to: number;
  /** Of USING or NATURAL. */
  readonly isMerge: boolean;
}

/** A column of the tenant, as a reference finds it. */
export type Found =
  /** One of these, of this level. */
  { items: readonly number[] } | { outer: Pin };

function rank(pin: Pin, own: number): number {
  if (pin === ALWAYS) return 3;
  if (pin === NEVER) return 0;
  return pin === own ? 1 : 2;
}

export class Level {
  /** Number of its query; NEVER a pin of its own where the query's columns cannot be pinned from outside. */
  readonly query: number;
  readonly outer: Level | null;
  readonly items: Item[] = [];
  /** In force for WHERE and everything behind it. */
  names: readonly Name[] = [];
  private readonly edges: Edge[] = [];

  constructor(query: number, outer: Level | null) {
    this.query = query;
    this.outer = outer;
  }

  add(pin: Pin, isRenamed: boolean): number {
    this.items.push({ pin, isWeak: false, isRenamed });
    return this.items.length - 1;
  }

  /** The column qualified by `path` (a name, or schema and name). null: not here and not further out, or not for certain. */
  find(path: readonly string[], names: readonly Name[] = this.names): Found | null {
    const [schema, name] = path.length > 1 ? path : ['', path[0]];
    const matching = names.filter(
      (each) => each.name === name && (schema === '' || each.schema === '' || each.schema === schema),
    );
    if (matching.length > 1) return null;
    if (matching.length === 1) {
      const items = matching[0].items.filter((item) => !this.items[item].isRenamed);
      return items.length === matching[0].items.length ? { items } : null;
    }
    const found = this.outer?.find(path) ?? null;
    if (found === null || 'outer' in found) return found;
    return { outer: this.outer?.ofAll(found.items) ?? NEVER };
  }

  /** What holds of all of these. */
  ofAll(items: readonly number[]): Pin {
    let all: Pin = ALWAYS;
    for (const item of items) {
      const { pin, isRenamed } = this.items[item];
      // Two conditions at once have no number.
      if (isRenamed || (pin !== ALWAYS && all !== ALWAYS && pin !== all)) return NEVER;
      if (pin !== ALWAYS) all = pin;
    }
    return items.length === 0 ? NEVER : all;
  }

  /** Rows of these are of one tenant, on condition `pin`. */
  pin(items: Iterable<number>, pin: Pin, isWeak = false): void {
    for (const index of items) {
      const item = this.items[index];
      if (item.isRenamed || rank(pin, this.query) < rank(item.pin, this.query)) continue;
      const isBetter = rank(pin, this.query) > rank(item.pin, this.query);
      if (isBetter || item.isWeak) item.isWeak = isWeak;
      if (isBetter) item.pin = pin;
    }
  }

  /** Where a row of `to` is to be seen, its tenant is that of the row of `from`. */
  link(from: number, to: number, isMerge = false): void {
    const isUseless = from === to || this.items[from].isRenamed || this.items[to].isRenamed;
    if (!isUseless) this.edges.push({ from, to, isMerge });
  }

  /** Lets what is pinned pin what is linked to it. */
  spread(): void {
    for (let hasChanged = true; hasChanged; ) {
      hasChanged = false;
      for (const { from, to, isMerge } of this.edges) {
        const source = this.items[from];
        if (isMerge && source.isWeak) continue;
        const before = this.items[to].pin;
        this.pin([to], source.pin);
        if (this.items[to].pin !== before) hasChanged = true;
      }
    }
  }
}
