/** `SELECT count(*) FROM (SELECT …) x`, and the same by WITH, where rows of several shards have to do with each other before they are counted. */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { isAggregate } from './call-reading.js';
import { columnsOf } from './group-expression.js';
import { castType } from './key-family.js';
import { mayFail } from './may-fail.js';
import { NoMerge } from './no-merge.js';
import { widerText } from './rewritten-text.js';
import { SelectText, tokensOf } from './select-text.js';
import type { ReadTerms } from './shard-context.js';
import type { MergePlan, ShardReading, Spread } from './shard-reading.js';
import { isSameNode, walkNodes } from './value-facts.js';

const OPEN = 0x28;
const CLOSE = 0x29;
/** All that the query around may have: others leave out rows, or make groups of them. */
const FIELDS: ReadonlySet<string> = new Set(['targetList', 'fromClause', 'limitOption', 'op']);
const COUNT_TYPES: ReadonlySet<string> = new Set(['pg_catalog.int4', 'pg_catalog.int8']);
/** Aggregates that take whatever values there are. */
const ADDED: ReadonlySet<string> = new Set(
  'count sum min max avg bool_and bool_or every stddev stddev_pop stddev_samp variance var_pop var_samp'.split(
    ' ',
  ),
);
const LEAVES: ReadonlySet<string> = new Set(
  'ColumnRef A_Star A_Const ParamRef ResTarget String Integer Float Boolean'.split(' '),
);

/**
 * The rows of what stands in FROM are merged as if it were the statement, and their number is what is shown.
 * @param reading of the statement as it stands, which several shards cannot be asked
 * @param read how what stands in FROM is read
 * @returns null: it is no such statement, or that cannot be merged either
 */
export function readCounted(
  node: SqlNode,
  terms: ReadTerms,
  { groups, time }: ShardReading,
  read: (query: SqlNode, terms: ReadTerms) => ShardReading,
): Spread | null {
  const query = countedQuery(node, terms);
  if (query === null || groups.length === 0 || time !== undefined) return null;
  if (terms.literals !== null) return { kind: 'byText' };
  const bytes = terms.text === undefined ? null : subqueryBytes(terms.text);
  const parsed = bytes === null ? null : terms.parser.parse(Buffer.from(bytes).toString('utf8'));
  const [statement] = Array.isArray(parsed) ? parsed : [];
  // Nothing but its own tree is believed.
  if (bytes === null || statement === undefined || !isSameNode(statement.node, query)) return null;
  const inner = read(statement.node, { ...terms, text: bytes });
  const { refusal, spread } = inner;
  if (refusal !== null || spread.kind !== 'merge' || !isSameKeys(inner.groups, groups)) return null;
  const plan = countedPlan(spread.plan, statement.node, bytes, terms);
  return plan === null ? null : { ...spread, plan };
}

/** What stands in FROM, if nothing is asked but how many rows that has. */
function countedQuery(node: SqlNode, { lookup }: ReadTerms): SqlNode | null {
  const named = nodeOf(node, 'withClause');
  if (Object.keys(node).some((key) => !FIELDS.has(key) && key !== 'withClause')) return null;
  const [target, ...others] = nodesOf(node, 'targetList');
  const [item, ...more] = nodesOf(node, 'fromClause');
  const query = named === undefined ? subqueryOf(item) : namedQuery(named, item);
  if (others.length > 0 || more.length > 0 || query === null) return null;
  const value = nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {};
  const cast = nodeOf(value, 'TypeCast');
  const type = cast === undefined ? null : castType(nodeOf(cast, 'typeName'));
  if (cast !== undefined && (type === null || type.isArray || !COUNT_TYPES.has(type.type))) return null;
  const call = nodeOf(nodeOf(cast, 'arg') ?? value, 'FuncCall');
  if (call === undefined || !isCountOfAll(call, lookup.hasFunction('count'))) return null;
  return query;
}

function subqueryOf(item: SqlNode | undefined): SqlNode | null {
  const from = nodeOf(item, 'RangeSubselect');
  return from?.lateral === true ? null : (nodeOf(nodeOf(from, 'subquery'), 'SelectStmt') ?? null);
}

/** WITH x AS (SELECT …) SELECT count(*) FROM x. */
function namedQuery(clause: SqlNode, item: SqlNode | undefined): SqlNode | null {
  const [only, ...others] = nodesOf(clause, 'ctes').map((each) => nodeOf(each, 'CommonTableExpr'));
  const from = nodeOf(item, 'RangeVar');
  const isMeant = textOf(from, 'relname') === textOf(only, 'ctename') && textOf(from, 'schemaname') === '';
  if (clause.recursive === true || others.length > 0 || only === undefined || from === undefined || !isMeant)
    return null;
  return nodeOf(nodeOf(only, 'ctequery'), 'SelectStmt') ?? null;
}

/** count(*), count(1). */
function isCountOfAll(call: SqlNode, isTaken: boolean): boolean {
  const path = pathOf(call, 'funcname');
  const isOwn = path.length === 1 ? !isTaken : path[0] === 'pg_catalog' && path.length === 2;
  if (!isOwn || path.at(-1) !== 'count') return false;
  const isPlain = !['agg_filter', 'agg_distinct', 'agg_order', 'over', 'func_variadic'].some(
    (key) => key in call,
  );
  const [arg, ...others] = nodesOf(call, 'args');
  if (!isPlain || others.length > 0) return false;
  const constant = nodeOf(arg, 'A_Const');
  return arg === undefined ? call.agg_star === true : constant !== undefined && constant.isnull !== true;
}

/** What stands in the first parentheses behind FROM, or behind the AS of WITH. */
function subqueryBytes(text: Uint8Array): Uint8Array | null {
  const tokens = tokensOf(text) ?? [];
  const before = tokens[0]?.word === 'with' ? 'as' : 'from';
  const from = tokens.findIndex(({ depth, word }) => depth === 0 && word === before);
  const open = tokens.find(({ kind, depth }, at) => at > from && kind === OPEN && depth === 0);
  if (from < 0 || open === undefined) return null;
  const close = tokens.find(({ kind, depth, start }) => start > open.start && kind === CLOSE && depth === 0);
  return close === undefined ? null : text.subarray(open.end, close.start);
}

const isSameKeys = (one: ShardReading['groups'], other: ShardReading['groups']): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** null: what shards would have to be asked cannot be written, or more may fail there than where rows are only counted. */
function countedPlan(plan: MergePlan, node: SqlNode, bytes: Uint8Array, terms: ReadTerms): MergePlan | null {
  const { limit, offset, aggregates, firstOf, isDistinct, rewrite } = plan;
  if (
    plan.counts !== undefined ||
    plan.totals !== undefined ||
    aggregates.length === 0 ||
    'lockingClause' in node
  )
    return null;
  if (isFolded(plan) && isDistinct) return null;
  if (!areHarmless(node)) return null;
  const text = rewrite?.text ?? askedText(plan, node, bytes, terms);
  if (text === null) return null;
  const formats = rewrite?.formats ?? aggregates.map(() => 0);
  const names = rewrite?.names ?? aggregates.map(() => '');
  // In which order they come makes no difference to how many there are, but where the first of each group counts alone.
  const { sort } = firstOf === undefined ? { sort: [] } : plan;
  return {
    sort: [],
    group: null,
    aggregates: [null],
    isDistinct: false,
    limit,
    offset,
    rewrite: {
      text,
      formats: formats.map((column) => Math.min(column, 0)),
      names,
      shownCount: 1,
      groups: null,
    },
    counts: { ...plan, sort, ...(isFolded(plan) ? uncomputed(plan) : {}) },
  };
}

function isFolded({ group, aggregates }: MergePlan): boolean {
  return group !== null || aggregates.some((each) => each !== null);
}

/** Nothing of the groups is shown, so they are told apart, and what HAVING asks for is added up. */
function uncomputed({ aggregates, plain, rewrite }: MergePlan): Partial<MergePlan> {
  const groups = rewrite?.groups ?? null;
  const asked = new Set(groups?.having == null ? [] : columnsOf(groups.having));
  const kept = aggregates.map((kind, column) => (kind === null || asked.has(column) ? kind : 'first'));
  const checked = plain?.filter(({ column }) => kept[column] !== 'first');
  const all = { aggregates: kept, ...(checked === undefined ? {} : { plain: checked }) };
  if (rewrite === undefined || groups === null) return all;
  return { ...all, rewrite: { ...rewrite, shownCount: 0, groups: { ...groups, shown: [], hidden: [] } } };
}

/** As it stands; with a LIMIT, of each shard as many rows as there may be of all, or all of its groups. */
function askedText(plan: MergePlan, node: SqlNode, bytes: Uint8Array, { parser }: ReadTerms): string | null {
  const { limit, offset } = plan;
  if (limit === null && offset === null) return Buffer.from(bytes).toString('utf8');
  const text = SelectText.of(bytes);
  if (text === null || 'larg' in node) return null;
  try {
    return widerText(parser, text, node, [], { limit, offset }, isFolded(plan) ? 'all' : 'some');
  } catch (error) {
    if (error instanceof NoMerge) return null;
    throw error;
  }
}

/** What is shown and not counted Postgres does not compute: shards do, and it must be no error there. */
function areHarmless(node: SqlNode): boolean {
  const arms = [nodeOf(node, 'larg'), nodeOf(node, 'rarg')].filter((arm) => arm !== undefined);
  if (arms.length > 0) return arms.every(areHarmless);
  if (Array.isArray(node.distinctClause)) return true;
  const groups = nodesOf(node, 'groupClause');
  return nodesOf(node, 'targetList').every((target) => {
    const value = nodeOf(nodeOf(target, 'ResTarget'), 'val') ?? {};
    return groups.some((group) => isSameNode(group, value)) || isHarmless(value);
  });
}

/** Columns, constants, and what is made of columns without a chance of an error. */
function isHarmless(value: SqlNode): boolean {
  let is = true;
  walkNodes(value, (type, inner) => {
    if (LEAVES.has(type)) return true;
    const part = { [type]: inner };
    const isAdded =
      type === 'FuncCall' && isAggregate(inner) && ADDED.has(pathOf(inner, 'funcname').at(-1) ?? '');
    // Of aggregates the arguments are looked at further on.
    if (!isAdded && (mayFail(part, () => false) || !hasColumn(part))) is = false;
    return is;
  });
  return is;
}

function hasColumn(node: SqlNode): boolean {
  let has = false;
  walkNodes(node, (type) => {
    if (type === 'ColumnRef') has = true;
    return !has;
  });
  return has;
}
