import type { PreparedReport } from '@pgdog-cluster/core';
import { column, defineShow } from './show.js';

/** Rows without LIMIT. */
const STATEMENTS_SHOWN = 1000;

/** Workers have one name for one statement. */
function merged(reports: readonly PreparedReport[]): PreparedReport[] {
  const rows = new Map<string, PreparedReport>();
  for (const report of reports) {
    const known = rows.get(report.name);
    if (known === undefined) rows.set(report.name, { ...report });
    else {
      known.references += report.references;
      known.bytes += report.bytes;
    }
  }
  return [...rows.values()].sort((a, b) => b.references - a.references);
}

export const SHOW_PREPARED = defineShow<PreparedReport>({
  name: 'prepared',
  privilege: 'admin',
  description: `Prepared statements that clients hold, those of most clients first: SHOW PREPARED ['part of the text'] [LIMIT n] (${STATEMENTS_SHOWN}).`,
  takesFilter: true,
  columns: [
    column('name', 'text', 'On servers.', (row) => row.name),
    column('statement', 'text', 'The statement with literals as $n.', (row) => row.statement),
    column('rewrite', 'text', 'NULL: what is rewritten is rewritten when it is executed.', () => null),
    column(
      'used_by',
      'numeric',
      'Names that mean it, over all workers: of clients, and of their parts on shards.',
      (row) => row.references,
    ),
    column('memory_used', 'numeric', 'Bytes of its text, in each worker that knows it.', (row) => row.bytes),
  ],
  async rows({ reportPrepared }, _, { filter, limit }) {
    return merged(await reportPrepared(filter)).slice(0, limit ?? STATEMENTS_SHOWN);
  },
});
