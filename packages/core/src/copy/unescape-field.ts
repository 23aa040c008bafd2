// ● per-frame path
/** Escapes of COPY's text format: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-TEXT-FORMAT */

const BACKSLASH = 0x5c;
const LETTER_X = 0x78;

/** What a letter behind a backslash stands for; others stand for themselves. */
const MEANINGS: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };
const meanings = Uint8Array.from({ length: 256 }, (_, byte) => MEANINGS[String.fromCharCode(byte)] ?? byte);

function octal(byte: number): number {
  return byte >= 0x30 && byte <= 0x37 ? byte - 0x30 : -1;
}

function hex(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * What the field bytes[start, end) means, into `target`, which has room for as much.
 * @returns its size; -1: it holds a NUL, or ends in the middle of an escape
 */
export function unescapeField(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let size = 0;
  let at = start;
  while (at < end) {
    let byte = bytes[at++];
    if (byte === BACKSLASH) {
      if (at === end) return -1;
      byte = bytes[at++];
      const isHex = byte === LETTER_X && at < end && hex(bytes[at]) >= 0;
      let value = isHex ? 0 : octal(byte);
      if (value >= 0) {
        // Up to three octal digits, or two of hexadecimal behind the x.
        const digit = isHex ? hex : octal;
        const base = isHex ? 16 : 8;
        for (let more = 2; more > 0 && at < end && digit(bytes[at]) >= 0; more--) {
          value = value * base + digit(bytes[at++]);
        }
        byte = value & 0xff;
      } else byte = meanings[byte];
    }
    if (byte === 0) return -1;
    target[size++] = byte;
  }
  return size;
}
