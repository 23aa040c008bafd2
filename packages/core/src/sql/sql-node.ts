/** Reading libpg-query's JSON tree, which leaves out fields that are null, false, zero or empty. */

/** A node: an object with one key (the node's type), or the fields of one. */
export type SqlNode = { readonly [key: string]: SqlValue };
export type SqlValue = string | number | boolean | null | undefined | SqlNode | readonly SqlValue[];

export function isSqlNode(value: SqlValue): value is SqlNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function nodeOf(node: SqlNode | undefined, key: string): SqlNode | undefined {
  const value = node?.[key];
  return isSqlNode(value) ? value : undefined;
}

export function nodesOf(node: SqlNode | undefined, key: string): readonly SqlNode[] {
  const value = node?.[key];
  return Array.isArray(value) ? value.filter(isSqlNode) : [];
}

export function textOf(node: SqlNode | undefined, key: string): string {
  const value = node?.[key];
  return typeof value === 'string' ? value : '';
}

/** The parts of a possibly qualified name: a list of String nodes. */
export function pathOf(node: SqlNode | undefined, key: string): string[] {
  return nodesOf(node, key).map((part) => textOf(nodeOf(part, 'String'), 'sval'));
}

/** A constant's text as Postgres would see it, null for NULL, undefined when the node is no constant. */
export function constantOf(node: SqlNode): string | null | undefined {
  const constant = nodeOf(node, 'A_Const');
  if (constant === undefined) return undefined;
  if (constant.isnull === true) return null;
  if ('sval' in constant) return textOf(nodeOf(constant, 'sval'), 'sval');
  if ('boolval' in constant) return String(nodeOf(constant, 'boolval')?.boolval === true);
  if ('ival' in constant) return String(nodeOf(constant, 'ival')?.ival ?? 0);
  if ('fval' in constant) return textOf(nodeOf(constant, 'fval'), 'fval');
  return undefined;
}
