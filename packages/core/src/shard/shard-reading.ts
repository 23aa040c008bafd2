import type { ExecuteUse } from './execute-reading.js';
import type { GroupExpression } from './group-expression.js';

/**
 * What a statement says of where its rows are: made once for a shape (core/sql/shape.ts), with places in it instead of
 * values, or for one text, with its values; resolved for each execution (worker/shard). Whatever is not certain is not in
 * it: then it is not direct.
 */

import type { CopyLayout } from '../copy/copy-layout.js';
import type { EnumLabels } from '../merge/enum-order.js';
import type { FillReading } from '../rewrite/fill-reading.js';
import type { MovePlan } from './move-plan.js';

/** What a key is compared with, or what is inserted as one. */
export type KeySource =
  /** The literal of this number in the shape; a '-' may stand before it. */
  | {
      readonly kind: 'literal';
      readonly index: number;
      readonly isNegative: boolean;
      readonly form: LiteralForm;
    }
  /** All items of the list of literals that begins with this one: `IN (1, 2)`. */
  | { readonly kind: 'literalList'; readonly index: number; readonly form: LiteralForm }
  /** A literal of an array: `= ANY('{1,2}')`. */
  | { readonly kind: 'literalArray'; readonly index: number }
  /** What stands in the text itself, unquoted: of a reading of one text. */
  | { readonly kind: 'value'; readonly text: string; readonly form: LiteralForm }
  /** $number, from 1; `cast`: the type it is cast to, `schema.name`, or null. */
  | { readonly kind: 'parameter'; readonly number: number; readonly cast: string | null }
  /** Each item of an array in $number. */
  | { readonly kind: 'parameterArray'; readonly number: number; readonly cast: string | null }
  | { readonly kind: 'null' }
  /** Not a key but a shard: of what one shard has alone (a schema of [[sharded_schemas]]). The group's `rule` is -1. */
  | { readonly kind: 'shard'; readonly shard: number };

/** How the literal is written: 42, 'text' (its type is what it is compared with), or 'text'::type of the key's family. */
export type LiteralForm = 'integer' | 'string';

/** One condition on a key: it is one of these. Conditions of a group hold all at once. */
export interface KeyPin {
  readonly sources: readonly KeySource[];
}

/** Table references whose keys are equal by the statement's own words: their rows that meet are on one shard. */
export interface KeyGroup {
  /** Position in ShardingSnapshot.tables: how a key becomes a shard. All tables of a group have equal rules. */
  readonly rule: number;
  /** Type of the key column, `schema.name`: how values are read. */
  readonly keyType: string;
  /** For messages: `orders.customer_id`. */
  readonly column: string;
  /** None: any row may be meant. */
  readonly pins: readonly KeyPin[];
}

/** How the rows of several shards become one answer. */
export interface MergePlan {
  /** Sorted by these columns of the answer; none: in any order, one shard after the other. */
  readonly sort: readonly SortKey[];
  /** Rows equal in these columns of the answer are one, and the others are computed over them; null: no grouping. */
  readonly group: readonly number[] | null;
  /** By column of the answer; null: a column of `group`, or rows are not grouped. */
  readonly aggregates: readonly (AggregateKind | null)[];
  readonly isDistinct: boolean;
  /** DISTINCT ON: of rows that are equal in so many of the first sort keys the first one is given. Absent: all are. */
  readonly firstOf?: number;
  /** Cut by us; what shards are sent is `limit + offset`, or none where their rows become groups. */
  readonly limit: CountSource | null;
  readonly offset: CountSource | null;
  /** Columns of which only the answer tells whether they can be told apart, and put in order, here. Absent: none. */
  readonly plain?: readonly PlainColumn[];
  /** Columns of the answer that say how many rows there are on all shards, of which each tells its own number. Absent: none. */
  readonly totals?: readonly number[];
  /** Of the database. Absent: it has none. */
  readonly enums?: EnumLabels;
  /** Absent: shards are asked what the client asks. All the other fields are about what they answer to that. */
  readonly rewrite?: RewritePlan;
  /** What is shown is how many rows this one comes to. LIMIT and OFFSET are those of its rows. */
  readonly counts?: MergePlan;
}

/** Its type, when the shards tell it, must be one whose equal values are the same bytes, and which has no collation. */
export interface PlainColumn {
  readonly column: number;
  /** Or text: it is known to be equal only if its bytes are. */
  readonly mayBeText: boolean;
  /** Values that are equal need not be the same: numeric, floats. */
  readonly mayBeInexact: boolean;
  /** Floats that look the same in text only if they are. Absent: in binary alone. */
  readonly mayBeFloat?: boolean;
}

/** Other columns than the client's are needed: shards are asked another text, and the client's columns are made of its. */
export interface RewritePlan {
  readonly text: string;
  /** By column of what shards answer: the client's column that it is, in whose format it is asked for; -1: in binary. */
  readonly formats: readonly number[];
  /** By the same column: what it is in the client's words, for errors. */
  readonly names: readonly string[];
  /** The client's columns. */
  readonly shownCount: number;
  /** null: rows are given as they come, without those that are behind the client's columns. */
  readonly groups: GroupRewrite | null;
}

/** Of a group that is put together of all shards' partial results, in the order of the columns of `aggregates`. */
export interface GroupRewrite {
  readonly shown: readonly GroupExpression[];
  /** What is sorted by and not shown; `sort` counts them behind what is shown. */
  readonly hidden: readonly GroupExpression[];
  /** Groups of which it is not true are left out. */
  readonly having: GroupExpression | null;
  /** There is one group, be there rows or not. */
  readonly isOne: boolean;
}

export type AggregateKind =
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'bool_and'
  | 'bool_or'
  | 'bit_and'
  | 'bit_or'
  | 'bit_xor'
  /** The same on all shards. */
  | 'first'
  /** Of values, of which each counts once. */
  | 'count_distinct'
  | 'sum_distinct';

export interface SortKey {
  /** Position in the answer. */
  readonly column: number;
  readonly isDescending: boolean;
  readonly isNullsFirst: boolean;
  /** SQL: texts are put in order by it, which Postgres alone can. Absent: they are none, or their bytes are in order. */
  readonly collation?: string;
}

/** Byte offsets from the beginning of a text; `end` is exclusive. */
export interface TextPlace {
  readonly start: number;
  readonly end: number;
}

/** LIMIT and OFFSET: a constant, a literal of the shape, or a parameter. */
export type CountSource =
  /** What stands in the text itself: of a reading of one text, where it is bytes [start, end) of it; null: that is not known. */
  | { readonly kind: 'value'; readonly value: string; readonly place: TextPlace | null }
  | { readonly kind: 'literal'; readonly index: number }
  /** `type`: of a cast that stands around it. */
  | { readonly kind: 'parameter'; readonly number: number; readonly type: 'int4' | 'int8' | null };

/** The statement's groups have nothing to do with each other: all shards are asked that any of them leads to. */
export interface ApartGroups {
  /** Positions in ShardReading.groups: of each of these all rows must be on one shard. */
  readonly single: readonly number[];
}

/** What a statement asks of the shards, when its groups do not lead to one. */
export type Spread =
  /** Run as it is on each of the shards, or rewritten, and merge. */
  | { readonly kind: 'merge'; readonly plan: MergePlan; readonly apart?: ApartGroups }
  /** Of a shape: what shards are asked is not what stands in it, so each text is to be read for itself. */
  | { readonly kind: 'byText' }
  /** UPDATE, DELETE and the like on each of the shards: the counts add up, RETURNING is concatenated. */
  | { readonly kind: 'sum' }
  /** On every shard alike, the first one's answer counts: writes to omnisharded tables, DDL. */
  | { readonly kind: 'every' }
  /** One statement per shard with the rows that belong there: INSERT of several rows. `arrays`: of unnest() of so many; 0: of VALUES. */
  | { readonly kind: 'split'; readonly arrays: number }
  /** UPDATE of the sharding key: rows leave their shards for the one of the key that is set. */
  | { readonly kind: 'move'; readonly plan: MovePlan }
  /** COPY FROM STDIN: each row to its shard, or (a layout without a key) all rows to every shard. */
  | { readonly kind: 'copy'; readonly layout: CopyLayout }
  | { readonly kind: 'refused'; readonly reason: string; readonly remedy: string };

/** What a statement does with cursors. Where FETCH, MOVE and CLOSE go depends on where the cursor was declared. */
export type CursorUse =
  | { readonly kind: 'declare'; readonly name: string; readonly isBinary: boolean }
  | {
      readonly kind: 'fetch' | 'move';
      readonly name: string;
      /** Infinity: ALL. */
      readonly count: number;
      /** Why a cursor over several shards cannot do it; null: it can. */
      readonly refusal: { readonly reason: string; readonly remedy: string } | null;
    }
  /** name null: ALL. */
  | { readonly kind: 'close'; readonly name: string | null };

export interface TimedReading {
  readonly fill: FillReading;
  /** How several shards are asked what is then in the text. */
  readonly spread: Spread;
}

export interface ShardReading {
  /**
   * Sharded tables by the equality of their keys. Empty: no sharded table is touched. The statement is direct when all
   * groups lead to one and the same shard, and `isDirectExact`.
   */
  readonly groups: readonly KeyGroup[];
  /** null: on one shard it gives what one Postgres would; else why it does not, wherever it runs. */
  readonly refusal: { readonly reason: string; readonly remedy: string } | null;
  /** Several shards. Of a statement without groups: where it must run when one shard is not enough. */
  readonly spread: Spread;
  /**
   * Without groups: `any` shard may answer (reads of omnisharded tables and catalogs), `first` only shard 0 (advisory locks,
   * sequences, row locks: what must meet in one place), `every` all of them. `catalog`: shard 0, whose numbers of types and tables
   * clients know, unless the session is bound to another one.
   */
  readonly home: 'any' | 'catalog' | 'first' | 'every';
  /** Of a shape: it depends on literals (GROUP BY 2), so each text is to be read for itself. */
  readonly needsText?: true;
  /** It says how the rest of the transaction goes, to the shard that it is sent to: SET LOCAL, SET TRANSACTION, SET CONSTRAINTS. */
  readonly changesTransaction?: true;
  /** Outside of a transaction block any server says that it cannot be (LOCK): none is begun for it. */
  readonly needsBlock?: true;
  /** Refused because whole copies would get something else each: unless it is had from one server. */
  readonly differs?: true;
  /** Why it is refused where it was not the proxy that put marked values into it. */
  readonly unlessMade?: { readonly reason: string; readonly remedy: string };
  /** What in it tells when the transaction began, or may do so: each shard has another such time. Absent: nothing does. */
  readonly time?: string;
  /** Numbers of parameters that are times, from 1: what they are given may be 'now'. Absent: none. */
  readonly timeParameters?: readonly number[];
  /** Of one text that tells such a time: what it is when one server has been asked for all of them. Absent: that cannot be. */
  readonly timed?: TimedReading;
  /** What one server is asked for, before all are asked. */
  readonly fill?: FillReading;
  /** `spread` is refused; this is how several shards are asked where these parameters, from 1, are 0 or NULL. */
  readonly ifZero?: { readonly parameters: readonly number[]; readonly spread: Spread };
  /** An UPDATE that changes one row at most. */
  readonly isOneRow?: true;
  /** A write that gives one row at most: such an UPDATE, an INSERT of one row of VALUES. */
  readonly givesOneRow?: true;
  /**
   * What an UPDATE sets the sharding key to, as one pin: it is direct only where that leads to the same shard as `groups`. Without
   * a pin each row has a value of its own, and it never is.
   */
  readonly move?: KeyGroup;
  readonly cursor?: CursorUse;
  /** An EXECUTE, of what only the session knows. */
  readonly executes?: ExecuteUse;
  /** A PREPARE, which any shard can check. */
  readonly isPrepare?: true;
  /** Some statement of a text of several does something with cursors. */
  readonly hasCursors?: true;
  /** Names that the catalog does not know: it may be out of date. */
  readonly unknown: readonly string[];
}
