import { createHash } from 'node:crypto';
import { BACKEND, decodeName, findNul } from '@pgdog-cluster/core';

const HEADER_BYTES = 5;
/** Behind a column's name: its table, number, type, size, modifier, format. */
const COLUMN_BYTES = 18;
const TYPE_AT = 6;
const MODIFIER_AT = 12;

/**
 * A hash of the names, types and modifiers of the columns that a RowDescription tells of: no two results that Postgres tells apart have
 * the same. '' for NoData. bytes[start, end) is the frame.
 */
export function columnsOf(bytes: Uint8Array, start: number, end: number): string {
  if (bytes[start] !== BACKEND.RowDescription) return '';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const columns: unknown[] = [];
  let at = start + HEADER_BYTES + 2;
  while (at < end) {
    const nameEnd = findNul(bytes, at, end);
    const rest = nameEnd + 1;
    if (nameEnd < 0 || rest + COLUMN_BYTES > end) break;
    columns.push([
      decodeName(bytes, at, nameEnd),
      view.getUint32(rest + TYPE_AT),
      view.getInt32(rest + MODIFIER_AT),
    ]);
    at = rest + COLUMN_BYTES;
  }
  return createHash('sha256').update(JSON.stringify(columns)).digest('base64');
}
