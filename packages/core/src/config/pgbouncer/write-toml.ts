import { stringify } from 'smol-toml';
import type { ConfigurationProblem } from '../configuration-problem.js';
import type { Place } from '../problem-list.js';
import type { DraftDocument, DraftTable } from './draft.js';

/**
 * A translated configuration as the text of pgdog.toml or users.toml: each key after a comment that says where it came
 * from, remarks about it first. `warnings`: all there are; those whose place has no key in this file stand at its head
 * if `hasRest`.
 */
export function writeToml(
  document: DraftDocument,
  warnings: readonly ConfigurationProblem[],
  hasRest: boolean,
): string {
  const isPlaced = (place: Place) =>
    document.tables.some((table) => table.entries.some((entry) => isSamePlace(entry.place, place)));
  const lines: string[] = [];
  for (const warning of hasRest ? warnings : []) {
    if (!isPlaced(warning)) lines.push(comment(`${position(warning)}: ${warning.message}`));
  }
  const told = new Set<ConfigurationProblem>();
  for (const table of document.tables) {
    if (table.entries.length === 0) continue;
    lines.push('', table.isList ? `[[${table.name}]]` : `[${table.name}]`);
    writeEntries(table, warnings, told, lines);
  }
  return `${lines.join('\n').trimStart()}\n`;
}

function writeEntries(
  table: DraftTable,
  warnings: readonly ConfigurationProblem[],
  told: Set<ConfigurationProblem>,
  lines: string[],
): void {
  let last: Place | null = null;
  for (const { key, value, place } of table.entries) {
    // One comment for all that one line of the other file says.
    if (last === null || !isSamePlace(last, place)) lines.push(comment(position(place)));
    last = place;
    for (const warning of warnings) {
      if (told.has(warning) || !isSamePlace(warning, place)) continue;
      told.add(warning);
      lines.push(comment(warning.message));
    }
    lines.push(stringify({ [key]: value }).trimEnd());
  }
}

function isSamePlace(one: Place, other: Place): boolean {
  return one.source === other.source && one.line === other.line && one.key === other.key;
}

function position({ source, line, key }: Place): string {
  const name = key === '' ? '' : ` ${key}`;
  return line === 0 ? `PgBouncer's default:${name}` : `${source}:${line}${name}`;
}

/** In one line: names come from files of others. */
function comment(text: string): string {
  let clean = '';
  for (const char of text) clean += char < ' ' || char === '\x7f' ? ' ' : char;
  return `# ${clean}`;
}
