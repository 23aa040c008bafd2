import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { expandsArray, noteTime, readCall, readUserFunction, readValueFunction } from './call-reading.js';
import { castType, columnFamily, familyOf, type KeyFamily } from './key-family.js';
import { itemsOf, readSource } from './key-source.js';
import { type Level, NO_SHOWN, readSelect, type Shown } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import type { KeyColumn, ShownColumn } from './shard-scope.js';
import { mayTellTime } from './time-words.js';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Parts of expressions that mean what is in them. Anything else is refused. */
const PLAIN_NODES = words(
  'A_Const A_Star A_ArrayExpr A_Indices BoolExpr BooleanTest NullTest CaseExpr CaseWhen CoalesceExpr ' +
    'CollateClause MinMaxExpr NamedArgExpr ParamRef RowExpr TypeName SetToDefault List String Integer Float ' +
    'Boolean BitString WindowDef ResTarget GroupingFunc GroupingSet XmlExpr XmlSerialize IndexElem MultiAssignRef ' +
    'MergeSupportFunc ColumnDef RangeTableFuncCol JsonObjectConstructor JsonArrayConstructor JsonObjectAgg ' +
    'JsonArrayAgg JsonAggConstructor JsonKeyValue JsonValueExpr JsonFormat JsonOutput JsonReturning ' +
    'JsonIsPredicate JsonParseExpr JsonScalarExpr JsonSerializeExpr JsonFuncExpr JsonBehavior JsonArgument ' +
    'JsonTableColumn JsonTablePathSpec',
);
/** Operators of Postgres's own. Others are users' or an extension's, and functions by another name. */
const OPERATORS = words(
  '= <> != < > <= >= + - * / % ^ |/ ||/ @ & | # ~ << >> || ~~ !~~ ~~* !~~* ~* !~ !~* @> <@ && &< &> -|- ? ?| ?& ' +
    '-> ->> #> #>> #- @? @@ @@@ ^@ ~<~ ~<=~ ~>=~ ~>~ <-> ## ?# ?- ?-| ?|| <<| |>> &<| |&> <^ >^ @-@ @@ !! ' +
    '~= <<= >>= ~~~ !~~~ *= *<> *< *> *<= *>=',
);
const SYSTEM_COLUMNS = words('ctid tableoid xmin xmax cmin cmax oid');
const COMPARISONS = words('= <> < > <= >= BETWEEN');
const REG_TYPES = words('regclass regproc regprocedure regtype regoper regoperator regnamespace regrole oid');

/**
 * Looks through expressions for whatever matters to where they may run, and reads the queries in them. Walks with its own
 * stack: a tree may be thousands of nodes deep.
 * @param isCondition it decides which rows are meant, and is not shown or stored
 */
export function readExpression(ctx: ShardContext, root: SqlValue, level: Level, isCondition = false): void {
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) for (const item of value) stack.push(item);
    else if (isSqlNode(value)) {
      for (const key in value) {
        const inner = value[key];
        if (isSqlNode(inner) && isNodeName(key)) {
          if (!readNode(ctx, key, inner, level, isCondition)) continue;
        }
        stack.push(inner);
      }
    }
  }
}

/** Types of nodes begin with a capital letter, names of fields do not. */
function isNodeName(key: string): boolean {
  const code = key.charCodeAt(0);
  return code >= 0x41 && code <= 0x5a;
}

/** @returns whether its fields are to be looked at */
function readNode(
  ctx: ShardContext,
  type: string,
  node: SqlNode,
  level: Level,
  isCondition: boolean,
): boolean {
  switch (type) {
    case 'FuncCall':
      readCall(ctx, node, level.scope, isCondition);
      return true;
    case 'SubLink':
      readMembers(ctx, node, level, readSubLink(ctx, node, level));
      readOperator(ctx, pathOf(node, 'operName'));
      readExpression(ctx, node.testexpr, level, isCondition);
      return false;
    case 'SQLValueFunction':
      readValueFunction(ctx, node, isCondition);
      return false;
    case 'ColumnRef':
      readReference(ctx, node, level);
      return false;
    case 'A_Indirection':
      if (expandsArray(pathOf(nodeOf(nodeOf(node, 'arg'), 'FuncCall'), 'funcname'))) ctx.expandsArray = true;
      for (const field of nodesOf(node, 'indirection'))
        readField(ctx, textOf(nodeOf(field, 'String'), 'sval'));
      return true;
    case 'A_Expr':
      readOperator(ctx, pathOf(node, 'name'));
      noteOperands(ctx, node, level);
      return true;
    case 'SortBy':
      readOperator(ctx, pathOf(node, 'useOp'));
      return true;
    case 'TypeCast':
      readCast(ctx, node, isCondition);
      return true;
    case 'CurrentOfExpr':
      ctx.refuse('WHERE CURRENT OF a cursor');
      return false;
    default:
      if (PLAIN_NODES.has(type)) return true;
      ctx.refuse(`a part of the statement is not understood (${type})`);
      return false;
  }
}

function readOperator(ctx: ShardContext, path: readonly string[]): void {
  const name = path.at(-1) ?? '';
  const code = name.charCodeAt(0) | 0x20;
  // BETWEEN and its kin go by their words.
  if (name === '' || (code >= 0x61 && code <= 0x7a && name !== '|')) return;
  const isOwn = path.length === 1 || path[0] === 'pg_catalog';
  if (!isOwn || !OPERATORS.has(name)) readUserFunction(ctx, path.join('.'));
}

/** t.f calls f(t) where t has no column f. */
function readReference(ctx: ShardContext, node: SqlNode, level: Level): void {
  const path = pathOf(node, 'fields');
  const isWhole = path.length === nodesOf(node, 'fields').length;
  const name = path[path.length - 1];
  const found = isWhole ? level.scope.find(path) : 'opaque';
  if (SYSTEM_COLUMNS.has(name) && typeof found === 'string') {
    ctx.volatile ??= name;
    ctx.refuseSpread(`${name} means something else on each shard`);
  } else if (found === 'none') readField(ctx, name);
}

/** As drivers ask for the columns of an index. */
const ITEM_FIELDS: ReadonlySet<string> = new Set(['x', 'n']);

function readField(ctx: ShardContext, name: string): void {
  if (name === '' || (ctx.expandsArray && ITEM_FIELDS.has(name))) return;
  if (ctx.terms.isImmutable(name)) ctx.userFunction ??= name;
  else ctx.refuse(`"${name}" is no known column: it may be a function that reads rows of other shards`);
}

function readCast(ctx: ShardContext, node: SqlNode, isCondition: boolean): void {
  const typeName = nodeOf(node, 'typeName');
  const name = pathOf(typeName, 'names').at(-1) ?? '';
  if (REG_TYPES.has(name)) ctx.volatile ??= `a cast to ${name}`;
  if (REG_TYPES.has(name) && name !== 'oid') ctx.asksNumbers ||= ctx.terms.lookup.hasOwnOids;
  const type = castType(typeName);
  const argument = nodeOf(node, 'arg');
  const family = type === null ? null : familyOf(type.type);
  if (family !== null) ctx.useParameter(argument, type?.isArray === true ? `array:${family}` : family);
  // ARRAY[$1, $2]::bigint[]: each item is of that type (transformArrayExpr, parse_expr.c).
  if (type?.isArray === true) {
    for (const item of nodesOf(nodeOf(argument, 'A_ArrayExpr'), 'elements')) ctx.useParameter(item, family);
  }
  const constant = nodeOf(nodeOf(argument, 'A_Const'), 'sval');
  if (!TIME_TYPES.has(name)) return;
  if (constant === undefined) ctx.noteTimeParameter(argument);
  else readTimeText(ctx, constant, isCondition);
}

const TIME_TYPES = words('date timestamp timestamptz time timetz');
/** @param type `schema.name` */
export function isTimeType(type: string): boolean {
  return type.startsWith('pg_catalog.') && TIME_TYPES.has(type.slice('pg_catalog.'.length));
}

/** 'now'::timestamptz is the time, written as a constant. */
export function readTimeText(ctx: ShardContext, constant: SqlNode, isCondition: boolean): void {
  if (ctx.literals !== null) {
    if (isCondition) ctx.hasHiddenBound = true;
    else ctx.hasHiddenTime = true;
    return;
  }
  const text = textOf(constant, 'sval');
  if (mayTellTime(text)) noteTime(ctx, `'${text}'`, isCondition);
}

/** A query in an expression: once for each level that it stands in, however often it is asked for. */
export function readSubLink(ctx: ShardContext, link: SqlNode, level: Level): Shown {
  const known = level.sublinks.get(link);
  if (known !== undefined) return known;
  const query = nodeOf(nodeOf(link, 'subselect'), 'SelectStmt');
  if (textOf(link, 'subLinkType') === 'ARRAY_SUBLINK') ctx.unordered ??= 'ARRAY(SELECT …)';
  if (query === undefined) ctx.refuse('a subquery is not understood');
  const shown = query === undefined ? NO_SHOWN : readSelect(ctx, query, level.scope, level.ctes);
  level.sublinks.set(link, shown);
  return shown;
}

/**
 * `k IN (SELECT k …)` and `k NOT IN (SELECT k …)`, wherever they stand: without nulls, rows with other keys make no difference to
 * what they are. So it is with rows of values, which are not equal if their keys are not.
 */
function readMembers(ctx: ShardContext, link: SqlNode, level: Level, { columns, isOpaque }: Shown): void {
  const type = textOf(link, 'subLinkType');
  const [operator = '=', ...more] = pathOf(link, 'operName');
  const isMember = type === 'ANY_SUBLINK' && operator === '=';
  if (isOpaque || more.length > 0 || !(isMember || (type === 'ALL_SUBLINK' && operator === '<>'))) return;
  const test = nodeOf(link, 'testexpr');
  const parts = nodesOf(nodeOf(test, 'RowExpr'), 'args');
  for (const [i, part] of (parts.length > 0 ? parts : [test]).entries()) {
    const [one, other] = [neverNull(findColumn(part, level)), neverNull(columns[i])];
    if (one !== null && other !== null) ctx.graph.link(one.node, other.node);
  }
}

function neverNull(column: ShownColumn | null | undefined): KeyColumn | null {
  const key = column?.key ?? null;
  return key?.isExact === true && key.isNeverNull === true ? key : null;
}

/** A plain column, whatever stands for it. */
export function findColumn(node: SqlNode | undefined, level: Level): ShownColumn | null {
  const reference = nodeOf(node, 'ColumnRef');
  if (reference === undefined) return null;
  const path = pathOf(reference, 'fields');
  if (path.length !== nodesOf(reference, 'fields').length) return null;
  const found = level.scope.find(path);
  return typeof found === 'string' ? null : found;
}

/** Parameters that are compared with a column have its type. */
function noteOperands(ctx: ShardContext, node: SqlNode, level: Level): void {
  if (!COMPARISONS.has(pathOf(node, 'name').at(-1) ?? '')) return;
  const left = nodeOf(node, 'lexpr');
  const isArray = textOf(node, 'kind') === 'AEXPR_OP_ANY' || textOf(node, 'kind') === 'AEXPR_OP_ALL';
  const rights = itemsOf(node.rexpr);
  const isList = textOf(node, 'kind') === 'AEXPR_IN' && rights.length > 1;
  for (const right of rights.length > 0 ? rights : [nodeOf(node, 'rexpr') ?? {}]) {
    if (!isList || isOfOneType(ctx, left, rights, level)) notePair(ctx, left, right, level, isArray);
    if (!isArray) notePair(ctx, right, left, level, false);
    const lefts = nodesOf(nodeOf(left, 'RowExpr'), 'args');
    const parts = nodesOf(nodeOf(right, 'RowExpr'), 'args');
    for (const [i, each] of lefts.entries()) {
      notePair(ctx, each, parts[i], level, false);
      notePair(ctx, parts[i], each, level, false);
    }
  }
}

/** Items of a list have a type in common, which one of them may make another than the column's. */
function isOfOneType(
  ctx: ShardContext,
  column: SqlNode | undefined,
  items: readonly SqlNode[],
  level: Level,
): boolean {
  const family = columnFamily(findColumn(column, level)?.type ?? null);
  if (family === null) return true;
  return items.every((item) => {
    const isFraction = family === 'integer' && 'fval' in (nodeOf(item, 'A_Const') ?? {});
    return !isFraction && readSource(item, family, ctx.literals) !== null;
  });
}

function notePair(
  ctx: ShardContext,
  one: SqlNode | undefined,
  other: SqlNode | undefined,
  level: Level,
  isArray: boolean,
): void {
  const type = findColumn(one, level)?.type ?? null;
  const constant = nodeOf(nodeOf(other, 'A_Const'), 'sval');
  if (constant !== undefined && isTimeType(type?.type ?? '')) readTimeText(ctx, constant, true);
  const family: KeyFamily | null = columnFamily(type);
  if (family !== null) ctx.useParameter(other, isArray ? `array:${family}` : family);
}
