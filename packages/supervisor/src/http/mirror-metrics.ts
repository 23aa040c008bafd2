import type { MirrorReport } from '@pgdog-cluster/core';
import type { Metric } from './metric.js';

function mirrorMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (row: MirrorReport) => number,
): Metric {
  return {
    name,
    type,
    help,
    labels: ['user', 'database', 'destination'],
    *samples({ mirrors }) {
      for (const row of mirrors) {
        const { user, source, destination } = row;
        yield [{ user, database: source, destination }, value(row)];
      }
    },
  };
}

/** Units: transactions, or statements outside of one. They begin anew when a worker does. */
export const MIRROR_METRICS: readonly Metric[] = [
  mirrorMetric('mirror_total_count', 'counter', 'Units of clients that ended.', (row) => row.total),
  mirrorMetric(
    'mirror_mirrored_count',
    'counter',
    'Units run at the destination without an error.',
    (row) => row.mirrored,
  ),
  mirrorMetric(
    'mirror_dropped_count',
    'counter',
    'Units dropped: no room in the queue, or too large.',
    (row) => row.dropped,
  ),
  mirrorMetric(
    'mirror_error_count',
    'counter',
    'Units that met an error at the destination.',
    (row) => row.errors,
  ),
  mirrorMetric(
    'mirror_skipped_count',
    'counter',
    'Units left out by exposure or level.',
    (row) => row.skipped,
  ),
  mirrorMetric(
    'mirror_failed_count',
    'counter',
    'Units that failed or were rolled back at the source.',
    (row) => row.failed,
  ),
  mirrorMetric('mirror_queue_length', 'gauge', 'Units waiting now.', (row) => row.queued),
];
