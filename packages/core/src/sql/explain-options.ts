import { constantOf, nodeOf, nodesOf, type SqlNode, textOf } from './sql-node.js';

/** Whether an EXPLAIN runs its statement. */
export function isAnalyze(explain: SqlNode): boolean {
  return isSwitchedOn(explain, 'analyze');
}

/** Whether an EXPLAIN has this option, and not switched off: of options that are repeated, the last one counts. */
export function isSwitchedOn(explain: SqlNode, name: string): boolean {
  let isOn = false;
  for (const option of nodesOf(explain, 'options')) {
    const element = nodeOf(option, 'DefElem');
    if (textOf(element, 'defname') === name) isOn = !isOff(nodeOf(element, 'arg'));
  }
  return isOn;
}

function isOff(value: SqlNode | undefined): boolean {
  if (value === undefined) return false;
  const text = textOf(nodeOf(value, 'String'), 'sval') || constantOf(value);
  const isZero = 'Integer' in value && (nodeOf(value, 'Integer')?.ival ?? 0) === 0;
  const folded = typeof text === 'string' ? text.toLowerCase() : '';
  return isZero || folded === 'off' || folded === 'false';
}
