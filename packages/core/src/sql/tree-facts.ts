import { classifyFunction } from './function-class.js';
import { certainSetConfigCalls, opaqueSetConfigCalls, putsTempFirst, setsOnly } from './set-config-call.js';
import type { SqlEffect } from './sql-effect.js';
import {
  ADVANCES_SEQUENCE,
  ADVISORY_LOCK,
  BINDS_CONNECTION,
  CREATES_TEMP,
  PREPARE_LEVEL,
  SETS_PARAMETER,
  UNKNOWN_EFFECT,
  USES_SEQUENCE_STATE,
  WRITES,
} from './sql-flags.js';
import { nodeOf, pathOf, type SqlNode, type SqlValue, textOf } from './sql-node.js';

/** What a walk over a whole statement finds, wherever it stands in it. */
export interface TreeFacts {
  flags: number;
  setConfigCount: number;
  hasLock: boolean;
  /** Every session-level lock is taken by a pg_try_… form. */
  isTryOnly: boolean;
  hasUnlock: boolean;
  hasUnlockAll: boolean;
  /** Bare names of the functions of unknown effect. */
  unknownCalls: string[];
}

/** Walks with its own stack: a tree may be thousands of nodes deep. */
export function gatherFacts(root: SqlValue): TreeFacts {
  const facts: TreeFacts = {
    flags: 0,
    setConfigCount: 0,
    hasLock: false,
    isTryOnly: true,
    hasUnlock: false,
    hasUnlockAll: false,
    unknownCalls: [],
  };
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) stack.push(item);
      continue;
    }
    const node = value as SqlNode;
    for (const key in node) {
      noteKey(facts, key, node);
      stack.push(node[key]);
    }
  }
  return facts;
}

function noteKey(facts: TreeFacts, key: string, node: SqlNode): void {
  switch (key) {
    case 'FuncCall':
      noteCall(facts, pathOf(nodeOf(node, key), 'funcname'));
      break;
    case 'relpersistence':
      if (node[key] === 't') facts.flags |= CREATES_TEMP;
      break;
    case 'UpdateStmt':
      facts.flags |= WRITES;
      // A rule of that view turns it into set_config().
      if (textOf(nodeOf(nodeOf(node, key), 'relation'), 'relname') === 'pg_settings') {
        facts.setConfigCount++;
        facts.flags |= SETS_PARAMETER;
      }
      break;
    case 'InsertStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
    case 'intoClause':
      facts.flags |= WRITES;
      break;
    case 'ExecuteStmt':
      facts.flags |= PREPARE_LEVEL;
      break;
  }
}

function noteCall(facts: TreeFacts, path: readonly string[]): void {
  switch (classifyFunction(path)) {
    case 'harmless':
      return;
    case 'writes':
      facts.flags |= WRITES;
      return;
    case 'setConfig':
      facts.setConfigCount++;
      facts.flags |= SETS_PARAMETER;
      return;
    case 'usesSequence':
      facts.flags |= USES_SEQUENCE_STATE;
      return;
    case 'advancesSequence':
      facts.flags |= ADVANCES_SEQUENCE | WRITES;
      return;
    case 'advisoryLock':
      facts.isTryOnly = false;
      facts.hasLock = true;
      facts.flags |= ADVISORY_LOCK;
      return;
    case 'tryAdvisoryLock':
      facts.hasLock = true;
      facts.flags |= ADVISORY_LOCK;
      return;
    case 'advisoryUnlock':
      facts.hasUnlock = true;
      return;
    case 'advisoryUnlockAll':
      facts.hasUnlockAll = true;
      return;
    case 'bindsConnection':
      facts.flags |= UNKNOWN_EFFECT | BINDS_CONNECTION;
      return;
    case 'unknown':
      facts.unknownCalls.push(path[path.length - 1] ?? '');
      facts.flags |= UNKNOWN_EFFECT;
  }
}

/** The effect of the functions a statement calls, strongest first; may add to `facts.flags`. */
export function callEffect(facts: TreeFacts, kind: string, node: SqlNode): SqlEffect | null {
  if (facts.setConfigCount > 0) {
    const certain = kind === 'SelectStmt' ? certainSetConfigCalls(node) : null;
    // Calls nested in others are not among the certain ones: then nothing is certain.
    const isCertain = certain !== null && certain.length === facts.setConfigCount;
    const calls = isCertain ? certain : opaqueSetConfigCalls(facts.setConfigCount);
    if (calls.some(putsTempFirst)) facts.flags |= CREATES_TEMP;
    return isCertain && setsOnly(node, calls.length)
      ? { type: 'setConfig', calls, isAll: true }
      : { type: 'setConfig', calls };
  }
  if (facts.hasLock) return { type: 'advisoryLock', isTry: facts.isTryOnly };
  if (facts.hasUnlockAll) return { type: 'advisoryUnlockAll' };
  return facts.hasUnlock ? { type: 'advisoryUnlock' } : null;
}
