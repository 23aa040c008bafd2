import type { RelationName, RouteFacts } from '../sql/route-facts.js';
import { isSqlNode, nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { TenantWalk } from './tenant-walk.js';

/** Why rows of a table may be of several tenants. */
export type OpenReason = 'filter' | 'insert' | 'conflict' | 'copyFrom' | 'copyTo' | 'truncate';

export interface OpenTable extends RelationName {
  readonly why: OpenReason;
}

/** What a statement does to the tables of tenants, whatever the catalog says of them. */
export interface TenantFacts {
  /** What is refused in any case; null: nothing. */
  readonly refusal: string | null;
  /** Tables of which it reaches rows of several tenants, if they have the column. */
  readonly open: readonly OpenTable[];
  /** All it reads or writes. */
  readonly tables: readonly RelationName[];
}

export const NO_TENANT_FACTS: TenantFacts = Object.freeze({ refusal: null, open: [], tables: [] });

const READ = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/**
 * Reads one statement of any kind. What defines things (DDL) reaches no rows, so it is free; what copies rows where the
 * column may be lost (CREATE TABLE AS) is held to the same rules as a query.
 * @param column the tenant's
 */
export function readTenant(kind: string, node: SqlNode, route: RouteFacts, column: string): TenantFacts {
  const walk = new TenantWalk(column);
  switch (kind) {
    case 'PrepareStmt':
    case 'ExplainStmt':
    case 'DeclareCursorStmt':
    case 'CreateTableAsStmt': {
      const query = nodeOf(node, 'query') ?? {};
      const inner = Object.keys(query)[0] ?? '';
      if (kind !== 'DeclareCursorStmt' && kind !== 'CreateTableAsStmt') {
        return readTenant(inner, nodeOf(query, inner) ?? {}, route, column);
      }
      walk.expression(query);
      return checked(walk, node, route);
    }
    case 'CopyStmt':
      return readCopy(walk, node, route, column);
    case 'TruncateStmt':
      for (const relation of nodesOf(node, 'relations')) walk.open(nodeOf(relation, 'RangeVar'), 'truncate');
      return walk.facts();
    case 'CallStmt':
    case 'ExecuteStmt':
      walk.expression({ [kind]: node });
      return walk.facts();
    case 'DoStmt':
      walk.refuse('DO runs code that cannot be seen');
      return walk.facts();
    default:
      if (!READ.has(kind)) return NO_TENANT_FACTS;
      walk.expression({ [kind]: node });
      return checked(walk, node, route);
  }
}

/** Nothing that the routing found may have been overlooked here. */
function checked(walk: TenantWalk, node: SqlNode, route: RouteFacts): TenantFacts {
  const into = intoName(node);
  for (const relation of route.relations) {
    if (relation.name !== into && !walk.knows(relation)) walk.addOpen(relation, 'filter');
  }
  return walk.facts();
}

/** What SELECT INTO and CREATE TABLE AS make. */
function intoName(node: SqlNode): string | null {
  const into = nodeOf(node, 'into') ?? nodeOf(node, 'intoClause');
  const relation = nodeOf(into, 'rel');
  return relation === undefined ? null : textOf(relation, 'relname');
}

function readCopy(walk: TenantWalk, node: SqlNode, route: RouteFacts, column: string): TenantFacts {
  const query = nodeOf(node, 'query');
  if (query !== undefined) {
    walk.expression(query);
    return checked(walk, node, route);
  }
  const relation = nodeOf(node, 'relation');
  const columns = nodesOf(node, 'attlist').map((part) => textOf(nodeOf(part, 'String'), 'sval'));
  if (node.is_from !== true) walk.open(relation, 'copyTo');
  else if (columns.includes(column)) walk.closed(relation);
  else walk.open(relation, 'copyFrom');
  if (isSqlNode(node.whereClause)) walk.expression(node.whereClause);
  return walk.facts();
}

/** Of a text of several statements. */
export function joinTenants(all: readonly TenantFacts[]): TenantFacts {
  if (all.length === 1) return all[0];
  return {
    refusal: all.find(({ refusal }) => refusal !== null)?.refusal ?? null,
    open: all.flatMap(({ open }) => open),
    tables: all.flatMap(({ tables }) => tables),
  };
}
