import type { Metric } from './metric.js';

/** Of databases with several shards. */
export const TWO_PHASE_METRICS: readonly Metric[] = [
  {
    name: 'two_pc_recovered_total',
    type: 'counter',
    help: 'Prepared transactions that recovery has ended.',
    labels: ['database', 'outcome'],
    *samples({ recovery }) {
      for (const { database, committed, rolledBack } of recovery) {
        yield [{ database, outcome: 'committed' }, committed];
        yield [{ database, outcome: 'rolled_back' }, rolledBack];
      }
    },
  },
  {
    name: 'two_pc_in_doubt',
    type: 'gauge',
    help: 'Prepared transactions that recovery could not end in its last round.',
    labels: ['database'],
    *samples({ recovery }) {
      for (const { database, inDoubt } of recovery) yield [{ database }, inDoubt];
    },
  },
];
