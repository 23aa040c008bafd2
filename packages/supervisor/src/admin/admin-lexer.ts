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
}

/** More commands in one Query than a person types; each has an answer to be kept until all are done. */
export const COMMANDS_MAX = 100;

const BYTE_SEMICOLON = 0x3b;
const NO_ESCAPE_QUOTES = ["'", '"'];

function unquote(text: string): string {
  const quote = text.charAt(0);
  // $tag$…$tag$ and E'…' are understood as tokens only; nothing here takes their value.
  return NO_ESCAPE_QUOTES.includes(quote) ? text.slice(1, -1).replaceAll(quote + quote, quote) : text;
}

function toToken(kind: number, text: string): AdminToken {
  if (kind === TOKEN_WORD) return { kind: 'word', text: text.toLowerCase() };
  if (kind === TOKEN_NUMBER) return { kind: 'number', text };
  if (kind === TOKEN_QUOTED) return { kind: 'quoted', text: unquote(text) };
  if (kind === TOKEN_STRING) return { kind: 'string', text: unquote(text) };
  return { kind: 'punctuation', text };
}

/**
 * Splits the text of one Query into commands at `;`, by Postgres's lexical rules: comments are skipped, quoted
 * semicolons are not ends. Empty commands are left out. Nothing is carried out before all of the text is read.
 * @throws PgDogError admin_syntax for an unterminated quote or comment, a NUL, or too many commands.
 */
export function splitCommands(text: string): AdminToken[][] {
  const bytes = Buffer.from(text);
  const lexer = new SqlLexer();
  lexer.reset(bytes, 0, bytes.length);
  const commands: AdminToken[][] = [];
  let command: AdminToken[] = [];
  for (;;) {
    const kind = lexer.next();
    if (kind === TOKEN_MALFORMED) throw new PgDogError('admin_syntax');
    if (kind === TOKEN_END || kind === BYTE_SEMICOLON) {
      if (command.length > 0) commands.push(command);
      if (commands.length > COMMANDS_MAX)
        throw new PgDogError('admin_syntax', `more than ${COMMANDS_MAX} commands in one query`);
      if (kind === TOKEN_END) return commands;
      command = [];
    } else command.push(toToken(kind, bytes.toString('utf8', lexer.start, lexer.end)));
  }
}
