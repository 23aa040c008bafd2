import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { type Cte, openWith, readUnusedCtes } from './cte-reading.js';
import { readExpression } from './expression-reading.js';
import { readFrom } from './from-reading.js';
import { readCondition } from './key-conditions.js';
import { columnFamily } from './key-family.js';
import { itemsOf } from './key-source.js';
import { LevelShape } from './level-shape.js';
import type { CatalogColumn } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import { type Entry, type FromPart, Scope, type ShownColumn } from './shard-scope.js';
import { isBuiltin, isDeterministic, isOfOneScaleAs } from './value-facts.js';

/** One level of a query: what names mean there, and the queries read in its expressions. */
export interface Level {
  readonly scope: Scope;
  readonly ctes: Cte | null;
  readonly sublinks: Map<SqlNode, Shown>;
}

/** One column of what a query shows. */
export interface Target {
  readonly name: string;
  /** null: of a star. */
  readonly value: SqlNode | null;
  /** Where it is a plain column. */
  readonly column: ShownColumn | null;
}

/** What a query shows. */
export interface Shown {
  readonly columns: readonly ShownColumn[];
  /** There may be more columns, in between as well. */
  readonly isOpaque: boolean;
  /** See FromPart. */
  readonly splits: readonly number[];
  /** Of a plain SELECT. */
  readonly top: Top | null;
  /** Of UNION, INTERSECT, EXCEPT; absent: something else. */
  readonly set?: SetTop;
  /** Keys that were read for it, as numbers of the graph: [from, to). */
  readonly keys?: readonly [from: number, to: number];
}

/** A set operation, and what it is made of. */
export interface SetTop {
  readonly node: SqlNode;
  readonly left: Shown;
  readonly right: Shown;
  /** What depends on the order of rows within the two, or before them; null: nothing. */
  readonly unordered: string | null;
}

export interface Top {
  readonly node: SqlNode;
  readonly level: Level;
  readonly shape: LevelShape;
  /** null: it shows columns that are not known. */
  readonly targets: readonly Target[] | null;
  /** Of FROM, before the level's own grouping and limits. */
  readonly splits: readonly number[];
}

const UNNAMED = '?column?';

export const NO_SHOWN: Shown = { columns: [], isOpaque: true, splits: [], top: null };

/** @param outer what its expressions can see of queries around it */
export function readSelect(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  if (!ctx.enter()) return NO_SHOWN;
  if (nodeOf(node, 'intoClause') !== undefined) ctx.refuse('SELECT INTO makes a table');
  const visible = openWith(ctx, nodeOf(node, 'withClause'), outer, ctes);
  ctx.depth++;
  const from = ctx.graph.size;
  const shown =
    nodeOf(node, 'larg') !== undefined
      ? readSetOperation(ctx, node, outer, visible)
      : nodesOf(node, 'valuesLists').length > 0
        ? readValues(ctx, node, outer, visible)
        : readPlain(ctx, node, outer, visible);
  const keys = [from, ctx.graph.size] as const;
  readUnusedCtes(ctx, visible, ctes);
  ctx.depth--;
  return { ...shown, keys };
}

function readPlain(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  const parts = readFrom(ctx, nodesOf(node, 'fromClause'), outer, ctes);
  const level: Level = { scope: new Scope(parts, outer), ctes, sublinks: new Map() };
  readCondition(ctx, nodeOf(node, 'whereClause'), level, level.scope.nodes);
  readExpression(ctx, node.whereClause, level, true);
  for (const key of ['targetList', 'groupClause', 'havingClause', 'windowClause', 'distinctClause']) {
    readExpression(ctx, node[key], level);
  }
  readTail(ctx, node, level);
  const targets = expandTargets(nodesOf(node, 'targetList'), level);
  const shape = new LevelShape(uncut(ctx, node), level, targets ?? [], ctx.literals === null);
  if (shape.isOrdered) noteOrder(ctx, parts);
  if (shape.hasHiddenPosition) ctx.hasHiddenPosition = true;
  const fromSplits = parts.flatMap(({ splits }) => splits);
  return {
    // Nobody asks further for what the whole statement shows.
    columns:
      ctx.depth > 1 ? showColumns(ctx, withMade(targets ?? [], level), (key) => shape.separates(key)) : [],
    isOpaque: targets === null,
    splits: shape.keepsShards ? fromSplits : [],
    top: { node, level, shape, targets, splits: fromSplits },
  };
}

/** Without an OFFSET that is taken for 0: then it leaves out nothing. */
function uncut(ctx: ShardContext, node: SqlNode): SqlNode {
  const number = nodeOf(nodeOf(node, 'limitOffset'), 'ParamRef')?.number;
  if (ctx.depth < 2 || typeof number !== 'number' || 'limitCount' in node) return node;
  ctx.offsets.add(number);
  if (ctx.terms.takesOffsetsForZero !== true) return node;
  const { limitOffset: _none, ...rest } = node;
  return rest;
}

/** Of a table that is whole on every shard each may take other rows first. */
function noteOrder(ctx: ShardContext, parts: readonly FromPart[]): void {
  ctx.unordered ??= 'LIMIT or DISTINCT ON';
  const isAllSharded =
    parts.length > 0 && parts.every(({ entries }) => entries.every(({ isSharded }) => isSharded));
  if (ctx.depth > 1 && !isAllSharded) ctx.refuseSpread('LIMIT or DISTINCT ON in a subquery');
}

/** A name that is given to what is shown means that, be it one of a system column. */
function isShownName(item: SqlNode, names: ReadonlySet<string>): boolean {
  const path = pathOf(nodeOf(nodeOf(nodeOf(item, 'SortBy'), 'node'), 'ColumnRef'), 'fields');
  const isPlain = pathOf(nodeOf(item, 'SortBy'), 'useOp').length === 0;
  return isPlain && path.length === 1 && names.has(path[0]);
}

/** ORDER BY, LIMIT and FOR UPDATE. */
function readTail(ctx: ShardContext, node: SqlNode, level: Level): void {
  const shown = new Set(nodesOf(node, 'targetList').map((each) => textOf(nodeOf(each, 'ResTarget'), 'name')));
  for (const each of nodesOf(node, 'sortClause'))
    if (!isShownName(each, shown)) readExpression(ctx, each, level);
  for (const key of ['limitCount', 'limitOffset']) readExpression(ctx, node[key], level);
  for (const key of ['limitCount', 'limitOffset']) ctx.useParameter(nodeOf(node, key), 'integer');
  const locks = nodesOf(node, 'lockingClause');
  // Each shard locks what it reads, and no more than one server would: not where others' rows decide which are left out.
  const isCut = ctx.depth > 1 || 'limitCount' in node || 'limitOffset' in node;
  if (locks.length > 0 && isCut)
    ctx.refuseSpread('rows of several shards are locked by a subquery, or with LIMIT');
  for (const clause of locks) readLocks(ctx, nodeOf(clause, 'LockingClause'), level);
}

/** Locks on a table that is whole on every shard are seen by those only who ask the same shard. */
function readLocks(ctx: ShardContext, clause: SqlNode | undefined, level: Level): void {
  const names = nodesOf(clause, 'lockedRels').map((each) => textOf(nodeOf(each, 'RangeVar'), 'relname'));
  const entries: (Entry | null)[] =
    names.length === 0
      ? level.scope.parts.flatMap((part) => [...part.entries])
      : names.map((name) => level.scope.entry([name]));
  const other = entries.find((entry) => entry === null || !entry.isSharded);
  if (other !== undefined || entries.length === 0) ctx.omniLock ??= other?.name ?? 'a table';
}

/** What is made of columns, with what can be said of its values. */
function withMade(targets: readonly Target[], level: Level): readonly Target[] {
  return targets.map((target) => {
    const { value, column, name } = target;
    if (value === null || column !== null) return target;
    const made = {
      isBuiltin: isBuiltin(value, level),
      isDeterministic: isDeterministic(value, level),
      isOfOneScale: isOfOneScaleAs(value, level),
    };
    return { ...target, column: { name, key: null, type: null, made } };
  });
}

/** @param separates whether a condition on the column may as well be one on the tables behind it */
export function showColumns(
  ctx: ShardContext,
  targets: readonly Target[],
  separates: (node: number) => boolean,
): ShownColumn[] {
  // A key may be shown more than once.
  const nodes = new Map<number, number>();
  return targets.map(({ name, column }) => {
    const key = column?.key ?? null;
    const made = column?.made === undefined ? {} : { made: column.made };
    if (key === null) return { name, key: null, type: column?.type ?? null, ...made };
    const node = nodes.get(key.node) ?? ctx.graph.add(ctx.graph.info(key.node), false);
    nodes.set(key.node, node);
    ctx.graph.link(key.node, node);
    if (separates(key.node)) ctx.graph.link(node, key.node);
    return { name, key: { ...key, node, isOwn: false }, type: column?.type ?? null };
  });
}

/** null: it has a star of something whose columns are not known. */
export function expandTargets(list: readonly SqlNode[], level: Level): Target[] | null {
  const targets: Target[] = [];
  for (const each of list) {
    const target = nodeOf(each, 'ResTarget') ?? {};
    const value = nodeOf(target, 'val') ?? {};
    const fields = nodesOf(nodeOf(value, 'ColumnRef'), 'fields');
    if (fields.length > 0 && 'A_Star' in fields[fields.length - 1]) {
      const path = pathOf(nodeOf(value, 'ColumnRef'), 'fields').slice(0, -1);
      const starred: Pick<Entry, 'columns' | 'isOpaque'> | null =
        path.length === 0 ? level.scope : level.scope.entry(path);
      if (starred === null || starred.isOpaque) return null;
      for (const column of starred.columns) targets.push({ name: column.name, value: null, column });
      continue;
    }
    const path = pathOf(nodeOf(value, 'ColumnRef'), 'fields');
    const found = fields.length > 0 && path.length === fields.length ? level.scope.find(path) : null;
    const column = found === null || typeof found === 'string' ? null : found;
    targets.push({ name: textOf(target, 'name') || nameOf(value), value, column });
  }
  return targets;
}

/** What Postgres calls a column without a name of its own; '' where that takes more. */
function nameOf(value: SqlNode): string {
  const kind = Object.keys(value)[0] ?? '';
  const node = nodeOf(value, kind);
  switch (kind) {
    case 'ColumnRef':
      return pathOf(node, 'fields').at(-1) ?? '';
    case 'FuncCall':
      return pathOf(node, 'funcname').at(-1) ?? '';
    case 'CollateClause':
      return nameOf(nodeOf(node, 'arg') ?? {});
    case 'TypeCast': {
      const name = nameOf(nodeOf(node, 'arg') ?? {});
      return name === UNNAMED ? (pathOf(nodeOf(node, 'typeName'), 'names').at(-1) ?? '') : name;
    }
    case 'A_Const':
    case 'ParamRef':
    case 'BoolExpr':
    case 'NullTest':
      return UNNAMED;
    case 'A_Expr':
      return textOf(node, 'kind') === 'AEXPR_NULLIF' ? 'nullif' : UNNAMED;
    default:
      return '';
  }
}

function readValues(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  const level: Level = { scope: new Scope([], outer), ctes, sublinks: new Map() };
  const lists = nodesOf(node, 'valuesLists');
  for (const list of lists) readExpression(ctx, list, level);
  readTail(ctx, node, level);
  const columns = itemsOf(lists[0]).map((_, i) => ({ name: `column${i + 1}`, key: null, type: null }));
  return { columns, isOpaque: false, splits: [], top: null };
}

/** UNION, INTERSECT, EXCEPT: equal rows are of one shard whatever is done with them, if they show a key in one place. */
function readSetOperation(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  const left = readSelect(ctx, nodeOf(node, 'larg') ?? {}, outer, ctes);
  const right = readSelect(ctx, nodeOf(node, 'rarg') ?? {}, outer, ctes);
  const hasLimit = nodeOf(node, 'limitCount') !== undefined || nodeOf(node, 'limitOffset') !== undefined;
  const { unordered } = ctx;
  if (hasLimit) noteOrder(ctx, []);
  const columns = combineArms(ctx, left, right, !hasLimit);
  const own: FromPart = { entries: [], columns, isOpaque: true, nodes: [], splits: [] };
  readTail(ctx, node, { scope: new Scope([own], outer), ctes, sublinks: new Map() });
  const isOpaque = left.isOpaque || right.isOpaque;
  return { columns, isOpaque, splits: [], top: null, set: { node, left, right, unordered } };
}

/** The type alone: values of several columns are as each of them has them. */
export function unmodified(type: CatalogColumn | null): CatalogColumn | null {
  return type === null || type.typmod < 0 ? type : { ...type, typmod: -1 };
}

export function combineArms(
  ctx: ShardContext,
  left: Shown,
  right: Shown,
  isSeparate: boolean,
): ShownColumn[] {
  return left.columns.map(({ name, key, type }, i) => {
    const other = right.columns[i];
    const isAlike = columnFamily(type) !== null && columnFamily(type) === columnFamily(other?.type ?? null);
    const shown = { name, key: null, type: isAlike ? unmodified(type) : null };
    if (key === null || !other?.key || !isSeparate || left.isOpaque || right.isOpaque) return shown;
    const node = ctx.graph.add(ctx.graph.info(key.node), false);
    ctx.graph.link(node, key.node);
    ctx.graph.link(node, other.key.node);
    const isLinked = ctx.graph.reaches(node, key.node) && ctx.graph.reaches(node, other.key.node);
    return isLinked ? { ...shown, key: { node, isExact: false, isOwn: false } } : shown;
  });
}
