import { isHostRelation } from '../sql/host-relations.js';
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { hasNumbers } from './catalog-numbers.js';
import { type Cte, findCte, readCte } from './cte-reading.js';
import { readExpression } from './expression-reading.js';
import { readCondition } from './key-conditions.js';
import { columnFamily } from './key-family.js';
import { type Level, readSelect, type Shown } from './query-reading.js';
import type { CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import {
  type Entry,
  type FromPart,
  hasUnnamed,
  nullable,
  renamed,
  Scope,
  type ShownColumn,
} from './shard-scope.js';

/** Views that name views that name views… */
const VIEW_DEPTH_MAX = 32;

/** What surrounds one item of FROM. */
interface FromPlace {
  /** Items to its left, which LATERAL sees. */
  readonly before: readonly FromPart[];
  readonly outer: Scope | null;
  readonly ctes: Cte | null;
}

export function readFrom(
  ctx: ShardContext,
  items: readonly SqlNode[],
  outer: Scope | null,
  ctes: Cte | null,
): FromPart[] {
  const parts: FromPart[] = [];
  for (const item of items) parts.push(readItem(ctx, item, { before: [...parts], outer, ctes }));
  return parts;
}

function readItem(ctx: ShardContext, item: SqlNode, place: FromPlace): FromPart {
  const kind = Object.keys(item)[0] ?? '';
  const node = nodeOf(item, kind) ?? {};
  switch (kind) {
    case 'RangeVar':
      return readTable(ctx, node, place.ctes).part;
    case 'RangeSubselect': {
      const query = nodeOf(nodeOf(node, 'subquery'), 'SelectStmt');
      if (query === undefined) break;
      const outer = node.lateral === true ? new Scope(place.before, place.outer) : place.outer;
      return shownPart(readSelect(ctx, query, outer, place.ctes), node, '');
    }
    case 'JoinExpr':
      return readJoin(ctx, node, place);
    case 'RangeTableSample': {
      const part = readItem(ctx, nodeOf(node, 'relation') ?? {}, place);
      if (part.nodes.length > 0) ctx.refuse('TABLESAMPLE of a sharded table');
      ctx.volatile ??= 'TABLESAMPLE';
      readExpression(ctx, [node.args, node.repeatable], levelOf(place));
      return part;
    }
    case 'RangeFunction':
    case 'RangeTableFunc':
    case 'JsonTable':
      for (const key in node) if (key !== 'alias') readExpression(ctx, node[key], levelOf(place));
      return opaquePart(node, functionName(node));
  }
  ctx.refuse(`a part of FROM is not understood (${kind})`);
  return opaquePart(node, '');
}

function levelOf({ before, outer, ctes }: FromPlace): Level {
  return { scope: new Scope(before, outer), ctes, sublinks: new Map() };
}

function functionName(node: SqlNode): string {
  const first = nodesOf(nodeOf(nodesOf(node, 'functions')[0], 'List'), 'items')[0];
  return pathOf(nodeOf(first, 'FuncCall'), 'funcname').at(-1) ?? '';
}

function entryOf(
  node: SqlNode,
  name: string,
  columns: readonly ShownColumn[],
  isOpaque: boolean,
  isSharded = false,
): Entry {
  const alias = nodeOf(node, 'alias');
  const names = nodesOf(alias, 'colnames').map((each) => textOf(nodeOf(each, 'String'), 'sval'));
  return {
    name: textOf(alias, 'aliasname') || name,
    schema: alias === undefined ? textOf(node, 'schemaname') || null : null,
    columns: renamed(columns, names),
    isOpaque,
    isSharded,
  };
}

function partOf(entry: Entry, splits: readonly number[]): FromPart {
  return {
    entries: [entry],
    columns: entry.columns,
    isOpaque: entry.isOpaque,
    nodes: entry.columns.flatMap(({ key }) => key?.node ?? []),
    splits,
  };
}

function opaquePart(node: SqlNode, name: string): FromPart {
  return partOf(entryOf(node, name, [], true), []);
}

function shownPart(shown: Shown, node: SqlNode, name: string): FromPart {
  return partOf(entryOf(node, name, shown.columns, shown.isOpaque), shown.splits);
}

export interface ReadTable {
  readonly part: FromPart;
  /** null: it is none that the catalog has. */
  readonly relation: CatalogRelation | null;
}

/** @param ctes null where only a table can be meant */
export function readTable(ctx: ShardContext, node: SqlNode, ctes: Cte | null): ReadTable {
  const name = textOf(node, 'relname');
  const schema = textOf(node, 'schemaname');
  const cte = schema === '' ? findCte(name, ctes) : null;
  if (cte !== null) return { part: shownPart(readCte(ctx, cte), node, name), relation: null };
  const found = ctx.find(node);
  if (found.kind === 'system') {
    ctx.volatile ??= name;
    ctx.refuseSpread(`each shard has a "${name}" of its own`);
    if (isHostRelation(schema === '' ? null : schema, name)) ctx.first ??= name;
    if (hasNumbers(schema, name)) ctx.asksNumbers ||= ctx.terms.lookup.hasOwnOids;
  }
  if (found.kind !== 'relation') return { part: opaquePart(node, name), relation: null };
  const { relation } = found;
  if (relation.hasRowSecurity) ctx.refuse(`row security of "${name}" may look at rows of other shards`);
  if (relation.placement === 'view') return { part: readView(ctx, node, relation), relation };
  if (relation.kind === 'sequence') {
    if (relation.shard === undefined) ctx.first ??= `sequence ${name}`;
    return { part: opaquePart(node, name), relation };
  }
  const plain = relation.columns.map((type): ShownColumn => ({ name: type.name, key: null, type }));
  if (relation.placement === 'sharded' && relation.kind === 'materializedView') {
    ctx.refuse(`"${name}" was made on each shard of the rows that it has`);
  }
  const key = relation.placement === 'sharded' ? ctx.key(relation) : null;
  if (key === null) {
    const isAlone = relation.shard !== undefined;
    return { part: partOf(entryOf(node, name, plain, false, isAlone), []), relation };
  }
  const own = ctx.graph.add(key, true);
  const isNeverNull =
    relation.columns[relation.keyColumn].isNotNull && ctx.terms.lookup.holdsNotNull(relation);
  const columns = plain.map((column, i) =>
    i === relation.keyColumn
      ? { ...column, key: { node: own, isExact: true, isOwn: true, isNeverNull } }
      : column,
  );
  return { part: partOf(entryOf(node, name, columns, false, true), [own]), relation };
}

/** As if its query stood there, under its own names. */
function readView(ctx: ShardContext, node: SqlNode, relation: CatalogRelation): FromPart {
  const { name, viewText, columns } = relation;
  const statements = ctx.viewDepth < VIEW_DEPTH_MAX ? ctx.terms.parser.parse(viewText ?? '') : null;
  const [only] = statements === null || statements === 'unread' ? [] : statements;
  const plain = columns.map((type): ShownColumn => ({ name: type.name, key: null, type }));
  if (only?.kind !== 'SelectStmt') {
    ctx.refuse(`the view "${name}" is not understood`);
    return partOf(entryOf(node, name, plain, false), []);
  }
  const sizeBefore = ctx.graph.size;
  const { literals } = ctx;
  ctx.literals = null;
  ctx.viewDepth++;
  const shown = readSelect(ctx, only.node, null, null);
  ctx.viewDepth--;
  ctx.literals = literals;
  if (relation.kind === 'materializedView') {
    if (ctx.graph.size > sizeBefore) ctx.refuse(`"${name}" holds rows of one shard only`);
    return partOf(entryOf(node, name, plain, false), []);
  }
  const isAlike = !shown.isOpaque && shown.columns.length === columns.length;
  const all = isAlike
    ? shown.columns.map((column, i) => ({
        ...column,
        name: columns[i].name,
        type: column.type ?? columns[i],
      }))
    : plain;
  return partOf(entryOf(node, name, all, false), shown.splits);
}

function readJoin(ctx: ShardContext, node: SqlNode, place: FromPlace): FromPart {
  const left = readItem(ctx, nodeOf(node, 'larg') ?? {}, place);
  const right = readItem(ctx, nodeOf(node, 'rarg') ?? {}, { ...place, before: [...place.before, left] });
  const type = textOf(node, 'jointype');
  const keepsLeft = type !== 'JOIN_INNER' && type !== 'JOIN_RIGHT';
  const keepsRight = type !== 'JOIN_INNER' && type !== 'JOIN_LEFT';
  // Of the side whose rows are all shown a condition hides none.
  const targets = new Set([...(keepsLeft ? [] : left.nodes), ...(keepsRight ? [] : right.nodes)]);
  const level: Level = {
    scope: new Scope([left, right], place.outer),
    ctes: place.ctes,
    sublinks: new Map(),
  };
  readCondition(ctx, nodeOf(node, 'quals'), level, targets);
  readExpression(ctx, node.quals, level, true);
  const shared = sharedNames(node, left, right);
  if (shared === null) ctx.refuse('NATURAL JOIN of something whose columns are not known');
  for (const name of shared ?? []) linkShared(ctx, name, left, right, targets);
  const joined = joinParts(
    shared ?? [],
    keepsRight ? nullable(left) : left,
    keepsLeft ? nullable(right) : right,
    keepsRight && keepsLeft ? 'neither' : keepsRight ? 'right' : 'left',
  );
  return withAlias(node, joined);
}

/** Columns that USING or NATURAL make one of. null: they cannot be told. */
function sharedNames(node: SqlNode, left: FromPart, right: FromPart): string[] | null {
  const using = nodesOf(node, 'usingClause').map((each) => textOf(nodeOf(each, 'String'), 'sval'));
  if (node.isNatural !== true) return using;
  if (left.isOpaque || right.isOpaque || hasUnnamed([...left.columns, ...right.columns])) return null;
  const others = new Set(right.columns.map(({ name }) => name));
  return left.columns.flatMap(({ name }) => (others.has(name) ? [name] : []));
}

function only(part: FromPart, name: string): ShownColumn | null {
  const found = part.columns.filter((column) => column.name === name);
  return found.length === 1 ? found[0] : null;
}

function linkShared(
  ctx: ShardContext,
  name: string,
  left: FromPart,
  right: FromPart,
  targets: ReadonlySet<number>,
): void {
  const one = only(left, name)?.key;
  const other = only(right, name)?.key;
  if (!one || !other) return;
  if (targets.has(other.node)) ctx.graph.link(one.node, other.node);
  if (targets.has(one.node)) ctx.graph.link(other.node, one.node);
}

/** @param source of which side a shared column is; FULL JOIN takes it of either */
function joinParts(
  shared: readonly string[],
  left: FromPart,
  right: FromPart,
  source: 'left' | 'right' | 'neither',
): FromPart {
  const names = new Set(shared);
  const merged = shared.map((name): ShownColumn => {
    const sides = [only(left, name), only(right, name)];
    // Of two types it has a third one.
    const [family, other] = sides.map((side) => columnFamily(side?.type ?? null));
    const isOneType = family !== null && family === other;
    const column = source === 'neither' || !isOneType ? null : sides[source === 'left' ? 0 : 1];
    return column ?? { name, key: null, type: null };
  });
  const rest = [...left.columns, ...right.columns].filter(({ name }) => !names.has(name));
  return {
    entries: [...left.entries, ...right.entries],
    columns: [...merged, ...rest],
    isOpaque: left.isOpaque || right.isOpaque,
    nodes: [...left.nodes, ...right.nodes],
    splits: [...left.splits, ...right.splits],
  };
}

/** An alias hides the names in a join; one of USING adds a name for the shared columns. */
function withAlias(node: SqlNode, part: FromPart): FromPart {
  const shared = nodeOf(node, 'join_using_alias');
  if (shared !== undefined) {
    const columns = part.columns.slice(0, nodesOf(node, 'usingClause').length);
    const entry = entryOf({ alias: shared }, '', columns, false);
    return { ...part, entries: [...part.entries, entry] };
  }
  if (nodeOf(node, 'alias') === undefined) return part;
  const entry = entryOf(node, '', part.columns, part.isOpaque);
  return { ...part, entries: [entry], columns: entry.columns };
}
