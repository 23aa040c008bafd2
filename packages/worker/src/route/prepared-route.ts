// ● per-frame path
import {
  CLIENT_ASCII_ENDS,
  CLIENT_UTF8,
  clientReading,
  NO_SCOPE,
  readParse,
  type SqlPlan,
  UNREAD_PLAN,
} from '@pgdog-cluster/core';
import type { PlanCache } from '../plan/plan-cache.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';

const HEADER_BYTES = 5;

/** Read when a routed session first binds them: who prepared a statement may have had no need of its route. */
const plans = new WeakMap<PreparedStatement, SqlPlan>();

export function planOfPrepared(statement: PreparedStatement, cache: PlanCache): SqlPlan {
  const known = plans.get(statement);
  if (known !== undefined) return known;
  const plan = readPrepared(statement, cache);
  plans.set(statement, plan);
  return plan;
}

function readPrepared({ frame, isSqlLevel, plan, encoding }: PreparedStatement, cache: PlanCache): SqlPlan {
  // The body of an SQL-level PREPARE has been read when it was prepared.
  if (isSqlLevel) return plan ?? UNREAD_PLAN;
  return planOfParse(frame, frame.length, cache, readingOf(encoding));
}

/** How a text is read that was prepared in this encoding; null: in which one is not known. */
export function readingOf(encoding: string | null): number {
  if (encoding === null) return CLIENT_ASCII_ENDS;
  return encoding === '' ? CLIENT_UTF8 : clientReading(encoding, undefined);
}

/** Of a whole Parse frame, frame[0, end). @param client one of CLIENT_… */
export function planOfParse(frame: Uint8Array, end: number, cache: PlanCache, client: number): SqlPlan {
  const fields = readParse(frame, HEADER_BYTES, end);
  return fields === null
    ? UNREAD_PLAN
    : cache.lookup(frame, fields.textStart, fields.textEnd, NO_SCOPE, client);
}
