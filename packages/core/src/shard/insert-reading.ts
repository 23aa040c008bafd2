import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readDefault, readReturning, readSets, readStored, readWritten } from './change-reading.js';
import type { Cte } from './cte-reading.js';
import { readExpression } from './expression-reading.js';
import { columnFamily, type KeyInfo } from './key-family.js';
import { itemsOf, readItems, readSource } from './key-source.js';
import { type Level, NO_SHOWN, readSelect, type Shown } from './query-reading.js';
import type { CatalogColumn, CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import type { KeySource } from './shard-reading.js';
import { type Entry, type FromPart, Scope, type ShownColumn } from './shard-scope.js';
import { insertedInto, readUniques } from './unique-reading.js';
import { rowArraysOf } from './unnest-rows.js';

/** INSERT, and where what it inserts belongs. */
export function readInsert(ctx: ShardContext, node: SqlNode, outer: Scope | null, ctes: Cte | null): Shown {
  const { part, relation } = readWritten(ctx, nodeOf(node, 'relation') ?? {});
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  if (relation === null) return NO_SHOWN;
  const columns = insertedColumns(ctx, node, relation);
  const isPlain = source === undefined || isPlainValues(source);
  const arrays = source === undefined || isPlain ? null : arraysFor(source, node, columns);
  const given =
    source === undefined ? [] : columns.slice(0, arrays?.length ?? widthOf(source) ?? columns.length);
  for (const column of relation.columns) {
    if (!given.includes(column)) readDefault(ctx, relation, column);
    else if (isOverridden(node, column)) readOverridden(ctx, relation, column);
  }
  readUniques(
    ctx,
    relation,
    insertedInto(relation, (column) => {
      if (!given.includes(column) || isOverridden(node, column)) return null;
      return source !== undefined && isPlain ? valuesAt(source, columns.indexOf(column)) : [];
    }),
  );
  let splits: readonly number[] = [];
  if (arrays !== null) readArrays(ctx, arrays, relation, columns, part, { outer, ctes });
  else if (source !== undefined && isPlain) readRows(ctx, source, relation, columns, part, { outer, ctes });
  else if (source !== undefined) splits = readQuery(ctx, source, relation, columns, part, { outer, ctes });
  else if (part.nodes.length > 0) readMissing(ctx, relation, part);
  readConflict(ctx, node, relation, part, outer, ctes);
  const conflict = nodeOf(node, 'onConflictClause');
  if (conflict !== undefined && !isPlain && arrays === null) ctx.unordered ??= 'ON CONFLICT of a query';
  const level: Level = { scope: new Scope([part], outer), ctes, sublinks: new Map() };
  return { ...readReturning(ctx, node, level), splits };
}

interface Surroundings {
  readonly outer: Scope | null;
  readonly ctes: Cte | null;
}

/** What is inserted, in the order given; of a table without a list, all its columns. */
function insertedColumns(ctx: ShardContext, node: SqlNode, relation: CatalogRelation): CatalogColumn[] {
  const list = nodesOf(node, 'cols').map((each) => nodeOf(each, 'ResTarget') ?? {});
  if (list.length === 0) return [...relation.columns];
  return list.flatMap((target) => {
    const name = textOf(target, 'name');
    const column = relation.columns.find((each) => each.name === name);
    if (column === undefined)
      ctx.refuse(
        `"${relation.name}" is not known to have a column "${name}"`,
        'wait until the catalog has been read again',
      );
    // Part of an array or a composite: not the column as a whole.
    if (nodesOf(target, 'indirection').length > 0)
      readExpression(ctx, target.indirection, {
        scope: new Scope([], null),
        ctes: null,
        sublinks: new Map(),
      });
    return column ?? [];
  });
}

/** OVERRIDING USER VALUE: what is given for an identity is not what is stored. */
export function isOverridden(node: SqlNode, { generated }: CatalogColumn): boolean {
  return textOf(node, 'override') === 'OVERRIDING_USER_VALUE' && (generated === 'a' || generated === 'd');
}

export function readOverridden(ctx: ShardContext, relation: CatalogRelation, column: CatalogColumn): void {
  readDefault(ctx, relation, column);
  if (column === relation.columns[relation.keyColumn]) refuseMissing(ctx, relation);
}

/** VALUES alone: nothing that sorts, cuts or names it. */
function isPlainValues(source: SqlNode): boolean {
  if (nodesOf(source, 'valuesLists').length === 0) return false;
  return !['withClause', 'sortClause', 'limitCount', 'limitOffset', 'lockingClause'].some(
    (key) => key in source,
  );
}

/** Rows that stand in arrays, one for each column; null: they do not. */
function arraysFor(
  source: SqlNode,
  node: SqlNode,
  columns: readonly CatalogColumn[],
): readonly SqlNode[] | null {
  const arrays = rowArraysOf(source);
  if (arrays === null) return null;
  const isNamed = nodesOf(node, 'cols').length > 0;
  return isNamed
    ? arrays.length === columns.length
      ? arrays
      : null
    : arrays.length <= columns.length
      ? arrays
      : null;
}

/** What rows of VALUES have at a place; those that end before it are left out. */
function valuesAt(source: SqlNode, place: number): SqlNode[] {
  return nodesOf(source, 'valuesLists').flatMap((list) => itemsOf(list).slice(place, place + 1));
}

/** How many columns a query gives; null: that takes more to know. */
function widthOf(source: SqlNode): number | null {
  const lists = nodesOf(source, 'valuesLists');
  return lists.length > 0 ? itemsOf(lists[0]).length : null;
}

/** DEFAULT VALUES: the row belongs where the default of its key says. */
function readMissing(ctx: ShardContext, relation: CatalogRelation, part: FromPart): void {
  const [node] = part.nodes;
  const source = defaultSource(ctx, relation, ctx.graph.info(node));
  if (source === null) refuseMissing(ctx, relation);
  else ctx.graph.pin(node, [source]);
}

/** What a row without a key gets for one; null: that is no constant, or there is none. */
function defaultSource(ctx: ShardContext, relation: CatalogRelation, key: KeyInfo): KeySource | null {
  const column = relation.columns[relation.keyColumn];
  if (column === undefined || column.defaultText === null || column.generated !== '' || column.isDomain)
    return null;
  const parsed = ctx.terms.parser.parse(`SELECT ${column.defaultText}`);
  const [only] = parsed === null || parsed === 'unread' ? [] : parsed;
  const [target] = nodesOf(only?.node, 'targetList');
  const value = nodeOf(nodeOf(target, 'ResTarget'), 'val');
  const { literals } = ctx;
  // Its constants stand in the catalog, not in the statement.
  ctx.literals = null;
  const source = value === undefined ? null : storedSource(ctx, value, key);
  ctx.literals = literals;
  return source?.kind === 'value' ? source : null;
}

function refuseMissing(ctx: ShardContext, relation: CatalogRelation): void {
  const name = relation.columns[relation.keyColumn]?.name ?? '';
  ctx.refuse(
    `INSERT into "${relation.name}" does not give its sharding key "${name}"`,
    `give "${name}" a value`,
  );
}

/** Rows of VALUES. */
function readRows(
  ctx: ShardContext,
  source: SqlNode,
  relation: CatalogRelation,
  columns: readonly CatalogColumn[],
  part: FromPart,
  { outer, ctes }: Surroundings,
): void {
  const level: Level = { scope: new Scope([], outer), ctes, sublinks: new Map() };
  const rows = nodesOf(source, 'valuesLists').map((list) => itemsOf(list));
  for (const row of rows) {
    readExpression(ctx, [...row], level);
    for (const [i, value] of row.entries()) {
      const column = columns[i] ?? null;
      ctx.useParameter(value, columnFamily(column));
      readStored(ctx, value, column);
      if (column !== null && 'SetToDefault' in value) readDefault(ctx, relation, column);
    }
  }
  if (part.nodes.length === 0) return;
  const place = columns.indexOf(relation.columns[relation.keyColumn]);
  const [node] = part.nodes;
  const key = ctx.graph.info(node);
  const isLeft = (row: readonly SqlNode[]): boolean =>
    place < 0 || row.length <= place || 'SetToDefault' in row[place];
  const byDefault = rows.some(isLeft) ? defaultSource(ctx, relation, key) : null;
  if (byDefault === null && rows.some(isLeft)) {
    refuseMissing(ctx, relation);
    return;
  }
  const sources = rows.map((row) => (isLeft(row) ? byDefault : storedSource(ctx, row[place], key)));
  const known = sources.filter((each) => each !== null);
  // One row belongs to one shard; how the rest is told apart is not for several rows of WITH.
  ctx.isSplitInsert = rows.length > 1 && ctes === null;
  if (known.length === sources.length) ctx.graph.pin(node, known);
  else ctx.refuse(...notKnown(key));
}

/** Rows of unnest(). */
function readArrays(
  ctx: ShardContext,
  arrays: readonly SqlNode[],
  relation: CatalogRelation,
  columns: readonly CatalogColumn[],
  part: FromPart,
  { outer, ctes }: Surroundings,
): void {
  readExpression(ctx, [...arrays], { scope: new Scope([], outer), ctes, sublinks: new Map() });
  if (part.nodes.length === 0) return;
  const column = relation.columns[relation.keyColumn];
  const place = columns.indexOf(column);
  const [node] = part.nodes;
  if (place < 0 || place >= arrays.length) {
    refuseMissing(ctx, relation);
    return;
  }
  const key = ctx.graph.info(node);
  const sources = key.typmod < 0 ? readItems(arrays[place], key.family, ctx.literals) : null;
  // Arrays need not be of one length: where this one ends, the key is NULL.
  if (!column.isNotNull)
    ctx.refuse(
      `the sharding key ${key.label} may be NULL, and its array shorter than others`,
      'INSERT them by VALUES, or make the key NOT NULL',
    );
  else if (sources === null || sources.length === 0) ctx.refuse(...notKnown(key));
  else {
    ctx.isSplitInsert = ctes === null;
    ctx.rowArrays = arrays.length;
    ctx.graph.pin(node, sources);
  }
}

function notKnown(key: KeyInfo): [reason: string, remedy: string] {
  if (key.typmod >= 0)
    return [`the sharding key ${key.label} has a length, to which values may be cut`, 'make it text'];
  return [
    `the value for the sharding key ${key.label} is no constant and no parameter of its type`,
    'compute it before',
  ];
}

/** What is stored may be cut where a length is set: only a text seen to fit is taken. */
export function storedSource(ctx: ShardContext, node: SqlNode, key: KeyInfo): KeySource | null {
  const source = readSource(node, key.family, ctx.literals);
  if (source === null || key.typmod < 0 || source.kind === 'null') return source;
  const isFitting = source.kind === 'value' && [...source.text].length <= key.typmod - 4;
  return isFitting ? source : null;
}

/** INSERT … SELECT. @returns what its rows are split by */
function readQuery(
  ctx: ShardContext,
  source: SqlNode,
  relation: CatalogRelation,
  columns: readonly CatalogColumn[],
  part: FromPart,
  { outer, ctes }: Surroundings,
): readonly number[] {
  const shown = readSelect(ctx, source, outer, ctes);
  // A query may give fewer columns than there are; what is not given has its default.
  if (shown.isOpaque) ctx.refuse('INSERT of a query whose columns are not known', 'name its columns');
  else for (const column of columns.slice(shown.columns.length)) readDefault(ctx, relation, column);
  for (const [i, target] of (shown.top?.targets ?? []).entries()) {
    if (target.value === null) continue;
    ctx.useParameter(target.value, columnFamily(columns[i] ?? null));
    readStored(ctx, target.value, columns[i] ?? null);
  }
  if (part.nodes.length === 0) return [];
  const place = columns.indexOf(relation.columns[relation.keyColumn]);
  const [node] = part.nodes;
  if (place < 0 || (!shown.isOpaque && place >= shown.columns.length)) {
    refuseMissing(ctx, relation);
    return [];
  }
  const key = ctx.graph.info(node);
  const given: ShownColumn | undefined = shown.isOpaque ? undefined : shown.columns[place];
  if (given?.key?.isExact && isStorable(given, key)) {
    ctx.graph.link(given.key.node, node);
    if (ctx.graph.reaches(given.key.node, node)) return shown.splits;
  }
  const value = shown.top?.targets?.[place]?.value;
  const constant = value ? storedSource(ctx, value, key) : null;
  if (constant !== null) ctx.graph.pin(node, [constant]);
  else if (key.typmod >= 0) ctx.refuse(...notKnown(key));
  return [];
}

/** Not cut when it is stored. */
function isStorable({ type }: ShownColumn, key: KeyInfo): boolean {
  if (key.typmod < 0) return true;
  return type !== null && type.typmod >= 0 && type.typmod <= key.typmod;
}

/** A row that is in the way must be on the same shard to be seen. */
function readConflict(
  ctx: ShardContext,
  node: SqlNode,
  relation: CatalogRelation,
  part: FromPart,
  outer: Scope | null,
  ctes: Cte | null,
): void {
  const conflict = nodeOf(node, 'onConflictClause');
  if (conflict === undefined) return;
  const infer = nodeOf(conflict, 'infer');
  const keyName = relation.columns[relation.keyColumn]?.name;
  if (part.nodes.length > 0 && keyName !== undefined) {
    const isByKey = isArbiterByKey(infer, relation, keyName);
    if (!isByKey)
      ctx.refuse(
        `ON CONFLICT of "${relation.name}" is not about its sharding key "${keyName}"`,
        `name unique columns with "${keyName}" among them`,
      );
  }
  // Rows that are equal in the arbiter have the same key: "excluded" has that of the table.
  const excluded = excludedPart(relation, part);
  const level: Level = { scope: new Scope([part, excluded], outer), ctes, sublinks: new Map() };
  for (const root of [infer?.indexElems, infer?.whereClause, conflict.whereClause]) {
    readExpression(ctx, root, level, true);
  }
  const own: Level = { ...level, scope: new Scope([part, excluded], null) };
  readSets(ctx, nodesOf(conflict, 'targetList'), relation, level, own);
}

/**
 * Whether rows that are in each other's way have the same key. Without columns any unique index counts: which of them a
 * constraint is by its name is not looked at.
 */
function isArbiterByKey(
  infer: SqlNode | undefined,
  { looseUniques = [] }: CatalogRelation,
  keyName: string,
): boolean {
  const elements = nodesOf(infer, 'indexElems').map((each) => nodeOf(each, 'IndexElem') ?? {});
  if (elements.length > 0) {
    return elements.some((each) => {
      const isPlain = !['collation', 'opclass'].some((field) => nodesOf(each, field).length > 0);
      return isPlain && textOf(each, 'name') === keyName;
    });
  }
  return looseUniques.length === 0;
}

/** The row that was to be inserted, by its name only. */
function excludedPart(relation: CatalogRelation, part: FromPart): FromPart {
  const columns = relation.columns.map((type): ShownColumn => {
    return { name: type.name, key: part.columns.find(({ name }) => name === type.name)?.key ?? null, type };
  });
  const entry: Entry = { name: 'excluded', schema: null, columns, isOpaque: false, isSharded: true };
  return { entries: [entry], columns: [], isOpaque: false, nodes: [], splits: [] };
}
