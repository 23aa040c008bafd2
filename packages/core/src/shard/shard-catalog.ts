/**
 * What is known of the tables of a sharded database. The supervisor reads it from the catalogs of all shards; what they
 * do not have in common is in `differences` and is never used.
 */

import type { EnumLabels } from '../merge/enum-order.js';
import type { CatalogOids } from './shard-oids.js';

/** How texts are put in order: by their bytes, or by a collation (SQL), which Postgres alone knows. */
export type TextOrder = 'bytes' | string;

/** The name that pg_get_expr() and the like give it, of whatever database. */
export const DATABASE_COLLATION = 'pg_catalog."default"';

/** A type's name as `schema.name` of pg_type; of a domain its base type's, with `isDomain`. */
export interface CatalogColumn {
  readonly name: string;
  readonly type: string;
  /** atttypmod; -1: none. */
  readonly typmod: number;
  readonly isDomain: boolean;
  readonly isNotNull: boolean;
  /** Sorts and compares byte by byte (C, POSIX, ucs_basic, C.UTF-8 builtin); true for types without collation. */
  readonly isByteOrdered: boolean;
  /** Equal means the same bytes: of a collation that is not deterministic it does not. */
  readonly isDeterministic: boolean;
  /** Its collation as SQL, where Postgres alone knows its order, which is the same on all shards. Absent: it is not. */
  readonly collation?: string;
  /** An enum that all shards have alike. Absent: no. */
  readonly isEnum?: true;
  /** pg_get_expr() of the default; null: none. */
  readonly defaultText: string | null;
  /** '' = no; a = identity always, d = identity by default, s = generated stored, v = generated virtual. */
  readonly generated: '' | 'a' | 'd' | 's' | 'v';
}

export type RelationKind =
  | 'table'
  | 'partitioned'
  | 'view'
  | 'materializedView'
  | 'foreignTable'
  | 'sequence';

/**
 * `omni`: whole on every shard. `sharded`: its rows are where their key says. `view`: what it is made of decides (of a
 * materialized view too: each shard has made its own of what was there). `oneShard`: in a schema of [[sharded_schemas]],
 * it is on `shard` and nowhere else.
 */
export type Placement = 'omni' | 'sharded' | 'view' | 'oneShard';

export interface CatalogForeignKey {
  readonly columns: readonly string[];
  /** Of the table pointed to. */
  readonly schema: string;
  readonly table: string;
  readonly targetColumns: readonly string[];
  /** pg_constraint.confdeltype and confupdtype. */
  readonly onDelete: string;
  readonly onUpdate: string;
  /** ON DELETE SET NULL (…), SET DEFAULT (…): these of `columns`. Absent: all of them. */
  readonly setOnDelete?: readonly string[];
}

/** A primary key, a unique constraint or index, an exclusion constraint. */
export interface CatalogUnique {
  /** Of its index. */
  readonly name: string;
  /** Rows that are in each other's way are equal in these. */
  readonly keys: readonly string[];
  /** Whatever it depends on: its keys, and the columns of its expressions and its condition. */
  readonly columns: readonly string[];
  /** NULLS NOT DISTINCT: nulls are in each other's way too. Absent: they are not. */
  readonly hasEqualNulls?: boolean;
  /** PRIMARY KEY: of all rows, and of its columns as they are. */
  readonly isPrimary?: boolean;
}

export interface CatalogRelation {
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly placement: Placement;
  readonly columns: readonly CatalogColumn[];
  /** Of a sharded table: position of its key in `columns`; -1 else. */
  readonly keyColumn: number;
  /** Of whatever is in a schema that one shard has alone, views included: which. Absent: it is on all. */
  readonly shard?: number;
  /** Of a sharded table: position of its rule in ShardingSnapshot.tables; -1 else. */
  readonly rule: number;
  /** pg_get_viewdef() of a view; null else. */
  readonly viewText: string | null;
  /** Tables it inherits from or is a partition of, as [schema, name]. */
  readonly parents: readonly (readonly [schema: string, name: string])[];
  readonly uniques: readonly CatalogUnique[];
  /**
   * Of a sharded table: those of `uniques`, and of its partitions' and children's, that do not have the sharding key among
   * their keys: each shard sees to them for itself. Absent: none.
   */
  readonly looseUniques?: readonly CatalogUnique[];
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly hasTriggers: boolean;
  readonly hasRules: boolean;
  readonly hasRowSecurity: boolean;
}

export interface CatalogEnum {
  /** As CatalogColumn has it. */
  readonly name: string;
  /** Of the first shard. */
  readonly oid: number;
  /** In their order. */
  readonly labels: readonly string[];
}

export interface ShardCatalogData {
  /** Of the database this is about. */
  readonly database: string;
  /** Another one with every change, whatever the configuration: none comes twice while the program runs. */
  readonly version: number;
  /** placementDigest() of the rules that `relations` are placed by: under others their places mean nothing. */
  readonly placedBy: string;
  readonly relations: readonly CatalogRelation[];
  /**
   * search_path by role where a role or the database has a default of its own; '' = the database's. An empty one: the
   * shards do not agree, so that nothing is found but by its schema.
   */
  readonly searchPaths: Readonly<Record<string, string>>;
  /** Users' schemas that are on all shards, or on the one that has it alone. */
  readonly schemas: readonly string[];
  /** Of the database's own collation; null: the shards do not have the same. */
  readonly textOrder: TextOrder | null;
  /** Every shard has room for prepared transactions (max_prepared_transactions). */
  readonly canPrepare: boolean;
  /** That all shards have alike. Absent: none. */
  readonly enums?: readonly CatalogEnum[];
  /** Types and relations whose numbers differ from shard to shard. Absent: none. */
  readonly oids?: CatalogOids;
  /** Users' functions by name, all of one name together: immutable ones depend on nothing but their arguments. */
  readonly functions: readonly (readonly [schema: string, name: string, isImmutable: boolean])[];
  /** What the shards do not have in common, in words, with the relation's name: such relations are refused. */
  readonly differences: readonly { readonly schema: string; readonly name: string; readonly text: string }[];
}

/** A foreign key and the table that has it. */
export interface CatalogReference {
  readonly relation: CatalogRelation;
  readonly foreignKey: CatalogForeignKey;
}

/** What a name in a statement stands for. */
export type FoundRelation =
  | { readonly kind: 'relation'; readonly relation: CatalogRelation }
  /** pg_catalog and information_schema: every shard has its own. */
  | { readonly kind: 'system' }
  /** The shards do not agree about it. */
  | { readonly kind: 'different'; readonly text: string }
  | { readonly kind: 'unknown' };

/** Looks a name up as a session with a certain search path would. */
export interface RelationLookup {
  /** See ShardCatalogData. */
  readonly textOrder: TextOrder | null;
  /** Shards have different numbers for the same type or table: clients go by those of the first. */
  readonly hasOwnOids: boolean;
  /** Labels by the oids that clients know; null: there are no enums. */
  readonly enums: EnumLabels | null;
  /** @param schema null: not said */
  find(schema: string | null, name: string): FoundRelation;
  /** Foreign keys that point to this table, to what it is a part of, or to its parts. */
  referencing(schema: string, name: string): readonly CatalogReference[];
  /** Other tables' rows are read and written with its own, if it is not named by ONLY. */
  hasChildren(schema: string, name: string): boolean;
  /** What its columns say of NOT NULL is so in all rows that it is read with. */
  holdsNotNull(relation: CatalogRelation): boolean;
  /** Users have made one of this name, in whatever schema. */
  hasFunction(name: string): boolean;
}
