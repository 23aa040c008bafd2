/** Defaults of the keys that say how hosts are checked and when they are banned. Part of GENERAL_DEFAULTS. */
import { row } from './default-row.js';

const AS_PGDOG = 'as PgDog';
const UNLIMITED = Number.MAX_SAFE_INTEGER;

export const HEALTH_DEFAULTS = {
  idle_healthcheck_delay: row(5_000, 'ms', 'Before the first of these checks.', AS_PGDOG),
  require_healthcheck_on_discovery: row(
    false,
    '',
    'A host that is new in the configuration is not read from before it has passed a check.',
    AS_PGDOG,
  ),
  ban_timeout: row(
    300_000,
    'ms',
    'How long a host is not read from that clients could not use while its checks passed; then one more pass ends the ban. A ban for failed checks ends when two in a row have passed, whatever the time.',
    AS_PGDOG,
  ),
  ban_replica_lag: row(
    UNLIMITED,
    'ms',
    'A replica further behind than this is not read from until it lags half as much. With `read_your_writes = "session"` the limit is at most `read_your_writes_ms` less two checks, and at least half of it.',
    AS_PGDOG,
  ),
  ban_replica_lag_bytes: row(
    UNLIMITED,
    'bytes',
    'The same by the length of the log that it has not replayed.',
    AS_PGDOG,
  ),
  lsn_check_delay: row(
    0,
    'ms',
    'Before hosts are first asked for role and position. Only databases with several hosts, or a role other than `primary`, are.',
    'PgDog never asks unless told to; `role = "auto"` and lag need it',
  ),
  lsn_check_interval: row(
    null as number | null,
    'ms',
    'Between two questions; hosts that fail, or of which none is a primary, are asked sooner, from 100 ms on. Unset: 200 ms, with `read_your_writes = "off"` 1000 ms.',
    'PgDog takes 5000 ms; how soon a failover is seen, and reads return to a replica, depends on it',
  ),
  lsn_check_timeout: row(
    500,
    'ms',
    'Silence of this length is a failed check, twice as much bans the host. The connection is given up after four times as much, at most `healthcheck_timeout`.',
    'PgDog takes 5000 ms; clients wait for it when a host freezes',
  ),
};
