/** Files that other files of the configuration name: `include = ["conf.d/*.toml", "tenants/"]`. */
import type { ParsedDocument, SourceText } from './parse-document.js';
import type { Origin, Place, ProblemList } from './problem-list.js';
import type { ReadDocument } from './read-documents.js';
import { type IncludedInput, includedSchema } from './schema.js';

/** What reads files for us; the core does not. */
export interface IncludeReader {
  /**
   * Files that a path, a directory or a glob of the file `from` names, sorted; as they are to be called in messages.
   * @throws with a `code` or a message, for a path that is not there
   */
  find(pattern: string, from: string): string[];
  /** @throws */
  read(name: string): string;
  /** The same for one file however it is called. */
  identityOf(name: string): string;
}

/** A file includes one that includes …: more is a maze. */
export const INCLUDE_DEPTH_MAX = 8;
/** Several for each of thousands of tenants. */
export const INCLUDED_FILES_MAX = 20_000;

/** Reads what is included, depth first: a file stands before those that it includes. */
export class IncludeFiles {
  readonly #reader: IncludeReader | undefined;
  readonly #readDocument: ReadDocument;
  readonly #problems: ProblemList;
  /** By identity: where it is included; null for a file that is none. */
  readonly #seen = new Map<string, Place | null>();
  readonly names: string[] = [];

  constructor(reader: IncludeReader | undefined, readDocument: ReadDocument, problems: ProblemList) {
    this.#reader = reader;
    this.#readDocument = readDocument;
    this.#problems = problems;
  }

  /** A file that was given otherwise: nothing may include it. */
  known({ name }: SourceText): void {
    if (this.#reader !== undefined) this.#seen.set(this.#reader.identityOf(name), null);
  }

  /** Those that `document` includes, and those that these include. */
  of(document: ParsedDocument<{ include?: string[] }>, depth = 1): ParsedDocument<IncludedInput>[] {
    const found: ParsedDocument<IncludedInput>[] = [];
    for (const [index, pattern] of (document.data.include ?? []).entries()) {
      const place = document.origin.place('include', index);
      if (depth > INCLUDE_DEPTH_MAX) {
        this.#problems.error(place, `files include each other more than ${INCLUDE_DEPTH_MAX} deep`);
        break;
      }
      for (const name of this.#find(pattern, document.origin, place)) {
        const included = this.#read(name, place);
        if (included !== null) found.push(included, ...this.of(included, depth + 1));
      }
    }
    return found;
  }

  #find(pattern: string, { source }: Origin, place: Place): string[] {
    try {
      if (this.#reader === undefined) throw new Error('files cannot be included here');
      return this.#reader.find(pattern, source);
    } catch (error) {
      this.#problems.error(place, `"${pattern}": ${reasonOf(error)}`);
      return [];
    }
  }

  #read(name: string, place: Place): ParsedDocument<IncludedInput> | null {
    const identity = this.#reader!.identityOf(name);
    const before = this.#seen.get(identity);
    if (before !== undefined) {
      const why = before === null ? 'it is read already' : `it is included already (${whereOf(before)})`;
      this.#problems.error(place, `${name} cannot be included: ${why}`);
      return null;
    }
    this.#seen.set(identity, place);
    if (this.names.length >= INCLUDED_FILES_MAX) {
      this.#problems.error(place, `more than ${INCLUDED_FILES_MAX} files are included`);
      return null;
    }
    this.names.push(name);
    try {
      const text = this.#reader!.read(name);
      return this.#readDocument({ name, text }, includedSchema);
    } catch (error) {
      this.#problems.error(place, `${name}: ${reasonOf(error)}`);
      return null;
    }
  }
}

function whereOf({ source, line }: Place): string {
  return line > 0 ? `${source}:${line}` : source;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'cannot be read';
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file or directory';
  return code === '' ? error.message : code === 'EACCES' ? 'permission denied' : code;
}
