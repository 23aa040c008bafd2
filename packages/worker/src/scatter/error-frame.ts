import { buildErrorResponse, type PgDogError, parseErrorFields } from '@pgdog-cluster/core';
import { fieldsOf } from '../session/session.js';
import type { Leg } from './leg.js';

const HEADER_BYTES = 5;

export function errorFrame(error: PgDogError): Uint8Array {
  return buildErrorResponse(fieldsOf(error));
}

export function sqlstateOf(frame: Uint8Array): string {
  return parseErrorFields(frame, HEADER_BYTES, frame.length).sqlstate;
}

/** The error of a shard, with what is done on those before it and stays so: there was no transaction to undo it. */
export function withDone(frame: Uint8Array, legs: readonly Leg[], failedShard: number): Uint8Array {
  const done = legs.map(({ shard }) => shard).filter((shard) => shard < failedShard);
  const fields = parseErrorFields(frame, HEADER_BYTES, frame.length);
  const where = done.length === 0 ? 'on no shard' : `on shard ${done.join(', ')}`;
  const detail = `It failed on shard ${failedShard}; it is done ${where}, and was not tried on those behind.`;
  return buildErrorResponse({
    ...fields,
    detail: `${fields.detail}${fields.detail === '' ? '' : ' '}${detail}`,
  });
}

/** A server's FATAL ends its own connection, not the client's. */
export function asError(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const fields = parseErrorFields(bytes, start + HEADER_BYTES, end);
  return fields.severity === 'ERROR'
    ? bytes.slice(start, end)
    : buildErrorResponse({ ...fields, severity: 'ERROR' });
}
