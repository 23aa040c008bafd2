import { nodeOf, nodesOf, pathOf, type SqlNode } from '../sql/sql-node.js';
import { AggregateReader } from './aggregate-reading.js';
import { findColumn } from './expression-reading.js';
import type { GroupExpression } from './group-expression.js';
import { type GroupKey, keyPlain } from './group-key.js';
import { GroupReader } from './group-reader.js';
import { neverMerged } from './no-merge.js';
import { NodeIds } from './node-ids.js';
import { PartialColumns, type Piece } from './partial-columns.js';
import type { Top } from './query-reading.js';
import { groupText, type Limits } from './rewritten-text.js';
import { SelectText } from './select-text.js';
import type { ShardContext } from './shard-context.js';
import type { MergePlan, SortKey } from './shard-reading.js';
import { Scope } from './shard-scope.js';
import { findShown, sortDirection } from './sort-reading.js';
import { columnCollation, knownEnums, rankedBy, textOrderOf } from './text-order.js';
import {
  hasAggregate,
  isBuiltin,
  isDeterministic,
  isNamedTarget,
  isOrderKnown,
  isSameNode,
  isTextEqual,
  quoted,
} from './value-facts.js';

/** Groups of which each shard has a part, where more is asked than shards' answers have in them. */
export class GroupPlanReader {
  readonly #ctx: ShardContext;
  readonly #top: Top;
  readonly #text: SelectText;
  readonly #columns = new PartialColumns();
  readonly #ids = new NodeIds();
  readonly #targets: readonly Piece[];
  readonly #keys: readonly GroupKey[];
  readonly #aggregates: AggregateReader;
  readonly #reader: GroupReader;

  constructor(ctx: ShardContext, top: Top, text: SelectText) {
    this.#ctx = ctx;
    this.#top = top;
    this.#text = text;
    this.#targets = this.#readTargets();
    this.#keys = this.#readKeys();
    this.#aggregates = new AggregateReader(ctx, top, text, this.#columns);
    this.#reader = new GroupReader(ctx, top, this.#columns, this.#aggregates, this.#keys, this.#ids);
  }

  static of(ctx: ShardContext, top: Top, bytes: Uint8Array): GroupPlanReader {
    const text = SelectText.of(bytes);
    if (text === null) throw neverMerged('a statement that cannot be rewritten');
    return new GroupPlanReader(ctx, top, text);
  }

  read(limits: Limits): MergePlan {
    const { node, shape } = this.#top;
    const shown = this.#targets.map((target, i) => this.#reader.whole(target, i));
    if (shape.distinct === 'all') this.#requireSame(shown);
    const havingNode = nodeOf(node, 'havingClause');
    const keepsHaving = havingNode !== undefined && !hasAggregate(havingNode);
    if (keepsHaving) this.#requireAlike();
    const having = havingNode === undefined || keepsHaving ? null : this.#reader.condition(havingNode);
    const hidden: GroupExpression[] = [];
    const sort = this.#sort(shown, hidden);
    for (const key of this.#keys) this.#addKey(key);
    const { extraKeys } = this.#aggregates;
    const isOne = this.#keys.length === 0;
    this.#requireRows(isOne && extraKeys.length > 0, keepsHaving);
    const keys = [...this.#keys, ...extraKeys];
    const { list } = this.#columns;
    const text = groupText(this.#ctx.terms.parser, this.#text, node, list, keys, keepsHaving, limits);
    const group = list.flatMap(({ fold }, column) => (fold === null ? [column] : []));
    return {
      sort,
      group: isOne ? null : group,
      aggregates: list.map(({ fold }) => fold),
      isDistinct: shape.distinct === 'all',
      ...limits,
      ...knownEnums(this.#ctx),
      plain: this.#columns.plain,
      rewrite: {
        text,
        formats: list.map(({ format }) => format),
        names: this.#columns.names,
        shownCount: shown.length,
        groups: { shown, hidden, having, isOne: isOne && !keepsHaving },
      },
    };
  }

  /** Rows are told apart by their bytes, which texts may differ in that a collation takes for equal. */
  #requireSame(shown: readonly GroupExpression[]): void {
    for (const [i, { node }] of this.#targets.entries())
      if (!isDeterministic(node, this.#top.level)) this.#columns.requireOrder(shown[i]);
  }

  /** Shards that leave out other groups than others would tell of parts of them. */
  #requireAlike(): void {
    const { volatile } = this.#ctx;
    if (volatile !== null) throw neverMerged(`${volatile} beside HAVING`);
  }

  /** A group of no rows is one that shards that group by values do not tell of. */
  #requireRows(isByValue: boolean, keepsHaving: boolean): void {
    const isToldOnce = this.#columns.list.some(({ fold }) => fold === 'first');
    if (isByValue && (isToldOnce || keepsHaving))
      throw neverMerged('DISTINCT values beside constants, without GROUP BY');
  }

  #addKey(key: GroupKey): void {
    const isAsked = this.#columns.list.some(({ fold, text }) => fold === null && text === key.text);
    if (isAsked) return;
    const plain = keyPlain(key, this.#top);
    this.#columns.add({
      ...key,
      fold: null,
      format: -1,
      plain,
      isOrderKnown: isOrderKnown(key.node, this.#top.level),
    });
  }

  #readTargets(): Piece[] {
    const items = nodesOf(this.#top.node, 'targetList');
    const texts = this.#text.targets(items.map(isNamedTarget));
    const pieces = items.flatMap((item, i) => {
      const node = nodeOf(nodeOf(item, 'ResTarget'), 'val') ?? {};
      return this.#starred(node) ?? [{ text: texts?.[i] ?? '', node }];
    });
    if (texts === null || this.#top.targets?.length !== pieces.length)
      throw neverMerged('* over groups of several shards', 'name the columns');
    return pieces;
  }

  /** p.*, where GROUP BY has the primary key of p: its columns, one by one. null: it is something else. */
  #starred(node: SqlNode): Piece[] | null {
    const fields = nodesOf(nodeOf(node, 'ColumnRef'), 'fields');
    if (!fields.some((field) => 'A_Star' in field)) return null;
    const [name, ...more] = pathOf(nodeOf(node, 'ColumnRef'), 'fields').slice(0, -1);
    const entry = name === undefined || more.length > 0 ? null : this.#top.level.scope.entry([name]);
    if (entry === null || entry.isOpaque)
      throw neverMerged('* over groups of several shards', 'name the columns');
    return entry.columns.map((column) => ({
      text: quoted([name, column.name]),
      node: { ColumnRef: { fields: [name, column.name].map((sval) => ({ String: { sval } })) } },
    }));
  }

  #readKeys(): GroupKey[] {
    const items = nodesOf(this.#top.node, 'groupClause');
    const texts = this.#text.groups;
    if (this.#top.node.groupDistinct === true) throw neverMerged('GROUP BY DISTINCT');
    if (texts.length !== items.length) throw neverMerged('a statement that cannot be rewritten');
    const keys = items.map((node, i) => {
      const piece = this.#named(node) ?? { text: texts[i], node };
      if ('GroupingSet' in piece.node) throw neverMerged('GROUPING SETS');
      if ('A_Const' in piece.node || 'ParamRef' in piece.node) throw neverMerged('GROUP BY a constant');
      const found = 'ColumnRef' in piece.node ? (this.#top.shape.group?.[i] ?? null) : null;
      if (found !== null && found.type !== null && !isTextEqual(found.type)) {
        throw neverMerged('GROUP BY of something whose equality Postgres alone knows');
      }
      return { ...piece, column: found, id: this.#ids.of(piece.node) };
    });
    // The same one written twice is one.
    return keys.filter(({ text }, i) => keys.findIndex((other) => other.text === text) === i);
  }

  /** A position, or the name of what is shown, as columns of FROM go before; null: it is an expression itself. */
  #named(node: SqlNode): Piece | null {
    const position = nodeOf(nodeOf(node, 'A_Const'), 'ival')?.ival;
    if (typeof position === 'number') return this.#targets[position - 1] ?? null;
    const path = pathOf(nodeOf(node, 'ColumnRef'), 'fields');
    if (path.length !== 1) return null;
    const scope = new Scope(this.#top.level.scope.parts, null);
    if (typeof scope.find(path) !== 'string') return null;
    const named = (this.#top.targets ?? []).flatMap(({ name }, i) => (name === path[0] ? [i] : []));
    if (named.length > 1) throw neverMerged(`GROUP BY "${path[0]}", which several columns are called`);
    const target = named.length === 1 ? this.#targets[named[0]] : null;
    // Shown under the name that it has in FROM, it is the same whichever is meant.
    if (target !== null && scope.mayHave(path[0]) && !isSameNode(target.node, node)) {
      throw neverMerged(
        `GROUP BY "${path[0]}", which may be a column of something in FROM`,
        'qualify the column, or give what is shown another name',
      );
    }
    return target;
  }

  #sort(shown: readonly GroupExpression[], hidden: GroupExpression[]): SortKey[] {
    const texts = this.#text.orders;
    return nodesOf(this.#top.node, 'sortClause').map((each, i) => {
      const item = nodeOf(each, 'SortBy') ?? {};
      const node = nodeOf(item, 'node') ?? {};
      const position = findShown(this.#ctx, this.#top, node);
      if (position >= 0 && !this.#isAskedAgain(shown[position])) {
        return { column: position, ...sortDirection(item), ...this.#order(shown[position]) };
      }
      if (position < 0 && texts[i] === undefined) throw neverMerged('a statement that cannot be rewritten');
      const piece = position < 0 ? { text: texts[i], node } : this.#targets[position];
      const expression = this.#reader.whole(piece, -1);
      hidden.push(expression);
      return { column: shown.length + hidden.length - 1, ...sortDirection(item), ...this.#order(expression) };
    });
  }

  /** Of texts that groups are told apart by, by what they are sorted. */
  #order(expression: GroupExpression): { collation?: string } {
    const asked = expression.kind === 'column' ? this.#columns.list[expression.column] : undefined;
    const { level } = this.#top;
    if (asked?.fold === null && !asked.isOrderKnown) {
      const collation = columnCollation(findColumn(asked.node, level)?.type ?? null);
      if (collation !== null) return { collation };
      const { textOrder } = this.#ctx.terms.lookup;
      const order = isBuiltin(asked.node, level) ? textOrderOf(asked.node, level, textOrder) : null;
      // Equal ones are the same bytes, of which the column itself sees to.
      if (order !== null && asked.plain?.mayBeText === true) return rankedBy(order);
    }
    this.#columns.requireOrder(expression);
    return {};
  }

  /** In text two floats may look the same, as settings have it; in binary they never do. */
  #isAskedAgain(expression: GroupExpression): boolean {
    const fold = expression.kind === 'column' ? this.#columns.list[expression.column].fold : null;
    return fold === 'min' || fold === 'max' || fold === 'first';
  }
}
