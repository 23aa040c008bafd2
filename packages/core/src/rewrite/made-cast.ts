import { nodeOf, pathOf, type SqlNode } from '../sql/sql-node.js';

/** Behind a value that the proxy has made: cast twice, as nobody would write it, so that it is known for one that no row has. */
export const MADE_CAST = '::int8::int8';

/** What is cast so; null: it is not made by us. */
export function madeOperand(node: SqlNode): SqlNode | null {
  const outer = nodeOf(node, 'TypeCast');
  const inner = nodeOf(nodeOf(outer, 'arg'), 'TypeCast');
  if (!isInt8(outer) || !isInt8(inner)) return null;
  const operand = nodeOf(inner, 'arg');
  return operand !== undefined && ('ParamRef' in operand || 'A_Const' in operand) ? operand : null;
}

function isInt8(cast: SqlNode | undefined): boolean {
  return pathOf(nodeOf(cast, 'typeName'), 'names').join('.') === 'int8';
}
