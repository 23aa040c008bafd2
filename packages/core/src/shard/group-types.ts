/** Types of what is computed of groups, as far as the statement tells them. */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { type CastTarget, type ComputedType, constant, type GroupExpression } from './group-expression.js';
import { NoMerge } from './no-merge.js';

/** An expression over groups: with its type if that is known, or something whose type is what it stands beside. */
export type Typed =
  | { readonly expression: GroupExpression; readonly type: string | null }
  | { readonly untyped: SqlNode };

const LADDER: readonly string[] = ['int2', 'int4', 'int8', 'numeric'];
const COMPUTED: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric', 'bool']);

export function typeOf(read: Typed): string | null {
  return 'expression' in read ? read.type : null;
}

/** Of results of which any may be the result; of two that are added up. null: not known. */
export function commonType(read: readonly Typed[]): string | null {
  const types = read.flatMap((each) => ('expression' in each ? [each.type] : []));
  if (types.length === 0 || types.includes(null)) return null;
  const widest = Math.max(...types.map((type) => LADDER.indexOf(type ?? '')));
  if (types.every((type) => LADDER.includes(type ?? ''))) return LADDER[widest];
  return types.every((type) => type === types[0]) ? types[0] : null;
}

/** Numbers and truth values; null: its type is what it stands beside. */
export function readConstant(node: SqlNode): Typed | null {
  const number = nodeOf(node, 'ival');
  if (number !== undefined) return literal('int4', String(number.ival ?? 0));
  const truth = nodeOf(node, 'boolval');
  if (truth !== undefined) return literal('bool', truth.boolval === true ? 't' : 'f');
  const fraction = nodeOf(node, 'fval');
  if (fraction === undefined) return null;
  const text = textOf(fraction, 'fval');
  return literal(isInt8(text) ? 'int8' : 'numeric', text);
}

export function isComputed(type: string): type is ComputedType {
  return COMPUTED.has(type);
}

/** A text where a number or a truth value is wanted: as far as it is written plainly. */
export function readText(type: ComputedType, text: string): GroupExpression {
  const isPlain = type === 'numeric' ? /^-?[0-9]{1,300}(\.[0-9]{1,300})?$/ : /^-?[0-9]{1,18}$/;
  if (type === 'bool' && (text === 't' || text === 'true')) return constant('bool', 't');
  if (type === 'bool' && (text === 'f' || text === 'false')) return constant('bool', 'f');
  const bits = { int2: 16, int4: 32, int8: 64 }[type as string] ?? 0;
  const isFit =
    type === 'numeric' || (isPlain.test(text) && BigInt.asIntN(bits, BigInt(text)) === BigInt(text));
  if (type === 'bool' || !isPlain.test(text) || !isFit)
    throw new NoMerge(`a text that is not plainly ${type}`);
  return constant(type, text);
}

function literal(type: ComputedType, text: string): Typed {
  return { expression: constant(type, text), type };
}

/** Whole numbers that are too large for int4 are int8 as long as they fit, else numeric. */
function isInt8(text: string): boolean {
  const digits = text.startsWith('-') ? text.slice(1) : text;
  for (let at = 0; at < digits.length; at++) {
    if (digits.charCodeAt(at) < 0x30 || digits.charCodeAt(at) > 0x39) return false;
  }
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value;
}

/** null: nothing that groups are cast to here. */
export function castTarget(typeName: SqlNode): CastTarget | null {
  const path = pathOf(typeName, 'names');
  const name = path.at(-1) ?? '';
  const isOwn = path.length === 1 || path[0] === 'pg_catalog';
  if (!isOwn || !COMPUTED.has(name) || nodesOf(typeName, 'arrayBounds').length > 0) return null;
  const modifiers = nodesOf(typeName, 'typmods').map(
    (each) => nodeOf(nodeOf(each, 'A_Const'), 'ival')?.ival ?? 0,
  );
  const type = name as ComputedType;
  if (modifiers.length === 0) return { type, modifier: null };
  const [precision, scale = 0] = modifiers;
  const isFit =
    typeof precision === 'number' && typeof scale === 'number' && scale >= 0 && scale <= precision;
  return type === 'numeric' && isFit && precision >= 1 && precision <= 1000
    ? { type, modifier: { precision, scale } }
    : null;
}

export function quotedString(text: string): string {
  if (text.includes('\\')) throw new NoMerge('a text with a backslash');
  return `'${text.replaceAll("'", "''")}'`;
}
