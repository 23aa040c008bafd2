/** Sharding of one database as workers and the supervisor see it: [[sharded_tables]], [[sharded_schemas]] and their kin. */
import type { ShardKeyType } from './shard-of-value.js';

/** `mapped`: by list, range and default of `mapping`, tried in this order. */
export type ShardFunctionKind = 'hash' | 'sha1' | 'mapped' | 'lookup';

/** `values`: these, in their text form. `range`: from `start` on, before `end`; null: open. */
export type ShardMapping =
  | { readonly kind: 'list'; readonly values: readonly string[]; readonly shard: number }
  | {
      readonly kind: 'range';
      readonly start: string | null;
      readonly end: string | null;
      readonly shard: number;
    }
  | { readonly kind: 'default'; readonly shard: number };

/** One [[sharded_tables]]. */
export interface ShardRule {
  /** null: every schema. */
  readonly schema: string | null;
  /** null: every table that has the column. */
  readonly table: string | null;
  readonly column: string;
  /** As configured; the catalog must agree (the three integers are one). */
  readonly keyType: ShardKeyType;
  readonly function: ShardFunctionKind;
  readonly mapping: readonly ShardMapping[];
  /** Of `lookup`. */
  readonly lookupQuery: string | null;
  readonly lookupResult: 'value' | 'shard';
  /** Of `lookup`: how a value that the query gives leads to a shard. Absent: hash. */
  readonly lookupHash?: 'hash' | 'sha1';
  /** Unique constraints without the key may hold on each shard by itself. Absent: what they would have to see is refused. */
  readonly areUniquesPerShard?: boolean;
}

/** One [[sharded_schemas]]; `name` null: all others. `isOnAll`: the schema is on every shard. */
export interface SchemaRule {
  readonly name: string | null;
  readonly shard: number;
  readonly isOnAll: boolean;
}

/** `direct_only`: one shard or an error. `merge`: no server combines what shards answer. `full`: anything. */
export type CrossShard = 'direct_only' | 'merge' | 'full';

export interface ShardingSnapshot {
  readonly shardCount: number;
  readonly tables: readonly ShardRule[];
  readonly schemas: readonly SchemaRule[];
  /** Tables named as omnisharded; any other without a rule is so too. [schema or null, table] */
  readonly omnisharded: readonly (readonly [schema: string | null, table: string])[];
  readonly crossShard: CrossShard;
  /** Reads of omnisharded tables go to one shard per client, chosen at random. */
  readonly isOmniSticky: boolean;
  /** The same of pg_catalog and information_schema. Absent: no. */
  readonly isCatalogSticky?: boolean;
  /** A commit on several shards: by two-phase commit, one after the other (not atomic), or refused. */
  readonly commit: 'two_phase' | 'plain' | 'refused';
  /** UPDATE of a sharding key may move rows ([rewrite] shard_key). Absent: it is refused. */
  readonly areKeysMovable?: boolean;
  /** INSERT of rows for several shards is split ([rewrite] split_inserts). Absent: yes. */
  readonly areInsertsSplit?: boolean;
  /** Primary keys that rows come without are made ([rewrite] primary_key): of all tables, or of whole ones, or refused. Absent: of none. */
  readonly madeKeys?: 'all' | 'omni' | 'error';
}

/** Where the configuration does not say how to commit: in two phases, if every shard has room for what is prepared. */
export function committing(sharding: ShardingSnapshot, canPrepare: boolean): ShardingSnapshot {
  return sharding.commit === 'refused' && canPrepare ? { ...sharding, commit: 'two_phase' } : sharding;
}
