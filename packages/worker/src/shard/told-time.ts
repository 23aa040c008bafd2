/** Statements that tell when their transaction began: each shard of a transaction over several has another such time. */
import {
  PgDogError,
  SHARD_ANY,
  SHARD_EVERY,
  SHARD_SEVERAL,
  type ShardReading,
  type ShardScope,
  type SqlPlan,
  type StatementValues,
  type TimedReading,
} from '@pgdog-cluster/core';
import type { CrossShard } from '../scatter/cross-shard.js';
import type { Session } from '../session/session.js';
import type { PreparedText } from './prepared-text.js';

/** It tells no such time: a literal that might have been 'now' is not. */
export const TIMELESS = 'timeless';

/**
 * What the statement is when one server has told the time; null: that cannot be filled in.
 * @param reading tells the time, as far as is known
 */
export function timedReading(
  { time, timed }: ShardReading,
  text: PreparedText | null,
  { context, clientReading }: Session,
  scope: ShardScope,
): TimedReading | typeof TIMELESS | null {
  if (time === undefined) return TIMELESS;
  if (timed !== undefined || text === null) return timed ?? null;
  const { bytes, textStart, textEnd } = text;
  const plan: SqlPlan = context.plans.lookupText(bytes, textStart, textEnd, scope, clientReading);
  if (plan.shards === undefined) return null;
  return plan.shards.time === undefined ? TIMELESS : (plan.shards.timed ?? null);
}

const NO_NUMBERS: readonly number[] = [];

export function mayTellTime(
  { time, timeParameters = NO_NUMBERS }: ShardReading,
  values: StatementValues,
): boolean {
  return time !== undefined || values.tellsTime(timeParameters);
}

/** By a parameter ('now'), and other shards would understand another time by it. @param clock as clockShard() has it */
export function isGivenTime(
  { timeParameters = NO_NUMBERS }: ShardReading,
  values: StatementValues,
  shard: number,
  clock: number | null,
  isWriting: boolean,
): boolean {
  const isOnOne = shard !== SHARD_SEVERAL && shard !== SHARD_EVERY;
  const isAlone =
    clock === null ? isOnOne || !isWriting : isOnOne && (shard === clock || shard === SHARD_ANY);
  return !isAlone && values.tellsTime(timeParameters);
}

/** What a statement for several shards is with the time in it that all are told; null: it needs none, or is refused without. */
export function toldTime(
  reading: ShardReading,
  text: PreparedText | null,
  session: Session,
  scope: ShardScope,
  clock: number | null,
): TimedReading | PgDogError | null {
  if (reading.time === undefined) return null;
  // In a condition one shard's time is as good as another's, but for other statements of the transaction.
  if (clock === null && reading.spread.kind !== 'refused') return null;
  const timed = timedReading(reading, text, session, scope);
  if (timed === TIMELESS) return null;
  if (timed === null) return clock === null ? null : unfilledTime(reading.time);
  return timed;
}

/** The shard whose time is that of the client's transaction over several; null: there is no such transaction, or no time yet. */
export function clockShard({ isInTransaction, memberShard }: CrossShard): number | null {
  return isInTransaction ? memberShard : null;
}

export function unfilledTime(time: string): PgDogError {
  const text = `${time} is another one on each shard, and cannot be filled in here`;
  return new PgDogError('cross_shard', text, {
    hint: 'Give the time as a parameter: SELECT now() in a statement of its own tells that of the transaction.',
  });
}
