/**
 * PgDog's keys whose feature this version lacks. They are known, so that an existing configuration loads; what
 * happens when one is set stands in LATER_* of later-keys.ts.
 */
import * as z from 'zod';
import * as field from './fields.js';

const health = {
  client_connection_recovery: field.oneOf('recover', 'rollback_only', 'drop'),
};

const parser = {
  query_parser: field.oneOf('auto', 'on', 'off', 'session_control', 'session_control_and_locks'),
  query_parser_enabled: field.flag(),
  query_parser_engine: field.oneOf('pg_query_protobuf', 'pg_query_raw'),
  regex_parser_limit: field.count(),
  prepared_statements_ttl: field.duration(),
  prepared_statements_ttl_jitter: field.duration(),
  expanded_explain: field.flag(),
  query_log: field.text(),
  query_log_stdout: field.flag(),
  dry_run: field.flag(),
};

const sharding = {
  two_phase_commit_auto: field.flag(),
  two_phase_commit_wal_dir: field.text(),
  two_phase_commit_wal_segment_size: field.bytes(),
  two_phase_commit_wal_fsync_interval: field.duration(),
  two_phase_commit_wal_checkpoint_interval: field.duration(),
  reload_schema_on_ddl: field.flag(),
  canonicalize_type_information: field.flag(),
};

const resharding = {
  resharding_copy_format: field.oneOf('text', 'binary'),
  resharding_parallel_copies: field.count(1),
  resharding_copy_retry_max_attempts: field.count(),
  resharding_copy_retry_min_delay: field.duration(),
  resharding_replication_retry_max_attempts: field.count(),
  resharding_replication_retry_min_delay: field.duration(),
  cutover_traffic_stop_threshold: field.bytes(),
  cutover_replication_lag_threshold: field.bytes(),
  cutover_last_transaction_delay: field.duration(),
  cutover_timeout: field.duration(),
  cutover_timeout_action: field.oneOf('abort', 'cutover'),
  cutover_save_config: field.flag(),
  broadcast_address: field.text(),
  broadcast_port: field.portNumber(),
};

export const laterGeneralShape = { ...health, ...parser, ...sharding, ...resharding };
export type LaterGeneralKey = keyof typeof laterGeneralShape;

export const laterTcpShape = { congestion_control: field.text() };

export const laterDatabaseShape = {
  resharding_only: field.flag(),
};

export const laterUserShape = {
  server_auth: field.oneOf('password', 'rds_iam', 'azure_workload_identity', 'vault_dynamic', 'vault_static'),
  server_iam_region: field.text(),
  server_vault_path: field.text(),
  vault_refresh_percent: field.smallCount(80),
  vault_path: field.text(),
  replication_mode: field.flag(),
  replication_sharding: field.text(),
  two_phase_commit: field.flag(),
  two_phase_commit_auto: field.flag(),
};

const list = (keys: string) => z.array(field.unusedSection(keys), { error: 'expected a list of tables' });

/** Whole sections that come later, or that belong to features we shall not have. */
export const laterSections = {
  query_parsers: list('database level engine'),
  memory: field.unusedSection('net_buffer message_buffer stack_size'),
  replica_lag: field.unusedSection('check_interval max_age'),
  replication: field.unusedSection('pg_dump_path'),
  plugins: list('name config'),
  otel: field.unusedSection('endpoint namespace headers datadog_api_key push_interval'),
  vault: field.unusedSection(
    'url namespace auth_method auth_mount kubernetes_role kubernetes_jwt_path approle_role_id approle_secret_id_file client_token_ttl',
  ),
  control: field.unusedSection('endpoint token stats_interval'),
  qos: field.unusedSection('enabled max_entries'),
  query_stats: field.unusedSection(
    'enabled query_plans_threshold query_plans_sample_rate query_plans_cache query_plans_max_age',
  ),
  autodiscovery: field.unusedSection('enabled check_interval filters'),
};
export type LaterSection = keyof typeof laterSections;
