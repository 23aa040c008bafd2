import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { findColumn } from './expression-reading.js';
import type { Level } from './query-reading.js';
import { type CatalogColumn, DATABASE_COLLATION, type TextOrder } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import type { MergePlan } from './shard-reading.js';
import { walkNodes } from './value-facts.js';

const TEXTS: ReadonlySet<string> = new Set(['pg_catalog.text', 'pg_catalog.varchar']);
const OF_TEXT: ReadonlySet<string> = new Set([...TEXTS, 'pg_catalog.bpchar', 'pg_catalog.name']);
/** Of Postgres's own, whose texts are of the collation of what they are given. */
const FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'lower upper initcap btrim ltrim rtrim concat concat_ws left right substr substring replace split_part lpad rpad ' +
    'reverse translate overlay repeat regexp_replace to_char format'
  ).split(' '),
);
/** What texts are made of here: anything else may be of a type that has a collation of its own. */
const NODES: ReadonlySet<string> = new Set(
  (
    'ColumnRef A_Const ParamRef TypeCast TypeName FuncCall CoalesceExpr CaseExpr CaseWhen A_Expr NullTest BoolExpr ' +
    'String Integer Float Boolean List'
  ).split(' '),
);
const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);
const TEXT_OPERATORS: ReadonlySet<string> = new Set(['||', '->>', '#>>']);

/** The collation by which Postgres alone knows the order of a column of texts; null: it is no such column. */
export function columnCollation(type: CatalogColumn | null): string | null {
  if (type === null || type.isDomain || !TEXTS.has(type.type)) return null;
  return type.collation ?? null;
}

/** Of a sort key. */
export function rankedBy(order: TextOrder | null): { collation?: string } {
  return order === null || order === 'bytes' ? {} : { collation: order };
}

/** Of a plan: what an enum's values are put in order by. */
export function knownEnums({ terms }: ShardContext): Pick<MergePlan, 'enums'> {
  const { enums } = terms.lookup;
  return enums === null ? {} : { enums };
}

/**
 * How Postgres would sort by an expression over columns, if it is a text: by the one collation that a column brings which is
 * not the database's, else by the database's (parse_collate.c). null: it is not read here.
 */
export function textOrderOf(root: SqlNode, level: Level, database: TextOrder | null): TextOrder | null {
  const orders = new Set<TextOrder>();
  let isRead = true;
  /** What is compared has a collation, and gives none to what is chosen by it. */
  let hasCondition = false;
  walkNodes(root, (type, node) => {
    if (!NODES.has(type)) isRead = false;
    else if (type === 'CaseExpr') hasCondition = true;
    else if (type === 'ColumnRef') {
      const column = findColumn({ ColumnRef: node }, level)?.type ?? null;
      const order = column === null ? null : columnOrder(column, database);
      if (order === null) isRead = false;
      else if (order !== 'none') orders.add(order);
    } else if (!isOfGiven(type, node)) isRead = false;
    return isRead && type !== 'TypeName';
  });
  if (!isRead || orders.size > (hasCondition ? 0 : 1)) return null;
  const [only] = orders;
  return only ?? database;
}

/** 'none': it has nothing to do with the order of what is made of it. */
function columnOrder(column: CatalogColumn, database: TextOrder | null): TextOrder | 'none' | null {
  if (!column.type.startsWith('pg_catalog.')) return null;
  // An array of texts has a collation, which texts made of it get, too.
  if (column.type.startsWith('pg_catalog._')) return null;
  if (!OF_TEXT.has(column.type)) return 'none';
  if (!column.isByteOrdered) {
    if (column.collation === undefined) return null;
    return column.collation === DATABASE_COLLATION ? 'none' : column.collation;
  }
  return database === 'bytes' && column.type !== 'pg_catalog.name' ? 'none' : 'bytes';
}

function isOfGiven(type: string, node: SqlNode): boolean {
  switch (type) {
    case 'FuncCall': {
      const path = pathOf(node, 'funcname');
      const isOwn = path.length === 1 || path[0] === 'pg_catalog';
      return isOwn && FUNCTIONS.has(path.at(-1) ?? '');
    }
    case 'TypeCast': {
      const path = pathOf(nodeOf(node, 'typeName'), 'names');
      return path.length <= 2 && TEXTS.has(`pg_catalog.${path.at(-1)}`);
    }
    case 'A_Expr': {
      const kind = textOf(node, 'kind');
      const name = pathOf(node, 'name');
      if (name.length !== 1 || nodesOf(nodeOf(node, 'typeName'), 'names').length > 0) return false;
      if (kind === 'AEXPR_NULLIF') return true;
      return kind === 'AEXPR_OP' && (TEXT_OPERATORS.has(name[0]) || COMPARISONS.has(name[0]));
    }
    default:
      return true;
  }
}
