import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_QUOTED, TOKEN_WORD } from './lexer.js';
import {
  IS_SAFE_BEFORE_PAREN,
  STARTS_QUERY,
  sqlWords,
  WORD_AS,
  WORD_CASE,
  WORD_CONFLICT,
  WORD_END,
  WORD_INSERT,
  WORD_INTO,
  WORD_JOIN,
  WORD_MASK,
  WORD_MERGE,
  WORD_ON,
  WORD_OVER,
  WORD_PG_CATALOG,
  WORD_PG_SETTINGS,
} from './sql-words.js';

const BYTE_DOUBLE_QUOTE = 0x22;
const BYTE_OPEN = 0x28;
const BYTE_CLOSE = 0x29;
const BYTE_DOT = 0x2e;
const BYTE_SEMICOLON = 0x3b;
const BYTE_OPEN_BRACKET = 0x5b;
const BYTE_CLOSE_BRACKET = 0x5d;

/** How much of `INSERT INTO name.name (` has been read. */
const TARGET_NONE = 0;
/** INTO is being read. */
const TARGET_INTO = 1;
/** A part of the name is due. */
const TARGET_DUE = 2;
/** A part has been read; '(' would open the column list. */
const TARGET_READ = 3;

/**
 * One pass of the lexer over a whole text: proves most statements harmless without a parse, and measures what
 * the parser must be spared. The same rules as isPlainSql, with names, dollar quotes and several statements
 * understood; statements that do not query (BEGIN, SET, DDL…) are left to the parser, whose plans are cached.
 */
export class TextScan {
  /** Every statement only queries, and calls only harmless built-ins. */
  isHarmless = true;
  isMalformed = false;
  hasBackslash = false;
  /** Deepest nesting of parentheses, brackets and CASE. */
  depthMax = 0;
  tokenCount = 0;

  readonly #lexer = new SqlLexer();
  #depth = 0;
  #isStatementStart = true;
  #startsWithInsert = false;
  #hasJoin = false;
  #target = TARGET_NONE;
  /** Kinds and word values of the last two tokens. */
  #kind = TOKEN_END;
  #value = 0;
  #kindBefore = TOKEN_END;
  #valueBefore = 0;
  /** The last token is a name after a '.', and not one of pg_catalog. */
  #isForeign = false;
  /** The last token is '.', and what stood before it was a bare pg_catalog. */
  #isCatalogDot = false;

  /** Reads bytes[start, end); the fields hold the answer until the next call. */
  read(bytes: Uint8Array, start: number, end: number): this {
    this.#clear();
    const lexer = this.#lexer;
    lexer.reset(bytes, start, end);
    for (let kind = lexer.next(); kind !== TOKEN_END; kind = lexer.next()) {
      if (kind === TOKEN_MALFORMED) {
        this.isMalformed = true;
        this.isHarmless = false;
        break;
      }
      this.tokenCount++;
      const value = kind === TOKEN_WORD ? sqlWords.find(bytes, lexer.start, lexer.end) : 0;
      if (kind === TOKEN_QUOTED && mayBeSettings(bytes, lexer.start, lexer.end)) this.isHarmless = false;
      this.#take(kind, value);
      this.#kindBefore = this.#kind;
      this.#valueBefore = this.#value;
      this.#kind = kind;
      this.#value = value;
    }
    this.hasBackslash = lexer.hasBackslash;
    return this;
  }

  #clear(): void {
    this.isHarmless = true;
    this.isMalformed = false;
    this.depthMax = 0;
    this.tokenCount = 0;
    this.#depth = 0;
    this.#kindBefore = TOKEN_END;
    this.#valueBefore = 0;
    this.#startStatement();
  }

  #startStatement(): void {
    this.#isStatementStart = true;
    this.#startsWithInsert = false;
    this.#hasJoin = false;
    this.#target = TARGET_NONE;
    this.#isForeign = false;
    this.#isCatalogDot = false;
    this.#kind = TOKEN_END;
    this.#value = 0;
  }

  #take(kind: number, value: number): void {
    switch (kind) {
      case TOKEN_WORD:
        this.#takeWord(value);
        this.#takeName();
        return;
      case TOKEN_QUOTED:
        if (this.#isStatementStart) this.isHarmless = false;
        this.#takeName();
        return;
      case BYTE_DOT:
        this.#target = this.#target === TARGET_READ ? TARGET_DUE : TARGET_NONE;
        this.#isCatalogDot = (this.#value & WORD_MASK) === WORD_PG_CATALOG && this.#kindBefore !== BYTE_DOT;
        return;
      case BYTE_OPEN:
        this.#open();
        this.#target = TARGET_NONE;
        return;
      case BYTE_SEMICOLON:
        this.#startStatement();
        return;
      case BYTE_OPEN_BRACKET:
        this.#nest(1);
        break;
      case BYTE_CLOSE:
      case BYTE_CLOSE_BRACKET:
        this.#nest(-1);
        break;
    }
    this.#target = TARGET_NONE;
    if (this.#isStatementStart) this.isHarmless = false;
  }

  #takeWord(value: number): void {
    const word = value & WORD_MASK;
    if (this.#isStatementStart) {
      if ((value & STARTS_QUERY) === 0) this.isHarmless = false;
      this.#isStatementStart = false;
      this.#startsWithInsert = word === WORD_INSERT;
    }
    switch (word) {
      case WORD_INTO: {
        const before = this.#value & WORD_MASK;
        // SELECT … INTO makes a table, perhaps a temporary one; SELECT a, insert INTO t too.
        const isWrite = before === WORD_INSERT || before === WORD_MERGE;
        if (!isWrite || !this.#startsHere(this.#kindBefore)) this.isHarmless = false;
        this.#target = before === WORD_INSERT ? TARGET_INTO : TARGET_NONE;
        break;
      }
      case WORD_JOIN:
        this.#hasJoin = true;
        break;
      case WORD_CASE:
        this.#nest(1);
        break;
      case WORD_END:
        this.#nest(-1);
        break;
      case WORD_PG_SETTINGS:
        // Read or updated: the tree tells.
        this.isHarmless = false;
        break;
    }
  }

  /** Whether a statement can start behind a token of this kind. After WITH … it may as well: the tree tells. */
  #startsHere(before: number): boolean {
    return before === TOKEN_END || before === BYTE_SEMICOLON || before === BYTE_OPEN;
  }

  /** After a word or a quoted name. */
  #takeName(): void {
    this.#isForeign = this.#kind === BYTE_DOT && !this.#isCatalogDot;
    if (this.#target === TARGET_INTO) this.#target = TARGET_DUE;
    else this.#target = this.#target === TARGET_DUE ? TARGET_READ : TARGET_NONE;
  }

  #open(): void {
    this.#nest(1);
    if (this.#kind !== TOKEN_WORD && this.#kind !== TOKEN_QUOTED) return;
    if (this.#target === TARGET_READ) return;
    const word = this.#value & WORD_MASK;
    const before = this.#valueBefore & WORD_MASK;
    // `AS name (` lists columns or type modifiers, nothing in a query calls a function there.
    if (before === WORD_AS && !this.#isForeign) return;
    if (this.#kind === TOKEN_WORD && !this.#isForeign) {
      if ((this.#value & IS_SAFE_BEFORE_PAREN) !== 0) return;
      if (word === WORD_OVER && this.#kindBefore === BYTE_CLOSE) return;
      // After JOIN … ON, conflict(…) would be a call; so it could in a query before the INSERT.
      if (word === WORD_CONFLICT && before === WORD_ON && this.#startsWithInsert && !this.#hasJoin) return;
    }
    this.isHarmless = false;
  }

  #nest(step: 1 | -1): void {
    this.#depth = Math.max(0, this.#depth + step);
    this.depthMax = Math.max(this.depthMax, this.#depth);
  }
}

/** "pg_settings", or U&"…", in which any name may hide. */
function mayBeSettings(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== BYTE_DOUBLE_QUOTE) return true;
  return (sqlWords.find(bytes, start + 1, end - 1) & WORD_MASK) === WORD_PG_SETTINGS;
}
