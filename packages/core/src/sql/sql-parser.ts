import { createRequire } from 'node:module';
import { nodesOf, type SqlNode } from './sql-node.js';

/** One statement of a parsed text. `start` and `end` are byte offsets in its UTF-8 form. */
export interface ParsedStatement {
  /** Type of the top node, such as 'SelectStmt'. */
  kind: string;
  node: SqlNode;
  start: number;
  /** Infinity for a statement that goes on to the end. */
  end: number;
}

/** Postgres's own grammar. One per thread; never throws. */
export interface SqlParser {
  /** @returns null when the grammar refuses the text, 'unread' when the parser failed for a reason of its own */
  parse(text: string): ParsedStatement[] | null | 'unread';
}

/** Longer texts are read by the lexer only. */
export const SQL_PARSE_BYTES_MAX = 64 * 1024;
/** Nested parentheses, brackets and CASEs. Postgres's own parser refuses a few thousand. */
export const SQL_PARSE_DEPTH_MAX = 200;
/**
 * Left-recursive chains (a+b+c…) nest the tree without nesting the text, two tokens a level. The stack of a
 * thread ends between 10,000 and 20,000 tokens.
 */
export const SQL_PARSE_TOKENS_MAX = 2_500;

/**
 * Each overflow of the JavaScript stack inside the module leaves the module's own stack a thirtieth shorter;
 * at its end every call traps, or never returns. A module is not used beyond this many.
 */
const OVERFLOWS_MAX = 4;

type Library = typeof import('libpg-query');

/** Loads the WebAssembly module (10-30 ms, once per thread). */
export async function loadSqlParser(): Promise<SqlParser> {
  return new LibraryParser(await loadLibrary());
}

/** Every call makes a module of its own: the package keeps one per evaluation of its entry file. */
async function loadLibrary(): Promise<Library> {
  const require = createRequire(import.meta.url);
  const path = require.resolve('libpg-query');
  delete require.cache[path];
  const library = require(path) as Library;
  await library.loadModule();
  return library;
}

class LibraryParser implements SqlParser {
  #library: Library;
  #overflowCount = 0;
  #isReloading = false;

  constructor(library: Library) {
    this.#library = library;
  }

  parse(text: string): ParsedStatement[] | null | 'unread' {
    // libpg-query refuses the empty string, and stops at NUL where the rest would go unread.
    if (text.length === 0) return [];
    if (text.includes('\0')) return null;
    if (this.#overflowCount >= OVERFLOWS_MAX) return 'unread';
    try {
      const result = this.#library.parseSync(text) as unknown as SqlNode;
      return nodesOf(result, 'stmts').map(toParsedStatement);
    } catch (error) {
      if (this.#library.hasSqlDetails(error)) return null;
      // A RangeError is the stack; a trap means that the module is done for.
      this.#overflowCount += error instanceof RangeError ? 1 : OVERFLOWS_MAX;
      void this.#reload();
      return 'unread';
    }
  }

  /** Replaces a damaged module as soon as the thread yields; the old one serves until then if it still can. */
  async #reload(): Promise<void> {
    if (this.#isReloading) return;
    this.#isReloading = true;
    try {
      this.#library = await loadLibrary();
      this.#overflowCount = 0;
    } finally {
      this.#isReloading = false;
    }
  }
}

function toParsedStatement(raw: SqlNode): ParsedStatement {
  const tree = raw.stmt as SqlNode;
  const kind = Object.keys(tree)[0];
  const start = (raw.stmt_location as number | undefined) ?? 0;
  // A length of 0 is left out of the JSON and means "to the end".
  const length = (raw.stmt_len as number | undefined) ?? 0;
  return { kind, node: tree[kind] as SqlNode, start, end: length === 0 ? Infinity : start + length };
}
