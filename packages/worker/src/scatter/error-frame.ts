import {
  BACKEND,
  buildErrorResponse,
  decodeText,
  FrameWriter,
  findNul,
  type PgDogError,
  parseErrorFields,
} from '@pgdog-cluster/core';
import { fieldsOf } from '../session/fields-of.js';
import type { Leg } from './leg.js';

const HEADER_BYTES = 5;
/** Field of an ErrorResponse: where it happened. */
const CONTEXT = 0x57;
const writer = new FrameWriter(1024);

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

/** The same error, whose context says this as well. */
export function withContext(frame: Uint8Array, text: string): Uint8Array {
  writer.reset().begin(BACKEND.ErrorResponse);
  let context = '';
  let at = HEADER_BYTES;
  while (at < frame.length && frame[at] !== 0) {
    const nul = findNul(frame, at + 1, frame.length);
    if (nul < 0) return frame;
    if (frame[at] === CONTEXT) context = `${decodeText(frame, at + 1, nul)}\n`;
    else writer.bytes(frame, at, nul + 1);
    at = nul + 1;
  }
  writer.byte(CONTEXT).cstring(`${context}${text}`).byte(0).end();
  return writer.take();
}
