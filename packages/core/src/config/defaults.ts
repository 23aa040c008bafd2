/**
 * The default of every setting that does something in this version, with its unit and the reason for it. One
 * table: the loader, SHOW CONFIG, the JSON Schema and docs/reference/configuration.md all read it. A key of the
 * schema without a row here does not compile.
 */
import { AUTH_DEFAULTS } from './auth-defaults.js';
import { type DefaultRow, type DefaultTable, row } from './default-row.js';
import type { SecretInput } from './fields.js';
import { HEALTH_DEFAULTS } from './health-defaults.js';
import { LOG_DEFAULTS } from './log-defaults.js';
import { ROUTING_DEFAULTS } from './routing-defaults.js';
import type { GeneralInput } from './schema.js';
import { TCP_DEFAULTS, type TcpInput } from './section-defaults.js';
import { REWRITE_DEFAULTS, SHARDING_DEFAULTS } from './sharding-defaults.js';
import type { RewriteInput } from './sharding-schema.js';
import { SOURCE_DEFAULTS } from './source-defaults.js';
import { TENANT_DEFAULTS } from './tenant-defaults.js';
import { TLS_DEFAULTS } from './tls-defaults.js';

export type { DefaultRow, KeyOrigin } from './default-row.js';
export * from './section-defaults.js';
export { REWRITE_DEFAULTS };

/** PQ_LARGE_MESSAGE_LIMIT: Postgres takes and sends nothing longer. */
export const FRAME_BYTES_MAX = 0x3fff_ffff;

const AS_PGDOG = 'as PgDog';
const OFF = 'nothing is cut off unless asked for';

export const GENERAL_DEFAULTS = {
  host: row(
    '0.0.0.0',
    '',
    'Addresses to listen on: IPv4, IPv6, names, separated by commas; `*`: all of both families. Empty: none, only the Unix socket.',
    'as PgDog, which takes one',
  ),
  port: row(6432, '', 'TCP port to listen on; also names the Unix socket.', AS_PGDOG),
  unix_socket_dir: row(
    null as string | null,
    '',
    'Directory of the Unix socket `.s.PGSQL.<port>`; `@name`: an abstract one, without a file. Unset: none.',
    "PgBouncer takes /tmp, where any user of the machine may put a socket of that name while we don't run",
    'pgbouncer',
  ),
  unix_socket_mode: row(
    '0777',
    '',
    'Permissions of the Unix socket, octal: who may connect.',
    'as PgBouncer and Postgres',
    'pgbouncer',
  ),
  unix_socket_group: row(
    null as string | null,
    '',
    'Group of the Unix socket, name or number. Unset: the one we run as.',
    'as PgBouncer',
    'pgbouncer',
  ),
  proxy_protocol_networks: row(
    null as string | string[] | null,
    '',
    'Networks of load balancers that put a PROXY header (version 1 or 2) in front; `unix` for Unix sockets. Unset: nobody.',
    'whoever may send the header may claim any address',
    'ours',
  ),
  proxy_protocol: row(
    'required',
    '',
    'From those networks: `required` (a connection without the header is refused) or `optional`.',
    'without the header the balancer itself would be taken for the client',
    'ours',
  ),
  workers: row(
    null as number | null,
    '',
    'Worker threads. 0 or unset: one per CPU the process may use, cgroup quota included.',
    'PgDog takes 2; all cores are the point of this program',
  ),
  openmetrics_host: row(
    '127.0.0.1',
    '',
    'Address of the HTTP port: metrics, health and dashboard.',
    'PgDog listens everywhere; figures about traffic are nothing for strangers',
  ),
  openmetrics_port: row(
    null as number | null,
    '',
    'HTTP port of metrics, health and dashboard. Unset: none.',
    AS_PGDOG,
  ),
  openmetrics_namespace: row(null as string | null, '', 'Prefix of every metric name, verbatim.', AS_PGDOG),
  openmetrics_token: row(
    null as SecretInput | null,
    '',
    'Whoever asks the HTTP port for more than its health must send it: `Authorization: Bearer …`. Unset: nobody must.',
    'by default only this machine reaches the port',
    'ours',
  ),
  config_watch: row(
    true,
    '',
    'The configuration is taken up when one of its files changes: both files, and what they name (secrets, HBA rules, certificates). An error changes nothing and is logged once.',
    'a changed file that waits for an order is a surprise at the next restart',
    'ours',
  ),
  log_file: row(
    null as string | null,
    '',
    'File that the log is appended to instead of standard output; opened anew by SIGHUP and RELOAD, for logrotate. Relative to this file.',
    'systemd and containers keep standard output',
    'ours',
  ),
  pid_file: row(
    null as string | null,
    '',
    'File that holds the process id while it serves. Relative to this file.',
    'systemd and containers know the process',
    'ours',
  ),
  ...LOG_DEFAULTS,
  stats_period: row(15_000, 'ms', 'Window of the avg_* columns.', AS_PGDOG),
  default_pool_size: row(
    10,
    '',
    'Server connections per database and user, over all workers. Alias `max_pool_size`.',
    AS_PGDOG,
  ),
  max_pool_size: row(null as number | null, '', 'Alias of `default_pool_size`.', AS_PGDOG),
  min_pool_size: row(1, '', 'Server connections kept open per pool.', AS_PGDOG),
  pooler_mode: row(
    'transaction',
    '',
    'When a server connection goes back: `transaction`, `session`, `statement`.',
    AS_PGDOG,
  ),
  connect_timeout: row(5_000, 'ms', 'Connect and log in to a server. 0: no limit.', AS_PGDOG),
  connect_attempts: row(
    1,
    '',
    'How often connecting to a server is tried, from address to address, before clients are told that it failed.',
    AS_PGDOG,
  ),
  connect_attempt_delay: row(0, 'ms', 'Pause between these attempts.', AS_PGDOG),
  checkout_timeout: row(
    5_000,
    'ms',
    'How long a client waits for a server connection, or for those of all shards that it asks, together; then its statement fails and it stays connected. 0: no limit.',
    AS_PGDOG,
  ),
  idle_timeout: row(
    60_000,
    'ms',
    'Close server connections above the minimum unused for this long. 0: never.',
    AS_PGDOG,
  ),
  server_lifetime: row(86_400_000, 'ms', 'Replace server connections older than this. 0: never.', AS_PGDOG),
  server_lifetime_jitter: row(0, 'ms', 'Random part of the lifetime, so that not all end at once.', AS_PGDOG),
  rollback_timeout: row(5_000, 'ms', 'Bound on cleaning a server connection at check-in.', AS_PGDOG),
  healthcheck_interval: row(
    30_000,
    'ms',
    'A server connection unused and unchecked for this long is checked by an empty query before a client gets it. 0: never.',
    AS_PGDOG,
  ),
  idle_healthcheck_interval: row(
    30_000,
    'ms',
    'Idle server connections are checked by an empty query this often, so that no client waits for it; the host of a database that has no other is knocked at as often. 0: never.',
    AS_PGDOG,
  ),
  healthcheck_timeout: row(5_000, 'ms', 'Bound on the answer to a check.', AS_PGDOG),
  connection_recovery: row(
    'recover',
    '',
    'Server connection whose client vanished: `recover` (what runs is read to its end or cancelled, then rolled back), `rollback_only` (rolled back between statements, closed within one), `drop` (closed unless it was between transactions).',
    AS_PGDOG,
  ),
  ...SOURCE_DEFAULTS,
  ...AUTH_DEFAULTS,
  ...TENANT_DEFAULTS,
  query_timeout: row(
    0,
    'ms',
    'Longest exchange; then its statement is cancelled and the client disconnected (57014). 0: no limit.',
    OFF,
  ),
  client_idle_timeout: row(0, 'ms', 'Disconnect clients idle for this long. 0: never.', OFF),
  client_idle_in_transaction_timeout: row(
    0,
    'ms',
    'Disconnect clients idle in a transaction for this long. 0: never.',
    OFF,
  ),
  client_login_timeout: row(60_000, 'ms', 'A client must have logged in within this time.', AS_PGDOG),
  shutdown_timeout: row(60_000, 'ms', 'Time to finish transactions before clients are cut.', AS_PGDOG),
  shutdown_termination_timeout: row(
    1_000,
    'ms',
    'After it: time to cancel what still runs and to roll back. 0: none, clients are cut at once.',
    'PgDog has none by default, which leaves statements running on the servers',
  ),
  prepared_statements: row(
    'full',
    '',
    "Which prepared statements survive transaction mode. All of them do (`full`); PgDog's narrower values `disabled`, `extended` and `extended_anonymous` are accepted and mean the same.",
    'PgDog takes `extended`; SQL-level PREPARE works here at no extra cost',
  ),
  prepared_statements_limit: row(
    5_000,
    '',
    'Prepared statements kept on one server connection; the least used is closed.',
    'as PgDog since 0.1.63; before, no limit',
  ),
  query_size_limit: row(0, 'bytes', 'Largest text of a Query or Parse message. 0: no limit.', OFF),
  query_size_limit_action: row('warn', '', 'Beyond it: `warn` (one log line) or `block` (refuse).', AS_PGDOG),
  pub_sub_channel_size: row(
    0,
    '',
    'Above 0: clients that LISTEN keep no server connection in transaction mode; one connection per database listens for all. So many notifications may wait for one client; with more it is disconnected (53400). 0: LISTEN keeps the server connection.',
    AS_PGDOG,
  ),
  ...TLS_DEFAULTS,
  ...ROUTING_DEFAULTS,
  ...HEALTH_DEFAULTS,
  ...SHARDING_DEFAULTS,
  io_driver: row(
    'auto',
    '',
    'How workers talk to the kernel: `io_uring`, `epoll`, `auto` = the better one that works.',
    'io_uring costs the least CPU; many containers forbid it',
    'ours',
  ),
  listen_backlog: row(
    1_024,
    '',
    'Connections the kernel holds until they are accepted.',
    'PgBouncer takes 128, too few for a storm of reconnects',
    'pgbouncer',
  ),
  max_client_conn: row(
    0,
    '',
    'Clients over all workers, those still logging in included. 0: as many as open files allow. Clients of the admin database are counted apart (20), so that it can always be entered.',
    'PgDog has no such limit',
    'pgbouncer',
  ),
  max_server_conn: row(0, '', 'Server connections in total. 0: no limit.', 'pools have their own', 'ours'),
  max_db_connections: row(
    0,
    '',
    'Server connections per database, over all its users. 0: no limit.',
    'as PgBouncer',
    'pgbouncer',
  ),
  max_user_connections: row(
    0,
    '',
    'Server connections per user, over all databases. 0: no limit.',
    'as PgBouncer',
    'pgbouncer',
  ),
  max_db_client_connections: row(
    0,
    '',
    'Clients per database, over all its users. 0: no limit.',
    'as PgBouncer',
    'pgbouncer',
  ),
  max_user_client_connections: row(
    0,
    '',
    'Clients per user, over all databases. 0: no limit.',
    'as PgBouncer',
    'pgbouncer',
  ),
  logins_in_progress_max: row(
    512,
    '',
    'Clients per worker that have connected and not proved who they are; more wait in the order they came. While some wait, a client that says nothing for 5 s, or is not done in 15 s, loses its place.',
    'bounds what a storm of connects, or clients that only connect, can cost',
    'ours',
  ),
  reserve_pool_size: row(
    0,
    '',
    'Server connections a pool may open beyond its size once a client has waited for reserve_pool_timeout; closed when they are idle for as long.',
    'as PgBouncer',
    'pgbouncer',
  ),
  reserve_pool_timeout: row(
    3_000,
    'ms',
    'How long the oldest client must have waited.',
    "PgBouncer's 5 s is checkout_timeout here: no client would live to see it",
    'pgbouncer',
  ),
  server_login_retry: row(
    1_000,
    'ms',
    'Longest pause between attempts to connect to a server that fails: one attempt at a time over all workers. While it refuses logins, or has failed for longer than checkout_timeout, clients are told the error at once.',
    'PgBouncer waits 15 s; one attempt a second costs little and ends the failure sooner',
    'pgbouncer',
  ),
  transaction_timeout: row(
    0,
    'ms',
    'Longest transaction; then it is rolled back and the client disconnected (25P04). 0: no limit.',
    OFF,
    'pgbouncer',
  ),
  query_wait_notify: row(
    5_000,
    'ms',
    'A client that has waited this long for a server connection is told so by a NOTICE. 0: never.',
    'as PgBouncer',
    'pgbouncer',
  ),
  max_packet_size: row(
    FRAME_BYTES_MAX,
    'bytes',
    'Longest protocol message, in both directions. Not above the default.',
    "Postgres's own ceiling",
    'pgbouncer',
  ),
  queue_length_max: row(
    0,
    '',
    'Clients waiting in one pool, over all workers. 0: no limit.',
    'checkout_timeout bounds the wait already',
    'ours',
  ),
  client_prepared_statements_limit: row(
    10_000,
    '',
    'Prepared statements one client may hold.',
    'far above what drivers keep, and a bound on what a leak can cost',
    'ours',
  ),
  cancel_wait_timeout: row(
    10_000,
    'ms',
    'How long passing on a cancel request may take.',
    'as PgBouncer',
    'pgbouncer',
  ),
} as const satisfies DefaultTable<GeneralInput>;

type Filled<T, D extends { readonly [K in keyof T]-?: { default: unknown } }> = {
  [K in keyof T]-?: null extends D[K]['default'] ? NonNullable<T[K]> | null : NonNullable<T[K]>;
};

/** [general] with every default filled in. `null` only where the table says so. */
export type GeneralSettings = Filled<GeneralInput, typeof GENERAL_DEFAULTS>;
export type TcpSettings = Filled<Omit<TcpInput, 'congestion_control'>, typeof TCP_DEFAULTS>;

export type RewriteSettings = Filled<RewriteInput, typeof REWRITE_DEFAULTS>;

/** `input` over the defaults; undefined counts as not given. */
function fill(table: Record<string, DefaultRow<unknown>>, input: Record<string, unknown>) {
  const filled: Record<string, unknown> = {};
  for (const [key, { default: value }] of Object.entries(table)) filled[key] = input[key] ?? value;
  return filled;
}

export function fillGeneral(input: GeneralInput): GeneralSettings {
  const filled = fill(GENERAL_DEFAULTS, {
    ...input,
    default_pool_size: input.default_pool_size ?? input.max_pool_size,
  });
  // The table has a row for each key with a value of its type: that is what `satisfies` above checks.
  return filled as GeneralSettings;
}

export function fillTcp(input: TcpInput): TcpSettings {
  return fill(TCP_DEFAULTS, input) as TcpSettings;
}

export function fillRewrite(input: RewriteInput): RewriteSettings {
  return fill(REWRITE_DEFAULTS, input) as RewriteSettings;
}
