// This file is over 400 lines because the kinds of queries call one another, and share what they find.
import type { RelationName } from '../sql/route-facts.js';
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import { equalities, isOneValue, listOf, starReference, tenantReference } from './tenant-columns.js';
import type { OpenReason, OpenTable, TenantFacts } from './tenant-facts.js';
import { readsUnseen } from './tenant-functions.js';
import { ALWAYS, type Found, Level, type Name, NEVER, type Pin } from './tenant-level.js';

/** A common table expression. `state`: it may be met while it is being read, then it is recursive. */
interface Common {
  readonly name: string;
  readonly query: SqlNode;
  readonly isRenamed: boolean;
  /** What its own query may name. */
  scope: CommonScope | null;
  readonly level: Level | null;
  state: 'unread' | 'busy' | 'read';
  number: number;
  output: Pin;
  isRecursive: boolean;
  /** How its rows are restricted where it is named. */
  readonly uses: { level: Level; item: number }[];
}

interface CommonScope {
  readonly common: Common;
  readonly outer: CommonScope | null;
}

/** What a query shows as the tenant's column: `pin` by itself; `items` of its level that a pin from outside pins too. */
interface Output {
  readonly pin: Pin;
  readonly items: readonly number[];
}

const NO_OUTPUT: Output = { pin: NEVER, items: [] };

/** What a part of FROM brings along. */
interface FromPart {
  readonly items: readonly number[];
  readonly names: readonly Name[];
}

interface Condition {
  readonly node: SqlNode | undefined;
  readonly names: readonly Name[];
  /** All items its bare names may mean. */
  readonly items: readonly number[];
  /** Those of which it lets only some rows be seen. */
  readonly targets: ReadonlySet<number>;
  readonly isWhere: boolean;
}

/** FROM of one level, while it is being read. */
interface FromWalk {
  readonly level: Level;
  readonly scope: CommonScope | null;
  readonly conditions: Condition[];
  /** Subqueries that see what stands beside them. */
  readonly laterals: { query: SqlNode; item: number; number: number }[];
  /** To be looked through for subqueries once all is known. */
  readonly expressions: SqlValue[];
}

/** Finds, in one statement, the tables of which it reaches rows of more than one tenant. */
export class TenantWalk {
  private readonly column: string;
  private readonly tables: { table: RelationName; level: Level | null; item: number; why: OpenReason }[] = [];
  /** By number of a query: how what it shows is restricted from outside. */
  private readonly outside = new Map<number, Pin>();
  private readonly commons: Common[] = [];
  private queries = 0;
  private refusal: string | null = null;

  constructor(column: string) {
    this.column = column;
  }

  facts(): TenantFacts {
    // Those that come later use earlier ones.
    for (const common of this.commons.reverse()) this.settleUses(common);
    const open: OpenTable[] = [];
    for (const { table, level, item, why } of this.tables) {
      const pin = level === null ? item : level.items[item].pin;
      if (this.settle(pin) === NEVER) open.push({ ...table, why });
    }
    return { refusal: this.refusal, open, tables: this.tables.map(({ table }) => table) };
  }

  /** What pins from outside come to in the end. */
  private settle(pin: Pin): Pin {
    let at = pin;
    while (at > 0) at = this.outside.get(at) ?? NEVER;
    return at;
  }

  /** All uses of a common table expression must restrict it: it is read once for all of them. */
  private settleUses({ number, uses, isRecursive }: Common): void {
    const areAll = uses.every(({ level, item }) => this.settle(level.items[item].pin) === ALWAYS);
    this.outside.set(number, uses.length > 0 && areAll && !isRecursive ? ALWAYS : NEVER);
  }

  refuse(reason: string): void {
    this.refusal ??= reason;
  }

  /** The definition of a view. `isPinned`: what it shows as the tenant's column is restricted where it is named. */
  view(query: SqlNode, isPinned: boolean): void {
    const number = ++this.queries;
    if (isPinned) this.outside.set(number, ALWAYS);
    this.query('SelectStmt', nodeOf(query, 'SelectStmt') ?? {}, null, null, number);
  }

  open(relation: SqlNode | undefined, why: OpenReason): void {
    if (relation !== undefined) this.addOpen(nameOf(relation), why);
  }

  addOpen(table: RelationName, why: OpenReason): void {
    this.tables.push({ table, level: null, item: NEVER, why });
  }

  closed(relation: SqlNode | undefined): void {
    if (relation !== undefined)
      this.tables.push({ table: nameOf(relation), level: null, item: ALWAYS, why: 'filter' });
  }

  knows({ schema, name }: RelationName): boolean {
    return this.tables.some(({ table }) => table.name === name && table.schema === schema);
  }

  /** Looks through anything for queries, and for functions that read what nobody names. */
  expression(root: SqlValue, level: Level | null = null, scope: CommonScope | null = null): void {
    const stack: SqlValue[] = [root];
    while (stack.length > 0) {
      const value = stack.pop();
      if (Array.isArray(value)) stack.push(...value);
      else if (isSqlNode(value)) {
        for (const key in value) {
          const inner = value[key];
          if (isSqlNode(inner) && this.query(key, inner, level, scope) !== null) continue;
          if (key === 'FuncCall' && isSqlNode(inner)) this.call(inner);
          // No query that is known has one here: whoever reads it does so unseen.
          if (key === 'RangeVar' && isSqlNode(inner)) this.open(inner, 'filter');
          stack.push(inner);
        }
      }
    }
  }

  private call(call: SqlNode): void {
    const name = pathOf(call, 'funcname').at(-1) ?? '';
    if (readsUnseen(name)) this.refuse(`${name}() reads what the statement does not name`);
  }

  /** A query of its own, in whatever place. null: this is none. */
  private query(
    kind: string,
    node: SqlNode,
    level: Level | null,
    scope: CommonScope | null,
    number = ++this.queries,
  ): Output | null {
    switch (kind) {
      case 'SelectStmt':
        return this.select(node, level, scope, number);
      case 'InsertStmt':
        return this.insert(node, level, scope);
      case 'UpdateStmt':
        return this.change(node, 'fromClause', level, scope, number);
      case 'DeleteStmt':
        return this.change(node, 'usingClause', level, scope, number);
      case 'MergeStmt':
        return this.merge(node, level, scope, number);
      default:
        return null;
    }
  }

  // WITH.

  private withClause(node: SqlNode, level: Level | null, scope: CommonScope | null): CommonScope | null {
    const clause = nodeOf(node, 'withClause');
    if (clause === undefined) return scope;
    const isRecursive = clause.recursive === true;
    const own: Common[] = [];
    let all = scope;
    for (const item of nodesOf(clause, 'ctes')) {
      const expression = nodeOf(item, 'CommonTableExpr') ?? {};
      const common: Common = {
        name: textOf(expression, 'ctename'),
        query: nodeOf(expression, 'ctequery') ?? {},
        isRenamed: nodesOf(expression, 'aliascolnames').length > 0,
        scope: all,
        level,
        state: 'unread',
        number: ++this.queries,
        output: NEVER,
        isRecursive: false,
        uses: [],
      };
      own.push(common);
      all = { common, outer: all };
    }
    if (isRecursive) for (const common of own) common.scope = all;
    for (const common of own) if (common.state === 'unread') this.readCommon(common);
    return all;
  }

  private readCommon(common: Common): void {
    common.state = 'busy';
    this.commons.push(common);
    const kind = Object.keys(common.query)[0] ?? '';
    const node = nodeOf(common.query, kind) ?? {};
    const output = this.query(kind, node, common.level, common.scope, common.number);
    common.output = common.isRenamed || common.isRecursive ? NEVER : (output?.pin ?? NEVER);
    if (common.isRenamed) common.isRecursive = true;
    common.state = 'read';
  }

  private findCommon(relation: SqlNode, scope: CommonScope | null): Common | null {
    if (textOf(relation, 'schemaname') !== '') return null;
    const name = textOf(relation, 'relname');
    for (let at = scope; at !== null; at = at.outer) if (at.common.name === name) return at.common;
    return null;
  }

  // SELECT.

  private select(
    node: SqlNode,
    outer: Level | null,
    outerScope: CommonScope | null,
    number: number,
    position = -1,
  ): Output {
    const scope = this.withClause(node, outer, outerScope);
    if (nodeOf(node, 'larg') !== undefined) return this.setOperation(node, outer, scope, number, position);
    const level = new Level(number, outer);
    const from = this.beginFrom(level, scope);
    this.fromList(from, nodesOf(node, 'fromClause'));
    this.where(from, nodeOf(node, 'whereClause'));
    this.applyConditions(from);
    const targets = nodesOf(node, 'targetList').map((target) => nodeOf(target, 'ResTarget') ?? {});
    const output = this.output(level, targets, position);
    if (!hasWindow(node) && node.lockingClause === undefined) level.pin(output.items, number);
    level.spread();
    this.endFrom(from);
    for (const key in node) if (!SELECT_PARTS.has(key)) this.expression(node[key], level, scope);
    return output;
  }

  /** Columns of arms are matched by position: only where all of them are written out is it known which they are. */
  private setOperation(
    node: SqlNode,
    outer: Level | null,
    scope: CommonScope | null,
    number: number,
    position: number,
  ): Output {
    const arms = [nodeOf(node, 'larg') ?? {}, nodeOf(node, 'rarg') ?? {}];
    const at = position >= 0 ? position : this.positionIn(arms[0]);
    for (const arm of arms) {
      const own = ++this.queries;
      if (at >= 0) this.outside.set(own, number);
      this.select(arm, outer, scope, own, at >= 0 ? at : Number.MAX_SAFE_INTEGER);
    }
    for (const key in node) if (!SELECT_PARTS.has(key)) this.expression(node[key], outer, scope);
    return NO_OUTPUT;
  }

  /** Where the first arm of set operations shows the tenant's column; -1: nowhere for certain. */
  private positionIn(arm: SqlNode): number {
    let first = arm;
    for (let at = nodeOf(first, 'larg'); at !== undefined; at = nodeOf(at, 'larg')) first = at;
    const targets = nodesOf(first, 'targetList').map((target) => nodeOf(target, 'ResTarget') ?? {});
    if (targets.some((target) => starReference(nodeOf(target, 'val') ?? {}) !== null)) return -1;
    const places = targets.flatMap((target, i) => (this.shownName(target) === this.column ? [i] : []));
    return places.length === 1 ? places[0] : -1;
  }

  private shownName(target: SqlNode): string {
    const name = textOf(target, 'name');
    if (name !== '') return name;
    return pathOf(nodeOf(nodeOf(target, 'val'), 'ColumnRef'), 'fields').at(-1) ?? '';
  }

  /** @param position of the column in the list, where that and not its name counts; -1: its name counts */
  private output(level: Level, targets: readonly SqlNode[], position: number): Output {
    const values = targets.map((target) => nodeOf(target, 'val') ?? {});
    const stars = values.flatMap((value) => starReference(value) ?? []);
    const hasStar = values.some((value) => starReference(value) !== null);
    if (position >= 0) {
      return hasStar || position >= values.length ? NO_OUTPUT : this.shown(level, values[position]);
    }
    const named = values.filter((_, i) => this.shownName(targets[i]) === this.column);
    if (named.length === 1 && !hasStar) return this.shown(level, named[0]);
    if (named.length > 0 || !hasStar) return NO_OUTPUT;
    const all = level.items.map((_, i) => i);
    if (stars.length === 0) return { pin: notOwn(level, level.ofAll(all)), items: all };
    // Of several stars, or one with a schema, it is too much to tell them apart.
    const found = values.length === 1 ? level.find(stars) : null;
    if (found === null || 'outer' in found) return NO_OUTPUT;
    return { pin: notOwn(level, level.ofAll(found.items)), items: found.items };
  }

  private shown(level: Level, value: SqlNode): Output {
    if (isOneValue(value)) return { pin: ALWAYS, items: [] };
    const path = tenantReference(value, this.column);
    if (path === null) return NO_OUTPUT;
    const found: Found | null =
      path.length === 0 ? { items: level.items.map((_, i) => i) } : level.find(path);
    if (found === null) return NO_OUTPUT;
    if ('outer' in found) return { pin: found.outer, items: [] };
    return { pin: notOwn(level, level.ofAll(found.items)), items: found.items };
  }

  // FROM.

  private beginFrom(level: Level, scope: CommonScope | null): FromWalk {
    return { level, scope, conditions: [], laterals: [], expressions: [] };
  }

  private fromList(from: FromWalk, list: readonly SqlNode[]): void {
    const parts = list.map((item) => this.fromItem(from, item));
    from.level.names = [...from.level.names, ...parts.flatMap(({ names }) => names)];
  }

  private fromItem(from: FromWalk, item: SqlNode): FromPart {
    const kind = Object.keys(item)[0] ?? '';
    const node = nodeOf(item, kind) ?? {};
    switch (kind) {
      case 'RangeVar':
        return this.table(from, node, 'filter', from.scope);
      case 'RangeTableSample':
        from.expressions.push(node.args, node.repeatable);
        return this.fromItem(from, nodeOf(node, 'relation') ?? {});
      case 'RangeSubselect':
        return this.subselect(from, node);
      case 'JoinExpr':
        return this.join(from, node);
      default:
        // Functions and the like: rows of no table, under a name that must not be taken for another's.
        from.expressions.push(item);
        return this.named(from.level.add(NEVER, true), node, '');
    }
  }

  /** A part of FROM with its alias, or the name of its table. */
  private named(item: number, node: SqlNode, table: string, schema = ''): FromPart {
    const alias = textOf(nodeOf(node, 'alias'), 'aliasname');
    const name: Name = { name: alias || table, schema: alias === '' ? schema : '', items: [item] };
    return { items: [item], names: name.name === '' ? [] : [name] };
  }

  private table(from: FromWalk, node: SqlNode, why: OpenReason, scope: CommonScope | null): FromPart {
    const { level } = from;
    const hasOtherNames = nodesOf(nodeOf(node, 'alias'), 'colnames').length > 0;
    const common = this.findCommon(node, scope);
    if (common !== null) {
      if (common.state === 'unread') this.readCommon(common);
      else if (common.state === 'busy') common.isRecursive = true;
      const item = level.add(common.output, hasOtherNames);
      if (common.state === 'read') common.uses.push({ level, item });
      return this.named(item, node, common.name);
    }
    const item = level.add(NEVER, hasOtherNames);
    this.tables.push({ table: nameOf(node), level, item, why });
    return this.named(item, node, textOf(node, 'relname'), textOf(node, 'schemaname'));
  }

  private subselect(from: FromWalk, node: SqlNode): FromPart {
    const { level, scope } = from;
    const query = nodeOf(nodeOf(node, 'subquery'), 'SelectStmt') ?? {};
    const hasOtherNames = nodesOf(nodeOf(node, 'alias'), 'colnames').length > 0;
    const number = ++this.queries;
    const isLateral = node.lateral === true;
    const output = isLateral ? NO_OUTPUT : this.select(query, level.outer, scope, number);
    const item = level.add(hasOtherNames ? NEVER : output.pin, hasOtherNames);
    from.laterals.push({ query: isLateral ? query : {}, item, number });
    return this.named(item, node, '');
  }

  private join(from: FromWalk, node: SqlNode): FromPart {
    const left = this.fromItem(from, nodeOf(node, 'larg') ?? {});
    const right = this.fromItem(from, nodeOf(node, 'rarg') ?? {});
    const items = [...left.items, ...right.items];
    const type = textOf(node, 'jointype');
    // Of the side whose rows are all shown a condition hides none.
    const targets = new Set<number>();
    if (type === 'JOIN_INNER' || type === 'JOIN_RIGHT') for (const item of left.items) targets.add(item);
    if (type === 'JOIN_INNER' || type === 'JOIN_LEFT') for (const item of right.items) targets.add(item);
    const names = [...left.names, ...right.names];
    from.conditions.push({ node: nodeOf(node, 'quals'), names, items, targets, isWhere: false });
    from.expressions.push(node.quals);
    const merged = nodesOf(node, 'usingClause').some(
      (part) => textOf(nodeOf(part, 'String'), 'sval') === this.column,
    );
    if (merged || node.isNatural === true) {
      for (const one of left.items) {
        for (const other of right.items) {
          if (targets.has(other)) from.level.link(one, other, true);
          if (targets.has(one)) from.level.link(other, one, true);
        }
      }
    }
    const alias = nodeOf(node, 'alias');
    if (alias === undefined) return { items, names };
    if (nodesOf(alias, 'colnames').length > 0) {
      for (const item of items) from.level.items[item].isRenamed = true;
    }
    return { items, names: [{ name: textOf(alias, 'aliasname'), schema: '', items }] };
  }

  private where(from: FromWalk, node: SqlNode | undefined): void {
    const items = from.level.items.map((_, i) => i);
    const { names } = from.level;
    from.conditions.push({ node, names, items, targets: new Set(items), isWhere: true });
  }

  private applyConditions({ level, conditions }: FromWalk): void {
    for (const condition of conditions) {
      for (const [one, other] of equalities(condition.node)) {
        this.compare(level, condition, one, other);
        this.compare(level, condition, other, one);
      }
    }
    level.spread();
  }

  /** `one` is the tenant's column of something here: what `other` says of it. */
  private compare(level: Level, condition: Condition, one: SqlNode, other: SqlNode): void {
    const path = tenantReference(one, this.column);
    if (path === null) return;
    const { items, targets, names, isWhere } = condition;
    const found: Found | null = path.length === 0 ? { items } : level.find(path, names);
    if (found === null || 'outer' in found) return;
    const mine = found.items.filter((item) => targets.has(item));
    if (isOneValue(other)) {
      level.pin(mine, ALWAYS, path.length === 0 && !isWhere);
      return;
    }
    const otherPath = tenantReference(other, this.column);
    // A bare name may mean the column of a query further out, or the same one again.
    if (otherPath === null || otherPath.length === 0 || path.length === 0) return;
    const source = level.find(otherPath, names);
    if (source === null) return;
    if ('outer' in source) level.pin(mine, source.outer);
    else if (source.items.length === 1) for (const item of mine) level.link(source.items[0], item);
  }

  /** With all pins known: what subqueries beside it, and in conditions, see of them. */
  private endFrom({ level, scope, laterals, expressions }: FromWalk): void {
    for (const { query, item, number } of laterals) {
      const isRenamed = level.items[item].isRenamed;
      this.outside.set(number, isRenamed ? NEVER : level.items[item].pin);
      if (Object.keys(query).length > 0) this.select(query, level, scope, number);
    }
    for (const expression of expressions) this.expression(expression, level, scope);
  }

  // What changes rows.

  /** UPDATE and DELETE. */
  private change(
    node: SqlNode,
    list: 'fromClause' | 'usingClause',
    outer: Level | null,
    outerScope: CommonScope | null,
    number: number,
  ): Output {
    const scope = this.withClause(node, outer, outerScope);
    const level = new Level(number, outer);
    const from = this.beginFrom(level, scope);
    level.names = this.table(from, nodeOf(node, 'relation') ?? {}, 'filter', null).names;
    this.fromList(from, nodesOf(node, list));
    this.where(from, nodeOf(node, 'whereClause'));
    this.applyConditions(from);
    this.endFrom(from);
    for (const key in node) {
      if (key !== list && !CHANGE_PARTS.has(key)) this.expression(node[key], level, scope);
    }
    const returned = nodesOf(node, 'returningList').map((target) => nodeOf(target, 'ResTarget') ?? {});
    return { pin: this.output(level, returned, -1).pin, items: [] };
  }

  private insert(node: SqlNode, outer: Level | null, outerScope: CommonScope | null): Output {
    const scope = this.withClause(node, outer, outerScope);
    const level = new Level(++this.queries, outer);
    const from = this.beginFrom(level, scope);
    const relation = nodeOf(node, 'relation') ?? {};
    const target = nameOf(relation);
    const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
    const place = nodesOf(node, 'cols').findIndex((each) => this.isColumn(nodeOf(each, 'ResTarget')));
    const isGiven = place >= 0 && source !== undefined && !hasDefault(source, place);
    this.tables.push({ table: target, level: null, item: isGiven ? ALWAYS : NEVER, why: 'insert' });
    if (source !== undefined) this.select(source, outer, scope, ++this.queries);
    const conflict = nodeOf(node, 'onConflictClause');
    if (conflict !== undefined && textOf(conflict, 'action') === 'ONCONFLICT_UPDATE') {
      level.names = this.table(from, relation, 'conflict', null).names;
      // What was to be inserted has the tenant that it was given.
      level.names = [...level.names, { name: 'excluded', schema: '', items: [level.add(ALWAYS, false)] }];
      const isByTenant = nodesOf(nodeOf(conflict, 'infer'), 'indexElems').some((each) => {
        return textOf(nodeOf(each, 'IndexElem'), 'name') === this.column;
      });
      if (isByTenant) level.pin([0], ALWAYS);
      this.where(from, nodeOf(conflict, 'whereClause'));
      this.applyConditions(from);
      this.expression(conflict, level, scope);
    }
    this.expression(node.returningList, level, scope);
    return NO_OUTPUT;
  }

  private isColumn(target: SqlNode | undefined): boolean {
    return textOf(target, 'name') === this.column && nodesOf(target, 'indirection').length === 0;
  }

  private merge(node: SqlNode, outer: Level | null, outerScope: CommonScope | null, number: number): Output {
    const scope = this.withClause(node, outer, outerScope);
    const level = new Level(number, outer);
    const from = this.beginFrom(level, scope);
    const relation = nodeOf(node, 'relation') ?? {};
    level.names = this.table(from, relation, 'filter', null).names;
    this.fromList(from, [nodeOf(node, 'sourceRelation') ?? {}]);
    const clauses = nodesOf(node, 'mergeWhenClauses').map((each) => nodeOf(each, 'MergeWhenClause') ?? {});
    // Without a match the condition restricts nothing.
    const reachesAll = clauses.some((clause) => textOf(clause, 'matchKind').endsWith('BY_SOURCE'));
    const items = level.items.map((_, i) => i);
    from.conditions.push({
      node: nodeOf(node, 'joinCondition'),
      names: level.names,
      items,
      targets: new Set(reachesAll ? [] : [0]),
      isWhere: false,
    });
    this.applyConditions(from);
    this.endFrom(from);
    for (const clause of clauses) {
      if (textOf(clause, 'commandType') !== 'CMD_INSERT') continue;
      const place = nodesOf(clause, 'targetList').findIndex((each) =>
        this.isColumn(nodeOf(each, 'ResTarget')),
      );
      const isGiven = place >= 0 && !('SetToDefault' in (nodesOf(clause, 'values')[place] ?? {}));
      if (!isGiven) this.open(relation, 'insert');
    }
    for (const key of ['joinCondition', 'mergeWhenClauses', 'returningList']) {
      this.expression(node[key], level, scope);
    }
    return NO_OUTPUT;
  }
}

const SELECT_PARTS: ReadonlySet<string> = new Set(
  'withClause fromClause larg rarg intoClause lockingClause op all limitOption'.split(' '),
);
const CHANGE_PARTS: ReadonlySet<string> = new Set(['withClause', 'relation']);

function nameOf(relation: SqlNode): RelationName {
  return { schema: textOf(relation, 'schemaname') || null, name: textOf(relation, 'relname') };
}

/** What is pinned only if the query's own column is says nothing of that column. */
function notOwn(level: Level, pin: Pin): Pin {
  return pin === level.query ? NEVER : pin;
}

/** DEFAULT in that place of some row. */
function hasDefault(source: SqlNode, place: number): boolean {
  return nodesOf(source, 'valuesLists').some((row) => {
    return 'SetToDefault' in (listOf(row)[place] ?? {});
  });
}

/** Windows look at rows that a condition on what is shown would leave out. */
function hasWindow(node: SqlNode): boolean {
  if (nodesOf(node, 'windowClause').length > 0) return true;
  const stack: SqlValue[] = [node.targetList, node.sortClause];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) stack.push(...value);
    else if (isSqlNode(value)) {
      if ('over' in value) return true;
      for (const key in value) stack.push(value[key]);
    }
  }
  return false;
}
