// ● per-frame path
/**
 * What the csv field bytes[start, end) means, into `target`, which has room for as much. Quotes may begin and end anywhere
 * in it; within them `escaping` takes the meaning from a quote or from itself.
 * @returns its size; -1: it ends within quotes
 */
export function unquoteField(
  bytes: Uint8Array,
  start: number,
  end: number,
  quote: number,
  escaping: number,
  target: Uint8Array,
): number {
  let size = 0;
  let isQuoted = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (!isQuoted) {
      if (byte === quote) isQuoted = true;
      else target[size++] = byte;
      continue;
    }
    const next = at + 1 < end ? bytes[at + 1] : -1;
    if (byte === escaping && (next === escaping || next === quote)) {
      target[size++] = next;
      at++;
    } else if (byte === quote) isQuoted = false;
    else target[size++] = byte;
  }
  return isQuoted ? -1 : size;
}
