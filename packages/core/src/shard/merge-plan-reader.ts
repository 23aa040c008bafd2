import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { foldOf, requireOwn } from './aggregate-reading.js';
import { isAggregate } from './call-reading.js';
import { readLimits } from './count-reading.js';
import { firstOf } from './distinct-on.js';
import { findColumn } from './expression-reading.js';
import { GroupPlanReader } from './group-plan-reader.js';
import type { ResolvedGroup } from './key-graph.js';
import { NoMerge, neverMerged } from './no-merge.js';
import { nameOfPiece, type Piece } from './partial-columns.js';
import type { Target, Top } from './query-reading.js';
import { type Limits, widerText } from './rewritten-text.js';
import { SelectText } from './select-text.js';
import type { CatalogColumn } from './shard-catalog.js';
import type { Refusal, ShardContext } from './shard-context.js';
import type { AggregateKind, MergePlan, PlainColumn, SortKey, Spread } from './shard-reading.js';
import { findShown, sortDirection } from './sort-reading.js';
import { columnCollation, knownEnums, rankedBy, textOrderOf } from './text-order.js';
import { readTotals } from './total-reading.js';
import {
  isBuiltin,
  isDeterministic,
  isEnumColumn,
  isFloat,
  isNamedTarget,
  isOfOneScaleAs,
  isOrderKnown,
  isSortable,
  isTextEqual,
} from './value-facts.js';

/** What one query over all shards, whose tables are one group, needs to be put together. */
export function readMergePlan(ctx: ShardContext, top: Top | null, group: ResolvedGroup): Spread {
  try {
    if (top === null) throw neverMerged('set operations over several shards');
    if (!top.splits.some((node) => group.roots.has(node))) {
      throw neverMerged(
        `${group.info.label} is read in a subquery or an outer join that needs rows of all shards`,
      );
    }
    if (ctx.userFunction !== null) throw neverMerged(`${ctx.userFunction} may be an aggregate`);
    const spread = readSpread(ctx, top);
    if (ctx.clock !== null)
      throw neverMerged(`${ctx.clock} would differ from shard to shard`, 'give the time as a parameter');
    return spread;
  } catch (error) {
    if (!(error instanceof NoMerge)) throw error;
    return refusedSpread({ reason: error.message, remedy: error.remedy });
  }
}

/** Of a query of aggregates alone, which shows one row: how they add up. null: not as it stands. */
export function readOneRowPlan(ctx: ShardContext, top: Top): MergePlan | null {
  const isOne = top.shape.isGrouped && top.shape.group === null && !('sortClause' in top.node);
  if (!isOne || top.shape.hasLimit || top.targets?.length !== 1) return null;
  try {
    return new MergePlanReader(ctx, top, null).read();
  } catch (error) {
    if (error instanceof NoMerge) return null;
    throw error;
  }
}

export function refusedSpread({ reason, remedy }: Refusal): Spread {
  return { kind: 'refused', reason, remedy };
}

/** As the statement stands, if that is enough. */
function readSpread(ctx: ShardContext, top: Top): Spread {
  try {
    return { kind: 'merge', plan: new MergePlanReader(ctx, top, null).read() };
  } catch (error) {
    if (!(error instanceof NoMerge) || !error.isRewritable) throw error;
    if (ctx.literals !== null) return { kind: 'byText' };
    const { text } = ctx.terms;
    if (text === undefined) throw error;
    return { kind: 'merge', plan: new MergePlanReader(ctx, top, text).read() };
  }
}

class MergePlanReader {
  readonly #ctx: ShardContext;
  readonly #top: Top;
  readonly #targets: readonly Target[];
  /** Of the statement, which may be rewritten; null: it is asked as it stands. */
  readonly #text: Uint8Array | null;
  readonly #plain: PlainColumn[] = [];
  #totals: readonly number[] = [];
  /** Sorted by, and not shown. */
  readonly #hidden: Piece[] = [];

  constructor(ctx: ShardContext, top: Top, text: Uint8Array | null) {
    this.#ctx = ctx;
    this.#top = top;
    this.#targets = top.targets ?? [];
    this.#text = text;
  }

  read(): MergePlan {
    const { node, shape } = this.#top;
    this.#totals = readTotals(this.#ctx, this.#top);
    if (!shape.areWindowsByKey && this.#totals.length === 0)
      throw neverMerged('a window function that is not partitioned by the sharding key');
    if (textOf(node, 'limitOption') === 'LIMIT_OPTION_WITH_TIES') throw neverMerged('LIMIT … WITH TIES');
    const { isGrouped } = shape;
    if (this.#top.targets === null && (isGrouped || shape.distinct !== 'no' || 'sortClause' in node)) {
      throw neverMerged('sorting or grouping of columns that are not known', 'name the columns');
    }
    const limits = readLimits(this.#ctx, node);
    const isFolded = isGrouped && !shape.isGroupedByKey;
    if (isFolded && shape.distinct === 'on') throw neverMerged('DISTINCT ON over groups of several shards');
    if (isFolded && shape.hasWindow) throw neverMerged('window functions over groups');
    if (isFolded && this.#text !== null)
      return GroupPlanReader.of(this.#ctx, this.#top, this.#text).read(limits);
    return this.#readPlan(isFolded ? this.#aggregates() : null, limits);
  }

  #readPlan(aggregates: readonly (AggregateKind | null)[] | null, limits: Limits): MergePlan {
    const group = aggregates === null ? null : this.#group(aggregates);
    const sort = nodesOf(this.#top.node, 'sortClause').map((_, i) => this.#sortKey(i, aggregates));
    const plan: MergePlan = {
      sort,
      group,
      aggregates: aggregates ?? this.#targets.map(() => null),
      isDistinct: this.#isDistinct(group),
      ...firstOf(this.#ctx, this.#top),
      ...limits,
      ...(this.#totals.length > 0 ? { totals: this.#totals } : {}),
      ...knownEnums(this.#ctx),
    };
    const checked = this.#plain.length > 0 ? { ...plan, plain: this.#plain } : plan;
    return this.#hidden.length > 0 ? this.#widened(checked, limits) : checked;
  }

  /** With what is sorted by behind what is shown. */
  #widened(plan: MergePlan, limits: Limits): MergePlan {
    const { node } = this.#top;
    if ('lockingClause' in node)
      throw neverMerged('rows that are locked, sorted by what is not shown as it is');
    const text = this.#selectText();
    const shownCount = this.#targets.length;
    const formats = [...this.#targets.keys(), ...this.#hidden.map(() => -1)];
    return {
      ...plan,
      aggregates: formats.map(() => null),
      rewrite: {
        text: widerText(this.#ctx.terms.parser, text, node, this.#hidden, limits),
        formats,
        names: [...this.#targets.map(() => ''), ...this.#hidden.map(({ text: piece }) => nameOfPiece(piece))],
        shownCount,
        groups: null,
      },
    };
  }

  #selectText(): SelectText {
    const text = this.#text === null ? null : SelectText.of(this.#text);
    if (text === null) throw neverMerged('a statement that cannot be rewritten');
    return text;
  }

  #isDistinct(group: readonly number[] | null): boolean {
    const { shape, level } = this.#top;
    if (shape.distinct !== 'all') return false;
    if (group !== null) throw new NoMerge('DISTINCT over groups');
    if (shape.showsKey) return false;
    for (const [i, { column, value }] of this.#targets.entries()) {
      if (column !== null && column.type !== null) requireTextEqual(column.type, 'DISTINCT');
      else if (value !== null)
        this.#plain.push({
          column: i,
          mayBeText: isDeterministic(value, level),
          mayBeInexact: isOfOneScaleAs(value, level),
        });
      else requireTextEqual(null, 'DISTINCT');
    }
    return true;
  }

  /** Of columns of the answer; null: a group's. */
  #aggregates(): (AggregateKind | null)[] {
    const { shape, node } = this.#top;
    if (nodesOf(node, 'groupClause').some((item) => 'GroupingSet' in item))
      throw neverMerged('GROUPING SETS');
    if (shape.hasHaving) throw new NoMerge('HAVING over several shards');
    return this.#targets.map(({ value, column }, i) => {
      if (column !== null) return null;
      const call = nodeOf(value ?? {}, 'FuncCall');
      if (call === undefined || !isAggregate(call))
        throw new NoMerge('an expression over groups of several shards');
      return this.#aggregate(call, i);
    });
  }

  #aggregate(call: SqlNode, position: number): AggregateKind {
    const name = pathOf(call, 'funcname').at(-1) ?? '';
    const kind = foldOf(call);
    const isPlain =
      call.agg_distinct !== true &&
      call.agg_within_group !== true &&
      call.func_variadic !== true &&
      nodesOf(call, 'agg_order').length === 0;
    if (kind === null || !isPlain) throw new NoMerge(`${name}() over several shards`);
    const { level } = this.#top;
    requireOwn(this.#ctx, call, level);
    if (kind === 'count') return kind;
    const [argument, ...others] = nodesOf(call, 'args');
    const isExtreme = kind === 'min' || kind === 'max';
    const isRead = isBuiltin(argument, level) || (isExtreme && isEnumColumn(argument, level));
    if (others.length > 0 || !isRead) {
      throw new NoMerge(`${name}() of something whose sums or order Postgres alone knows`);
    }
    if (isExtreme && !isOrderKnown(argument, level)) {
      this.#plain.push({ column: position, mayBeText: false, mayBeInexact: true });
    }
    return kind;
  }

  /** Positions of the columns of GROUP BY, each of which is shown. */
  #group(aggregates: readonly (AggregateKind | null)[]): number[] {
    const { shape } = this.#top;
    const targets = this.#targets;
    const positions = (shape.group ?? []).map((column) => {
      const position = column === null ? -1 : targets.findIndex((target) => target.column === column);
      if (position < 0) throw new NoMerge('GROUP BY of something that is no column of the answer');
      if (column !== null && column.type === null) throw new NoMerge('GROUP BY of what a subquery makes');
      requireTextEqual(column?.type ?? null, 'GROUP BY');
      return position;
    });
    const isCovered = targets.every(
      ({ column }, i) => aggregates[i] !== null || (shape.group ?? []).includes(column),
    );
    if (!isCovered) throw new NoMerge('a column of the answer that is not in GROUP BY');
    // The same column may be shown twice.
    const all = targets.flatMap((_, i) => (aggregates[i] === null ? [i] : []));
    return [...new Set([...positions, ...all])].toSorted((a, b) => a - b);
  }

  #sortKey(index: number, aggregates: readonly (AggregateKind | null)[] | null): SortKey {
    const item = nodeOf(nodesOf(this.#top.node, 'sortClause')[index], 'SortBy') ?? {};
    const node = nodeOf(item, 'node') ?? {};
    const direction = sortDirection(item);
    const found = findShown(this.#ctx, this.#top, node);
    if (this.#totals.includes(found)) throw neverMerged('ORDER BY how many rows there are', 'leave that out');
    // In text two floats may look the same, as settings have it; in binary they never do.
    const isHidden = found < 0 || this.#isFloat(found);
    const column = isHidden ? this.#hide(node, index, found, aggregates !== null) : found;
    const value = found < 0 ? node : (this.#targets[found].value ?? {});
    const collation = columnCollation(this.#typeOf(value, found));
    if (collation !== null) return { column, ...direction, collation };
    if (this.#isOrderKnown(value, found, aggregates?.[found] ?? null)) return { column, ...direction };
    // It may be a float, which is compared in binary.
    if (aggregates !== null) throw new NoMerge('ORDER BY something whose order Postgres alone knows');
    const { level } = this.#top;
    const order = isBuiltin(value, level)
      ? textOrderOf(value, level, this.#ctx.terms.lookup.textOrder)
      : null;
    this.#plain.push({ column, mayBeText: order !== null, mayBeInexact: true });
    return { column, ...direction, ...rankedBy(order) };
  }

  #typeOf(value: SqlNode, shown: number): CatalogColumn | null {
    return (shown < 0 ? findColumn(value, this.#top.level) : this.#targets[shown].column)?.type ?? null;
  }

  /** Whether values of ORDER BY are put in order here, whatever type they are of; false: their type tells. */
  #isOrderKnown(value: SqlNode, shown: number, kind: AggregateKind | null): boolean {
    const { level } = this.#top;
    const type = this.#typeOf(value, shown);
    if (type !== null && !isSortable(type)) {
      throw neverMerged(
        'ORDER BY something whose order Postgres alone knows',
        'sort by numbers, times, or text COLLATE "C"',
      );
    }
    if (type !== null || (kind !== null && kind !== 'min' && kind !== 'max')) return true;
    const call = nodeOf(value, 'FuncCall');
    const name = call === undefined || !isAggregate(call) ? null : foldOf(call);
    return isOrderKnown(name === 'min' || name === 'max' ? nodesOf(call, 'args')[0] : value, level);
  }

  #isFloat(position: number): boolean {
    const { column, value } = this.#targets[position];
    const type = column?.type?.type;
    return (
      type === 'pg_catalog.float4' || type === 'pg_catalog.float8' || isFloat(value ?? {}, this.#top.level)
    );
  }

  /** @returns the position of a column behind those that are shown */
  #hide(node: SqlNode, index: number, found: number, isFolded: boolean): number {
    if (this.#text === null || isFolded)
      throw new NoMerge('ORDER BY something that is no column of the answer');
    const text = this.#selectText();
    const target = found < 0 ? null : this.#targets[found];
    const isNamed =
      'A_Const' in node || ('ColumnRef' in node && findColumn(node, this.#top.level) !== target?.column);
    const names = nodesOf(this.#top.node, 'targetList').map(isNamedTarget);
    const piece =
      target?.value != null && isNamed
        ? { text: text.targets(names)?.[found], node: target.value }
        : { text: text.orders[index], node };
    if (piece.text === undefined || (target !== null && isNamed && target.value === null))
      throw neverMerged('a statement that cannot be rewritten');
    this.#hidden.push({ text: piece.text, node: piece.node });
    return this.#targets.length + this.#hidden.length - 1;
  }
}

function requireTextEqual(type: Parameters<typeof isTextEqual>[0], where: string): void {
  if (!isTextEqual(type)) throw neverMerged(`${where} of something whose equality Postgres alone knows`);
}
