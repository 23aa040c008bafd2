import { FrameWriter } from './frame-writer.js';
import { BACKEND } from './message-type.js';

/** Type oids of pg_type that our own results use. */
export const TYPE_OID = { bool: 16, int8: 20, int4: 23, text: 25, float8: 701, numeric: 1700 } as const;

/** A column of a result made by us; values travel in text format whatever the type. */
export interface Column {
  name: string;
  /** Default text. */
  typeOid?: number;
}

/** pg_type.typlen; -1 for types of varying length. */
function typeBytes(typeOid: number): number {
  if (typeOid === TYPE_OID.bool) return 1;
  if (typeOid === TYPE_OID.int4) return 4;
  if (typeOid === TYPE_OID.int8 || typeOid === TYPE_OID.float8) return 8;
  return -1;
}

export function writeRowDescription(writer: FrameWriter, columns: readonly Column[]): void {
  writer.begin(BACKEND.RowDescription).int16(columns.length);
  for (const { name, typeOid = TYPE_OID.text } of columns) {
    // Table oid and attribute number are 0: not a table's column. Then type, typmod none, text format.
    writer.cstring(name).int32(0).int16(0).int32(typeOid).int16(typeBytes(typeOid)).int32(-1).int16(0);
  }
  writer.end();
}

/** One row in text format; null is SQL NULL. */
export function writeDataRow(writer: FrameWriter, values: readonly (string | null)[]): void {
  writer.begin(BACKEND.DataRow).int16(values.length);
  for (const value of values) writer.value(value);
  writer.end();
}

/** `tag` as Postgres words it: "SELECT 3", "SHOW", "SET". */
export function writeCommandComplete(writer: FrameWriter, tag: string): void {
  writer.begin(BACKEND.CommandComplete).cstring(tag).end();
}

/** A whole text result: description, rows, completion. No ReadyForQuery. */
export function buildResult(
  columns: readonly Column[],
  rows: Iterable<readonly (string | null)[]>,
  tag: string,
): Uint8Array {
  const writer = new FrameWriter();
  writeRowDescription(writer, columns);
  for (const row of rows) writeDataRow(writer, row);
  writeCommandComplete(writer, tag);
  return writer.take();
}
