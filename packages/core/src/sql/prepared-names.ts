import type { PrepareEffect } from './sql-effect.js';
import type { NameSpan } from './sql-plan.js';
import type { StatementText } from './statement-text.js';

const BYTE_OPEN = 0x28;

/** Where the name stands in `PREPARE name …`. */
export function prepareNameSpans(text: StatementText, name: string): NameSpan[] {
  return spanAt(text, 1, name);
}

/** `DEALLOCATE name` or `DEALLOCATE PREPARE name`; PREPARE may itself be the name. */
export function deallocateNameSpans(text: StatementText, name: string): NameSpan[] {
  const isPrefixed = text.tokens[1]?.word === 'prepare' && text.isName(2);
  return spanAt(text, isPrefixed ? 2 : 1, name);
}

/** `EXECUTE name`, alone or after EXPLAIN and its options, which stand in parentheses or are keywords. */
export function executeNameSpans(text: StatementText, name: string): NameSpan[] {
  return spanAt(text, text.indexOfWord('execute', 0) + 1, name);
}

/** `… AS EXECUTE name`: the first AS outside of parentheses, since no unquoted name can be "as". */
export function executeAsNameSpans(text: StatementText, name: string): NameSpan[] {
  return spanAt(text, text.indexOfWord('as', 0) + 2, name);
}

function spanAt(text: StatementText, index: number, name: string): NameSpan[] {
  if (!text.isName(index)) return [];
  const { start, end } = text.tokens[index];
  return [{ start, end, name }];
}

/** Takes `PREPARE name [(types)] AS body` apart. */
export function readPrepare(text: StatementText, name: string): PrepareEffect {
  const as = text.indexOfWord('as', 2);
  const hasTypes = text.tokens[2]?.kind === BYTE_OPEN;
  return {
    type: 'prepare',
    name,
    argumentTypes: hasTypes ? text.between(2, as) : '',
    body: text.between(as + 1, text.tokens.length),
    encoding: 'utf8',
  };
}
