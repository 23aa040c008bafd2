/** Aggregates over groups that are spread over shards: what each shard is asked for, and what is made of it. */
import { nodeOf, nodesOf, pathOf, type SqlNode } from '../sql/sql-node.js';
import { isUnsteady } from './call-reading.js';
import { findColumn } from './expression-reading.js';
import { call, type GroupExpression } from './group-expression.js';
import { NoMerge, neverMerged } from './no-merge.js';
import { fillTemplate, type PartialColumn, type PartialColumns, type Piece } from './partial-columns.js';
import type { Level, Top } from './query-reading.js';
import type { SelectText } from './select-text.js';
import type { ShardContext } from './shard-context.js';
import type { AggregateKind } from './shard-reading.js';
import {
  columnTypeName,
  isBuiltin,
  isDeterministic,
  isEnumColumn,
  isOrderKnown,
  walkNodes,
} from './value-facts.js';

/** Aggregates whose partial results are of the same kind as the whole. */
const FOLDED: ReadonlyMap<string, AggregateKind> = new Map([
  ['count', 'count'],
  ['sum', 'sum'],
  ['min', 'min'],
  ['max', 'max'],
  ['bool_and', 'bool_and'],
  ['every', 'bool_and'],
  ['bool_or', 'bool_or'],
  ['bit_and', 'bit_and'],
  ['bit_or', 'bit_or'],
  ['bit_xor', 'bit_xor'],
]);
const DEVIATIONS: ReadonlyMap<string, 'var_samp' | 'var_pop' | 'stddev_samp' | 'stddev_pop'> = new Map([
  ['var_samp', 'var_samp'],
  ['variance', 'var_samp'],
  ['var_pop', 'var_pop'],
  ['stddev_samp', 'stddev_samp'],
  ['stddev', 'stddev_samp'],
  ['stddev_pop', 'stddev_pop'],
]);
/** Once or several times, a value makes no difference to them. */
const UNIQUE = new Set(['min', 'max', 'bool_and', 'every', 'bool_or', 'bit_and', 'bit_or']);

const WHOLE: ReadonlySet<string> = new Set(['int2', 'int4', 'int8']);
const NUMBERS: ReadonlySet<string> = new Set([...WHOLE, 'numeric', 'float4', 'float8']);
const ORDERED: ReadonlySet<string> = new Set([
  ...NUMBERS,
  'text',
  'bpchar',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);

/** Postgres has one for just this type. */
function isOwnFor(name: string, type: string): boolean {
  switch (FOLDED.get(name)) {
    case 'count':
      return false;
    case 'min':
    case 'max':
      return ORDERED.has(type);
    case 'bool_and':
    case 'bool_or':
      return type === 'bool';
    case 'bit_and':
    case 'bit_or':
    case 'bit_xor':
      return WHOLE.has(type);
    default:
      return NUMBERS.has(type);
  }
}

/** An aggregate, and the type of its result if that is known: of pg_type, without schema. */
export interface ReadAggregate {
  readonly expression: GroupExpression;
  readonly type: string | null;
}

/** How an aggregate's partial results become one; null: this is done to no aggregate of that name. */
export function foldOf(node: SqlNode): AggregateKind | null {
  const path = pathOf(node, 'funcname');
  return path.length === 1 || path[0] === 'pg_catalog' ? (FOLDED.get(path.at(-1) ?? '') ?? null) : null;
}

/**
 * Not one that users have made: of several that may be meant Postgres takes the one for just this type, wherever it is, and its
 * own are not for each type.
 */
export function requireOwn({ terms }: ShardContext, node: SqlNode, level: Level): void {
  const name = nameOf(node);
  if (pathOf(node, 'funcname').length > 1 || !terms.lookup.hasFunction(name)) return;
  const [arg] = nodesOf(node, 'args');
  if (arg === undefined) return;
  const type = columnTypeName(findColumn(arg, level)?.type ?? null);
  if (type !== null && isOwnFor(name, type)) return;
  throw neverMerged(
    `${name}(), of which users have made one, too`,
    `write pg_catalog.${name}() where Postgres's own is meant`,
  );
}

const nameOf = (node: SqlNode): string => pathOf(node, 'funcname').at(-1) ?? '';

function isUntyped(node: SqlNode): boolean {
  const constant = nodeOf(node, 'A_Const');
  return constant !== undefined && ('sval' in constant || constant.isnull === true);
}

export class AggregateReader {
  readonly #ctx: ShardContext;
  readonly #top: Top;
  readonly #text: SelectText;
  readonly #columns: PartialColumns;
  /** Values that shards group by besides, as each counts once. */
  readonly extraKeys: Piece[] = [];
  /** Some are not the sharding key's: a shard then has several rows for a group, and counts nothing once by itself. */
  readonly #isSplitByValue: boolean;

  constructor(ctx: ShardContext, top: Top, text: SelectText, columns: PartialColumns) {
    this.#ctx = ctx;
    this.#top = top;
    this.#text = text;
    this.#columns = columns;
    let isSplit = false;
    walkNodes([top.node.targetList, top.node.havingClause, top.node.sortClause], (type, node) => {
      const isOne = type === 'FuncCall' && node.agg_distinct === true && !UNIQUE.has(nameOf(node));
      const [arg] = isOne ? nodesOf(node, 'args') : [];
      if (isOne && !top.shape.isKey(findColumn(arg, top.level))) isSplit = true;
      return true;
    });
    this.#isSplitByValue = isSplit;
  }

  /** @param format of PartialColumn, where the result is all that is shown */
  read(node: SqlNode, format: number): ReadAggregate {
    const path = pathOf(node, 'funcname');
    const name = nameOf(node);
    const isOwn = path.length === 1 || path[0] === 'pg_catalog';
    const isPlain =
      node.agg_within_group !== true &&
      node.func_variadic !== true &&
      nodesOf(node, 'agg_order').length === 0;
    const args = nodesOf(node, 'args');
    const isArgued = args.length === 1 || node.agg_star === true;
    if (!isOwn || !isPlain || !isArgued) throw neverMerged(`${name}() over several shards`);
    const { level } = this.#top;
    const isEnum = isEnumColumn(args[0], level);
    const isAny = name === 'count' && (node.agg_distinct !== true || isEnum);
    const isRanked = isEnum && (name === 'min' || name === 'max');
    if (!isAny && !isRanked && !isBuiltin(args[0], level)) {
      throw neverMerged(`${name}() of something whose type is not known`);
    }
    requireOwn(this.#ctx, node, level);
    if (node.agg_distinct === true && !UNIQUE.has(name)) return this.#readDistinct(name, node, format);
    const kind = foldOf(node);
    if (kind !== null) {
      const isCount = kind === 'count';
      const template = node.agg_star === true ? 'pg_catalog.count(*)' : `pg_catalog.${name}($1)`;
      const column = this.#column(template, kind, node, format);
      return { expression: column, type: isCount ? 'int8' : this.#resultType(kind, args[0]) };
    }
    const deviation = DEVIATIONS.get(name);
    if (args.length === 0 || (name !== 'avg' && deviation === undefined))
      throw neverMerged(`${name}() over several shards`);
    this.#requireSteady(node);
    // For which each of the functions would settle on a type of its own.
    if ('ParamRef' in args[0] || isUntyped(args[0]))
      throw neverMerged(`${name}() of a constant without a type`);
    // As it is, so that the type tells whether the sums of shards add up to the sum of all: those of floats do not.
    const sum = this.#column('pg_catalog.sum($1)', 'sum', node, -1);
    const count = this.#column('pg_catalog.count($1)', 'count', node, -1);
    if (deviation === undefined) return { expression: call('avg', sum, count), type: 'numeric' };
    const squares = this.#column('pg_catalog.sum($1::numeric * $1::numeric)', 'sum', node, -1);
    return { expression: call(deviation, count, sum, squares), type: 'numeric' };
  }

  /** Partial results that belong together would be of other values each. */
  #requireSteady(node: SqlNode): void {
    walkNodes([node.args, node.agg_filter], (type, inner) => {
      if (type === 'FuncCall' && isUnsteady(inner))
        throw neverMerged(`${nameOf(node)}() beside ${nameOf(inner)}()`);
      return true;
    });
  }

  /** Values of the sharding key are all different from one shard to the other; others are asked for, each once. */
  #readDistinct(name: string, node: SqlNode, format: number): ReadAggregate {
    const [arg] = nodesOf(node, 'args');
    const column = findColumn(arg, this.#top.level);
    const isKey = this.#top.shape.isKey(column) && !this.#isSplitByValue;
    const of = (kind: 'count' | 'sum', to: number): GroupExpression => {
      if (isKey) return this.#column(`pg_catalog.${kind}(DISTINCT $1)`, kind, node, to);
      return this.#distinctColumn(kind === 'count' ? 'count_distinct' : 'sum_distinct', node);
    };
    if (arg !== undefined && name === 'count') return { expression: of('count', format), type: 'int8' };
    const type = columnTypeName(column?.type ?? null);
    const isWhole = type === 'int2' || type === 'int4' || type === 'int8';
    if (!isWhole || (name !== 'sum' && name !== 'avg'))
      throw neverMerged(`${name}(DISTINCT) over several shards`);
    if (name === 'sum') return { expression: of('sum', format), type: type === 'int8' ? 'numeric' : 'int8' };
    this.#requireSteady(node);
    return { expression: call('avg', of('sum', -1), of('count', -1)), type: 'numeric' };
  }

  /** A value that shards group by; what is made of it is as wide as the sum of all. */
  #distinctColumn(fold: 'count_distinct' | 'sum_distinct', node: SqlNode): GroupExpression {
    const parts = this.#parts(node);
    const [arg] = nodesOf(node, 'args');
    const isWide = columnTypeName(findColumn(arg, this.#top.level)?.type ?? null) === 'int8';
    const value = parts.length > 1 ? 'CASE WHEN $2 THEN $1 END' : '$1';
    const cast = fold === 'count_distinct' ? value : `(${value})::${isWide ? 'numeric' : 'int8'}`;
    const piece = parts.length > 1 || fold === 'sum_distinct' ? this.#fill(cast, parts) : parts[0];
    if ('A_Const' in piece.node || 'ParamRef' in piece.node)
      throw neverMerged('DISTINCT values that are constants');
    if (!this.extraKeys.some(({ text }) => text === piece.text)) this.extraKeys.push(piece);
    const mayBeText = isDeterministic(arg, this.#top.level);
    const plain = { mayBeText, mayBeInexact: true };
    return this.#add({ ...piece, fold, format: -1, plain, isOrderKnown: true });
  }

  /** Over what the aggregate is over, with its FILTER. */
  #column(template: string, fold: AggregateKind, node: SqlNode, format: number): GroupExpression {
    const parts = this.#parts(node);
    const made = this.#fill(template, parts);
    const filter = nodeOf(node, 'agg_filter');
    const isExtreme = fold === 'min' || fold === 'max';
    const isKnown = !isExtreme || isOrderKnown(nodesOf(node, 'args')[0], this.#top.level);
    const plain = isKnown ? null : { mayBeText: false, mayBeInexact: true };
    const label = `${nameOf(node)}(${node.agg_star === true ? '*' : (parts[0]?.text ?? '')})`;
    const rest = { fold, format, plain, isOrderKnown: isKnown, label };
    if (filter === undefined) return this.#add({ ...made, ...rest });
    const inner = { ...nodeOf(made.node, 'FuncCall'), agg_filter: filter };
    const text = `${made.text} FILTER (WHERE ${parts.at(-1)?.text})`;
    return this.#add({ text, node: { FuncCall: inner }, ...rest });
  }

  #add(column: PartialColumn): GroupExpression {
    return { kind: 'column', column: this.#columns.add(column) };
  }

  #fill(template: string, parts: readonly Piece[]): Piece {
    return fillTemplate(this.#ctx.terms.parser, template, parts);
  }

  /** Its argument, if it has one, and its condition, if it has one. */
  #parts(node: SqlNode): Piece[] {
    const found = this.#text.callAt(typeof node.location === 'number' ? node.location : 0);
    if (found === null) throw new NoMerge('a statement that cannot be rewritten');
    const [arg] = nodesOf(node, 'args');
    const filter = nodeOf(node, 'agg_filter');
    const parts: Piece[] = arg === undefined ? [] : [{ text: found.argument, node: arg }];
    return filter === undefined || found.filter === null
      ? parts
      : [...parts, { text: found.filter, node: filter }];
  }

  #resultType(kind: AggregateKind, arg: SqlNode): string | null {
    if (kind === 'bool_and' || kind === 'bool_or') return 'bool';
    const type = columnTypeName(findColumn(arg, this.#top.level)?.type ?? null);
    // Of varchar they are text.
    if (kind !== 'sum') return type === 'varchar' ? 'text' : type;
    if (type === 'int2' || type === 'int4') return 'int8';
    return type === 'int8' || type === 'numeric' ? 'numeric' : null;
  }
}
