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
  dns_ttl: row(
    null as number | null,
    'ms',
    'How long the addresses of a host name are believed; a host that fails is asked for sooner. Connections to addresses that are gone end with the transaction they serve. Unset: as the record says, 1 s to 5 min, or 15 s where it cannot be known (names from /etc/hosts).',
    'as PgDog',
  ),
  patroni_url: row(
    null as string | string[] | null,
    '',
    'REST API of Patroni, one or several members: with `role = "auto"` the leader it names is the primary. Members are asked in turn; while none answers, the hosts themselves decide. https is verified, by `tls_server_ca_certificate` where it is set.',
    'who promotes knows first',
    'ours',
  ),
  healthcheck_port: row(
    null as number | null,
    '',
    'Port (of all IPv4 addresses) that answers HTTP on every path: 200 `up`, or 502 `down` while draining or when every host fails its checks. Unset: none.',
    AS_PGDOG,
  ),
  lsn_check_timeout: row(
    500,
    'ms',
    'Silence of this length is a failed check, twice as much bans the host. The connection is given up after four times as much, at most `healthcheck_timeout`.',
    'PgDog takes 5000 ms; clients wait for it when a host freezes',
  ),
};
