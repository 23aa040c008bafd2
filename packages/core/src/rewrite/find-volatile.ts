/** Calls whose result differs from server to server, and could be had from one of them for all. */
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED } from '../sql/lexer.js';
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { FillValue } from './fill-reading.js';
import { isUniqueId } from './find-made.js';
import { HARMLESS_SCALARS } from './scalar-functions.js';

export interface VolatileCall {
  /** The node in whose place the value comes. */
  readonly node: SqlNode;
  readonly start: number;
  readonly end: number;
  readonly value: FillValue;
}

/** The same for every row, and wherever in the statement it stands. */
const STABLE: Readonly<Record<string, string>> = {
  now: 'timestamptz',
  transaction_timestamp: 'timestamptz',
  statement_timestamp: 'timestamptz',
};
/** Another one each time. */
const EACH: Readonly<Record<string, string>> = {
  clock_timestamp: 'timestamptz',
  random: 'float8',
  gen_random_uuid: 'uuid',
  uuidv4: 'uuid',
  uuidv7: 'uuid',
};
const TIMES: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'date',
  SVFOP_CURRENT_TIME: 'timetz',
  SVFOP_CURRENT_TIME_N: 'timetz',
  SVFOP_CURRENT_TIMESTAMP: 'timestamptz',
  SVFOP_CURRENT_TIMESTAMP_N: 'timestamptz',
  SVFOP_LOCALTIME: 'time',
  SVFOP_LOCALTIME_N: 'time',
  SVFOP_LOCALTIMESTAMP: 'timestamp',
  SVFOP_LOCALTIMESTAMP_N: 'timestamp',
};
/** What is in them may not be computed at all. */
const CONDITIONAL: ReadonlySet<string> = new Set(['CaseExpr', 'CoalesceExpr', 'BoolExpr']);
const OPEN = 0x28;
const CLOSE = 0x29;

interface Place {
  /** It is computed once for its place in the text. */
  readonly isOnce: boolean;
  readonly isConditional: boolean;
}

/** @param isOnce one row is computed of `root` */
export function findVolatile(root: SqlValue, text: Uint8Array, isOnce: boolean): VolatileCall[] {
  const found: VolatileCall[] = [];
  const start: Place = { isOnce: isOnce && !makesRows(root), isConditional: false };
  const stack: [SqlValue, Place][] = [[root, start]];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const [value, place] = next;
    if (Array.isArray(value)) for (const item of value) stack.push([item, place]);
    else if (isSqlNode(value)) {
      const call = callOf(value, text, place);
      if (call !== null) {
        found.push(call);
        continue;
      }
      for (const key in value) stack.push([value[key], inside(key, place)]);
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

function inside(key: string, place: Place): Place {
  if (key === 'SubLink') return { ...place, isOnce: false };
  return CONDITIONAL.has(key) ? { ...place, isConditional: true } : place;
}

/** Functions that are not known to give one value may make a row of each. */
export function makesRows(root: SqlValue): boolean {
  const stack: SqlValue[] = [root];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (Array.isArray(value)) stack.push(...value);
    else if (isSqlNode(value)) {
      const path = pathOf(nodeOf(value, 'FuncCall'), 'funcname');
      const name = bareName(path);
      const isScalar = path.length === 0 || isUniqueId(path) || (name !== null && HARMLESS_SCALARS.has(name));
      if (!isScalar) return true;
      for (const key in value) if (value[key] !== undefined) stack.push(value[key]);
    }
  }
  return false;
}

function callOf(node: SqlNode, text: Uint8Array, { isOnce, isConditional }: Place): VolatileCall | null {
  const time = nodeOf(node, 'SQLValueFunction');
  if (time !== undefined) {
    const type = TIMES[textOf(time, 'op')];
    return type === undefined ? null : siteOf(node, time, text, type, textOf(time, 'op').endsWith('_N'));
  }
  const call = nodeOf(node, 'FuncCall');
  const name = bareName(pathOf(call, 'funcname'));
  if (call === undefined || name === null || !isPlain(call)) return null;
  const args = nodesOf(call, 'args');
  if (name === 'nextval') {
    return isOnce && !isConditional && args.length === 1 && isConstant(args[0])
      ? siteOf(node, call, text, 'int8', true, true)
      : null;
  }
  const type = STABLE[name] ?? (isOnce ? EACH[name] : undefined);
  return type === undefined || args.length > 0 ? null : siteOf(node, call, text, type, true);
}

function siteOf(
  node: SqlNode,
  fields: SqlNode,
  text: Uint8Array,
  type: string,
  hasList: boolean,
  isSequence = false,
): VolatileCall {
  const start = typeof fields.location === 'number' ? fields.location : 0;
  const end = hasList ? listEnd(text, start) : wordEnd(text, start);
  const sql = Buffer.from(text.buffer, text.byteOffset + start, end - start).toString('utf8');
  return { node, start, end, value: { sql, type, isSequence } };
}

function bareName(path: readonly string[]): string | null {
  const isOwn = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  return isOwn ? path[path.length - 1] : null;
}

const PLAIN_CALL: ReadonlySet<string> = new Set(['funcname', 'args', 'funcformat', 'location']);

function isPlain(call: SqlNode): boolean {
  return Object.keys(call).every((key) => PLAIN_CALL.has(key));
}

function isConstant(node: SqlNode): boolean {
  const inner = nodeOf(nodeOf(node, 'TypeCast'), 'arg') ?? node;
  return 'A_Const' in inner;
}

/** Behind the parenthesis that closes the first one. */
function listEnd(text: Uint8Array, start: number): number {
  const lexer = new SqlLexer();
  lexer.reset(text, start, text.length);
  let depth = 0;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind === OPEN) depth++;
    if (kind === CLOSE && --depth <= 0) break;
  }
  return lexer.end;
}

function wordEnd(text: Uint8Array, start: number): number {
  const lexer = new SqlLexer();
  lexer.reset(text, start, text.length);
  lexer.next();
  return lexer.end;
}
