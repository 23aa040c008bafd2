// ● per-frame path
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_QUOTED, TOKEN_WORD } from './lexer.js';

const BYTE_SPACE = 0x20;
const BYTE_OPEN = 0x28;
const BYTE_CLOSE = 0x29;
const BYTE_DASH = 0x2d;
const BYTE_SLASH = 0x2f;
const BYTE_LOWER_E = 0x65;
const EXPLAIN = 'explain';
const PGDOG = 'pgdog';

/** Shared by all calls of a thread: none of them awaits. */
const lexer = new SqlLexer();

/**
 * Whether a text may be an EXPLAIN (PGDOG): its tree decides. Almost every text is told by its first byte. A text that
 * begins with an empty statement is not recognised, and the server refuses the option.
 */
export function asksRoute(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] <= BYTE_SPACE) at++;
  const first = bytes[at];
  if ((first | 0x20) !== BYTE_LOWER_E && first !== BYTE_DASH && first !== BYTE_SLASH) return false;
  lexer.reset(bytes, at, end);
  if (lexer.next() !== TOKEN_WORD || !isWord(bytes, EXPLAIN)) return false;
  if (lexer.next() !== BYTE_OPEN) return false;
  for (let kind = lexer.next(); kind !== BYTE_CLOSE; kind = lexer.next()) {
    if (kind === TOKEN_END || kind === TOKEN_MALFORMED) return false;
    if (kind === TOKEN_QUOTED || (kind === TOKEN_WORD && isWord(bytes, PGDOG))) return true;
  }
  return false;
}

/** Whether the lexer's token is this word of letters, in whatever case. */
function isWord(bytes: Uint8Array, word: string): boolean {
  if (lexer.end - lexer.start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    if ((bytes[lexer.start + i] | 0x20) !== word.charCodeAt(i)) return false;
  }
  return true;
}
