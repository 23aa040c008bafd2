/** Columns added to an INSERT of VALUES, with a value in each row; DEFAULT in a row replaced. */
import { findInsertRows } from '../shard/insert-rows.js';
import type { CatalogRelation } from '../shard/shard-catalog.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { StatementText } from '../sql/statement-text.js';
import type { FillEdit } from './fill-reading.js';

export type Parts = FillEdit['parts'];

/** A column that rows get a value for. */
export interface AddedColumn {
  readonly name: string;
  /** Of each row, in order: anew each time it is asked for. */
  value(): Parts;
}

export interface InsertEdits {
  readonly edits: readonly FillEdit[];
  /** What the tree of the INSERT becomes: its fields, and those of its VALUES. */
  readonly tree: SqlNode;
}

const DEFAULT_BYTES = 'DEFAULT'.length;

/** Some row leaves the column at this place of it to its default. */
export function isLeftToDefault(rows: readonly (readonly SqlNode[])[], place: number): boolean {
  return place < 0 || rows.some((row) => isSqlNode(row[place]) && 'SetToDefault' in row[place]);
}

/** Names of the columns that an INSERT gives. @param width of its rows */
export function givenNames(node: SqlNode, { columns }: CatalogRelation, width: number): string[] {
  const named = nodesOf(node, 'cols').map((each) => textOf(nodeOf(each, 'ResTarget'), 'name'));
  return named.length > 0 ? named : columns.slice(0, width).map(({ name }) => name);
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * @param statement a text of one statement, the INSERT
 * @param given names of the columns that it gives, in order
 * @param nodeFor what the grammar makes of parts
 * @returns null: the text is not as it is looked for
 */
export function editInsert(
  text: Uint8Array,
  node: SqlNode,
  given: readonly string[],
  added: readonly AddedColumn[],
  nodeFor: (parts: Parts) => SqlNode,
): InsertEdits | null {
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const heads = added.filter(({ name }) => !given.includes(name));
  const names = [...given, ...heads.map(({ name }) => name)];
  const cols = names.map((name) => ({ ResTarget: { name } }));
  if (source === undefined) return editDefaults(text, node, heads, cols, nodeFor);
  const rows = findInsertRows(text, 0, text.length);
  const lists = nodesOf(source, 'valuesLists');
  if (rows === null || rows.starts.length !== lists.length) return null;
  const edits: FillEdit[] = [];
  const list = heads.length === 0 ? null : listEdit(text, node, given, heads);
  if (heads.length > 0 && list === null) return null;
  if (list !== null) edits.push(list);
  const valuesLists = lists.map((each, row) => {
    const items = nodesOf(nodeOf(each, 'List'), 'items').map((item, place) => {
      const column = added.find(({ name }) => name === given[place]);
      const fields = nodeOf(item, 'SetToDefault');
      if (column === undefined || fields === undefined) return item;
      const parts = column.value();
      const start = typeof fields.location === 'number' ? fields.location : 0;
      edits.push({ start, end: start + DEFAULT_BYTES, parts });
      return nodeFor(parts);
    });
    const parts = heads.map((column) => column.value());
    const end = rows.ends[row] - 1;
    if (parts.length > 0) edits.push({ start: end, end, parts: parts.flatMap((each) => [', ', ...each]) });
    return { List: { items: [...items, ...parts.map(nodeFor)] } };
  });
  const tree = { ...node, ...(heads.length === 0 ? {} : { cols }) };
  const selectStmt = { SelectStmt: { ...source, valuesLists } as SqlValue } as SqlNode;
  return { edits: edits.sort((a, b) => a.start - b.start), tree: { ...tree, selectStmt } };
}

/** DEFAULT VALUES. */
function editDefaults(
  text: Uint8Array,
  node: SqlNode,
  heads: readonly AddedColumn[],
  cols: readonly SqlNode[],
  nodeFor: (parts: Parts) => SqlNode,
): InsertEdits | null {
  const { tokens } = new StatementText(text, 0, text.length);
  const at = tokens.findIndex(({ word }, i) => word === 'default' && tokens[i + 1]?.word === 'values');
  if (at < 0 || nodesOf(node, 'cols').length > 0) return null;
  const values = heads.map((column) => column.value());
  const list = heads.map(({ name }) => quoteName(name)).join(', ');
  const parts = values.flatMap((each, i) => (i === 0 ? each : [', ', ...each]));
  const edit = { start: tokens[at].start, end: tokens[at + 1].end };
  const select = {
    valuesLists: [{ List: { items: values.map(nodeFor) } }],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  return {
    edits: [{ ...edit, parts: [`(${list}) VALUES (`, ...parts, ')'] }],
    tree: { ...node, cols: [...cols], selectStmt: { SelectStmt: select } },
  };
}

/** Into the list of columns, or a list where there is none. */
export function listEdit(
  text: Uint8Array,
  node: SqlNode,
  given: readonly string[],
  heads: readonly { readonly name: string }[],
): FillEdit | null {
  const { tokens } = new StatementText(text, 0, text.length);
  const last = nodeOf(nodesOf(node, 'cols').at(-1), 'ResTarget');
  const names = heads.map(({ name }) => quoteName(name));
  if (last !== undefined) {
    const from = typeof last.location === 'number' ? last.location : 0;
    const close = tokens.find(
      (token) => token.start > from && token.depth === 0 && text[token.start] === 0x29,
    );
    return close === undefined
      ? null
      : { start: close.start, end: close.start, parts: [`, ${names.join(', ')}`] };
  }
  const values = tokens.findIndex(
    ({ word, depth }) => (word === 'values' || word === 'select') && depth === 0,
  );
  if (values < 0) return null;
  const isOverriding = textOf(node, 'override') !== '' && textOf(node, 'override') !== 'OVERRIDING_NOT_SET';
  // OVERRIDING USER VALUE, three words.
  const at = tokens[isOverriding ? values - 3 : values]?.start;
  if (at === undefined) return null;
  return { start: at, end: at, parts: [`(${[...given.map(quoteName), ...names].join(', ')}) `] };
}
