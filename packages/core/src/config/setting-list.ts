import {
  ADMIN_DEFAULTS,
  type DefaultRow,
  GENERAL_DEFAULTS,
  MULTI_TENANT_DEFAULTS,
  REWRITE_DEFAULTS,
  TCP_DEFAULTS,
} from './defaults.js';
import type { LoadedConfig } from './loaded-config.js';

export interface SettingRow {
  /** As PgDog's SHOW CONFIG names it: [general] keys bare, others with their section in front. */
  name: string;
  /** Text form; null = none set. Never a secret. */
  value: string | null;
  default: string | null;
  /** ms, bytes or empty. */
  unit: string;
}

type Table = Readonly<Record<string, DefaultRow<unknown>>>;

function toText(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

function rows(prefix: string, table: Table, values: Readonly<Record<string, unknown>>): SettingRow[] {
  return Object.entries(table).map(([key, { default: fallback, unit }]) => ({
    name: `${prefix}${key}`,
    value: toText(values[key]),
    default: toText(fallback),
    unit,
  }));
}

function namesText(names: readonly string[]): string | null {
  return names.length === 0 ? null : names.join(', ');
}

/** Every setting with the value in force, for SHOW CONFIG. An alias shows under its proper name only. */
export function listSettings(loaded: LoadedConfig): SettingRow[] {
  const general = rows('', GENERAL_DEFAULTS, { ...loaded.general, workers: loaded.workerCount });
  const tcp = rows('tcp_', TCP_DEFAULTS, { ...loaded.tcp });
  const admin = rows('admin_', ADMIN_DEFAULTS, {
    name: loaded.admin.name,
    user: loaded.admin.user,
    admin_users: namesText(loaded.admin.adminUsers),
    stats_users: namesText(loaded.admin.statsUsers),
  });
  const tenants = rows('multi_tenant_', MULTI_TENANT_DEFAULTS, { column: loaded.tenantColumn });
  const rewrite = rows('rewrite_', REWRITE_DEFAULTS, { ...loaded.rewrite });
  const hidden = ['max_pool_size', 'admin_password', 'auth_password', 'openmetrics_token'];
  const isShown = ({ name }: SettingRow) => !hidden.includes(name);
  return [...general, ...tcp, ...admin, ...tenants, ...rewrite].filter(isShown);
}
