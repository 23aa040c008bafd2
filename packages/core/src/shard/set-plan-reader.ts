/** UNION, INTERSECT and EXCEPT over several shards: whether what shards answer to all of it has the whole answer in it. */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { type ApartGroupsReader, hasRowsOfItsOwn } from './apart-reading.js';
import { readLimits } from './count-reading.js';
import { columnFamily, isSameRule } from './key-family.js';
import { NoMerge, neverMerged } from './no-merge.js';
import type { SetTop, Shown, Target } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import type { MergePlan, PlainColumn, SortKey } from './shard-reading.js';
import { sortDirection } from './sort-reading.js';
import { columnCollation, knownEnums } from './text-order.js';
import { columnTypeName, isDeterministic, isOfOneScale, isSortable } from './value-facts.js';

/** `rows`: what shards show, one after the other. `values`: the same, but that several may show equal rows. `alike`: all shards show the same. */
type Form = 'rows' | 'values' | 'alike';

/** One SELECT of a set operation. */
interface Arm {
  readonly targets: readonly Target[] | null;
  readonly shown: Shown;
}

export function readSetPlan(ctx: ShardContext, shown: Shown, parts: ApartGroupsReader): MergePlan {
  return new SetPlanReader(ctx, parts).read(shown);
}

class SetPlanReader {
  readonly #ctx: ShardContext;
  readonly #parts: ApartGroupsReader;
  readonly #arms: Arm[] = [];
  readonly #plain: PlainColumn[] = [];

  constructor(ctx: ShardContext, parts: ApartGroupsReader) {
    this.#ctx = ctx;
    this.#parts = parts;
  }

  read(shown: Shown): MergePlan {
    const node = shown.set?.node ?? {};
    const form = this.#form(shown, true);
    if (textOf(node, 'limitOption') === 'LIMIT_OPTION_WITH_TIES') throw neverMerged('LIMIT … WITH TIES');
    const isDistinct = form === 'values';
    if (isDistinct) this.#requireTold();
    const sort = nodesOf(node, 'sortClause').map((each) => this.#sortKey(nodeOf(each, 'SortBy') ?? {}));
    const columns = this.#arms[0].targets ?? [];
    return {
      sort,
      group: null,
      aggregates: columns.map(() => null),
      isDistinct,
      ...readLimits(this.#ctx, node),
      ...knownEnums(this.#ctx),
      ...(this.#plain.length > 0 ? { plain: this.#plain } : {}),
    };
  }

  #form(shown: Shown, isTop = false): Form {
    return shown.set === undefined ? this.#armForm(shown) : this.#setForm(shown.set, isTop);
  }

  #armForm(shown: Shown): Form {
    const { top } = shown;
    this.#arms.push({ targets: top?.targets ?? null, shown });
    const group = this.#parts.of(shown);
    if (group === null) return 'alike';
    if (top === null || !this.#parts.isSplit(group, top))
      throw neverMerged(`${this.#parts.label(group)} is read where rows of all shards are needed`);
    if (top.shape.keepsShards) return 'rows';
    if (top.shape.keepsSets) return 'values';
    if (!hasRowsOfItsOwn(top))
      throw neverMerged(`an aggregate over rows of ${this.#parts.label(group)} beside another query`);
    this.#parts.single.add(group);
    return 'rows';
  }

  #setForm({ node, left, right }: SetTop, isTop: boolean): Form {
    const forms = [this.#form(left), this.#form(right)] as const;
    if (!isTop && ('limitCount' in node || 'limitOffset' in node))
      throw neverMerged('LIMIT or OFFSET within a set operation over several shards');
    const isAll = node.all === true;
    const [one, other] = forms;
    if (one === 'alike' && other === 'alike') return 'alike';
    const isByKey = one === 'rows' && other === 'rows' && this.#isByKey(left, right);
    switch (textOf(node, 'op')) {
      case 'SETOP_UNION':
        if (isByKey || (isAll && one === 'rows' && other === 'rows')) return 'rows';
        if (!isAll) return 'values';
        throw neverMerged('UNION ALL with rows that all shards have, or that DISTINCT has to tell apart');
      case 'SETOP_INTERSECT':
        if (isByKey) return 'rows';
        if (!isAll && forms.includes('alike')) return 'values';
        throw neverMerged(
          'INTERSECT of rows of several shards',
          'show the sharding key in the same column of both queries',
        );
      default:
        if (isByKey) return 'rows';
        if (!isAll && other === 'alike') return 'values';
        throw neverMerged(
          'EXCEPT of rows of several shards',
          'show the sharding key in the same column of both queries',
        );
    }
  }

  /** Equal rows of the two are on one shard: they show its key in one place. */
  #isByKey(left: Shown, right: Shown): boolean {
    const { graph, terms } = this.#ctx;
    if (left.isOpaque || right.isOpaque) return false;
    return left.columns.some(({ key, type }, i) => {
      const other = right.columns[i];
      if (key === null || !key.isExact || !other?.key?.isExact) return false;
      const isAlike = columnFamily(type) !== null && columnFamily(type) === columnFamily(other.type);
      return isAlike && isSameRule(graph.info(key.node), graph.info(other.key.node), terms.sharding);
    });
  }

  #targetsAt(column: number): (readonly [Target | null, Arm])[] {
    return this.#arms.map((arm) => [arm.targets?.[column] ?? null, arm] as const);
  }

  /** Rows are told apart by all of their columns. */
  #requireTold(): void {
    const columns = this.#arms[0].targets;
    if (columns === null || this.#arms.some(({ targets }) => targets === null))
      throw neverMerged('UNION of columns that are not known', 'name the columns');
    for (const [column] of columns.entries()) {
      const mayBeText = this.#targetsAt(column).every(([target, arm]) => isTold(target, arm));
      this.#plain.push({ column, mayBeText, mayBeInexact: this.#isOfOneScale(column) });
    }
  }

  /** numeric(10, 2): its values are equal only if they are written alike. */
  #isOfOneScale(column: number): boolean {
    const types = this.#targetsAt(column).map(([target]) => target?.column?.type ?? null);
    return types.every((type) => isOfOneScale(type) && type?.typmod === types[0]?.typmod);
  }

  /** A column's name as the first query has it, or its position. */
  #sortKey(item: SqlNode): SortKey {
    const node = nodeOf(item, 'node') ?? {};
    const column = this.#sortColumn(node);
    const collation = this.#collation(column);
    if (collation !== null) return { column, ...sortDirection(item), collation };
    if (!this.#isOrderKnown(column)) this.#plain.push({ column, mayBeText: false, mayBeInexact: true });
    return { column, ...sortDirection(item) };
  }

  #sortColumn(node: SqlNode): number {
    const targets = this.#arms[0].targets ?? [];
    const constant = nodeOf(node, 'A_Const');
    if (constant !== undefined) {
      const position = this.#ctx.literals === null ? nodeOf(constant, 'ival')?.ival : undefined;
      if (typeof position === 'number' && position >= 1 && position <= targets.length) return position - 1;
      throw new NoMerge('ORDER BY a position', 'sort by a name');
    }
    const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
    const named = targets.flatMap(({ name }, i) => (path.length === 1 && name === path[0] ? [i] : []));
    if (named.length === 1 && !targets.some(({ name }) => name === '')) return named[0];
    throw neverMerged(
      'ORDER BY of a set operation by what is no name of a column',
      'sort by a column that is shown',
    );
  }

  /** The one of all arms; null: there is none, or Postgres alone knows which. */
  #collation(column: number): string | null {
    const [first, ...others] = this.#targetsAt(column).map(([target]) =>
      columnCollation(target?.column?.type ?? null),
    );
    return others.every((other) => other === first) ? (first ?? null) : null;
  }

  /** Floats may look the same in text: those are for the answer to tell. */
  #isOrderKnown(column: number): boolean {
    const types = this.#targetsAt(column).map(([target]) => target?.column?.type ?? null);
    const name = columnTypeName(types[0] ?? null);
    if (name === null || name === 'float4' || name === 'float8') return false;
    return types.every((type) => isSortable(type) && columnTypeName(type) === name);
  }
}

/** If it is text, equal is of the same bytes. */
function isTold(target: Target | null, { shown }: Arm): boolean {
  if (target === null || shown.top === null) return false;
  const { column, value } = target;
  if (column !== null) return column.type?.isDeterministic === true;
  return value !== null && isDeterministic(value, shown.top.level);
}
