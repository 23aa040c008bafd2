import type { PoolSnapshot } from '@pgdog-cluster/core';
import type { AdminContext } from './admin-context.js';
import { formatLsn, type HostFigures, poolRole, readHostFigures } from './host-figures.js';
import { column, defineShow } from './show.js';

interface ReplicationRow extends HostFigures {
  pool: PoolSnapshot;
  poolRole: string;
}

function readRows({ memory, config, nowMs }: AdminContext): ReplicationRow[] {
  const { hosts, pools } = config();
  const now = nowMs();
  return pools.flatMap((pool) => {
    const host = hosts.find(({ index }) => index === pool.hostIndex);
    if (host === undefined || host.index >= memory.hosts.hostsMax) return [];
    const figures = readHostFigures(memory.hosts, host, [pool], now);
    return [{ ...figures, pool, poolRole: poolRole(pool, memory.hosts) }];
  });
}

export const SHOW_REPLICATION = defineShow<ReplicationRow>({
  name: 'replication',
  privilege: 'admin',
  description: 'Position and lag of the host of every pool, as last measured.',
  columns: [
    column('id', 'bigint', 'Number of the pool.', (row) => row.pool.index),
    column('database', 'text', 'Name clients ask for.', (row) => row.pool.database),
    column('user', 'text', 'User of the clients.', (row) => row.pool.user),
    column('addr', 'text', 'Host, as configured.', (row) => row.pool.host),
    column('port', 'numeric', 'Port.', (row) => row.pool.port),
    column('shard', 'numeric', 'Number of the shard.', (row) => row.pool.shard),
    column('role', 'text', 'primary, replica or unknown.', (row) => row.poolRole),
    column('replica_lag', 'bigint', 'ms behind the primary; NULL: unknown.', (row) => row.lagMs),
    column('pg_lsn', 'text', 'Position written (a primary) or replayed.', (row) =>
      row.lsn === null ? null : formatLsn(row.lsn),
    ),
    column('lsn_age', 'bigint', 'ms since it was measured.', (row) => row.ageMs),
    column('pg_is_in_recovery', 'bool', 'As it says; NULL: unknown.', (row) =>
      row.role === 'unknown' ? null : row.role === 'replica',
    ),
    column('replica_lag_bytes', 'numeric', 'Bytes of the log not replayed yet.', (row) => row.lagBytes),
    column('timeline', 'numeric', 'Timeline it is on.', (row) => row.timeline),
  ],
  rows: readRows,
});
