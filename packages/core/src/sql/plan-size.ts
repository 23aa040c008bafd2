import type { RouteFacts } from './route-facts.js';
import type { SqlPlan, StatementPlan } from './sql-plan.js';

/** Objects and arrays of a plan without statements, and of a statement, as V8 lays them out; rounded up. */
const PLAN_BYTES = 96;
const STATEMENT_BYTES = 240;
/** With the arrays of its names, empty ones among them. */
const ROUTE_BYTES = 360;
/** A string's header and its slot in an array. */
const STRING_BYTES = 28;
const RELATION_BYTES = 40;
const MADE_BYTES = 120;

function stringsSize(strings: readonly string[]): number {
  let bytes = 0;
  for (const string of strings) bytes += STRING_BYTES + string.length;
  return bytes;
}

function routeSize(route: RouteFacts): number {
  let bytes = ROUTE_BYTES + STRING_BYTES + route.reason.length;
  bytes += stringsSize(route.functions) + stringsSize(route.builtins) + stringsSize(route.operators);
  bytes += stringsSize(route.attributes) + stringsSize(route.executes);
  for (const { schema, name } of route.relations) {
    bytes += RELATION_BYTES + 2 * STRING_BYTES + name.length + (schema ?? '').length;
  }
  return bytes;
}

/** Effects hold texts of a statement at most a few times over: their JSON is as long. */
function statementSize({ effect, nameSpans, calls, mentions, route }: StatementPlan): number {
  let bytes = STATEMENT_BYTES + routeSize(route) + nameSpans.length * 64;
  if (effect !== null) bytes += 64 + 2 * JSON.stringify(effect).length;
  return bytes + stringsSize(calls ?? []) + stringsSize(mentions ?? []);
}

/** About what a plan takes in memory; the plans all texts share take nothing. */
export function planSize(plan: SqlPlan): number {
  if (Object.isFrozen(plan)) return 0;
  let bytes = PLAN_BYTES;
  for (const statement of plan.statements) bytes += statementSize(statement);
  if (plan.tenant !== undefined) {
    for (const { schema, name } of [...plan.tenant.open, ...plan.tenant.tables]) {
      bytes += RELATION_BYTES + 2 * STRING_BYTES + name.length + (schema ?? '').length;
    }
  }
  // What shards are asked instead, and expressions of it: as JSON, about as long.
  for (const spread of [plan.shards?.spread, plan.shards?.ifZero?.spread]) {
    if (spread?.kind === 'merge' && spread.plan.rewrite !== undefined)
      bytes += 2 * JSON.stringify(spread.plan).length;
  }
  if (plan.made !== undefined) bytes += plan.made.edits.length * MADE_BYTES;
  for (const fill of [plan.shards?.fill, plan.shards?.timed?.fill])
    for (const { parts } of fill?.edits ?? []) bytes += MADE_BYTES * (1 + parts.length);
  return plan.statements.length === 1 ? bytes : bytes + routeSize(plan.route);
}
