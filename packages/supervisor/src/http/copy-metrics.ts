import type { Metric } from './metric.js';

export const COPY_METRICS: readonly Metric[] = [
  {
    name: 'omni_tables_differing',
    type: 'gauge',
    help: 'Tables that every shard has whole and that were not the same on all of them when they were last compared.',
    labels: ['database'],
    *samples({ drift }) {
      for (const { database, differing } of drift) yield [{ database }, differing];
    },
  },
];
