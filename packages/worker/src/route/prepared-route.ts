// ● per-frame path
import { readParse, type SqlPlan, UNREAD_PLAN } from '@pgdog-cluster/core';
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

function readPrepared({ frame, isSqlLevel, plan }: PreparedStatement, cache: PlanCache): SqlPlan {
  // The body of an SQL-level PREPARE has been read when it was prepared.
  if (isSqlLevel) return plan ?? UNREAD_PLAN;
  return planOfParse(frame, frame.length, cache);
}

/** Of a whole Parse frame, frame[0, end). */
export function planOfParse(frame: Uint8Array, end: number, cache: PlanCache): SqlPlan {
  const fields = readParse(frame, HEADER_BYTES, end);
  return fields === null ? UNREAD_PLAN : cache.lookup(frame, fields.textStart, fields.textEnd);
}
