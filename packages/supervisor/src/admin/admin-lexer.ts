import {
  PgDogError,
  SqlLexer,
  TOKEN_END,
  TOKEN_MALFORMED,
  TOKEN_NUMBER,
  TOKEN_QUOTED,
  TOKEN_STRING,
  TOKEN_WORD,
} from '@pgdog-cluster/core';

/** `punctuation` is one character. */
export type AdminTokenKind = 'word' | 'quoted' | 'string' | 'number' | 'punctuation';

export interface AdminToken {
  kind: AdminTokenKind;
  /** Words in lower case; quoted names and strings without their quotes. */
  text: string;
  /** A word that was not in lower case. */
  isFolded?: true;
  /** A string of another kind than '…', or with a prefix: its text is not its value. */
  isRaw?: true;
}

/** More commands in one Query than a person types; each has an answer to be kept until all are done. */
export const COMMANDS_MAX = 100;

const BYTE_SEMICOLON = 0x3b;
const BYTE_LINE_END = 0x0a;
const NO_ESCAPE_QUOTES = ["'", '"'];

function unquote(text: string): string {
  const quote = text.charAt(0);
  // $tag$…$tag$ and E'…' are understood as tokens only; nothing here takes their value.
  return NO_ESCAPE_QUOTES.includes(quote) ? text.slice(1, -1).replaceAll(quote + quote, quote) : text;
}

function toToken(kind: number, text: string): AdminToken {
  if (kind === TOKEN_WORD) return toWord(text);
  if (kind === TOKEN_NUMBER) return { kind: 'number', text };
  if (kind === TOKEN_QUOTED)
    return { kind: 'quoted', text: unquote(text), ...(text[0] !== '"' && { isRaw: true }) };
  if (kind === TOKEN_STRING)
    return { kind: 'string', text: unquote(text), ...(text[0] !== "'" && { isRaw: true }) };
  return { kind: 'punctuation', text };
}

function toWord(written: string): AdminToken {
  const text = written.toLowerCase();
  return { kind: 'word', text, ...(text !== written && { isFolded: true }) };
}

export interface AdminTokens {
  tokens: AdminToken[];
  /** Where it begins, from 1. */
  line: number;
}

/**
 * Splits a text into commands at `;`, by Postgres's lexical rules: comments are skipped, quoted semicolons are not ends. Empty
 * commands are left out. Nothing is carried out before all of the text is read.
 * @throws PgDogError admin_syntax for an unterminated quote or comment, a NUL, or too many commands.
 */
export function commandsOf(text: string, countMax: number): AdminTokens[] {
  const bytes = Buffer.from(text);
  const lexer = new SqlLexer();
  lexer.reset(bytes, 0, bytes.length);
  const commands: AdminTokens[] = [];
  let tokens: AdminToken[] = [];
  let [line, seen, begin] = [1, 0, 1];
  for (;;) {
    const kind = lexer.next();
    if (kind === TOKEN_MALFORMED) throw new PgDogError('admin_syntax');
    for (; seen < lexer.start; seen++) if (bytes[seen] === BYTE_LINE_END) line++;
    if (kind === TOKEN_END || kind === BYTE_SEMICOLON) {
      if (tokens.length > 0) commands.push({ tokens, line: begin });
      if (commands.length > countMax)
        throw new PgDogError('admin_syntax', `more than ${countMax} commands in one query`);
      if (kind === TOKEN_END) return commands;
      tokens = [];
    } else {
      if (tokens.length === 0) begin = line;
      tokens.push(toToken(kind, bytes.toString('utf8', lexer.start, lexer.end)));
    }
  }
}

/** Those of one Query. @throws PgDogError admin_syntax */
export function splitCommands(text: string): AdminToken[][] {
  return commandsOf(text, COMMANDS_MAX).map(({ tokens }) => tokens);
}
