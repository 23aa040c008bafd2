import type { SqlEffect } from './sql-effect.js';
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from './sql-node.js';

const TEMP_SCHEMA = 'pg_temp';

/** pg_temp, or the session's own pg_temp_N by its real name. */
function isTempSchema(schema: string): boolean {
  return schema === TEMP_SCHEMA || schema.startsWith(`${TEMP_SCHEMA}_`);
}

function relationEffect(relation: SqlNode | undefined, onCommit: string): SqlEffect | null {
  if (relation === undefined) return null;
  const isTemp = relation.relpersistence === 't' || isTempSchema(textOf(relation, 'schemaname'));
  if (!isTemp) return null;
  return {
    type: 'createTemp',
    name: textOf(relation, 'relname'),
    onCommitDrop: onCommit === 'ONCOMMIT_DROP',
  };
}

function intoEffect(into: SqlNode | undefined): SqlEffect | null {
  return relationEffect(nodeOf(into, 'rel'), textOf(into, 'onCommit'));
}

function pathEffect(path: readonly string[], toName: (name: string) => string): SqlEffect | null {
  if (path.length !== 2 || !isTempSchema(path[0])) return null;
  return { type: 'createTemp', name: toName(path[1]), onCommitDrop: false };
}

/** The effect of a statement that creates something temporary; null when it does not. */
export function createTempEffect(kind: string, node: SqlNode): SqlEffect | null {
  const asFunction = (name: string): string => `${name}()`;
  const asType = (name: string): string => `type ${name}`;
  switch (kind) {
    case 'CreateStmt':
      return relationEffect(nodeOf(node, 'relation'), textOf(node, 'oncommit'));
    case 'CreateTableAsStmt':
      return intoEffect(nodeOf(node, 'into'));
    case 'SelectStmt':
      return intoEffect(leftmostInto(node));
    case 'ViewStmt':
      return relationEffect(nodeOf(node, 'view'), '');
    case 'CreateSeqStmt':
      return relationEffect(nodeOf(node, 'sequence'), '');
    case 'CreateForeignTableStmt':
      return relationEffect(nodeOf(nodeOf(node, 'base'), 'relation'), '');
    case 'CompositeTypeStmt': {
      const effect = relationEffect(nodeOf(node, 'typevar'), '');
      return effect?.type === 'createTemp' ? { ...effect, name: asType(effect.name) } : null;
    }
    case 'CreateFunctionStmt':
      return pathEffect(pathOf(node, 'funcname'), asFunction);
    case 'CreateConversionStmt':
      return pathEffect(pathOf(node, 'conversion_name'), asType);
    case 'CreateOpClassStmt':
      return pathEffect(pathOf(node, 'opclassname'), asType);
    case 'CreateOpFamilyStmt':
      return pathEffect(pathOf(node, 'opfamilyname'), asType);
    case 'CreateStatsStmt':
      return pathEffect(pathOf(node, 'defnames'), asType);
    case 'DefineStmt':
      return pathEffect(pathOf(node, 'defnames'), asType);
    case 'CreateEnumStmt':
    case 'CreateRangeStmt':
      return pathEffect(pathOf(node, 'typeName'), asType);
    case 'CreateDomainStmt':
      return pathEffect(pathOf(node, 'domainname'), asType);
    default:
      return null;
  }
}

/** In SELECT … INTO t … UNION …, the INTO stands in the leftmost branch. */
function leftmostInto(select: SqlNode): SqlNode | undefined {
  let branch: SqlNode | undefined = select;
  while (branch !== undefined && !('intoClause' in branch)) branch = nodeOf(branch, 'larg');
  return nodeOf(branch, 'intoClause');
}

/** Kinds that share one name space with tables and can be temporary. */
const RELATION_TYPES: ReadonlySet<string> = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_SEQUENCE']);

/** DROP TABLE, VIEW, SEQUENCE; null for what names no relation that may be temporary. */
export function dropEffect(node: SqlNode): SqlEffect | null {
  if (!RELATION_TYPES.has(textOf(node, 'removeType'))) return null;
  const names: string[] = [];
  for (const object of nodesOf(node, 'objects')) {
    const path = pathOf(nodeOf(object, 'List'), 'items');
    if (path.length === 1 || (path.length === 2 && isTempSchema(path[0]))) names.push(path[path.length - 1]);
  }
  return names.length === 0 ? null : { type: 'drop', names };
}
