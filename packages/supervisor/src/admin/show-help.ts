import type { HelpLine } from './command-table.js';
import { column, defineShow, type Show } from './show.js';

/** Made from the table it is itself a part of, hence a function. */
export function makeShowHelp(lines: () => readonly HelpLine[]): Show {
  return defineShow<HelpLine>({
    name: 'help',
    privilege: 'admin',
    description: 'This list.',
    columns: [
      column('command', 'text', 'What to type.', (line) => line.usage),
      column('description', 'text', 'What it does.', (line) => line.description),
    ],
    rows: lines,
  });
}
