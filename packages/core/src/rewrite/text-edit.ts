/** Changing a text where its tree says that something stands, and making sure that nothing else has changed. */
import { isSqlNode, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import type { ParsedStatement, SqlParser } from '../sql/sql-parser.js';

/** bytes[start, end) of a text, counted from its beginning, become `text`. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text bytes[start, end) with edits that do not overlap, in any order. */
export function withEdits(
  bytes: Uint8Array,
  start: number,
  end: number,
  edits: readonly TextEdit[],
): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = start;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    pieces.push(bytes.subarray(at, start + edit.start), Buffer.from(edit.text));
    at = start + edit.end;
  }
  pieces.push(bytes.subarray(at, end));
  return Buffer.concat(pieces);
}

/** Where nodes stand in the text: what an edit in front of them changes. */
const PLACES: ReadonlySet<string> = new Set(
  (
    'location stmt_location stmt_len name_location list_start list_end rexpr_list_start rexpr_list_end ' +
    'arg_location'
  ).split(' '),
);

/**
 * Whether `text` is read as `statements` are, but for the nodes in `replaced`, in whose place stands what they lead to.
 * Everything that is edited is held against the tree it was meant to become: an edit that the grammar reads in
 * another way than we do is not used.
 */
export function isReadAs(
  text: string,
  statements: readonly ParsedStatement[],
  replaced: ReadonlyMap<SqlNode, SqlValue>,
  parser: SqlParser,
): boolean {
  const parsed = parser.parse(text);
  if (parsed === null || parsed === 'unread' || parsed.length !== statements.length) return false;
  return parsed.every(
    ({ kind, node }, index) =>
      kind === statements[index].kind && isAlike(statements[index].node, node, replaced),
  );
}

/** Trees may be deep: pairs wait on a stack of their own. */
function isAlike(before: SqlNode, after: SqlNode, replaced: ReadonlyMap<SqlNode, SqlValue>): boolean {
  const stack: [SqlValue, SqlValue][] = [[before, after]];
  for (let pair = stack.pop(); pair !== undefined; pair = stack.pop()) {
    const [given, other] = pair;
    const wanted = isSqlNode(given) ? (replaced.get(given) ?? given) : given;
    if (Array.isArray(wanted)) {
      if (!Array.isArray(other) || wanted.length !== other.length) return false;
      for (const [index, item] of wanted.entries()) stack.push([item, other[index]]);
    } else if (isSqlNode(wanted)) {
      if (!isSqlNode(other)) return false;
      const keys = fieldsOf(wanted);
      if (keys.length !== fieldsOf(other).length) return false;
      for (const key of keys) stack.push([wanted[key], other[key]]);
    } else if (wanted !== other) return false;
  }
  return true;
}

function fieldsOf(node: SqlNode): string[] {
  return Object.keys(node).filter((key) => !PLACES.has(key) && node[key] !== undefined);
}

/** The same bytes in every encoding that a client may have. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}
