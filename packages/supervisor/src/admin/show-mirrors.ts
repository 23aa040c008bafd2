import type { MirrorReport } from '@pgdog-cluster/core';
import type { AdminContext } from './admin-context.js';
import { column, defineShow } from './show.js';

const FIGURES = ['total', 'mirrored', 'skipped', 'failed', 'dropped', 'errors', 'queued'] as const;

/** One row per mirror and user over all workers; none is asked while nothing is mirrored. */
export async function mirrorFigures({
  config,
  reportMirrors,
}: Pick<AdminContext, 'config' | 'reportMirrors'>): Promise<MirrorReport[]> {
  if ((config().mirrors ?? []).length === 0) return [];
  const rows = new Map<string, MirrorReport>();
  for (const report of await reportMirrors()) {
    const key = [report.source, report.destination, report.user].join('\0');
    const known = rows.get(key);
    if (known === undefined) rows.set(key, { ...report });
    else for (const figure of FIGURES) known[figure] += report[figure];
  }
  return [...rows.values()];
}

export const SHOW_MIRRORS = defineShow<MirrorReport>({
  name: 'mirrors',
  privilege: 'admin',
  description:
    'One row per mirror and user that used it. Units are transactions, or statements outside of one.',
  columns: [
    column('database', 'text', 'Database that is mirrored.', (row) => row.source),
    column('user', 'text', 'User.', (row) => row.user),
    column('total_count', 'numeric', 'Units of clients that ended.', (row) => row.total),
    column('mirrored_count', 'numeric', 'Run at the destination without an error.', (row) => row.mirrored),
    column(
      'dropped_count',
      'numeric',
      'Dropped: no room in the queue, or larger than 1 MiB.',
      (row) => row.dropped,
    ),
    column('error_count', 'numeric', 'Met an error at the destination.', (row) => row.errors),
    column('queue_length', 'numeric', 'Waiting now.', (row) => row.queued),
    column('destination', 'text', 'Database it is mirrored to.', (row) => row.destination),
    column('skipped_count', 'numeric', 'Left out by exposure or level.', (row) => row.skipped),
    column('failed_count', 'numeric', 'Failed or rolled back at the source.', (row) => row.failed),
  ],
  rows: mirrorFigures,
});
