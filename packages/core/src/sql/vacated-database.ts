import { nodeOf, nodesOf, type SqlNode, textOf } from './sql-node.js';

/** The database to which nobody else may be connected while the statement runs; '' for any other statement. */
export function vacatedDatabase(kind: string, node: SqlNode): string {
  switch (kind) {
    case 'DropdbStmt':
      return textOf(node, 'dbname');
    case 'RenameStmt':
      return textOf(node, 'renameType') === 'OBJECT_DATABASE' ? textOf(node, 'subname') : '';
    case 'CreatedbStmt':
      return option(node, 'template');
    case 'AlterDatabaseStmt':
      return option(node, 'tablespace') === '' ? '' : textOf(node, 'dbname');
    default:
      return '';
  }
}

/** A name among WITH options, quoted or not. */
function option(node: SqlNode, name: string): string {
  const found = nodesOf(node, 'options')
    .map((each) => nodeOf(each, 'DefElem'))
    .find((each) => textOf(each, 'defname') === name);
  return textOf(nodeOf(nodeOf(found, 'arg'), 'String'), 'sval');
}
