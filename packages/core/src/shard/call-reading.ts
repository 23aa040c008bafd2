import { functionAccess } from '../sql/function-access.js';
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readsUnseen } from '../tenant/tenant-functions.js';
import { takesNumbers } from './catalog-numbers.js';
import type { ShardContext } from './shard-context.js';
import { Scope } from './shard-scope.js';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Aggregates of pg_catalog. */
export const AGGREGATES = words(
  'any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist ' +
    'dense_rank every json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique ' +
    'json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict ' +
    'jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont ' +
    'percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2 ' +
    'regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp ' +
    'variance xmlagg',
);
/** Those whose result is the same in whichever order they see their rows. */
const ORDERLESS = words('count min max bool_and bool_or every bit_and bit_or bit_xor');
const CLOCKS = words('now clock_timestamp statement_timestamp transaction_timestamp timeofday age');
/** Of these, what goes on within a transaction. */
const MOVING = words('clock_timestamp statement_timestamp timeofday');
/** Differ from call to call. */
const RANDOM = words('random random_normal gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle');
/** So do these, of those that are known elsewhere. */
const UNSTEADY = words('clock_timestamp timeofday set_config setseed');
/** Differ from shard to shard. */
const VOLATILES = words(
  'bernoulli system version current_database current_query inet_client_addr inet_client_port getpgusername regclass oid oidlarger ' +
    'oidsmaller obj_description col_description shobj_description format_type row_security_active',
);
/** Of pg_…: what says nothing of the server. */
const PLAIN_PG = words('pg_typeof pg_sleep pg_sleep_for pg_sleep_until pg_size_pretty pg_size_bytes');
/** What sets or shows a session's own settings is synchronised by whoever runs the statement. */
const SESSION = words('set_config current_setting setseed');
const SEQUENCES = words('nextval currval lastval setval');

export function isAggregate(call: SqlNode): boolean {
  const path = pathOf(call, 'funcname');
  const isMarked =
    call.agg_within_group === true ||
    call.agg_star === true ||
    call.agg_distinct === true ||
    nodeOf(call, 'agg_filter') !== undefined ||
    nodesOf(call, 'agg_order').length > 0;
  return (isMarked || AGGREGATES.has(path.at(-1) ?? '')) && nodeOf(call, 'over') === undefined;
}

/** A FuncCall: where it may run, and what of its result depends on where. */
export function readCall(ctx: ShardContext, call: SqlNode, scope: Scope, isCondition: boolean): void {
  const path = pathOf(call, 'funcname');
  readFunction(ctx, path, call, isCondition);
  const name = path.at(-1) ?? '';
  if (!isAggregate(call)) {
    if (nodeOf(call, 'over') !== undefined) ctx.unordered ??= 'a window function';
    return;
  }
  if (!ORDERLESS.has(name)) ctx.unordered ??= `${name}()`;
  if (scope.outer !== null && isOfOuter(call, scope)) ctx.refuse('an aggregate belongs to an outer query');
}

/** It may give another result each time that it is called within one statement. */
export function isUnsteady(call: SqlNode): boolean {
  const path = pathOf(call, 'funcname');
  const name = path.at(-1) ?? '';
  if (RANDOM.has(name) || UNSTEADY.has(name) || functionAccess(path, call) === 'write') return true;
  return name.startsWith('pg_') && isVolatile(name);
}

/** @param path of its name: schema, if given, and name */
export function readFunction(
  ctx: ShardContext,
  path: readonly string[],
  call: SqlNode | undefined,
  isCondition: boolean,
): void {
  const name = path.at(-1) ?? '';
  const isOwn = path.length === 1 || path[0] === 'pg_catalog';
  if (readsUnseen(name) || (isOwn && (name === 'cursor_to_xml' || name === 'cursor_to_xmlschema'))) {
    ctx.refuse(`${name}() reads tables that the statement does not name`);
    return;
  }
  if (expandsArray(path)) ctx.expandsArray = true;
  if (isOwn && takesNumbers(name)) ctx.asksNumbers ||= ctx.terms.lookup.hasOwnOids;
  const access = functionAccess(path, call);
  if (isOwn && SESSION.has(name)) ctx.volatile ??= `${name}()`;
  else if (access === 'ask') readUserFunction(ctx, path.join('.'));
  else if (access === 'write') readPlaced(ctx, name);
  else if (MOVING.has(name)) noteClock(ctx, `${name}()`, isCondition);
  else if (CLOCKS.has(name)) noteTime(ctx, `${name}()`, isCondition);
  else if (RANDOM.has(name)) ctx.volatile ??= `${name}()`;
  else if (isVolatile(name)) noteClock(ctx, `${name}()`, isCondition);
}

export function expandsArray([schema, name]: readonly string[]): boolean {
  return schema === 'information_schema' && name === '_pg_expandarray';
}

/** @param name of a function or an operator */
export function readUserFunction(ctx: ShardContext, name: string): void {
  if (ctx.terms.isImmutable(name)) ctx.userFunction ??= name;
  else ctx.refuse(`${name} is not known to be immutable: it may read rows of other shards`);
}

function readPlaced(ctx: ShardContext, name: string): void {
  ctx.volatile ??= `${name}()`;
  if (SEQUENCES.has(name) && ctx.terms.hasShardSequences === true) return;
  ctx.first ??= `${name}()`;
}

function isVolatile(name: string): boolean {
  if (name.startsWith('pg_')) return !PLAIN_PG.has(name);
  return VOLATILES.has(name) || name.startsWith('to_reg');
}

/** Each shard has its own time, and its own of some other things; in a condition any of them is as good as another. */
export function noteClock(ctx: ShardContext, text: string, isCondition: boolean): void {
  ctx.volatile ??= text;
  if (!isCondition) ctx.clock ??= text;
}

/** When the transaction began. */
export function noteTime(ctx: ShardContext, text: string, isCondition: boolean): void {
  ctx.time ??= text;
  noteClock(ctx, text, isCondition);
}

/** All columns in its arguments are of outer queries: then so is it. */
function isOfOuter(call: SqlNode, scope: Scope): boolean {
  const own = new Scope(scope.parts, null);
  let hasColumn = false;
  const stack: SqlNode[string][] = [call.args, call.agg_order, call.agg_filter];
  for (let value = stack.pop(); value !== undefined || stack.length > 0; value = stack.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) stack.push(item);
      continue;
    }
    const node = value as SqlNode;
    const reference = nodeOf(node, 'ColumnRef');
    if (reference !== undefined) {
      hasColumn = true;
      const fields = nodesOf(reference, 'fields');
      if (fields.some((field) => 'A_Star' in field)) return false;
      const path = pathOf(reference, 'fields');
      const isOwn =
        path.length === 1
          ? own.isOpaque || own.columns.some(({ name }) => name === path[0]) || own.entry(path) !== null
          : own.entry(path.slice(0, -1)) !== null;
      if (isOwn) return false;
    }
    for (const key in node) stack.push(node[key]);
  }
  return hasColumn;
}

const FUNCTION_TIMES = words(
  'SVFOP_CURRENT_DATE SVFOP_CURRENT_TIME SVFOP_CURRENT_TIME_N SVFOP_CURRENT_TIMESTAMP ' +
    'SVFOP_CURRENT_TIMESTAMP_N SVFOP_LOCALTIME SVFOP_LOCALTIME_N SVFOP_LOCALTIMESTAMP SVFOP_LOCALTIMESTAMP_N',
);

/** CURRENT_TIMESTAMP, CURRENT_USER and their like. */
export function readValueFunction(ctx: ShardContext, node: SqlNode, isCondition: boolean): void {
  const operation = textOf(node, 'op');
  const name = operation.slice('SVFOP_'.length);
  if (FUNCTION_TIMES.has(operation)) noteTime(ctx, name, isCondition);
  else if (operation === 'SVFOP_CURRENT_CATALOG') noteClock(ctx, name, isCondition);
}
