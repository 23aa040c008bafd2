/**
 * INSERT INTO t (a, b) SELECT p0::int, p1::text FROM (VALUES (…, …, 0), (…, …, 1)) AS rows (p0, p1, n) ORDER BY n: rows that
 * are to be inserted, and told of, in their order, as SQLAlchemy writes those whose keys the server makes. It is
 * INSERT INTO t (a, b) VALUES (CAST(… AS int), CAST(… AS text)), (…), and as such it is read.
 */
import { nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ParsedStatement } from '../sql/sql-parser.js';
import { StatementText, type TokenSpan } from '../sql/statement-text.js';
import type { MadeEdit } from './made-reading.js';
import { isAscii } from './text-edit.js';

const OPEN = 0x28;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const SELECT_FIELDS: ReadonlySet<string> = new Set(
  'targetList fromClause sortClause limitOption op location'.split(' '),
);
const VALUES_FIELDS: ReadonlySet<string> = new Set('valuesLists limitOption op location'.split(' '));

export interface OrderedRows {
  readonly edits: readonly MadeEdit[];
  /** What the tree of the INSERT becomes. */
  readonly tree: SqlNode;
  /** Parameters, from 1, that stand in one column without a cast, where several do: what Postgres takes them for depends on all. */
  readonly alike: readonly (readonly number[])[];
}

/** @param text of the INSERT alone. @returns null: it is something else, or not certain to be the same */
export function findOrderedRows(text: Uint8Array, node: SqlNode): OrderedRows | null {
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const rows = source === undefined ? null : rowsOf(source);
  if (source === undefined || rows === null || nodesOf(node, 'cols').length !== rows.types.length)
    return null;
  const wanted = rows.types.map((type) => castKind(type));
  const kinds = rows.values.map((row) => row.map(kindOf));
  const alike: number[][] = [];
  for (const at of rows.types.keys()) {
    if (!areOfOneKind(kinds.map((row) => row[at]))) return null;
    const parameters = rows.values.flatMap((row) => numberOf(row[at]) ?? []);
    if (parameters.length > 1) alike.push(parameters);
  }
  const needsCast = (row: number, at: number): boolean => kinds[row][at] !== wanted[at];
  const edits = editsOf(text, rows, needsCast);
  if (edits === null || !edits.every(({ before }) => isAscii(before))) return null;
  const valuesLists = rows.values.map((values, row) => {
    const items = values.map((arg, at) =>
      needsCast(row, at) ? { TypeCast: { arg, typeName: rows.types[at] } } : arg,
    );
    return { List: { items } };
  });
  const { limitOption, op } = source;
  const selectStmt = { SelectStmt: { valuesLists, limitOption, op } as SqlValue } as SqlNode;
  return { edits, tree: { ...node, selectStmt }, alike };
}

/** Whether it may be such an INSERT, of whatever literals. */
export function mayHaveOrderedRows(statements: readonly ParsedStatement[]): boolean {
  const [only] = statements;
  if (statements.length !== 1 || only.kind !== 'InsertStmt') return false;
  const source = nodeOf(nodeOf(only.node, 'selectStmt'), 'SelectStmt');
  const range = nodeOf(nodesOf(source, 'fromClause')[0], 'RangeSubselect');
  return nodesOf(nodeOf(nodeOf(range, 'subquery'), 'SelectStmt'), 'valuesLists').length > 0;
}

// The tree.

interface Rows {
  /** What each column is cast to. */
  readonly types: readonly SqlNode[];
  /** Without the number that they are sorted by. */
  readonly values: readonly (readonly SqlNode[])[];
}

function rowsOf(source: SqlNode): Rows | null {
  const [item, ...others] = nodesOf(source, 'fromClause');
  const range = nodeOf(item, 'RangeSubselect');
  const values = nodeOf(nodeOf(range, 'subquery'), 'SelectStmt');
  if (range === undefined || values === undefined || others.length > 0 || range.lateral === true) return null;
  if (!hasOnly(source, SELECT_FIELDS) || !hasOnly(values, VALUES_FIELDS)) return null;
  const names = nodesOf(nodeOf(range, 'alias'), 'colnames').map((name) =>
    textOf(nodeOf(name, 'String'), 'sval'),
  );
  const counter = names.at(-1);
  const types = nodesOf(source, 'targetList').map((target, at) => castOfColumn(target, names[at]));
  const known = types.filter((type) => type !== null);
  if (counter === undefined || new Set(names).size < names.length || !sortsBy(source, counter)) return null;
  if (known.length !== names.length - 1 || known.length !== types.length || known.length === 0) return null;
  const rows = nodesOf(values, 'valuesLists').map((row) => nodesOf(nodeOf(row, 'List'), 'items'));
  if (rows.length === 0 || rows.some((row) => row.length !== names.length)) return null;
  const numbers = rows.map((row) => {
    const number = nodeOf(nodeOf(row.at(-1), 'A_Const'), 'ival');
    return number === undefined ? Number.NaN : Number(number.ival ?? 0);
  });
  const isSorted = numbers.every((number, row) => number > (row === 0 ? -1 : numbers[row - 1]));
  return isSorted ? { types: known, values: rows.map((row) => row.slice(0, -1)) } : null;
}

function hasOnly(node: SqlNode, fields: ReadonlySet<string>): boolean {
  return Object.keys(node).every((key) => fields.has(key));
}

/** ORDER BY this column alone, and nothing said of how. */
function sortsBy(source: SqlNode, name: string): boolean {
  const [sort, ...others] = nodesOf(source, 'sortClause');
  const fields = nodeOf(sort, 'SortBy');
  const isPlain = fields?.sortby_dir === 'SORTBY_DEFAULT' && fields.sortby_nulls === 'SORTBY_NULLS_DEFAULT';
  return others.length === 0 && isPlain && columnOf(nodeOf(fields, 'node')) === name;
}

function columnOf(node: SqlNode | undefined): string {
  const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
  return path.length === 1 ? path[0] : '';
}

/** The type in `name::type`; null: it is something else. */
function castOfColumn(target: SqlNode, name: string | undefined): SqlNode | null {
  const cast = nodeOf(nodeOf(nodeOf(target, 'ResTarget'), 'val'), 'TypeCast');
  const isColumn = name !== undefined && name !== '' && columnOf(nodeOf(cast, 'arg')) === name;
  return isColumn ? (nodeOf(cast, 'typeName') ?? null) : null;
}

// Values. What one of them is taken for depends on all of its column: of one kind each is what it would be by itself.

function areOfOneKind(column: readonly string[]): boolean {
  const kinds = new Set(column);
  kinds.delete('null');
  return !kinds.has('') && kinds.size <= 1;
}

/** Values of one kind are compared as texts; '': it is none that is known. */
function kindOf(value: SqlNode): string {
  const constant = nodeOf(value, 'A_Const');
  if (constant !== undefined) {
    if (constant.isnull === true) return 'null';
    if ('sval' in constant) return 'text';
    if ('boolval' in constant) return 'bool';
    return 'ival' in constant || 'fval' in constant ? 'number' : '';
  }
  if ('ParamRef' in value) return 'parameter';
  const cast = nodeOf(value, 'TypeCast');
  const arg = nodeOf(cast, 'arg');
  if (cast === undefined || arg === undefined) return '';
  const isValue = 'A_Const' in arg || 'ParamRef' in arg || isListOfConstants(arg);
  return isValue ? castKind(nodeOf(cast, 'typeName')) : '';
}

function isListOfConstants(node: SqlNode): boolean {
  const list = nodeOf(node, 'A_ArrayExpr');
  return list !== undefined && nodesOf(list, 'elements').every((item) => 'A_Const' in item);
}

function numberOf(value: SqlNode): number | null {
  const number = nodeOf(value, 'ParamRef')?.number;
  return typeof number === 'number' ? number : null;
}

/** The same for the same type, wherever it stands. */
function castKind(type: SqlNode | undefined): string {
  return `cast ${JSON.stringify(type, (key, value) => (key === 'location' ? undefined : value))}`;
}

// The text.

function editsOf(
  text: Uint8Array,
  { types, values }: Rows,
  needsCast: (row: number, at: number) => boolean,
): MadeEdit[] | null {
  const statement = new StatementText(text, 0, text.length);
  const { tokens } = statement;
  const select = statement.indexOfWord('select', 0);
  const from = statement.indexOfWord('from', select + 1);
  if (select < 0 || from < 0 || !isByte(text, tokens[from + 1], OPEN) || tokens[from + 2]?.word !== 'values')
    return null;
  const names = typeNames(statement, text, select + 1, from);
  if (names.length !== types.length) return null;
  const edits = [edit(tokens[select].start, tokens[from + 2].start, '')];
  let at = from + 3;
  for (const [index, row] of values.entries()) {
    const items = itemsAt(tokens, text, at);
    if (items === null || items.spans.length !== row.length + 1) return null;
    for (const place of row.keys()) {
      const { first, last } = items.spans[place];
      if (!needsCast(index, place)) continue;
      edits.push(edit(tokens[first].start, tokens[first].start, 'CAST('));
      edits.push(edit(tokens[last].end, tokens[last].end, ` AS ${names[place]})`));
    }
    const { last } = items.spans[row.length - 1];
    edits.push(edit(tokens[last].end, tokens[items.spans[row.length].last].end, ''));
    at = items.next;
    if (isByte(text, tokens[at], COMMA)) at++;
  }
  const order = statement.indexOfWord('order', at);
  const close = tokens[at];
  const name = tokens[order + 2];
  if (order < 0 || close?.depth !== 0 || name === undefined) return null;
  edits.push(edit(close.start, name.end, ''));
  return edits;
}

function edit(start: number, end: number, before: string): MadeEdit {
  return { start, end, before, value: null, after: '' };
}

/** What stands behind the `::` of each target. */
function typeNames(statement: StatementText, text: Uint8Array, first: number, limit: number): string[] {
  const { tokens } = statement;
  const names: string[] = [];
  let cast = -1;
  for (let at = first; at <= limit; at++) {
    const token = tokens[at];
    if (at === limit || (token.depth === 0 && isByte(text, token, COMMA))) {
      if (cast < 0) return [];
      names.push(statement.between(cast, at));
      cast = -1;
    } else if (cast < 0 && isByte(text, token, COLON) && isByte(text, tokens[at + 1], COLON)) cast = at + 2;
  }
  return names;
}

interface Items {
  /** Tokens of each item. */
  readonly spans: readonly { readonly first: number; readonly last: number }[];
  /** The token behind the row. */
  readonly next: number;
}

/** A row in parentheses that opens at this token. */
function itemsAt(tokens: readonly TokenSpan[], text: Uint8Array, open: number): Items | null {
  const depth = tokens[open]?.depth;
  if (depth === undefined || !isByte(text, tokens[open], OPEN)) return null;
  const spans: { first: number; last: number }[] = [];
  let first = open + 1;
  let brackets = 0;
  for (let at = open + 1; at < tokens.length; at++) {
    if (isByte(text, tokens[at], OPEN_BRACKET)) brackets++;
    else if (isByte(text, tokens[at], CLOSE_BRACKET)) brackets--;
    if (brackets > 0) continue;
    const isClose = tokens[at].depth === depth;
    if (!isClose && !(tokens[at].depth === depth + 1 && isByte(text, tokens[at], COMMA))) continue;
    if (at === first) return null;
    spans.push({ first, last: at - 1 });
    first = at + 1;
    if (isClose) return { spans, next: at + 1 };
  }
  return null;
}

function isByte(text: Uint8Array, token: TokenSpan | undefined, byte: number): boolean {
  return token !== undefined && token.end - token.start === 1 && text[token.start] === byte;
}
