import type { ConfigurationChange } from '@pgdog-cluster/core/config';
import { changeTag, valuesText, whereText } from '../config/change-text.js';
import { column, defineShow } from './show.js';

interface ChangeRow {
  change: ConfigurationChange;
  isPersisted: boolean;
  isMatched: boolean;
}

export const SHOW_CHANGES = defineShow<ChangeRow>({
  name: 'changes',
  privilege: 'admin',
  description: 'One row per ADD, ALTER or DROP of a database or user that is in force, in their order.',
  columns: [
    column('change', 'text', '`ADD DATABASE` and so on.', ({ change }) => changeTag(change)),
    column('name', 'text', 'Of the database or user.', ({ change }) => change.name),
    column('which', 'text', 'Which of its entries; empty: all.', ({ change }) => whereText(change)),
    column('settings', 'text', 'What it sets; `[secret]` for passwords.', ({ change }) => valuesText(change)),
    column('source', 'text', 'Who ordered it, or the line of persist_file.', ({ change }) =>
      change.line > 0 ? `${change.source}:${change.line}` : change.source,
    ),
    column(
      'persisted',
      'bool',
      'It is in persist_file; otherwise a restart forgets it.',
      (row) => row.isPersisted,
    ),
    column(
      'effective',
      'bool',
      'What it names is there; a file may have lost it since.',
      (row) => row.isMatched,
    ),
  ],
  rows({ reloadState }) {
    const { persisted, unpersisted, unmatched } = reloadState().layers;
    const rows = (list: readonly ConfigurationChange[], isPersisted: boolean): ChangeRow[] =>
      list.map((change) => ({ change, isPersisted, isMatched: !unmatched.has(change) }));
    return [...rows(persisted, true), ...rows(unpersisted, false)];
  },
});
