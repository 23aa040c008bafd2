/**
 * INSERTs that leave a primary key of one bigint to its default, where the proxy is to make one ([rewrite] primary_key), or their
 * sharding key to a random uuid.
 */
import type { ShardScope } from '../shard/reading-scope.js';
import type { CatalogColumn, CatalogRelation } from '../shard/shard-catalog.js';
import type { Refusal } from '../shard/shard-context.js';
import { rowArraysOf } from '../shard/unnest-rows.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ParsedStatement, SqlParser } from '../sql/sql-parser.js';
import type { FillEdit, FillValue } from './fill-reading.js';
import { makesRows } from './find-volatile.js';
import { editInsert, givenNames, isLeftToDefault } from './insert-edit.js';
import { MADE_CAST } from './made-cast.js';
import type { MadeEdit, MadeKind } from './made-reading.js';
import { isAscii } from './text-edit.js';

/** Stands for an id among the parts of an edit. */
const ID: FillValue = { sql: '', type: 'int8', isSequence: false };

export interface MissingKeys {
  readonly edits: readonly MadeEdit[];
  /** What nodes of the statement become. */
  readonly replaced: ReadonlyMap<SqlNode, SqlValue>;
  readonly refusal: Refusal | null;
}

type Terms = Pick<ShardScope, 'find' | 'madeKeys'>;

/** @returns null: none is missing */
export function findMissingKeys(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  scope: Terms,
  parser: SqlParser,
): MissingKeys | null {
  if (scope.madeKeys === undefined) return null;
  const [only] = statements;
  const isAlone = statements.length === 1 && only.kind === 'InsertStmt';
  const others = isAlone
    ? [only.node.withClause, only.node.selectStmt]
    : statements.map(({ kind, node }) => ({ [kind]: node }));
  const isRefused = scope.madeKeys === 'error';
  const inner = insertsIn(others).find((node) => missingIn(node, scope) !== null);
  if (inner !== undefined && !isRefused)
    return refused(inner, scope, 'by a statement that is more than an INSERT');
  const missing = isAlone ? missingIn(only.node, scope) : null;
  if (isRefused && (inner !== undefined || missing !== null)) return forbidden(inner ?? only.node, scope);
  if (missing === null) return null;
  const rows = rowsOf(only.node);
  const source = nodeOf(nodeOf(only.node, 'selectStmt'), 'SelectStmt');
  // Rows in arrays of a table that is whole on every shard get one number for all out of its sequence (read-fill).
  if (source !== undefined && rowArraysOf(source) !== null && missing.isWhole) return null;
  if (source !== undefined && rows.length === 0) return refused(only.node, scope, 'by a query');
  if (rows.length === 1 && makesRows(rows[0]))
    return refused(only.node, scope, 'by a function that may make several rows');
  const added = { name: missing.key, value: () => [ID] };
  const made = editInsert(text, only.node, missing.given, [added], () => sampleOf(MADE_CAST, parser));
  if (made === null) return refused(only.node, scope, 'by a text that is not understood');
  const edits = editsOf(made.edits, 'uniqueId', MADE_CAST);
  // Names of the catalog are sent in whatever encoding the client has.
  if (!edits.every(({ before, after }) => isAscii(before + after)))
    return refused(only.node, scope, 'beside columns whose names are not ASCII');
  return { edits, replaced: new Map([[only.node, made.tree]]), refusal: null };
}

function editsOf(edits: readonly FillEdit[], value: MadeKind, cast: string): MadeEdit[] {
  return edits.map(({ start, end, parts }): MadeEdit => {
    const at = parts.findIndex((part) => typeof part !== 'string');
    const textOfParts = (some: typeof parts): string =>
      some.filter((part) => typeof part === 'string').join('');
    if (at < 0) return { start, end, before: textOfParts(parts), value: null, after: '' };
    const after = cast + textOfParts(parts.slice(at + 1));
    return { start, end, before: textOfParts(parts.slice(0, at)), value, after };
  });
}

/**
 * A sharding key that is left to DEFAULT gen_random_uuid(): where its row belongs is known only once there is a value, and one is
 * as good as another. @returns null: none is, or it cannot be put in
 */
export function findMissingUuid(
  text: Uint8Array,
  statements: readonly ParsedStatement[],
  scope: Pick<Terms, 'find'>,
  parser: SqlParser,
): MissingKeys | null {
  const [only] = statements;
  if (statements.length !== 1 || only.kind !== 'InsertStmt') return null;
  const name = nodeOf(only.node, 'relation');
  const found = scope.find(textOf(name, 'schemaname') || null, textOf(name, 'relname'));
  const key = found.kind === 'relation' ? found.relation.columns[found.relation.keyColumn] : undefined;
  if (found.kind !== 'relation' || key === undefined || !isRandomUuid(key)) return null;
  const rows = rowsOf(only.node);
  const source = nodeOf(nodeOf(only.node, 'selectStmt'), 'SelectStmt');
  if (source !== undefined && (rows.length === 0 || (rows.length === 1 && makesRows(rows[0])))) return null;
  const given = givenNames(only.node, found.relation, rows[0]?.length ?? 0);
  if (!isLeftToDefault(rows, given.indexOf(key.name))) return null;
  const added = { name: key.name, value: () => [UUID] };
  const made = editInsert(text, only.node, given, [added], () => sampleOf(UUID_CAST, parser));
  const edits = made === null ? [] : editsOf(made.edits, 'uuid', UUID_CAST);
  if (made === null || !edits.every(({ before, after }) => isAscii(before + after))) return null;
  return { edits, replaced: new Map([[only.node, made.tree]]), refusal: null };
}

const UUID: FillValue = { sql: '', type: 'uuid', isSequence: false };
const UUID_CAST = '::pg_catalog.uuid';
/** As the catalog has it: Postgres's own. */
const RANDOM_UUIDS: ReadonlySet<string> = new Set(['gen_random_uuid()', 'uuidv4()']);

function isRandomUuid({ type, isDomain, generated, defaultText }: CatalogColumn): boolean {
  const isPlain = type === 'pg_catalog.uuid' && !isDomain && generated === '';
  return isPlain && defaultText !== null && RANDOM_UUIDS.has(defaultText);
}

function refused(node: SqlNode, scope: Terms, how: string): MissingKeys {
  const key = missingIn(node, scope)?.key ?? '';
  const table = textOf(nodeOf(node, 'relation'), 'relname');
  const reason = `INSERT into "${table}" without its key "${key}" ${how}: each row would need an id of its own`;
  return { edits: [], replaced: new Map(), refusal: { reason, remedy: `give "${key}" a value` } };
}

function forbidden(node: SqlNode, scope: Terms): MissingKeys {
  const key = missingIn(node, scope)?.key ?? '';
  const table = textOf(nodeOf(node, 'relation'), 'relname');
  const reason = `INSERT into "${table}" does not give its primary key "${key}", as primary_key = "error" of [rewrite] demands`;
  return {
    edits: [],
    replaced: new Map(),
    refusal: { reason, remedy: `give "${key}" a value, pgdog.unique_id() for instance` },
  };
}

/** The key that some row leaves to its default, and the columns that are given; null: there is none. */
function missingIn(node: SqlNode, scope: Terms): { key: string; given: string[]; isWhole: boolean } | null {
  const name = nodeOf(node, 'relation');
  const found = scope.find(textOf(name, 'schemaname') || null, textOf(name, 'relname'));
  if (found.kind !== 'relation' || !isMadeFor(found.relation, scope)) return null;
  const key = keyOf(found.relation);
  if (key === null) return null;
  const rows = rowsOf(node);
  const named = nodesOf(node, 'cols').map((each) => textOf(nodeOf(each, 'ResTarget'), 'name'));
  const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
  const width = source === undefined ? 0 : (rows[0]?.length ?? widthOf(source));
  // How many columns a query gives is not always seen: then it is taken to give them all.
  if (width === null && named.length === 0) return null;
  const given = givenNames(node, found.relation, width ?? 0);
  const isWhole = found.relation.placement === 'omni';
  return isLeftToDefault(rows, given.indexOf(key)) ? { key, given, isWhole } : null;
}

function isMadeFor({ kind, placement }: CatalogRelation, { madeKeys }: Terms): boolean {
  if (kind !== 'table' && kind !== 'partitioned') return false;
  return madeKeys !== 'omni' || placement === 'omni';
}

/** The column of a primary key of one bigint. */
function keyOf({ uniques, columns }: CatalogRelation): string | null {
  const primary = uniques.find(({ isPrimary }) => isPrimary === true);
  const column = columns.find(({ name }) => name === primary?.columns[0]);
  if (primary?.columns.length !== 1 || column === undefined) return null;
  const isFree = column.generated === '' || column.generated === 'd';
  return column.type === 'pg_catalog.int8' && !column.isDomain && isFree ? column.name : null;
}

/** Of a query; null: a star, or arms of which none says it. */
function widthOf(source: SqlNode): number | null {
  const arm = nodeOf(source, 'larg');
  if (arm !== undefined) return widthOf(arm);
  const rows = rowsOfSource(source);
  if (rows.length > 0) return rows[0].length;
  const targets = nodesOf(source, 'targetList');
  const isStar = targets.some((each) => {
    const fields = nodesOf(nodeOf(nodeOf(nodeOf(each, 'ResTarget'), 'val'), 'ColumnRef'), 'fields');
    return fields.some((field) => 'A_Star' in field);
  });
  return isStar ? null : targets.length;
}

function rowsOf(node: SqlNode): (readonly SqlNode[])[] {
  return rowsOfSource(nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt'));
}

function rowsOfSource(source: SqlNode | undefined): (readonly SqlNode[])[] {
  return nodesOf(source, 'valuesLists').map((row) => nodesOf(nodeOf(row, 'List'), 'items'));
}

/** INSERTs wherever they stand: in WITH, PREPARE, EXPLAIN. */
function insertsIn(root: SqlValue): SqlNode[] {
  const found: SqlNode[] = [];
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    else if (isSqlNode(value)) {
      const insert = nodeOf(value, 'InsertStmt');
      if (insert !== undefined) found.push(insert);
      for (const key in value) stack.push(value[key]);
    }
  }
  return found;
}

/** A value with this cast, as the grammar reads it. */
function sampleOf(cast: string, parser: SqlParser): SqlNode {
  const parsed = parser.parse(`SELECT '0'${cast}`);
  if (parsed === null || parsed === 'unread') return {};
  const [target] = nodesOf(parsed[0].node, 'targetList');
  return nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {};
}
