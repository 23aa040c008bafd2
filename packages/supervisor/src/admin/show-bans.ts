import { BAN_NONE, BAN_REASON_NAMES, ORDER_BAN, type PoolSnapshot } from '@pgdog-cluster/core';
import type { AdminContext } from './admin-context.js';
import { poolRole } from './host-figures.js';
import { column, defineShow } from './show.js';

interface BanRow {
  pool: PoolSnapshot;
  role: string;
  reason: string;
  /** Null: until the operator lifts it. */
  leftMs: number | null;
}

const BY_OPERATOR = 'admin';

function readBans({ memory, config, nowMs }: AdminContext): BanRow[] {
  const { hosts } = memory;
  const now = nowMs();
  return config()
    .pools.filter(({ hostIndex }) => hostIndex < hosts.hostsMax)
    .flatMap((pool) => {
      const { hostIndex } = pool;
      const reason = hosts.banReason(hostIndex);
      const isOrdered = (hosts.orders(hostIndex) & ORDER_BAN) !== 0;
      if (reason === BAN_NONE && !isOrdered) return [];
      const leftMs = isOrdered ? null : Math.max(0, hosts.banUntilMs(hostIndex) - now);
      const names = [isOrdered ? BY_OPERATOR : '', BAN_REASON_NAMES[reason]].filter((name) => name !== '');
      return [{ pool, role: poolRole(pool, hosts), reason: names.join(', '), leftMs }];
    });
}

export const SHOW_BANS = defineShow<BanRow>({
  name: 'bans',
  privilege: 'admin',
  description: 'Pools whose host is not read from, and why. Writes go to a primary whatever is said here.',
  columns: [
    column('id', 'bigint', 'Number of the pool, for UNBAN.', (row) => row.pool.index),
    column('database', 'text', 'Name clients ask for.', (row) => row.pool.database),
    column('user', 'text', 'User of the clients.', (row) => row.pool.user),
    column('addr', 'text', 'Host, as configured.', (row) => row.pool.host),
    column('port', 'numeric', 'Port.', (row) => row.pool.port),
    column('shard', 'numeric', 'Number of the shard.', (row) => row.pool.shard),
    column('role', 'text', 'primary, replica or unknown.', (row) => row.role),
    column('ban_reason', 'text', '`admin`: by BAN; else what was measured.', (row) => row.reason),
    column(
      'ban_time_left',
      'bigint',
      'ms before which it is not lifted; 0: as soon as it measures well; NULL: by UNBAN only.',
      (row) => row.leftMs,
    ),
  ],
  rows: readBans,
});
