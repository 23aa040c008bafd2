/**
 * What becomes of a known key whose feature this version lacks: at its default it is silently accepted, at any
 * other value it is ignored with one warning, or refused where going on without it would be wrong in a way
 * nobody notices (a tenant filter that is not applied).
 */
import type {
  LaterGeneralKey,
  LaterSection,
  laterDatabaseShape,
  laterTcpShape,
  laterUserShape,
} from './later-schema.js';

export interface LaterKey {
  /** Values that mean "do as this version does", so nothing needs to be said. */
  harmless: readonly unknown[];
  /** Why other values are refused; absent when they are ignored with a warning. */
  refusal?: string;
}

const ignored = (...harmless: unknown[]): LaterKey => ({ harmless });
const refused = (refusal: string, ...harmless: unknown[]): LaterKey => ({ harmless, refusal });

const TWO_PHASE_FOR_ALL = 'holds for all users or for none: two_phase_commit of [general] says it';

export const LATER_GENERAL: Record<LaterGeneralKey, LaterKey> = {
  client_connection_recovery: ignored('drop'),
  query_parser: ignored('auto'),
  query_parser_enabled: ignored(false),
  query_parser_engine: ignored('pg_query_protobuf'),
  regex_parser_limit: ignored(1_000),
  prepared_statements_ttl: ignored(),
  prepared_statements_ttl_jitter: ignored(30_000),
  expanded_explain: ignored(false),
  query_log: ignored(),
  query_log_stdout: ignored(false),
  dry_run: ignored(false),
  // Single statements are always committed as transactions are.
  two_phase_commit_auto: ignored(false, true),
  two_phase_commit_wal_dir: ignored(),
  two_phase_commit_wal_segment_size: ignored(16 * 1024 * 1024),
  two_phase_commit_wal_fsync_interval: ignored(0),
  two_phase_commit_wal_checkpoint_interval: ignored(15_000),
  reload_schema_on_ddl: ignored(true),
  canonicalize_type_information: ignored(false),
  resharding_copy_format: ignored('binary'),
  resharding_parallel_copies: ignored(1),
  resharding_copy_retry_max_attempts: ignored(5),
  resharding_copy_retry_min_delay: ignored(1_000),
  resharding_replication_retry_max_attempts: ignored(5),
  resharding_replication_retry_min_delay: ignored(1_000),
  cutover_traffic_stop_threshold: ignored(1_000_000),
  cutover_replication_lag_threshold: ignored(0),
  cutover_last_transaction_delay: ignored(1_000),
  cutover_timeout: ignored(30_000),
  cutover_timeout_action: ignored('abort'),
  cutover_save_config: ignored(false),
  broadcast_address: ignored(),
  broadcast_port: ignored(),
};

export const LATER_TCP: Record<keyof typeof laterTcpShape, LaterKey> = { congestion_control: ignored() };

export const LATER_DATABASE: Record<keyof typeof laterDatabaseShape, LaterKey> = {
  resharding_only: refused(
    'resharding is not supported by this version; clients would reach this host',
    false,
  ),
};

const NO_EXTERNAL = 'only password authentication towards servers is supported by this version';

export const LATER_USER: Record<keyof typeof laterUserShape, LaterKey> = {
  server_auth: refused(NO_EXTERNAL, 'password'),
  server_iam_region: ignored(),
  server_vault_path: refused(NO_EXTERNAL),
  vault_refresh_percent: ignored(80),
  vault_path: refused('passwords kept in Vault are not supported by this version'),
  replication_mode: ignored(false),
  replication_sharding: ignored(),
  two_phase_commit: refused(TWO_PHASE_FOR_ALL, false),
  two_phase_commit_auto: ignored(false, true),
};

export const LATER_SECTIONS: Record<LaterSection, LaterKey> = {
  query_parsers: ignored(),
  memory: ignored(),
  replica_lag: ignored(),
  replication: ignored(),
  plugins: refused('plugins are not supported by this version; their rules would not apply'),
  otel: ignored(),
  vault: refused('Vault is not supported by this version; use { env = "NAME" } or { file = "path" }'),
  control: ignored(),
  qos: ignored(),
  query_stats: ignored(),
  autodiscovery: ignored(),
};
