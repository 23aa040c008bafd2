/** What the sections about sharding may contain. Names are PgDog's. */
import * as z from 'zod';
import * as field from './fields.js';

/** As PgDog names types, and Postgres's names of those it has not. */
const DATA_TYPES = [
  'bigint',
  'int',
  'smallint',
  'uuid',
  'varchar',
  'text',
  'date',
  'timestamp',
  'timestamptz',
  'numeric',
  'bytea',
  'vector',
] as const;

const VALUE = 'expected a text in quotes or a whole number';
/** As Postgres would read it; what a number cannot hold exactly is written in quotes. */
const keyValue = () => z.union([z.string(), z.number().int()], { error: VALUE });

const list = <T extends z.ZodType>(item: T, name: string) =>
  z.array(item, { error: `expected one or more [[${name}]]` });

const keyValues = () => z.array(keyValue(), { error: 'expected a list of values' }).min(1, 'is empty');

export const shardMappingSchema = z
  .strictObject({ values: keyValues(), start: keyValue(), end: keyValue() })
  .partial()
  .extend({ shard: field.count() });

export const shardedTableSchema = z
  .strictObject({
    name: field.identifier(),
    schema: field.identifier(),
    primary: field.flag(),
    data_type: field.oneOf(...DATA_TYPES),
    hasher: field.oneOf('postgres', 'sha1'),
    lookup_query: field.text(),
    lookup_result: field.oneOf('value', 'shard'),
    unique_per_shard: field.flag(),
    mapping: list(shardMappingSchema, 'sharded_tables.mapping'),
    centroids: z.unknown(),
    centroids_path: z.unknown(),
    centroid_probes: z.unknown(),
  })
  .partial()
  .extend({ database: field.identifier(), column: field.identifier() });

export const shardedMappingSchema = z
  .strictObject({
    table: field.identifier(),
    schema: field.identifier(),
    values: keyValues(),
    start: keyValue(),
    end: keyValue(),
  })
  .partial()
  .extend({
    database: field.identifier(),
    column: field.identifier(),
    kind: field.oneOf('list', 'range', 'default'),
    shard: field.count(),
  });

export const omnishardedTableSchema = z
  .strictObject({ sticky: field.flag() })
  .partial()
  .extend({
    database: field.identifier(),
    tables: z.array(field.text(), { error: 'expected a list of names' }),
  });

export const shardedSchemaSchema = z
  .strictObject({ name: field.identifier(), shard: field.count(), all: field.flag() })
  .partial()
  .extend({ database: field.identifier() });

const rewriting = () => field.oneOf('error', 'rewrite', 'ignore', 'rewrite_omni');

export const rewriteSchema = z
  .strictObject({
    enabled: field.flag(),
    shard_key: rewriting(),
    split_inserts: rewriting(),
    primary_key: rewriting(),
  })
  .partial();

export const shardingSections = {
  sharded_tables: list(shardedTableSchema, 'sharded_tables'),
  sharded_mappings: list(shardedMappingSchema, 'sharded_mappings'),
  omnisharded_tables: list(omnishardedTableSchema, 'omnisharded_tables'),
  sharded_schemas: list(shardedSchemaSchema, 'sharded_schemas'),
  rewrite: rewriteSchema,
};

/** Keys of [general]. */
export const shardingGeneralShape = {
  cross_shard: field.oneOf('direct_only', 'merge', 'full'),
  cross_shard_disabled: field.flag(),
  two_phase_commit: field.flag(),
  system_catalogs: field.oneOf('omnisharded', 'omnisharded_sticky', 'sharded'),
  omnisharded_sticky: field.flag(),
  load_schema: field.oneOf('on', 'off', 'auto'),
  load_schema_interval: field.duration(),
  two_phase_recovery_interval: field.duration(),
  omnisharded_check_interval: field.duration(),
  node_id: field.count(),
  unique_id_function: field.oneOf('standard', 'compact'),
  unique_id_min: field.count(),
  sharding_lookup_cache_size: field.bytes(),
  sharding_lookup_timeout: field.duration(),
};

export type ShardMappingInput = z.infer<typeof shardMappingSchema>;
export type ShardedTableInput = z.infer<typeof shardedTableSchema>;
export type ShardedMappingInput = z.infer<typeof shardedMappingSchema>;
export type OmnishardedTableInput = z.infer<typeof omnishardedTableSchema>;
export type ShardedSchemaInput = z.infer<typeof shardedSchemaSchema>;
export type RewriteInput = z.infer<typeof rewriteSchema>;
