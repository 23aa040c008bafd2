import type { SqlEffect } from './sql-effect.js';
import { BEGINS_TRANSACTION, TRANSACTION_CONTROL, UNKNOWN_EFFECT } from './sql-flags.js';
import { type SqlNode, textOf } from './sql-node.js';
import type { StatementReading } from './sql-plan.js';

/** BEGIN, COMMIT, SAVEPOINT and the rest of TransactionStmt. COMMIT PREPARED and ROLLBACK PREPARED change no session. */
export function readTransaction(node: SqlNode): StatementReading {
  const kind = textOf(node, 'kind');
  let flags = TRANSACTION_CONTROL;
  if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') flags |= BEGINS_TRANSACTION;
  const effect = transactionEffect(kind, node);
  if (effect === undefined) return { flags: flags | UNKNOWN_EFFECT, effect: null, nameSpans: [] };
  return { flags, effect, nameSpans: [] };
}

function transactionEffect(kind: string, node: SqlNode): SqlEffect | null | undefined {
  const name = textOf(node, 'savepoint_name');
  const isChain = node.chain === true;
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
      return { type: 'begin' };
    case 'TRANS_STMT_START':
      return { type: 'begin', isStart: true };
    case 'TRANS_STMT_COMMIT':
      return { type: 'commit', isChain };
    case 'TRANS_STMT_ROLLBACK':
      return { type: 'rollback', isChain };
    case 'TRANS_STMT_SAVEPOINT':
      return { type: 'savepoint', name };
    case 'TRANS_STMT_RELEASE':
      return { type: 'release', name };
    case 'TRANS_STMT_ROLLBACK_TO':
      return { type: 'rollbackTo', name };
    case 'TRANS_STMT_PREPARE':
      return { type: 'prepareTransaction' };
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return null;
    default:
      return undefined;
  }
}
