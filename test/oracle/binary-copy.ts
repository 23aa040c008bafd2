/** Data of COPY in the binary format. */

export function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/** Of digits to the base 10,000, the first of this weight. */
export function numericValue(digits: number[], weight: number, scale: number): Buffer {
  const bytes = Buffer.alloc(8 + 2 * digits.length);
  for (const [i, word] of [digits.length, weight, 0, scale, ...digits].entries())
    bytes.writeInt16BE(word, 2 * i);
  return bytes;
}

export interface BinaryCopyOptions {
  flags?: number;
  extension?: Buffer;
  hasTrailer?: boolean;
}

export function binaryCopy(
  rows: readonly (Buffer | null)[][],
  { flags = 0, extension = Buffer.alloc(0), hasTrailer = true }: BinaryCopyOptions = {},
): Buffer {
  const parts = [Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), int4(flags), int4(extension.length), extension];
  for (const row of rows) {
    parts.push(Buffer.from([row.length >> 8, row.length]));
    for (const value of row) parts.push(int4(value === null ? -1 : value.length), value ?? Buffer.alloc(0));
  }
  if (hasTrailer) parts.push(Buffer.from([0xff, 0xff]));
  return Buffer.concat(parts);
}
