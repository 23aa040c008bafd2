import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_QUOTED, TOKEN_WORD } from '../sql/lexer.js';

const OPEN = 0x28;
const CLOSE = 0x29;
const COMMA = 0x2c;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

export interface Token {
  readonly kind: number;
  readonly start: number;
  readonly end: number;
  /** Of parentheses and brackets around it; they themselves are outside. */
  readonly depth: number;
  /** In lower case; '' for what is no bare word. */
  readonly word: string;
}

/** Clauses of a SELECT behind FROM, each of which ends the one before. */
const CLAUSES = new Set(['group', 'having', 'window', 'order', 'limit', 'offset', 'fetch', 'for']);
/** What stands before an argument list, and says how it is taken. */
const ARGUMENT_WORDS = new Set(['all', 'distinct']);

/** An aggregate's call in the text: what stands in its parentheses, without DISTINCT, and in those of its FILTER. */
export interface CallText {
  readonly argument: string;
  readonly filter: string | null;
}

/**
 * Where the parts of one SELECT stand in its text, as far as tokens tell: whoever makes another text of them reads it with
 * Postgres's grammar and sees whether it is what is meant.
 */
export class SelectText {
  readonly #bytes: Uint8Array;
  readonly #tokens: readonly Token[];
  /** Tokens [from, to) each. */
  readonly #list: readonly [number, number];
  readonly #clauses: ReadonlyMap<string, readonly [number, number]>;
  readonly #fromEnd: number;

  private constructor(bytes: Uint8Array, tokens: readonly Token[], first: number, from: number) {
    this.#bytes = bytes;
    this.#tokens = tokens;
    this.#list = [first, from];
    const starts: number[] = [];
    for (let at = from + 1; at < tokens.length; at++) {
      const isName = tokens[at - 1].kind === DOT;
      if (tokens[at].depth === 0 && CLAUSES.has(tokens[at].word) && !isName) starts.push(at);
    }
    this.#fromEnd = starts[0] ?? tokens.length;
    this.#clauses = new Map(
      starts.map((start, i) => [tokens[start].word, [start, starts[i + 1] ?? tokens.length]]),
    );
  }

  /** @param bytes one statement, with nothing but spaces, comments and a semicolon around it. null: it is none like this */
  static of(bytes: Uint8Array): SelectText | null {
    const tokens = tokensOf(bytes);
    if (tokens === null) return null;
    const select = tokens.findIndex(({ depth, word }) => depth === 0 && word === 'select');
    if (select < 0) return null;
    const first = listStart(tokens, select);
    const from = tokens.findIndex(({ depth, word }, at) => {
      if (at < first || depth !== 0 || word !== 'from') return false;
      const before = tokens[at - 1];
      // IS DISTINCT FROM; what is called so by AS or behind a dot.
      return before.word !== 'distinct' && before.word !== 'as' && before.kind !== DOT;
    });
    return from < 0 ? null : new SelectText(bytes, tokens, first, from);
  }

  #text(from: number, to: number): string {
    if (from >= to) return '';
    const { buffer, byteOffset } = this.#bytes;
    const start = this.#tokens[from].start;
    return Buffer.from(buffer, byteOffset + start, this.#tokens[to - 1].end - start).toString('utf8');
  }

  /** WITH and what it names, SELECT, and what stands behind it if that is kept. */
  head(keepsDistinct: boolean): string {
    const [first] = this.#list;
    const isMarked = ARGUMENT_WORDS.has(this.#tokens[first - 1].word);
    return this.#text(0, isMarked && !keepsDistinct ? first - 1 : first);
  }

  /** The select list as it stands. */
  get list(): string {
    return this.#text(...this.#list);
  }

  /** FROM and WHERE. */
  get source(): string {
    return this.#text(this.#list[1], this.#fromEnd);
  }

  /** Clauses behind FROM and WHERE, without LIMIT and OFFSET. */
  get clauses(): string {
    const kept = [...this.#clauses].filter(([word]) => !['limit', 'offset', 'fetch'].includes(word));
    return kept.map(([, [from, to]]) => this.#text(from, to)).join('\n');
  }

  get having(): string {
    const clause = this.#clauses.get('having');
    return clause === undefined ? '' : this.#text(...clause);
  }

  /** Expressions of the select list. @param isNamed by item: a name of its own stands behind it */
  targets(isNamed: readonly boolean[]): string[] | null {
    const items = this.#items(...this.#list);
    if (items.length !== isNamed.length) return null;
    return items.map(([from, to], i) => this.#text(from, isNamed[i] ? this.#withoutName(from, to) : to));
  }

  #withoutName(from: number, to: number): number {
    const hasAs = to - 2 > from && this.#tokens[to - 2].word === 'as';
    return hasAs ? to - 2 : to - 1;
  }

  /** Expressions of GROUP BY. */
  get groups(): string[] {
    const clause = this.#clauses.get('group');
    if (clause === undefined) return [];
    const [from, to] = clause;
    return this.#items(from + 2, to).map((item) => this.#text(...item));
  }

  /** Expressions of ORDER BY, without what stands behind them. */
  get orders(): string[] {
    const clause = this.#clauses.get('order');
    if (clause === undefined) return [];
    const [from, to] = clause;
    return this.#items(from + 2, to).map(([start, end]) => {
      let last = end;
      if (this.#tokens[last - 2]?.word === 'nulls') last -= 2;
      const using = this.#tokens.findIndex((token, at) => at > start && at < last && token.word === 'using');
      if (using >= 0 && this.#tokens[using].depth === 0) last = using;
      else if (['asc', 'desc'].includes(this.#tokens[last - 1].word)) last--;
      return this.#text(start, last);
    });
  }

  /** What stands between commas outside of parentheses, as tokens [from, to). */
  #items(from: number, to: number): [number, number][] {
    const items: [number, number][] = [];
    let start = from;
    for (let at = from; at < to; at++) {
      if (this.#tokens[at].kind !== COMMA || this.#tokens[at].depth !== 0) continue;
      items.push([start, at]);
      start = at + 1;
    }
    if (start < to) items.push([start, to]);
    return items;
  }

  /** Of the call whose name begins at this byte; null: none is found there. */
  callAt(location: number): CallText | null {
    const tokens = this.#tokens;
    const name = tokens.findIndex(({ start }) => start === location);
    if (name < 0) return null;
    let open = name;
    while ([TOKEN_WORD, TOKEN_QUOTED, DOT].includes(tokens[open]?.kind)) open++;
    const close = this.#closeOf(open);
    if (close < 0) return null;
    const from = ARGUMENT_WORDS.has(tokens[open + 1].word) ? open + 2 : open + 1;
    const argument = this.#text(from, close);
    if (tokens[close + 1]?.word !== 'filter') return { argument, filter: null };
    const end = this.#closeOf(close + 2);
    // Behind WHERE.
    return end < 0 ? null : { argument, filter: this.#text(close + 4, end) };
  }

  #closeOf(open: number): number {
    const token = this.#tokens[open];
    if (token?.kind !== OPEN) return -1;
    return this.#tokens.findIndex(
      ({ kind, depth }, at) => at > open && kind === CLOSE && depth === token.depth,
    );
  }
}

/** Where the list of a SELECT begins: behind ALL, DISTINCT, DISTINCT ON (…). */
function listStart(tokens: readonly Token[], select: number): number {
  if (!ARGUMENT_WORDS.has(tokens[select + 1]?.word ?? '')) return select + 1;
  if (tokens[select + 2]?.word !== 'on' || tokens[select + 3]?.kind !== OPEN) return select + 2;
  const { depth } = tokens[select + 3];
  return (
    tokens.findIndex((token, at) => at > select + 3 && token.kind === CLOSE && token.depth === depth) + 1
  );
}

/** Of the first statement; null: the text is malformed, has a backslash, or there is another one. */
export function tokensOf(bytes: Uint8Array): Token[] | null {
  const lexer = new SqlLexer();
  lexer.reset(bytes, 0, bytes.length);
  const tokens: Token[] = [];
  let depth = 0;
  let isEnded = false;
  for (let kind = lexer.next(); kind !== TOKEN_END; kind = lexer.next()) {
    if (kind === TOKEN_MALFORMED || (isEnded && kind !== SEMICOLON)) return null;
    if (kind === SEMICOLON) isEnded = true;
    if (isEnded) continue;
    if (kind === CLOSE || kind === CLOSE_BRACKET) depth--;
    const word = kind === TOKEN_WORD ? textOf(bytes, lexer.start, lexer.end).toLowerCase() : '';
    tokens.push({ kind, start: lexer.start, end: lexer.end, depth, word });
    if (kind === OPEN || kind === OPEN_BRACKET) depth++;
  }
  // Strings with a backslash end elsewhere where standard_conforming_strings is off.
  return lexer.hasBackslash ? null : tokens;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
