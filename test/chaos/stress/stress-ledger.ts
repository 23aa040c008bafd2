/** What was written under which name, and whether it must be there: each statement has a token of its own. */
import type { Answer } from './talk.js';

export type Fate = 'there' | 'absent' | 'doubt';

export interface Entry {
  readonly token: string;
  /** Rows that bear it: all of them are there or none. */
  readonly rows: number;
  readonly database: string;
  /** Who did what. */
  readonly what: string;
  fate: Fate;
  /** What its client was told. */
  told: string;
}

/** A commit that is lost with its connection may have been done: the one thing that Postgres does not tell either. */
const isOfConnections = (code: string): boolean => code.startsWith('08') || code.startsWith('57P');

export class StressLedger {
  readonly #entries = new Map<string, Entry>();
  #next = 1;

  /** Before it is sent. Until an answer has come it is in doubt. */
  open(database: string, rows: number, what: string): Entry {
    const token = `t${this.#next++}`;
    const entry: Entry = { token, rows, database, what, fate: 'doubt', told: 'nothing' };
    this.#entries.set(token, entry);
    return entry;
  }

  /** Of a statement that commits by itself. */
  settle(entries: readonly Entry[], { code, message }: Answer): void {
    for (const entry of entries) {
      entry.told = code === '' ? 'success' : `${code} ${message}`;
      entry.fate = code === '' ? 'there' : isOfConnections(code) ? 'doubt' : 'absent';
    }
  }

  end(entries: readonly Entry[], fate: Fate, told: string): void {
    for (const entry of entries) Object.assign(entry, { fate, told });
  }

  get size(): number {
    return this.#entries.size;
  }

  countOf(fate: Fate): number {
    return [...this.#entries.values()].filter((entry) => entry.fate === fate).length;
  }

  /** What is not as it was told; `found` has the rows of each token of a database. */
  compare(database: string, found: ReadonlyMap<string, number>): string[] {
    const problems: string[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.database !== database) continue;
      const count = found.get(entry.token) ?? 0;
      const isGood =
        (count === entry.rows && entry.fate !== 'absent') || (count === 0 && entry.fate !== 'there');
      if (!isGood)
        problems.push(
          `${database}: ${entry.token} is there ${count} times of ${entry.rows}, its client was told ${entry.told} (${entry.what})`,
        );
    }
    for (const token of found.keys())
      if (this.#entries.get(token)?.database !== database)
        problems.push(`${database}: ${token} is there, and nobody wrote it there`);
    return problems;
  }

  clear(): void {
    this.#entries.clear();
  }
}
