/** Columns added to an INSERT whose rows stand in arrays: one array more for each. */
import { findRowArrays, rowArraysOf } from '../shard/unnest-rows.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import { type FillEdit, type FillValue, partsText, ROW_COUNT } from './fill-reading.js';
import { type InsertEdits, listEdit, type Parts } from './insert-edit.js';

const CATALOG = 'pg_catalog.';

/** A column that is left to its default, and what that is for one row. */
export interface DefaultColumn {
  readonly name: string;
  /** `schema.name` */
  readonly type: string;
  readonly value: Parts;
}

export interface ArrayInsertEdits extends InsertEdits {
  /** See FillReading. */
  readonly rowsOf: number | null;
}

/** @returns null: the text is not as it is looked for */
export function editArrayInsert(
  text: Uint8Array,
  node: SqlNode,
  given: readonly string[],
  added: readonly DefaultColumn[],
  nodeFor: (parts: Parts) => SqlNode,
): ArrayInsertEdits | null {
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const arrays = source === undefined ? null : rowArraysOf(source);
  const place = findRowArrays(text, 0, text.length);
  const list = listEdit(text, node, given, added);
  if (source === undefined || arrays === null || place === null || list === null) return null;
  const rows = rowsOf(arrays, Buffer.from(text.subarray(place.call.start, place.call.end)).toString('utf8'));
  if (rows === null) return null;
  const values = added.map((column) => arrayOf(column, rows.sql));
  const known = values.filter((each) => each !== null);
  if (known.length < values.length) return null;
  const end = place.call.end - 1;
  const edits: FillEdit[] = [list, { start: end, end, parts: known.flatMap((value) => [', ', value]) }];
  const names = [...given, ...added.map(({ name }) => name)];
  const cols = names.map((name) => ({ ResTarget: { name } }));
  const args = known.map((value) => nodeFor([value]));
  const selectStmt = { SelectStmt: withArguments(source, args) };
  return { edits, tree: { ...node, cols, selectStmt } as SqlNode, rowsOf: rows.parameter };
}

/** The default of each row, in their order. */
function arrayOf({ type, value }: DefaultColumn, rows: string): FillValue | null {
  if (!type.startsWith(CATALOG)) return null;
  const calls = value.filter((part) => typeof part !== 'string');
  const sql = `(SELECT pg_catalog.array_agg(${partsText(value, (call) => call.sql)}) FROM ${rows})`;
  return {
    sql,
    type: `${type.slice(CATALOG.length)}[]`,
    isSequence: calls.some(({ isSequence }) => isSequence),
    isIdentity: calls.some(({ isIdentity }) => isIdentity === true),
  };
}

/** What gives one row for each of the INSERT's, and the parameter of which that takes the length. */
interface Rows {
  readonly sql: string;
  readonly parameter: number | null;
}

/** A question has no parameters. null: their number is not known without them */
function rowsOf(arrays: readonly SqlNode[], call: string): Rows | null {
  const series = (count: number | string): string => `pg_catalog.generate_series(1, ${count})`;
  const inner = arrays.map(withoutCasts);
  if (!hasParameter(inner)) return { sql: call, parameter: null };
  for (const array of inner) {
    const number = nodeOf(array, 'ParamRef')?.number;
    if (typeof number === 'number' && number > 0) return { sql: series(ROW_COUNT), parameter: number };
    const items = nodesOf(nodeOf(array, 'A_ArrayExpr'), 'elements');
    if (items.length > 0) return { sql: series(items.length), parameter: null };
  }
  return null;
}

function withoutCasts(node: SqlNode): SqlNode {
  let inner = node;
  for (let cast = nodeOf(inner, 'TypeCast'); cast !== undefined; cast = nodeOf(inner, 'TypeCast')) {
    inner = nodeOf(cast, 'arg') ?? {};
  }
  return inner;
}

function hasParameter(root: SqlValue): boolean {
  const stack: SqlValue[] = [root];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (Array.isArray(value)) stack.push(...value);
    else if (isSqlNode(value)) {
      if (nodeOf(value, 'ParamRef') !== undefined) return true;
      stack.push(...Object.values(value));
    }
  }
  return false;
}

function withArguments(source: SqlNode, args: readonly SqlNode[]): SqlNode {
  const [item] = nodesOf(source, 'fromClause');
  const range = nodeOf(item, 'RangeFunction') ?? {};
  const [list] = nodesOf(range, 'functions');
  const [call, ...rest] = nodesOf(nodeOf(list, 'List'), 'items');
  const fields = nodeOf(call, 'FuncCall') ?? {};
  const FuncCall = { ...fields, args: [...nodesOf(fields, 'args'), ...args] };
  const RangeFunction = { ...range, functions: [{ List: { items: [{ FuncCall }, ...rest] } }] };
  return { ...source, fromClause: [{ RangeFunction }] } as SqlNode;
}
