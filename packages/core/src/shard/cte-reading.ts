import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readWrite } from './change-reading.js';
import { combineArms, NO_SHOWN, readSelect, type Shown, unmodified } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import { renamed, type Scope, type ShownColumn } from './shard-scope.js';

/** A common table expression. What names it can see is the list of those behind `ctes`. */
export interface Cte {
  readonly name: string;
  readonly next: Cte | null;
  readonly query: SqlNode;
  readonly columns: readonly string[];
  readonly outer: Scope | null;
  /** Of those that change rows: done once, wherever it is named. */
  readonly done: Shown | null;
  readonly isRecursive: boolean;
  readonly hasMore: boolean;
  ctes: Cte | null;
  isUsed: boolean;
  /** While its second arm is read: what it has found so far. */
  working: Shown | null;
  isWorkingUsed: boolean;
}

/** Those of a WITH clause see the ones before them, or all of their clause when it is RECURSIVE. */
export function openWith(
  ctx: ShardContext,
  clause: SqlNode | undefined,
  outer: Scope | null,
  before: Cte | null,
): Cte | null {
  const isRecursive = clause?.recursive === true;
  const opened: Cte[] = [];
  let list = before;
  for (const each of nodesOf(clause, 'ctes')) {
    const node = nodeOf(each, 'CommonTableExpr') ?? {};
    const query = nodeOf(node, 'ctequery') ?? {};
    const kind = Object.keys(query)[0] ?? '';
    const isSelect = kind === 'SelectStmt';
    if (!isSelect) ctx.refuseSpread('a WITH clause changes rows');
    const cte: Cte = {
      name: textOf(node, 'ctename'),
      next: list,
      query: nodeOf(query, kind) ?? {},
      columns: pathOf(node, 'aliascolnames'),
      outer,
      done: isSelect ? null : readWrite(ctx, kind, nodeOf(query, kind) ?? {}, outer, list),
      isRecursive,
      hasMore: nodeOf(node, 'search_clause') !== undefined || nodeOf(node, 'cycle_clause') !== undefined,
      ctes: list,
      isUsed: !isSelect,
      working: null,
      isWorkingUsed: false,
    };
    opened.push(cte);
    list = cte;
  }
  if (isRecursive) for (const cte of opened) cte.ctes = list;
  return list;
}

/** Of those that nothing names: they do not run, but they must be understood. */
export function readUnusedCtes(ctx: ShardContext, from: Cte | null, to: Cte | null): void {
  for (let cte = from; cte !== null && cte !== to; cte = cte.next) if (!cte.isUsed) readCte(ctx, cte);
}

export function findCte(name: string, ctes: Cte | null): Cte | null {
  for (let cte = ctes; cte !== null; cte = cte.next) if (cte.name === name) return cte;
  return null;
}

/** Each mention is read as if the query stood there: what restricts one mention says nothing of another. */
export function readCte(ctx: ShardContext, cte: Cte): Shown {
  cte.isUsed = true;
  if (cte.working !== null) {
    cte.isWorkingUsed = true;
    return cte.working;
  }
  const shown =
    cte.done ??
    (cte.isRecursive && nodeOf(cte.query, 'larg') !== undefined
      ? readRecursive(ctx, cte)
      : readSelect(ctx, cte.query, cte.outer, cte.ctes));
  return { ...shown, columns: renamed(shown.columns, cte.columns), isOpaque: shown.isOpaque || cte.hasMore };
}

/**
 * The rows of the second arm have the keys of the first one's where it carries them on: its column is equal to what it
 * reads of itself.
 */
function readRecursive(ctx: ShardContext, cte: Cte): Shown {
  const { query, outer } = cte;
  if (!ctx.enter() || nodeOf(query, 'withClause') !== undefined) {
    ctx.refuse('WITH in a recursive query');
    return NO_SHOWN;
  }
  const { graph } = ctx;
  const base = readSelect(ctx, nodeOf(query, 'larg') ?? {}, outer, cte.ctes);
  const columns: ShownColumn[] = base.columns.map(({ name, key, type }) => {
    if (key === null) return { name, key: null, type: null };
    const node = graph.add(graph.info(key.node), false);
    graph.link(key.node, node);
    return { name, key: { node, isExact: false, isOwn: false }, type: unmodified(type) };
  });
  cte.isWorkingUsed = false;
  cte.working = { columns: renamed(columns, cte.columns), isOpaque: base.isOpaque, splits: [], top: null };
  const step = readSelect(ctx, nodeOf(query, 'rarg') ?? {}, outer, cte.ctes);
  cte.working = null;
  const hasTail = ['sortClause', 'limitCount', 'limitOffset', 'lockingClause'].some((key) => key in query);
  if (hasTail) ctx.refuse('ORDER BY or LIMIT of a recursive query');
  if (!cte.isWorkingUsed) {
    return {
      columns: combineArms(ctx, base, step, true),
      isOpaque: base.isOpaque || step.isOpaque,
      splits: [],
      top: null,
    };
  }
  const isOpaque = base.isOpaque || step.isOpaque;
  const carried = isOpaque ? new Set<number>() : carriedColumns(ctx, columns, step);
  for (const [i, { key }] of columns.entries()) if (key !== null && !carried.has(i)) graph.isolate(key.node);
  const shown = base.columns.map(({ name }, i): ShownColumn => {
    const key = carried.has(i) ? columns[i].key : null;
    if (key === null) return { name, key: null, type: null };
    const node = graph.add(graph.info(key.node), false);
    graph.link(key.node, node);
    return { name, key: { node, isExact: false, isOwn: false }, type: columns[i].type };
  });
  return { columns: shown, isOpaque, splits: [], top: null };
}

/** Positions where each step shows the key it began with; one that does not may take the ground from others. */
function carriedColumns(ctx: ShardContext, columns: readonly ShownColumn[], step: Shown): Set<number> {
  const carried = new Set(columns.flatMap(({ key }, i) => (key === null ? [] : [i])));
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const i of carried) {
      const from = columns[i].key?.node ?? 0;
      const to = step.columns[i]?.key?.node;
      if (to !== undefined && ctx.graph.reaches(from, to)) continue;
      carried.delete(i);
      ctx.graph.isolate(from);
      isChanged = true;
    }
  }
  return carried;
}
