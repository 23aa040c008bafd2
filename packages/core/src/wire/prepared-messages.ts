/**
 * Readers and writers of the extended query's messages: where the names and texts stand, nothing decoded,
 * nothing allocated.
 *
 * Readers take a frame's body, start <= i < end (start: behind the length word), and return null for a body
 * that Postgres would refuse as "invalid message format". The object returned is one per reader and is
 * overwritten by the next call: read it before calling again, never keep it. Offsets are absolute in `bytes`;
 * an `…End` is the terminator's place.
 */
import { findNul } from './cstring.js';
import type { FrameWriter } from './frame-writer.js';
import { FRONTEND, readLength } from './message-type.js';

export interface ParseFields {
  nameStart: number;
  nameEnd: number;
  textStart: number;
  textEnd: number;
  /** First of `typeCount` Int32 type oids. */
  typesStart: number;
  typeCount: number;
}

export interface BindFields {
  portalStart: number;
  portalEnd: number;
  statementStart: number;
  statementEnd: number;
}

export interface TargetFields {
  /** TARGET.Statement or TARGET.Portal. */
  target: number;
  nameStart: number;
  nameEnd: number;
}

export interface ExecuteFields {
  portalStart: number;
  portalEnd: number;
  /** Int32; 0 or less = all rows. */
  rowsMax: number;
}

const parseFields: ParseFields = {
  nameStart: 0,
  nameEnd: 0,
  textStart: 0,
  textEnd: 0,
  typesStart: 0,
  typeCount: 0,
};
const bindFields: BindFields = { portalStart: 0, portalEnd: 0, statementStart: 0, statementEnd: 0 };
const targetFields: TargetFields = { target: 0, nameStart: 0, nameEnd: 0 };
const executeFields: ExecuteFields = { portalStart: 0, portalEnd: 0, rowsMax: 0 };

export function readParse(bytes: Uint8Array, start: number, end: number): ParseFields | null {
  const nameEnd = findNul(bytes, start, end);
  if (nameEnd === -1) return null;
  const textEnd = findNul(bytes, nameEnd + 1, end);
  if (textEnd === -1 || end - textEnd < 3) return null;
  const typeCount = (bytes[textEnd + 1] << 8) | bytes[textEnd + 2];
  if (textEnd + 3 + typeCount * 4 !== end) return null;
  parseFields.nameStart = start;
  parseFields.nameEnd = nameEnd;
  parseFields.textStart = nameEnd + 1;
  parseFields.textEnd = textEnd;
  parseFields.typesStart = textEnd + 3;
  parseFields.typeCount = typeCount;
  return parseFields;
}

/**
 * The two names only: `end` may be the end of what has arrived, since a Bind with large values streams
 * through and its names come first. null then means "not all of the names is here yet".
 */
export function readBind(bytes: Uint8Array, start: number, end: number): BindFields | null {
  const portalEnd = findNul(bytes, start, end);
  if (portalEnd === -1) return null;
  const statementEnd = findNul(bytes, portalEnd + 1, end);
  if (statementEnd === -1) return null;
  bindFields.portalStart = start;
  bindFields.portalEnd = portalEnd;
  bindFields.statementStart = portalEnd + 1;
  bindFields.statementEnd = statementEnd;
  return bindFields;
}

/** Body of a Describe or a Close. */
export function readTarget(bytes: Uint8Array, start: number, end: number): TargetFields | null {
  if (end - start < 2) return null;
  const nameEnd = findNul(bytes, start + 1, end);
  if (nameEnd === -1 || nameEnd + 1 !== end) return null;
  targetFields.target = bytes[start];
  targetFields.nameStart = start + 1;
  targetFields.nameEnd = nameEnd;
  return targetFields;
}

export function readExecute(bytes: Uint8Array, start: number, end: number): ExecuteFields | null {
  const portalEnd = findNul(bytes, start, end);
  if (portalEnd === -1 || portalEnd + 5 !== end) return null;
  executeFields.portalStart = start;
  executeFields.portalEnd = portalEnd;
  executeFields.rowsMax = readLength(bytes, portalEnd + 1) | 0;
  return executeFields;
}

/** End of a Query's text (which begins at `start`); -1 unless the terminator is the body's last byte. */
export function readQueryEnd(bytes: Uint8Array, start: number, end: number): number {
  const textEnd = findNul(bytes, start, end);
  return textEnd + 1 === end ? textEnd : -1;
}

export function writeQuery(writer: FrameWriter, text: string): void {
  writer.begin(FRONTEND.Query).cstring(text).end();
}

/** `text` as a string, or as bytes without their terminator when it was never decoded. */
export function writeParse(
  writer: FrameWriter,
  name: string,
  text: string | Uint8Array,
  typeOids: readonly number[] = [],
): void {
  writer.begin(FRONTEND.Parse).cstring(name);
  if (typeof text === 'string') writer.cstring(text);
  else writer.bytes(text).byte(0);
  writer.int16(typeOids.length);
  for (const typeOid of typeOids) writer.int32(typeOid);
  writer.end();
}

/** The client's Parse under another name. `end`: of the body that `fields` was read from. */
export function writeRenamedParse(
  writer: FrameWriter,
  bytes: Uint8Array,
  fields: ParseFields,
  end: number,
  name: string,
): void {
  writer.begin(FRONTEND.Parse).cstring(name).bytes(bytes, fields.textStart, end).end();
}

/** The client's whole Bind for another statement. `end`: of the body that `fields` was read from. */
export function writeRenamedBind(
  writer: FrameWriter,
  bytes: Uint8Array,
  fields: BindFields,
  end: number,
  statement: string,
): void {
  writer
    .begin(FRONTEND.Bind)
    .bytes(bytes, fields.portalStart, fields.portalEnd + 1)
    .cstring(statement);
  writer.bytes(bytes, fields.statementEnd + 1, end).end();
}

export function writeDescribe(writer: FrameWriter, target: number, name: string): void {
  writer.begin(FRONTEND.Describe).byte(target).cstring(name).end();
}

export function writeClose(writer: FrameWriter, target: number, name: string): void {
  writer.begin(FRONTEND.Close).byte(target).cstring(name).end();
}

export function writeExecute(writer: FrameWriter, portal: string, rowsMax = 0): void {
  writer.begin(FRONTEND.Execute).cstring(portal).int32(rowsMax).end();
}
