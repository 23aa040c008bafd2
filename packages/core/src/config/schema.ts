/**
 * What pgdog.toml and users.toml may contain: names and types are PgDog's, the keys in `ownShape` are ours.
 * Every key is optional here; defaults are filled in from defaults.ts. Keys whose feature this version lacks
 * stand in later-schema.ts, so that an existing PgDog configuration loads.
 */
import * as z from 'zod';
import { configSourceSchema } from './config-source-schema.js';
import * as field from './fields.js';
import {
  laterDatabaseShape,
  laterGeneralShape,
  laterSections,
  laterTcpShape,
  laterUserShape,
} from './later-schema.js';
import { shardingGeneralShape, shardingSections } from './sharding-schema.js';
import { TLS_VERIFY_VALUES } from './tls-settings.js';

export const poolerMode = () => field.oneOf('transaction', 'session', 'statement');

const listenShape = {
  host: field.listenHosts(),
  port: field.portNumber(),
  unix_socket_dir: field.socketDirectory(),
  unix_socket_mode: field.fileMode(),
  unix_socket_group: field.text(),
  proxy_protocol_networks: field.networks(),
  proxy_protocol: field.oneOf('required', 'optional'),
  workers: field.smallCount(256),
  openmetrics_host: field.text(),
  openmetrics_port: field.portNumber(),
  openmetrics_namespace: field.text(),
  openmetrics_token: field.secret(),
};

const logShape = {
  log_file: field.text(),
  pid_file: field.text(),
  persist_file: field.text(),
  config_watch: field.flag(),
  log_format: field.oneOf('text', 'json', 'json_flattened'),
  log_level: field.text(),
  log_connections: field.flag(),
  log_disconnections: field.flag(),
  log_dedup_window: field.duration(),
  log_dedup_threshold: field.count(),
  log_min_duration_statement: field.duration(),
  log_min_duration_transaction: field.duration(),
  log_min_duration_checkout: field.duration(),
  log_min_duration_parse: field.duration(),
  log_query_text: field.flag(),
  log_query_sample_length: field.count(),
  stats_period: field.count(1),
};

const poolShape = {
  default_pool_size: field.count(1),
  max_pool_size: field.count(1),
  min_pool_size: field.count(),
  pooler_mode: poolerMode(),
  connect_timeout: field.duration(),
  connect_attempts: field.count(1),
  connect_attempt_delay: field.duration(),
  checkout_timeout: field.duration(),
  idle_timeout: field.duration(),
  server_lifetime: field.duration(),
  server_lifetime_jitter: field.duration(),
  rollback_timeout: field.duration(),
  healthcheck_interval: field.duration(),
  idle_healthcheck_interval: field.duration(),
  healthcheck_timeout: field.duration(),
  connection_recovery: field.oneOf('recover', 'rollback_only', 'drop'),
};

const clientShape = {
  query_timeout: field.duration(),
  client_idle_timeout: field.duration(),
  client_idle_in_transaction_timeout: field.duration(),
  client_login_timeout: field.duration(),
  shutdown_timeout: field.duration(),
  shutdown_termination_timeout: field.duration(),
  prepared_statements: field.oneOf('disabled', 'extended', 'extended_anonymous', 'full'),
  prepared_statements_limit: field.count(1),
  query_size_limit: field.bytes(),
  query_size_limit_action: field.oneOf('warn', 'block'),
  pub_sub_channel_size: field.count(),
};

const authShape = {
  auth_type: field.oneOf(...field.AUTH_TYPES, 'hba'),
  passthrough_auth: field.oneOf(
    'disabled',
    'enabled',
    'enabled_plain',
    'enabled_allow_change',
    'enabled_plain_allow_change',
  ),
  plain_auth_without_tls: field.flag(),
  auth_hba_file: field.text(),
  auth_ident_file: field.text(),
  auth_user: field.identifier(),
  auth_password: field.secret(),
  auth_dbname: field.identifier(),
  auth_query: field.text(),
  auth_query_cache_ttl: field.duration(),
  auth_query_failure_ttl: field.duration(),
  auth_query_cache_size: field.count(1),
  dynamic_users_max: field.count(),
  password_grace_period: field.duration(),
  tenants_max: field.count(1),
  tenant_idle_timeout: field.duration(),
  auth_failures_max: field.count(),
  auth_failures_window: field.duration(),
};

const tlsShape = {
  tls_certificate: field.text(),
  tls_private_key: field.text(),
  tls_client_required: field.flag(),
  tls_client_ca_certificate: field.text(),
  tls_client_crl: field.text(),
  client_tls_sslmode: field.oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'),
  client_tls_protocols: field.text(),
  client_tls_ciphers: field.text(),
  client_tls13_ciphers: field.text(),
  client_tls_ecdhcurve: field.text(),
  tls_verify: field.oneOf(...TLS_VERIFY_VALUES),
  tls_server_ca_certificate: field.text(),
  tls_server_crl: field.text(),
  tls_server_certificate: field.text(),
  tls_server_private_key: field.text(),
  server_tls_protocols: field.text(),
  server_tls_ciphers: field.text(),
  server_tls13_ciphers: field.text(),
  server_tls_ecdhcurve: field.text(),
};

const routingShape = {
  load_balancing_strategy: field.oneOf(
    'random',
    'round_robin',
    'least_active_connections',
    'weighted_round_robin',
    'fastest',
  ),
  read_write_strategy: field.oneOf('conservative', 'aggressive'),
  read_write_split: field.oneOf(
    'include_primary',
    'exclude_primary',
    'include_primary_if_replica_banned',
    'prefer_primary',
  ),
  read_your_writes: field.oneOf('off', 'session', 'lsn'),
  read_your_writes_ms: field.duration(),
  query_cache_limit: field.count(),
};

const healthShape = {
  idle_healthcheck_delay: field.duration(),
  require_healthcheck_on_discovery: field.flag(),
  ban_timeout: field.duration(),
  ban_replica_lag: field.duration(),
  ban_replica_lag_bytes: field.bytes(),
  lsn_check_delay: field.duration(),
  lsn_check_interval: field.duration(),
  lsn_check_timeout: field.duration(),
  dns_ttl: field.duration(),
  patroni_url: field.webUrls(),
  healthcheck_port: field.portNumber(),
};

const mirrorShape = {
  mirror_queue: field.count(1),
  mirror_exposure: field.fraction(),
};

const ownShape = {
  io_driver: field.oneOf('auto', 'io_uring', 'epoll'),
  listen_backlog: field.count(1),
  max_client_conn: field.count(),
  max_server_conn: field.count(),
  max_db_connections: field.count(),
  max_user_connections: field.count(),
  max_db_client_connections: field.count(),
  max_user_client_connections: field.count(),
  logins_in_progress_max: field.count(1),
  reserve_pool_size: field.count(),
  reserve_pool_timeout: field.duration(),
  server_login_retry: field.duration(),
  transaction_timeout: field.duration(),
  query_wait_notify: field.duration(),
  max_packet_size: field.bytes(),
  queue_length_max: field.count(),
  client_prepared_statements_limit: field.count(1),
  cancel_wait_timeout: field.duration(),
};

/** [general] keys that do something in this version. */
export const activeGeneralSchema = z
  .strictObject({
    ...listenShape,
    ...logShape,
    ...poolShape,
    ...clientShape,
    ...authShape,
    ...tlsShape,
    ...routingShape,
    ...healthShape,
    ...mirrorShape,
    ...shardingGeneralShape,
    ...ownShape,
  })
  .partial();

export const generalSchema = activeGeneralSchema
  .extend(z.strictObject(laterGeneralShape).partial().shape)
  .meta({ description: 'Everything that is not per database or user. Durations are milliseconds.' });

export type GeneralInput = z.infer<typeof activeGeneralSchema>;

export const tcpSchema = z
  .strictObject({
    keepalive: field.flag(),
    time: field.duration(),
    interval: field.duration(),
    retries: field.smallCount(127),
    user_timeout: field.duration(),
    defer_accept: field.flag(),
    ...laterTcpShape,
  })
  .partial();

export const adminSchema = z
  .strictObject({
    name: field.identifier(),
    user: field.identifier(),
    password: field.secret(),
    admin_users: z.array(field.identifier(), { error: 'expected a list of names' }),
    stats_users: z.array(field.identifier(), { error: 'expected a list of names' }),
  })
  .partial();

export const multiTenantSchema = z.strictObject({ column: field.identifier() });

/** Settings that both a database and a user may have; the user's win. */
const poolOverrides = {
  pool_size: field.count(1),
  min_pool_size: field.count(),
  pool_size_primary: field.count(1),
  min_pool_size_primary: field.count(),
  pool_size_replica: field.count(1),
  min_pool_size_replica: field.count(),
  pooler_mode: poolerMode(),
  statement_timeout: field.duration(),
  lock_timeout: field.duration(),
  idle_timeout: field.duration(),
  idle_timeout_primary: field.duration(),
  idle_timeout_replica: field.duration(),
  read_only: field.flag(),
  server_lifetime: field.duration(),
  server_lifetime_jitter: field.duration(),
  reserve_pool_size: field.count(),
  checkout_timeout: field.duration(),
  query_timeout: field.duration(),
  transaction_timeout: field.duration(),
  client_idle_timeout: field.duration(),
  client_idle_in_transaction_timeout: field.duration(),
  log_min_duration_statement: field.duration(),
  log_min_duration_transaction: field.duration(),
  log_min_duration_checkout: field.duration(),
};

export const databaseSchema = z
  .strictObject({
    host: field.text(),
    port: field.portNumber(),
    role: field.oneOf('primary', 'replica', 'auto'),
    shard: field.count(),
    lb_weight: field.smallCount(255),
    patroni_url: field.webUrls(),
    database_name: field.identifier(),
    user: field.identifier(),
    password: field.secret(),
    require_peer: field.identifier(),
    multi_tenant: field.flag(),
    max_pool_size: field.count(1),
    auth_user: field.identifier(),
    auth_password: field.secret(),
    auth_dbname: field.identifier(),
    auth_query: field.text(),
    max_db_connections: field.count(),
    max_db_client_connections: field.count(),
    cross_shard_disabled: field.flag(),
    ...poolOverrides,
    tls_verify: tlsShape.tls_verify,
    tls_server_ca_certificate: field.text(),
    tls_server_certificate: field.text(),
    tls_server_private_key: field.text(),
    ...laterDatabaseShape,
  })
  .partial()
  .extend({ name: field.identifier(), host: field.text() });

export type DatabaseInput = z.infer<typeof databaseSchema>;

export const userSchema = z
  .strictObject({
    database: field.identifier(),
    databases: z.array(field.identifier(), { error: 'expected a list of names' }),
    all_databases: field.flag(),
    password: field.secret(),
    passwords: z.array(field.secret(), { error: 'expected a list of passwords' }),
    password_hash: field.secret(),
    server_user: field.identifier(),
    server_password: field.secret(),
    auth_type: field.oneOf(...field.AUTH_TYPES),
    identity: field.text(),
    tls_client_certificate_required: field.flag(),
    max_pool_size: field.count(1),
    max_user_connections: field.count(),
    max_user_client_connections: field.count(),
    cross_shard_disabled: field.flag(),
    schema_admin: field.flag(),
    ...poolOverrides,
    ...laterUserShape,
  })
  .partial()
  .extend({ name: field.identifier() });

export type UserInput = z.infer<typeof userSchema>;

export const mirroringSchema = z
  .strictObject({
    queue_length: field.count(1),
    exposure: field.fraction(),
    level: field.oneOf('all', 'dml', 'ddl'),
  })
  .partial()
  .extend({ source_db: field.identifier(), destination_db: field.identifier() });

export type MirroringInput = z.infer<typeof mirroringSchema>;

const listOf = <T extends z.ZodType>(item: T, name: string) =>
  z.array(item, { error: `expected one or more [[${name}]]` });

/** Files that belong to this one: paths, directories with a slash at their end, globs. */
const include = z.array(field.text(), { error: 'expected a list of files, as ["conf.d/*.toml"]' });

export const configSchema = z
  .strictObject({
    include,
    general: generalSchema,
    databases: listOf(databaseSchema, 'databases'),
    tcp: tcpSchema,
    admin: adminSchema,
    multi_tenant: multiTenantSchema,
    mirroring: listOf(mirroringSchema, 'mirroring'),
    config_source: configSourceSchema,
    ...shardingSections,
    ...laterSections,
  })
  .partial();

export const usersSchema = z
  .strictObject({ include, users: listOf(userSchema, 'users'), admin: adminSchema })
  .partial();

/** A file that another includes may hold what both files may: a tenant is one file. */
export const includedSchema = configSchema.extend(usersSchema.shape);

export type IncludedInput = z.infer<typeof includedSchema>;

export type ConfigInput = z.infer<typeof configSchema>;
export type UsersInput = z.infer<typeof usersSchema>;
