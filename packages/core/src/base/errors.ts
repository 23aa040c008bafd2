// This file is over 400 lines because every error stands in one table.

/** Whose doing an error is: the client's, the Postgres server's, the operator's configuration, or ours. */
export type Fault = 'client' | 'server' | 'operator' | 'ours';

/** ERROR leaves the session usable, FATAL ends it. */
export type Severity = 'WARNING' | 'ERROR' | 'FATAL';

export interface ErrorKind {
  /** Five characters, PostgreSQL's appendix A. */
  sqlstate: string;
  severity: Severity;
  fault: Fault;
  /** Text when the place that raises it has nothing more exact to say. */
  message: string;
  /** What to do about it; sent as the hint. Empty when the text says it all. */
  remedy: string;
}

type Row = readonly [sqlstate: string, severity: Severity, fault: Fault, message: string, remedy: string];

/**
 * Every error that a client, an operator or a log can see. The key is the stable code: it may gain
 * neighbours but never changes its meaning. SQLSTATEs are Postgres's where Postgres has the situation, and
 * PgDog's 58000 for those only a pooler knows, so that retry logic written for either keeps working.
 */
const ROWS = {
  // Limits.
  too_many_clients: [
    '53300',
    'FATAL',
    'client',
    'sorry, too many clients already',
    'Raise max_client_conn or close idle clients.',
  ],
  too_many_database_clients: [
    '53300',
    'FATAL',
    'client',
    'too many clients for this database',
    'Raise max_db_client_connections or close idle clients.',
  ],
  too_many_user_clients: [
    '53300',
    'FATAL',
    'client',
    'too many clients for this user',
    'Raise max_user_client_connections or close idle clients.',
  ],
  too_many_admin_clients: [
    '53300',
    'FATAL',
    'client',
    'too many clients of the admin database',
    'Close some of them.',
  ],
  too_many_logins: [
    '53300',
    'FATAL',
    'client',
    'too many clients are waiting to log in',
    'Retry later, raise logins_in_progress_max or add workers.',
  ],
  queue_full: [
    '53300',
    'ERROR',
    'client',
    'too many clients are waiting for a server connection',
    'Raise pool_size or the queue limit, or retry later.',
  ],
  limit_too_small: [
    '53300',
    'ERROR',
    'operator',
    'the statement needs more server connections at a time than a limit allows',
    'Raise the limit at least to the number of shards.',
  ],
  limit_deadlock: [
    '40P01',
    'ERROR',
    'operator',
    'deadlock detected',
    'Try again; raise the limit above n x (S - 1), n being how many transactions at a time are over several of the S shards.',
  ],
  out_of_memory: [
    '53200',
    'FATAL',
    'ours',
    'out of memory',
    'Lower the number of clients per worker or add workers.',
  ],
  merge_memory: [
    '53200',
    'ERROR',
    'ours',
    'rows of several shards that are to be sorted are too many at once',
    'Ask for fewer rows (LIMIT), try again later, or add workers.',
  ],
  message_too_large: [
    '54000',
    'FATAL',
    'client',
    'message is too large',
    'Split the statement or its parameters, or raise max_packet_size.',
  ],
  query_too_large: [
    '54000',
    'ERROR',
    'client',
    'query size exceeds query_size_limit',
    'Shorten the statement or raise query_size_limit.',
  ],
  prepared_statements_limit: [
    '54000',
    'ERROR',
    'client',
    'too many prepared statements',
    'Close statements no longer needed, or raise the client limit of prepared statements.',
  ],

  // Time-outs.
  checkout_timeout: [
    '58000',
    'ERROR',
    'operator',
    'checkout timeout',
    'All server connections were in use: raise pool_size or checkout_timeout, or shorten transactions.',
  ],
  no_primary: [
    '57P03',
    'ERROR',
    'operator',
    'no primary is available',
    'Retry: another primary may be on its way. See SHOW REPLICAS and SHOW BANS.',
  ],
  no_replica: [
    '57P03',
    'ERROR',
    'operator',
    'no replica is available',
    'See SHOW REPLICAS and SHOW BANS; read_write_split says whether the primary may serve reads.',
  ],
  query_timeout: [
    '57014',
    'ERROR',
    'client',
    'query timeout',
    'Raise query_timeout or make the statement cheaper.',
  ],
  transaction_timeout: [
    '25P04',
    'FATAL',
    'client',
    'terminating connection due to transaction timeout',
    'Commit sooner or raise transaction_timeout.',
  ],
  query_cancelled: ['57014', 'ERROR', 'client', 'canceling statement due to user request', ''],
  login_timeout: [
    '57P05',
    'FATAL',
    'client',
    'client login timeout',
    'Authenticate sooner or raise client_login_timeout.',
  ],
  idle_timeout: [
    '57P05',
    'FATAL',
    'client',
    'disconnecting idle client',
    'Raise client_idle_timeout or reconnect.',
  ],
  idle_in_transaction_timeout: [
    '25P03',
    'FATAL',
    'client',
    'disconnecting idle in transaction client',
    'Commit sooner or raise client_idle_in_transaction_timeout.',
  ],
  shutting_down: [
    '57P01',
    'FATAL',
    'operator',
    'terminating connection due to administrator command',
    'Reconnect.',
  ],
  access_removed: [
    '57P01',
    'FATAL',
    'operator',
    'terminating connection due to a change of the configuration',
    'The database or the user is not configured any more. Reconnecting works when both are there again.',
  ],

  // Logging in.
  wrong_password: ['28P01', 'FATAL', 'client', 'password authentication failed', ''],
  not_authorized: [
    '28000',
    'FATAL',
    'client',
    'the user may not enter this database',
    'Ask the operator to list the database for this user.',
  ],
  no_user_name: ['28000', 'FATAL', 'client', 'no PostgreSQL user name specified in startup packet', ''],
  channel_binding_failed: [
    '28000',
    'FATAL',
    'client',
    'SCRAM channel binding check failed',
    'Somebody may stand between client and proxy: check that TLS ends here and nowhere else.',
  ],
  too_many_failures: [
    '28000',
    'FATAL',
    'client',
    'too many failed logins',
    'Wait, and correct the password; see auth_failures_max.',
  ],
  tls_required: [
    '28000',
    'FATAL',
    'client',
    'only TLS connections are allowed (no encryption)',
    'Connect with sslmode=require or stricter.',
  ],
  authentication_refused: ['28000', 'FATAL', 'client', 'this kind of authentication is not accepted', ''],
  users_unreachable: [
    '08001',
    'FATAL',
    'server',
    'who may log in could not be found out: the server that knows cannot be asked',
    'Retry when the server of auth_query answers; the log says why it does not.',
  ],
  groups_unknown: [
    '28000',
    'FATAL',
    'server',
    "the rules depend on the user's groups, which could not be found out",
    'Retry when the server answers auth_user; the log says what it said.',
  ],
  too_many_dynamic_users: [
    '53300',
    'FATAL',
    'operator',
    'too many users that are not in users.toml',
    'Raise dynamic_users_max or list the users.',
  ],
  too_many_tenants: [
    '53300',
    'FATAL',
    'operator',
    'too many databases are served by patterns already',
    'Wait until one has been idle for tenant_idle_timeout, or raise tenants_max.',
  ],
  unknown_database: [
    '3D000',
    'FATAL',
    'client',
    'database does not exist',
    'Ask for a database named in the configuration.',
  ],

  database_disabled: [
    '55000',
    'FATAL',
    'operator',
    'database is disabled',
    'An operator has ordered it: ENABLE in the admin database lets clients in again.',
  ],

  // What the client sent.
  protocol_violation: ['08P01', 'FATAL', 'client', 'protocol violation', ''],
  proxy_header_missing: [
    '08P01',
    'FATAL',
    'operator',
    'connections from this address must begin with a PROXY header',
    'Let the load balancer send it, or set proxy_protocol = "optional".',
  ],
  unsupported_protocol: [
    '0A000',
    'FATAL',
    'client',
    'unsupported frontend protocol',
    'Use protocol 3.0 or 3.2.',
  ],
  unsupported_feature: ['0A000', 'ERROR', 'client', 'not supported', ''],
  unsupported_startup: ['0A000', 'FATAL', 'client', 'not supported in the startup packet', ''],
  invalid_startup_option: [
    '42601',
    'FATAL',
    'client',
    'invalid command-line argument for server process',
    'Write options as -c name=value, or as the switches of postgres.',
  ],
  invalid_encoding: [
    '22021',
    'FATAL',
    'client',
    'invalid byte sequence for encoding "UTF8"',
    'Send names and settings in UTF-8.',
  ],
  statement_mode_transaction: [
    '58000',
    'ERROR',
    'client',
    'transaction control statements are not supported in statement pooler mode',
    'Use pooler_mode = "transaction".',
  ],
  transaction_failed: [
    '25P02',
    'ERROR',
    'client',
    'current transaction is aborted, commands ignored until end of transaction block',
    '',
  ],
  write_on_replica: [
    '25006',
    'ERROR',
    'client',
    'cannot write in a transaction that is on a replica',
    'Begin with BEGIN READ WRITE or a write, SET pgdog.role TO "primary", or use read_write_strategy = "conservative".',
  ],
  explain_option: [
    '42601',
    'ERROR',
    'client',
    'EXPLAIN (PGDOG) has no such option',
    'EXPLAIN (PGDOG) <statement>, or with FORMAT JSON.',
  ],
  replicas_only: [
    '25006',
    'ERROR',
    'operator',
    'the database has only replicas: it is read-only',
    'Add a [[databases]] entry for its primary, or role = "auto" on all of its entries.',
  ],
  statement_encoding: [
    '0A000',
    'ERROR',
    'client',
    'the statement was prepared under another client_encoding, and is on another server connection',
    'Prepare it again, or use it first outside of a transaction.',
  ],
  plan_outdated: [
    '0A000',
    'ERROR',
    'client',
    'cached plan must not change result type',
    'Prepare the statement again.',
  ],
  duplicate_prepared_statement: ['42P05', 'ERROR', 'client', 'prepared statement already exists', ''],
  unknown_prepared_statement: ['26000', 'ERROR', 'client', 'prepared statement does not exist', ''],
  unknown_savepoint: ['3B001', 'ERROR', 'client', 'savepoint does not exist', ''],
  unknown_portal: ['34000', 'ERROR', 'client', 'portal does not exist', ''],
  duplicate_cursor: ['42P03', 'ERROR', 'client', 'cursor already exists', ''],
  unknown_cursor: ['34000', 'ERROR', 'client', 'cursor does not exist', ''],
  portal_failed: ['55000', 'ERROR', 'client', 'portal cannot be run', ''],
  outside_block: ['25P01', 'ERROR', 'client', 'there is no transaction block', ''],
  cursor_outside_block: [
    '25P01',
    'ERROR',
    'client',
    'DECLARE CURSOR can only be used in transaction blocks',
    '',
  ],
  failed_transaction: [
    '25P02',
    'ERROR',
    'client',
    'current transaction is aborted, commands ignored until end of transaction block',
    '',
  ],
  syntax_error: ['42601', 'ERROR', 'client', 'syntax error', ''],
  invalid_parameter_value: ['22023', 'ERROR', 'client', 'invalid value for parameter', ''],
  session_killed: ['57P01', 'FATAL', 'operator', 'terminating connection due to administrator command', ''],

  // Servers.
  server_lost: [
    '08006',
    'ERROR',
    'server',
    'server connection was lost; whether the statement took effect is not known',
    'Check the outcome before repeating it.',
  ],
  server_unreachable: [
    '08001',
    'ERROR',
    'server',
    'could not connect to the server',
    'Check that the host in the configuration is up and reachable.',
  ],
  server_tls_failed: [
    '08001',
    'ERROR',
    'operator',
    'TLS towards the server could not be set up',
    "Check tls_verify, tls_server_ca_certificate and the server's certificate.",
  ],
  server_not_ready: [
    '57P03',
    'ERROR',
    'server',
    'the server is not accepting connections',
    'Retry when it has started.',
  ],
  server_login_failed: [
    '58000',
    'ERROR',
    'operator',
    'the server refused the login of the proxy',
    "Check server_user, server_password and the server's pg_hba.conf.",
  ],
  server_protocol: [
    '08P01',
    'ERROR',
    'server',
    'the server broke the protocol',
    'Check that the host is a PostgreSQL server.',
  ],
  pool_down: [
    '58000',
    'ERROR',
    'operator',
    'connection pool is down',
    'See SHOW POOLS and the log for the reason.',
  ],
  settings_refused: [
    '58000',
    'ERROR',
    'client',
    'a setting of this session could not be applied',
    'Connect again: the setting can no longer be applied.',
  ],
  out_of_sync: [
    '58000',
    'ERROR',
    'ours',
    'protocol is out of sync',
    'The server connection was closed; repeat the transaction.',
  ],

  // LISTEN by the shared connection.
  listener_too_slow: [
    '53400',
    'FATAL',
    'client',
    'too many notifications are waiting for this client',
    'Read faster, keep transactions short, or raise pub_sub_channel_size; then connect again, LISTEN and read the state.',
  ],
  listen_lost: [
    '08006',
    'FATAL',
    'server',
    'the connection that listens for this client was lost: notifications may have been missed',
    'Connect again, LISTEN, and read the state that the notifications are about.',
  ],
  listen_encoding: [
    '22P05',
    'FATAL',
    'client',
    'a notification cannot be told in the client_encoding of this session',
    'Use client_encoding UTF8 in sessions that LISTEN.',
  ],

  // Admin and configuration.
  admin_syntax: [
    '08P01',
    'ERROR',
    'client',
    'syntax error in admin command',
    'SHOW HELP lists the commands.',
  ],
  // Not of class 08: pools of connections throw one away that says so.
  admin_no_sql: [
    '0A000',
    'ERROR',
    'client',
    'the admin database runs no SQL',
    'SHOW HELP lists the commands.',
  ],
  unknown_parameter: ['42704', 'ERROR', 'client', 'unrecognized configuration parameter', ''],
  order_refused: ['08P01', 'ERROR', 'operator', 'the order cannot be carried out now', ''],
  order_withdrawn: [
    '57014',
    'ERROR',
    'operator',
    'the order was taken back before it was carried out',
    'Another operator has given RESUME.',
  ],
  admin_failed: ['58000', 'ERROR', 'ours', 'the admin command failed', ''],
  tenant_filter: [
    '42501',
    'ERROR',
    'client',
    'the statement is not restricted to one tenant',
    'Compare the column of [multi_tenant] with one value, for every table; docs/internals/multi-tenant.md has the rules.',
  ],
  cross_shard: [
    '0A000',
    'ERROR',
    'client',
    'the statement is not on one shard',
    'Compare the sharding key with a value, or name the shard by SET pgdog.shard.',
  ],
  unique_ids_exhausted: [
    '54000',
    'ERROR',
    'client',
    'more unique ids are asked for than the clock gives',
    'Try again; unique_id_function = "standard" gives 4,096 of them in each ms.',
  ],
  unique_ids_unclaimed: [
    '55000',
    'ERROR',
    'server',
    'no number of this proxy is claimed for unique ids',
    'A number is claimed on the primary of shard 0; give each proxy a node_id of its own, or none.',
  ],
  copy_malformed: ['22P04', 'ERROR', 'client', 'the data of COPY are malformed', ''],
  copy_row_too_long: [
    '54000',
    'ERROR',
    'client',
    'a row of COPY is too long',
    'Let the sharding key and dates come first in the list of columns.',
  ],
  moved_rows_limit: [
    '54000',
    'ERROR',
    'client',
    'an UPDATE moves too many rows to other shards',
    'Move fewer at a time, by a narrower WHERE.',
  ],
  moved_meanwhile: [
    '40001',
    'ERROR',
    'client',
    'rows that an UPDATE would have moved were made by another transaction while it ran',
    'Try again.',
  ],
  commit_forestalled: [
    '40001',
    'ERROR',
    'server',
    'recovery has taken the transaction for one that was left, and rolled it back before it was committed',
    'Try again.',
  ],
  commit_unknown: [
    '08007',
    'ERROR',
    'server',
    'the connection to a shard was lost while it committed: whether the transaction has committed is not known',
    'Look at what it has changed before it is tried again.',
  ],
  merge_overflow: ['22003', 'ERROR', 'client', 'value out of range', ''],
  merge_division: ['22012', 'ERROR', 'client', 'division by zero', ''],
  shard_unreadable: [
    '0A000',
    'ERROR',
    'client',
    'the statement cannot be read, so its shard is not known',
    'Name the shard by SET pgdog.shard, or by a comment: /* pgdog_shard: 0 */.',
  ],
  shard_key_unmapped: [
    '0A000',
    'ERROR',
    'client',
    'lookup_query gives no shard for the key',
    'Give the key a shard in the table that lookup_query reads, by a transaction that has ended before.',
  ],
  shard_unknown_table: ['42P01', 'ERROR', 'client', 'relation does not exist', ''],
  shard_catalog_unread: [
    '57P03',
    'ERROR',
    'server',
    'the tables of the shards are not known yet',
    'They are read from the primary of every shard; the log says why that fails.',
  ],
  shard_session: [
    '0A000',
    'FATAL',
    'client',
    'a sharded database needs pooler_mode = "transaction"',
    'Name a shard at start-up (options=-c pgdog.shard=0), or use transaction mode.',
  ],
  admin_only: ['42501', 'ERROR', 'client', 'permission denied: admin user required', ''],
  configuration: [
    'F0000',
    'FATAL',
    'operator',
    'configuration error',
    'pgdog-cluster check tells file, line and key.',
  ],
  reload_failed: [
    'F0000',
    'ERROR',
    'operator',
    'the configuration cannot be used; the one in force stays',
    'Mend what is said and RELOAD again; `pgdog-cluster check` tells the same.',
  ],
  internal: [
    'XX000',
    'FATAL',
    'ours',
    'internal error',
    'Please report it with the log line of the same time.',
  ],
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ROWS;

function toKinds(): Record<ErrorCode, ErrorKind> {
  const kinds: Record<string, ErrorKind> = {};
  for (const [code, [sqlstate, severity, fault, message, remedy]] of Object.entries(ROWS)) {
    kinds[code] = Object.freeze({ sqlstate, severity, fault, message, remedy });
  }
  return Object.freeze(kinds) as Record<ErrorCode, ErrorKind>;
}

/** The error table: stable code to SQLSTATE, severity, fault, default text and remedy. Frozen. */
export const ERROR_TABLE: Record<ErrorCode, ErrorKind> = toKinds();

export interface ErrorExtras {
  detail?: string;
  /** In place of the table's remedy. */
  hint?: string;
  cause?: unknown;
}

/** An error of the world with a stable code. Its text goes to clients: never put a secret or a literal in. */
export class PgDogError extends Error {
  readonly code: ErrorCode;
  readonly sqlstate: string;
  readonly severity: Severity;
  readonly fault: Fault;
  readonly detail: string;
  readonly hint: string;

  constructor(code: ErrorCode, message: string = ERROR_TABLE[code].message, extras: ErrorExtras = {}) {
    // Where it was made says nothing about an error of the world, and finding that out costs more than all the
    // rest of a refused login.
    const framesMax = Error.stackTraceLimit;
    if (code !== 'internal') Error.stackTraceLimit = 0;
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    Error.stackTraceLimit = framesMax;
    const kind = ERROR_TABLE[code];
    this.name = 'PgDogError';
    this.code = code;
    this.sqlstate = kind.sqlstate;
    this.severity = kind.severity;
    this.fault = kind.fault;
    this.detail = extras.detail ?? '';
    this.hint = extras.hint ?? kind.remedy;
  }
}
