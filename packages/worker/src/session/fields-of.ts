import type { ErrorFields, PgDogError } from '@pgdog-cluster/core';

/** Of an error of ours, as a client gets them. */
export function fieldsOf(error: PgDogError): ErrorFields {
  return {
    severity: error.severity,
    sqlstate: error.sqlstate,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
  };
}
