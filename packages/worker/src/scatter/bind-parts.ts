import { FRONTEND, FrameWriter, readBind } from '@pgdog-cluster/core';

const HEADER_BYTES = 5;
const INT4_MAX = 2 ** 31 - 1;
const writer = new FrameWriter(4096);

/** A Bind, taken apart. */
export interface BindParts {
  /** Portal and statement names with their NULs. */
  readonly portal: Uint8Array;
  readonly statement: Uint8Array;
  /** Of each parameter: 0 text, 1 binary. */
  readonly formats: readonly number[];
  /** Each with its length word. */
  readonly values: readonly Uint8Array[];
  /** Result formats, with their count. */
  readonly results: Uint8Array;
}

/** Of a whole Bind frame; null: it is malformed. */
export function bindParts(frame: Uint8Array): BindParts | null {
  const fields = readBind(frame, HEADER_BYTES, frame.length);
  if (fields === null) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = fields.statementEnd + 1;
  const has = (bytes: number): boolean => at + bytes <= frame.length;
  if (!has(2)) return null;
  const formatCount = view.getUint16(at);
  at += 2;
  if (!has(2 * formatCount + 2)) return null;
  const given = Array.from({ length: formatCount }, (_, index) => view.getUint16(at + 2 * index));
  at += 2 * formatCount;
  const count = view.getUint16(at);
  at += 2;
  const values: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    if (!has(4)) return null;
    const size = 4 + Math.max(0, view.getInt32(at));
    if (!has(size)) return null;
    values.push(frame.subarray(at, at + size));
    at += size;
  }
  return {
    portal: frame.subarray(fields.portalStart, fields.portalEnd + 1),
    statement: frame.subarray(fields.statementStart, fields.statementEnd + 1),
    formats: values.map((_, index) => (formatCount === 1 ? given[0] : given[index]) ?? 0),
    values,
    results: frame.subarray(at),
  };
}

export function bindFrame({ portal, statement, formats, values, results }: BindParts): Uint8Array {
  writer.reset().begin(FRONTEND.Bind).bytes(portal).bytes(statement).int16(formats.length);
  for (const format of formats) writer.int16(format);
  writer.int16(values.length);
  for (const value of values) writer.bytes(value);
  writer.bytes(results).end();
  return writer.take();
}

/**
 * The same Bind with other numbers of rows; null: NULL, which is all of them. As text, which every type reads that the client
 * may have declared for them (drivers say integer, whose binary form is not that of bigint).
 */
export function withCounts(frame: Uint8Array, counts: ReadonlyMap<number, number | null>): Uint8Array {
  const parts = bindParts(frame);
  if (parts === null) return frame;
  const values = parts.values.map((value, index) => {
    const count = counts.get(index);
    if (count === undefined) return value;
    // More than an integer can say: all, of which so many are taken here.
    return count === null || count > INT4_MAX ? NULL : countValue(count);
  });
  const formats = parts.formats.map((format, index) => (counts.has(index) ? 0 : format));
  return bindFrame({ ...parts, formats, values });
}

const NULL = Uint8Array.of(0xff, 0xff, 0xff, 0xff);

function countValue(count: number): Uint8Array {
  const value = Buffer.from(String(count));
  const size = Buffer.alloc(4);
  size.writeInt32BE(value.length);
  return Buffer.concat([size, value]);
}
