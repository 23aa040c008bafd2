/** UPDATE of the sharding key: between which shards its rows move, by the values of one execution. */
import {
  type CrossShard,
  choice,
  lookupOutcome,
  PgDogError,
  SHARD_SEVERAL,
  type ShardFunction,
  type ShardReading,
  type Spread,
  type StatementValues,
  shardsOfRows,
} from '@pgdog-cluster/core';
import { RowMove } from '../scatter/row-move.js';
import type { PreparedText } from './prepared-text.js';
import { crossShard, directOnly, refusedAs, severalShards, unmapped } from './several-shards.js';

export interface MovePlaces {
  /** Where rows may be; null: on any shard. */
  readonly from: ReadonlySet<number> | null;
  readonly target: number;
}

/**
 * @param shard where the rows are, as chooseShard() has just said
 * @returns null: they stay where they are
 */
export function readMovePlaces(
  reading: ShardReading,
  shard: number,
  functions: readonly ShardFunction[],
  values: StatementValues,
): MovePlaces | PgDogError | null {
  const { move } = reading;
  if (move === undefined) return null;
  const isKnown = shard >= 0 || (shard === SHARD_SEVERAL && choice.problem === '');
  if (!isKnown) return severalShards(reading, shard);
  const from = shard >= 0 ? new Set([shard]) : choice.shards;
  const [target] = shardsOfRows(move, functions, values) ?? [];
  if (target === undefined) {
    const why = choice.problem === '' ? 'the value that it is set to leads to no shard' : choice.problem;
    return crossShard(`${move.column}: ${why}`);
  }
  return target === shard ? null : { from, target };
}

/** @param allowed what the operator lets several shards do */
export function newRowMove(
  spread: Spread,
  places: MovePlaces | PgDogError,
  text: PreparedText | null,
  allowed: CrossShard,
): RowMove | PgDogError {
  if (lookupOutcome.isUnmapped) return unmapped();
  if (places instanceof PgDogError) return places;
  if (spread.kind === 'refused') return refusedAs(spread);
  if (spread.kind !== 'move' || text === null)
    return crossShard('its text cannot be rewritten for rows that move');
  if (allowed === 'direct_only') return directOnly(crossShard('rows move to another one'));
  return new RowMove(shardsOfMove(places), places.target, spread.plan, text);
}

/** All that are asked; null: every shard. */
export function shardsOfMove({ from, target }: MovePlaces): ReadonlySet<number> | null {
  return from === null ? null : new Set([...from, target]);
}
