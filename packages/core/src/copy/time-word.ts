// ● per-frame path
/** The first three letters of now, today, tomorrow and yesterday, which no other word of a date or time has in it. */
const WORDS: readonly number[] = ['now', 'tod', 'tom', 'yes'].map(folded);

function folded(word: string): number {
  return (word.charCodeAt(0) << 16) | (word.charCodeAt(1) << 8) | word.charCodeAt(2);
}

/**
 * Whether bytes[start, end), a date or time, may say that it is the time of the statement, which every shard has of its
 * own. Most have no letters in them.
 */
export function hasTimeWord(bytes: Uint8Array, start: number, end: number): boolean {
  let last = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte < 0x41) last = 0;
    else {
      last = ((last << 8) | byte | 0x20) & 0xffffff;
      if (WORDS.includes(last)) return true;
    }
  }
  return false;
}
