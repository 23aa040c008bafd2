// Every setting of PgBouncer: what becomes of it, and that the ini and the files written from it say the same. It is
// over 400 lines because that is one table, a row per setting.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigurationError,
  formatProblem,
  type LoadedConfig,
  PGBOUNCER_DATABASE_KEYS,
  PGBOUNCER_SETTINGS,
  PGBOUNCER_USER_KEYS,
} from '@pgdog-cluster/core/config';
import { essence, type IniFiles, loadIni, loadWritten, writeIni } from '../support/pgbouncer-ini.js';

const FILES: IniFiles = {
  '/pgb/userlist.txt':
    '"app" "hunter2" anything\n; a comment\n"o""ps" "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"\n',
  '/pgb/hba.conf': 'host all all 10.0.0.0/8 scram-sha-256\n',
  '/pgb/ident.conf': 'm sys app\n',
  '/pgb/more.ini': 'pool_mode = statement\n',
};

function ini(lines: string, database = 'host=10.0.0.1', users = ''): string {
  return `[databases]\nshop = ${database}\n[users]\n${users}\n[pgbouncer]\nauth_file = /pgb/userlist.txt\nlisten_addr = *\n${lines}\n`;
}

type See = (loaded: LoadedConfig) => unknown;
const general =
  (key: keyof LoadedConfig['general']): See =>
  (loaded) =>
    loaded.general[key];
const tcp =
  (key: keyof LoadedConfig['tcp']): See =>
  (loaded) =>
    loaded.tcp[key];
const database =
  (see: (entry: LoadedConfig['databases'][number]) => unknown): See =>
  (loaded) =>
    see(loaded.databases[0]);
const user =
  (see: (entry: LoadedConfig['users'][number]) => unknown): See =>
  (loaded) =>
    see(loaded.users[0]);

/** Key, lines, what is seen of it, and what is seen then. */
type Mapped = [key: string, lines: string, see: See, expected: unknown];
/** Key, lines, what is told about it. */
type Told = [key: string, lines: string, text: string];

const TLS = 'client_tls_cert_file = /pgb/c.pem\nclient_tls_key_file = /pgb/k.pem\n';
const CA = 'client_tls_ca_file = /pgb/ca.pem';
const HBA = 'auth_type = hba\nauth_hba_file = /pgb/hba.conf';

const MAPPED: Mapped[] = [
  ['logfile', 'logfile = /var/log/x', general('log_file'), '/var/log/x'],
  ['pidfile', 'pidfile = /run/x', general('pid_file'), '/run/x'],
  ['log_connections', 'log_connections = 0', general('log_connections'), false],
  ['log_disconnections', 'log_disconnections = 0', general('log_disconnections'), false],
  ['stats_period', 'stats_period = 2.5', general('stats_period'), 2_500],
  ['stats_period', '', general('stats_period'), 60_000],
  ['verbose', 'verbose = 1', general('log_level'), 'debug'],
  [
    'admin_users',
    'admin_users = app',
    (loaded) => [loaded.admin.name, loaded.admin.user, loaded.admin.password?.reveal()],
    ['pgbouncer', 'app', 'hunter2'],
  ],
  ['listen_addr', 'listen_addr = 127.0.0.1, ::1', general('host'), '127.0.0.1, ::1'],
  ['listen_port', 'listen_port = 7000', (loaded) => loaded.listen[0].port, 7000],
  ['listen_backlog', 'listen_backlog = 77', general('listen_backlog'), 77],
  ['unix_socket_dir', 'unix_socket_dir = @pgb', general('unix_socket_dir'), '@pgb'],
  ['unix_socket_dir', '', general('unix_socket_dir'), '/tmp'],
  ['unix_socket_dir', 'unix_socket_dir =', general('unix_socket_dir'), ''],
  ['unix_socket_mode', 'unix_socket_mode = 770', general('unix_socket_mode'), '0770'],
  ['unix_socket_group', 'unix_socket_group = staff', general('unix_socket_group'), 'staff'],
  ['tcp_defer_accept', 'tcp_defer_accept = 0', tcp('defer_accept'), false],
  ['tcp_keepalive', 'tcp_keepalive = 0', tcp('keepalive'), false],
  ['tcp_keepcnt', 'tcp_keepcnt = 3', tcp('retries'), 3],
  ['tcp_keepidle', 'tcp_keepidle = 4', tcp('time'), 4_000],
  ['tcp_keepidle', 'tcp_keepidle = 0', tcp('time'), null],
  ['tcp_keepintvl', 'tcp_keepintvl = 5', tcp('interval'), 5_000],
  ['tcp_user_timeout', 'tcp_user_timeout = 6', tcp('user_timeout'), 6],
  ['max_packet_size', 'max_packet_size = 100000', general('max_packet_size'), 100_000],
  ['max_packet_size', 'max_packet_size = 2147483647', general('max_packet_size'), 0x3fff_ffff],
  ['pool_mode', 'pool_mode = transaction', general('pooler_mode'), 'transaction'],
  ['pool_mode', '', general('pooler_mode'), 'session'],
  ['pool_mode', '%include /pgb/more.ini', general('pooler_mode'), 'statement'],
  ['max_client_conn', 'max_client_conn = 7', general('max_client_conn'), 7],
  ['max_client_conn', '', general('max_client_conn'), 100],
  ['default_pool_size', 'default_pool_size = 7', general('default_pool_size'), 7],
  ['default_pool_size', 'default_pool_size = 0', general('default_pool_size'), 65_535],
  ['default_pool_size', '', general('default_pool_size'), 20],
  ['min_pool_size', 'min_pool_size = 2', general('min_pool_size'), 2],
  ['reserve_pool_size', 'reserve_pool_size = 3', general('reserve_pool_size'), 3],
  ['reserve_pool_size', 'reserve_pool_size = 3\nreserve_pool_timeout = 0', general('reserve_pool_size'), 0],
  ['reserve_pool_timeout', 'reserve_pool_timeout = 0.5', general('reserve_pool_timeout'), 500],
  ['max_db_connections', 'max_db_connections = 4', general('max_db_connections'), 4],
  ['max_user_connections', 'max_user_connections = 4', general('max_user_connections'), 4],
  ['max_db_client_connections', 'max_db_client_connections = 4', general('max_db_client_connections'), 4],
  [
    'max_user_client_connections',
    'max_user_client_connections = 4',
    general('max_user_client_connections'),
    4,
  ],
  ['server_lifetime', 'server_lifetime = 60', general('server_lifetime'), 60_000],
  ['server_lifetime', 'server_lifetime = 0', general('server_lifetime'), 1],
  ['server_idle_timeout', 'server_idle_timeout = 0', general('idle_timeout'), 0],
  ['autodb_idle_timeout', 'autodb_idle_timeout = 1', general('tenant_idle_timeout'), 1000],
  ['server_check_delay', 'server_check_delay = 10', general('healthcheck_interval'), 10_000],
  ['server_check_delay', 'server_check_delay = 0', general('healthcheck_interval'), 1],
  ['server_check_query', 'server_check_query =', general('healthcheck_interval'), 0],
  ['server_check_query', 'server_check_query = select 1', general('healthcheck_interval'), 30_000],
  [
    'server_reset_query',
    'server_reset_query = RESET ALL; UNLISTEN *;',
    general('connection_recovery'),
    'recover',
  ],
  ['max_prepared_statements', 'max_prepared_statements = 9', general('prepared_statements_limit'), 9],
  ['server_connect_timeout', 'server_connect_timeout = 1', general('connect_timeout'), 1_000],
  ['server_login_retry', 'server_login_retry = 2', general('server_login_retry'), 2_000],
  ['query_wait_timeout', 'query_wait_timeout = 0', general('checkout_timeout'), 0],
  ['query_wait_timeout', '', general('checkout_timeout'), 120_000],
  ['query_wait_notify', 'query_wait_notify = 0', general('query_wait_notify'), 0],
  ['cancel_wait_timeout', 'cancel_wait_timeout = 3', general('cancel_wait_timeout'), 3_000],
  ['query_timeout', 'query_timeout = 3', general('query_timeout'), 3_000],
  ['client_idle_timeout', 'client_idle_timeout = 3', general('client_idle_timeout'), 3_000],
  [
    'idle_transaction_timeout',
    'idle_transaction_timeout = 3',
    general('client_idle_in_transaction_timeout'),
    3_000,
  ],
  ['transaction_timeout', 'transaction_timeout = 3', general('transaction_timeout'), 3_000],
  ['client_login_timeout', 'client_login_timeout = 3', general('client_login_timeout'), 3_000],
  ['dns_max_ttl', 'dns_max_ttl = 3', general('dns_ttl'), 3_000],
  ['auth_type', 'auth_type = scram-sha-256\nauth_file =\nauth_user = x', general('auth_type'), 'scram'],
  ['auth_type', '', general('auth_type'), 'md5'],
  ['auth_type', 'auth_type = plain', general('plain_auth_without_tls'), true],
  ['auth_type', 'auth_type = trust', general('auth_type'), 'trust'],
  [
    'auth_file',
    '',
    (loaded) => loaded.users.map((entry) => [entry.name, entry.databases, entry.passwords[0]?.reveal()]),
    [
      ['app', null, 'hunter2'],
      ['o"ps', null, 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
    ],
  ],
  ['auth_hba_file', HBA, (loaded) => loaded.hba?.length, 1],
  [
    'auth_ident_file',
    `${HBA}\nauth_ident_file = /pgb/ident.conf`,
    (loaded) => loaded.identMappings.length,
    1,
  ],
  [
    'auth_user',
    'auth_user = app',
    database(({ authQuery }) => [authQuery?.user, authQuery?.password?.reveal()]),
    ['app', 'hunter2'],
  ],
  ['auth_dbname', 'auth_user = app\nauth_dbname = shop', general('auth_dbname'), 'shop'],
  [
    'auth_query',
    'auth_query = SELECT a, b FROM own.f($1)',
    general('auth_query'),
    'SELECT a, b FROM own.f($1)',
  ],
  ['client_tls_sslmode', `client_tls_sslmode = require\n${TLS}`, general('client_tls_sslmode'), 'require'],
  ['client_tls_sslmode', '', general('client_tls_sslmode'), 'disable'],
  ['client_tls_cert_file', `client_tls_sslmode = allow\n${TLS}`, general('tls_certificate'), '/pgb/c.pem'],
  ['client_tls_key_file', `client_tls_sslmode = allow\n${TLS}`, general('tls_private_key'), '/pgb/k.pem'],
  [
    'client_tls_ca_file',
    `client_tls_sslmode = verify-full\n${TLS}${CA}`,
    general('tls_client_ca_certificate'),
    '/pgb/ca.pem',
  ],
  ['client_tls_protocols', 'client_tls_protocols = tlsv1.3', general('client_tls_protocols'), 'tlsv1.3'],
  ['client_tls_ciphers', 'client_tls_ciphers = HIGH', general('client_tls_ciphers'), 'HIGH'],
  ['client_tls13_ciphers', 'client_tls13_ciphers = X', general('client_tls13_ciphers'), 'X'],
  ['client_tls_ecdhcurve', 'client_tls_ecdhcurve = X25519', general('client_tls_ecdhcurve'), 'X25519'],
  ['server_tls_sslmode', 'server_tls_sslmode = verify-full', general('tls_verify'), 'verify_full'],
  [
    'server_tls_ca_file',
    'server_tls_ca_file = /pgb/ca.pem',
    general('tls_server_ca_certificate'),
    '/pgb/ca.pem',
  ],
  [
    'server_tls_cert_file',
    'server_tls_cert_file = /pgb/c\nserver_tls_key_file = /pgb/k',
    general('tls_server_certificate'),
    '/pgb/c',
  ],
  [
    'server_tls_key_file',
    'server_tls_cert_file = /pgb/c\nserver_tls_key_file = /pgb/k',
    general('tls_server_private_key'),
    '/pgb/k',
  ],
  ['server_tls_protocols', 'server_tls_protocols = tlsv1.2', general('server_tls_protocols'), 'tlsv1.2'],
  ['server_tls_ciphers', 'server_tls_ciphers = HIGH', general('server_tls_ciphers'), 'HIGH'],
  ['server_tls13_ciphers', 'server_tls13_ciphers = X', general('server_tls13_ciphers'), 'X'],
];

const WARNED: Told[] = [
  ['user', 'user = postgres', 'user: has no effect here: start the program as that user'],
  ['conffile', 'conffile = /x', 'conffile: has no effect'],
  ['service_name', 'service_name = x', 'service_name: has no effect'],
  ['job_name', 'job_name = x', 'job_name: has no effect'],
  ['syslog', 'syslog = 1', 'syslog: has no effect'],
  ['syslog_ident', 'syslog_ident = x', 'syslog_ident: has no effect'],
  ['syslog_facility', 'syslog_facility = local0', 'syslog_facility: has no effect'],
  ['log_pooler_errors', 'log_pooler_errors = 0', 'log_pooler_errors: has no effect'],
  ['stats_users', 'stats_users = app, b', 'stats_users: "b" is not in auth_file'],
  ['admin_users', 'admin_users = app, b', 'admin_users: "b" is not in auth_file'],
  ['login_notify_message', 'login_notify_message = hi', 'login_notify_message: has no effect'],
  ['so_reuseport', 'so_reuseport = 1', 'so_reuseport: has no effect here: one process uses all CPUs'],
  ['tcp_socket_buffer', 'tcp_socket_buffer = 4096', 'tcp_socket_buffer: has no effect'],
  ['pkt_buf', 'pkt_buf = 8192', 'pkt_buf: has no effect'],
  ['sbuf_loopcnt', 'sbuf_loopcnt = 0', 'sbuf_loopcnt: has no effect'],
  ['min_pool_size', 'min_pool_size = 1', 'min_pool_size: is kept open for every pair'],
  [
    'reserve_pool_timeout',
    'reserve_pool_timeout = 0',
    'reserve_pool_timeout: 0 means that no pool has a reserve',
  ],
  ['server_round_robin', 'server_round_robin = 1', 'server_round_robin: has no effect'],
  [
    'server_lifetime',
    'server_lifetime = 0',
    'server_lifetime: 0 closes server connections when they are a second old',
  ],
  ['pool_idle_timeout', 'pool_idle_timeout = 1', 'pool_idle_timeout: has no effect'],
  ['server_check_query', 'server_check_query = select f()', 'server_check_query: is not sent'],
  ['server_reset_query', 'server_reset_query =', 'server_reset_query: has no effect here'],
  ['server_reset_query_always', 'server_reset_query_always = 1', 'server_reset_query_always: has no effect'],
  ['server_fast_close', 'server_fast_close = 1', 'server_fast_close: has no effect'],
  [
    'max_prepared_statements',
    'max_prepared_statements = 0',
    'max_prepared_statements: prepared statements are always',
  ],
  ['track_extra_parameters', 'track_extra_parameters = search_path', 'track_extra_parameters: has no effect'],
  [
    'ignore_startup_parameters',
    'ignore_startup_parameters = options',
    'ignore_startup_parameters: has no effect',
  ],
  ['application_name_add_host', 'application_name_add_host = 1', 'application_name_add_host: has no effect'],
  ['suspend_timeout', 'suspend_timeout = 1', 'suspend_timeout: has no effect'],
  ['peer_id', 'peer_id = 1', 'peer_id: has no effect'],
  ['dns_nxdomain_ttl', 'dns_nxdomain_ttl = 1', 'dns_nxdomain_ttl: has no effect'],
  ['dns_zone_check_period', 'dns_zone_check_period = 1', 'dns_zone_check_period: has no effect'],
  ['auth_hba_file', 'auth_hba_file = /nowhere', 'auth_hba_file: has no effect while auth_type is "md5"'],
  ['auth_query', 'auth_query = SELECT a FROM f($1)', 'auth_query: is asked with search_path = pg_catalog'],
  ['auth_ldap_options', 'auth_ldap_options = ldapurl="x"', 'auth_ldap_options: has no effect'],
  ['scram_iterations', 'scram_iterations = 10000', 'scram_iterations: has no effect'],
  ['client_tls_cert_file', TLS, 'client_tls_cert_file: has no effect while client_tls_sslmode is "disable"'],
  [
    'client_tls_ca_file',
    `client_tls_sslmode = require\n${TLS}${CA}`,
    'client_tls_ca_file: has no effect while client_tls_sslmode is "require"',
  ],
  ['client_tls_dheparams', 'client_tls_dheparams = legacy', 'client_tls_dheparams: has no effect'],
  ['server_tls_sslmode', 'server_tls_sslmode = allow', 'server_tls_sslmode: "allow" is "prefer" here'],
  ['auth_file', 'auth_file = /pgb/twice.txt', '/pgb/twice.txt:2: "app" stands in line 1 already'],
];

const REFUSED: Told[] = [
  ['resolv_conf', 'resolv_conf = /x', 'pgbouncer.ini:8: resolv_conf: names are resolved as the system does'],
  [
    'disable_pqexec',
    'disable_pqexec = 1',
    'pgbouncer.ini:8: disable_pqexec: simple queries cannot be switched off',
  ],
  [
    'server_reset_query',
    'server_reset_query = SELECT f()',
    'pgbouncer.ini:8: server_reset_query: a statement of your own',
  ],
  ['auth_type', 'auth_type = any', 'pgbouncer.ini:8: auth_type: "any" lets in whoever'],
  ['auth_type', 'auth_type = ldap', 'pgbouncer.ini:8: auth_type: "ldap"'],
  ['auth_type', 'auth_type = pam', 'pgbouncer.ini:8: auth_type: "pam"'],
  ['auth_type', 'auth_type = gss', 'pgbouncer.ini:8: auth_type: expected one of any, trust'],
  ['auth_file', 'auth_file = /nowhere', 'pgbouncer.ini:8: auth_file: file /nowhere: ENOENT'],
  ['auth_file', 'auth_file = /pgb/broken.txt', '/pgb/broken.txt:2: expected "user" "password"'],
  ['log_stats', 'log_stats = yes', 'pgbouncer.ini:8: log_stats: expected 0 or 1, got "yes"'],
  [
    'server_lifetime',
    'server_lifetime = 15s',
    'pgbouncer.ini:8: server_lifetime: expected a number of seconds without a unit',
  ],
  [
    'listen_port',
    'listen_port = 70000',
    'pgbouncer.ini:8: listen_port: expected a whole number from 1 to 65535',
  ],
  [
    'max_client_conn',
    'max_client_conn = -1',
    'pgbouncer.ini:8: max_client_conn: expected a whole number, 0 or more',
  ],
  ['unix_socket_mode', 'unix_socket_mode = 0999', 'pgbouncer.ini:8: unix_socket_mode: expected permissions'],
  ['max_packet_size', 'max_packet_size = 100', 'pgbouncer.ini:8: max_packet_size: expected 65536 to'],
  ['', 'pol_mode = session', 'pgbouncer.ini:8: pol_mode: unknown key; did you mean "pool_mode"?'],
  ['', '[pgbouncr]', 'pgbouncer.ini:8: pgbouncr: unknown section; did you mean "pgbouncer"?'],
  ['', 'no pair', 'pgbouncer.ini:8: expected "key = value"'],
  ['', '%include /nowhere', 'pgbouncer.ini:8: file /nowhere: ENOENT'],
  ['', '%include /pgb/loop.ini', '/pgb/loop.ini:1: files include each other more than 10 deep'],
  ['', '[peers]\n0 = host=x', 'pgbouncer.ini:9: peers.0: expected an id'],
  ['', '[peers]\n1 = port=3', 'pgbouncer.ini:9: peers.1: missing: host'],
];

const DATABASE_MAPPED: Mapped[] = [
  ['dbname', 'host=x dbname=y', database((entry) => entry.serverDatabase), 'y'],
  ['host', 'host=/run', database((entry) => entry.host), '/run'],
  ['host', '', database((entry) => entry.host), '/tmp'],
  [
    'host',
    'host=a,b',
    (loaded) => loaded.databases.map(({ host, role }) => `${host} ${role}`),
    ['a auto', 'b auto'],
  ],
  ['port', 'host=x port=7', database((entry) => entry.port), 7],
  [
    'user',
    'host=x user=app',
    database((entry) => [entry.serverUser, entry.serverPassword?.reveal()]),
    ['app', 'hunter2'],
  ],
  [
    'password',
    "host=x user=app password='it''s = so'",
    database((entry) => entry.serverPassword?.reveal()),
    "it's = so",
  ],
  ['auth_user', 'host=x auth_user=app', database((entry) => entry.authQuery?.user), 'app'],
  [
    'auth_query',
    "host=x auth_user=app auth_query='SELECT a.b($1)'",
    database((entry) => entry.authQuery?.sql),
    'SELECT a.b($1)',
  ],
  [
    'auth_dbname',
    'host=x auth_user=app auth_dbname=shop',
    database((entry) => entry.authQuery?.database),
    'shop',
  ],
  ['pool_size', 'host=x pool_size=0', database((entry) => entry.overrides.poolSize), 65_535],
  ['min_pool_size', 'host=x min_pool_size=1', database((entry) => entry.overrides.minPoolSize), 1],
  [
    'reserve_pool_size',
    'host=x reserve_pool_size=1',
    database((entry) => entry.overrides.reservePoolSize),
    1,
  ],
  ['reserve_pool', 'host=x reserve_pool=1', database((entry) => entry.overrides.reservePoolSize), 1],
  ['pool_mode', 'host=x pool_mode=statement', database((entry) => entry.overrides.poolerMode), 'statement'],
  ['max_db_connections', 'host=x max_db_connections=1', database((entry) => entry.limits.servers), 1],
  [
    'max_db_client_connections',
    'host=x max_db_client_connections=1',
    database((entry) => entry.limits.clients),
    1,
  ],
  [
    'server_lifetime',
    'host=x server_lifetime=2',
    database((entry) => entry.overrides.serverLifetimeMs),
    2_000,
  ],
  [
    'query_wait_timeout',
    'host=x query_wait_timeout=2',
    database((entry) => entry.overrides.checkoutTimeoutMs),
    2_000,
  ],
  ['load_balance_hosts', 'host=x load_balance_hosts=round-robin', database((entry) => entry.role), 'primary'],
];

const DATABASE_TOLD: Told[] = [
  ['host', 'host=a,b', 'databases.shop.host: hosts are not taken in turn'],
  ['password', 'host=x password=y', 'databases.shop.password: has no effect without user'],
  ['user', 'host=x user=o"ps', 'databases.shop.user: auth_file has no password in clear'],
  [
    'load_balance_hosts',
    'host=x load_balance_hosts=disable',
    'databases.shop.load_balance_hosts: has no effect',
  ],
  ['application_name', 'host=x application_name=y', 'databases.shop.application_name: has no effect'],
];

const DATABASE_REFUSED: Told[] = [
  [
    'connect_query',
    "host=x connect_query='SET a = b'",
    'pgbouncer.ini:2: databases.shop.connect_query: statements at connect',
  ],
  [
    'client_encoding',
    'host=x client_encoding=UTF8',
    'pgbouncer.ini:2: databases.shop.client_encoding: cannot be fixed',
  ],
  ['datestyle', 'host=x datestyle=ISO', 'pgbouncer.ini:2: databases.shop.datestyle: cannot be fixed'],
  ['timezone', 'host=x timezone=UTC', 'pgbouncer.ini:2: databases.shop.timezone: cannot be fixed'],
  [
    'server_lifetime',
    'host=x server_lifetime=1.5',
    'pgbouncer.ini:2: databases.shop.server_lifetime: expected a whole number of seconds',
  ],
  [
    '',
    'host=x pol_size=1',
    'pgbouncer.ini:2: databases.shop.pol_size: unknown key; did you mean "pool_size"?',
  ],
  ['', 'host=x port=1 port=2', 'pgbouncer.ini:2: databases.shop: port is given twice'],
  ['', "host='x", 'pgbouncer.ini:2: databases.shop: the quote of host is not closed'],
  ['', 'host', 'pgbouncer.ini:2: databases.shop: expected key=value pairs'],
  ['', 'host=a,,b', 'pgbouncer.ini:2: databases.shop.host: expected hosts separated by commas'],
  [
    '',
    'host=x\npgbouncer = host=y',
    'pgbouncer.ini:3: databases.pgbouncer: "pgbouncer" is the admin database',
  ],
];

const USER_MAPPED: Mapped[] = [
  ['pool_size', 'pool_size=3', user((entry) => entry.overrides.poolSize), 3],
  ['reserve_pool_size', 'reserve_pool_size=3', user((entry) => entry.overrides.reservePoolSize), 3],
  ['pool_mode', 'pool_mode=transaction', user((entry) => entry.overrides.poolerMode), 'transaction'],
  ['max_user_connections', 'max_user_connections=3', user((entry) => entry.limits.servers), 3],
  ['max_user_client_connections', 'max_user_client_connections=3', user((entry) => entry.limits.clients), 3],
  ['query_timeout', 'query_timeout=3', user((entry) => entry.overrides.queryTimeoutMs), 3_000],
  ['query_wait_timeout', 'query_wait_timeout=3', user((entry) => entry.overrides.checkoutTimeoutMs), 3_000],
  [
    'idle_transaction_timeout',
    'idle_transaction_timeout=3',
    user((entry) => entry.overrides.clientIdleInTransactionTimeoutMs),
    3_000,
  ],
  [
    'transaction_timeout',
    'transaction_timeout=3',
    user((entry) => entry.overrides.transactionTimeoutMs),
    3_000,
  ],
  [
    'client_idle_timeout',
    'client_idle_timeout=3',
    user((entry) => entry.overrides.clientIdleTimeoutMs),
    3_000,
  ],
];

const MORE_FILES: IniFiles = {
  ...FILES,
  '/pgb/twice.txt': '"app" "x"\n"app" "hunter2"\n',
  '/pgb/broken.txt': '"app" "hunter2"\n"open hunter3\n',
  '/pgb/loop.ini': '%include /pgb/loop.ini\n',
};

function errorsOf(text: string): string[] {
  try {
    loadIni(text, MORE_FILES);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.filter(({ severity }) => severity === 'error').map(formatProblem);
  }
}

/** The same value from the ini and from the files it is written as, and all else equal. */
function checkMapped([key, lines, see, expected]: Mapped, text: string): void {
  const loaded = loadIni(text, MORE_FILES);
  assert.deepEqual(see(loaded), expected, `${key}: ${lines}`);
  const written = writeIni(text, MORE_FILES);
  assert.deepEqual(essence(loadWritten(written, MORE_FILES)), essence(loaded), `${key}: ${lines}`);
}

function checkWarned([, , expected]: Told, text: string): void {
  const loaded = loadIni(text, MORE_FILES);
  const warnings = loaded.warnings.map(formatProblem);
  assert.ok(
    warnings.some((warning) => warning.includes(expected)),
    `${expected}\n${warnings.join('\n')}`,
  );
  const written = writeIni(text, MORE_FILES);
  assert.deepEqual(essence(loadWritten(written, MORE_FILES)), essence(loaded));
  const [, remark] = /: (.*)$/.exec(expected) ?? [];
  const isTold = [written.config, written.users].some((file) =>
    file.split('\n').some((line) => line.startsWith('#') && line.includes(remark)),
  );
  assert.ok(isTold, `not in the files: ${remark}`);
}

function checkRefused([, , expected]: Told, text: string): void {
  const errors = errorsOf(text);
  assert.ok(
    errors.some((error) => error.startsWith(expected)),
    `${expected}\n${errors.join('\n')}`,
  );
  assert.ok(!errors.join('\n').includes('hunter'), 'a password is shown');
}

describe('[pgbouncer]', () => {
  for (const row of MAPPED) it(`${row[0]}: ${row[1]}`, () => checkMapped(row, ini(row[1])));
  for (const row of WARNED) it(`${row[0]} is warned about: ${row[1]}`, () => checkWarned(row, ini(row[1])));
  for (const row of REFUSED) it(`refused: ${row[1]}`, () => checkRefused(row, ini(row[1])));

  it('every setting has a test of what becomes of it, and a rule', () => {
    const tested = new Set([...MAPPED, ...WARNED, ...REFUSED].map(([key]) => key));
    const untested = Object.keys(PGBOUNCER_SETTINGS).filter((key) => !tested.has(key));
    assert.deepEqual(untested, []);
    assert.equal(Object.keys(PGBOUNCER_SETTINGS).length, 101);
  });
});

describe('[databases]', () => {
  for (const row of DATABASE_MAPPED) it(`${row[0]}: ${row[1]}`, () => checkMapped(row, ini('', row[1])));
  for (const row of DATABASE_TOLD)
    it(`${row[0]} is warned about: ${row[1]}`, () => checkWarned(row, ini('', row[1])));
  for (const row of DATABASE_REFUSED) it(`refused: ${row[1]}`, () => checkRefused(row, ini('', row[1])));

  it('* is for every other name, and only alone', () => {
    const star = (lines: string, general = '') => ini(general).replace('[users]', `${lines}\n[users]`);
    const text = star('* = host=10.0.0.9 dbname=one');
    const { databases, templates } = loadIni(text, FILES);
    assert.deepEqual(
      databases.map(({ name }) => name),
      ['shop'],
    );
    assert.deepEqual(
      templates.map(({ pattern, entries }) => [pattern, entries[0].host, entries[0].serverDatabase]),
      [['*', '10.0.0.9', 'one']],
    );
    assert.equal(loadIni(star('* = host=10.0.0.9'), FILES).templates[0].entries[0].serverDatabase, '{name}');
    assert.deepEqual(essence(loadWritten(writeIni(text, FILES), FILES)), essence(loadIni(text, FILES)));
    assert.match(errorsOf(star('a* = host=10.0.0.9'))[0], /a star among other signs would be a pattern here/);
    // Asked where the client likes, as PgBouncer does: refused, with what helps.
    assert.match(errorsOf(star('* = host=10.0.0.9', 'auth_user = app'))[0], /auth_dbname/);
  });

  it('every key has a test', () => {
    const tested = new Set([...DATABASE_MAPPED, ...DATABASE_TOLD, ...DATABASE_REFUSED].map(([key]) => key));
    assert.deepEqual(
      Object.keys(PGBOUNCER_DATABASE_KEYS).filter((key) => !tested.has(key)),
      [],
    );
  });
});

describe('[users]', () => {
  for (const row of USER_MAPPED)
    it(`${row[0]}: ${row[1]}`, () => checkMapped(row, ini('', undefined, `app = ${row[1]}`)));

  it('every key has a test', () => {
    const tested = new Set(USER_MAPPED.map(([key]) => key));
    assert.deepEqual(
      Object.keys(PGBOUNCER_USER_KEYS).filter((key) => !tested.has(key)),
      [],
    );
  });

  it('somebody without a password is left out, unless he is looked up', () => {
    const text = ini('', undefined, 'ghost = pool_size=1');
    assert.deepEqual(
      loadIni(text, FILES).users.map(({ name }) => name),
      ['app', 'o"ps'],
    );
    const asked = ini('auth_user = app', undefined, 'ghost = pool_size=1');
    assert.deepEqual(
      loadIni(asked, FILES).users.map(({ name }) => name),
      ['app', 'o"ps', 'ghost'],
    );
  });
});

describe('what a line of the written files can hold', () => {
  it('quotes, backslashes and controls in a password', () => {
    const secret = 'a\\b"c\'d\u0001e\u007f ü\u{1F600}';
    const files = { '/pgb/userlist.txt': `"app" "${secret.replaceAll('"', '""')}"\n` };
    const text = ini('');
    const loaded = loadIni(text, files);
    assert.equal(loaded.users[0].passwords[0].reveal(), secret);
    assert.deepEqual(essence(loadWritten(writeIni(text, files))), essence(loaded));
  });

  it('a name cannot end a comment', () => {
    const text = ini('', 'host=x\n"a\rb = 1" = host=y');
    const { config } = writeIni(text, FILES);
    assert.ok(!config.includes('\r'));
  });
});
