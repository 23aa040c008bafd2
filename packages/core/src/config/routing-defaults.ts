/** Defaults of the keys that choose a host for a statement. Part of GENERAL_DEFAULTS. */
import { row } from './default-row.js';
import { MIRROR_DEFAULTS } from './mirroring.js';

const AS_PGDOG = 'as PgDog';

export const ROUTING_DEFAULTS = {
  load_balancing_strategy: row(
    'random' as const,
    '',
    'Which host gets a read: `random`, `round_robin`, `least_active_connections` (fewest statements under way over all workers), `weighted_round_robin` (`lb_weight`), `fastest` (latency times statements under way, the better of two random hosts).',
    AS_PGDOG,
  ),
  read_write_strategy: row(
    'conservative' as const,
    '',
    'Transactions without READ ONLY: `conservative`, to the primary; `aggressive`, as their first statement says. A write that then meets a replica is refused (25006).',
    AS_PGDOG,
  ),
  read_write_split: row(
    'include_primary' as const,
    '',
    'Who serves reads: `include_primary` (all hosts), `exclude_primary` (replicas, never the primary), `include_primary_if_replica_banned` (replicas, and the primary while one of them is banned), `prefer_primary` (the primary, replicas while it cannot).',
    AS_PGDOG,
  ),
  read_your_writes: row(
    'session' as const,
    '',
    'Whether a session sees its own writes on replicas: `off` (as PgDog); `session`: its reads go to the primary for `read_your_writes_ms` after a write; `lsn`: to replicas that have replayed the write.',
    'a row that is gone a moment after it was written is what breaks applications behind replicas',
    'ours',
  ),
  read_your_writes_ms: row(
    1_000,
    'ms',
    'For `session`: how long. A replica that lags further behind is not read from until it has caught up.',
    'longer than replicas usually lag',
    'ours',
  ),
  query_cache_limit: row(
    50_000,
    '',
    'Plans kept by each worker: one per shape of a statement, whatever its literals; 16 MB at most. The least used goes first. `SHOW QUERIES` counts for as many shapes, 5000 at most.',
    "as PgDog's documentation; a plan takes 0.7 KB and more",
  ),
  ...MIRROR_DEFAULTS,
};
