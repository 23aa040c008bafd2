import { SqlLexer, TOKEN_QUOTED, TOKEN_WORD } from './lexer.js';
import { UNREAD_ROUTE } from './route-facts.js';
import { PREPARE_LEVEL, UNKNOWN_EFFECT } from './sql-flags.js';
import { type SqlPlan, UNREAD_PLAN } from './sql-plan.js';

/** NAMEDATALEN - 1: Postgres cuts longer names. */
const NAME_BYTES_MAX = 63;

/**
 * Of a text that has no certain reading because of its encoding: what it begins with has one, up to the first byte from 0x80 up.
 * That is enough for `EXECUTE name (…`, whose name is another on the server; the rest stays of unknown effect.
 */
export function readExecuteHead(bytes: Uint8Array, start: number, end: number): SqlPlan {
  let high = start;
  while (high < end && bytes[high] < 0x80) high++;
  const lexer = new SqlLexer();
  lexer.reset(bytes, start, high);
  if (lexer.next() !== TOKEN_WORD || textOf(bytes, lexer).toLowerCase() !== 'execute') return UNREAD_PLAN;
  const kind = lexer.next();
  // It may go on behind.
  if ((kind !== TOKEN_WORD && kind !== TOKEN_QUOTED) || lexer.end >= high) return UNREAD_PLAN;
  const name = nameOf(textOf(bytes, lexer), kind);
  if (name === null) return UNREAD_PLAN;
  const flags = PREPARE_LEVEL | UNKNOWN_EFFECT;
  const nameSpans = [{ start: lexer.start - start, end: lexer.end - start, name }];
  const statement = { flags, effect: { type: 'execute', name } as const, nameSpans, route: UNREAD_ROUTE };
  return { statements: [statement], flags, encoding: 'latin1', route: UNREAD_ROUTE };
}

function textOf(bytes: Uint8Array, { start, end }: SqlLexer): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

function nameOf(text: string, kind: number): string | null {
  if (kind === TOKEN_WORD) return text.toLowerCase().slice(0, NAME_BYTES_MAX);
  // U&"…" has escapes.
  if (!text.startsWith('"')) return null;
  return text.slice(1, -1).replaceAll('""', '"').slice(0, NAME_BYTES_MAX);
}
