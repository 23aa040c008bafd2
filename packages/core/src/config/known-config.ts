/**
 * What was made of a configuration that was read before, by what it was made of. Where thousands of entries are as they were,
 * they are the same objects again: reading them again costs next to nothing, and what follows sees at one look that nothing
 * has changed. Nothing of it is ever written to.
 */
import type * as z from 'zod';
import type { GeneralSettings } from './defaults.js';
import type { DatabaseEntry, UserEntry } from './loaded-config.js';
import { type KnownBlocks, parseBlocks } from './parse-blocks.js';
import { type ParsedDocument, parseDocument, type SourceText } from './parse-document.js';
import type { ProblemList } from './problem-list.js';
import type { DatabaseInput, UserInput } from './schema.js';

const NO_BLOCKS: KnownBlocks = new Map();

interface KnownDocument {
  text: string;
  schema: z.ZodObject;
  document: ParsedDocument<unknown>;
  blocks: KnownBlocks;
}

/** Of the last time, and of this time. What is not used again is forgotten. */
class Generations<K, V> {
  #before = new Map<K, V>();
  #now = new Map<K, V>();

  get(key: K): V | undefined {
    return this.#now.get(key) ?? this.#before.get(key);
  }

  set(key: K, value: V): void {
    this.#now.set(key, value);
  }

  begin(): void {
    this.#now = new Map();
  }

  end(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }
}

export class KnownConfig {
  readonly #documents = new Generations<string, KnownDocument>();
  readonly #databases = new Generations<DatabaseInput, DatabaseEntry>();
  readonly #users = new Generations<UserInput, UserEntry>();
  /** With what [general] adds to them. */
  readonly #wholes = new Generations<DatabaseEntry, DatabaseEntry>();
  #terms = '';
  #checked: ReadonlySet<object> = new Set();
  #checkedNow = new Set<object>();

  /** All files are read anew. */
  beginReading(): void {
    this.#documents.begin();
  }

  endReading(): void {
    this.#documents.end();
  }

  /** Like parseDocument(). */
  document<S extends z.ZodObject>(
    source: SourceText,
    schema: S,
    problems: ProblemList,
  ): ParsedDocument<z.infer<S>> | null {
    const { name, text } = source;
    const known = this.#documents.get(name);
    const before = known?.schema === schema ? known : undefined;
    if (before?.text === text) {
      this.#documents.set(name, before);
      return before.document as ParsedDocument<z.infer<S>>;
    }
    const blocked = parseBlocks(source, schema, before?.blocks ?? NO_BLOCKS);
    const document = blocked?.document ?? parseDocument(source, schema, problems);
    if (document !== null) {
      this.#documents.set(name, { text, schema, document, blocks: blocked?.blocks ?? NO_BLOCKS });
    }
    return document;
  }

  /** Entries are made and checked anew. @param terms what else each of them is checked by */
  beginEntries(terms: GeneralSettings): void {
    for (const generations of [this.#databases, this.#users, this.#wholes]) generations.begin();
    this.#checkedNow = new Set();
    const text = JSON.stringify(terms);
    if (text !== this.#terms) this.#checked = new Set();
    this.#terms = text;
  }

  endEntries(): void {
    for (const generations of [this.#databases, this.#users, this.#wholes]) generations.end();
    this.#checked = this.#checkedNow;
  }

  /** Nothing if the same entry has passed by the same terms. What is said of an entry is said each time. */
  checkOnce(entry: object, problems: ProblemList, check: () => void): void {
    if (!this.#checked.has(entry)) {
      const { toldCount } = problems;
      check();
      if (problems.toldCount > toldCount) return;
    }
    this.#checkedNow.add(entry);
  }

  /** What was made of the same input, if the input is all that it is made of. */
  database(input: DatabaseInput, make: () => DatabaseEntry): DatabaseEntry {
    return isElsewhere(input.password) ? make() : obtain(this.#databases, input, make);
  }

  user(input: UserInput, make: () => UserEntry): UserEntry {
    const { password, passwords = [], password_hash, server_password } = input;
    const secrets = [password, ...passwords, password_hash, server_password];
    return secrets.some(isElsewhere) ? make() : obtain(this.#users, input, make);
  }

  /** `whole`, or what is equal to it, of the same `entry`. */
  whole(entry: DatabaseEntry, whole: DatabaseEntry): DatabaseEntry {
    const before = this.#wholes.get(entry);
    const same = before !== undefined && areWaysSame(before, whole) ? before : whole;
    this.#wholes.set(entry, same);
    return same;
  }
}

/** A variable or a file may say something else each time. */
function isElsewhere(secret: unknown): boolean {
  return typeof secret === 'object';
}

function obtain<K, V>(generations: Generations<K, V>, key: K, make: () => V): V {
  const value = generations.get(key) ?? make();
  generations.set(key, value);
  return value;
}

function areWaysSame(one: DatabaseEntry, other: DatabaseEntry): boolean {
  const [mine, theirs] = [one.authQuery, other.authQuery];
  if (one.patroniUrls.join('\0') !== other.patroniUrls.join('\0')) return false;
  if (mine === null || theirs === null) return mine === theirs;
  const isSameSecret = mine.password?.reveal() === theirs.password?.reveal();
  return (
    isSameSecret && mine.user === theirs.user && mine.database === theirs.database && mine.sql === theirs.sql
  );
}
