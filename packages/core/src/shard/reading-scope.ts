import type { ParsedStatement } from '../sql/sql-parser.js';
import type { FoundRelation } from './shard-catalog.js';
import type { ShardReading } from './shard-reading.js';

/** The literal of a shape that stands at this byte of it; null: none that the shape has left out of account. */
export type LiteralPlaces = (location: number) => { index: number; isNegative: boolean } | null;

/** What texts mean that are read for shards: by one state of one database's catalog, under one search path. */
export interface ShardScope {
  /** Of this thread; 0: texts are not read for shards. */
  readonly id: number;
  /**
   * @param literals of a shape; null: of one text
   * @param text of one statement, in UTF-8; null: of a shape, or of several
   * @returns null: texts are not read for shards
   */
  read(
    statements: readonly ParsedStatement[],
    literals: LiteralPlaces | null,
    text: Uint8Array | null,
  ): ShardReading | null;
  /** @param schema null: not said */
  find(schema: string | null, name: string): FoundRelation;
  /** As ShardingSnapshot has it. */
  readonly madeKeys?: 'all' | 'omni' | 'error';
}

/** Of databases that are not sharded. */
export const NO_SCOPE: ShardScope = { id: 0, read: () => null, find: () => ({ kind: 'unknown' }) };
