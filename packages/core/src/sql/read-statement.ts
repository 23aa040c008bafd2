import { isAnalyze } from './explain-options.js';
import {
  deallocateNameSpans,
  executeAsNameSpans,
  executeNameSpans,
  prepareNameSpans,
  readPrepare,
} from './prepared-names.js';
import { readSet } from './set-statement.js';
import type { SqlEffect } from './sql-effect.js';
import {
  BINDS_CONNECTION,
  CREATES_TEMP,
  DEFINES_CODE,
  DEFINES_RELATION,
  HOLDS_CURSOR,
  LISTENS,
  PREPARE_LEVEL,
  RETURNS_COPY,
  UNKNOWN_EFFECT,
  WRITES,
} from './sql-flags.js';
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from './sql-node.js';
import type { StatementReading } from './sql-plan.js';
import { definesAnything, definesCode, definesRelation, statementKind } from './statement-kinds.js';
import type { StatementText } from './statement-text.js';
import { createTempEffect, dropEffect } from './temp-objects.js';
import { readTransaction } from './transaction-statement.js';
import { callEffect, gatherFacts } from './tree-facts.js';
import { vacatedDatabase } from './vacated-database.js';

/** CURSOR_OPT_HOLD of parsenodes.h. */
const CURSOR_HOLD = 0x20;
const PGDOG_PREFIX = 'pgdog.';

function plan(flags: number, effect: SqlEffect | null = null): StatementReading {
  return { flags, effect, nameSpans: [] };
}

/**
 * Reads one statement of a parsed text.
 * @param kind type of the top node
 * @param node its fields
 */
export function readStatement(kind: string, node: SqlNode, text: StatementText): StatementReading {
  const reading = readKind(kind, node, text);
  if (definesAnything(kind) || node.intoClause !== undefined) reading.defines = true;
  return reading;
}

function readKind(kind: string, node: SqlNode, text: StatementText): StatementReading {
  switch (kind) {
    case 'VariableSetStmt': {
      const { flags, effect } = readSet(node, text.whole);
      return plan(flags, effect);
    }
    case 'VariableShowStmt':
      return readShow(node);
    case 'TransactionStmt':
      return readTransaction(node);
    case 'PrepareStmt': {
      const name = textOf(node, 'name');
      return {
        flags: PREPARE_LEVEL,
        effect: readPrepare(text, name),
        nameSpans: prepareNameSpans(text, name),
      };
    }
    case 'ExecuteStmt':
      return readExecute(node, text, false);
    case 'DeallocateStmt':
      return readDeallocate(node, text);
    case 'ExplainStmt':
      return readExplain(node, text);
    case 'DiscardStmt':
      return readDiscard(node);
    case 'ListenStmt':
      return plan(LISTENS, { type: 'listen', channel: textOf(node, 'conditionname') });
    case 'UnlistenStmt':
      return plan(0, { type: 'unlisten', channel: textOf(node, 'conditionname') || null });
    case 'DeclareCursorStmt':
      return readDeclare(node);
    case 'ClosePortalStmt':
      return plan(0, { type: 'closeCursor', name: textOf(node, 'portalname') || null });
    case 'CopyStmt':
      return readCopy(node);
    case 'CreateTableAsStmt':
      return readCreateTableAs(node, text);
    case 'LoadStmt':
      return plan(UNKNOWN_EFFECT | BINDS_CONNECTION);
    default:
      return readOther(kind, node);
  }
}

/** Statements whose effect is that of what they create, drop, or call. */
function readOther(kind: string, node: SqlNode): StatementReading {
  const vacated = vacatedDatabase(kind, node);
  if (vacated !== '') return plan(WRITES, { type: 'vacate', database: vacated });
  const group = statementKind(kind);
  const created = createTempEffect(kind, node);
  let defines = definesCode(kind) && created === null ? DEFINES_CODE : 0;
  if (definesRelation(kind) && created === null) defines |= DEFINES_RELATION;
  if (group === 'defining') return plan(WRITES | defines | (created === null ? 0 : CREATES_TEMP), created);
  const facts = gatherFacts({ [kind]: node });
  const called = callEffect(facts, kind, node);
  let flags = facts.flags | defines;
  if (group === 'writing') flags |= WRITES;
  // What a procedure does its source tells, like a function's.
  if (kind === 'CallStmt') {
    flags |= UNKNOWN_EFFECT;
    facts.unknownCalls.push(pathOf(nodeOf(node, 'funccall'), 'funcname').at(-1) ?? '');
  }
  const isOpaque =
    (group === 'unknown' && kind !== 'CallStmt') ||
    (flags & BINDS_CONNECTION) !== 0 ||
    (created !== null && called?.type === 'setConfig');
  if (isOpaque) flags |= UNKNOWN_EFFECT;
  // A default or a check that calls something will do so unseen.
  const mayKeepCalls = kind === 'AlterTableStmt' || (kind === 'CreateStmt' && created === null);
  if (facts.unknownCalls.length > 0 && mayKeepCalls) flags |= DEFINES_CODE;
  if (created !== null) flags |= CREATES_TEMP;
  const effect = created ?? called ?? (kind === 'DropStmt' ? dropEffect(node) : null);
  const made = plan(flags, effect);
  if (!isOpaque && facts.unknownCalls.length > 0) made.calls = facts.unknownCalls;
  return made;
}

function readShow(node: SqlNode): StatementReading {
  const name = textOf(node, 'name').toLowerCase();
  // What the session has set is known wherever it runs, as with any other setting.
  if (!name.startsWith(PGDOG_PREFIX) || name === 'pgdog.role') return plan(0);
  return plan(0, { type: 'showPgdog', name: name.slice(PGDOG_PREFIX.length) });
}

function readExecute(node: SqlNode, text: StatementText, isAfterAs: boolean): StatementReading {
  const name = textOf(node, 'name');
  const facts = gatherFacts(nodesOf(node, 'params'));
  const called = callEffect(facts, 'ExecuteStmt', node);
  // One effect only: a set_config among the arguments is left to the reset after an unknown effect.
  const flags = facts.flags | PREPARE_LEVEL | (called === null ? 0 : UNKNOWN_EFFECT);
  const nameSpans = isAfterAs ? executeAsNameSpans(text, name) : executeNameSpans(text, name);
  return { flags, effect: { type: 'execute', name }, nameSpans };
}

function readCreateTableAs(node: SqlNode, text: StatementText): StatementReading {
  const execute = nodeOf(nodeOf(node, 'query'), 'ExecuteStmt');
  const created = readOther('CreateTableAsStmt', node);
  if (execute === undefined) return created;
  const executed = readExecute(execute, text, true);
  return {
    flags: created.flags | executed.flags,
    effect: created.effect?.type === 'createTemp' ? created.effect : executed.effect,
    nameSpans: executed.nameSpans,
  };
}

function readDeallocate(node: SqlNode, text: StatementText): StatementReading {
  if (node.isall === true) return plan(PREPARE_LEVEL, { type: 'deallocate', name: null });
  const name = textOf(node, 'name');
  return {
    flags: PREPARE_LEVEL,
    effect: { type: 'deallocate', name },
    nameSpans: deallocateNameSpans(text, name),
  };
}

/** Without ANALYZE nothing runs, but the statement an EXECUTE names must be there. */
function readExplain(node: SqlNode, text: StatementText): StatementReading {
  const query = nodeOf(node, 'query') ?? {};
  const kind = Object.keys(query)[0] ?? '';
  const inner = readStatement(kind, nodeOf(query, kind) ?? {}, text);
  if (isAnalyze(node) || inner.effect?.type === 'execute') return inner;
  return { flags: inner.flags & PREPARE_LEVEL, effect: null, nameSpans: inner.nameSpans };
}

function readDiscard(node: SqlNode): StatementReading {
  switch (textOf(node, 'target')) {
    case 'DISCARD_ALL':
      return plan(PREPARE_LEVEL, { type: 'discard', what: 'all' });
    case 'DISCARD_PLANS':
      return plan(PREPARE_LEVEL, { type: 'discard', what: 'plans' });
    case 'DISCARD_SEQUENCES':
      return plan(0, { type: 'discard', what: 'sequences' });
    case 'DISCARD_TEMP':
      return plan(0, { type: 'discard', what: 'temp' });
    default:
      return plan(UNKNOWN_EFFECT);
  }
}

function readDeclare(node: SqlNode): StatementReading {
  const facts = gatherFacts(node);
  const called = callEffect(facts, 'DeclareCursorStmt', node);
  const options = typeof node.options === 'number' ? node.options : 0;
  if ((options & CURSOR_HOLD) === 0) return withCalls(plan(facts.flags, called), facts.unknownCalls);
  const flags = facts.flags | HOLDS_CURSOR | (called === null ? 0 : UNKNOWN_EFFECT);
  return plan(flags, { type: 'declareHold', name: textOf(node, 'portalname') });
}

function readCopy(node: SqlNode): StatementReading {
  const facts = gatherFacts(node);
  let flags = facts.flags;
  if (node.is_from === true) flags |= WRITES;
  if (textOf(node, 'filename') === '' && node.is_program !== true) flags |= RETURNS_COPY;
  return withCalls(plan(flags, callEffect(facts, 'CopyStmt', node)), facts.unknownCalls);
}

function withCalls(made: StatementReading, calls: readonly string[]): StatementReading {
  if (calls.length > 0 && (made.flags & BINDS_CONNECTION) === 0) made.calls = calls;
  return made;
}
