import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { isAggregate } from './call-reading.js';
import type { ResolvedGroup } from './key-graph.js';
import type { Target, Top } from './query-reading.js';
import type { CatalogColumn } from './shard-catalog.js';
import type { Refusal, ShardContext } from './shard-context.js';
import type { AggregateKind, CountSource, MergePlan, SortKey, Spread } from './shard-reading.js';
import { Scope } from './shard-scope.js';

const types = (names: string): ReadonlySet<string> =>
  new Set(names.split(' ').map((name) => `pg_catalog.${name}`));

/** Types whose values a worker can put in order. */
const SORTABLE = types('int2 int4 int8 numeric date timestamp timestamptz uuid bytea bool text varchar');
/** Types whose values are equal only if their texts are. */
const TEXT_EQUAL = types('int2 int4 int8 date timestamp timestamptz uuid bytea bool text varchar');
const SUMMABLE = types('int2 int4 int8 numeric');
const KINDS: ReadonlyMap<string, AggregateKind> = new Map([
  ['count', 'count'],
  ['sum', 'sum'],
  ['min', 'min'],
  ['max', 'max'],
  ['bool_and', 'bool_and'],
  ['every', 'bool_and'],
  ['bool_or', 'bool_or'],
]);

/** Thrown and caught in this file. */
class NoMerge extends Error {
  readonly remedy: string;

  constructor(reason: string, remedy = 'restrict the sharding key to one value, or leave that out') {
    super(reason);
    this.remedy = remedy;
  }
}

/** What one query over all shards, whose tables are one group, needs to be put together. */
export function readMergePlan(ctx: ShardContext, top: Top | null, group: ResolvedGroup): Spread {
  try {
    if (top === null) throw new NoMerge('set operations over several shards');
    if (!top.splits.some((node) => group.roots.has(node))) {
      throw new NoMerge(
        `${group.info.label} is read in a subquery or an outer join that needs rows of all shards`,
      );
    }
    if (ctx.userFunction !== null) throw new NoMerge(`${ctx.userFunction} may be an aggregate`);
    if (ctx.clock !== null)
      throw new NoMerge(`${ctx.clock} would differ from shard to shard`, 'give the time as a parameter');
    return { kind: 'merge', plan: new MergePlanReader(ctx, top, top.targets ?? []).read() };
  } catch (error) {
    if (!(error instanceof NoMerge)) throw error;
    return refusedSpread({ reason: error.message, remedy: error.remedy });
  }
}

export function refusedSpread({ reason, remedy }: Refusal): Spread {
  return { kind: 'refused', reason, remedy };
}

class MergePlanReader {
  readonly #ctx: ShardContext;
  readonly #top: Top;
  readonly #targets: readonly Target[];

  constructor(ctx: ShardContext, top: Top, targets: readonly Target[]) {
    this.#ctx = ctx;
    this.#top = top;
    this.#targets = targets;
  }

  read(): MergePlan {
    const { node, shape } = this.#top;
    if (shape.distinct === 'on') throw new NoMerge('DISTINCT ON over several shards');
    if (!shape.areWindowsByKey)
      throw new NoMerge('a window function that is not partitioned by the sharding key');
    if (textOf(node, 'limitOption') === 'LIMIT_OPTION_WITH_TIES') throw new NoMerge('LIMIT … WITH TIES');
    const isGrouped = shape.group !== null || shape.hasAggregate || shape.hasHaving;
    if (this.#top.targets === null && (isGrouped || shape.distinct !== 'no' || 'sortClause' in node)) {
      throw new NoMerge('sorting or grouping of columns that are not known', 'name the columns');
    }
    const aggregates = isGrouped && !shape.isGroupedByKey ? this.#aggregates() : null;
    const group = aggregates === null ? null : this.#group(aggregates);
    const sort = nodesOf(node, 'sortClause').map((item) =>
      this.#sortKey(nodeOf(item, 'SortBy') ?? {}, aggregates),
    );
    const limit = this.#count('limitCount');
    const offset = this.#count('limitOffset');
    return {
      sort,
      group,
      aggregates: aggregates ?? this.#targets.map(() => null),
      isDistinct: this.#isDistinct(group),
      limit,
      offset,
    };
  }

  #isDistinct(group: readonly number[] | null): boolean {
    const { shape } = this.#top;
    const targets = this.#targets;
    if (shape.distinct !== 'all') return false;
    if (group !== null) throw new NoMerge('DISTINCT over groups');
    if (shape.showsKey) return false;
    for (const { column } of targets) requireTextEqual(column?.type ?? null, 'DISTINCT');
    return true;
  }

  /** Of columns of the answer; null: a group's. */
  #aggregates(): (AggregateKind | null)[] {
    const { shape, node } = this.#top;
    const targets = this.#targets;
    if (shape.hasHaving) throw new NoMerge('HAVING over several shards');
    if (shape.hasWindow) throw new NoMerge('window functions over groups');
    if (nodesOf(node, 'groupClause').some((item) => 'GroupingSet' in item))
      throw new NoMerge('GROUPING SETS');
    return targets.map(({ value, column }) => {
      if (column !== null) return null;
      const call = nodeOf(value ?? {}, 'FuncCall');
      if (call === undefined || !isAggregate(call))
        throw new NoMerge('an expression over groups of several shards');
      return this.#aggregate(call);
    });
  }

  #aggregate(call: SqlNode): AggregateKind {
    const path = pathOf(call, 'funcname');
    const name = path.at(-1) ?? '';
    const kind = path.length === 1 || path[0] === 'pg_catalog' ? KINDS.get(name) : undefined;
    const isPlain =
      call.agg_distinct !== true &&
      call.agg_within_group !== true &&
      call.func_variadic !== true &&
      nodesOf(call, 'agg_order').length === 0;
    if (kind === undefined || !isPlain) throw new NoMerge(`${name}() over several shards`);
    if (kind === 'count' || kind === 'bool_and' || kind === 'bool_or') return kind;
    const [argument, ...others] = nodesOf(call, 'args');
    const type = others.length === 0 ? this.#columnType(argument) : null;
    const isKnown =
      kind === 'sum' ? type !== null && SUMMABLE.has(type.type) && !type.isDomain : isSortable(type);
    if (!isKnown) throw new NoMerge(`${name}() of something whose sums or order Postgres alone knows`);
    return kind;
  }

  #columnType(node: SqlNode | undefined): CatalogColumn | null {
    const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
    const isWhole = path.length > 0 && path.length === nodesOf(nodeOf(node, 'ColumnRef'), 'fields').length;
    const found = isWhole ? this.#top.level.scope.find(path) : 'none';
    return typeof found === 'string' ? null : found.type;
  }

  /** Positions of the columns of GROUP BY, each of which is shown. */
  #group(aggregates: readonly (AggregateKind | null)[]): number[] {
    const { shape } = this.#top;
    const targets = this.#targets;
    const positions = (shape.group ?? []).map((column) => {
      const position = column === null ? -1 : targets.findIndex((target) => target.column === column);
      if (position < 0) throw new NoMerge('GROUP BY of something that is no column of the answer');
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

  #sortKey(item: SqlNode, aggregates: readonly (AggregateKind | null)[] | null): SortKey {
    const direction = textOf(item, 'sortby_dir');
    const nulls = textOf(item, 'sortby_nulls');
    if (direction === 'SORTBY_USING') throw new NoMerge('ORDER BY … USING');
    const column = this.#shownPosition(nodeOf(item, 'node') ?? {});
    const target = this.#targets[column];
    const call = nodeOf(target.value ?? {}, 'FuncCall');
    const isCount = call !== undefined && isAggregate(call) && pathOf(call, 'funcname').at(-1) === 'count';
    const kind = aggregates?.[column] ?? (isCount ? 'count' : null);
    const isNumber = kind === 'count' || kind === 'sum' || kind === 'bool_and' || kind === 'bool_or';
    const type =
      kind === 'min' || kind === 'max'
        ? this.#columnType(nodesOf(call, 'args')[0])
        : (target.column?.type ?? null);
    if (!isNumber && !isSortable(type)) {
      throw new NoMerge(
        'ORDER BY something whose order Postgres alone knows',
        'sort by numbers, times, or text COLLATE "C"',
      );
    }
    const isDescending = direction === 'SORTBY_DESC';
    const isNullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (nulls !== 'SORTBY_NULLS_LAST' && isDescending);
    return { column, isDescending, isNullsFirst };
  }

  /** Names mean what is shown first, then columns of FROM. */
  #shownPosition(node: SqlNode): number {
    const { level } = this.#top;
    const targets = this.#targets;
    const constant = nodeOf(node, 'A_Const');
    if (constant !== undefined) {
      const position = this.#ctx.literals === null ? nodeOf(constant, 'ival')?.ival : undefined;
      if (this.#ctx.literals !== null) this.#ctx.needsText = true;
      if (typeof position !== 'number' || targets[position - 1] === undefined) {
        throw new NoMerge('ORDER BY a position', 'sort by a name');
      }
      return position - 1;
    }
    const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
    if (path.length === 1) {
      const named = targets.flatMap(({ name }, i) => (name === path[0] ? [i] : []));
      const isSame = named.every(
        (i) => targets[i].column !== null && targets[i].column === targets[named[0]].column,
      );
      if (named.length === 1 || (named.length > 1 && isSame)) return named[0];
      if (named.length > 1) throw new NoMerge(`ORDER BY "${path[0]}", which several columns are called`);
    }
    // One without a name that is known here may have this one.
    if (path.length === 1 && targets.some(({ name }) => name === '')) {
      throw new NoMerge('ORDER BY beside columns without a name', 'give all columns a name');
    }
    const found = path.length > 0 ? new Scope(level.scope.parts, null).find(path) : 'none';
    const position =
      typeof found !== 'string'
        ? targets.findIndex(({ column }) => column === found)
        : targets.findIndex(({ value }) => value !== null && this.#isAlike(value, node));
    if (position < 0) throw new NoMerge('ORDER BY something that is no column of the answer');
    return position;
  }

  /** The same expression, written twice; of a shape all literals look the same. */
  #isAlike(one: SqlNode, other: SqlNode): boolean {
    const withoutPlaces = (key: string, value: unknown): unknown => (key === 'location' ? undefined : value);
    const text = JSON.stringify(one, withoutPlaces);
    const hasLiteral = this.#ctx.literals !== null && text.includes('"A_Const"');
    return !hasLiteral && text === JSON.stringify(other, withoutPlaces);
  }

  #count(key: 'limitCount' | 'limitOffset'): CountSource | null {
    const value = nodeOf(this.#top.node, key);
    if (value === undefined) return null;
    const number = nodeOf(value, 'ParamRef')?.number;
    if (typeof number === 'number') return { kind: 'parameter', number };
    const constant = nodeOf(value, 'A_Const');
    if (constant?.isnull === true) return null;
    if (constant !== undefined && 'ival' in constant) {
      const { literals } = this.#ctx;
      if (literals === null) return { kind: 'value', value: String(nodeOf(constant, 'ival')?.ival ?? 0) };
      const place = literals(typeof constant.location === 'number' ? constant.location : 0);
      if (place !== null && !place.isNegative) return { kind: 'literal', index: place.index };
    }
    throw new NoMerge('LIMIT or OFFSET of an expression', 'give a number or a parameter');
  }
}

function isSortable(type: CatalogColumn | null): boolean {
  return type !== null && !type.isDomain && type.isByteOrdered && SORTABLE.has(type.type);
}

function requireTextEqual(type: CatalogColumn | null, where: string): void {
  const isEqual = type !== null && !type.isDomain && type.isDeterministic && TEXT_EQUAL.has(type.type);
  if (!isEqual) throw new NoMerge(`${where} of something whose equality Postgres alone knows`);
}
