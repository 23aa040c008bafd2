import { type ConfigurationChange, Secret } from '@pgdog-cluster/core/config';
import type { ReloadState } from 'pgdog-cluster';

export const LISTENER = {
  database: 'shop',
  user: 'app',
  channel: 'news',
  listeners: 3,
  received: 40,
  dropped: 1,
};

const KEPT: ConfigurationChange = {
  verb: 'add',
  kind: 'user',
  name: 'eve',
  where: {},
  values: { database: 'shop', password: new Secret('of eve'), pool_size: 3 },
  source: 'changes.sql',
  line: 4,
};

const FORGOTTEN: ConfigurationChange = {
  verb: 'alter',
  kind: 'database',
  name: 'gone',
  where: { shard: 1, role: 'replica' },
  values: { lb_weight: null },
  source: 'ALTER DATABASE "gone" by admin',
  line: 0,
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
    layers: { persisted: [KEPT], unpersisted: [FORGOTTEN], unmatched: new Set([FORGOTTEN]), rows: null },
    source: {
      place: '10.0.0.9:5432/config',
      state: 'listening',
      lastOkMs: nowMs - 2000,
      databases: 3,
      users: 4,
      refreshCount: 5,
      failedCount: 1,
      error: '',
    },
  };
}
