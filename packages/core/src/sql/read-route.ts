import { readBoolean } from './boolean-setting.js';
import { isAnalyze } from './explain-options.js';
import { TRANSACTION_PARAMETERS } from './parameter-names.js';
import { type BeginFacts, bareRoute, type RouteFacts } from './route-facts.js';
import { RouteWalk } from './route-walk.js';
import { constantOf, nodeOf, nodesOf, pathOf, type SqlNode, textOf } from './sql-node.js';
import { statementLabel } from './statement-labels.js';

/** Leave the data alone, and run in recovery as well; where is for the session to say. */
const NEUTRAL_KINDS: ReadonlySet<string> = new Set(
  (
    'VariableSetStmt VariableShowStmt DeallocateStmt DiscardStmt UnlistenStmt ClosePortalStmt FetchStmt ' +
    'ConstraintsSetStmt'
  ).split(' '),
);
/** Of TransactionStmt: those that recovery refuses. */
const TWO_PHASE: ReadonlyMap<string, string> = new Map([
  ['TRANS_STMT_PREPARE', 'PREPARE TRANSACTION'],
  ['TRANS_STMT_COMMIT_PREPARED', 'COMMIT PREPARED'],
  ['TRANS_STMT_ROLLBACK_PREPARED', 'ROLLBACK PREPARED'],
]);

/**
 * What the routing needs to know of one statement, of any kind.
 * @param kind type of the top node
 * @param node its fields
 */
export function readRoute(kind: string, node: SqlNode): RouteFacts {
  switch (kind) {
    case 'SelectStmt':
    case 'DeclareCursorStmt':
      return walked(kind, node, kind === 'SelectStmt' ? 'SELECT' : 'cursor of a SELECT');
    case 'TransactionStmt':
      return readTransactionRoute(node);
    case 'VariableSetStmt':
      return { ...bareRoute('neutral', 'SET'), begin: characteristics(node) };
    case 'PrepareStmt':
      return innerRoute(nodeOf(node, 'query'), 'prepares: ');
    case 'ExecuteStmt':
      return { ...walked(kind, node, 'EXECUTE'), executes: [textOf(node, 'name')] };
    case 'ExplainStmt':
      return readExplainRoute(node);
    case 'CopyStmt':
      return readCopyRoute(kind, node);
    case 'DropStmt':
      return readDropRoute(node);
    case 'CallStmt':
      return written(kind, node, `CALL ${pathOf(nodeOf(node, 'funccall'), 'funcname').join('.')}()`);
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return walked(kind, node, statementLabel(kind));
    default:
      if (NEUTRAL_KINDS.has(kind)) return bareRoute('neutral', statementLabel(kind));
      return written(kind, node, statementLabel(kind));
  }
}

function walked(kind: string, node: SqlNode, label: string): RouteFacts {
  const walk = new RouteWalk().walk({ [kind]: node });
  return factsOf(walk, walk.writeReason === null ? 'read' : 'write', walk.writeReason ?? label);
}

function written(kind: string, node: SqlNode, reason: string): RouteFacts {
  return factsOf(new RouteWalk().walk({ [kind]: node }), 'write', reason);
}

function factsOf(walk: RouteWalk, access: RouteFacts['access'], reason: string): RouteFacts {
  return {
    ...bareRoute(access, reason),
    functions: [...walk.functions],
    builtins: [...walk.builtins],
    operators: [...walk.operators],
    attributes: [...walk.attributes],
    relations: walk.relations,
  };
}

/** Of a statement in another: PREPARE … AS, EXPLAIN. */
function innerRoute(query: SqlNode | undefined, prefix: string): RouteFacts {
  const kind = Object.keys(query ?? {})[0] ?? '';
  const route = readRoute(kind, nodeOf(query, kind) ?? {});
  return { ...route, reason: `${prefix}${route.reason}` };
}

/** Without ANALYZE nothing runs; of what would write, the plan of the primary is asked for all the same. */
function readExplainRoute(node: SqlNode): RouteFacts {
  const route = innerRoute(nodeOf(node, 'query'), isAnalyze(node) ? 'EXPLAIN ANALYZE: ' : 'EXPLAIN: ');
  return route.access === 'neutral' ? { ...route, access: 'read' } : route;
}

function readCopyRoute(kind: string, node: SqlNode): RouteFacts {
  if (node.is_from === true) return written(kind, node, 'COPY FROM');
  if (node.is_program === true) return written(kind, node, 'COPY TO a program of the server');
  if (textOf(node, 'filename') !== '') return written(kind, node, 'COPY TO a file of the server');
  return walked(kind, node, 'COPY TO');
}

function readDropRoute(node: SqlNode): RouteFacts {
  const walk = new RouteWalk();
  for (const object of nodesOf(node, 'objects')) {
    const path = pathOf(nodeOf(object, 'List'), 'items');
    const name = path.at(-1);
    if (name !== undefined) walk.addRelation(path.at(-2) ?? '', name);
  }
  return factsOf(walk, 'write', 'DROP');
}

function readTransactionRoute(node: SqlNode): RouteFacts {
  const kind = textOf(node, 'kind');
  const twoPhase = TWO_PHASE.get(kind);
  if (twoPhase !== undefined) return bareRoute('write', twoPhase);
  const isBegin = kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START';
  const route = bareRoute('neutral', isBegin ? 'BEGIN' : 'transaction control');
  return isBegin ? { ...route, begin: modesOf(nodesOf(node, 'options')) } : route;
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS say what BEGIN can say; SET transaction_read_only says it too. */
function characteristics(node: SqlNode): BeginFacts | null {
  const name = textOf(node, 'name');
  const kind = textOf(node, 'kind');
  if (kind === 'VAR_SET_MULTI') {
    if (name === 'TRANSACTION SNAPSHOT') return null;
    const modes = modesOf(nodesOf(node, 'args'));
    return name === 'TRANSACTION' ? { ...modes, isOfThisOne: true } : modes;
  }
  const folded = name.toLowerCase();
  if (kind !== 'VAR_SET_VALUE' || !TRANSACTION_PARAMETERS.has(folded)) return null;
  const first = nodesOf(node, 'args')[0];
  const value = (first === undefined ? undefined : constantOf(first)) ?? '';
  return {
    isReadOnly: folded === 'transaction_read_only' ? readBoolean(value) : null,
    isSerializable: folded === 'transaction_isolation' && value.toLowerCase() === 'serializable',
  };
}

function modesOf(options: readonly SqlNode[]): BeginFacts {
  let isReadOnly: boolean | null = null;
  let isSerializable = false;
  for (const option of options) {
    const element = nodeOf(option, 'DefElem');
    const value = constantOf(nodeOf(element, 'arg') ?? {});
    if (textOf(element, 'defname') === 'transaction_read_only') isReadOnly = value !== '0';
    if (textOf(element, 'defname') === 'transaction_isolation') isSerializable = value === 'serializable';
  }
  return { isReadOnly, isSerializable };
}
