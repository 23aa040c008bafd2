import type { ErrorCode, ErrorFields, PgDogError } from '@pgdog-cluster/core';

/** Errors of ours that stand for one of Postgres's, by which drivers know it. */
const ROUTINES: Partial<Record<ErrorCode, string>> = { plan_outdated: 'RevalidateCachedQuery' };

/** Of an error of ours, as a client gets them. */
export function fieldsOf(error: PgDogError): ErrorFields {
  return {
    severity: error.severity,
    sqlstate: error.sqlstate,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
    routine: ROUTINES[error.code] ?? '',
  };
}
