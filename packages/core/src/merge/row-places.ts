// ● per-frame path
/** Where the values of a row are: the one reader of DataRow bodies, for all that merges. */
import { NO_VALUE, NULL_VALUE, valueBytesOf } from '../wire/frame-header.js';

/** Size of a value that is NULL. */
export const NULL_SIZE = NULL_VALUE;

/**
 * Walks through a whole DataRow body and notes where the wanted values start and how many bytes they have (NULL_SIZE: NULL).
 * @param cells index of a value's pair of numbers in `places`, by column; -1: not wanted
 * @returns false when bytes[start, end) is no row of exactly these columns; then `places` means nothing
 */
export function placeValues(
  bytes: Uint8Array,
  start: number,
  end: number,
  cells: Int32Array,
  places: Int32Array,
  from: number,
): boolean {
  if (start < 0 || end > bytes.length || end - start < 2) return false;
  const count = (bytes[start] << 8) | bytes[start + 1];
  if (count !== cells.length) return false;
  let at = start + 2;
  for (let column = 0; column < count; column++) {
    const size = valueBytesOf(bytes, at, end);
    if (size === NO_VALUE) return false;
    at += 4;
    const cell = cells[column];
    if (cell >= 0) {
      places[from + cell] = at;
      places[from + cell + 1] = size;
    }
    if (size > 0) at += size;
  }
  return at === end;
}
