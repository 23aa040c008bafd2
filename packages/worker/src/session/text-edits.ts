/** Where a text was changed before it went to the server, so that a position in an error is one in the client's own. */
export interface TextEdit {
  /** Characters of the text that was sent before it. */
  readonly at: number;
  /** Characters that were sent, and those that stood there. */
  readonly sent: number;
  readonly given: number;
}

/** Within what was put in there is no place of the client's but its beginning. Positions are from 1. */
export function positionInGiven(edits: readonly TextEdit[], position: number): number {
  let shift = 0;
  for (const { at, sent, given } of edits) {
    if (position - 1 < at) break;
    if (position - 1 < at + sent) return at + 1 - shift;
    shift += sent - given;
  }
  return position - shift;
}

/** Characters of UTF-8. */
export function charactersIn(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if ((bytes[at] & 0xc0) !== 0x80) count++;
  return count;
}
