import type { ReloadState } from 'pgdog-cluster';

export const LISTENER = {
  database: 'shop',
  user: 'app',
  channel: 'news',
  listeners: 3,
  received: 40,
  dropped: 1,
};

/** A reload that went well five seconds ago, after one that did not. */
export function reloadState(nowMs: number): ReloadState {
  return {
    status: {
      atMs: nowMs - 5000,
      tookMs: 12,
      trigger: 'SIGHUP',
      isOk: true,
      error: '',
      changes: [{ kind: 'added', what: 'database', name: 'tools', detail: '' }],
      pending: [{ name: 'log_level', inForce: 'info', inFile: 'debug' }],
      epoch: 3,
    },
    figures: { okCount: 4, failedCount: 1, lastOkMs: nowMs - 5000 },
    epoch: 3,
  };
}
