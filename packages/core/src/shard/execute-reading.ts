/** PREPARE and EXECUTE as statements of SQL: what is prepared, and with which values it is executed. */
import { VALUE_TYPE } from '../merge/value-types.js';
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED, TOKEN_WORD } from '../sql/lexer.js';
import { constantOf, nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import { castType, familyOf, type KeyFamily } from './key-family.js';

export interface ExecuteUse {
  readonly name: string;
  /** As text, null for NULL; undefined: what becomes of it as the parameter's type is for the server to say. */
  readonly values: readonly (string | null | undefined)[];
}

/** The statement in a PREPARE. */
export interface PreparedBody {
  /** Byte of the text at which it begins. */
  readonly start: number;
  /** Oids as the PREPARE declares them; 0: one that is not known here. */
  readonly types: readonly number[];
}

const OPEN = 0x28;
const CLOSE = 0x29;
const OIDS: Readonly<Record<string, number>> = VALUE_TYPE;
/** Of none of the types that a key has: a parameter of it leads nowhere. */
const OTHER_OID = 2278;

/** @returns null: something else than literals is given, which would have to be computed */
export function readExecuted(node: SqlNode): ExecuteUse | null {
  const values: (string | null | undefined)[] = [];
  for (const argument of nodesOf(node, 'params')) {
    const isNegative = isMinus(argument);
    const operand = isNegative ? nodeOf(nodeOf(argument, 'A_Expr'), 'rexpr') : argument;
    if (operand === undefined || !isLiteral(operand)) return null;
    values.push(givenText(operand, isNegative));
  }
  return { name: textOf(node, 'name'), values };
}

/** - 5 */
function isMinus(node: SqlNode): boolean {
  const expression = nodeOf(node, 'A_Expr');
  const isOperator =
    textOf(expression, 'kind') === 'AEXPR_OP' && pathOf(expression, 'name').join('.') === '-';
  const operand = nodeOf(expression, 'rexpr');
  return isOperator && expression?.lexpr === undefined && isNumber(operand);
}

function isNumber(node: SqlNode | undefined): boolean {
  const constant = nodeOf(node, 'A_Const');
  return constant !== undefined && ('ival' in constant || 'fval' in constant);
}

/** Alone, cast to a type of Postgres's own, or several in an array. */
function isLiteral(node: SqlNode): boolean {
  const cast = nodeOf(node, 'TypeCast');
  if (cast !== undefined) {
    return castType(nodeOf(cast, 'typeName')) !== null && isLiteral(nodeOf(cast, 'arg') ?? {});
  }
  const array = nodeOf(node, 'A_ArrayExpr');
  return array === undefined ? 'A_Const' in node : nodesOf(array, 'elements').every(isLiteral);
}

/** What has a point, or is cast, becomes a value of the parameter's type by rules that are not known here; but for these casts. */
function givenText(node: SqlNode, isNegative: boolean): string | null | undefined {
  const cast = nodeOf(node, 'TypeCast');
  if (cast !== undefined) {
    const argument = nodeOf(cast, 'arg') ?? {};
    const type = castType(nodeOf(cast, 'typeName'));
    const isSame = type !== null && !type.isArray && familyOf(type.type) === familyOfLiteral(argument);
    return isSame && !isNegative ? givenText(argument, false) : undefined;
  }
  const constant = nodeOf(node, 'A_Const');
  const point = nodeOf(constant, 'fval');
  if (constant === undefined || (point !== undefined && !isDigits(textOf(point, 'fval')))) return undefined;
  const value = constantOf(node);
  // Where it stands for itself or not is a matter of settings.
  if (typeof value === 'string' && value.includes('\\')) return undefined;
  return isNegative && typeof value === 'string' ? `-${value}` : value;
}

function familyOfLiteral(node: SqlNode): KeyFamily | '' {
  const constant = nodeOf(node, 'A_Const');
  if (constant === undefined) return '';
  return 'sval' in constant ? 'text' : isNumber(node) ? 'integer' : '';
}

function isDigits(text: string): boolean {
  return [...text].every((character) => character >= '0' && character <= '9');
}

/** @param text PREPARE name [(types)] AS statement. null: it is not understood */
export function readPreparedBody(text: Uint8Array, parser: SqlParser): PreparedBody | null {
  const parsed = parser.parse(Buffer.from(text.buffer, text.byteOffset, text.length).toString('utf8'));
  const [only] = parsed === null || parsed === 'unread' ? [] : parsed;
  const start = bodyStart(text);
  if (only?.kind !== 'PrepareStmt' || start === null) return null;
  const types = nodesOf(only.node, 'argtypes').map((type) => {
    const cast = castType(nodeOf(type, 'TypeName'));
    const name = cast === null || cast.isArray ? '' : cast.type.slice('pg_catalog.'.length);
    return OIDS[name] ?? OTHER_OID;
  });
  return { start, types };
}

/** Behind the AS that stands outside of parentheses; the name is no such word, unless it is quoted. */
function bodyStart(text: Uint8Array): number | null {
  const lexer = new SqlLexer();
  lexer.reset(text, 0, text.length);
  let depth = 0;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind === OPEN) depth++;
    else if (kind === CLOSE) depth--;
    else if (kind === TOKEN_WORD && depth === 0 && isAs(text, lexer)) return lexer.end;
  }
  return null;
}

function isAs(text: Uint8Array, { start, end }: SqlLexer): boolean {
  return end - start === 2 && (text[start] | 0x20) === 0x61 && (text[start + 1] | 0x20) === 0x73;
}
