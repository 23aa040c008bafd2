/** What one shard says of its tables, and rules for them, with everything filled in that a test does not care about. */
import type { CatalogColumn, ShardingSnapshot, ShardRule } from '@pgdog-cluster/core';
import { compareCatalogs, type RawCatalog, type RawRelation } from 'pgdog-cluster';

export const column = (name: string, type = 'int8', rest: Partial<CatalogColumn> = {}): CatalogColumn => ({
  name,
  type: type.includes('.') ? type : `pg_catalog.${type}`,
  typmod: -1,
  isDomain: false,
  isNotNull: false,
  isByteOrdered: true,
  isDeterministic: true,
  defaultText: null,
  generated: '',
  ...rest,
});

export const table = (
  name: string,
  columns: CatalogColumn[],
  rest: Partial<RawRelation> = {},
): RawRelation => ({
  schema: 'public',
  name,
  kind: 'table',
  columns,
  viewText: null,
  parents: [],
  uniques: [],
  foreignKeys: [],
  hasTriggers: false,
  hasRules: false,
  hasRowSecurity: false,
  ...rest,
});

export const catalog = (relations: RawRelation[], rest: Partial<RawCatalog> = {}): RawCatalog => ({
  relations,
  schemas: ['public'],
  types: [],
  numbered: [],
  searchPaths: {},
  sorting: 'bytes',
  encoding: 'UTF8',
  functions: [],
  preparedMax: 0,
  ...rest,
});

export const rule = (name: string | null, key: string, rest: Partial<ShardRule> = {}): ShardRule => ({
  schema: null,
  table: name,
  column: key,
  keyType: 'int8',
  function: 'hash',
  mapping: [],
  lookupQuery: null,
  lookupResult: 'value',
  ...rest,
});

export const sharding = (tables: ShardRule[], rest: Partial<ShardingSnapshot> = {}): ShardingSnapshot => ({
  shardCount: 2,
  tables,
  schemas: [],
  omnisharded: [],
  crossShard: 'full',
  isOmniSticky: false,
  commit: 'as_allowed',
  ...rest,
});

export const compare = (shards: RawCatalog[], rules: ShardingSnapshot = sharding([])) =>
  compareCatalogs('shop', shards, rules);
