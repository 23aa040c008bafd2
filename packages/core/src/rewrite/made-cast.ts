import { isSqlNode, nodeOf, pathOf, type SqlNode, type SqlValue } from '../sql/sql-node.js';

/**
 * Behind a value that the proxy has made: cast twice, as nobody would write it, so that it is seen among others. A client can
 * write the same: whether the proxy has put it there is known to who fills in the frames alone (worker/made).
 */
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

/** Whether something in a tree is marked as made, wherever it stands. */
export function hasMark(root: SqlValue): boolean {
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    else if (isSqlNode(value)) {
      if (madeOperand(value) !== null) return true;
      for (const key in value) stack.push(value[key]);
    }
  }
  return false;
}
