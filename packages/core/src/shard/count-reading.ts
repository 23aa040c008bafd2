/** LIMIT and OFFSET, as they stand in a query. */
import { nodeOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { castType } from './key-family.js';
import { neverMerged } from './no-merge.js';
import type { Limits } from './rewritten-text.js';
import type { ShardContext } from './shard-context.js';
import type { CountSource, TextPlace } from './shard-reading.js';

export function readLimits(ctx: ShardContext, node: SqlNode): Limits {
  return { limit: readCount(ctx, node, 'limitCount'), offset: readCount(ctx, node, 'limitOffset') };
}

function readCount(ctx: ShardContext, node: SqlNode, key: 'limitCount' | 'limitOffset'): CountSource | null {
  const given = nodeOf(node, key);
  if (given === undefined) return null;
  // As SQLAlchemy writes it: LIMIT $1::INTEGER.
  const cast = nodeOf(given, 'TypeCast');
  const type = cast === undefined ? null : countType(nodeOf(cast, 'typeName'));
  const value = type === null ? given : (nodeOf(cast, 'arg') ?? given);
  const number = nodeOf(value, 'ParamRef')?.number;
  if (typeof number === 'number') return { kind: 'parameter', number, type };
  const constant = nodeOf(value, 'A_Const');
  if (constant?.isnull === true) return null;
  if (constant !== undefined && ('ival' in constant || 'sval' in constant)) {
    const { literals, terms } = ctx;
    const at = typeof constant.location === 'number' ? constant.location : 0;
    if (literals === null) {
      const found =
        'ival' in constant ? numberAt(constant, terms.text, at) : quotedAt(constant, terms.text, at);
      if (found !== null) return found;
      throw neverMerged('LIMIT or OFFSET of an expression', 'give a number or a parameter');
    }
    const place = literals(at);
    if (place !== null && !place.isNegative) return { kind: 'literal', index: place.index };
  }
  throw neverMerged('LIMIT or OFFSET of an expression', 'give a number or a parameter');
}

/** int4 or int8; null: something else. smallint may not hold what shards are asked for. */
function countType(typeName: SqlNode | undefined): 'int4' | 'int8' | null {
  const type = castType(typeName);
  if (type === null || type.isArray) return null;
  return type.type === 'pg_catalog.int4' ? 'int4' : type.type === 'pg_catalog.int8' ? 'int8' : null;
}

function numberAt(constant: SqlNode, text: Uint8Array | undefined, start: number): CountSource {
  const number = nodeOf(constant, 'ival')?.ival ?? 0;
  return { kind: 'value', value: String(number), place: digitsAt(text, start) };
}

/** As pgx and JDBC write a parameter into a text: LIMIT '3'. Null: it is no number, or not written so. */
function quotedAt(constant: SqlNode, text: Uint8Array | undefined, start: number): CountSource | null {
  const value = textOf(nodeOf(constant, 'sval'), 'sval');
  if (value === '' || ![...Buffer.from(value)].every(isDigit)) return null;
  const isPlain = text === undefined || (text[start] === QUOTE && text[start + value.length + 1] === QUOTE);
  if (!isPlain) return null;
  const place = text === undefined ? null : { start, end: start + value.length + 2 };
  return { kind: 'value', value, place };
}

const QUOTE = 0x27;

/** Where a number stands that is written in decimal digits alone; null: it is not. */
function digitsAt(text: Uint8Array | undefined, start: number): TextPlace | null {
  if (text === undefined) return null;
  let end = start;
  while (end < text.length && isDigit(text[end])) end++;
  // 1_000, 0x10, 1e3.
  return end > start && !isWordByte(text[end] ?? 0) ? { start, end } : null;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isWordByte(byte: number): boolean {
  return byte === 0x5f || byte >= 0x80 || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
