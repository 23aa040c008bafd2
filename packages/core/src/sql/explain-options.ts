import { constantOf, nodeOf, nodesOf, type SqlNode, textOf } from './sql-node.js';

/** Whether an EXPLAIN runs its statement: of options that are repeated, the last one counts. */
export function isAnalyze(explain: SqlNode): boolean {
  let runs = false;
  for (const option of nodesOf(explain, 'options')) {
    const element = nodeOf(option, 'DefElem');
    if (textOf(element, 'defname') === 'analyze') runs = !isOff(nodeOf(element, 'arg'));
  }
  return runs;
}

function isOff(value: SqlNode | undefined): boolean {
  if (value === undefined) return false;
  const text = textOf(nodeOf(value, 'String'), 'sval') || constantOf(value);
  const isZero = 'Integer' in value && (nodeOf(value, 'Integer')?.ival ?? 0) === 0;
  const folded = typeof text === 'string' ? text.toLowerCase() : '';
  return isZero || folded === 'off' || folded === 'false';
}
