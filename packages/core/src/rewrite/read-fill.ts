/** Writes to whole copies with what differs from server to server: what one server is to be asked for, and where it goes. */

import { findInsertRows } from '../shard/insert-rows.js';
import type { CatalogColumn, CatalogRelation, FoundRelation } from '../shard/shard-catalog.js';
import { rowArraysOf } from '../shard/unnest-rows.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ParsedStatement, SqlParser } from '../sql/sql-parser.js';
import { type ArrayInsertEdits, type DefaultColumn, editArrayInsert } from './array-insert-edit.js';
import { type FillEdit, type FillReading, type FillValue, partsText, valuesOf } from './fill-reading.js';
import { findVolatile, makesRows, type VolatileCall } from './find-volatile.js';
import {
  type AddedColumn,
  editInsert,
  givenNames,
  isLeftToDefault,
  type Parts,
  quoteName,
} from './insert-edit.js';
import { isAscii, isReadAs, withEdits } from './text-edit.js';

/** Asked for in one query; a list of it may have 1,664. */
const VALUES_MAX = 1000;
const KINDS: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt']);
const TIMED_KINDS: ReadonlySet<string> = new Set([...KINDS, 'SelectStmt']);

export interface Filled {
  readonly fill: FillReading;
  /** The statement as it is with values, for reading. */
  readonly statements: readonly ParsedStatement[];
}

export interface FillTerms {
  readonly parser: SqlParser;
  find(schema: string | null, name: string): FoundRelation;
  /** Of rows that are not whole on every shard: all else in them is the business of the shard that has them. */
  readonly isTimeOnly?: boolean;
}

/** @returns null: it cannot be filled in, or there is nothing to fill in */
export function readFill(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  terms: FillTerms,
): Filled | null {
  const [only] = statements;
  const { isTimeOnly = false } = terms;
  if (statements.length !== 1 || !(isTimeOnly ? TIMED_KINDS : KINDS).has(only.kind)) return null;
  const replaced = new Map<SqlNode, SqlValue>();
  const calls = callsOf(only, text, isTimeOnly);
  if (only.kind === 'SelectStmt' && namesColumn(only.node, new Set(calls.map(({ node }) => node))))
    return null;
  for (const { node, value } of calls) replaced.set(node, sampleNode([literalOf(value)], terms.parser));
  const insert = only.kind === 'InsertStmt' ? insertOf(only.node, text, terms) : NO_EDITS;
  if (insert === null) return null;
  if (insert !== NO_EDITS) replaced.set(only.node, insert.tree);
  const edits = [
    ...calls.map(({ start, end, value }) => ({ start, end, parts: [value] })),
    ...insert.edits,
  ].sort((a, b) => a.start - b.start);
  const { rowsOf } = insert;
  const fill: FillReading = rowsOf === null ? { edits } : { edits, rowsOf };
  const count = valuesOf(fill).length;
  if (count === 0 || count > VALUES_MAX || !areCertain(text, edits, insert.edits)) return null;
  const sample = sampleText(text, edits);
  if (!isReadAs(sample, statements, replaced, terms.parser)) return null;
  const parsed = terms.parser.parse(sample);
  return parsed === null || parsed === 'unread' ? null : { fill, statements: parsed };
}

/**
 * What comes from the catalog is ASCII: it is sent in whatever encoding the client has. Of a row's numbers out of sequences there
 * is one: which of several gets the first is for Postgres to decide.
 */
function areCertain(text: Uint8Array, edits: readonly FillEdit[], added: readonly FillEdit[]): boolean {
  const isPlain = ({ parts }: FillEdit): boolean =>
    parts.every((part) => isAscii(typeof part === 'string' ? part : part.sql));
  if (!added.every(isPlain)) return false;
  const numbers = edits.filter(({ parts }) =>
    parts.some((part) => typeof part !== 'string' && part.isSequence),
  );
  const all = numbers.flatMap(({ parts }) =>
    parts.filter((part) => typeof part !== 'string' && part.isSequence),
  );
  if (all.length !== numbers.length) return false;
  const rows = findInsertRows(text, 0, text.length);
  if (rows === null) return numbers.length <= 1;
  return rows.starts.every((start, row) => {
    return numbers.filter((edit) => edit.start >= start && edit.start < rows.ends[row]).length <= 1;
  });
}

const NO_EDITS: ArrayInsertEdits = { edits: [], tree: {}, rowsOf: null };

/** Calls that stand in the text itself. RETURNING names its columns by them: what is there is left. */
function callsOf({ kind, node }: ParsedStatement, text: Uint8Array, isTimeOnly: boolean): VolatileCall[] {
  const { returningClause: _returning, ...fields } = node;
  if (kind !== 'InsertStmt') return findVolatile(fields, text, false);
  const { selectStmt, ...rest } = fields;
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const rows = nodesOf(source, 'valuesLists');
  const others = findVolatile(rest, text, false);
  if (rows.length === 0) return [...findVolatile(selectStmt, text, false), ...others];
  return [...rows.flatMap((row) => findVolatile(row, text, !isTimeOnly)), ...others];
}

/** Through these a column without a name gets that of what stands in it (FigureColnameInternal, parse_target.c). */
const NAMING: ReadonlySet<string> = new Set(
  (
    'val TypeCast arg CollateClause A_Indirection CaseExpr defresult SubLink subselect SelectStmt targetList larg rarg ' +
    'ResTarget'
  ).split(' '),
);

/** A column that has no name of its own is called after one of these. */
function namesColumn(root: SqlNode, calls: ReadonlySet<SqlNode>): boolean {
  const stack: { value: SqlValue; isName: boolean }[] = [{ value: root, isName: false }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { value, isName } = next;
    if (Array.isArray(value)) for (const item of value) stack.push({ value: item, isName });
    else if (isSqlNode(value)) {
      if (isName && calls.has(value)) return true;
      for (const key in value) {
        const target = key === 'ResTarget' ? nodeOf(value, key) : undefined;
        const isOpen = target === undefined ? isName && NAMING.has(key) : textOf(target, 'name') === '';
        stack.push({ value: value[key], isName: isOpen });
      }
    }
  }
  return false;
}

/** Values in place of defaults; null: that cannot be. */
function insertOf(node: SqlNode, text: Uint8Array, terms: FillTerms): ArrayInsertEdits | null {
  const { find, isTimeOnly = false } = terms;
  const name = nodeOf(node, 'relation');
  const found = find(textOf(name, 'schemaname') || null, textOf(name, 'relname'));
  if (found.kind !== 'relation') return null;
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const rows = nodesOf(source, 'valuesLists').map((row) => nodesOf(nodeOf(row, 'List'), 'items'));
  const arrays = source === undefined ? null : rowArraysOf(source);
  if (arrays !== null) return arraysOf(node, text, found.relation, arrays.length, terms);
  // A query keeps its own columns: the reading of what comes out says whether that is enough.
  if (source !== undefined && rows.length === 0) return NO_EDITS;
  const given = givenNames(node, found.relation, rows[0]?.length ?? 0);
  // A time is the same for all of them.
  if (!isTimeOnly && rows.length === 1 && makesRows(rows[0])) return NO_EDITS;
  const added = found.relation.columns.flatMap((column): AddedColumn[] => {
    const place = given.indexOf(column.name);
    const value = isLeftToDefault(rows, place) ? defaultOf(column, found.relation, terms) : null;
    return value === null ? [] : [{ name: column.name, value: () => value }];
  });
  if (added.length === 0) return NO_EDITS;
  const { parser } = terms;
  const edits = editInsert(text, node, given, added, (parts) => sampleNode(parts.map(toSample), parser));
  return edits === null ? null : { ...edits, rowsOf: null };
}

/** The same for rows that stand in arrays. */
function arraysOf(
  node: SqlNode,
  text: Uint8Array,
  relation: CatalogRelation,
  width: number,
  terms: FillTerms,
): ArrayInsertEdits | null {
  const given = givenNames(node, relation, width);
  const added = relation.columns.flatMap((column): DefaultColumn[] => {
    const value = given.includes(column.name) ? null : defaultOf(column, relation, terms);
    return value === null ? [] : [{ name: column.name, type: column.type, value }];
  });
  if (added.length === 0) return NO_EDITS;
  // Their rows are found by the number of their arrays.
  if (terms.isTimeOnly) return null;
  const { parser } = terms;
  return editArrayInsert(text, node, given, added, (parts) => sampleNode(parts.map(toSample), parser));
}

/** A default that differs from server to server; null: it does not, or nothing can be done about it. */
function defaultOf(
  column: CatalogColumn,
  { schema, name }: CatalogRelation,
  { parser, isTimeOnly = false }: FillTerms,
): Parts | null {
  if (column.generated === 'd' && !isTimeOnly) {
    const table = `${quoteName(schema)}.${quoteName(name)}`;
    const sql = `pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(${quoteText(table)}, ${quoteText(column.name)}))`;
    return [{ sql, type: 'int8', isSequence: true, isIdentity: true }];
  }
  if (column.generated !== '' || column.defaultText === null) return null;
  const text = Buffer.from(`SELECT ${column.defaultText}`);
  const parsed = parser.parse(text.toString());
  if (parsed === null || parsed === 'unread' || parsed.length !== 1) return null;
  const calls = findVolatile(parsed[0].node.targetList, text, !isTimeOnly);
  if (calls.length === 0) return null;
  const parts: (string | FillValue)[] = [];
  let at = 'SELECT '.length;
  for (const { start, end, value } of calls) {
    parts.push(text.toString('utf8', at, start), value);
    at = end;
  }
  return [...parts, text.toString('utf8', at)];
}

function quoteText(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

// What stands for a value while a statement is only read.

/** NULL, cast to its type. */
function literalOf({ type }: FillValue): string {
  return `NULL::${type}`;
}

function toSample(part: string | FillValue): string {
  return typeof part === 'string' ? part : literalOf(part);
}

function sampleText(text: Uint8Array, edits: readonly FillEdit[]): string {
  const texts = edits.map(({ start, end, parts }) => ({ start, end, text: partsText(parts, literalOf) }));
  return Buffer.from(withEdits(text, 0, text.length, texts)).toString('utf8');
}

function sampleNode(parts: readonly string[], parser: SqlParser): SqlNode {
  const parsed = parser.parse(`SELECT ${parts.join('')}`);
  // A parser that fails now fails for the whole text, too.
  if (parsed === null || parsed === 'unread') return {};
  const [target] = nodesOf(parsed[0].node, 'targetList');
  return nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {};
}
