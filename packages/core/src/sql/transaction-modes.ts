import { StatementText } from './statement-text.js';

const SEMICOLON = 0x3b;

/**
 * BEGIN with what a SET TRANSACTION behind it says as well; of two that contradict each other the last one counts there, as with
 * two statements. null: one of them is not written as it is looked for.
 */
export function withModes(begin: string, set: string): string | null {
  const head = wordsOf(begin);
  const modes = wordsOf(set);
  const at = modes.tokens.findIndex(({ word }) => word === 'transaction');
  // SET TRANSACTION, SET LOCAL TRANSACTION, SET SESSION TRANSACTION.
  const isKnown = modes.tokens[0]?.word === 'set' && (at === 1 || at === 2) && modes.end > at + 1;
  if (!isKnown || head.end === 0) return null;
  return `${head.text.between(0, head.end)} ${modes.text.between(at + 1, modes.end)}`;
}

function wordsOf(sql: string) {
  const bytes = Buffer.from(sql);
  const text = new StatementText(bytes, 0, bytes.length);
  const { tokens } = text;
  const semicolon = tokens.findIndex(({ start, end }) => end - start === 1 && bytes[start] === SEMICOLON);
  return { text, tokens, end: semicolon < 0 ? tokens.length : semicolon };
}
