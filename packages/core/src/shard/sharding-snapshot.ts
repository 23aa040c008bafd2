/** Sharding of one database as workers and the supervisor see it: [[sharded_tables]], [[sharded_schemas]] and their kin. */
import type { ShardCatalogData } from './shard-catalog.js';
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
  /** A commit on several shards: by two-phase commit, one after the other (not atomic), or as the servers allow: commitMode(). */
  readonly commit: 'two_phase' | 'plain' | 'as_allowed';
  /** UPDATE of a sharding key may move rows ([rewrite] shard_key). Absent: it is refused. */
  readonly areKeysMovable?: boolean;
  /** INSERT of rows for several shards is split ([rewrite] split_inserts). Absent: yes. */
  readonly areInsertsSplit?: boolean;
  /** Primary keys that rows come without are made ([rewrite] primary_key): of all tables, or of whole ones, or refused. Absent: of none. */
  readonly madeKeys?: 'all' | 'omni' | 'error';
}

/** How a commit that has written on several shards is done. */
export type CommitMode = 'two_phase' | 'plain' | 'refused';

/**
 * Where the configuration does not say: in two phases, unless a server is known to have no room for what is prepared.
 * @param catalog null: not read yet. Then it is tried, and a server that cannot prepare says so itself (55000).
 */
export function commitMode(
  { commit }: ShardingSnapshot,
  catalog: Pick<ShardCatalogData, 'canPrepare'> | null,
): CommitMode {
  if (commit !== 'as_allowed') return commit;
  return catalog === null || catalog.canPrepare ? 'two_phase' : 'refused';
}
