/** Rows of an INSERT that stand in arrays: INSERT INTO t (…) SELECT * FROM unnest(…, …), as drivers write many rows. */
import { nodeOf, nodesOf, pathOf, type SqlNode } from '../sql/sql-node.js';
import { StatementText, type TokenSpan } from '../sql/statement-text.js';
import { type PartialInsert, renumber } from './insert-rows.js';
import { castType } from './key-family.js';

const OPEN = 0x28;
const STAR = 0x2a;
const SEMICOLON = 0x3b;

/** What a SELECT has that is nothing but a star and its FROM. */
const FIELDS: ReadonlySet<string> = new Set(['targetList', 'fromClause', 'limitOption', 'op', 'location']);
const FUNCTION_FIELDS: ReadonlySet<string> = new Set(['functions', 'alias']);
const CALL_FIELDS: ReadonlySet<string> = new Set(['funcname', 'args', 'funcformat', 'location']);
/** One column each: of a composite type unnest() makes several. */
const SCALARS: ReadonlySet<string> = new Set(
  (
    'bool int2 int4 int8 float4 float8 numeric text varchar bpchar char name bytea uuid date time timetz timestamp ' +
    'timestamptz interval json jsonb inet cidr macaddr macaddr8 oid bit varbit money xml tsvector int4range int8range ' +
    'numrange tsrange tstzrange daterange'
  ).split(' '),
);

/** The arrays of `SELECT * FROM unnest(…)`, of one column each; null: it is something else. */
export function rowArraysOf(source: SqlNode): readonly SqlNode[] | null {
  const [item, ...others] = nodesOf(source, 'fromClause');
  const range = nodeOf(item, 'RangeFunction');
  if (range === undefined || others.length > 0 || !hasOnly(source, FIELDS) || !isStar(source)) return null;
  const functions = nodesOf(range, 'functions');
  const call = nodeOf(nodesOf(nodeOf(functions[0], 'List'), 'items')[0], 'FuncCall');
  if (call === undefined || functions.length !== 1 || !hasOnly(range, FUNCTION_FIELDS)) return null;
  if (!hasOnly(call, CALL_FIELDS) || !isUnnest(pathOf(call, 'funcname'))) return null;
  const arrays = nodesOf(call, 'args');
  return arrays.length > 0 && arrays.every(isOfScalars) ? arrays : null;
}

function hasOnly(node: SqlNode, fields: ReadonlySet<string>): boolean {
  return Object.keys(node).every((key) => fields.has(key));
}

function isStar(source: SqlNode): boolean {
  const targets = nodesOf(source, 'targetList');
  const fields = nodesOf(nodeOf(nodeOf(nodeOf(targets[0], 'ResTarget'), 'val'), 'ColumnRef'), 'fields');
  return targets.length === 1 && fields.length === 1 && 'A_Star' in fields[0];
}

function isUnnest(path: readonly string[]): boolean {
  return path.at(-1) === 'unnest' && (path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog'));
}

function isOfScalars(array: SqlNode): boolean {
  const cast = nodeOf(array, 'TypeCast');
  if (cast === undefined) {
    const items = nodesOf(nodeOf(array, 'A_ArrayExpr'), 'elements');
    return items.length > 0 && items.every((item) => 'A_Const' in item);
  }
  const type = castType(nodeOf(cast, 'typeName'));
  return type?.isArray === true && SCALARS.has(type.type.slice('pg_catalog.'.length));
}

/** Where it stands in a text. */
export interface RowArraysPlace {
  readonly star: { readonly start: number; readonly end: number };
  /** bytes[start, end) is `unnest(…)`. */
  readonly call: { readonly start: number; readonly end: number };
  /** Behind the alias; of a call that has none, `call.end`. */
  readonly end: number;
}

/** @returns null: the text has no such thing where it is looked for */
export function findRowArrays(bytes: Uint8Array, start: number, end: number): RowArraysPlace | null {
  const { tokens } = new StatementText(bytes, start, end);
  const select = tokens.findIndex(({ word, depth }) => word === 'select' && depth === 0);
  if (select < 0) return null;
  const [star, from, first] = tokens.slice(select + 1);
  if (star === undefined || from?.word !== 'from' || !isByte(bytes, star, STAR)) return null;
  // pg_catalog.unnest: three tokens.
  const name = select + (first?.word === 'pg_catalog' ? 5 : 3);
  const open = tokens[name + 1];
  if (tokens[name]?.word !== 'unnest' || open === undefined || !isByte(bytes, open, OPEN)) return null;
  const close = tokens.findIndex(({ depth }, at) => at > name + 1 && depth === 0);
  if (close < 0) return null;
  const rest = tokens.slice(close + 1);
  const next = rest.findIndex(
    (token) =>
      token.depth === 0 &&
      (token.word === 'on' || token.word === 'returning' || isByte(bytes, token, SEMICOLON)),
  );
  const alias = (next < 0 ? rest : rest.slice(0, next)).at(-1);
  const call = { start: tokens[select + 3].start, end: tokens[close].end };
  return { star: { start: star.start, end: star.end }, call, end: alias?.end ?? call.end };
}

function isByte(bytes: Uint8Array, { start, end }: TokenSpan, byte: number): boolean {
  return end - start === 1 && bytes[start] === byte;
}

/** Some of the rows, counted from 0, and whether all from `count` on are among them: other arrays may be longer than the key's. */
export interface ArrayRows {
  readonly chosen: readonly number[];
  readonly count: number;
  readonly hasRest: boolean;
}

/** The statement bytes[start, end) with these of its rows alone. */
export function takeArrayRows(
  bytes: Uint8Array,
  start: number,
  end: number,
  { star, call, end: behind }: RowArraysPlace,
  arrays: number,
  { chosen, count, hasRest }: ArrayRows,
): PartialInsert {
  const columns = Array.from({ length: arrays }, (_, at) => `pgdog_${at + 1}`).join(', ');
  const rows = chosen.map((row) => row + 1).join(',');
  const rest = hasRest ? ` OR pgdog_row > ${count}` : '';
  const filter = ` WITH ORDINALITY AS pgdog_rows (${columns}, pgdog_row) WHERE pgdog_row = ANY ('{${rows}}'::pg_catalog.int8[])${rest}`;
  return renumber(
    Buffer.concat([
      bytes.subarray(start, star.start),
      Buffer.from(columns),
      bytes.subarray(star.end, call.end),
      Buffer.from(filter),
      bytes.subarray(behind, end),
    ]),
  );
}
