import type { SourceFigures } from '../config/source-watch.js';
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

function ofSource(
  name: string,
  help: string,
  value: (source: SourceFigures, nowMs: number) => number,
): Metric {
  return {
    name,
    type: 'gauge',
    help,
    labels: [],
    *samples({ reloadState: { source }, nowMs }) {
      if (source !== null) yield [{}, value(source, nowMs)];
    },
  };
}

const SOURCE_METRICS: readonly Metric[] = [
  ofSource('config_source_up', '1 while there is a connection to [config_source].', ({ state }) =>
    state === 'listening' || state === 'polling' ? 1 : 0,
  ),
  ofSource(
    'config_source_age_seconds',
    'Since [config_source] had the rows that are in force.',
    ({ lastOkMs }, nowMs) => (nowMs - lastOkMs) / 1000,
  ),
  {
    name: 'config_source_rows',
    type: 'gauge',
    help: 'Rows of [config_source] at the last look that went well.',
    labels: ['table'],
    *samples({ reloadState: { source } }) {
      if (source === null) return;
      yield [{ table: 'databases' }, source.databases];
      yield [{ table: 'users' }, source.users];
    },
  },
  {
    name: 'config_source_looks_total',
    type: 'counter',
    help: 'Looks at [config_source]; a failed one has changed nothing.',
    labels: ['result'],
    *samples({ reloadState: { source } }) {
      if (source === null) return;
      yield [{ result: 'ok' }, source.refreshCount];
      yield [{ result: 'failed' }, source.failedCount];
    },
  },
];

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
  ...SOURCE_METRICS,
];
