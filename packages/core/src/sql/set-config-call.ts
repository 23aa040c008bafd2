import type { SetConfigCall, SqlArgument } from './sql-effect.js';
import { constantOf, nodeOf, nodesOf, pathOf, type SqlNode } from './sql-node.js';

const OPAQUE: SqlArgument = { opaque: true };
const OPAQUE_CALL: SetConfigCall = { name: OPAQUE, value: OPAQUE, isLocal: OPAQUE };

/** Casts to these keep the text; any other type may rewrite it. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bool']);
/** Clauses that may make the number of rows anything but one. */
const ROW_CLAUSES: readonly string[] = [
  'fromClause',
  'whereClause',
  'groupClause',
  'havingClause',
  'distinctClause',
  'limitCount',
  'limitOffset',
  'withClause',
  'windowClause',
  'valuesLists',
  'lockingClause',
  'sortClause',
  'intoClause',
];
/** Functions that may stand beside set_config: a set-returning one would repeat the call, or drop it. */
const SINGLE_ROW_FUNCTIONS: ReadonlySet<string> = new Set([
  'set_config',
  'current_setting',
  'current_database',
  'current_schema',
  'pg_backend_pid',
  'pg_is_in_recovery',
  'now',
  'version',
]);

export function isSetConfigPath(path: readonly string[]): boolean {
  return path[path.length - 1] === 'set_config' && (path.length === 1 || path[0] === 'pg_catalog');
}

/**
 * The set_config calls of a SELECT that surely makes one row, in the order Postgres evaluates them.
 * @param select fields of a SelectStmt
 * @returns null unless every target is a plain call or value, so that all calls run once
 */
export function certainSetConfigCalls(select: SqlNode): SetConfigCall[] | null {
  if (select.op !== 'SETOP_NONE') return null;
  if ('withClause' in select) return callsAhead(select);
  if (ROW_CLAUSES.some((clause) => clause in select)) return null;
  const calls: SetConfigCall[] = [];
  for (const target of nodesOf(select, 'targetList')) {
    const value = nodeOf(nodeOf(target, 'ResTarget'), 'val');
    if (value === undefined) return null;
    const call = nodeOf(stripCasts(value), 'FuncCall');
    if (call === undefined) {
      if (!isSimpleValue(value)) return null;
      continue;
    }
    const path = pathOf(call, 'funcname');
    if (!SINGLE_ROW_FUNCTIONS.has(path[path.length - 1])) return null;
    if (path.length > 1 && path[0] !== 'pg_catalog') return null;
    const values = nodesOf(call, 'args');
    if (!values.every(isSimpleValue)) return null;
    if (isSetConfigPath(path)) calls.push(toCall(values));
  }
  return calls;
}

/**
 * WITH x AS (SELECT set_config(…)) SELECT … FROM x, as Kysely locks with a time-out: x has one row, is computed once, since Postgres
 * writes nothing into the query that is volatile, and before the query has a row.
 */
function callsAhead(select: SqlNode): SetConfigCall[] | null {
  const clauses = ROW_CLAUSES.filter((clause) => clause in select);
  const ctes = nodesOf(nodeOf(select, 'withClause'), 'ctes');
  const [from, ...others] = nodesOf(select, 'fromClause');
  if (clauses.length !== 2 || ctes.length !== 1 || others.length > 0) return null;
  const cte = nodeOf(ctes[0], 'CommonTableExpr');
  const table = nodeOf(from, 'RangeVar');
  const query = nodeOf(nodeOf(cte, 'ctequery'), 'SelectStmt');
  if (query === undefined || table === undefined || 'schemaname' in table) return null;
  return table.relname === cte?.ctename ? certainSetConfigCalls(query) : null;
}

/** @param select of certain calls: all that it does and tells */
export function setsOnly(select: SqlNode, callCount: number): boolean {
  return !('withClause' in select) && nodesOf(select, 'targetList').length === callCount;
}

/** What is known of a call that may run any number of times. */
export function opaqueSetConfigCalls(count: number): SetConfigCall[] {
  return new Array<SetConfigCall>(count).fill(OPAQUE_CALL);
}

function toCall(values: readonly SqlNode[]): SetConfigCall {
  if (values.length !== 3) return OPAQUE_CALL;
  return { name: toArgument(values[0]), value: toArgument(values[1]), isLocal: toArgument(values[2]) };
}

function toArgument(value: SqlNode): SqlArgument {
  const inner = stripTextCasts(value);
  const constant = constantOf(inner);
  if (constant !== undefined) return { constant };
  const parameter = nodeOf(inner, 'ParamRef')?.number;
  return typeof parameter === 'number' && parameter > 0 ? { parameter } : OPAQUE;
}

function isSimpleValue(value: SqlNode): boolean {
  const inner = stripCasts(value);
  return 'A_Const' in inner || 'ParamRef' in inner || 'SQLValueFunction' in inner;
}

function stripCasts(value: SqlNode): SqlNode {
  let inner = value;
  for (let cast = nodeOf(inner, 'TypeCast'); cast !== undefined; cast = nodeOf(inner, 'TypeCast')) {
    const next = nodeOf(cast, 'arg');
    if (next === undefined) break;
    inner = next;
  }
  return inner;
}

function stripTextCasts(value: SqlNode): SqlNode {
  let inner = value;
  for (let cast = nodeOf(inner, 'TypeCast'); cast !== undefined; cast = nodeOf(inner, 'TypeCast')) {
    const type = nodeOf(cast, 'typeName');
    const path = pathOf(type, 'names');
    const isText = TEXT_TYPES.has(path[path.length - 1]) && (path.length === 1 || path[0] === 'pg_catalog');
    const next = nodeOf(cast, 'arg');
    if (!isText || next === undefined || nodesOf(type, 'typmods').length > 0) break;
    if (nodesOf(type, 'arrayBounds').length > 0) break;
    inner = next;
  }
  return inner;
}

/**
 * Whether a search_path makes the temporary schema the one where new tables go.
 * @param first the value, or the first of its elements
 */
export function startsWithTempSchema(first: string): boolean {
  const name = first.trimStart();
  return (name.startsWith('"') ? name.slice(1) : name).toLowerCase().startsWith('pg_temp');
}

/** Whether a call puts the temporary schema in front; an opaque or bound value counts as not. */
export function putsTempFirst(call: SetConfigCall): boolean {
  if (!('constant' in call.name) || !('constant' in call.value)) return false;
  if (call.name.constant?.toLowerCase() !== 'search_path') return false;
  return startsWithTempSchema(call.value.constant ?? '');
}
