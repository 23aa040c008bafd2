// Reading configuration: its own entry, because workers get a finished snapshot and need no schema library.

export * from './config/assemble-config.js';
export * from './config/auth-entries.js';
export * from './config/config-source.js';
export * from './config/config-source-schema.js';
export * from './config/configuration-change.js';
export * from './config/configuration-problem.js';
export * from './config/cross-checks.js';
export * from './config/database-template.js';
export * from './config/defaults.js';
export type { ReadSecretFile } from './config/entries.js';
export { parseFileMode, splitList, UNIX_NETWORK } from './config/fields.js';
export * from './config/include-files.js';
export * from './config/json-schema.js';
export { KnownConfig } from './config/known-config.js';
export * from './config/later-keys.js';
export * from './config/listen-address.js';
export * from './config/listen-checks.js';
export * from './config/loaded-config.js';
export * from './config/mirroring.js';
export * from './config/nearest-key.js';
export * from './config/parse-document.js';
export {
  DATABASE_KEYS as PGBOUNCER_DATABASE_KEYS,
  USER_KEYS as PGBOUNCER_USER_KEYS,
} from './config/pgbouncer/entry-keys.js';
export { SETTINGS as PGBOUNCER_SETTINGS } from './config/pgbouncer/settings.js';
export * from './config/pgbouncer/translate-pgbouncer.js';
export * from './config/pgbouncer/write-toml.js';
export * from './config/problem-list.js';
export type { DocumentSources, Documents } from './config/read-documents.js';
export { withSetting } from './config/run-time-setting.js';
export * from './config/schema.js';
export * from './config/secret.js';
export * from './config/setting-list.js';
export { crossShardOf } from './config/sharding.js';
export {
  omnishardedTableSchema,
  shardedSchemaSchema,
  shardedTableSchema,
  shardMappingSchema,
} from './config/sharding-schema.js';
export * from './config/source-rows.js';
export * from './config/source-tables.js';
export * from './config/tls-checks.js';
export * from './config/tls-settings.js';
export * from './config/toml-positions.js';
