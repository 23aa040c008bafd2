import { madeOperand } from '../rewrite/made-cast.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { decodeText } from '../wire/cstring.js';
import { readTextArray } from './array-items.js';
import { castType, familyOf, type KeyFamily } from './key-family.js';
import type { KeySource } from './shard-reading.js';

const MADE_TYPE = 'pg_catalog.int8';

/** Where a literal of a shape stands among its literals; null: it is none of them. */
export type LiteralPlaces = (location: number) => { index: number; isNegative: boolean } | null;

/**
 * Reads what a key is compared with, or set to. Whatever Postgres would convert in a way of its own is null.
 * @param literals null: constants are read as they stand
 */
export function readSource(
  node: SqlNode,
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource | null {
  const made = madeOperand(node);
  if (made !== null) return family === 'integer' ? readBare(made, family, MADE_TYPE, literals) : null;
  const cast = nodeOf(node, 'TypeCast');
  if (cast === undefined) return readBare(node, family, null, literals);
  const type = castType(nodeOf(cast, 'typeName'));
  if (type === null || type.isArray || familyOf(type.type) !== family) return null;
  return readBare(nodeOf(cast, 'arg') ?? {}, family, type.type, literals);
}

function readBare(
  node: SqlNode,
  family: KeyFamily,
  cast: string | null,
  literals: LiteralPlaces | null,
): KeySource | null {
  const number = nodeOf(node, 'ParamRef')?.number;
  if (typeof number === 'number' && number > 0) return { kind: 'parameter', number, cast };
  const constant = nodeOf(node, 'A_Const');
  return constant === undefined ? null : readConstant(constant, family, literals);
}

/** Numbers of more than 31 bits are of the same form as fractions: whoever reads the text must see an integer in it. */
function readConstant(
  constant: SqlNode,
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource | null {
  if (constant.isnull === true) return { kind: 'null' };
  const isNumber = 'ival' in constant || 'fval' in constant;
  const form = 'sval' in constant ? 'string' : 'integer';
  if (form === 'integer' && !(isNumber && (family === 'integer' || family === 'numeric'))) return null;
  if (literals !== null) {
    const place = literals(typeof constant.location === 'number' ? constant.location : 0);
    if (place === null) return null;
    return { kind: 'literal', index: place.index, isNegative: place.isNegative && form === 'integer', form };
  }
  if (form === 'string') return { kind: 'value', text: textOf(nodeOf(constant, 'sval'), 'sval'), form };
  const text =
    'ival' in constant
      ? String(nodeOf(constant, 'ival')?.ival ?? 0)
      : textOf(nodeOf(constant, 'fval'), 'fval');
  return family === 'numeric' || isWhole(text) ? { kind: 'value', text, form } : null;
}

/** Digits, and a '-' before them. */
function isWhole(text: string): boolean {
  const from = text.startsWith('-') ? 1 : 0;
  for (let at = from; at < text.length; at++) {
    if (text.charCodeAt(at) < 0x30 || text.charCodeAt(at) > 0x39) return false;
  }
  return text.length > from;
}

/** A list of which the shape keeps the first literal only: `IN (…)` and `ARRAY[…]`. null: some item is not understood. */
export function readList(
  items: readonly SqlNode[],
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource[] | null {
  const sources = readEach(items, family, literals);
  return sources === null ? null : withoutNulls(sources);
}

function readEach(
  items: readonly SqlNode[],
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource[] | null {
  const sources: KeySource[] = [];
  for (const [i, item] of items.entries()) {
    const source = readSource(item, family, literals);
    if (source === null) return null;
    const isHead = i === 0 && source.kind === 'literal' && 'A_Const' in item;
    sources.push(isHead ? { kind: 'literalList', index: source.index, form: source.form } : source);
  }
  return sources;
}

/** Nothing equals NULL, but a list of nothing else is one of nulls. */
export function withoutNulls(sources: readonly KeySource[]): KeySource[] | null {
  const others = sources.filter(({ kind }) => kind !== 'null');
  if (sources.length === 0) return null;
  return others.length === 0 ? [{ kind: 'null' }] : others;
}

/** What stands in `= ANY (…)`. */
export function readArray(
  node: SqlNode,
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource[] | null {
  const sources = readItems(node, family, literals);
  return sources === null ? null : withoutNulls(sources);
}

/** Casts to arrays of the family, one around the other: it is of the innermost one's type. */
function withoutCasts(
  node: SqlNode,
  family: KeyFamily,
): { inner: SqlNode; type: string | null; isAlike: boolean } {
  let inner = node;
  let type: string | null = null;
  for (let cast = nodeOf(inner, 'TypeCast'); cast !== undefined; cast = nodeOf(inner, 'TypeCast')) {
    const to = castType(nodeOf(cast, 'typeName'));
    if (to === null || !to.isArray || familyOf(to.type) !== family) return { inner, type, isAlike: false };
    type = to.type;
    inner = nodeOf(cast, 'arg') ?? {};
  }
  return { inner, type, isAlike: true };
}

/** An array of which each item is a row, NULL too. null: it is not understood */
export function readItems(
  node: SqlNode,
  family: KeyFamily,
  literals: LiteralPlaces | null,
): KeySource[] | null {
  const { inner, type, isAlike } = withoutCasts(node, family);
  if (!isAlike) return null;
  const array = nodeOf(inner, 'A_ArrayExpr');
  return array === undefined
    ? readWhole(inner, type, literals)
    : readEach(nodesOf(array, 'elements'), family, literals);
}

/** A parameter, or a literal of an array. */
function readWhole(inner: SqlNode, type: string | null, literals: LiteralPlaces | null): KeySource[] | null {
  const number = nodeOf(inner, 'ParamRef')?.number;
  if (typeof number === 'number' && number > 0) {
    return [{ kind: 'parameterArray', number, cast: type }];
  }
  const constant = nodeOf(inner, 'A_Const');
  if (constant === undefined || !('sval' in constant)) return null;
  if (literals === null) return readArrayText(textOf(nodeOf(constant, 'sval'), 'sval'));
  const place = literals(typeof constant.location === 'number' ? constant.location : 0);
  return place === null ? null : [{ kind: 'literalArray', index: place.index }];
}

/** One dimension. */
function readArrayText(text: string): KeySource[] | null {
  const bytes = Buffer.from(text.trim());
  const sources: KeySource[] = [];
  const isRead = readTextArray(
    bytes,
    0,
    bytes.length,
    (from, start, end) =>
      sources.push({ kind: 'value', text: decodeText(from, start, end), form: 'string' }) > 0,
    () => sources.push({ kind: 'null' }) > 0,
  );
  return isRead ? sources : null;
}

/** A List node, or a bare list. */
export function itemsOf(value: SqlNode[string]): readonly SqlNode[] {
  if (Array.isArray(value)) return value.filter(isSqlNode);
  return isSqlNode(value) ? nodesOf(nodeOf(value, 'List'), 'items') : [];
}
