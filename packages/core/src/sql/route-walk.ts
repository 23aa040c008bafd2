import { functionAccess } from './function-access.js';
import { isHostRelation } from './host-relations.js';
import type { RelationName } from './route-facts.js';
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from './sql-node.js';

/** Names of common table expressions that may be meant at some place of a statement. */
interface Scope {
  readonly name: string;
  readonly outer: Scope | null;
}

const LOCK_NAMES: ReadonlyMap<string, string> = new Map([
  ['LCS_FORKEYSHARE', 'FOR KEY SHARE'],
  ['LCS_FORSHARE', 'FOR SHARE'],
  ['LCS_FORNOKEYUPDATE', 'FOR NO KEY UPDATE'],
  ['LCS_FORUPDATE', 'FOR UPDATE'],
]);
const CHANGES: ReadonlyMap<string, string> = new Map([
  ['InsertStmt', 'INSERT'],
  ['UpdateStmt', 'UPDATE'],
  ['DeleteStmt', 'DELETE'],
  ['MergeStmt', 'MERGE'],
]);
/** What A_Expr kinds that spell no operator compare with. */
const IMPLIED_OPERATORS: ReadonlyMap<string, readonly string[]> = new Map([
  ['AEXPR_BETWEEN', ['>=', '<=']],
  ['AEXPR_NOT_BETWEEN', ['<', '>']],
  ['AEXPR_BETWEEN_SYM', ['>=', '<=']],
  ['AEXPR_NOT_BETWEEN_SYM', ['<', '>']],
]);

function isLetter(code: number): boolean {
  return (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
}

/**
 * Gathers from a parse tree what decides where a statement may run. Walks with its own stack: a tree may be
 * thousands of nodes deep.
 */
export class RouteWalk {
  /** The first thing found that must run on the primary; null: nothing. */
  writeReason: string | null = null;
  readonly functions = new Set<string>();
  readonly builtins = new Set<string>();
  readonly operators = new Set<string>();
  readonly attributes = new Set<string>();
  readonly #relations = new Map<string, RelationName>();
  readonly #values: SqlValue[] = [];
  readonly #scopes: (Scope | null)[] = [];

  get relations(): readonly RelationName[] {
    return [...this.#relations.values()];
  }

  walk(root: SqlValue): this {
    this.#push(root, null);
    while (this.#values.length > 0) {
      const value = this.#values.pop();
      const scope = this.#scopes.pop() ?? null;
      if (Array.isArray(value)) for (const item of value) this.#push(item, scope);
      else if (isSqlNode(value)) this.#takeFields(value, scope);
    }
    return this;
  }

  #push(value: SqlValue, scope: Scope | null): void {
    if (typeof value !== 'object' || value === null) return;
    this.#values.push(value);
    this.#scopes.push(scope);
  }

  write(reason: string): void {
    this.writeReason ??= reason;
  }

  addRelation(schema: string, name: string): void {
    this.#relations.set(`${schema}\0${name}`, { schema: schema === '' ? null : schema, name });
    if (isHostRelation(schema === '' ? null : schema, name)) this.write(`${name} tells about its host`);
  }

  /** `node` is a wrapper ({SelectStmt: …}) or the fields of one. */
  #takeFields(node: SqlNode, outer: Scope | null): void {
    const scope = this.#openScope(node, outer);
    for (const key in node) {
      const value = node[key];
      if (key === 'withClause') continue;
      // FOR UPDATE OF names what FROM has named.
      if (key === 'lockedRels') continue;
      if (isSqlNode(value)) this.#takeNode(key, value, scope);
      this.#push(value, scope);
    }
  }

  /** Those of a WITH clause see the ones before them, or all of their clause when it is RECURSIVE. */
  #openScope(node: SqlNode, outer: Scope | null): Scope | null {
    const clause = nodeOf(node, 'withClause');
    if (clause === undefined) return outer;
    const expressions = nodesOf(clause, 'ctes').map((item) => nodeOf(item, 'CommonTableExpr'));
    let scope = outer;
    const before: (Scope | null)[] = [];
    for (const expression of expressions) {
      before.push(scope);
      scope = { name: textOf(expression, 'ctename'), outer: scope };
    }
    expressions.forEach((expression, i) => {
      this.#push(expression?.ctequery, clause.recursive === true ? scope : before[i]);
    });
    return scope;
  }

  #takeTable(table: SqlNode, scope: Scope | null): void {
    const name = textOf(table, 'relname');
    const schema = textOf(table, 'schemaname');
    if (schema === '') for (let at = scope; at !== null; at = at.outer) if (at.name === name) return;
    this.addRelation(schema, name);
  }

  #takeNode(type: string, node: SqlNode, scope: Scope | null): void {
    switch (type) {
      case 'RangeVar':
        this.#takeTable(node, scope);
        return;
      case 'FuncCall':
        this.call(pathOf(node, 'funcname'), node);
        return;
      case 'RangeTableSample':
        this.call(pathOf(node, 'method'));
        return;
      case 'A_Expr':
        this.#takeOperator(pathOf(node, 'name'));
        for (const name of IMPLIED_OPERATORS.get(textOf(node, 'kind')) ?? []) this.operators.add(name);
        return;
      case 'SubLink':
        this.#takeOperator(pathOf(node, 'operName'));
        return;
      case 'SortBy':
        this.#takeOperator(pathOf(node, 'useOp'));
        return;
      case 'ColumnRef':
        this.#takeAttributes(nodesOf(node, 'fields').slice(1));
        return;
      case 'A_Indirection':
        this.#takeAttributes(nodesOf(node, 'indirection'));
        return;
      case 'LockingClause': {
        const strength = textOf(node, 'strength');
        this.write(`row lock (${LOCK_NAMES.get(strength) ?? strength})`);
        return;
      }
      case 'intoClause':
        this.write('SELECT INTO');
        return;
      default: {
        const change = CHANGES.get(type);
        if (change !== undefined) this.write(change);
        // What is changed or made is a table, even where a common table expression has its name.
        if ('relname' in node) this.#takeTable(node, null);
      }
    }
  }

  call(path: readonly string[], call?: SqlNode): void {
    const name = path[path.length - 1] ?? '';
    switch (functionAccess(path, call)) {
      case 'read':
        if (path.length === 1) this.builtins.add(name);
        return;
      case 'write':
        this.write(`calls ${name}()`);
        return;
      case 'ask':
        this.functions.add(path.slice(-2).join('.'));
    }
  }

  #takeOperator(path: readonly string[]): void {
    const name = path[path.length - 1];
    // BETWEEN, which goes by its word here.
    if (name !== undefined && name !== '' && !isLetter(name.charCodeAt(0))) this.operators.add(name);
  }

  #takeAttributes(fields: readonly SqlNode[]): void {
    for (const field of fields) {
      const name = textOf(nodeOf(field, 'String'), 'sval');
      if (name !== '') this.attributes.add(name);
    }
  }
}
