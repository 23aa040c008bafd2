// ● per-frame path

/** Type, version, length: the only part of a record that is in the clear. */
const HEADER_BYTES = 5;

/** Where the record that begins at `at` ends, or the bytes do. */
export function recordEnd(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return end;
  return Math.min(end, at + HEADER_BYTES + ((bytes[at + 3] << 8) | bytes[at + 4]));
}

/** Whether the last of the records that begin at `at` is incomplete. */
export function endsInRecord(bytes: Uint8Array, at: number, end: number): boolean {
  let next = at;
  while (end - next >= HEADER_BYTES) next += HEADER_BYTES + ((bytes[next + 3] << 8) | bytes[next + 4]);
  return next !== end;
}
