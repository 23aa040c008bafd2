import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { columnText, isBuiltinCast, walkNodes } from './value-facts.js';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Kinds of nodes that take any values, and those that only hold others. */
const SAFE_KINDS = words(
  'ColumnRef A_Const ParamRef BoolExpr NullTest BooleanTest CaseExpr CaseWhen CoalesceExpr MinMaxExpr CollateClause ' +
    'List String Integer Float Boolean TypeName ResTarget',
);
const SAFE_OPERATORS = words('= <> < <= > >= ||');
const SAFE_FUNCTIONS = words(
  'lower upper initcap length char_length character_length octet_length btrim ltrim rtrim left right reverse md5 concat concat_ws',
);
/** Their first argument says of what, which must be something that all times have. */
const UNIT_FUNCTIONS = words('date_trunc date_part extract');
const UNITS = words('year quarter month day');
const TEXTS = words('text varchar bpchar');

/**
 * Whether values of columns may make an expression an error (100 / n). What has no columns in it Postgres computes before
 * there is a row, wherever it stands.
 * @param isKnown of a part: its value is there already
 */
export function mayFail(node: SqlNode, isKnown: (part: SqlNode) => boolean): boolean {
  let may = false;
  walkNodes(node, (type, inner) => {
    const part = { [type]: inner };
    if (may || !hasColumn(part) || isKnown(part)) return false;
    if (!isSafe(type, inner)) may = true;
    return true;
  });
  return may;
}

function hasColumn(node: SqlNode): boolean {
  let has = false;
  walkNodes(node, (type) => {
    if (type === 'ColumnRef' || type === 'SubLink') has = true;
    return !has;
  });
  return has;
}

function isSafe(type: string, node: SqlNode): boolean {
  if (type === 'ColumnRef') return columnText({ ColumnRef: node }) !== null;
  if (type === 'FuncCall') return isSafeCall(node);
  if (type === 'TypeCast')
    return isBuiltinCast(node) && TEXTS.has(pathOf(nodeOf(node, 'typeName'), 'names').at(-1) ?? '');
  if (type !== 'A_Expr') return SAFE_KINDS.has(type);
  const path = pathOf(node, 'name');
  const isOwn = path.length === 1 || path[0] === 'pg_catalog';
  // IN, BETWEEN and the like are comparisons by other names.
  const isCompared = /^AEXPR_(IN|(NOT_)?BETWEEN|(NOT_)?DISTINCT|NULLIF)$/.test(textOf(node, 'kind'));
  return (
    isOwn && (isCompared || (textOf(node, 'kind') === 'AEXPR_OP' && SAFE_OPERATORS.has(path.at(-1) ?? '')))
  );
}

function isSafeCall(node: SqlNode): boolean {
  const path = pathOf(node, 'funcname');
  const name = path.at(-1) ?? '';
  if (path.length > 1 && path[0] !== 'pg_catalog') return false;
  if (!UNIT_FUNCTIONS.has(name)) return SAFE_FUNCTIONS.has(name);
  const unit = nodeOf(nodeOf(nodesOf(node, 'args')[0], 'A_Const'), 'sval');
  return UNITS.has(textOf(unit, 'sval').toLowerCase());
}
