import {
  type CopyLayout,
  type CursorUse,
  type MergePlan,
  PgDogError,
  type ShardFunction,
  TextRanking,
} from '@pgdog-cluster/core';
import type { EditedStatement } from './edited-statement.js';
import type { FilledStatement } from './filled-statement.js';
import type { RewrittenStatement } from './rewritten-statement.js';
import type { RowMove } from './row-move.js';
import type { SplitInsert } from './split-insert.js';

/** bytes[start, end) of a text, counted from its beginning, become `text`. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export const NO_COUNTS: ReadonlyMap<number, number | null> = new Map();

/** How the data of a COPY FROM STDIN are divided. */
export interface CopyRequest {
  readonly layout: CopyLayout;
  /** Of the layout's key; null: all shards get all rows. */
  readonly rule: ShardFunction | null;
  /** Its texts are not in the server's encoding. */
  readonly isForeign: boolean;
}

/** A statement that several shards are asked, found fit for that; in a transaction over several, one for one of them too. */
export interface CrossShardRequest {
  readonly shards: readonly number[];
  /** null: all do the same, and one tells of it. */
  readonly plan: MergePlan | null;
  /** Each shard gets rows of its own; null: all are asked the same. */
  readonly split: SplitInsert | null;
  /** What one shard is asked before all are; null: nothing. */
  readonly filled: FilledStatement | null;
  /** All are asked something else than the client asks; absent: they are not. */
  readonly rewritten?: RewrittenStatement;
  /** What `edits` make of a statement that was prepared; absent: they are of a Query, or none. */
  readonly edited?: EditedStatement;
  /** Rows go from some of the shards to another one; absent: they stay. */
  readonly moved?: RowMove;
  /** COPY FROM STDIN; null: something else, or all of it is for one shard. */
  readonly copy: CopyRequest | null;
  /** Rows the client gets at most; Infinity: all. */
  readonly limit: number;
  /** Rows before those that it does not get. */
  readonly offset: number;
  /** What shards are asked instead of what stands in the text, in the order of the text. */
  readonly edits: readonly TextEdit[];
  /** Parameters, from 0, that say how many rows: what shards are told instead; null: NULL. */
  readonly counts: ReadonlyMap<number, number | null>;
  readonly isWrite: boolean;
  /** Done alike by all shards, it gives one row at most: a limit on its rows leaves none behind. */
  readonly givesOneRow?: true;
  /** What it does is seen on one server only (NOTIFY), which cannot prepare it. */
  readonly isPlaced: boolean;
  /** Prepared statement that its Query executes; absent: none. */
  readonly executes?: string;
  /** What it does with a cursor; null: nothing. */
  readonly cursor: CursorUse | null;
  /** Tables and their keys, for errors. */
  readonly what: string;
}

/** Its rows are given when all are there, or the first one of each shard. */
export function isWhole({ plan }: CrossShardRequest): boolean {
  return plan !== null && (TextRanking.isNeeded(plan) || plan.totals !== undefined);
}

export function inPortions({ plan }: CrossShardRequest): PgDogError {
  if (plan?.totals !== undefined) {
    const text =
      'rows of several shards with the number of all rows beside them cannot be fetched in portions';
    return new PgDogError('cross_shard', text, {
      hint: 'Ask for all of them at once, or for the number by itself.',
    });
  }
  const text = 'rows of several shards that are sorted by a collation cannot be fetched in portions';
  return new PgDogError('cross_shard', text, {
    hint: 'Ask for all of them at once, or sort by COLLATE "C", where the order of bytes will do.',
  });
}
