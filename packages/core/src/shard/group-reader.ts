import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { AggregateReader } from './aggregate-reading.js';
import { isAggregate } from './call-reading.js';
import { findColumn, isTimeType, readTimeText } from './expression-reading.js';
import { call, constant, type GroupExpression, type GroupOperator } from './group-expression.js';
import { type GroupKey, keyPlain } from './group-key.js';
import {
  castTarget,
  commonType,
  isComputed,
  quotedString,
  readConstant,
  readText,
  type Typed,
  typeOf,
} from './group-types.js';
import { itemsOf } from './key-source.js';
import { mayFail } from './may-fail.js';
import { type NoMerge, neverMerged } from './no-merge.js';
import type { NodeIds } from './node-ids.js';
import { fillTemplate, type PartialColumns, type Piece } from './partial-columns.js';
import type { Top } from './query-reading.js';
import type { ShardContext } from './shard-context.js';
import {
  columnText,
  columnTypeName,
  hasAggregate,
  isOrderKnown,
  parametersOf,
  walkNodes,
} from './value-facts.js';

const OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '=', '<>', '<', '<=', '>', '>=']);
const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);
/** Parts of expressions, for each time that they are computed: x BETWEEN a AND b computes x twice. */
const READS_MAX = 5000;

/** Reads what is shown of groups, or asked of them, into what can be computed of their keys and partial results. */
export class GroupReader {
  readonly #ctx: ShardContext;
  readonly #top: Top;
  readonly #columns: PartialColumns;
  readonly #aggregates: AggregateReader;
  readonly #keys: readonly GroupKey[];
  readonly #ids: NodeIds;
  #readCount = 0;

  constructor(
    ctx: ShardContext,
    top: Top,
    columns: PartialColumns,
    aggregates: AggregateReader,
    keys: readonly GroupKey[],
    ids: NodeIds,
  ) {
    this.#ctx = ctx;
    this.#top = top;
    this.#columns = columns;
    this.#aggregates = aggregates;
    this.#keys = keys;
    this.#ids = ids;
  }

  /** What stands alone. @param format of PartialColumn, if nothing is computed of it */
  whole(piece: Piece, format: number): GroupExpression {
    const { node } = piece;
    const aggregate = nodeOf(node, 'FuncCall');
    if (aggregate !== undefined && isAggregate(aggregate))
      return this.#aggregates.read(aggregate, format).expression;
    return hasAggregate(node) || this.#failsElsewhere(node)
      ? this.#typed(node)
      : this.#perGroup(piece, format);
  }

  /** Shards compute it of groups that HAVING leaves out here as well; on one server nobody would see what fails there. */
  #failsElsewhere(node: SqlNode): boolean {
    const having = nodeOf(this.#top.node, 'havingClause');
    if (having === undefined || !hasAggregate(having)) return false;
    return mayFail(node, (part) => this.#keyOf(part) !== undefined);
  }

  condition(node: SqlNode): GroupExpression {
    return this.#typed(node, 'bool');
  }

  /** Of keys and constants alone: the shards tell it, as they would if a group were whole on each. */
  #perGroup(piece: Piece, format: number): GroupExpression {
    const { node } = piece;
    const key = this.#keyOf(node);
    if (key === undefined) this.#requireKeys(node);
    const { level } = this.#top;
    const isKnown = isOrderKnown(node, level);
    return this.#add({
      ...piece,
      fold: key === undefined ? 'first' : null,
      format,
      plain: key === undefined ? null : keyPlain(key, this.#top),
      isOrderKnown: isKnown,
    });
  }

  #keyOf(node: SqlNode): GroupKey | undefined {
    if (this.#keys.length === 0) return undefined;
    const same = this.#ids.of(node);
    const found = findColumn(node, this.#top.level);
    return this.#keys.find((key) => key.id === same || (found !== null && key.column === found));
  }

  #requireKeys(node: SqlNode): void {
    walkNodes(node, (type, inner) => {
      if (this.#keyOf({ [type]: inner }) !== undefined) return false;
      if (type === 'ColumnRef' && !this.#isOfWhole(inner)) throw ungrouped(inner);
      if (type === 'SubLink') throw neverMerged('a subquery beside groups of several shards');
      if ('over' in inner) throw neverMerged('window functions over groups');
      return true;
    });
  }

  /**
   * Of a table that is whole on every shard, whose primary key is in GROUP BY: servers refuse it otherwise, for of anything else
   * a group may have several. All shards have the same row.
   */
  #isOfWhole(reference: SqlNode): boolean {
    const { level } = this.#top;
    const column = this.#keys.length === 0 ? null : findColumn({ ColumnRef: reference }, level);
    const owner = level.scope.entries.find(({ columns }) => column !== null && columns.includes(column));
    return owner?.isSharded === false && !owner.isOpaque && column?.type != null;
  }

  #add(column: Parameters<PartialColumns['add']>[0]): GroupExpression {
    return { kind: 'column', column: this.#columns.add(column) };
  }

  #typed(node: SqlNode, wanted: string | null = null): GroupExpression {
    return this.#resolved(this.#read(node), wanted);
  }

  /** What has no type of its own is of this one. */
  #resolved(read: Typed, type: string | null): GroupExpression {
    if ('expression' in read) return read.expression;
    const { untyped } = read;
    if (nodeOf(untyped, 'A_Const')?.isnull === true) return constant('null', '');
    if (type === null) throw neverMerged('a value whose type is not known');
    return this.#cast(untyped, type);
  }

  /** A text or a parameter: the shards read it, as the type that it has there. */
  #cast(node: SqlNode, type: string): GroupExpression {
    const number = nodeOf(node, 'ParamRef')?.number;
    if (typeof number === 'number' && parametersOf(this.#top.node).get(number) !== 1) {
      throw neverMerged(`$${number}, which is compared with groups and used elsewhere as well`);
    }
    const constant = nodeOf(nodeOf(node, 'A_Const'), 'sval');
    if (constant !== undefined && isTimeType(`pg_catalog.${type}`)) readTimeText(this.#ctx, constant, false);
    if (constant !== undefined && isComputed(type)) return readText(type, textOf(constant, 'sval'));
    const text = constant === undefined ? `$${number}` : quotedString(textOf(constant, 'sval'));
    const piece = fillTemplate(this.#ctx.terms.parser, `$1::pg_catalog.${type}`, [{ text, node }]);
    return this.#add({ ...piece, fold: 'first', format: -1, plain: null, isOrderKnown: true });
  }

  #count(parts: number): void {
    this.#readCount += parts;
    if (this.#readCount > READS_MAX) throw neverMerged('expressions over groups that are too long');
  }

  /** What is computed so many times, and read once. */
  #readOften(node: SqlNode, times: number): Typed {
    const before = this.#readCount;
    const read = this.#read(node);
    this.#count((times - 1) * (this.#readCount - before));
    return read;
  }

  #read(node: SqlNode): Typed {
    this.#count(1);
    const [kind = ''] = Object.keys(node);
    const inner = nodeOf(node, kind) ?? {};
    return this.#key(node) ?? this.#readKind(kind, inner, node);
  }

  /** What a group is told apart by, or a column of it. */
  #key(node: SqlNode): Typed | null {
    const key = this.#keyOf(node);
    if (key === undefined) return null;
    const text = columnText(node) ?? key.text;
    return {
      expression: this.#perGroup({ text, node }, -1),
      type: columnTypeName(key.column?.type ?? null),
    };
  }

  #readKind(kind: string, inner: SqlNode, node: SqlNode): Typed {
    switch (kind) {
      case 'A_Const':
        return readConstant(inner) ?? { untyped: node };
      case 'ParamRef':
        return { untyped: node };
      case 'FuncCall':
        return isAggregate(inner) ? this.#aggregates.read(inner, -1) : this.#function(inner);
      case 'A_Expr':
        return this.#operation(inner);
      case 'BoolExpr':
        return this.#boolean(inner);
      case 'NullTest':
      case 'BooleanTest':
        return this.#test(kind, inner);
      case 'CoalesceExpr':
        return this.#alternatives('coalesce', nodesOf(inner, 'args'));
      case 'MinMaxExpr':
        return this.#alternatives(
          textOf(inner, 'op') === 'IS_LEAST' ? 'least' : 'greatest',
          nodesOf(inner, 'args'),
        );
      case 'CaseExpr':
        return this.#case(inner);
      case 'TypeCast':
        return this.#typeCast(inner);
      case 'ColumnRef':
        throw ungrouped(inner);
      default:
        throw neverMerged('an expression over groups of several shards');
    }
  }

  #function(inner: SqlNode): Typed {
    const path = pathOf(inner, 'funcname');
    const name = path.at(-1) ?? '';
    const args = nodesOf(inner, 'args');
    const isOwn = path.length === 1 || path[0] === 'pg_catalog';
    const isPlain = isOwn && nodeOf(inner, 'over') === undefined && inner.func_variadic !== true;
    const isRound = name === 'round' && (args.length === 1 || args.length === 2);
    if (!isPlain || !(isRound || (name === 'abs' && args.length === 1))) {
      throw neverMerged(`${name}() of groups of several shards`);
    }
    const [first, second] = args.map((arg) => this.#read(arg));
    if (name === 'abs') return { expression: call('abs', this.#resolved(first, null)), type: typeOf(first) };
    const rounded = this.#resolved(first, null);
    if (second === undefined) return { expression: call('round', rounded), type: 'numeric' };
    return { expression: call('round', rounded, this.#resolved(second, 'int4')), type: 'numeric' };
  }

  #operation(inner: SqlNode): Typed {
    const path = pathOf(inner, 'name');
    const name = path.at(-1) ?? '';
    if (path.length > 1 && path[0] !== 'pg_catalog')
      throw neverMerged('an operator over groups of several shards');
    const left = nodeOf(inner, 'lexpr');
    const right = nodeOf(inner, 'rexpr') ?? {};
    switch (textOf(inner, 'kind')) {
      case 'AEXPR_OP':
        return left === undefined ? this.#unary(name, right) : this.#binary(name, left, right);
      case 'AEXPR_IN':
        return this.#list(left ?? {}, itemsOf(inner.rexpr), name === '<>');
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN':
        return this.#between(left ?? {}, itemsOf(inner.rexpr), textOf(inner, 'kind') === 'AEXPR_NOT_BETWEEN');
      case 'AEXPR_DISTINCT':
        return bool(call('not', this.#pair('same', this.#read(left ?? {}), this.#read(right)).expression));
      case 'AEXPR_NOT_DISTINCT':
        return this.#pair('same', this.#read(left ?? {}), this.#read(right));
      case 'AEXPR_NULLIF':
        return this.#pair('nullif', this.#read(left ?? {}), this.#read(right));
      default:
        throw neverMerged(`${name} over groups of several shards`);
    }
  }

  #unary(name: string, right: SqlNode): Typed {
    const operand = this.#read(right);
    if (name === '+') return operand;
    if (name !== '-') throw neverMerged(`${name} over groups of several shards`);
    return { expression: call('negate', this.#resolved(operand, null)), type: typeOf(operand) };
  }

  #binary(name: string, left: SqlNode, right: SqlNode): Typed {
    if (!OPERATORS.has(name)) throw neverMerged(`${name} over groups of several shards`);
    // Which transform_null_equals makes another question of.
    if (name === '=' && (isNull(left) || isNull(right))) throw neverMerged('= NULL over groups');
    const { expression, type } = this.#pair(name as GroupOperator, this.#read(left), this.#read(right));
    return COMPARISONS.has(name) ? bool(expression) : { expression, type };
  }

  #pair(
    operator: GroupOperator,
    one: Typed,
    other: Typed,
  ): { expression: GroupExpression; type: string | null } {
    const args = [this.#resolved(one, typeOf(other)), this.#resolved(other, typeOf(one))];
    // With the order of what is compared it is known what is equal.
    for (const arg of args) this.#columns.requireOrder(arg);
    const common = commonType([one, other]);
    // NULLIF gives its first argument, widened only where the two are not compared as they are.
    const type = operator === 'nullif' && common !== 'numeric' ? typeOf(one) : common;
    return { expression: call(operator, ...args), type: operator === 'same' ? 'bool' : type };
  }

  #list(left: SqlNode, items: readonly SqlNode[], isNegated: boolean): Typed {
    const one = this.#readOften(left, items.length);
    const others = items.map((item) => this.#read(item));
    const types = new Set([one, ...others].map(typeOf));
    const isTyped = items.every((item, i) => 'expression' in others[i] || isNull(item));
    // All have a type in common, which one of them may make another than the first one's.
    if (!isTyped && [...types].filter((type) => type !== null).length !== 1) {
      throw neverMerged('a list of values of several types');
    }
    const equals = others.map((other) => this.#pair('=', one, other).expression);
    const matched = equals.length === 1 ? equals[0] : call('or', ...equals);
    return bool(isNegated ? call('not', matched) : matched);
  }

  #between(left: SqlNode, [from, to]: readonly SqlNode[], isNegated: boolean): Typed {
    const one = this.#readOften(left, 2);
    const within = call(
      'and',
      this.#pair('>=', one, this.#read(from ?? {})).expression,
      this.#pair('<=', one, this.#read(to ?? {})).expression,
    );
    return bool(isNegated ? call('not', within) : within);
  }

  #boolean(inner: SqlNode): Typed {
    const args = nodesOf(inner, 'args').map((arg) => this.#typed(arg, 'bool'));
    const operator = { AND_EXPR: 'and', OR_EXPR: 'or', NOT_EXPR: 'not' }[textOf(inner, 'boolop')];
    return bool(call((operator ?? 'and') as GroupOperator, ...args));
  }

  #test(kind: string, inner: SqlNode): Typed {
    const isNull = kind === 'NullTest';
    const test = textOf(inner, isNull ? 'nulltesttype' : 'booltesttype');
    const arg = this.#typed(nodeOf(inner, 'arg') ?? {}, isNull ? null : 'bool');
    const tested = call(TESTS[test.replace('_NOT', '')] ?? 'isNull', arg);
    return bool(test.includes('_NOT') ? call('not', tested) : tested);
  }

  #alternatives(operator: GroupOperator, nodes: readonly SqlNode[]): Typed {
    const read = nodes.map((each) => this.#read(each));
    const type = commonType(read);
    const args = read.map((each) => this.#resolved(each, type));
    if (operator !== 'coalesce') for (const arg of args) this.#columns.requireOrder(arg);
    return { expression: call(operator, ...args), type };
  }

  #case(inner: SqlNode): Typed {
    const whens = nodesOf(inner, 'args').map((each) => nodeOf(each, 'CaseWhen') ?? {});
    const arg = nodeOf(inner, 'arg');
    const otherwise = nodeOf(inner, 'defresult');
    const tested = arg === undefined ? null : this.#readOften(arg, whens.length);
    if (tested !== null && 'untyped' in tested) throw neverMerged('a value whose type is not known');
    const results = whens.map((when) => this.#read(nodeOf(when, 'result') ?? {}));
    const last: Typed =
      otherwise === undefined ? { expression: constant('null', ''), type: null } : this.#read(otherwise);
    const type = commonType(otherwise === undefined ? results : [...results, last]);
    const args = whens.flatMap((when, i) => {
      const test = nodeOf(when, 'expr') ?? {};
      const condition =
        tested === null ? this.#typed(test, 'bool') : this.#pair('=', tested, this.#read(test)).expression;
      return [condition, this.#resolved(results[i], type)];
    });
    return { expression: call('case', ...args, this.#resolved(last, type)), type };
  }

  #typeCast(inner: SqlNode): Typed {
    const typeName = nodeOf(inner, 'typeName') ?? {};
    const target = castTarget(typeName);
    const arg = nodeOf(inner, 'arg') ?? {};
    const read = this.#read(arg);
    if (target === null) throw neverMerged('a cast of groups of several shards');
    if ('untyped' in read) {
      if (target.modifier !== null) throw neverMerged('a cast of groups of several shards');
      return { expression: this.#resolved(read, target.type), type: target.type };
    }
    return { expression: { kind: 'cast', to: target, arg: read.expression }, type: target.type };
  }
}

const TESTS: Record<string, GroupOperator> = {
  IS_NULL: 'isNull',
  IS_TRUE: 'isTrue',
  IS_FALSE: 'isFalse',
  IS_UNKNOWN: 'isNull',
};

/** Of a group, or unknown: whichever it is, it is not told apart by it. */
function ungrouped(reference: SqlNode): NoMerge {
  return neverMerged(`"${pathOf(reference, 'fields').join('.')}" is not in GROUP BY`);
}

const isNull = (node: SqlNode): boolean => nodeOf(node, 'A_Const')?.isnull === true;

const bool = (expression: GroupExpression): Typed => ({ expression, type: 'bool' });
