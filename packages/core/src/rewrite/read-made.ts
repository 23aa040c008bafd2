/** What of a text the proxy fills in before a server has it. */
import type { ShardScope } from '../shard/reading-scope.js';
import type { Refusal } from '../shard/shard-context.js';
import { SqlLexer } from '../sql/lexer.js';
import { nodeOf, nodesOf, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import type { ParsedStatement, SqlParser } from '../sql/sql-parser.js';
import { type MadeCall, MadeCalls } from './find-made.js';
import { hasMark, MADE_CAST } from './made-cast.js';
import type { MadeEdit, MadeReading } from './made-reading.js';
import { findMissingKeys } from './missing-keys.js';
import { isReadAs, withEdits } from './text-edit.js';

/** Without it in a text nothing is made of it. */
const NAME = /unique_id/i;
const CLOSE = 0x29;
/** It would be taken for one of ours. */
const MARKED: Refusal = {
  reason: 'a value that is cast to int8 twice stands beside an id that is made',
  remedy: 'cast it once',
};

/** @returns null: nothing is to be made */
export function readMade(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  parser: SqlParser,
  isOneRow: boolean,
  scope: Pick<ShardScope, 'find' | 'madeKeys'>,
): MadeReading | null {
  const keys = findMissingKeys(text, statements, scope, parser);
  const calls = readCalls(text, statements, isOneRow);
  if (keys === null && calls === null) return null;
  const found = calls?.found ?? [];
  const edits = [...(keys?.edits ?? []), ...found.map((call) => editOf(text, call))];
  edits.sort((a, b) => a.start - b.start);
  const refusal = keys?.refusal ?? calls?.refusal ?? null;
  if (refusal !== null) return { edits, refusal };
  if (statements.some(({ node }) => hasMark(node))) return { edits, refusal: MARKED };
  const replaced = new Map<SqlNode, SqlValue>(keys?.replaced);
  for (const { node, isName } of found) replaced.set(node, sampleOf(isName, parser));
  return { edits, refusal: checkEdits(text, statements, edits, replaced, parser) };
}

function readCalls(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  isOneRow: boolean,
): MadeCalls | null {
  if (!NAME.test(Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1'))) return null;
  const calls = new MadeCalls(isOneRow);
  for (const statement of statements) calls.read(statement);
  return calls.found.length === 0 ? null : calls;
}

/**
 * A column is named after the function that stands in its place; so that it keeps its name, whatever is around the call, it is
 * taken from a query of one row.
 */
function editOf(text: Uint8Array, { location, isName }: MadeCall): MadeEdit {
  const span = { start: location, end: callEnd(text, location), value: 'uniqueId' as const };
  return isName
    ? { ...span, before: '(SELECT ', after: `${MADE_CAST} AS unique_id)` }
    : { ...span, before: '', after: MADE_CAST };
}

/** Behind the ')' that closes the call; a call without arguments has no other. */
function callEnd(text: Uint8Array, start: number): number {
  const lexer = new SqlLexer();
  lexer.reset(text, start, text.length);
  let kind = lexer.next();
  while (kind !== CLOSE && lexer.end < text.length) kind = lexer.next();
  return lexer.end;
}

/** The same text with a value in place of each call must be the same statement but for these. */
function checkEdits(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  edits: readonly MadeEdit[],
  replaced: ReadonlyMap<SqlNode, SqlValue>,
  parser: SqlParser,
): Refusal | null {
  const edited = withEdits(
    text,
    0,
    text.length,
    edits.map((edit) => ({ ...edit, text: sampleText(edit) })),
  );
  if (isReadAs(Buffer.from(edited).toString('utf8'), statements, replaced, parser)) return null;
  return {
    reason: 'an id is to be made where it is not understood',
    remedy: 'give the id as a parameter',
  };
}

function sampleText({ before, value, after }: MadeEdit): string {
  return `${before}${value === null ? '' : "'0'"}${after}`;
}

/** What stands in a call's place, as the grammar reads it. */
function sampleOf(isName: boolean, parser: SqlParser): SqlNode {
  const parsed = parser.parse(
    isName ? `SELECT (SELECT '0'${MADE_CAST} AS unique_id)` : `SELECT '0'${MADE_CAST}`,
  );
  // A parser that fails now fails for the whole text, too.
  if (parsed === null || parsed === 'unread') return {};
  const [target] = nodesOf(parsed[0].node, 'targetList');
  return nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {};
}
