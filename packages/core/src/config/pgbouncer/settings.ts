/** [pgbouncer]: every setting and what becomes of it. Those of authentication and TLS are in settings-auth.ts. */
import { FRAME_BYTES_MAX } from '../defaults.js';
import { ignore, join, map, refuse, type SettingRule, when } from './rules.js';
import { AUTH_SETTINGS } from './settings-auth.js';
import {
  anyText,
  fileMode,
  flag,
  lifetime,
  oneOf,
  path,
  poolSize,
  seconds,
  text,
  translated,
  USE_ONCE,
  unlessZero,
  whole,
} from './values.js';

const STDOUT = 'the log goes to standard output, which systemd and containers keep';
const WINDOWS = 'is for services of Windows';
const IS_ZERO = (value: string) => Number(value) === 0;
/** PgBouncer's largest, beyond what Postgres sends or takes. */
const packetBytes = (value: string) => {
  const reading = whole()(value);
  if (!('value' in reading)) return reading;
  return Number(reading.value) > FRAME_BYTES_MAX ? { value: undefined } : reading;
};

const PROCESS: Record<string, SettingRule> = {
  logfile: map('general.log_file', path),
  pidfile: map('general.pid_file', path),
  user: ignore(text, [''], 'start the program as that user (User= of systemd): it does not change its own'),
  conffile: ignore(text, [''], 'the file is the one that the command line names'),
  service_name: ignore(text, ['pgbouncer'], WINDOWS),
  job_name: ignore(text, ['pgbouncer'], WINDOWS),
  syslog: ignore(flag, ['0'], STDOUT),
  syslog_ident: ignore(text, ['pgbouncer'], STDOUT),
  syslog_facility: ignore(text, ['daemon'], STDOUT),
  log_connections: map('general.log_connections', flag),
  log_disconnections: map('general.log_disconnections', flag),
  log_pooler_errors: ignore(flag, ['1'], 'errors of ours are always logged'),
  log_stats: ignore(flag, ['0', '1'], 'figures are in SHOW STATS and the metrics endpoint, not in the log'),
  stats_period: map('general.stats_period', seconds, '60'),
  verbose: map('general.log_level', translated({ 0: undefined, 1: 'debug', 2: 'debug', 3: 'debug' })),
  resolv_conf: refuse(
    text,
    [''],
    'names are resolved as the system does: another file could lead to other servers',
  ),
  admin_users: join(anyText, ''),
  stats_users: join(anyText, ''),
  login_notify_message: ignore(text, [''], 'no notice is sent after a login'),
};

const SOCKETS: Record<string, SettingRule> = {
  listen_addr: map('general.host', anyText, ''),
  listen_port: map('general.port', whole(1, 65_535), '6432'),
  listen_backlog: map('general.listen_backlog', whole(1)),
  unix_socket_dir: map('general.unix_socket_dir', anyText, '/tmp'),
  unix_socket_mode: join(fileMode, '0777'),
  unix_socket_group: join(anyText, ''),
  so_reuseport: ignore(flag, ['0'], 'one process uses all CPUs, by its workers'),
  tcp_defer_accept: map('tcp.defer_accept', (value) => {
    const reading = whole()(value);
    return 'value' in reading ? { value: reading.value !== 0 } : reading;
  }),
  tcp_socket_buffer: ignore(whole(), ['0'], 'the kernel sizes the buffers of sockets'),
  tcp_keepalive: map('tcp.keepalive', flag),
  tcp_keepcnt: map('tcp.retries', unlessZero(whole(0, 127))),
  tcp_keepidle: map('tcp.time', unlessZero(seconds)),
  tcp_keepintvl: map('tcp.interval', unlessZero(seconds)),
  tcp_user_timeout: map('tcp.user_timeout', unlessZero(whole())),
  pkt_buf: ignore(whole(), ['4096'], 'buffers belong to workers, not to sockets'),
  sbuf_loopcnt: ignore(whole(), ['5'], 'turns are divided by bytes'),
  max_packet_size: map('general.max_packet_size', packetBytes),
};

const LIMITS: Record<string, SettingRule> = {
  pool_mode: map('general.pooler_mode', oneOf('session', 'transaction', 'statement'), 'session'),
  max_client_conn: map('general.max_client_conn', whole(), '100'),
  default_pool_size: map('general.default_pool_size', poolSize, '20'),
  min_pool_size: map(
    'general.min_pool_size',
    whole(),
    '0',
    when(
      (value) => !IS_ZERO(value),
      'is kept open for every pair of database and user, also while no client is there',
    ),
  ),
  reserve_pool_size: join(whole(), '0'),
  reserve_pool_timeout: join(seconds, '5'),
  max_db_connections: map('general.max_db_connections', whole()),
  max_user_connections: map('general.max_user_connections', whole()),
  max_db_client_connections: map('general.max_db_client_connections', whole()),
  max_user_client_connections: map('general.max_user_client_connections', whole()),
  server_round_robin: ignore(flag, ['0'], 'the server connection used last is taken first: it is warm'),
  server_lifetime: map('general.server_lifetime', lifetime(seconds), '3600', when(IS_ZERO, USE_ONCE)),
  server_idle_timeout: map('general.idle_timeout', seconds, '600'),
  pool_idle_timeout: ignore(seconds, ['0'], 'pools without connections cost a row of memory and stay'),
  autodb_idle_timeout: map('general.tenant_idle_timeout', seconds, '3600'),
  server_check_delay: join(seconds, '30'),
  server_check_query: join(anyText, '<empty>'),
  server_reset_query: join(anyText, 'DISCARD ALL'),
  server_reset_query_always: ignore(flag, ['0'], 'what a client left behind is always undone, in every mode'),
  server_fast_close: ignore(flag, ['0'], 'sessions end with their client'),
  disable_pqexec: refuse(flag, ['0'], 'simple queries cannot be switched off'),
  max_prepared_statements: map(
    'general.prepared_statements_limit',
    unlessZero(whole()),
    '200',
    when(IS_ZERO, 'prepared statements are always kept working'),
  ),
  track_extra_parameters: ignore(text, ['', 'IntervalStyle'], 'every setting of a client is kept for it'),
  ignore_startup_parameters: ignore(
    text,
    [''],
    'start-up parameters are obeyed as by Postgres, and refused where Postgres would',
  ),
  application_name_add_host: ignore(
    flag,
    ['0'],
    'application_name is passed on as it is; SHOW CLIENTS has the address',
  ),
};

const TIMES: Record<string, SettingRule> = {
  server_connect_timeout: map('general.connect_timeout', seconds, '15'),
  server_login_retry: map('general.server_login_retry', seconds, '15'),
  query_wait_timeout: map('general.checkout_timeout', seconds, '120'),
  query_wait_notify: map('general.query_wait_notify', seconds, '5'),
  cancel_wait_timeout: map('general.cancel_wait_timeout', seconds, '10'),
  query_timeout: map('general.query_timeout', seconds),
  client_idle_timeout: map('general.client_idle_timeout', seconds),
  idle_transaction_timeout: map('general.client_idle_in_transaction_timeout', seconds),
  transaction_timeout: map('general.transaction_timeout', seconds),
  client_login_timeout: map('general.client_login_timeout', seconds, '60'),
  suspend_timeout: ignore(seconds, ['10'], 'no sockets are handed over by SUSPEND'),
  peer_id: ignore(
    whole(0, 16_383),
    ['0'],
    'one process knows all its cancel keys; those of other machines are not passed on',
  ),
  dns_max_ttl: map('general.dns_ttl', unlessZero(seconds)),
  dns_nxdomain_ttl: ignore(seconds, ['15'], 'names that fail are asked again as soon as they are needed'),
  dns_zone_check_period: ignore(seconds, ['0'], 'names are asked again as their records say'),
};

export const SETTINGS: Readonly<Record<string, SettingRule>> = {
  ...PROCESS,
  ...SOCKETS,
  ...LIMITS,
  ...TIMES,
  ...AUTH_SETTINGS,
};
