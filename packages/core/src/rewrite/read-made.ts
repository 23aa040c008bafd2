/** What of a text the proxy fills in before a server has it. */
import type { ShardScope } from '../shard/reading-scope.js';
import type { Refusal } from '../shard/shard-context.js';
import { SqlLexer } from '../sql/lexer.js';
import { nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ParsedStatement, SqlParser } from '../sql/sql-parser.js';
import { type MadeCall, MadeCalls } from './find-made.js';
import { hasMark, MADE_CAST } from './made-cast.js';
import type { MadeEdit, MadeReading } from './made-reading.js';
import { findMissingKeys, findMissingUuid } from './missing-keys.js';
import { findOrderedRows } from './ordered-rows.js';
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
  const rows = orderedRows(text, statements, scope, parser);
  if (rows !== null) return rows;
  const keys =
    findMissingKeys(text, statements, scope, parser) ?? findMissingUuid(text, statements, scope, parser);
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

/** Rows that are given with their order, as rows of VALUES, with ids where keys are missing. */
function orderedRows(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  scope: Pick<ShardScope, 'find' | 'madeKeys'>,
  parser: SqlParser,
): MadeReading | null {
  const [only] = statements;
  if (statements.length !== 1 || only.kind !== 'InsertStmt') return null;
  const name = nodeOf(only.node, 'relation');
  const rows = findOrderedRows(text, only.node);
  const found =
    rows === null ? null : scope.find(textOf(name, 'schemaname') || null, textOf(name, 'relname'));
  if (rows === null || found?.kind !== 'relation' || found.relation.placement === 'oneShard') return null;
  const plain = withEdits(text, 0, text.length, rows.edits.map(sampleEdit));
  const parsed = parser.parse(Buffer.from(plain).toString('utf8'));
  if (parsed === null || parsed === 'unread' || parsed.length !== 1) return null;
  const keys = findMissingKeys(plain, parsed, scope, parser);
  if (keys?.refusal != null) return { edits: [], refusal: keys.refusal };
  if (hasMark(parsed[0].node)) return { edits: [], refusal: MARKED };
  const edits = [...rows.edits, ...(keys?.edits ?? []).map((each) => placedBefore(each, rows.edits))];
  // Of two at one place the key's comes last: it stands behind what the row has.
  edits.sort((a, b) => a.start - b.start || a.end - b.end);
  const tree = keys?.replaced.get(parsed[0].node) ?? rows.tree;
  const refusal = checkEdits(text, statements, edits, new Map([[only.node, tree]]), parser);
  return refusal === null ? { edits, refusal, alike: rows.alike } : null;
}

function sampleEdit(edit: MadeEdit): { start: number; end: number; text: string } {
  return { ...edit, text: sampleText(edit) };
}

/** An edit of what comes out of others, as one of what goes into them. It touches none of what they put in. */
function placedBefore(edit: MadeEdit, others: readonly MadeEdit[]): MadeEdit {
  const at = (place: number): number => {
    let shift = 0;
    for (const { start, end, before } of others) {
      if (start + shift + before.length > place || start + shift > place) break;
      shift += before.length - (end - start);
    }
    return place - shift;
  };
  return { ...edit, start: at(edit.start), end: at(edit.end) };
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
  const edited = withEdits(text, 0, text.length, edits.map(sampleEdit));
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
