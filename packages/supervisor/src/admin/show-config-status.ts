import { describeChanges } from '../config/config-diff.js';
import { describePending } from '../config/restart-only.js';
import type { ReloadState } from './admin-context.js';
import { column, defineShow } from './show.js';

const timeText = (epochMs: number): string => new Date(epochMs).toISOString();

export const SHOW_CONFIG_STATUS = defineShow<ReloadState>({
  name: 'config_status',
  privilege: 'admin',
  description: 'One row: the last attempt to take up the configuration, and what waits for a restart.',
  columns: [
    column('last_attempt', 'text', 'When it began, ISO 8601 in UTC.', ({ status }) => timeText(status.atMs)),
    column(
      'trigger',
      'text',
      'What began it: `start`, `RELOAD by <user>`, `SIGHUP`, `file watch`.',
      ({ status }) => status.trigger,
    ),
    column('result', 'text', '`ok`, or `failed`: then nothing has changed.', ({ status }) =>
      status.isOk ? 'ok' : 'failed',
    ),
    column('error', 'text', 'Every problem with file, line and key.', ({ status }) => status.error),
    column('changes', 'text', 'What it changed; of secrets only that they did.', ({ status }) =>
      status.isOk ? describeChanges(status.changes) : '',
    ),
    column('epoch', 'numeric', 'Number of the configuration that is in force.', (row) => row.epoch),
    column('pending_restart', 'text', 'Settings whose value in the files takes a restart.', ({ status }) =>
      status.pending.map(describePending).join('; '),
    ),
    column('took_ms', 'numeric', 'Until the workers were told.', ({ status }) => status.tookMs),
    column('last_success', 'text', 'When the configuration in force was read.', ({ figures }) =>
      timeText(figures.lastOkMs),
    ),
    column('reloads_ok', 'numeric', 'Reloads that went well.', ({ figures }) => figures.okCount),
    column(
      'reloads_failed',
      'numeric',
      'Reloads that changed nothing.',
      ({ figures }) => figures.failedCount,
    ),
    column(
      'changes_kept',
      'numeric',
      'Changes by ADD, ALTER and DROP that are in persist_file.',
      ({ layers }) => layers.persisted.length,
    ),
    column(
      'changes_until_restart',
      'numeric',
      'Those that are not, and are gone at a restart; see SHOW CHANGES.',
      ({ layers }) => layers.unpersisted.length,
    ),
    column('source', 'text', 'Of [config_source], `host:port/database`; empty without one.', (row) =>
      row.source === null ? '' : row.source.place,
    ),
    column(
      'source_state',
      'text',
      '`listening`; `polling`, when it cannot be listened to; `connecting`; `down`.',
      (row) => row.source?.state ?? '',
    ),
    column('source_rows', 'numeric', 'Databases and users that it has.', ({ source }) =>
      source === null ? null : source.databases + source.users,
    ),
    column('source_last_success', 'text', 'When it had the rows that are in force.', ({ source }) =>
      source === null || source.lastOkMs === 0 ? '' : timeText(source.lastOkMs),
    ),
    column('source_failures', 'numeric', 'Looks that changed nothing because something was wrong.', (row) =>
      row.source === null ? null : row.source.failedCount,
    ),
    column('source_error', 'text', 'What was wrong at the last look.', ({ source }) => source?.error ?? ''),
  ],
  rows: ({ reloadState }) => [reloadState()],
});
