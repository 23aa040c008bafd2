import type { WorkerTable } from '@pgdog-cluster/core';
import { readStanding, type WorkerStanding } from './pool-figures.js';
import { column, defineShow } from './show.js';

interface WorkerRow extends WorkerStanding {
  table: WorkerTable;
  busyPercent: number;
}

export const SHOW_WORKERS = defineShow<WorkerRow>({
  name: 'workers',
  privilege: 'admin',
  description: 'One row per worker thread: what it serves and how busy it is.',
  columns: [
    column('worker', 'bigint', 'Number of the worker.', (row) => row.worker),
    column('state', 'text', 'starting, serving, draining, crashed or stopped.', (row) => row.state),
    column('io_driver', 'text', 'io_uring or epoll.', (row) => row.ioDriver),
    column('clients', 'numeric', 'Clients it serves.', (row) => row.clients),
    column('servers', 'numeric', 'Server connections it has.', (row) => row.servers),
    column('waiting', 'numeric', 'Its clients that wait for a server connection.', (row) => row.waiting),
    column(
      'busy_us',
      'numeric',
      'CPU that its thread has had, in the kernel too, microseconds.',
      ({ table, worker }) => table.busyUs(worker),
    ),
    column(
      'busy_percent',
      'numeric',
      'Share of one CPU, over the last stats_period.',
      (row) => row.busyPercent,
    ),
    column('turns', 'numeric', 'Turns of its loop.', ({ table, worker }) => table.turns(worker)),
    column('loop_delay_max_us', 'numeric', 'Its longest turn, microseconds.', ({ table, worker }) =>
      table.loopDelayMaxUs(worker),
    ),
    column('heartbeat_age_ms', 'bigint', 'Since it last came round, ms.', (row) => row.heartbeatAgeMs),
    column('epoch', 'numeric', 'Number of the configuration it uses.', ({ table, worker }) =>
      table.epoch(worker),
    ),
    column('restarts', 'numeric', 'Times it was started again after a crash.', (row) => row.restarts),
  ],
  rows({ memory, config, nowMs, window }) {
    const { pools } = config();
    const now = nowMs();
    return Array.from({ length: memory.handles.dimensions.workers }, (_, worker) => ({
      ...readStanding(memory, pools, worker, now),
      table: memory.workers,
      busyPercent: window.busyPercent(worker),
    }));
  },
});
