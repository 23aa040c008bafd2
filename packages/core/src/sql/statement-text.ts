import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_QUOTED, TOKEN_WORD } from './lexer.js';

/** Where one token of a statement stands, by byte offsets from the start of the whole text. */
export interface TokenSpan {
  kind: number;
  start: number;
  end: number;
  /** Folded text of a word (ASCII only); '' for other tokens. */
  word: string;
  /** Parentheses around it; a '(' counts from the token after it. */
  depth: number;
}

const BYTE_OPEN = 0x28;
const BYTE_CLOSE = 0x29;

/** The tokens of one statement inside a text: for the few kinds of which the tree keeps no positions. */
export class StatementText {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #tokens: readonly TokenSpan[] | null = null;

  /** Stands for bytes[start, end) of a UTF-8 text; most statements never ask for the tokens. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get tokens(): readonly TokenSpan[] {
    this.#tokens ??= this.#read();
    return this.#tokens;
  }

  #read(): TokenSpan[] {
    const lexer = new SqlLexer();
    lexer.reset(this.#bytes, this.#start, this.#end);
    const tokens: TokenSpan[] = [];
    let depth = 0;
    for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
      if (kind === BYTE_CLOSE) depth--;
      const word = kind === TOKEN_WORD ? this.#text(lexer.start, lexer.end).toLowerCase() : '';
      tokens.push({ kind, start: lexer.start, end: lexer.end, word, depth });
      if (kind === BYTE_OPEN) depth++;
    }
    return tokens;
  }

  #text(start: number, end: number): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start).toString('utf8');
  }

  /** The statement without white space, comments and ';' around it. */
  get whole(): string {
    return this.between(0, this.tokens.length);
  }

  /** Text from token `first` up to, but without, token `limit`. */
  between(first: number, limit: number): string {
    if (first >= limit) return '';
    return this.#text(this.tokens[first].start, this.tokens[limit - 1].end);
  }

  /** Index of the first word `word` outside of parentheses, from token `from` on; -1 if there is none. */
  indexOfWord(word: string, from: number): number {
    return this.tokens.findIndex((token, i) => i >= from && token.depth === 0 && token.word === word);
  }

  isName(index: number): boolean {
    const kind = this.tokens[index]?.kind;
    return kind === TOKEN_WORD || kind === TOKEN_QUOTED;
  }
}
