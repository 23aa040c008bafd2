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
import type { ShardedDatabase } from './sharded-database.js';

export interface MovePlaces {
  /** Where rows may be; null: on any shard. */
  readonly from: ReadonlySet<number> | null;
  /** Where they go; null: each where its own key leads. */
  readonly target: number | null;
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
  if (move.pins.length === 0) return { from, target: null };
  const [target] = shardsOfRows(move, functions, values) ?? [];
  if (target === undefined) {
    const why = choice.problem === '' ? 'the value that it is set to leads to no shard' : choice.problem;
    return crossShard(`${move.column}: ${why}`);
  }
  return target === shard ? null : { from, target };
}

export interface MoveTerms {
  readonly database: ShardedDatabase;
  /** What the operator lets several shards do. */
  readonly allowed: CrossShard;
  /** The client's encoding is not the servers'. */
  readonly isForeign: boolean;
  readonly encoding: string | undefined;
}

/** Of these each byte is one character: what comes out of a server goes into another as the same, or not at all. */
const SINGLE_BYTE = ['LATIN', 'ISO_8859_', 'WIN', 'KOI8'];

/** Rows pass through the client's encoding, and some write two characters as one: a yen sign is a backslash in SJIS. */
function isLossy({ isForeign, encoding = '' }: MoveTerms): boolean {
  return isForeign && encoding !== 'UTF8' && !SINGLE_BYTE.some((start) => encoding.startsWith(start));
}

/** How a statement moves its rows. @param spread of its text */
export function newRowMove(
  { move }: ShardReading,
  spread: Spread,
  places: MovePlaces | PgDogError,
  text: PreparedText | null,
  terms: MoveTerms,
): RowMove | PgDogError {
  const { database, allowed, isForeign } = terms;
  if (lookupOutcome.isUnmapped) return unmapped();
  if (places instanceof PgDogError) return places;
  if (spread.kind === 'refused') return refusedAs(spread);
  if (spread.kind !== 'move' || text === null)
    return crossShard('its text cannot be rewritten for rows that move');
  if (allowed === 'direct_only') return directOnly(crossShard('rows move to another one'));
  if (isLossy(terms)) {
    const text = `rows cannot move to another shard in client_encoding ${terms.encoding}, which may change them`;
    return new PgDogError('cross_shard', text, { hint: "Set client_encoding to the server's." });
  }
  const { plan } = spread;
  const { routed } = plan;
  if (places.target !== null) return new RowMove(shardsOfMove(places), places.target, plan, text);
  if (routed === null || move === undefined) return crossShard('its text has been read as that of another');
  const rule = database.functions[move.rule];
  const isText = move.keyType === 'pg_catalog.text' || move.keyType === 'pg_catalog.varchar';
  return new RowMove(places.from, { ...routed, rule, isText, isForeign }, plan, text);
}

/** All that are asked; null: every shard. */
export function shardsOfMove({ from, target }: MovePlaces): ReadonlySet<number> | null {
  return from === null || target === null ? from : new Set([...from, target]);
}
