import { PgDogError } from '../base/errors.js';
import { GENERAL_DEFAULTS, type GeneralSettings } from './defaults.js';
import { readings } from './environment.js';
import type { LoadedConfig } from './loaded-config.js';
import { describeValue } from './parse-document.js';
import { generalSchema } from './schema.js';

/**
 * Keys of [general] that SET changes while it runs: each stands by itself, and nothing but its value has to be read. The
 * others mean files, sockets, threads, or what a pool is.
 */
const KEYS: ReadonlySet<string> = new Set(
  (
    'ban_replica_lag ban_replica_lag_bytes ban_timeout cancel_wait_timeout checkout_timeout ' +
    'client_idle_in_transaction_timeout client_idle_timeout client_login_timeout client_prepared_statements_limit ' +
    'connect_attempt_delay connect_attempts connect_timeout connection_recovery default_pool_size ' +
    'healthcheck_interval healthcheck_timeout idle_healthcheck_interval idle_timeout load_balancing_strategy ' +
    'log_connections log_disconnections log_min_duration_checkout log_min_duration_parse log_min_duration_statement ' +
    'log_min_duration_transaction log_query_sample_length log_query_text ' +
    'logins_in_progress_max max_client_conn max_db_client_connections ' +
    'max_db_connections max_server_conn max_user_client_connections max_user_connections min_pool_size ' +
    'prepared_statements_limit query_cache_limit query_size_limit query_size_limit_action query_timeout ' +
    'query_wait_notify queue_length_max read_write_split read_write_strategy read_your_writes read_your_writes_ms ' +
    'reserve_pool_size reserve_pool_timeout rollback_timeout server_lifetime server_lifetime_jitter ' +
    'server_login_retry shutdown_termination_timeout shutdown_timeout stats_period tenant_idle_timeout tenants_max ' +
    'transaction_timeout'
  ).split(' '),
);

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** As Postgres and PgBouncer say it, beside true, false, 1 and 0. */
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['yes', true],
  ['off', false],
  ['no', false],
]);

/** `5s`, `2min`; null when it is no such text. */
function durationMs(text: string): number | null {
  const [, count, unit] = /^(\d{1,12})\s*([a-z]+)$/.exec(text.trim().toLowerCase()) ?? [];
  if (count === undefined || unit === undefined || !Object.hasOwn(UNIT_MS, unit)) return null;
  return Number(count) * (UNIT_MS[unit] ?? 0);
}

/**
 * The configuration with one setting as `text` says it; a time also with its unit.
 * @throws PgDogError unsupported_feature for a setting that is not changed so, invalid_parameter_value
 */
export function withSetting(loaded: LoadedConfig, name: string, text: string): LoadedConfig {
  if (!KEYS.has(name)) {
    throw new PgDogError('unsupported_feature', `${name} cannot be changed by SET`, {
      hint: 'Change it in the configuration; RELOAD says what takes a restart.',
    });
  }
  const { unit } = GENERAL_DEFAULTS[name as keyof typeof GENERAL_DEFAULTS];
  const inMs = unit === 'ms' ? durationMs(text) : null;
  const words = SWITCHES.get(text.toLowerCase());
  const candidates = inMs === null ? [...readings(text), ...(words === undefined ? [] : [words])] : [inMs];
  for (const candidate of candidates) {
    const read = generalSchema.safeParse({ [name]: candidate });
    if (read.success) return { ...loaded, general: { ...loaded.general, ...read.data } as GeneralSettings };
  }
  const why = generalSchema.safeParse({ [name]: candidates[0] }).error?.issues[0]?.message ?? 'not accepted';
  throw new PgDogError('invalid_parameter_value', `${name}: ${why}, got ${describeValue(text)}`);
}
