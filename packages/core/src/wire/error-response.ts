import { progress } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';
import { decodeText, findNul } from './cstring.js';
import { FrameWriter } from './frame-writer.js';
import { BACKEND } from './message-type.js';

/** Protocol page "Error and Notice Message Fields". Empty string = field absent. */
export interface ErrorFields {
  severity: string;
  sqlstate: string;
  message: string;
  detail?: string;
  hint?: string;
  /** The function of Postgres's source that raises it: some drivers go by it. */
  routine?: string;
}

const HEADER_BYTES = 5;

/** Field type bytes. */
const SEVERITY_LOCALIZED = 0x53;
const SEVERITY = 0x56;
const SQLSTATE = 0x43;
const MESSAGE = 0x4d;
const DETAIL = 0x44;
const HINT = 0x48;
const ROUTINE = 0x52;

export function writeErrorResponse(writer: FrameWriter, fields: ErrorFields): void {
  writeFields(writer, BACKEND.ErrorResponse, fields);
}

export function writeNoticeResponse(writer: FrameWriter, fields: ErrorFields): void {
  writeFields(writer, BACKEND.NoticeResponse, fields);
}

/** One whole ErrorResponse frame; a PgDogError is such fields already. */
export function buildErrorResponse(fields: ErrorFields): Uint8Array {
  const writer = new FrameWriter();
  writeErrorResponse(writer, fields);
  return writer.take();
}

export function buildNoticeResponse(fields: ErrorFields): Uint8Array {
  const writer = new FrameWriter();
  writeNoticeResponse(writer, fields);
  return writer.take();
}

function writeFields(writer: FrameWriter, type: number, fields: ErrorFields): void {
  writer.begin(type);
  // S and V differ only by translation, and we speak English. Postgres's own order.
  writeField(writer, SEVERITY_LOCALIZED, fields.severity);
  writeField(writer, SEVERITY, fields.severity);
  writeField(writer, SQLSTATE, fields.sqlstate);
  writeField(writer, MESSAGE, fields.message);
  writeField(writer, DETAIL, fields.detail ?? '');
  writeField(writer, HINT, fields.hint ?? '');
  writeField(writer, ROUTINE, fields.routine ?? '');
  writer.byte(0).end();
}

function writeField(writer: FrameWriter, type: number, value: string): void {
  // Left out when empty but for the first four, which are promised by the protocol.
  if (value === '' && (type === DETAIL || type === HINT || type === ROUTINE)) return;
  // Error texts quote what others sent. A NUL in there must not become a field of its own.
  writer.byte(type).cstring(value.includes('\0') ? value.replaceAll('\0', ' ') : value);
}

/**
 * Fields of an ErrorResponse or NoticeResponse body (start: after the length word). Never throws: missing
 * fields are '', of duplicates the first counts, a cut-off field ends at the end of the body.
 */
export function parseErrorFields(bytes: Uint8Array, start: number, end: number): Required<ErrorFields> {
  const fields = { severity: '', sqlstate: '', message: '', detail: '', hint: '', routine: '' };
  let localized = '';
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const type = bytes[at];
    const nul = findNul(bytes, at + 1, end);
    const valueEnd = nul === -1 ? end : nul;
    const value = decodeText(bytes, at + 1, valueEnd);
    if (type === SEVERITY) fields.severity ||= value;
    else if (type === SEVERITY_LOCALIZED) localized ||= value;
    else if (type === SQLSTATE) fields.sqlstate ||= value;
    else if (type === MESSAGE) fields.message ||= value;
    else if (type === DETAIL) fields.detail ||= value;
    else if (type === HINT) fields.hint ||= value;
    else if (type === ROUTINE) fields.routine ||= value;
    at = progress(at, valueEnd + 1);
  }
  // V came with 9.6; before it only the translated one.
  fields.severity ||= localized;
  return fields;
}

const POSITION = 0x50;

/**
 * The same ErrorResponse frame bytes[start, end), its position (from 1, in characters) as `map` has it; null when it has none.
 */
export function withPosition(
  bytes: Uint8Array,
  start: number,
  end: number,
  map: (position: number) => number,
): Uint8Array | null {
  let at = start + HEADER_BYTES;
  while (at < end && bytes[at] !== 0) {
    const nul = findNul(bytes, at + 1, end);
    if (nul === -1) return null;
    const position = bytes[at] === POSITION ? Number(decodeText(bytes, at + 1, nul)) : 0;
    if (position > 0) {
      const writer = new FrameWriter();
      writer.begin(BACKEND.ErrorResponse).bytes(bytes, start + HEADER_BYTES, at + 1);
      writer
        .cstring(String(map(position)))
        .bytes(bytes, nul + 1, end)
        .end();
      return writer.take();
    }
    at = progress(at, nul + 1);
  }
  return null;
}

/** SQLSTATE of an ErrorResponse body without decoding the rest; '' when it has none. */
export function readSqlstate(bytes: Uint8Array, start: number, end: number): string {
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const nul = findNul(bytes, at + 1, end);
    if (bytes[at] === SQLSTATE) return decodeText(bytes, at + 1, nul === -1 ? end : nul);
    if (nul === -1) return '';
    at = progress(at, nul + 1);
  }
  return '';
}

/** Wraps whatever was thrown, so that a client always gets a SQLSTATE and never a stack. */
export function toPgDogError(thrown: unknown): PgDogError {
  return thrown instanceof PgDogError ? thrown : new PgDogError('internal', undefined, { cause: thrown });
}
