import type * as z from 'zod';
import { CONFIG_SOURCE_DEFAULTS } from './config-source-schema.js';
import { LATER_DATABASE, LATER_USER } from './later-keys.js';
import { databaseSchema, userSchema } from './schema.js';

/** By what the key takes: a flag, a number, only a list, else a text. */
function columnType(field: z.ZodType): string {
  const takes = (value: unknown): boolean => field.safeParse(value).success;
  if (takes(true)) return 'boolean';
  if (takes(1) || takes(1000)) return 'bigint';
  return takes(['x']) && !takes('x') ? 'text[]' : 'text';
}

function columns(
  shape: Readonly<Record<string, z.ZodType>>,
  later: object,
  constraints: Readonly<Record<string, string>>,
): string {
  const keys = Object.keys(shape).filter((key) => !Object.hasOwn(later, key));
  const first = Object.keys(constraints);
  const sorted = [...first, ...keys.filter((key) => !first.includes(key))];
  return sorted
    .map((key) => `  "${key}" ${columnType(shape[key])}${constraints[key] ? ` ${constraints[key]}` : ''}`)
    .join(',\n');
}

/** What [config_source] asks unless told otherwise: a column for each key, and a NOTIFY for each change. */
export function sourceTablesSql(): string {
  const channel = CONFIG_SOURCE_DEFAULTS.channel.default;
  const trigger = (
    table: string,
  ) => `CREATE TRIGGER notify_pgdog AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgdog.${table}
  FOR EACH STATEMENT EXECUTE FUNCTION pgdog.notify_config();`;
  return `-- Databases and users of pgdog-cluster; see [config_source]. NULL: not set.
-- The role that reads them: GRANT USAGE ON SCHEMA pgdog TO …; GRANT SELECT ON pgdog.databases, pgdog.users TO …;
BEGIN;
CREATE SCHEMA IF NOT EXISTS pgdog;
CREATE TABLE pgdog.databases (
${columns(databaseSchema.shape, LATER_DATABASE, {
  name: 'NOT NULL',
  host: 'NOT NULL',
  port: 'NOT NULL DEFAULT 5432',
  shard: 'NOT NULL DEFAULT 0',
})},
  UNIQUE (name, shard, host, port)
);
CREATE TABLE pgdog.users (
${columns(userSchema.shape, LATER_USER, { name: 'NOT NULL' })}
);
CREATE FUNCTION pgdog.notify_config() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_catalog.pg_notify('${channel}', TG_TABLE_NAME); RETURN NULL; END $$;
${trigger('databases')}
${trigger('users')}
COMMIT;`;
}
