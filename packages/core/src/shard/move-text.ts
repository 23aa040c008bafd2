/** The texts of a MovePlan, put together from pieces of the client's own and held against what they are meant to be. */
import { quoteName } from '../rewrite/insert-edit.js';
import { nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import type { MovePlan } from './move-plan.js';
import { type Token, tokensOf } from './select-text.js';
import type { CatalogColumn, CatalogRelation } from './shard-catalog.js';
import { canonical, quoted } from './value-facts.js';

const COMMA = 0x2c;
const DOT = 0x2e;
/** What stands in front of an expression of SET: the column's name and =. */
const HEAD_TOKENS = 2;
const STRING = (sval: string): SqlNode => ({ String: { sval } });

/** Where the parts of an UPDATE stand among its tokens, [from, to) each. */
interface UpdateParts {
  readonly relation: string;
  /** By the name of the column. */
  readonly sets: readonly string[];
  readonly where: string;
  readonly returning: string;
}

/** @param isRouted each row has a new key of its own. @returns null: the text is not as it is looked for */
export function readMoveText(
  parser: SqlParser,
  text: Uint8Array,
  node: SqlNode,
  relation: CatalogRelation,
  isRouted: boolean,
): MovePlan | null {
  const parts = partsOf(text);
  const targets = nodesOf(node, 'targetList').map((each) => nodeOf(each, 'ResTarget') ?? {});
  if (parts === null || parts.sets.length !== targets.length) return null;
  const stored = relation.columns.flatMap((column): StoredColumn[] => {
    const at = targets.findIndex((target) => textOf(target, 'name') === column.name);
    const value = at < 0 ? null : (nodeOf(targets[at], 'val') ?? {});
    if (column.generated === 's' || column.generated === 'v') return [];
    // Whoever inserts the row has the default made.
    if (value !== null && 'SetToDefault' in value) return [];
    return [{ column, set: value === null ? null : { text: parts.sets[at], node: value } }];
  });
  const names = stored.flatMap(({ column }) => [column.name, column.type]);
  if (![...names, relation.name, relation.schema].every(isAscii)) return null;
  const key = relation.columns[relation.keyColumn];
  const returned = isRouted ? [...stored, { column: key, set: null }] : stored;
  const deleteText = deleteOf(parser, parts, node, relation, returned);
  const insertText = insertOf(parser, parts, node, relation, stored);
  if (deleteText === null || insertText === null) return null;
  const columns = stored.map(({ column }) => ({ isBinary: isBinary(column) }));
  const keyColumn = stored.findIndex(({ column }) => column === key);
  const routed = isRouted ? { keyColumn, hasUniques: relation.uniques.length > 0 } : null;
  return { deleteText, insertText, columns, routed, givesRows: parts.returning !== '' };
}

interface StoredColumn {
  readonly column: CatalogColumn;
  /** null: it is kept. */
  readonly set: { readonly text: string; readonly node: SqlNode } | null;
}

/** What comes from the catalog is sent in whatever encoding the client has. */
function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Types that users have made, and names of objects, have other numbers on each server; aclitem has no binary form. */
function isBinary({ type }: CatalogColumn): boolean {
  const [schema, name] = type.split('.');
  const element = name.startsWith('_') ? name.slice(1) : name;
  return schema === 'pg_catalog' && !element.startsWith('reg') && element !== 'aclitem';
}

function partsOf(text: Uint8Array): UpdateParts | null {
  const tokens = tokensOf(text);
  if (tokens === null || tokens[0]?.word !== 'update') return null;
  const find = (word: string, from: number): number => {
    const at = tokens.findIndex((token, i) => i >= from && isOutside(tokens, i) && token.word === word);
    return at < 0 ? tokens.length : at;
  };
  const slice = (from: number, to: number): string => {
    if (from >= to) return '';
    const { buffer, byteOffset } = text;
    const { start } = tokens[from];
    return Buffer.from(buffer, byteOffset + start, tokens[to - 1].end - start).toString('utf8');
  };
  const set = find('set', 2);
  const returning = find('returning', set);
  const where = Math.min(find('where', set), returning);
  const sets: string[] = [];
  let from = set + 1;
  for (let at = from; at <= where; at++) {
    const isEnd = at === where || (tokens[at].kind === COMMA && tokens[at].depth === 0);
    if (!isEnd) continue;
    sets.push(slice(from + HEAD_TOKENS, at));
    from = at + 1;
  }
  return {
    relation: slice(1, set),
    sets,
    where: slice(where, returning),
    returning: slice(returning, tokens.length),
  };
}

/** In no parentheses, and no part of a name. */
function isOutside(tokens: readonly Token[], at: number): boolean {
  return tokens[at].depth === 0 && tokens[at - 1]?.kind !== DOT;
}

function deleteOf(
  parser: SqlParser,
  parts: UpdateParts,
  node: SqlNode,
  { name }: CatalogRelation,
  stored: readonly StoredColumn[],
): string | null {
  const table = textOf(nodeOf(nodeOf(node, 'relation'), 'alias'), 'aliasname') || name;
  // Cast as an assignment does but for its length, to which INSERT holds it; that there is such an assignment each shard has said
  // of the client's own text.
  const list = stored.map(({ column, set }) =>
    set === null
      ? quoted([table, column.name])
      : `(${set.text})::${column.type.split('.').map(quoteName).join('.')}`,
  );
  const text = [`DELETE FROM ${parts.relation}`, parts.where, `RETURNING ${list.join(', ')}`].join('\n');
  const only = parsedAs(parser, text, 'DeleteStmt');
  const exprs = stored.map(({ column, set }): SqlNode => {
    if (set === null)
      return { ResTarget: { val: { ColumnRef: { fields: [table, column.name].map(STRING) } } } };
    const typeName = { names: column.type.split('.').map(STRING), typemod: -1 };
    return { ResTarget: { val: { TypeCast: { arg: set.node, typeName } } } };
  });
  const meant: SqlNode = {
    relation: node.relation,
    ...(node.whereClause === undefined ? {} : { whereClause: node.whereClause }),
    returningClause: { exprs },
  };
  return only !== null && canonical(only) === canonical(meant) ? text : null;
}

function insertOf(
  parser: SqlParser,
  parts: UpdateParts,
  node: SqlNode,
  { schema, name }: CatalogRelation,
  stored: readonly StoredColumn[],
): string | null {
  const alias = textOf(nodeOf(nodeOf(node, 'relation'), 'alias'), 'aliasname');
  const columns = stored.map(({ column }) => quoteName(column.name)).join(', ');
  const values = stored.map((_, i) => `$${i + 1}`).join(', ');
  const table = `${quoted([schema, name])}${alias === '' ? '' : ` AS ${quoteName(alias)}`}`;
  const text = [
    `INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE VALUES (${values})`,
    parts.returning,
  ].join('\n');
  const only = parsedAs(parser, text, 'InsertStmt');
  const returned: SqlValue = node.returningClause ?? null;
  return only !== null && canonical(only.returningClause ?? null) === canonical(returned) ? text : null;
}

function parsedAs(parser: SqlParser, text: string, kind: string): SqlNode | null {
  const parsed = parser.parse(text);
  if (!Array.isArray(parsed) || parsed.length !== 1 || parsed[0].kind !== kind) return null;
  return parsed[0].node;
}
