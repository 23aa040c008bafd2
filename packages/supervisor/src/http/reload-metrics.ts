import type { Metric, Scrape } from './metric.js';

function gauge(name: string, help: string, value: (state: Scrape['reloadState']) => number): Metric {
  return {
    name,
    type: 'gauge',
    help,
    labels: [],
    *samples({ reloadState }) {
      yield [{}, value(reloadState)];
    },
  };
}

export const RELOAD_METRICS: readonly Metric[] = [
  {
    name: 'config_reloads_total',
    type: 'counter',
    help: 'Attempts to take up the configuration anew; a failed one has changed nothing.',
    labels: ['result'],
    *samples({ reloadState: { figures } }) {
      yield [{ result: 'ok' }, figures.okCount];
      yield [{ result: 'failed' }, figures.failedCount];
    },
  },
  gauge('config_last_reload_successful', '1 if the last attempt went well.', ({ status }) =>
    status.isOk ? 1 : 0,
  ),
  gauge(
    'config_last_success_timestamp_seconds',
    'When the configuration in force was read.',
    ({ figures }) => figures.lastOkMs / 1000,
  ),
  gauge(
    'config_pending_restart',
    'Settings whose value in the files waits for a restart.',
    ({ status }) => status.pending.length,
  ),
];
