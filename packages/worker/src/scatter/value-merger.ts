import { BACKEND, decodeText, type PgDogError } from '@pgdog-cluster/core';
import { CONSUMED } from '../wire/frame-stream.js';
import type { Leg } from './leg.js';
import type { RowMerger } from './row-merger.js';

/** Type, length and count stand before the first column. */
const COLUMNS_AT = 7;

/** Reads the one row of a question of ours; the client sees nothing of it. */
export class ValueMerger implements RowMerger {
  readonly passesLongRows = false;
  readonly problem: PgDogError | null = null;
  readonly heldTag = null;
  values: (string | null)[] = [];

  begin(): void {}
  legMeets(): void {}
  meet(): void {}

  row(_leg: Leg, bytes: Uint8Array, start: number, end: number): number {
    if (bytes[start] === BACKEND.DataRow) this.values = readRow(bytes, start, end);
    return CONSUMED;
  }
}

/** The values of a whole DataRow, as text. */
export function readRow(bytes: Uint8Array, start: number, end: number): (string | null)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: (string | null)[] = [];
  let at = start + COLUMNS_AT;
  while (at + 4 <= end) {
    const size = view.getInt32(at);
    at += 4;
    values.push(size < 0 ? null : decodeText(bytes, at, Math.min(at + size, end)));
    at += Math.max(0, size);
  }
  return values;
}
