import { type SqlPlan, UNREAD_PLAN } from '@pgdog-cluster/core';
import type { PlanCache } from '../plan/plan-cache.js';

const known = new Map<string, SqlPlan>();

/**
 * The plan of a text of ours. Those of one kind and length differ in the digits of a number alone, which no plan depends on, and which
 * the cache would have each read anew, for a good part of a commit's time.
 */
export function orderPlan(plans: PlanCache, kind: string, sql: string): SqlPlan {
  const key = `${kind} ${sql.length}`;
  let plan = known.get(key);
  if (plan === undefined) {
    const bytes = Buffer.from(sql);
    plan = plans.lookup(bytes, 0, bytes.length);
    if (plan !== UNREAD_PLAN) known.set(key, plan);
  }
  return plan;
}
