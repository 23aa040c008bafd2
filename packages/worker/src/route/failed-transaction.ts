import {
  decodeName,
  FRONTEND,
  PgDogError,
  readBind,
  readTarget,
  type SqlPlan,
  SYNTAX_ERROR,
  TARGET,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';

const HEADER_BYTES = 5;

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

/** Nothing but comments and semicolons: no statement that could be refused. */
export function isEmptyText({ flags, statements }: SqlPlan): boolean {
  return statements.length === 0 && flags === 0;
}

/** It ends a transaction that has failed, or takes it back: what stands behind it is done. */
export function revives({ statements }: SqlPlan): boolean {
  const type = statements[0]?.effect?.type;
  return type === 'rollbackTo' || type === 'rollback' || type === 'commit';
}

/** The same to a frame of a batch that prepares and binds nothing that is known: names are looked for first. */
export function frameInFailed(
  { statements }: Session,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): PgDogError {
  const body = start + HEADER_BYTES;
  const unknown = (from: number, to: number): PgDogError | null => {
    const name = decodeName(bytes, from, to);
    if (name === '' || statements.get(name) !== undefined) return null;
    return new PgDogError('unknown_prepared_statement', `prepared statement "${name}" does not exist`);
  };
  if (type === FRONTEND.Execute) return new PgDogError('unknown_portal');
  if (type === FRONTEND.Describe) {
    const fields = readTarget(bytes, body, end);
    if (fields?.target === TARGET.Portal) return new PgDogError('unknown_portal');
    const problem = fields === null ? null : unknown(fields.nameStart, fields.nameEnd);
    if (problem !== null) return problem;
  }
  const bind = type === FRONTEND.Bind ? readBind(bytes, body, end) : null;
  const problem = bind === null ? null : unknown(bind.statementStart, bind.statementEnd);
  return problem ?? new PgDogError('transaction_failed');
}
