/**
 * Statements whose parts have nothing to do with each other, so that each may be spread over shards by itself: queries in a
 * SELECT without FROM, and the arms of UNION, INTERSECT and EXCEPT.
 */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { isAggregate } from './call-reading.js';
import type { ResolvedGroup } from './key-graph.js';
import { readOneRowPlan, refusedSpread } from './merge-plan-reader.js';
import { NoMerge, neverMerged } from './no-merge.js';
import type { Shown, Top } from './query-reading.js';
import { readSetPlan } from './set-plan-reader.js';
import type { ShardContext } from './shard-context.js';
import type { AggregateKind, MergePlan, PlainColumn, Spread } from './shard-reading.js';
import { knownEnums } from './text-order.js';
import { walkNodes } from './value-facts.js';

/** null: the statement is no such one. */
export function readApart(ctx: ShardContext, shown: Shown, groups: readonly ResolvedGroup[]): Spread | null {
  const { top, set } = shown;
  if (set === undefined && (top === null || !isQueriesAlone(top))) return null;
  try {
    const parts = new ApartGroupsReader(ctx, groups, set === undefined ? ctx.unordered : set.unordered);
    const plan = set === undefined ? readQueries(ctx, top, parts) : readSetPlan(ctx, shown, parts);
    if (plan === null) return null;
    parts.requireAll();
    if (ctx.userFunction !== null) throw neverMerged(`${ctx.userFunction} may be an aggregate`);
    if (ctx.clock !== null)
      throw neverMerged(`${ctx.clock} would differ from shard to shard`, 'give the time as a parameter');
    return { kind: 'merge', plan, apart: { single: [...parts.single] } };
  } catch (error) {
    if (!(error instanceof NoMerge)) throw error;
    if (error.isRewritable && ctx.literals !== null) return { kind: 'byText' };
    return refusedSpread({ reason: error.message, remedy: error.remedy });
  }
}

/** Which groups of keys belong to which part. */
export class ApartGroupsReader {
  /** Positions of groups of which all rows must be on one shard. */
  readonly single = new Set<number>();
  /** What shards may answer otherwise; null: nothing. */
  readonly #different: string | null;
  readonly #groups: readonly ResolvedGroup[];
  readonly #taken = new Set<number>();

  /** @param unordered what depends on the order of rows; null: nothing */
  constructor(ctx: ShardContext, groups: readonly ResolvedGroup[], unordered: string | null) {
    this.#different = ctx.volatile ?? unordered;
    this.#groups = groups;
  }

  /** The one group that a part reads; null: it reads no sharded table. */
  of({ keys: [from, to] = [0, 0] }: Shown): number | null {
    const own = this.#groups.flatMap(({ roots }, position) =>
      [...roots].some((node) => node >= from && node < to) ? [position] : [],
    );
    for (const position of own) this.#taken.add(position);
    if (own.length > 1) {
      const [one, other] = own.map((position) => this.#groups[position].info.label);
      throw neverMerged(
        `${one} and ${other} are not joined by their sharding keys`,
        'compare the two keys, or give one of them a value',
      );
    }
    if (own.length === 0) this.#requireAlike();
    return own[0] ?? null;
  }

  /** What all shards are to answer alike. */
  #requireAlike(): void {
    if (this.#different !== null) throw neverMerged(`${this.#different} may differ from shard to shard`);
  }

  /** Each row of FROM is of one row of a table of this group. */
  isSplit(position: number, { splits }: Top): boolean {
    return splits.some((node) => this.#groups[position].roots.has(node));
  }

  label(position: number): string {
    return this.#groups[position].info.label;
  }

  /** Some table is read by none of the parts that were looked at. */
  requireAll(): void {
    const position = this.#groups.findIndex((_, at) => !this.#taken.has(at));
    if (position >= 0) throw neverMerged(`${this.label(position)} is read beside the parts of the statement`);
  }
}

const QUERY_FIELDS = ['fromClause', 'valuesLists', 'groupClause', 'windowClause', 'sortClause'] as const;
const ROW_FIELDS = ['whereClause', 'havingClause', 'limitCount', 'limitOffset', 'distinctClause'] as const;

/** SELECT (SELECT …), EXISTS (SELECT …): one row, of nothing but queries. */
function isQueriesAlone({ node, shape, level }: Top): boolean {
  const isBare =
    QUERY_FIELDS.every((key) => nodesOf(node, key).length === 0) && ROW_FIELDS.every((key) => !(key in node));
  return isBare && !shape.isGrouped && !shape.hasWindow && level.sublinks.size > 0;
}

function readQueries(ctx: ShardContext, top: Top | null, parts: ApartGroupsReader): MergePlan | null {
  if (top === null || top.targets === null) return null;
  const plain: PlainColumn[] = [];
  const aggregates = top.targets.map(({ value }, column): AggregateKind => {
    const fold = readTarget(ctx, value ?? {}, top, parts);
    plain.push(...fold.plain.map((each) => ({ ...each, column })));
    return fold.kind;
  });
  return {
    sort: [],
    group: [],
    aggregates,
    isDistinct: false,
    limit: null,
    offset: null,
    ...knownEnums(ctx),
    ...(plain.length > 0 ? { plain } : {}),
  };
}

/** How the values of the shards become one. */
interface Fold {
  readonly kind: AggregateKind;
  readonly plain: readonly PlainColumn[];
}

const fold = (kind: AggregateKind): Fold => ({ kind, plain: [] });

function readTarget(ctx: ShardContext, value: SqlNode, { level }: Top, parts: ApartGroupsReader): Fold {
  const negated = nodeOf(value, 'BoolExpr');
  const isNegated = textOf(negated, 'boolop') === 'NOT_EXPR';
  const link = nodeOf(isNegated ? nodesOf(negated, 'args')[0] : value, 'SubLink');
  if (link === undefined) return readAlike(value);
  const shown = level.sublinks.get(link);
  const type = textOf(link, 'subLinkType');
  if (shown !== undefined && type === 'EXISTS_SUBLINK') return fold(readExists(shown, parts, isNegated));
  if (shown !== undefined && type === 'EXPR_SUBLINK' && !isNegated) return readValue(ctx, shown, parts);
  throw neverMerged('an expression over queries of several shards', 'ask for the queries by themselves');
}

/** Without a query in it: all shards say the same. What gives several rows, or none, is not looked for. */
function readAlike(value: SqlNode): Fold {
  let isConstant = true;
  walkNodes(value, (type) => {
    if (!['A_Const', 'ParamRef', 'TypeCast', 'TypeName', 'String', 'Integer'].includes(type))
      isConstant = false;
    return true;
  });
  if (isConstant) return fold('first');
  throw neverMerged('an expression beside queries of several shards', 'ask for the queries by themselves');
}

/** There is a row if there is one on any shard. */
function readExists(shown: Shown, parts: ApartGroupsReader, isNegated: boolean): AggregateKind {
  const kind = isNegated ? 'bool_and' : 'bool_or';
  const group = parts.of(shown);
  if (group === null) return kind;
  const { top } = shown;
  if (top === null || !parts.isSplit(group, top) || !hasRowsOfItsOwn(top))
    throw neverMerged(`EXISTS of rows of ${parts.label(group)} that need rows of all shards`);
  const { hasHaving, isGroupedByKey } = top.shape;
  if ('limitOffset' in top.node || (hasHaving && !isGroupedByKey)) parts.single.add(group);
  return kind;
}

/** Where there are no rows to read it shows none. */
export function hasRowsOfItsOwn({ node, shape }: Top): boolean {
  const isWhole = shape.group === null && shape.isGrouped;
  return !isWhole && !nodesOf(node, 'groupClause').some((item) => 'GroupingSet' in item) && !shape.hasLock;
}

/** A query that shows one value: an aggregate whose parts add up, or what one shard has. */
function readValue(ctx: ShardContext, shown: Shown, parts: ApartGroupsReader): Fold {
  const group = parts.of(shown);
  if (group === null) return fold('first');
  const { top } = shown;
  if (top === null || !parts.isSplit(group, top))
    throw neverMerged(`a value of rows of ${parts.label(group)} that need rows of all shards`);
  const plan = readOneRowPlan(ctx, top);
  const [kind] = plan?.aggregates ?? [];
  if (plan !== null && kind != null) return { kind, plain: plan.plain ?? [] };
  if (!hasRowsOfItsOwn(top) && !isNullOfNothing(top))
    throw neverMerged(`a value that is made of rows of ${parts.label(group)} of all shards`);
  parts.single.add(group);
  return fold('first');
}

/** Of no rows these are NULL. */
const NULL_OF_NOTHING: ReadonlySet<string> = new Set(
  'any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or every json_agg jsonb_agg max min string_agg stddev sum variance'.split(
    ' ',
  ),
);

function isNullOfNothing({ node, shape, targets }: Top): boolean {
  const [target, ...others] = targets ?? [];
  const call = nodeOf(target?.value ?? {}, 'FuncCall');
  if (call === undefined || others.length > 0 || !isAggregate(call) || 'havingClause' in node) return false;
  const path = pathOf(call, 'funcname');
  const isOwn = path.length === 1 || path[0] === 'pg_catalog';
  return isOwn && NULL_OF_NOTHING.has(path.at(-1) ?? '') && shape.group === null;
}
