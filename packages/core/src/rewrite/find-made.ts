/** Calls of pgdog.unique_id(): where they stand, and whether each stands where one server would call it once. */

import type { Refusal } from '../shard/shard-context.js';
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { ParsedStatement } from '../sql/sql-parser.js';
import { HARMLESS_SCALARS } from './scalar-functions.js';

export interface MadeCall {
  /** The node in whose place something else comes. */
  readonly node: SqlNode;
  /** Of its name in the text. */
  readonly location: number;
  /** What stands in its place gives a column its name. */
  readonly isName: boolean;
}

const FETCH = 'fetch ids by SELECT pgdog.unique_id(), and give them as parameters';
const NAME = 'pgdog.unique_id()';

/** How often what is being looked at is computed, and for what. */
interface Place {
  /** null: once, whenever the statement runs; else why not. */
  readonly perRow: string | null;
  readonly isName: boolean;
}

const ONCE: Place = { perRow: null, isName: false };

export class MadeCalls {
  readonly found: MadeCall[] = [];
  refusal: Refusal | null = null;
  /** An UPDATE is known to change one row at most. */
  readonly #isOneRow: boolean;

  constructor(isOneRow: boolean) {
    this.#isOneRow = isOneRow;
  }

  read({ kind, node }: ParsedStatement): void {
    const place = STATEMENTS.has(kind) ? ONCE : { ...ONCE, perRow: 'a statement of another kind' };
    this.#statement(kind, node, place);
  }

  #statement(kind: string, node: SqlNode, place: Place): void {
    switch (kind) {
      case 'SelectStmt':
        this.#select(node, { ...place, isName: true });
        return;
      case 'InsertStmt':
        this.#insert(node, place);
        return;
      case 'UpdateStmt':
        this.#update(node, place);
        return;
      default:
        this.#anywhere(node, { ...place, perRow: place.perRow ?? 'a statement that may change many rows' });
    }
  }

  /** Without FROM it has one row, unless a function in it makes more of them. */
  #select(node: SqlNode, place: Place): void {
    this.#with(node, place);
    for (const side of ['larg', 'rarg']) {
      const arm = nodeOf(node, side);
      if (arm !== undefined) this.#select(arm, place);
    }
    const rows = nodesOf(node, 'fromClause').length > 0 ? 'a query of rows of tables' : null;
    const own = { ...place, perRow: place.perRow ?? rows ?? this.#severalRows(node.targetList) };
    for (const each of nodesOf(node, 'targetList')) {
      const target = nodeOf(each, 'ResTarget');
      this.#anywhere(target?.val, { ...own, isName: place.isName && textOf(target, 'name') === '' });
    }
    this.#rows(node, place);
    const {
      withClause: _with,
      larg: _larg,
      rarg: _rarg,
      targetList: _targets,
      valuesLists: _rows,
      ...rest
    } = node;
    this.#anywhere(rest, { perRow: place.perRow ?? 'this place of a query', isName: false });
  }

  #rows(node: SqlNode, place: Place): void {
    for (const row of nodesOf(node, 'valuesLists')) {
      const perRow = place.perRow ?? this.#severalRows(row);
      this.#anywhere(row, { perRow, isName: false });
    }
  }

  /** Functions whose name says that they give one value for each row are known; others may give many. */
  #severalRows(list: SqlValue): string | null {
    const stack: SqlValue[] = [list];
    for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
      if (Array.isArray(value)) for (const item of value) stack.push(item);
      else if (isSqlNode(value)) {
        const path = pathOf(nodeOf(value, 'FuncCall'), 'funcname');
        const isScalar = path.length === 0 || isUniqueId(path) || isKnownScalar(path);
        if (!isScalar) return `a list with ${path.join('.')}(), which may make several rows`;
        // A query in it has a list of its own.
        for (const key in value) if (key !== 'SubLink' && value[key] !== undefined) stack.push(value[key]);
      }
    }
    return null;
  }

  #insert(node: SqlNode, place: Place): void {
    this.#with(node, place);
    const source = nodeOf(nodeOf(node, 'selectStmt'), 'SelectStmt');
    if (source !== undefined) this.#select(source, { ...place, isName: false });
    const { withClause: _with, selectStmt: _select, ...rest } = node;
    this.#anywhere(rest, { perRow: place.perRow ?? 'ON CONFLICT or RETURNING', isName: false });
  }

  #update(node: SqlNode, place: Place): void {
    this.#with(node, place);
    const perRow =
      place.perRow ?? (this.#isOneRow ? null : 'an UPDATE that is not seen to change one row only');
    for (const each of nodesOf(node, 'targetList')) {
      this.#anywhere(nodeOf(each, 'ResTarget')?.val, { perRow, isName: false });
    }
    const { withClause: _with, targetList: _targets, ...rest } = node;
    this.#anywhere(rest, { perRow: place.perRow ?? 'this place of an UPDATE', isName: false });
  }

  #with(node: SqlNode, place: Place): void {
    const clause = nodeOf(node, 'withClause');
    if (clause === undefined) return;
    const perRow = place.perRow ?? (clause.recursive === true ? 'WITH RECURSIVE' : null);
    for (const each of nodesOf(clause, 'ctes')) {
      const query = nodeOf(nodeOf(each, 'CommonTableExpr'), 'ctequery') ?? {};
      const kind = Object.keys(query)[0] ?? '';
      this.#statement(kind, nodeOf(query, kind) ?? {}, { perRow, isName: true });
    }
  }

  /** An expression, or anything else; with a stack of its own, for trees may be deep. */
  #anywhere(root: SqlValue, place: Place): void {
    const stack: SqlValue[] = [root];
    while (stack.length > 0) {
      const value = stack.pop();
      if (Array.isArray(value)) for (const item of value) stack.push(item);
      else if (isSqlNode(value)) {
        const call = nodeOf(value, 'FuncCall');
        if (call !== undefined && isUniqueId(pathOf(call, 'funcname'))) this.#call(value, call, place);
        const query = nodeOf(nodeOf(nodeOf(value, 'SubLink'), 'subselect'), 'SelectStmt');
        if (query === undefined) for (const key in value) stack.push(value[key]);
        else {
          this.#select(query, { ...place, isName: true });
          stack.push(nodeOf(value, 'SubLink')?.testexpr);
        }
      }
    }
  }

  #call(node: SqlNode, call: SqlNode, { perRow, isName }: Place): void {
    const location = typeof call.location === 'number' ? call.location : 0;
    this.found.push({ node, location, isName });
    const others = Object.keys(call).filter((key) => !PLAIN_CALL.has(key));
    if (others.length > 0) this.refusal ??= { reason: `${NAME} takes no arguments`, remedy: `write ${NAME}` };
    if (perRow !== null) {
      this.refusal ??= {
        reason: `${NAME} stands in ${perRow}: each row would need one of its own`,
        remedy: FETCH,
      };
    }
  }
}

const STATEMENTS: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt']);
const PLAIN_CALL: ReadonlySet<string> = new Set(['funcname', 'funcformat', 'location']);

export function isUniqueId(path: readonly string[]): boolean {
  return path.length === 2 && path[0] === 'pgdog' && path[1] === 'unique_id';
}

function isKnownScalar(path: readonly string[]): boolean {
  const isOwn = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog');
  return isOwn && HARMLESS_SCALARS.has(path[path.length - 1]);
}
