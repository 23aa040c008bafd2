import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { findColumn, readSubLink } from './expression-reading.js';
import { itemsOf, readArray, readList, readSource, withoutNulls } from './key-source.js';
import type { Level } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import type { KeySource } from './shard-reading.js';
import type { KeyColumn } from './shard-scope.js';

type Pins = ReadonlyMap<number, readonly KeySource[]>;

const NO_PINS: Pins = new Map();

/**
 * What a condition says of keys: of WHERE, of ON.
 * @param targets nodes of which rows that fail it do not count
 */
export function readCondition(
  ctx: ShardContext,
  condition: SqlNode | undefined,
  level: Level,
  targets: ReadonlySet<number>,
): void {
  for (const part of conjuncts(condition)) {
    for (const [node, sources] of pinsOf(ctx, part, level))
      if (targets.has(node)) ctx.graph.pin(node, sources);
    for (const [one, other] of linksOf(ctx, part, level)) {
      // What is outside of the targets, a query further out for one, is given; it restricts and is not restricted.
      if (targets.has(other.node)) ctx.graph.link(one.node, other.node);
      if (targets.has(one.node)) ctx.graph.link(other.node, one.node);
    }
    readMembership(ctx, part, level, targets);
  }
}

function conjuncts(condition: SqlNode | undefined): SqlNode[] {
  const parts: SqlNode[] = [];
  const stack = condition === undefined ? [] : [condition];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const both = nodeOf(node, 'BoolExpr');
    if (textOf(both, 'boolop') === 'AND_EXPR') stack.push(...nodesOf(both, 'args').toReversed());
    else parts.push(node);
  }
  return parts;
}

function isEquals(node: SqlNode): boolean {
  const path = pathOf(node, 'name');
  return path.at(-1) === '=' && (path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog'));
}

/** Keys that can only have certain values where the condition holds. */
function pinsOf(ctx: ShardContext, node: SqlNode, level: Level): Pins {
  const logic = nodeOf(node, 'BoolExpr');
  if (logic !== undefined) return pinsOfLogic(ctx, logic, level);
  const test = nodeOf(node, 'NullTest');
  if (test !== undefined) return pinsOfNull(test, level);
  const comparison = nodeOf(node, 'A_Expr');
  if (comparison === undefined || !isEquals(comparison)) return NO_PINS;
  const left = nodeOf(comparison, 'lexpr');
  const right = nodeOf(comparison, 'rexpr');
  if (left === undefined || right === undefined) return NO_PINS;
  switch (textOf(comparison, 'kind')) {
    case 'AEXPR_OP':
      return pinsOfPairs(ctx, pairs(left, right), level);
    case 'AEXPR_IN':
      return pinsOfList(ctx, left, itemsOf(right), level);
    case 'AEXPR_OP_ANY': {
      const key = findColumn(left, level)?.key ?? null;
      if (key === null) return NO_PINS;
      const sources = readArray(right, ctx.graph.info(key.node).family, ctx.literals);
      return sources === null ? NO_PINS : new Map([[key.node, sources]]);
    }
    case 'AEXPR_NOT_DISTINCT':
      return pinsOfSame(ctx, left, right, level);
    default:
      return NO_PINS;
  }
}

/** All of AND hold; of OR only what each of its arms says. */
function pinsOfLogic(ctx: ShardContext, logic: SqlNode, level: Level): Pins {
  const operator = textOf(logic, 'boolop');
  if (operator === 'NOT_EXPR') return NO_PINS;
  const arms = nodesOf(logic, 'args').map((argument) => pinsOf(ctx, argument, level));
  const pins = new Map<number, readonly KeySource[]>();
  if (operator === 'AND_EXPR') {
    for (const arm of arms) for (const [node, sources] of arm) if (!pins.has(node)) pins.set(node, sources);
    return pins;
  }
  if (operator !== 'OR_EXPR') return NO_PINS;
  for (const node of arms[0]?.keys() ?? []) {
    if (arms.every((arm) => arm.has(node)))
      pins.set(
        node,
        arms.flatMap((arm) => [...(arm.get(node) ?? [])]),
      );
  }
  return pins;
}

/** An outer join makes nulls that are no rows: there IS NULL says nothing of the key. */
function pinsOfNull(test: SqlNode, level: Level): Pins {
  if (textOf(test, 'nulltesttype') !== 'IS_NULL') return NO_PINS;
  const key = findColumn(nodeOf(test, 'arg'), level)?.key;
  return key?.isExact && key.isOwn ? new Map([[key.node, [{ kind: 'null' }]]]) : NO_PINS;
}

/** IS NOT DISTINCT FROM: a parameter may be null, and then means what IS NULL means. */
function pinsOfSame(ctx: ShardContext, left: SqlNode, right: SqlNode, level: Level): Pins {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ]) {
    const key = findColumn(one, level)?.key;
    if (!key) continue;
    const source = readSource(other, ctx.graph.info(key.node).family, ctx.literals);
    const isNullToo = source?.kind === 'null' && !(key.isExact && key.isOwn);
    if (source === null || source.kind === 'parameter' || isNullToo) continue;
    return new Map([[key.node, [source]]]);
  }
  return NO_PINS;
}

/** Of `a = b`, and of `(a, c) = (b, d)`. */
function pairs(left: SqlNode, right: SqlNode): (readonly [SqlNode, SqlNode])[] {
  const lefts = nodesOf(nodeOf(left, 'RowExpr'), 'args');
  const rights = nodesOf(nodeOf(right, 'RowExpr'), 'args');
  if (lefts.length === 0 && rights.length === 0) return [[left, right]];
  return lefts.length === rights.length ? lefts.map((each, i) => [each, rights[i]] as const) : [];
}

function pinsOfPairs(ctx: ShardContext, all: readonly (readonly [SqlNode, SqlNode])[], level: Level): Pins {
  const pins = new Map<number, readonly KeySource[]>();
  for (const [left, right] of all) {
    for (const [one, other] of [
      [left, right],
      [right, left],
    ]) {
      const key = findColumn(one, level)?.key;
      if (!key || pins.has(key.node)) continue;
      const source = readSource(other, ctx.graph.info(key.node).family, ctx.literals);
      // transform_null_equals makes IS NULL of it.
      const isNullToo = source?.kind === 'null' && !(key.isExact && key.isOwn);
      if (source !== null && !isNullToo) pins.set(key.node, [source]);
    }
  }
  return pins;
}

/** IN (…), also of rows. */
function pinsOfList(ctx: ShardContext, left: SqlNode, items: readonly SqlNode[], level: Level): Pins {
  const parts = nodesOf(nodeOf(left, 'RowExpr'), 'args');
  if (parts.length === 0) {
    const key = findColumn(left, level)?.key;
    if (!key) return NO_PINS;
    const sources = readList(items, ctx.graph.info(key.node).family, ctx.literals);
    return sources === null ? NO_PINS : new Map([[key.node, sources]]);
  }
  const pins = new Map<number, readonly KeySource[]>();
  for (const [i, part] of parts.entries()) {
    const key = findColumn(part, level)?.key;
    if (!key) continue;
    const { family } = ctx.graph.info(key.node);
    const sources = items.map((item) => {
      const args = nodesOf(nodeOf(item, 'RowExpr'), 'args');
      return args.length === parts.length ? readSource(args[i], family, ctx.literals) : null;
    });
    const known = sources.filter((source) => source !== null);
    const list = known.length === sources.length ? withoutNulls(known) : null;
    if (list !== null) pins.set(key.node, list);
  }
  return pins;
}

type Link = readonly [KeyColumn, KeyColumn];

/** Keys that are equal where the condition holds. */
function linksOf(ctx: ShardContext, node: SqlNode, level: Level): Link[] {
  const comparison = nodeOf(node, 'A_Expr');
  if (comparison === undefined || !isEquals(comparison) || textOf(comparison, 'kind') !== 'AEXPR_OP')
    return [];
  const left = nodeOf(comparison, 'lexpr');
  const right = nodeOf(comparison, 'rexpr');
  if (left === undefined || right === undefined) return [];
  return pairs(left, right).flatMap(([one, other]) => {
    const keys = [keyOf(ctx, one, level), keyOf(ctx, other, level)];
    return keys[0] !== null && keys[1] !== null ? [[keys[0], keys[1]] as const] : [];
  });
}

/** Of a column, or of a query that shows one row. */
function keyOf(ctx: ShardContext, node: SqlNode, level: Level): KeyColumn | null {
  const link = nodeOf(node, 'SubLink');
  if (link === undefined) return findColumn(node, level)?.key ?? null;
  if (textOf(link, 'subLinkType') !== 'EXPR_SUBLINK') return null;
  return readSubLink(ctx, link, level).columns[0]?.key ?? null;
}

/** `k IN (SELECT k …)`: of that query, only rows with the same key count; and here only rows with one of its keys. */
function readMembership(ctx: ShardContext, node: SqlNode, level: Level, targets: ReadonlySet<number>): void {
  const link = nodeOf(node, 'SubLink');
  if (link === undefined || textOf(link, 'subLinkType') !== 'ANY_SUBLINK') return;
  const operator = pathOf(link, 'operName');
  if (operator.length > 0 && !isEquals({ name: link.operName })) return;
  const test = nodeOf(link, 'testexpr');
  const parts = nodesOf(nodeOf(test, 'RowExpr'), 'args');
  const { columns, isOpaque } = readSubLink(ctx, link, level);
  if (isOpaque) return;
  for (const [i, part] of (parts.length > 0 ? parts : [test]).entries()) {
    const key = findColumn(part, level)?.key;
    const other = columns[i]?.key;
    if (!key || !other) continue;
    ctx.graph.link(key.node, other.node);
    if (targets.has(key.node)) ctx.graph.link(other.node, key.node);
  }
}
