import { buildErrorResponse, type ErrorFields } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/** Functions of Postgres's sequence.c that know what a session has drawn, and nothing of what another has. */
const ROUTINES: ReadonlySet<string> = new Set(['currval_oid', 'lastval']);
const HINT =
  'Between transactions the server connection may be another one: draw the value and ask for it in one transaction, use ' +
  'RETURNING, or SET pgdog.pin TO on.';

/** "currval of sequence … is not yet defined in this session" puzzles whoever has just drawn from it. Null: another error. */
export function withSequenceHint(
  session: Pick<Session, 'isSessionMode'> | null,
  fields: Required<ErrorFields>,
): Uint8Array | null {
  if (fields.sqlstate !== '55000' || !ROUTINES.has(fields.routine)) return null;
  if (session === null || session.isSessionMode || fields.hint !== '') return null;
  return buildErrorResponse({ ...fields, hint: HINT });
}
