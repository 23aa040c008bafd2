import { PgDogError } from '../base/errors.js';
import { NULL_VALUE, valueBytesOf } from './frame-header.js';
import { BACKEND, readLength } from './message-type.js';
import { TYPE_OID } from './row-description.js';

/** A result made by us, in text, as a client of the extended protocol wants it. Types: those of TYPE_OID. */

const HEADER_BYTES = 5;
/** Base of a NUMERIC's digits, and how many decimal ones each holds. */
const NUMERIC_DIGITS = 4;

/** Result format codes of a Bind, one for each column. @throws PgDogError for a number that does not fit. */
export function formatOf(formats: readonly number[], column: number, columnCount: number): number {
  if (formats.length > 1 && formats.length !== columnCount) {
    const text = `bind message has ${formats.length} result formats but query has ${columnCount} columns`;
    throw new PgDogError('admin_syntax', text);
  }
  return (formats.length === 1 ? formats[0] : formats[column]) ?? 0;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/** Groups of four digits on both sides of the point; weight: the power of 10,000 of the first. */
function numeric(text: string): Buffer {
  const isNegative = text.startsWith('-');
  const [whole = '', fraction = ''] = (isNegative ? text.slice(1) : text).split('.');
  const left = whole.padStart(Math.ceil(whole.length / NUMERIC_DIGITS) * NUMERIC_DIGITS, '0');
  const right = fraction.padEnd(Math.ceil(fraction.length / NUMERIC_DIGITS) * NUMERIC_DIGITS, '0');
  const digits: number[] = [];
  for (let at = 0; at < left.length + right.length; at += NUMERIC_DIGITS) {
    digits.push(Number((left + right).slice(at, at + NUMERIC_DIGITS)));
  }
  // As Postgres: no group of zeros at either end, and none at all in 0. Readers rely on it.
  let weight = left.length / NUMERIC_DIGITS - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits.shift();
    weight--;
  }
  while (digits.length > 0 && digits[digits.length - 1] === 0) digits.pop();
  if (digits.length === 0) weight = 0;
  const bytes = Buffer.alloc(8 + 2 * digits.length);
  bytes.writeInt16BE(digits.length, 0);
  bytes.writeInt16BE(weight, 2);
  bytes.writeUInt16BE(isNegative && digits.length > 0 ? 0x4000 : 0, 4);
  bytes.writeInt16BE(fraction.length, 6);
  for (const [index, digit] of digits.entries()) bytes.writeInt16BE(digit, 8 + 2 * index);
  return bytes;
}

/** A value in Postgres's binary format. */
function toBinary(typeOid: number, text: string): Buffer {
  switch (typeOid) {
    case TYPE_OID.bool:
      return Buffer.from([text === 't' ? 1 : 0]);
    case TYPE_OID.int4:
      return int32(Math.round(Number(text)));
    case TYPE_OID.int8:
      return int64(BigInt(Math.round(Number(text))));
    case TYPE_OID.numeric:
      return numeric(text);
    default:
      return Buffer.from(text);
  }
}

/** A RowDescription with these formats in it, in place; returns the types of its columns. */
export function setFormats(frame: Buffer, formats: readonly number[]): number[] {
  const count = frame.readUInt16BE(HEADER_BYTES);
  const types: number[] = [];
  let at = HEADER_BYTES + 2;
  for (let column = 0; column < count; column++) {
    at = frame.indexOf(0, at) + 1;
    types.push(readLength(frame, at + 6));
    frame.writeInt16BE(formatOf(formats, column, count), at + 16);
    at += 18;
  }
  return types;
}

/** A DataRow in text, in these formats. */
export function formatRow(frame: Buffer, types: readonly number[], formats: readonly number[]): Buffer {
  if (!formats.includes(1)) return frame;
  const parts: Buffer[] = [frame.subarray(0, HEADER_BYTES + 2)];
  let at = HEADER_BYTES + 2;
  types.forEach((typeOid, column) => {
    const length = valueBytesOf(frame, at, frame.length);
    at += 4;
    if (length === NULL_VALUE) {
      parts.push(int32(-1));
      return;
    }
    const value = frame.subarray(at, at + length);
    at += length;
    const isBinary = formatOf(formats, column, types.length) === 1;
    const wanted = isBinary ? toBinary(typeOid, value.toString()) : value;
    parts.push(int32(wanted.length), wanted);
  });
  const row = Buffer.concat(parts);
  row.writeInt32BE(row.length - 1, 1);
  return row;
}

/** Whole frames, one after another, of bytes that end with a frame. */
export function* framesOf(bytes: Uint8Array): Generator<Buffer> {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < whole.length; ) {
    const end = at + 1 + readLength(whole, at + 1);
    yield whole.subarray(at, end);
    at = end;
  }
}

/** Whether an ErrorResponse is among them. */
export function holdsError(bytes: Uint8Array): boolean {
  for (const frame of framesOf(bytes)) if (frame[0] === BACKEND.ErrorResponse) return true;
  return false;
}
