import { buildErrorResponse, type PgDogError } from '@pgdog-cluster/core';
import { fieldsOf } from '../session/session.js';

export function errorFrame(error: PgDogError): Uint8Array {
  return buildErrorResponse(fieldsOf(error));
}
