import { averageOf, STATISTICS, totalOf } from './averages.js';
import { type PoolFigures, readPoolFigures } from './pool-figures.js';
import { column, defineShow } from './show.js';
import type { PoolChange } from './stats-window.js';

interface StatsRow extends PoolFigures {
  change: PoolChange;
}

export const SHOW_STATS = defineShow<StatsRow>({
  name: 'stats',
  privilege: 'admin',
  description: 'Totals since start and averages over the last stats_period, one row per pool.',
  columns: [
    column('database', 'text', 'Name clients ask for.', (row) => row.pool.database),
    column('user', 'text', 'User of the clients.', (row) => row.pool.user),
    column('addr', 'text', 'Host, as configured.', (row) => row.pool.host),
    column('port', 'numeric', 'Port.', (row) => row.pool.port),
    column('shard', 'numeric', 'Number of the shard.', (row) => row.pool.shard),
    column('role', 'text', 'primary or replica; with role = "auto" as found, or unknown.', (row) => row.role),
    ...STATISTICS.map((statistic) =>
      column<StatsRow>(`total_${statistic.name}`, 'numeric', statistic.meaning, (row) =>
        totalOf(statistic, row.counters),
      ),
    ),
    ...STATISTICS.map((statistic) =>
      column<StatsRow>(
        `avg_${statistic.name}`,
        'numeric',
        statistic.isTime ? 'The same, ms each.' : 'The same, per second.',
        (row) => averageOf(statistic, row.change),
      ),
    ),
  ],
  rows({ memory, config, nowMs, window }) {
    const now = nowMs();
    return config().pools.map((pool) => ({
      ...readPoolFigures(memory, pool, now),
      change: window.poolChange(pool.index),
    }));
  },
});
