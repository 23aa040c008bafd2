import {
  CHECKOUT_TIMEOUTS,
  ERROR_COUNT,
  FORCE_CLOSED,
  OUT_OF_SYNC,
  ROLLBACKS,
  type SharedMemory,
} from '@pgdog-cluster/core';
import { isPaused } from '../orders/operator-desk.js';
import { type PoolFigures, readPoolFigures } from './pool-figures.js';
import { column, defineShow } from './show.js';

interface PoolRow extends PoolFigures {
  idleInTransaction: number;
  /** Has a server connection that is logged in. */
  isConnected: boolean;
  spread: string;
  isPaused: boolean;
}

/** `0:3/2/0 1:…`: idle, active and waiting of each worker that has anything to do with the pool. */
function spreadOf({ load, handles }: SharedMemory, pool: number): string {
  const parts: string[] = [];
  for (let worker = 0; worker < handles.dimensions.workers; worker++) {
    const figures = [load.idle(worker, pool), load.active(worker, pool), load.waiting(worker, pool)];
    if (figures.some((figure) => figure !== 0)) parts.push(`${worker}:${figures.join('/')}`);
  }
  return parts.join(' ');
}

export const SHOW_POOLS = defineShow<PoolRow>({
  name: 'pools',
  privilege: 'admin',
  description: 'One row per pool (database, user, host), over all workers.',
  columns: [
    column('id', 'bigint', 'Number of the pool.', (row) => row.pool.index),
    column('database', 'text', 'Name clients ask for.', (row) => row.pool.database),
    column('user', 'text', 'User of the clients.', (row) => row.pool.user),
    column('addr', 'text', 'Host, as configured.', (row) => row.pool.host),
    column('port', 'numeric', 'Port.', (row) => row.pool.port),
    column('shard', 'numeric', 'Number of the shard.', (row) => row.pool.shard),
    column('role', 'text', 'primary or replica; with role = "auto" as found, or unknown.', (row) => row.role),
    column('cl_waiting', 'numeric', 'Clients waiting for a server connection.', (row) => row.waiting),
    column('sv_idle', 'numeric', 'Server connections nobody uses.', (row) => row.idle),
    column('sv_active', 'numeric', 'All other server connections.', (row) => row.active),
    column(
      'sv_idle_xact',
      'numeric',
      'Of the active ones, those idle in a transaction.',
      (row) => row.idleInTransaction,
    ),
    column('sv_total', 'numeric', 'Server connections, those being opened included.', (row) => row.claimed),
    column('maxwait', 'numeric', 'Wait of the oldest waiter: whole seconds,', (row) =>
      Math.floor(row.maxWaitMs / 1000),
    ),
    column(
      'maxwait_us',
      'numeric',
      'and the microseconds beyond them.',
      (row) => (row.maxWaitMs % 1000) * 1000,
    ),
    column('pool_mode', 'text', 'transaction, session or statement.', (row) => row.pool.poolerMode),
    column('paused', 'bool', 'PAUSE is in force.', (row) => row.isPaused),
    column('banned', 'bool', 'Its host is not read from; see SHOW BANS.', (row) => row.isBanned),
    column(
      'healthy',
      'bool',
      'f when its host fails its checks, or clients wait and no server connection works.',
      (row) => !row.isHostFailing && (row.waiting === 0 || row.isConnected),
    ),
    column('errors', 'numeric', 'Errors the servers reported.', (row) => row.counters[ERROR_COUNT]),
    column(
      're_synced',
      'numeric',
      'Connections rolled back because a client left them in a transaction.',
      (row) => row.counters[ROLLBACKS],
    ),
    column(
      'out_of_sync',
      'numeric',
      'Connections closed because replies did not match requests.',
      (row) => row.counters[OUT_OF_SYNC],
    ),
    column(
      'force_closed',
      'numeric',
      'Connections closed instead of cleaned.',
      (row) => row.counters[FORCE_CLOSED],
    ),
    column('online', 'bool', 'Always t in this version.', () => true),
    column(
      'schema_admin',
      'bool',
      'The schema of a sharded database is read as this user.',
      (row) => row.pool.isSchemaAdmin === true,
    ),
    column('sv_limit', 'numeric', 'Most server connections, over all workers.', (row) => row.limit),
    column('workers_waiting', 'numeric', 'Workers that have waiters.', (row) => row.workersWaiting),
    column(
      'checkout_timeouts',
      'numeric',
      'Clients that waited in vain.',
      (row) => row.counters[CHECKOUT_TIMEOUTS],
    ),
    column('spread', 'text', 'worker:idle/active/waiting of each worker involved.', (row) => row.spread),
  ],
  async rows({ memory, config, nowMs, reportServers }) {
    // What shared memory does not have. A report of server connections is bounded by the pool sizes.
    const idleInTransaction = new Map<number, number>();
    const connected = new Set<number>();
    for (const { pool, state } of await reportServers()) {
      if (state !== 'connecting') connected.add(pool);
      if (state === 'idle in transaction')
        idleInTransaction.set(pool, (idleInTransaction.get(pool) ?? 0) + 1);
    }
    const now = nowMs();
    return config().pools.map((pool) => ({
      ...readPoolFigures(memory, pool, now),
      idleInTransaction: idleInTransaction.get(pool.index) ?? 0,
      isConnected: connected.has(pool.index),
      spread: spreadOf(memory, pool.index),
      isPaused: isPaused(config(), pool.database),
    }));
  },
});
