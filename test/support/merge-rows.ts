/** Rows and shapes for the tests of merging, as literals. */
import {
  type RowFold,
  RowOrder,
  RowShape,
  type ShapeColumn,
  type SortKey,
  VALUE_TYPE,
} from '@pgdog-cluster/core';
import { int16, int32, rowValues } from './frames.js';

export type TypeName = keyof typeof VALUE_TYPE;
export type RowValue = string | Buffer | null;

/** The body of a DataRow, with bytes before and behind that are not its own. */
export interface Row {
  bytes: Buffer;
  start: number;
  end: number;
}

export function rowOf(...values: RowValue[]): Row {
  return fenced(
    Buffer.concat([
      int16(values.length),
      ...values.map((value) => {
        if (value === null) return int32(-1);
        const bytes = Buffer.from(value as string);
        return Buffer.concat([int32(bytes.length), bytes]);
      }),
    ]),
  );
}

export function fenced(body: Buffer): Row {
  const fence = Buffer.alloc(16, 0x37);
  return { bytes: Buffer.concat([fence, body, fence]), start: 16, end: 16 + body.length };
}

/** Every row that begins like this one and ends too early or too late, and some whose lengths lie. */
export function lyingRows(row: Row): Row[] {
  const lies: Row[] = [];
  for (let end = row.start; end < row.end; end++) lies.push({ ...row, end });
  lies.push({ ...row, end: row.end + 1 }, { ...row, end: row.bytes.length + 100 }, { ...row, start: -1 });
  for (const at of [0, 2]) {
    for (const byte of [0x7f, 0x80, 0xff]) {
      const bytes = Buffer.from(row.bytes);
      bytes[row.start + at] = byte;
      lies.push({ ...row, bytes });
    }
  }
  return lies;
}

export function shapeOf(format: 'text' | 'binary', ...types: TypeName[]): RowShape {
  return new RowShape(types.map((type, index) => column(type, format, `c${index + 1}`)));
}

function column(type: TypeName, format: 'text' | 'binary', name: string): ShapeColumn {
  return { name, typeOid: VALUE_TYPE[type], typmod: -1, format: format === 'binary' ? 1 : 0 };
}

/** `1 desc nulls first`: columns are counted from 1, as in ORDER BY. */
export function keysOf(...texts: string[]): SortKey[] {
  return texts.map((text) => {
    const [column, ...words] = text.split(' ');
    const isDescending = words.includes('desc');
    const isNullsFirst = words.includes('nulls') ? words.includes('first') : isDescending;
    return { column: Number(column) - 1, isDescending, isNullsFirst };
  });
}

export function orderOf(shape: RowShape, ...keys: string[]): RowOrder {
  return made(RowOrder.of(shape, keysOf(...keys)));
}

export function made<T extends object>(value: T | string): T {
  if (typeof value === 'string') throw new Error(`refused: ${value}`);
  return value;
}

/** All at once; false: `failure` says why. */
export function finishFold(fold: RowFold, order: RowOrder | null): boolean {
  return fold.finishSome(order, Number.POSITIVE_INFINITY) === 'done';
}

/** Rows of a finished fold, as text. */
export function foldedRows(fold: RowFold): (string | null)[][] {
  return Array.from({ length: fold.rowCount }, (_, index) => {
    const frame = Buffer.from(fold.bytes.subarray(fold.rowStart(index), fold.rowEnd(index)));
    if (frame[0] !== 0x44 || frame.readUInt32BE(1) !== frame.length - 1) throw new Error('no DataRow frame');
    return rowValues(frame.subarray(5));
  });
}
