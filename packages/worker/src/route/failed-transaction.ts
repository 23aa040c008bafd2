import { PgDogError, type SqlPlan, SYNTAX_ERROR } from '@pgdog-cluster/core';

/**
 * What Postgres answers to a text in a transaction that has failed, where no server can be asked because none knows of it, or
 * only some do. What ends the transaction by itself, or goes back to a savepoint that there is, does not come here.
 */
export function problemInFailed({ flags, statements }: SqlPlan): PgDogError {
  if ((flags & SYNTAX_ERROR) !== 0) return new PgDogError('syntax_error');
  const effect = statements[0]?.effect ?? null;
  switch (effect?.type) {
    case 'rollbackTo':
      if (statements.length > 1) break;
      return new PgDogError('unknown_savepoint', `savepoint "${effect.name}" does not exist`);
    case 'commit':
    case 'rollback':
      break;
    default:
      return new PgDogError('transaction_failed');
  }
  const text = 'a transaction that has failed is ended or taken back by a statement of its own';
  return new PgDogError('cross_shard', text, { hint: 'Send ROLLBACK alone.' });
}
