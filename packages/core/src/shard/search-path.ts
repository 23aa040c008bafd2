import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';

/** `SET search_path TO a, b` or `SELECT set_config('search_path', 'a, b', …)`, as parameter sets replay them. */
export function readSearchPath(replay: string, parser: SqlParser): readonly string[] | null {
  const parsed = parser.parse(replay);
  if (parsed === null || parsed === 'unread' || parsed.length !== 1) return null;
  const [{ kind, node }] = parsed;
  if (kind === 'VariableSetStmt') {
    const values = nodesOf(node, 'args').map(stringOf);
    // Each argument of SET is one name, quoted or not.
    return values.every((value) => value !== null) ? (values as string[]) : null;
  }
  if (kind !== 'SelectStmt') return null;
  const target = nodeOf(nodesOf(node, 'targetList')[0], 'ResTarget');
  const value = nodesOf(nodeOf(nodeOf(target, 'val'), 'FuncCall'), 'args')[1];
  const text = value === undefined ? null : stringOf(value);
  return text === null ? null : splitNames(text);
}

function stringOf(node: SqlNode): string | null {
  const constant = nodeOf(node, 'A_Const') ?? nodeOf(nodeOf(nodeOf(node, 'TypeCast'), 'arg'), 'A_Const');
  const text = nodeOf(constant, 'sval');
  return text === undefined ? null : textOf(text, 'sval');
}

/** A list of identifiers as a setting holds it: SplitIdentifierString() of varlena.c. */
export function splitNames(text: string): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < text.length) {
    while (at < text.length && (text[at] === ' ' || text[at] === ',')) at++;
    if (at >= text.length) break;
    let name = '';
    if (text[at] === '"') {
      for (at++; at < text.length; at++) {
        if (text[at] !== '"') name += text[at];
        else if (text[at + 1] === '"') name += text[++at];
        else break;
      }
      at++;
    } else {
      while (at < text.length && text[at] !== ',' && text[at] !== ' ') name += text[at++].toLowerCase();
    }
    names.push(name);
  }
  return names;
}
