// ● per-frame path
/** Below this a loop beats the calls that copying by views costs. */
const LOOP_COPY_BYTES_MAX = 64;

/** target[at ...] = source[start, end). Both may be kernel memory, in places that do not overlap. */
export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  const length = end - start;
  if (length <= LOOP_COPY_BYTES_MAX) {
    for (let i = 0; i < length; i++) target[at + i] = source[start + i];
  } else if (source === target) {
    target.copyWithin(at, start, end);
  } else {
    target.set(source.subarray(start, end), at);
  }
}
