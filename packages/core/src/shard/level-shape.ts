import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { isAggregate } from './call-reading.js';
import { findColumn } from './expression-reading.js';
import type { Level, Target } from './query-reading.js';
import { type KeyColumn, Scope, type ShownColumn } from './shard-scope.js';

/** Which rows of one level of a query have to do with each other. */
export class LevelShape {
  readonly hasLimit: boolean;
  readonly hasLock: boolean;
  readonly distinct: 'no' | 'all' | 'on';
  readonly hasHaving: boolean;
  readonly hasAggregate: boolean;
  readonly hasWindow: boolean;
  /** Calls of window functions. */
  readonly windowCount: number;
  /** GROUP BY has a position that cannot be looked at. */
  readonly hasHiddenPosition: boolean;
  /** Of FROM here, not of a query further out. */
  readonly #nodes: ReadonlySet<number>;
  /** GROUP BY: each of its columns, null for what is no plain one. null: there is none. */
  readonly group: readonly (ShownColumn | null)[] | null;
  readonly #windows: readonly (readonly KeyColumn[])[];
  readonly #shownKeys: readonly KeyColumn[];

  /** @param isText its constants may be looked at */
  constructor(node: SqlNode, level: Level, targets: readonly Target[], isText: boolean) {
    const distinct = node.distinctClause;
    this.#nodes = level.scope.nodes;
    this.hasLimit = nodeOf(node, 'limitCount') !== undefined || nodeOf(node, 'limitOffset') !== undefined;
    this.hasLock = nodesOf(node, 'lockingClause').length > 0;
    const isOn =
      Array.isArray(distinct) && distinct.some((each) => isSqlNode(each) && Object.keys(each).length > 0);
    this.distinct = !Array.isArray(distinct) ? 'no' : isOn ? 'on' : 'all';
    this.hasHaving = nodeOf(node, 'havingClause') !== undefined;
    const overs: SqlNode[] = [];
    this.hasAggregate = findCalls([node.targetList, node.havingClause, node.sortClause], overs);
    this.windowCount = overs.length;
    this.hasWindow = overs.length > 0;
    const groups = nodesOf(node, 'groupClause');
    this.hasHiddenPosition = !isText && groups.some((item) => 'A_Const' in item);
    this.group = groups.length === 0 ? null : groups.map((item) => groupColumn(item, level, targets, isText));
    this.#windows = overs.map((over) => partition(over, node, level));
    this.#shownKeys = targets.flatMap(({ column }) => column?.key ?? []);
  }

  /** Which rows there are depends on their order. */
  get isOrdered(): boolean {
    return this.hasLimit || this.distinct === 'on';
  }

  /** Rows of different keys do not meet in it: conditions on the key can be taken before or after. */
  separates(node: number): boolean {
    // A query further out shows its rows whether or not this one does.
    if (!this.#nodes.has(node)) return false;
    if (this.hasLimit || this.hasLock || this.distinct === 'on') return false;
    const { isGrouped } = this;
    const isKey = (key: KeyColumn): boolean => key.node === node;
    if (isGrouped && !(this.group ?? []).some((column) => column?.key && isKey(column.key))) return false;
    return this.#windows.every((keys) => keys.some(isKey));
  }

  /** Groups are whole on one shard. */
  get isGroupedByKey(): boolean {
    return (this.group ?? []).some((column) => column?.key && this.#isExact(column.key));
  }

  get areWindowsByKey(): boolean {
    return this.#windows.every((keys) => keys.some((key) => this.#isExact(key)));
  }

  /** Rows of different values of it are never on one shard together. */
  isKey(column: ShownColumn | null): boolean {
    return column?.key != null && this.#isExact(column.key);
  }

  get showsKey(): boolean {
    return this.#shownKeys.some((key) => this.#isExact(key));
  }

  #isExact({ node, isExact }: KeyColumn): boolean {
    return isExact && this.#nodes.has(node);
  }

  /** What it shows is what the shards show, one after the other. */
  get keepsShards(): boolean {
    return this.keepsSets && (this.distinct !== 'all' || this.showsKey);
  }

  /** The same but for rows that are equal, of which several shards may show one each. */
  get keepsSets(): boolean {
    if (this.hasLimit || this.hasLock || this.distinct === 'on') return false;
    return (!this.isGrouped || this.isGroupedByKey) && this.areWindowsByKey;
  }

  get isGrouped(): boolean {
    return this.group !== null || this.hasAggregate || this.hasHaving;
  }
}

/** Adds window definitions that are used to `overs`. @returns whether there is an aggregate */
function findCalls(root: SqlValue, overs: SqlNode[]): boolean {
  let hasAggregate = false;
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    if (!isSqlNode(value)) continue;
    for (const key in value) {
      const inner = nodeOf(value, key);
      // Of subqueries' own.
      if (key === 'SubLink') {
        stack.push(inner?.testexpr);
        continue;
      }
      if (key === 'over' && inner !== undefined) overs.push(inner);
      if (key === 'FuncCall' && inner !== undefined && isAggregate(inner)) hasAggregate = true;
      if (key === 'GroupingFunc') hasAggregate = true;
      if (key === 'JsonObjectAgg' || key === 'JsonArrayAgg') {
        if (nodeOf(nodeOf(inner, 'constructor'), 'over') === undefined) hasAggregate = true;
      }
      stack.push(value[key]);
    }
  }
  return hasAggregate;
}

function partition(over: SqlNode, node: SqlNode, level: Level): KeyColumn[] {
  const name = textOf(over, 'name');
  const named = nodesOf(node, 'windowClause').map((each) => nodeOf(each, 'WindowDef'));
  const window = name === '' ? over : named.find((each) => textOf(each, 'name') === name);
  // One that is made of another one is not followed.
  if (window === undefined || textOf(window, 'refname') !== '') return [];
  return nodesOf(window, 'partitionClause').flatMap((each) => findColumn(each, level)?.key ?? []);
}

/** Names mean columns of FROM first, then of what is shown, then of queries further out. */
function groupColumn(
  item: SqlNode,
  level: Level,
  targets: readonly Target[],
  isText: boolean,
): ShownColumn | null {
  const constant = nodeOf(item, 'A_Const');
  if (constant !== undefined) {
    const position = nodeOf(constant, 'ival')?.ival;
    return isText && typeof position === 'number' ? (targets[position - 1]?.column ?? null) : null;
  }
  const reference = nodeOf(item, 'ColumnRef');
  const path = pathOf(reference, 'fields');
  if (path.length === 1) {
    const scope = new Scope(level.scope.parts, null);
    const own = scope.find(path);
    if (typeof own !== 'string') return own;
    const shown = targets.filter(({ name }) => name === path[0]);
    if (shown.length > 0 && scope.mayHave(path[0])) return null;
    if (shown.length > 0) return shown.length === 1 ? shown[0].column : null;
    if (targets.some(({ name }) => name === '')) return null;
  }
  return findColumn(item, level);
}
