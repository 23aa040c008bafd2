/**
 * The default of every setting that does something in this version, with its unit and the reason for it. One
 * table: the loader, SHOW CONFIG, the JSON Schema and docs/reference/configuration.md all read it. A key of the
 * schema without a row here does not compile.
 */
import type { z } from 'zod';
import { type DefaultRow, row } from './default-row.js';
import type { adminSchema, GeneralInput, tcpSchema } from './schema.js';
import { TLS_DEFAULTS } from './tls-defaults.js';

export type { DefaultRow, KeyOrigin } from './default-row.js';

type DefaultTable<T> = { readonly [K in keyof T]-?: DefaultRow<NonNullable<T[K]>> };

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
    'Address of the metrics endpoint.',
    'PgDog listens everywhere; figures about traffic are nothing for strangers',
  ),
  openmetrics_port: row(null as number | null, '', 'Port of the metrics endpoint. Unset: none.', AS_PGDOG),
  openmetrics_namespace: row(null as string | null, '', 'Prefix of every metric name, verbatim.', AS_PGDOG),
  log_format: row(
    'text',
    '',
    '`text`, `json` (fields nested) or `json_flattened` (fields at the top level).',
    AS_PGDOG,
  ),
  log_level: row('info', '', '`error`, `warn`, `info`, `debug` or `trace`.', AS_PGDOG),
  log_connections: row(true, '', 'One line per client login.', AS_PGDOG),
  log_disconnections: row(true, '', 'One line per client exit, with the reason.', AS_PGDOG),
  log_dedup_window: row(
    0,
    'ms',
    'Window in which lines of one code are counted. 0: all are written.',
    AS_PGDOG,
  ),
  log_dedup_threshold: row(
    0,
    '',
    'Lines of one code written per window; the rest is counted. 0: all.',
    AS_PGDOG,
  ),
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
    'Accepted, without effect: connecting is tried again, ever slower, for as long as clients wait.',
    AS_PGDOG,
  ),
  connect_attempt_delay: row(
    0,
    'ms',
    'Accepted, without effect: the pause between attempts doubles from 50 ms to 1 s.',
    AS_PGDOG,
  ),
  checkout_timeout: row(
    5_000,
    'ms',
    'How long a client waits for a server connection. 0: no limit.',
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
  connection_recovery: row(
    'recover',
    '',
    'Server connection whose client vanished in mid-query: `recover` (drain and roll back), `rollback_only`, `drop`.',
    AS_PGDOG,
  ),
  auth_type: row(
    'scram',
    '',
    'How clients log in: `scram`, `md5`, `plain`, `trust`, `cert`, or `hba`: as the rules of `auth_hba_file` say. `scram-sha-256` and `password` are other names of `scram` and `plain`. See docs/internals/authentication.md.',
    AS_PGDOG,
  ),
  passthrough_auth: row(
    'disabled',
    '',
    "Users without a password in users.toml send their own, which the server checks and which is then used towards it: `enabled` (over TLS and Unix sockets only), `enabled_plain` (always). `…_allow_change`: another password that the server accepts replaces the pool's.",
    AS_PGDOG,
  ),
  plain_auth_without_tls: row(
    false,
    '',
    '`auth_type = "plain"` asks for the password on connections that are not encrypted too.',
    'anybody on the way could read it',
    'ours',
  ),
  auth_hba_file: row(
    null as string | null,
    '',
    'Rules as in `pg_hba.conf`, for `auth_type = "hba"`. Relative to this file.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_ident_file: row(
    null as string | null,
    '',
    'Maps as in `pg_ident.conf`, for `map=` in those rules. Relative to this file.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_user: row(
    null as string | null,
    '',
    'Who asks `auth_query`. Unset: users come from users.toml only.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_password: row(
    null,
    '',
    "Password of `auth_user`. Unset: that of the user's entry in users.toml.",
    'PgBouncer has it in auth_file',
    'ours',
  ),
  auth_dbname: row(
    null as string | null,
    '',
    'Entry of [[databases]] in which `auth_query` is asked. Unset: the one the client wants.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_query: row(
    'SELECT rolname::text, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin',
    '',
    'Gives name and password hash (`md5…` or `SCRAM-SHA-256$…`) of user `$1`. Functions of your own need their schema: the search path is `pg_catalog`.',
    'roles that may not log in or whose time is over stay out',
    'pgbouncer',
  ),
  auth_query_cache_ttl: row(
    10_000,
    'ms',
    'How long an answer is used. A password that is wrong by it is looked up again. 0: asked at each login.',
    'a dropped role stays in for so long at most; PgBouncer asks each time',
    'ours',
  ),
  auth_query_failure_ttl: row(
    1_000,
    'ms',
    'The same for users that were not found and questions that failed.',
    'a storm of unknown users is one question a second each',
    'ours',
  ),
  auth_query_cache_size: row(10_000, '', 'Answers kept, the oldest go first.', 'some MB', 'ours'),
  dynamic_users_max: row(
    1_000,
    '',
    'Pairs of database and user with a pool although users.toml does not list them (auth_query, passthrough). They are kept until the end. Taken at start.',
    'bounds the memory that strangers can ask for',
    'ours',
  ),
  auth_failures_max: row(
    60,
    '',
    'Failed logins of one user from one address in `auth_failures_window`; ten times as many from one address in all. Beyond, logins are refused unread until time has made room. 0: no limit.',
    'a guess a second; an address shared by many suffers only for its own users',
    'ours',
  ),
  auth_failures_window: row(
    60_000,
    'ms',
    'See `auth_failures_max`.',
    'as long as it takes to notice',
    'ours',
  ),
  query_timeout: row(0, 'ms', 'Longest exchange. 0: no limit.', OFF),
  client_idle_timeout: row(0, 'ms', 'Disconnect clients idle for this long. 0: never.', OFF),
  client_idle_in_transaction_timeout: row(
    0,
    'ms',
    'Disconnect clients idle in a transaction for this long. 0: never.',
    OFF,
  ),
  client_login_timeout: row(60_000, 'ms', 'A client must have logged in within this time.', AS_PGDOG),
  shutdown_timeout: row(60_000, 'ms', 'Time to finish transactions before clients are cut.', AS_PGDOG),
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
  ...TLS_DEFAULTS,
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
    'Clients over all workers. 0: as many as open files allow.',
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

type TcpInput = z.infer<typeof tcpSchema>;

export const TCP_DEFAULTS = {
  keepalive: row(true, '', 'Probe idle connections of clients and servers.', AS_PGDOG),
  time: row(
    null as number | null,
    'ms',
    'Idle time before the first probe. Unset: the system decides.',
    AS_PGDOG,
  ),
  interval: row(null as number | null, 'ms', 'Time between probes. Unset: the system decides.', AS_PGDOG),
  retries: row(null as number | null, '', 'Probes before giving up. Unset: the system decides.', AS_PGDOG),
  user_timeout: row(
    null as number | null,
    'ms',
    'Give up unacknowledged data after this long. Unset: the system decides.',
    AS_PGDOG,
  ),
  defer_accept: row(
    true,
    '',
    'The kernel keeps new connections to itself until the client speaks, for 45 s at most.',
    'saves a wake-up per connect, and silent strangers cost no descriptor; as PgBouncer',
    'pgbouncer',
  ),
} as const satisfies DefaultTable<Omit<TcpInput, 'congestion_control'>>;

export const ADMIN_DEFAULTS = {
  name: row('admin', '', 'Name of the admin database.', AS_PGDOG),
  user: row('admin', '', 'Who may enter it.', AS_PGDOG),
  password: row(
    null,
    '',
    'Password; also `PGDOG_ADMIN_PASSWORD`. Unset: a random one, so nobody may enter.',
    'never written anywhere; set one to use the admin database',
  ),
} as const satisfies DefaultTable<z.infer<typeof adminSchema>>;

type Filled<T, D extends { readonly [K in keyof T]-?: { default: unknown } }> = {
  [K in keyof T]-?: null extends D[K]['default'] ? NonNullable<T[K]> | null : NonNullable<T[K]>;
};

/** [general] with every default filled in. `null` only where the table says so. */
export type GeneralSettings = Filled<GeneralInput, typeof GENERAL_DEFAULTS>;
export type TcpSettings = Filled<Omit<TcpInput, 'congestion_control'>, typeof TCP_DEFAULTS>;

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
